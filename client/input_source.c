#include "client/input_reader.h"

void source_open(struct source *s, FILE *f)
{
    static const unsigned char mark[3] = {0xef, 0xbb, 0xbf};
    unsigned char first[3] = {0};
    unsigned n = 0;
    int c;
    *s = (struct source){.f = f, .line = 1};
    while (n < 3 && (c = getc(f)) != EOF) {
        first[n++] = (unsigned char)c;
        if (c != mark[n - 1])
            break;
    }
    s->any = n > 0;
    if (n == 3 && first[2] == mark[2])
        return;
    while (n > 0) // the first byte read is the last one put back
        s->back[s->n_back++] = first[--n];
}

int source_get(struct source *s)
{
    int c = s->n_back ? s->back[--s->n_back] : getc_unlocked(s->f);
    if (c == '\n')
        s->line++;
    return c;
}

int source_peek(struct source *s)
{
    if (s->n_back)
        return s->back[s->n_back - 1];
    int c = getc_unlocked(s->f);
    if (c != EOF)
        s->back[s->n_back++] = (unsigned char)c;
    return c;
}

bool source_line(struct source *s, struct buf *text)
{
    int c = source_get(s);
    buf_clear(text);
    if (c == EOF)
        return false;
    for (; c != EOF && c != '\n'; c = source_get(s))
        buf_add_byte(text, (char)c);
    if (!text->err && text->len && text->ptr[text->len - 1] == '\r')
        text->ptr[--text->len] = 0;
    return true;
}
