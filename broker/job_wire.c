// job_wire.c - a job as a msgpack map, and an input as the batch keeps it.
#include "broker/job_member.h"
#include "common/digest.h"
#include "common/mp.h"

// What a member holds before anything has set it. Normal is the priority of the wire.
static bool at_default(const struct job *j, const struct job_member *m)
{
    const char *at = (const char *)j + m->offset;
    switch (m->kind) {
    case MEMBER_PRIORITY: return j->priority == JOB_NORMAL;
    case MEMBER_LANE: return j->lane == JOB_STANDARD;
    case MEMBER_UNKNOWN: return !j->fail_unknown;
    case MEMBER_REFERENCE: return true;
    case MEMBER_U16: {
        uint16_t v = *(const uint16_t *)(const void *)at;
        return v == 0 ||
               (v == 1 && (m->offset == offsetof(struct job, samples) ||
                           (m->offset == offsetof(struct job, sample) && j->samples <= 1)));
    }
    case MEMBER_U32: return *(const uint32_t *)(const void *)at == 0;
    case MEMBER_SEED: return !j->has_seed;
    case MEMBER_TEMPERATURE: return !j->has_temperature;
    case MEMBER_SECONDS: return *(const double *)(const void *)at == 0;
    default: return ((const struct span *)(const void *)at)->len == 0;
    }
}

static void pack_member(struct buf *out, msgpack_packer *pk, const struct job *j,
                        const struct job_member *m)
{
    const char *at = (const char *)j + m->offset;
    mp_pack_cstr(pk, m->name);
    switch (m->kind) {
    case MEMBER_PRIORITY: mp_pack_cstr(pk, job_priority_name(j->priority)); break;
    case MEMBER_LANE: mp_pack_cstr(pk, job_lane_name(j->lane)); break;
    case MEMBER_UNKNOWN: mp_pack_cstr(pk, "fail"); break;
    case MEMBER_U16: msgpack_pack_uint16(pk, *(const uint16_t *)(const void *)at); break;
    case MEMBER_U32: msgpack_pack_uint32(pk, *(const uint32_t *)(const void *)at); break;
    case MEMBER_SEED: msgpack_pack_int32(pk, j->seed); break;
    case MEMBER_TEMPERATURE: msgpack_pack_double(pk, j->temperature); break;
    case MEMBER_SECONDS: msgpack_pack_double(pk, *(const double *)(const void *)at); break;
    case MEMBER_EXTRA: buf_add(out, j->extra); break;
    default: mp_pack_span(pk, *(const struct span *)(const void *)at); break;
    }
}

void job_encode(struct buf *out, const struct job *j)
{
    size_t n, used = 0;
    const struct job_member *m = job_members(&n);
    msgpack_packer pk;
    mp_packer(&pk, out);
    for (size_t i = 0; i < n; i++)
        used += !at_default(j, &m[i]);
    msgpack_pack_map(&pk, used);
    for (size_t i = 0; i < n; i++)
        if (!at_default(j, &m[i]))
            pack_member(out, &pk, j, &m[i]);
}

static enum err wrong_type(struct buf *why, const struct job_member *m, const char *type)
{
    if (why)
        buf_addf(why, "\"%s\" must be %s", m->name, type);
    return ERR_FORMAT;
}

static enum err read_extra(struct mp *p, struct job *j, const struct job_member *m,
                           struct buf *why)
{
    if (mp_peek(p) != MP_MAP || mp_raw(p, &j->extra) != OK)
        return wrong_type(why, m, "a map");
    return OK;
}

static enum err read_number(struct mp *p, struct job *j, const struct job_member *m,
                            struct buf *why)
{
    int64_t i;
    double v;
    if (m->kind == MEMBER_TEMPERATURE || m->kind == MEMBER_SECONDS) {
        if (mp_double(p, &v) != OK)
            return wrong_type(why, m, "a number");
        // As encoded jobs leave out a zero, so does a producer who writes it.
        return m->kind == MEMBER_SECONDS && v == 0 ? OK : job_member_number(j, m, v, why);
    }
    if (mp_int(p, &i) != OK)
        return wrong_type(why, m, "an integer");
    return job_member_number(j, m, (double)i, why);
}

static enum err read_member(struct mp *p, struct job *j, const struct job_member *m,
                            struct buf *why)
{
    struct span s;
    if (mp_peek(p) == MP_NIL)
        return mp_nil(p); // as good as absent
    if (m->kind == MEMBER_EXTRA)
        return read_extra(p, j, m, why);
    if (m->kind == MEMBER_REFERENCE && mp_peek(p) != MP_STR)
        return job_member_text(j, m, SPAN("a list"), why);
    if (m->kind >= MEMBER_U16 && m->kind != MEMBER_REFERENCE)
        return read_number(p, j, m, why);
    if (mp_str(p, &s) != OK)
        return wrong_type(why, m, "a string");
    return job_member_text(j, m, s, why);
}

