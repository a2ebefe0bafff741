#include "client/input_reader.h"

#include "common/text.h"

// A prompt a line; blank lines only set lines apart.
enum err input_text(struct reader *r)
{
    struct buf line = {.max = INPUTS_MAX_RECORD};
    struct draft d;
    enum err e = OK;
    draft_open(&d);
    for (uint32_t at = r->source.line; e == OK && source_line(&r->source, &line);
         at = r->source.line) {
        struct span prompt = text_trim(buf_span(&line));
        if (!prompt.len && !line.err)
            continue;
        draft_begin(&d, r, at, &line);
        draft_set(&d, SPAN("prompt"), prompt);
        e = reader_add(r, &d);
    }
    draft_free(&d);
    buf_free(&line);
    return e;
}
