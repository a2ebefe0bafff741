// input_table.c - CSV (RFC 4180, LF accepted) and TSV (text/tab-separated-values: no quoting),
// both with a line that names the columns.
#include "client/input_reader.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

#define MAX_COLUMNS 256

struct row {
    struct buf raw;   // as it stands in the file
    struct buf bytes; // the fields one after the other, without quotes
    size_t ends[MAX_COLUMNS];
    size_t n; // fields; beyond MAX_COLUMNS they are counted only
    uint32_t line;
    const char *wrong; // what is malformed, or NULL
};

typedef bool read_row(struct source *s, struct row *row); // false: the end of the file

static void row_open(struct row *row)
{
    memset(row, 0, sizeof *row);
    row->raw.max = row->bytes.max = INPUTS_MAX_RECORD;
}

static void row_free(struct row *row)
{
    buf_free(&row->raw);
    buf_free(&row->bytes);
}

static void row_clear(struct row *row, uint32_t line)
{
    buf_clear(&row->raw);
    buf_clear(&row->bytes);
    row->n = 0;
    row->line = line;
    row->wrong = NULL;
}

static void end_field(struct row *row)
{
    if (row->n < MAX_COLUMNS)
        row->ends[row->n] = row->bytes.len;
    row->n++;
}

static struct span field(const struct row *row, size_t i)
{
    size_t from = i ? row->ends[i - 1] : 0;
    return (struct span){buf_str(&row->bytes) + from, row->ends[i] - from};
}

// Its fields are not what stands in the file.
static bool no_memory(const struct row *row)
{
    return row->raw.err == ERR_NOMEM || row->bytes.err == ERR_NOMEM;
}

static bool blank(const struct row *row)
{
    return row->n == 1 && !row->raw.err && !text_trim(buf_span(&row->raw)).len;
}

static bool read_tsv(struct source *s, struct row *row)
{
    row_clear(row, s->line);
    if (!source_line(s, &row->raw))
        return false;
    for (size_t i = 0; i < row->raw.len; i++) {
        if (row->raw.ptr[i] == '\t')
            end_field(row);
        else
            buf_add_byte(&row->bytes, row->raw.ptr[i]);
    }
    end_field(row);
    return true;
}

static int csv_get(struct source *s, struct row *row)
{
    int c = source_get(s);
    if (c != EOF)
        buf_add_byte(&row->raw, (char)c);
    return c;
}

// From behind the opening quote to behind the closing one.
static void csv_quoted(struct source *s, struct row *row)
{
    for (int c; (c = csv_get(s, row)) != EOF;) {
        if (c != '"') {
            buf_add_byte(&row->bytes, (char)c);
        } else if (source_peek(s) == '"') {
            csv_get(s, row);
            buf_add_byte(&row->bytes, '"');
        } else {
            return;
        }
    }
    row->wrong = "a quoted field is not closed";
}

// One field and what ends it: a comma, a line feed or the end of the file.
static int csv_field(struct source *s, struct row *row)
{
    int c = csv_get(s, row);
    bool quoted = c == '"';
    if (quoted) {
        csv_quoted(s, row);
        c = csv_get(s, row);
    }
    for (; c != ',' && c != '\n' && c != EOF; c = csv_get(s, row)) {
        if (c == '\r' && (source_peek(s) == '\n' || source_peek(s) == EOF))
            continue;
        if (quoted)
            row->wrong = "text behind a closing quote (quotes inside are written twice)";
        else if (c == '"')
            row->wrong = "a quote in a field that does not begin with one";
        buf_add_byte(&row->bytes, (char)c);
    }
    end_field(row);
    return c;
}

static void trim_end(struct buf *raw) // the line's end is no part of it
{
    while (raw->len && (raw->ptr[raw->len - 1] == '\n' || raw->ptr[raw->len - 1] == '\r'))
        raw->ptr[--raw->len] = 0;
}

static bool read_csv(struct source *s, struct row *row)
{
    row_clear(row, s->line);
    if (source_peek(s) == EOF)
        return false;
    while (csv_field(s, row) == ',')
        continue;
    trim_end(&row->raw);
    return true;
}

// --- The header ------------------------------------------------------------------------------

