// picture.c - see picture.h.
//
// The scene is drawn small and its pixels are repeated on the way into the file, so that even
// a 4K picture costs little more than its compression.
#include "emulator/picture.h"

#include <stdlib.h>
#include <string.h>

#include "common/image.h"
#include "emulator/base64.h"
#include "emulator/jpeg.h"
#include "emulator/png.h"
#include "emulator/scene.h"

#define FILE_MAX (256u << 20)

// How often each drawn pixel is repeated: both sides must be divisible by it.
static uint32_t enlargement(uint32_t w, uint32_t h)
{
    uint32_t best = 1;
    for (uint32_t k = 2; k <= 8; k++)
        if (w % k == 0 && h % k == 0 && (uint64_t)w * h / (k * k) >= 200000)
            best = k;
    return best;
}

enum err picture_draw(const struct picture_spec *spec, struct picture *out)
{
    uint32_t times = enlargement(spec->w, spec->h);
    struct image_canvas canvas = {.w = spec->w / times, .h = spec->h / times};
    struct buf file = {.max = FILE_MAX};
    *out = (struct picture){.mime = spec->jpeg ? "image/jpeg" : "image/png"};
    if (!(canvas.rgb = malloc((size_t)canvas.w * canvas.h * 3)))
        return ERR_NOMEM;
    scene_draw(&canvas, spec->look, spec->words, spec->note);
    (spec->jpeg ? jpeg_write : png_write)(&file, canvas.rgb, canvas.w, canvas.h, times);
    free(canvas.rgb);
    if (file.err) {
        enum err e = file.err;
        buf_free(&file);
        return e;
    }
    out->pattern = spec->jpeg ? pad_pattern_jpeg(spec->pad) : pad_pattern_png(spec->pad);
    (spec->jpeg ? pad_jpeg : pad_png)(spec->pad, &file, &out->head, &out->pad_size, &out->tail);
    return out->head.err ? out->head.err : out->tail.err;
}

enum err picture_webp(struct picture *out)
{
    static const char bytes[] = "RIFF\x1a\0\0\0WEBPVP8L\x0d\0\0\0\x2f\0\0\0\x10\x07\x10\x11"
                                "\x11\x88\x88\xfe\x07\0";
    *out = (struct picture){.head = {.max = 64}, .tail = {.max = 64}, .mime = "image/webp"};
    buf_add(&out->head, (struct span){bytes, 34});
    return out->head.err;
}

void picture_stock(const struct stock *s, struct picture *out)
{
    *out = (struct picture){.mime = s->mime, .stock = s};
}

void picture_free(struct picture *p)
{
    buf_free(&p->head);
    buf_free(&p->tail);
}

uint64_t picture_size(const struct picture *p)
{
    return p->stock ? p->stock->bytes.len : p->head.len + p->pad_size + p->tail.len;
}

void picture_digest(const struct picture *p, uint8_t out[static DIGEST_SIZE])
{
    if (p->stock) {
        memcpy(out, p->stock->digest, DIGEST_SIZE);
        return;
    }
    struct digest *d = digest_new();
    memset(out, 0, DIGEST_SIZE);
    if (!d)
        return;
    digest_add(d, buf_span(&p->head));
    for (uint64_t done = 0; done < p->pad_size; done += PAD_PERIOD) {
        uint64_t left = p->pad_size - done;
        size_t n = left < PAD_PERIOD ? (size_t)left : PAD_PERIOD;
        digest_add(d, (struct span){p->pattern->bytes, n});
    }
    digest_add(d, buf_span(&p->tail));
    digest_end(d, out);
}

void picture_base64(const struct picture *p, struct rope *out)
{
    struct buf head = {.max = FILE_MAX}, tail = {.max = FILE_MAX};
    if (p->stock) {
        rope_repeat(out, buf_span(&p->stock->base64), p->stock->base64.len);
        return;
    }
    base64_add(&head, buf_span(&p->head));
    base64_add(&tail, buf_span(&p->tail));
    rope_take(out, &head);
    if (p->pad_size)
        rope_repeat(out, (struct span){p->pattern->base64, sizeof p->pattern->base64},
                    p->pad_size / 3 * 4);
    rope_take(out, &tail);
}

// Where the drawing itself is: a JPEG's follows the comments.
static struct buf *drawing(struct picture *p)
{
    return p->tail.len > p->head.len ? &p->tail : &p->head;
}

void picture_cut(struct picture *p)
{
    if (drawing(p) == &p->head) {
        p->pad_size = 0;
        buf_clear(&p->tail);
    }
    drawing(p)->len /= 2;
}

void picture_corrupt(struct picture *p)
{
    struct buf *b = drawing(p);
    if (b->len < 16)
        return;
    // In a JPEG, a second start of image; in a PNG, a byte of compressed pixels.
    if (strcmp(p->mime, "image/jpeg") == 0)
        memcpy(b->ptr + b->len - 8, "\xff\xd8", 2);
    else
        b->ptr[b->len / 2] ^= 0x55;
}
