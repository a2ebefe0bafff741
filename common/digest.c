// digest.c - see digest.h.
#include "common/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/random.h>

struct digest {
    EVP_MD_CTX *md;
};

struct digest *digest_new(void)
{
    struct digest *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->md = EVP_MD_CTX_new();
    if (!d->md || EVP_DigestInit_ex(d->md, EVP_sha256(), NULL) != 1) {
        digest_free(d);
        return NULL;
    }
    return d;
}

void digest_add(struct digest *d, struct span bytes)
{
    if (EVP_DigestUpdate(d->md, bytes.ptr, bytes.len) != 1)
        abort(); // never with SHA-256; a wrong digest must not pass for a right one
}

void digest_end(struct digest *d, uint8_t out[static DIGEST_SIZE])
{
    if (EVP_DigestFinal_ex(d->md, out, NULL) != 1)
        abort();
    digest_free(d);
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->md);
    free(d);
}

void digest_of(struct span bytes, uint8_t out[static DIGEST_SIZE])
{
    if (EVP_Digest(bytes.ptr, bytes.len, out, NULL, EVP_sha256(), NULL) != 1)
        abort(); // out of memory inside the library: there is no digest to go on with
}

void digest_hex(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = '\0';
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum err digest_read(struct span hex, uint8_t out[static DIGEST_SIZE])
{
    if (hex.len != DIGEST_HEX - 1)
        return ERR_FORMAT;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        int high = digit(hex.ptr[2 * i]), low = digit(hex.ptr[2 * i + 1]);
        if (high < 0 || low < 0)
            return ERR_FORMAT;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return OK;
}

uint32_t digest_32(struct span bytes)
{
    uint8_t d[DIGEST_SIZE];
    digest_of(bytes, d);
    return (uint32_t)d[0] << 24 | (uint32_t)d[1] << 16 | (uint32_t)d[2] << 8 | d[3];
}

void random_bytes(void *out, size_t n)
{
    unsigned char *p = out;
    while (n > 0) {
        ssize_t got = getrandom(p, n > 256 ? 256 : n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}

double random_unit(void)
{
    uint32_t r;
    random_bytes(&r, sizeof r);
    return r / 4294967296.0;
}