static enum err malformed(struct buf *why, const char *text)
{
    if (why)
        buf_add_str(why, text);
    return ERR_FORMAT;
}

// Keys are compared as they are: letter case is only ignored in what people write.
static const struct job_member *known_key(struct span key)
{
    const struct job_member *m = job_member_find(key);
    return m && span_is(key, m->name) ? m : NULL;
}

static enum err read_pairs(struct mp *p, uint32_t pairs, struct job *j, struct buf *why)
{
    size_t n;
    const struct job_member *table = job_members(&n);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < pairs; i++) {
        struct span key;
        if (mp_str(p, &key) != OK)
            return malformed(why, "a key of the map is not a string");
        const struct job_member *m = known_key(key);
        if (!m) {
            if (mp_skip(p) != OK)
                return malformed(why, "the map is cut or malformed");
            continue;
        }
        uint32_t bit = 1u << (m - table);
        if (seen & bit) {
            if (why)
                buf_addf(why, "\"%s\" is there twice", m->name);
            return ERR_FORMAT;
        }
        seen |= bit;
        enum err e = read_member(p, j, m, why);
        if (e != OK)
            return e;
    }
    return p->left.len == 0 ? OK : malformed(why, "there are bytes after the map");
}

enum err job_decode(struct job *j, struct span bytes, struct buf *why)
{
    struct mp p = {bytes};
    uint32_t pairs;
    *j = (struct job){.priority = JOB_NORMAL, .sample = 1, .samples = 1};
    if (bytes.len > JOB_MAX_BYTES) {
        if (why)
            buf_addf(why, "the job is longer than %u bytes", JOB_MAX_BYTES);
        return ERR_TOOBIG;
    }
    if (mp_map(&p, &pairs) != OK)
        return malformed(why, "the job is not a msgpack map");
    enum err e = read_pairs(&p, pairs, j, why);
    return e == OK ? job_check(j, why) : e;
}

// Appends the pairs of one map whose key is no member of a job; only counts without `out`.
static enum err copy_unknown(struct span map, struct buf *out, bool all, uint32_t *count)
{
    struct mp p = {map};
    uint32_t pairs;
    enum err e = mp_map(&p, &pairs);
    for (uint32_t i = 0; e == OK && i < pairs; i++) {
        struct span key, pair = p.left;
        if (mp_peek(&p) == MP_STR && mp_str(&p, &key) == OK && !all && known_key(key)) {
            e = mp_skip(&p);
            continue;
        }
        p.left = pair;
        if ((e = mp_skip(&p)) == OK && (e = mp_skip(&p)) == OK) {
            pair.len -= p.left.len;
            *count += 1;
            if (out)
                buf_add(out, pair);
        }
    }
    return e;
}

enum err job_extra(struct buf *out, const struct job *j, struct span map)
{
    uint32_t count = 0;
    enum err e = copy_unknown(map, NULL, false, &count);
    if (e == OK && j->extra.len)
        e = copy_unknown(j->extra, NULL, true, &count);
    if (e != OK || count == 0)
        return e;
    msgpack_packer pk;
    mp_packer(&pk, out);
    msgpack_pack_map(&pk, count);
    if (j->extra.len && (e = copy_unknown(j->extra, out, true, &count)) != OK)
        return e;
    return copy_unknown(map, out, false, &count);
}

void job_input(struct buf *out, struct span id, struct span map)
{
    uint32_t digest = digest_32(map);
    char head[6] = {(char)(digest >> 24), (char)(digest >> 16), (char)(digest >> 8),
                    (char)digest,         (char)(id.len >> 8),  (char)id.len};
    if (id.len > JOB_MAX_ID) { // never cut silently: the reader could not tell
        out->err = out->err ? out->err : ERR_TOOBIG;
        return;
    }
    buf_add(out, (struct span){head, sizeof head});
    buf_add(out, id);
    buf_add(out, map);
}

enum err job_input_read(struct span input, struct span *id, struct span *map)
{
    if (input.len < 6)
        return ERR_FORMAT;
    size_t n = (size_t)(unsigned char)input.ptr[4] << 8 | (unsigned char)input.ptr[5];
    if (n > JOB_MAX_ID || n > input.len - 6)
        return ERR_FORMAT;
    *id = (struct span){input.ptr + 6, n};
    *map = (struct span){input.ptr + 6 + n, input.len - 6 - n};
    return OK;
}
