// model.h - the image models that are served, what they take and what they answer with.
#ifndef EMULATOR_MODEL_H
#define EMULATOR_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct model_size {
    const char *name; // "1K"
    unsigned half_k;  // its side in units of 512 pixels
    unsigned tokens;  // of one image
};

struct model {
    const char *name, *version, *title, *about;
    bool jpeg;     // what it answers in; else PNG
    bool thinks;   // counts thought tokens and signs its parts
    bool wide;     // also takes the ratios 1:4 4:1 1:8 8:1
    bool older;    // the pixel sizes of 2.5
    int64_t input; // tokens
    int64_t output;
    struct model_size sizes[5]; // ended by a NULL name; "1K" is the default
};

const struct model *model_at(size_t i);            // NULL after the last
const struct model *model_named(struct span name); // NULL: not served
const struct model_size *model_size(const struct model *m, struct span name); // NULL: cannot
// The pixels of one image. False: the model does not know the ratio. An empty ratio gives the
// shape that the model was seen to choose by itself.
bool model_pixels(const struct model *m, struct span ratio, const struct model_size *size,
                  uint32_t *w, uint32_t *h);
#endif
