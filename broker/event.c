// event.c - events as the batch's stream keeps them. Members at zero are left out of the map.
#include "broker/event.h"

#include "common/mp.h"
#include "common/text.h"

#define HEAD 17 // bytes before the id

enum kind { TEXT, U16, I64, BOOL, CODE, IMAGES };

static const struct member {
    const char *name;
    enum kind kind;
    size_t offset;
} members[] = {
#define M(name, kind, member)                      \
    {                                              \
        name, kind, offsetof(struct event, member) \
    }
    // clang-format off
    M("attempts", U16, attempts),
    M("sample", U16, sample),
    M("model", TEXT, model),
    M("model_version", TEXT, model_version),
    M("worker", TEXT, worker),
    M("text", TEXT, text),
    M("response_id", TEXT, response_id),
    M("latency", I64, latency_ms),
    M("cost", I64, cost_micro),
    M("delay", I64, delay_ms),
    M("in", I64, input_tokens),
    M("out", I64, output_tokens),
    M("deduped_of", TEXT, deduped_of),
    M("sink", TEXT, sink),
    M("images", IMAGES, images),
    M("code", CODE, code),
    M("reason", TEXT, reason),
    M("message", TEXT, message),
    M("retryable", BOOL, retryable),
    M("policy", TEXT, policy),
    M("total", I64, total),
    M("completed", I64, completed),
    M("failed", I64, failed),
    M("cancelled", I64, cancelled),
    M("possible_double_bill", I64, possible_double_bill),
    M("refused", I64, refused),
    M("jobs", I64, jobs),
    M("group", TEXT, group),
    M("step", TEXT, step),
    M("until", I64, until_ms),
// clang-format on
#undef M
};
#define N_MEMBERS (sizeof members / sizeof *members)

static const char *const names[EVENT_TYPES] = {
    [EVENT_NONE] = "none",           [EVENT_SUBMITTED] = "submitted",
    [EVENT_COMPLETED] = "completed", [EVENT_FAILED] = "failed",
    [EVENT_CANCELLED] = "cancelled", [EVENT_RETRYING] = "retrying",
    [EVENT_UNKNOWN] = "unknown",     [EVENT_REOPENED] = "reopened",
    [EVENT_BLOCKED] = "blocked",     [EVENT_UNBLOCKED] = "unblocked",
    [EVENT_STEP] = "step",           [EVENT_BATCH_DONE] = "batch_done",
};

const char *event_name(enum event_type t)
{
    return (unsigned)t < EVENT_TYPES ? names[t] : "none";
}

bool event_terminal(enum event_type t)
{
    return t == EVENT_COMPLETED || t == EVENT_FAILED || t == EVENT_CANCELLED;
}

// --- Encoding -------------------------------------------------------------------------------

static void add_be(struct buf *out, uint64_t v, unsigned bytes)
{
    while (bytes-- > 0)
        buf_add_byte(out, (char)(v >> (8 * bytes)));
}

// Cut between characters: what the worker got was UTF-8, and so must this be.
static struct span cut(struct span s)
{
    if (s.len <= EVENT_MAX_TEXT)
        return s;
    s.len = EVENT_MAX_TEXT;
    while (s.len > 0 && ((unsigned char)s.ptr[s.len] & 0xc0) == 0x80)
        s.len--;
    return s;
}

static bool is_set(const struct event *e, const struct member *m)
{
    const void *at = (const char *)e + m->offset;
    switch (m->kind) {
    case TEXT: return ((const struct span *)at)->len > 0;
    case U16: return *(const uint16_t *)at != 0;
    case I64: return *(const int64_t *)at != 0;
    case BOOL: return *(const bool *)at;
    case CODE: return e->code != CODE_OK;
    case IMAGES: return e->n_images > 0;
    }
    return false;
}

static void pack_images(msgpack_packer *pk, const struct event *e)
{
    unsigned n = e->n_images < EVENT_MAX_IMAGES ? e->n_images : EVENT_MAX_IMAGES;
    msgpack_pack_array(pk, n);
    for (unsigned i = 0; i < n; i++) {
        const struct event_image *im = &e->images[i];
        msgpack_pack_array(pk, 7);
        mp_pack_span(pk, im->path);
        msgpack_pack_uint8(pk, (uint8_t)im->type);
        msgpack_pack_uint64(pk, im->bytes);
        msgpack_pack_uint32(pk, im->width);
        msgpack_pack_uint32(pk, im->height);
        msgpack_pack_bin(pk, im->sha256.len);
        if (im->sha256.len)
            msgpack_pack_bin_body(pk, im->sha256.ptr, im->sha256.len);
        if (im->c2pa)
            msgpack_pack_true(pk);
        else
            msgpack_pack_false(pk);
    }
}

static void pack_member(msgpack_packer *pk, const struct event *e, const struct member *m)
{
    const void *at = (const char *)e + m->offset;
    mp_pack_cstr(pk, m->name);
    switch (m->kind) {
    case TEXT: mp_pack_span(pk, cut(*(const struct span *)at)); break;
    case U16: msgpack_pack_uint16(pk, *(const uint16_t *)at); break;
    case I64: msgpack_pack_int64(pk, *(const int64_t *)at); break;
    case BOOL: msgpack_pack_true(pk); break;
    case CODE: mp_pack_cstr(pk, code_name(e->code)); break;
    case IMAGES: pack_images(pk, e); break;
    }
}