static enum err no_prompt_column(struct reader *r, const struct row *head)
{
    struct buf names = {.max = 4096};
    for (size_t i = 0; i < head->n && i < 20; i++) {
        buf_add_str(&names, i ? ", " : "");
        text_show(&names, text_trim(field(head, i)), 60);
    }
    if (head->n > 20)
        buf_add_str(&names, ", …");
    enum err e =
        reader_fail(r, head->line, "no column is named \"prompt\"; the first line names: %s",
                    buf_str(&names));
    buf_free(&names);
    return e;
}

static enum err twice(struct reader *r, const struct row *head, struct span name)
{
    struct buf shown = {.max = 256};
    text_show(&shown, name, 60);
    enum err e =
        reader_fail(r, head->line, "column \"%s\" stands there twice", buf_str(&shown));
    buf_free(&shown);
    return e;
}

static enum err check_names(struct reader *r, const struct row *head)
{
    bool prompt = false;
    for (size_t i = 0; i < head->n; i++) {
        struct span name = text_trim(field(head, i));
        prompt = prompt || span_is_case(name, "prompt");
        for (size_t k = 0; name.len && k < i; k++) {
            struct span other = text_trim(field(head, k));
            if (span_equal(name, other) || (draft_knows(name) && name.len == other.len &&
                                            strncasecmp(name.ptr, other.ptr, name.len) == 0))
                return twice(r, head, name);
        }
    }
    return prompt ? OK : no_prompt_column(r, head);
}

static enum err check_header(struct reader *r, const struct row *head)
{
    size_t bad;
    if (no_memory(head))
        return ERR_NOMEM;
    if (head->raw.err || head->n > MAX_COLUMNS)
        return reader_fail(r, head->line, "the header is too long (%d columns at most)",
                           MAX_COLUMNS);
    if (!text_utf8(buf_span(&head->raw), &bad))
        return reader_fail(r, head->line, "not UTF-8 at byte %zu", bad);
    if (memchr(buf_str(&head->raw), 0, head->raw.len))
        return reader_fail(r, head->line, "a NUL byte in the header");
    if (head->wrong)
        return reader_fail(r, head->line, "%s", head->wrong);
    return check_names(r, head);
}

static enum err read_header(struct reader *r, read_row *read, struct row *head)
{
    do {
        if (!read(&r->source, head))
            return r->source.any ? reader_fail(r, 0, "has no header line") : OK;
    } while (blank(head));
    return check_header(r, head);
}

// --- The entries -----------------------------------------------------------------------------

static void set_fields(struct draft *d, const struct row *head, const struct row *row)
{
    for (size_t i = 0; i < head->n; i++) {
        char nameless[32];
        struct span name = text_trim(field(head, i));
        if (!name.len) { // as of an index that a program put first
            snprintf(nameless, sizeof nameless, "column_%zu", i + 1);
            name = span_of(nameless);
        }
        draft_set(d, name, field(row, i));
    }
}

static enum err add_row(struct reader *r, struct draft *d, const struct row *head,
                        const struct row *row)
{
    if (no_memory(row))
        return ERR_NOMEM;
    draft_begin(d, r, row->line, &row->raw);
    if (row->wrong)
        draft_fail(d, "%s", row->wrong);
    if (row->n != head->n)
        draft_fail(d, "%zu fields where the header has %zu", row->n, head->n);
    if (draft_ok(d))
        set_fields(d, head, row);
    return reader_add(r, d);
}

static enum err read_rows(struct reader *r, read_row *read, const struct row *head,
                          struct row *row)
{
    enum err e = OK;
    struct draft d;
    draft_open(&d);
    while (e == OK && read(&r->source, row))
        if (!blank(row))
            e = add_row(r, &d, head, row);
    draft_free(&d);
    return e;
}

static enum err read_table(struct reader *r, read_row *read)
{
    struct row *head = malloc(2 * sizeof *head);
    if (!head)
        return ERR_NOMEM;
    struct row *row = head + 1;
    row_open(head);
    row_open(row);
    enum err e = read_header(r, read, head);
    if (e == OK && head->n)
        e = read_rows(r, read, head, row);
    row_free(head);
    row_free(row);
    free(head);
    return e;
}

enum err input_csv(struct reader *r)
{
    return read_table(r, read_csv);
}

enum err input_tsv(struct reader *r)
{
    return read_table(r, read_tsv);
}
