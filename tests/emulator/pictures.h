// pictures.h - the images of one answer.
#ifndef EMULATOR_PICTURES_H
#define EMULATOR_PICTURES_H

#include "emulator/answer.h"
#include "emulator/picture.h"

#define PICTURES_MAX 3

struct pictures {
    struct {
        struct picture picture;
        bool thought; // an interim one
    } at[PICTURES_MAX];
    size_t n, finals;
    const char *mime; // as the answer says; a fault may make it untrue
};

// What the picture shall look like: from the prompt, and its seed or how often it came, and
// the picture's number.
void pictures_look(const struct answer *a, unsigned i, uint8_t look[static DIGEST_SIZE]);
MUST_USE enum err pictures_make(const struct answer *a, const struct fault *shape,
                                struct pictures *out);
void pictures_free(struct pictures *p);
#endif
