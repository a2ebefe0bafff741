// base64.c - see base64.h.
#include "emulator/base64.h"

#define ALPHABET "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char standard[] = ALPHABET "+/";
static const char for_urls[] = ALPHABET "-_";

static void add(struct buf *out, struct span bytes, const char *alphabet)
{
    size_t whole = bytes.len / 3, rest = bytes.len % 3;
    char *to = buf_room(out, (whole + 1) * 4);
    const unsigned char *p = (const unsigned char *)bytes.ptr;
    if (!to)
        return;
    char *o = to;
    for (size_t i = 0; i < whole; i++, p += 3) {
        *o++ = alphabet[p[0] >> 2];
        *o++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
        *o++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
        *o++ = alphabet[p[2] & 63];
    }
    if (rest) {
        unsigned second = rest == 2 ? p[1] : 0;
        *o++ = alphabet[p[0] >> 2];
        *o++ = alphabet[(p[0] & 3) << 4 | second >> 4];
        *o++ = rest == 2 ? alphabet[(second & 15) << 2] : '=';
        *o++ = '=';
    }
    buf_added(out, (size_t)(o - to));
}

void base64_add(struct buf *out, struct span bytes)
{
    add(out, bytes, standard);
}

void base64url_add(struct buf *out, struct span bytes)
{
    add(out, bytes, for_urls);
    while (out->len && out->ptr[out->len - 1] == '=')
        out->ptr[--out->len] = '\0';
}

bool base64_valid(struct span text, size_t *size)
{
    size_t pad = 0;
    if (text.len % 4 || text.len == 0)
        return false;
    while (pad < 2 && text.ptr[text.len - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < text.len - pad; i++) {
        unsigned char c = (unsigned char)text.ptr[i], letter = c | 0x20;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '+' &&
            c != '/')
            return false;
    }
    if (size)
        *size = text.len / 4 * 3 - pad;
    return true;
}
