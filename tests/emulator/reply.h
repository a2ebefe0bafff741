// reply.h - what goes back over the wire.
#ifndef EMULATOR_REPLY_H
#define EMULATOR_REPLY_H

#include "common/digest.h"
#include "emulator/fault.h"
#include "emulator/rope.h"

#define TYPE_JSON "application/json; charset=UTF-8"
#define TYPE_HTML "text/html; charset=UTF-8"
#define TYPE_SSE  "text/event-stream"

struct reply {
    unsigned status;
    const char *type; // Content-Type
    struct rope body;
    enum wire wire;
    uint64_t stop_at; // WIRE_CUT and WIRE_HANG: bytes of the body that are sent
    char tier[16];    // X-Gemini-Service-Tier; empty: none
    // X-Goog-Upload-URL and -Status; empty: none
    char upload_url[300], upload_status[16];

    // For the log; of the last image that is not a thought.
    const struct fault *fault; // NULL: none
    unsigned images;           // image parts
    uint64_t image_bytes;
    uint8_t image_digest[DIGEST_SIZE];
    int64_t input_tokens, text_tokens, image_tokens; // as usageMetadata tells
};

void reply_free(struct reply *r);
#endif
