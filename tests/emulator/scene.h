// scene.h - what is drawn into a picture.
#ifndef EMULATOR_SCENE_H
#define EMULATOR_SCENE_H

#include <stdint.h>

#include "common/buf.h"
#include "common/image.h"

// Background, shapes and colours follow from the DIGEST_SIZE bytes at `look`. `words` are
// wrapped over a panel as large as they fit; `note` stands small at the foot.
void scene_draw(struct image_canvas *c, const uint8_t *look, struct span words,
                struct span note);
#endif
