// input_json.c - one JSON document: an array of entries, or an object with such an array under
// "prompts". It may be of any length: the entries are cut out of the stream one by one and
// parsed alone; what is around them, with a 0 for each entry, goes to an incremental parser, so
// that the document as a whole is held to the grammar as well.
#include "client/input_reader.h"

#include "common/json.h"
#include "common/text.h"

#define MAX_AROUND (1u << 20) // bytes of strings kept of what is not an entry
#define MAX_KEY    16

struct document {
    struct reader *r;
    struct draft draft;
    struct json_split *around;
    struct buf pending; // of what is around, not yet parsed
    struct buf entry;
    uint32_t line; // of the byte being looked at
    uint32_t entry_line;
    unsigned depth;     // of brackets
    unsigned list;      // depth of the array of entries; 0: not in it
    bool found;         // there was such an array
    bool string, slash; // within a string; behind a backslash in it
    char key[MAX_KEY];  // the last string of the outermost object
    size_t key_len;
};

static enum json_divert keep(void *ctx, const char *parent, const char *key)
{
    (void)ctx;
    (void)parent;
    (void)key;
    return JSON_KEEP;
}

static enum err malformed(struct document *d)
{
    return reader_fail(d->r, d->line, "malformed JSON");
}

static enum err parse_around(struct document *d)
{
    enum err e = d->pending.err;
    if (e == OK && d->pending.len)
        e = json_split_feed(d->around, d->pending.ptr, d->pending.len);
    buf_clear(&d->pending);
    if (e == ERR_TOOBIG)
        return reader_fail(d->r, d->line, "too much beside the prompts");
    return e == ERR_FORMAT ? malformed(d) : e;
}

static bool space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static enum err end_entry(struct document *d)
{
    struct buf *entry = &d->entry;
    while (!entry->err && entry->len && space((unsigned char)entry->ptr[entry->len - 1]))
        entry->ptr[--entry->len] = 0;
    if (!entry->len && !entry->err)
        return OK; // an empty array, or a comma too many, which the parser around finds
    buf_add_byte(&d->pending, '0');
    draft_begin(&d->draft, d->r, d->entry_line, entry);
    input_json_entry(&d->draft);
    enum err e = reader_add(d->r, &d->draft);
    buf_clear(entry);
    return e;
}

// Whether a bracket that opens here opens the array of entries.
static bool opens_list(const struct document *d, int c)
{
    if (c != '[' || d->found)
        return false;
    return d->depth == 0 ||
           (d->depth == 1 && span_is_case((struct span){d->key, d->key_len}, "prompts"));
}

static void track_string(struct document *d, int c)
{
    if (!d->string) {
        d->string = c == '"';
        if (d->string && d->depth == 1)
            d->key_len = 0;
        return;
    }
    if (!d->slash && c == '"')
        d->string = false;
    else if (d->depth == 1 && d->key_len < MAX_KEY)
        d->key[d->key_len++] = (char)c;
    d->slash = c == '\\' && !d->slash;
}

static enum err step_around(struct document *d, int c)
{
    bool quoted = d->string;
    track_string(d, c);
    buf_add_byte(&d->pending, (char)c);
    if (!quoted && (c == '[' || c == '{')) {
        if (opens_list(d, c)) {
            d->list = d->depth + 1;
            d->found = true;
        }
        d->depth++;
    } else if (!quoted && (c == ']' || c == '}') && d->depth > 0) {
        d->depth--;
    }
    if (!quoted && d->depth == 1 && c == ',')
        d->key_len = 0; // "prompts" as a value is no key
    return c == '\n' || d->pending.len >= 4096 ? parse_around(d) : OK;
}

static void add_to_entry(struct document *d, int c)
{
    if (!d->entry.len && !d->entry.err) {
        if (space(c))
            return;
        d->entry_line = d->line;
    }
    buf_add_byte(&d->entry, (char)c);
}

static enum err step_in_list(struct document *d, int c)
{
    bool quoted = d->string;
    bool ends = !quoted && d->depth == d->list && (c == ',' || c == ']' || c == '}');
    track_string(d, c);
    if (!ends) {
        add_to_entry(d, c);
        if (!quoted && (c == '[' || c == '{'))
            d->depth++;
        else if (!quoted && (c == ']' || c == '}'))
            d->depth--;
        return OK;
    }
    enum err e = end_entry(d);
    buf_add_byte(&d->pending, (char)c);
    if (c != ',') {
        d->depth--;
        d->list = 0;
    }
    return e == OK ? parse_around(d) : e;
}

static enum err read_document(struct document *d)
{
    enum err e = OK;
    for (int c; e == OK; e = d->list ? step_in_list(d, c) : step_around(d, c)) {
        d->line = d->r->source.line;
        if ((c = source_get(&d->r->source)) == EOF)
            break;
    }
    if (e == OK)
        e = parse_around(d);
    if (e != OK || !d->r->source.any)
        return e;
    if (!json_split_complete(d->around))
        return reader_fail(d->r, d->list && d->entry.len ? d->entry_line : d->line,
                           "malformed JSON: the file ends in the midst of it");
    if (!d->found)
        return reader_fail(d->r, 0, "neither an array nor an object with \"prompts\"");
    return OK;
}

enum err input_json(struct reader *r)
{
    struct json_split_hooks hooks = {.ask = keep};
    struct document d = {.r = r,
                         .around = json_split_new(&hooks, MAX_AROUND, 64 * MAX_AROUND),
                         .pending = {.max = MAX_AROUND},
                         .entry = {.max = INPUTS_MAX_RECORD}};
    enum err e = ERR_NOMEM;
    draft_open(&d.draft);
    if (d.around)
        e = read_document(&d);
    draft_free(&d.draft);
    json_split_free(d.around);
    buf_free(&d.pending);
    buf_free(&d.entry);
    return e;
}
