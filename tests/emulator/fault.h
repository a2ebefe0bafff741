// fault.h - everything that can go wrong, by name: errors, refusals, answers without an image,
// spoiled images, broken connections. One table; fault.c says what each is.
#ifndef EMULATOR_FAULT_H
#define EMULATOR_FAULT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/opt.h"

enum fault_kind {
    FAULT_ERROR,  // an HTTP status with Google's JSON about it
    FAULT_PAGE,   // an HTTP status with a page of HTML
    FAULT_ANSWER, // 200, and the answer is not one whole image
    FAULT_TEXT,   // 200, and the answer is not the JSON it should be
    FAULT_WIRE,   // the connection
};

enum content { // of the candidate
    CONTENT_PARTS,
    CONTENT_ABSENT,
    CONTENT_EMPTY,    // {}
    CONTENT_ROLE,     // only the role
    CONTENT_NONE,     // parts: []
    CANDIDATES_NONE,  // no candidates member
    CANDIDATES_EMPTY, // candidates: []
};

enum spoil {
    SPOIL_NOTHING,
    SPOIL_CUT,
    SPOIL_CORRUPT,
    SPOIL_JPEG,
    SPOIL_WEBP,
    SPOIL_BASE64,
    SPOIL_JSON,
    SPOIL_HUGE,
    SPOIL_STREAM // an error after the first of a stream
};

enum wire {
    WIRE_WHOLE,
    WIRE_DROP,  // closed before the first byte
    WIRE_STALL, // no byte ever; until the client gives up
    WIRE_CUT,   // closed in the middle of the body
    WIRE_HANG,  // no byte after the middle of the body
};

struct violation { // of a quota
    const char *metric, *id;
    const char *value; // NULL: absent, which means none
};

struct fault {
    const char *name;
    enum fault_kind kind;
    unsigned status; // HTTP

    // FAULT_ERROR
    const char *rpc;                    // "RESOURCE_EXHAUSTED"; NULL: none
    const char *message;                // also of the candidate, in a FAULT_ANSWER
    const char *reason;                 // of an ErrorInfo; NULL: none
    bool localized;                     // the message once more, as a LocalizedMessage
    bool array;                         // [{"error": ...}]
    const struct violation *violations; // ended by a NULL metric
    double retry;                       // seconds in RetryInfo

    // FAULT_ANSWER
    const char *finish; // finishReason; NULL: STOP
    const char *block;  // promptFeedback.blockReason
    enum content content;
    bool no_image, text, twice, thought_only;
    bool no_usage, no_details; // without usageMetadata, or without what it says of images
    enum spoil spoil;

    enum wire wire;
};

const struct fault *fault_named(struct span name); // NULL: there is none
void fault_list(FILE *out);

struct fault_plan { // --fault NAME=PROBABILITY, in order
    struct {
        const struct fault *fault;
        double probability;
    } at[64];
    size_t n;
    uint64_t seed;
};
// ERR_FORMAT, ERR_RANGE (they add up to more than 1), ERR_MISSING: `why` says which.
MUST_USE enum err fault_plan_read(struct fault_plan *p, const struct opt_strs *given,
                                  struct buf *why);
// What befalls the prompt when it comes for the (tries + 1)th time; NULL: nothing. What the
// prompt itself says, as [[fault:NAME]] or [[fault:NAME*K]] (the first K times; several follow
// one another), comes before the plan. By the plan, the same seed, prompt and try give the same
// fault, in whatever order the calls come.
const struct fault *fault_choose(const struct fault_plan *p, struct span prompt,
                                 const uint8_t digest[static DIGEST_SIZE], uint64_t tries);
// [[latency:2s]] in the prompt; `otherwise` without it.
double fault_latency(struct span prompt, double otherwise);
#endif
