// pictures.c - see pictures.h.
#include "emulator/pictures.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

void pictures_look(const struct answer *a, unsigned i, uint8_t look[static DIGEST_SIZE])
{
    const struct request *q = a->request;
    struct buf b = {.max = 400};
    buf_add(&b, (struct span){(const char *)q->digest, DIGEST_SIZE});
    if (q->seeded)
        buf_addf(&b, " seed %" PRId64, q->seed);
    else
        buf_addf(&b, " sample %" PRIu64, a->sample);
    buf_addf(&b, " of %" PRIu64 " %s %s %s %u", a->settings->faults.seed, q->model->name,
             q->ratio, q->size->name, i);
    digest_of(buf_span(&b), look);
    buf_free(&b);
}

static uint32_t scaled(uint32_t side, double by)
{
    uint32_t n = (uint32_t)(side * by / 8 + 0.5) * 8;
    return n < 16 ? 16 : n;
}

static void pixels(const struct answer *a, uint32_t *w, uint32_t *h)
{
    const struct request *q = a->request;
    *w = *h = 1024;
    model_pixels(q->model, span_of(q->ratio), q->size, w, h);
    if (a->settings->side) {
        double by = a->settings->side / sqrt((double)*w * *h);
        *w = scaled(*w, by);
        *h = scaled(*h, by);
    }
}

static bool is_jpeg(const struct answer *a, const struct fault *shape)
{
    enum format f = a->settings->format;
    return shape->spoil == SPOIL_JPEG || f == FORMAT_JPEG ||
           (f == FORMAT_AUTO && a->request->model->jpeg);
}

static enum err make_one(const struct answer *a, const struct fault *shape, unsigned i,
                         struct picture *out)
{
    uint8_t look[DIGEST_SIZE];
    struct buf note = {.max = 400};
    struct picture_spec spec = {.jpeg = is_jpeg(a, shape),
                                .look = look,
                                .words = buf_span(&a->request->prompt),
                                .pad = a->settings->pad};
    if (a->settings->stock && shape->spoil == SPOIL_NOTHING) {
        picture_stock(a->settings->stock, out);
        return OK;
    }
    if (shape->spoil == SPOIL_WEBP)
        return picture_webp(out);
    pictures_look(a, i, look);
    pixels(a, &spec.w, &spec.h);
    buf_addf(&note, "%s  %ux%u  #%" PRIu64, a->request->model->name, spec.w, spec.h,
             a->sample + 1);
    spec.note = buf_span(&note);
    enum err e = picture_draw(&spec, out);
    buf_free(&note);
    if (!e && shape->spoil == SPOIL_CUT)
        picture_cut(out);
    if (!e && shape->spoil == SPOIL_CORRUPT)
        picture_corrupt(out);
    return e;
}

static enum err add(const struct answer *a, const struct fault *shape, bool thought,
                    struct pictures *out)
{
    enum err e = make_one(a, shape, (unsigned)out->n, &out->at[out->n].picture);
    out->at[out->n].thought = thought;
    out->finals += !thought;
    out->n++; // freed with the others even after a failure
    return e;
}

enum err pictures_make(const struct answer *a, const struct fault *shape, struct pictures *out)
{
    bool lies = shape->spoil == SPOIL_JPEG || shape->spoil == SPOIL_WEBP;
    bool thinks = a->request->thoughts && a->request->model->thinks;
    enum err e = OK;
    if (thinks || shape->thought_only)
        e = add(a, shape, true, out);
    if (!e && !shape->thought_only)
        e = add(a, shape, false, out);
    if (!e && shape->twice)
        e = add(a, shape, false, out);
    out->mime = lies ? "image/png" : out->at[0].picture.mime;
    return e;
}

void pictures_free(struct pictures *p)
{
    for (size_t i = 0; i < p->n; i++)
        picture_free(&p->at[i].picture);
    p->n = 0;
}
