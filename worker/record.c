// record.c - the record that is stored beside the images: a msgpack array of five.
#include "common/mp.h"
#include "worker/sink.h"

void record_encode(struct buf *out, const struct record *r)
{
    msgpack_packer pk;
    mp_packer(&pk, out);
    msgpack_pack_array(&pk, 5);
    msgpack_pack_bin_with_body(&pk, r->nonce.ptr, r->nonce.len);
    msgpack_pack_uint32(&pk, r->digest);
    msgpack_pack_bin_with_body(&pk, r->event.ptr, r->event.len);
    mp_pack_span(&pk, r->text);
    msgpack_pack_bin_with_body(&pk, r->call_id.ptr, r->call_id.len);
}

enum err record_decode(struct record *r, struct span bytes)
{
    struct mp m = {bytes};
    struct record got = {0};
    uint32_t n;
    int64_t digest;
    if (mp_array(&m, &n) != OK || n != 5 || mp_bin(&m, &got.nonce) != OK ||
        mp_int(&m, &digest) != OK || mp_bin(&m, &got.event) != OK ||
        mp_str(&m, &got.text) != OK || mp_bin(&m, &got.call_id) != OK || m.left.len != 0)
        return ERR_FORMAT;
    if (digest < 0 || digest > UINT32_MAX)
        return ERR_FORMAT;
    got.digest = (uint32_t)digest;
    *r = got;
    return OK;
}
