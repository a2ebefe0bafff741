// The structure of a JPEG file (ITU-T T.81, annex B): from marker to marker, through the scans,
// to EOI, and nothing behind it. JPEG has no checksums: what is wrong within a scan, only the
// decoder can tell.
#include "common/image_private.h"

#include <string.h>

#define SOI   0xd8
#define EOI   0xd9
#define SOS   0xda
#define APP11 0xeb

// Encoders write about ten scans. Each makes the decoder go over the whole picture again, so
// that a small file with thousands of empty ones would keep it busy for hours.
#define SCANS_MAX 100

static enum err wrong(struct jpeg_walk *w, const char *words)
{
    return image_fail(w->why, ERR_FORMAT, words);
}

static bool begins_frame(uint8_t code)
{
    return code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc;
}

static enum err end_frame_header(struct jpeg_walk *w)
{
    const uint8_t *f = w->field;
    if (w->frames++)
        return wrong(w, "JPEG: more than one picture");
    if (w->have < 6)
        return wrong(w, "JPEG: a frame header too short");
    w->info->height = (uint32_t)f[1] << 8 | f[2];
    w->info->width = (uint32_t)f[3] << 8 | f[4];
    return image_side_check(w->info->width, w->info->height, w->why);
}

// ISO 19566-5, annex D.2: "JP", box instance, sequence number, then a superbox "jumb" whose
// first box "jumd" begins with the type of its content.
static bool holds_c2pa(const struct jpeg_walk *w)
{
    const uint8_t *f = w->field;
    return w->have >= 28 && memcmp(f, "JP", 2) == 0 && memcmp(f + 12, "jumb", 4) == 0 &&
           memcmp(f + 20, "jumd", 4) == 0 && memcmp(f + 24, "c2pa", 4) == 0;
}

static enum err end_segment(struct jpeg_walk *w)
{
    w->at = JPEG_FILL;
    if (begins_frame(w->code))
        return end_frame_header(w);
    if (w->code == APP11 && holds_c2pa(w))
        w->info->c2pa = true;
    if (w->code != SOS)
        return OK;
    w->at = JPEG_SCAN;
    w->escape = false;
    if (!w->frames)
        return wrong(w, "JPEG: a scan before the frame header");
    if (++w->scans > SCANS_MAX)
        return image_fail(w->why, ERR_TOOBIG, "JPEG: more scans than are taken");
    return OK;
}

static enum err take_code(struct jpeg_walk *w, uint8_t code)
{
    w->code = code;
    w->have = 0;
    w->at = JPEG_LENGTH;
    if (code < 0xc0 || (code >= 0xd0 && code <= SOI))
        return wrong(w, "JPEG: a marker that may not stand here");
    if (code != EOI)
        return OK;
    w->at = JPEG_END;
    return w->scans ? OK : wrong(w, "JPEG: no pixels");
}

static enum err take_length(struct jpeg_walk *w, uint8_t byte)
{
    w->field[w->have++] = byte;
    if (w->have < 2)
        return OK;
    w->left = (uint32_t)w->field[0] << 8 | w->field[1];
    if (w->left < 2)
        return wrong(w, "JPEG: a segment without a length");
    w->left -= 2;
    w->have = 0;
    w->at = JPEG_BODY;
    return w->left ? OK : end_segment(w);
}

static enum err take_body(struct jpeg_walk *w, const uint8_t **p, const uint8_t *end)
{
    size_t n = (size_t)(end - *p) < w->left ? (size_t)(end - *p) : w->left;
    for (size_t i = 0; i < n && w->have < sizeof w->field; i++)
        w->field[w->have++] = (*p)[i];
    *p += n;
    w->left -= (uint32_t)n;
    return w->left ? OK : end_segment(w);
}

// In a scan 0xff stands for itself when 0 follows; restart markers belong to it; any other
// marker ends it.
static enum err take_scan(struct jpeg_walk *w, const uint8_t **p, const uint8_t *end)
{
    if (!w->escape) {
        const uint8_t *hit = memchr(*p, 0xff, (size_t)(end - *p));
        w->escape = hit != NULL;
        *p = hit ? hit + 1 : end;
        return OK;
    }
    uint8_t code = *(*p)++;
    if (code == 0xff) // a fill byte
        return OK;
    w->escape = false;
    return code == 0 || (code >= 0xd0 && code <= 0xd7) ? OK : take_code(w, code);
}

static enum err take_byte(struct jpeg_walk *w, uint8_t byte)
{
    switch (w->at) {
    case JPEG_START:
        w->at = byte == 0xff ? JPEG_START : JPEG_FILL;
        return byte == 0xff || byte == SOI ? OK : wrong(w, "JPEG: no start");
    case JPEG_FILL: w->at = JPEG_CODE; return byte == 0xff ? OK : wrong(w, "JPEG: no marker");
    case JPEG_CODE: return byte == 0xff ? OK : take_code(w, byte);
    case JPEG_LENGTH: return take_length(w, byte);
    default: return wrong(w, "JPEG: bytes after its end");
    }
}

enum err jpeg_walk_feed(struct jpeg_walk *w, const uint8_t *p, size_t n)
{
    const uint8_t *end = p + n;
    enum err e = OK;
    while (p < end && e == OK) {
        if (w->at == JPEG_SCAN)
            e = take_scan(w, &p, end);
        else if (w->at == JPEG_BODY)
            e = take_body(w, &p, end);
        else
            e = take_byte(w, *p++);
    }
    return e;
}

enum err jpeg_walk_finish(struct jpeg_walk *w, struct image_input *in)
{
    for (;;) {
        enum err e = image_next(in);
        if (e == OK && in->n == 0)
            return w->at == JPEG_END ? OK : wrong(w, "JPEG: cut short");
        if (e == OK)
            e = jpeg_walk_feed(w, in->block, in->n);
        if (e != OK)
            return e;
    }
}

// As far as the frame header.
static enum err walk_header(struct jpeg_walk *w, struct image_input *in)
{
    while (!w->frames) {
        enum err e = image_next(in);
        if (e != OK)
            return e;
        if (in->n == 0)
            return wrong(w, "JPEG: cut short");
        for (size_t i = 0; i < in->n && !w->frames; i++)
            if ((e = jpeg_walk_feed(w, in->block + i, 1)) != OK)
                return e;
    }
    return OK;
}

enum err image_jpeg_read(struct image_input *in, enum image_check how,
                         const struct image_sink *sink, struct image_info *info,
                         struct buf *why)
{
    struct jpeg_walk w = {.info = info, .why = why};
    if (how == IMAGE_CHECK_NONE)
        return walk_header(&w, in);
    enum err e = how == IMAGE_CHECK_FULL ? image_jpeg_decode(in, &w, sink) : OK;
    return e ? e : jpeg_walk_finish(&w, in);
}
