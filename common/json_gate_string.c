// json_gate_string.c - see json_gate.h. Runs of plain bytes are passed on whole.
#include <stdio.h>
#include <string.h>

#include "common/json_gate_private.h"

#define BLOCK 64 // bytes of a string that are looked at together

// Plain bytes of strings: printable ASCII but for the quote and the backslash.
static bool plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void add_to_key(struct json_gate *g, const char *bytes, size_t n)
{
    char *key = g->key[g->depth];
    size_t room = GATE_KEY - 1 - g->key_len;
    if (n > room)
        n = room;
    memcpy(key + g->key_len, bytes, n);
    g->key_len += n;
    key[g->key_len] = '\0';
}

// Bytes of the string's value: to whom they belong.
static enum err string_bytes(struct json_gate *g, const char *raw, size_t n_raw,
                             const char *value, size_t n)
{
    if (g->divert == JSON_DIVERT)
        return n ? g->hooks->data(g->hooks->ctx, value, n, false) : OK;
    if (g->divert == JSON_DROP)
        return OK;
    g->string += n_raw;
    if (g->string > g->max_string)
        return ERR_TOOBIG;
    if (g->is_key)
        add_to_key(g, value, n);
    return gate_keep(g, raw, n_raw);
}

enum err gate_begin_string(struct json_gate *g, bool is_key)
{
    g->state = STRING;
    g->string = 0;
    g->is_key = is_key;
    g->divert = JSON_KEEP;
    g->high = 0;
    if (is_key) {
        g->key_len = 0;
        g->key[g->depth][0] = '\0';
    } else if (g->hooks && g->hooks->ask) {
        const char *parent = g->depth > 0 ? g->key[g->depth - 1] : "";
        const char *key = g->depth > 0 && g->object[g->depth] ? g->key[g->depth] : "";
        g->divert = g->hooks->ask(g->hooks->ctx, parent, key);
    }
    return gate_keep(g, "\"", 1);
}

static enum err end_string(struct json_gate *g)
{
    enum err e = OK;
    if (g->divert != JSON_KEEP) {
        char text[24];
        int n = snprintf(text, sizeof text, "\\u0001%u", g->diverted++);
        if (g->divert == JSON_DIVERT)
            e = g->hooks->data(g->hooks->ctx, "", 0, true);
        if (e == OK)
            e = gate_keep(g, text, (size_t)n);
    }
    if (e == OK)
        e = gate_keep(g, "\"", 1);
    if (g->is_key)
        g->state = COLON;
    else
        gate_value_over(g);
    return e;
}

static size_t utf8(uint32_t code, char out[static 4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

// The first half of a surrogate pair was not followed by the second. Alone it stands for
// U+FFFD, as json-c has it.
static enum err lone_half(struct json_gate *g)
{
    if (!g->high)
        return OK;
    g->high = 0;
    return string_bytes(g, "", 0, "\xef\xbf\xbd", 3);
}

// A whole \uXXXX was read.
static enum err code_unit(struct json_gate *g)
{
    char raw[8], value[4];
    int n = snprintf(raw, sizeof raw, "\\u%04x", g->code);
    size_t len = 0;
    enum err e = g->code >= 0xdc00 && g->code < 0xe000 ? OK : lone_half(g);
    if (e != OK)
        return e;
    if (g->code >= 0xd800 && g->code < 0xdc00)
        g->high = g->code;
    else if (g->code >= 0xdc00 && g->code < 0xe000 && g->high)
        len = utf8(0x10000 + ((g->high - 0xd800) << 10) + (g->code - 0xdc00), value);
    else
        len = utf8(g->code >= 0xdc00 && g->code < 0xe000 ? 0xfffd : g->code, value);
    if (len)
        g->high = 0;
    g->state = STRING;
    return string_bytes(g, raw, (size_t)n, value, len);
}

enum err gate_hex(struct json_gate *g, char c)
{
    uint32_t v;
    if (gate_digit(c))
        v = (uint32_t)(c - '0');
    else if ((c | 32) >= 'a' && (c | 32) <= 'f')
        v = (uint32_t)((c | 32) - 'a' + 10);
    else
        return ERR_FORMAT;
    g->code = g->code << 4 | v;
    return --g->hex_left == 0 ? code_unit(g) : OK;
}

enum err gate_escape(struct json_gate *g, char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        g->state = HEX;
        g->hex_left = 4;
        g->code = 0;
        return OK;
    }
    const char *at = c ? strchr(from, c) : NULL;
    if (!at)
        return ERR_FORMAT;
    g->state = STRING;
    enum err e = lone_half(g);
    return e ? e : string_bytes(g, (char[]){'\\', c}, 2, &to[at - from], 1);
}

// First byte of a UTF-8 sequence: what may follow (table 3-7 of the Unicode standard).
static bool lead(struct json_gate *g, unsigned char c)
{
    g->low_bound = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    g->high_bound = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    g->follow = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    return c >= 0xc2 && c <= 0xf4;
}

// A byte of a string that is not plain.
static enum err string_byte(struct json_gate *g, char c)
{
    unsigned char u = (unsigned char)c;
    if (g->follow > 0) {
        if (u < g->low_bound || u > g->high_bound)
            return ERR_FORMAT;
        g->follow--;
        g->low_bound = 0x80;
        g->high_bound = 0xbf;
        return string_bytes(g, &c, 1, &c, 1);
    }
    if (c == '"')
        return end_string(g);
    if (c == '\\') {
        g->state = ESCAPE;
        return OK;
    }
    if (u < 0x20 || !lead(g, u))
        return ERR_FORMAT;
    return string_bytes(g, &c, 1, &c, 1);
}

// So written that compilers turn it into a few instructions on wide registers: image data is
// nothing but plain bytes, megabytes of them.
static bool plain_block(const char *bytes)
{
    unsigned char odd = 0;
    for (size_t i = 0; i < BLOCK; i++)
        odd |= !plain((unsigned char)bytes[i]);
    return odd == 0;
}

static size_t plain_run(const char *bytes, size_t n)
{
    size_t i = 0;
    while (n - i >= BLOCK && plain_block(bytes + i))
        i += BLOCK;
    while (i < n && plain((unsigned char)bytes[i]))
        i++;
    return i;
}

enum err gate_string_run(struct json_gate *g, const char *bytes, size_t n, size_t *used)
{
    enum err e = bytes[0] == '\\' ? OK : lone_half(g); // \u may bring the other half
    if (e != OK)
        return e;
    size_t i = g->follow == 0 ? plain_run(bytes, n) : 0;
    if (i == 0) {
        *used = 1;
        return string_byte(g, bytes[0]);
    }
    *used = i;
    return string_bytes(g, bytes, i, bytes, i);
}
