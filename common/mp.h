// mp.h - msgpack read within bounds. Writing is msgpack-c's; reading is not, because five bytes
// (`dd 01 00 00 00`) made its unpacker reserve 500 MB. Nothing here allocates.
//
// A cursor walks over borrowed bytes. Every read either takes one whole value and returns OK,
// or leaves the cursor where it was and returns ERR_FORMAT (another type, cut short, reserved
// byte).
#ifndef COMMON_MP_H
#define COMMON_MP_H

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define MP_MAX_DEPTH 32

struct mp { // {bytes} is a cursor at their beginning
    struct span left;
};

enum mp_type {
    MP_END,
    MP_NIL,
    MP_BOOL,
    MP_INT,
    MP_FLOAT,
    MP_STR,
    MP_BIN,
    MP_ARRAY,
    MP_MAP,
    MP_EXT,
    MP_BAD
};

enum mp_type mp_peek(const struct mp *m);
MUST_USE enum err mp_nil(struct mp *m);
MUST_USE enum err mp_bool(struct mp *m, bool *out);
MUST_USE enum err mp_int(struct mp *m, int64_t *out);   // ERR_RANGE: above INT64_MAX
MUST_USE enum err mp_double(struct mp *m, double *out); // floats, and integers
MUST_USE enum err mp_str(struct mp *m, struct span *out);
MUST_USE enum err mp_bin(struct mp *m, struct span *out);
// A count that could not fit in the bytes that are left is refused here already.
MUST_USE enum err mp_array(struct mp *m, uint32_t *count);
MUST_USE enum err mp_map(struct mp *m, uint32_t *pairs);
MUST_USE enum err mp_ext(struct mp *m, int8_t *type, struct span *out);
MUST_USE enum err mp_skip(struct mp *m); // one value with all in it, MP_MAX_DEPTH deep at most
MUST_USE enum err mp_raw(struct mp *m, struct span *out); // as mp_skip; `out` are its bytes
// True when `s` is exactly one well-formed value.
bool mp_valid(struct span s);

// A msgpack-c packer that appends to `b`; failures stay in b->err.
void mp_packer(msgpack_packer *pk, struct buf *b);
void mp_pack_span(msgpack_packer *pk, struct span s); // as str
void mp_pack_cstr(msgpack_packer *pk, const char *s);
#endif
