// request.h - what a call asks for, read from its JSON body and refused where the real API
// refuses it.
#ifndef EMULATOR_REQUEST_H
#define EMULATOR_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "emulator/model.h"

struct request {
    const struct model *model;     // set by the caller
    const struct model_size *size; // of the pictures
    struct buf prompt;             // all texts of the contents, a newline between them
    uint8_t digest[DIGEST_SIZE];   // SHA-256 of the prompt
    char ratio[8];                 // "16:9"; empty: the model's own choice
    char tier[16];                 // "standard"
    unsigned images;               // that came with it
    bool wants_text, wants_image;
    bool thoughts; // includeThoughts
    bool seeded;
    int64_t seed;
    int64_t max_tokens; // 0: no limit given
};

// Why it was refused. Both name the place as Google's messages do.
struct refusal {
    struct buf message;
    struct buf field; // "generation_config"; may be empty
    bool violation;   // told as a google.rpc.BadRequest as well
};

// `counting`: the body of countTokens, which may wrap the request. ERR_FORMAT: `why` is set.
MUST_USE enum err request_read(struct request *r, struct span body, bool counting,
                               struct refusal *why);
int64_t request_tokens(const struct request *r); // of the prompt's text, an estimate
void request_free(struct request *r);
void refusal_free(struct refusal *r);
#endif
