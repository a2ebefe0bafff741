// input.c - chooses the reader of a file's format, and takes in what it reads.
#include "client/input.h"

#include <errno.h>
#include <string.h>

#include "client/input_reader.h"
#include "client/inputs.h"
#include "common/mp.h"

typedef enum err read_format(struct reader *r);

static const struct format {
    const char *name;
    read_format *read;
} formats[] = {
    {"json", input_json}, {"jsonl", input_jsonl}, {"ndjson", input_jsonl},
    {"csv", input_csv},   {"tsv", input_tsv},     {"txt", input_text},
};

const char *inputs_formats(void)
{
    return "json, jsonl, ndjson, csv, tsv, txt";
}

static const struct format *find_format(const char *name)
{
    for (size_t i = 0; name && i < sizeof formats / sizeof *formats; i++)
        if (span_is_case(span_of(name), formats[i].name))
            return &formats[i];
    return NULL;
}

static const char *extension(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash ? slash : path, '.');
    return dot ? dot + 1 : NULL;
}

enum err reader_fail(struct reader *r, uint32_t line, const char *fmt, ...)
{
    va_list ap;
    buf_add_str(r->complaints, r->file);
    if (line)
        buf_addf(r->complaints, ":%u", line);
    buf_add_str(r->complaints, ": ");
    va_start(ap, fmt);
    buf_vaddf(r->complaints, fmt, ap);
    va_end(ap);
    buf_add_str(r->complaints, "\n");
    return ERR_FORMAT;
}

// The unknown columns as one map, behind their pairs in the same buffer.
static void close_extra(struct draft *d, struct buf *map)
{
    msgpack_packer pk;
    if (!d->n_extra)
        return;
    mp_packer(&pk, map);
    msgpack_pack_map(&pk, d->n_extra);
    buf_add(map, buf_span(&d->extra));
    if (d->extra.err == ERR_NOMEM || map->err == ERR_NOMEM)
        d->err = ERR_NOMEM;
    else if (d->extra.err || map->err)
        draft_fail(d, "longer than %u KiB", JOB_MAX_BYTES / 1024);
    d->job.extra = buf_span(map);
}

static void check(struct draft *d)
{
    struct buf why = {.max = 512};
    if (draft_ok(d) && job_check(&d->job, &why) != OK)
        draft_fail(d, "%s", why.len ? buf_str(&why) : "malformed");
    buf_free(&why);
}

enum err reader_add(struct reader *r, struct draft *d)
{
    struct buf extra = {.max = JOB_MAX_BYTES};
    enum err e = OK;
    r->entries++;
    close_extra(d, &extra);
    check(d);
    if (draft_ok(d)) {
        e = inputs_put(r->in, &d->job, d->line);
        if (e == ERR_RANGE) { // its encoding is too long
            draft_fail(d, "longer than %u KiB", JOB_MAX_BYTES / 1024);
            e = OK;
        } else if (e == ERR_TOOBIG) {
            (void)reader_fail(r, d->line, "more than can be submitted at once");
        }
    }
    if (d->err != OK)
        e = d->err;
    else if (e == OK && !draft_ok(d))
        e = inputs_put_bad(r->in, d->line, buf_span(&d->why), d->raw, r->complaints);
    buf_free(&extra);
    return e;
}

static enum err read_stream(struct reader *r, const struct format *format, FILE *f)
{
    source_open(&r->source, f);
    enum err e = format->read(r);
    if (ferror(f))
        return reader_fail(r, 0, "cannot be read: %s", strerror(errno)) == OK ? OK : ERR_IO;
    if (e == OK && !r->source.any)
        return reader_fail(r, 0, "is empty");
    if (e == OK && !r->entries)
        return reader_fail(r, 0, "holds no prompts");
    return e;
}

static enum err read_file(struct reader *r, const struct format *format, const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f) {
        enum err e = errno == ENOENT ? ERR_MISSING : ERR_IO;
        (void)reader_fail(r, 0, "cannot be opened: %s", strerror(errno));
        return e;
    }
    enum err e = read_stream(r, format, f);
    fclose(f);
    return e;
}

enum err inputs_read(struct inputs *in, const char *path, const char *format,
                     struct buf *complaints)
{
    bool std = strcmp(path, "-") == 0;
    struct reader r = {.in = in, .complaints = complaints};
    const struct format *f = find_format(format ? format : extension(path));
    if (!(r.file = inputs_name(in, std ? "stdin" : path)))
        return ERR_NOMEM;
    if (f)
        return std ? read_stream(&r, f, stdin) : read_file(&r, f, path);
    if (format)
        return reader_fail(&r, 0, "no such format: \"%s\"; there are %s", format,
                           inputs_formats());
    return reader_fail(&r, 0, "its name does not tell the format: name one of %s by --format",
                       inputs_formats());
}
