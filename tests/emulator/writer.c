// writer.c - see writer.h.
#include "emulator/writer.h"

void writer_open(struct writer *w, struct rope *to, bool one_line)
{
    *w = (struct writer){.to = to, .text = {.max = 64u << 20}, .one_line = one_line};
}

void writer_close(struct writer *w)
{
    rope_take(w->to, &w->text);
    buf_free(&w->text);
}

static void new_line(struct writer *w)
{
    if (w->one_line || w->depth == 0)
        return;
    buf_add_byte(&w->text, '\n');
    for (unsigned i = 0; i < w->depth; i++)
        buf_add_str(&w->text, "  ");
}

// Google's servers escape what could end a script element, besides what JSON itself asks for.
static void quote(struct buf *b, struct span s)
{
    static const char *const letters = "btnvfr";
    size_t plain = 0;
    buf_add_byte(b, '"');
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&' && c != '=')
            continue;
        buf_add(b, (struct span){s.ptr + plain, i - plain});
        plain = i + 1;
        if (c == '"' || c == '\\')
            buf_addf(b, "\\%c", c);
        else if (c >= '\b' && c <= '\r' && c != '\v')
            buf_addf(b, "\\%c", letters[c - '\b']);
        else
            buf_addf(b, "\\u%04x", c);
    }
    buf_add(b, (struct span){s.ptr + plain, s.len - plain});
    buf_add_byte(b, '"');
}

static void start(struct writer *w, const char *key)
{
    if (w->follows)
        buf_add_byte(&w->text, ',');
    new_line(w);
    w->follows = true;
    if (key) {
        quote(&w->text, span_of(key));
        buf_add_str(&w->text, ": ");
    }
}

void write_begin(struct writer *w, const char *key, char bracket)
{
    start(w, key);
    buf_add_byte(&w->text, bracket);
    w->depth++;
    w->follows = false;
}

void write_end(struct writer *w, char bracket)
{
    w->depth--;
    if (w->follows && w->depth > 0)
        new_line(w);
    else if (w->follows && !w->one_line)
        buf_add_byte(&w->text, '\n');
    buf_add_byte(&w->text, bracket);
    w->follows = true;
}

void write_str(struct writer *w, const char *key, struct span value)
{
    start(w, key);
    quote(&w->text, value);
}

void write_cstr(struct writer *w, const char *key, const char *value)
{
    write_str(w, key, span_of(value));
}

void write_int(struct writer *w, const char *key, int64_t value)
{
    start(w, key);
    buf_addf(&w->text, "%lld", (long long)value);
}

void write_bool(struct writer *w, const char *key, bool value)
{
    start(w, key);
    buf_add_str(&w->text, value ? "true" : "false");
}

void write_number(struct writer *w, const char *key, const char *digits)
{
    start(w, key);
    buf_add_str(&w->text, digits);
}

void write_rope(struct writer *w, const char *key, struct rope *value)
{
    start(w, key);
    buf_add_byte(&w->text, '"');
    rope_take(w->to, &w->text);
    rope_join(w->to, value);
    buf_add_byte(&w->text, '"');
}