void event_encode(struct buf *out, const struct event *e)
{
    msgpack_packer pk;
    size_t used = 0;
    struct span id = e->id.len > UINT16_MAX ? (struct span){e->id.ptr, UINT16_MAX} : e->id;
    add_be(out, (uint64_t)e->type, 1);
    add_be(out, e->run, 2);
    add_be(out, e->index, 4);
    add_be(out, (uint64_t)e->ts_ms, 8);
    add_be(out, id.len, 2);
    buf_add(out, id);
    for (size_t i = 0; i < N_MEMBERS; i++)
        used += is_set(e, &members[i]);
    mp_packer(&pk, out);
    msgpack_pack_map(&pk, used);
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (is_set(e, &members[i]))
            pack_member(&pk, e, &members[i]);
}

// --- Decoding -------------------------------------------------------------------------------

static uint64_t read_be(const char *p, unsigned bytes)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

static enum err read_text(struct mp *p, struct span *out)
{
    enum err e = mp_str(p, out);
    return e == OK && !text_utf8(*out, NULL) ? ERR_FORMAT : e;
}

static enum err read_uint(struct mp *p, int64_t max, int64_t *out)
{
    enum err e = mp_int(p, out);
    return e == OK && (*out < 0 || *out > max) ? ERR_FORMAT : e;
}

static enum err read_image(struct mp *p, struct event_image *im)
{
    uint32_t n;
    int64_t type, bytes, w, h;
    enum err e;
    if (mp_array(p, &n) != OK || n != 7)
        return ERR_FORMAT;
    if ((e = read_text(p, &im->path)) != OK || (e = read_uint(p, IMAGE_WEBP, &type)) != OK ||
        (e = read_uint(p, INT64_MAX, &bytes)) != OK ||
        (e = read_uint(p, UINT32_MAX, &w)) != OK || (e = read_uint(p, UINT32_MAX, &h)) != OK ||
        (e = mp_bin(p, &im->sha256)) != OK || (e = mp_bool(p, &im->c2pa)) != OK)
        return e;
    im->type = (enum image_type)type;
    im->bytes = (uint64_t)bytes;
    im->width = (uint32_t)w;
    im->height = (uint32_t)h;
    return im->sha256.len == 0 || im->sha256.len == 32 ? OK : ERR_FORMAT;
}

static enum err read_images(struct mp *p, struct event *ev)
{
    uint32_t n;
    if (mp_array(p, &n) != OK || n > EVENT_MAX_IMAGES)
        return ERR_FORMAT;
    for (ev->n_images = 0; ev->n_images < n; ev->n_images++) {
        enum err e = read_image(p, &ev->images[ev->n_images]);
        if (e != OK)
            return e;
    }
    return OK;
}

// A code this version does not know yet is told as a server's error, not refused.
static enum err read_code(struct mp *p, enum code *out)
{
    struct span s;
    enum err e = read_text(p, &s);
    if (e == OK && code_parse(s, out) != OK)
        *out = CODE_SERVER_ERROR;
    return e;
}

static enum err read_member(struct mp *p, struct event *ev, const struct member *m)
{
    void *at = (char *)ev + m->offset;
    int64_t i;
    enum err e;
    switch (m->kind) {
    case TEXT: return read_text(p, at);
    case U16:
        if ((e = read_uint(p, UINT16_MAX, &i)) == OK)
            *(uint16_t *)at = (uint16_t)i;
        return e;
    case I64: return mp_int(p, at);
    case BOOL: return mp_bool(p, at);
    case CODE: return read_code(p, &ev->code);
    case IMAGES: return read_images(p, ev);
    }
    return ERR_FORMAT;
}

static const struct member *find(struct span key)
{
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (span_is(key, members[i].name))
            return &members[i];
    return NULL;
}

static enum err read_map(struct mp *p, struct event *ev)
{
    uint32_t pairs;
    enum err e = mp_map(p, &pairs);
    for (uint32_t i = 0; e == OK && i < pairs; i++) {
        struct span key;
        if ((e = mp_str(p, &key)) != OK)
            break;
        const struct member *m = find(key);
        e = m ? read_member(p, ev, m) : mp_skip(p);
    }
    return e == OK && p->left.len ? ERR_FORMAT : e;
}

enum err event_decode(struct event *e, struct span bytes)
{
    *e = (struct event){.type = EVENT_NONE};
    if (bytes.len < HEAD)
        return ERR_FORMAT;
    uint64_t type = read_be(bytes.ptr, 1), ts = read_be(bytes.ptr + 7, 8);
    size_t n = (size_t)read_be(bytes.ptr + 15, 2);
    if (type == EVENT_NONE || type >= EVENT_TYPES || ts > INT64_MAX || n > bytes.len - HEAD)
        return ERR_FORMAT;
    e->type = (enum event_type)type;
    e->run = (uint16_t)read_be(bytes.ptr + 1, 2);
    e->index = (uint32_t)read_be(bytes.ptr + 3, 4);
    e->ts_ms = (int64_t)ts;
    e->id = (struct span){bytes.ptr + HEAD, n};
    if (!text_utf8(e->id, NULL))
        return ERR_FORMAT;
    struct mp p = {{bytes.ptr + HEAD + n, bytes.len - HEAD - n}};
    return read_map(&p, e);
}
