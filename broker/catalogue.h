// catalogue.h - which models there are, what they can do and what they cost: one JSON file,
// built into the programs (broker/catalogue.json) and overridable with --catalogue FILE.
#ifndef BROKER_CATALOGUE_H
#define BROKER_CATALOGUE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/job.h"
#include "common/buf.h"
#include "common/err.h"

struct catalogue;
struct model;

// `path` NULL: the built-in one. `why` names the file, and the place in it, of what is wrong.
MUST_USE enum err catalogue_open(const char *path, struct catalogue **out, struct buf *why);
void catalogue_free(struct catalogue *c);
struct span catalogue_default(const struct catalogue *c);
// By name or alias; NULL: not known (which is no error: the provider decides).
const struct model *catalogue_find(const struct catalogue *c, struct span name);
const struct model *catalogue_at(const struct catalogue *c, size_t i); // NULL: past the last
struct span model_name(const struct model *m);
struct span model_tier(const struct model *m, struct span name); // its limits; empty: none
struct span model_retires(const struct model *m);                // "2026-10-02", or empty
struct span model_size(const struct model *m, size_t i);         // empty: past the last
// Whether the model can do what the job asks (size, aspect ratio). `why`: what it cannot.
MUST_USE enum err model_check(const struct model *m, const struct job *j, struct buf *why);

// Of one image of this size; "" is the default one. ERR_MISSING: not known.
MUST_USE enum err model_image_tokens(const struct model *m, struct span size, int64_t *tokens);

// What a call costs, in millionths of a dollar, rounded up. ERR_MISSING: the catalogue has no
// price; it is never guessed as zero.
struct model_usage {
    int64_t input_tokens, text_tokens, image_tokens; // text includes thoughts
};
MUST_USE enum err model_cost(const struct model *m, enum job_lane lane,
                             const struct model_usage *u, int64_t *micro);
// What a call for one image may cost at worst: a token for each byte of the prompt, and beside
// CATALOGUE_WORST_TEXT tokens of text and thoughts a second image, which some models add
// unasked where text may be in the answer, too. Source: googleapis/go-genai issue 732.
#define CATALOGUE_WORST_TEXT   1000
#define CATALOGUE_WORST_IMAGES 2
MUST_USE enum err model_worst(const struct model *m, const struct job *j, size_t prompt_bytes,
                              int64_t *micro);
// The estimate for one image of this size ("" is the default) and that many bytes of prompt.
MUST_USE enum err model_estimate(const struct model *m, const struct job *j,
                                 size_t prompt_bytes, int64_t *micro);
// In words, why it is not known what this job's call may cost: "the catalogue has no price of
// lane flex of model M". Where the above say ERR_MISSING.
void catalogue_unpriced(const struct catalogue *c, const struct job *j, struct buf *why);
#endif
