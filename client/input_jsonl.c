#include "client/input_reader.h"

#include "common/text.h"

// A JSON value a line; blank lines are passed over.
enum err input_jsonl(struct reader *r)
{
    struct buf line = {.max = INPUTS_MAX_RECORD};
    struct draft d;
    enum err e = OK;
    draft_open(&d);
    for (uint32_t at = r->source.line; e == OK && source_line(&r->source, &line);
         at = r->source.line) {
        if (!text_trim(buf_span(&line)).len && !line.err)
            continue;
        draft_begin(&d, r, at, &line);
        input_json_entry(&d);
        e = reader_add(r, &d);
    }
    draft_free(&d);
    buf_free(&line);
    return e;
}
