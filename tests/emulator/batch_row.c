// batch_row.c - see batch_row.h.
#include "emulator/batch_row.h"

#include <string.h>

#include "common/json.h"
#include "emulator/answer.h"
#include "emulator/writer.h"

bool batch_row_next(struct span *rest, struct span *line)
{
    while (rest->len > 0) {
        const char *end = memchr(rest->ptr, '\n', rest->len);
        size_t n = end ? (size_t)(end - rest->ptr) : rest->len;
        *line = (struct span){rest->ptr, n};
        n += end != NULL;
        rest->ptr += n;
        rest->len -= n;
        if (line->len > 0)
            return true;
    }
    return false;
}

static bool take_apart(struct span line, struct json_object **doc, struct span *key,
                       struct json_object **request)
{
    return json_read(line, doc, NULL) == OK && json_get_str(*doc, "key", key) &&
           json_get(*doc, "request", json_type_object, request);
}

bool batch_row_check(struct span line)
{
    struct json_object *doc = NULL, *request;
    struct span key;
    bool good = take_apart(line, &doc, &key, &request);
    json_object_put(doc);
    return good;
}

// The number of google.rpc.Code.
static int code_of(const char *rpc)
{
    static const char *const names[] = {"OK",
                                        "CANCELLED",
                                        "UNKNOWN",
                                        "INVALID_ARGUMENT",
                                        "DEADLINE_EXCEEDED",
                                        "NOT_FOUND",
                                        "ALREADY_EXISTS",
                                        "PERMISSION_DENIED",
                                        "RESOURCE_EXHAUSTED",
                                        "FAILED_PRECONDITION",
                                        "ABORTED",
                                        "OUT_OF_RANGE",
                                        "UNIMPLEMENTED",
                                        "INTERNAL",
                                        "UNAVAILABLE",
                                        "DATA_LOSS",
                                        "UNAUTHENTICATED"};
    for (size_t i = 0; rpc && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], rpc) == 0)
            return (int)i;
    return 2;
}

static void write_error(struct rope *out, struct span key, int code, struct span message)
{
    struct writer w;
    writer_open(&w, out, true);
    write_begin(&w, NULL, '{');
    write_str(&w, "key", key);
    write_begin(&w, "error", '{');
    write_int(&w, "code", code);
    write_str(&w, "message", message);
    write_end(&w, '}');
    write_end(&w, '}');
    buf_add_byte(&w.text, '\n');
    writer_close(&w);
}

static void write_answer(struct rope *out, struct span key, struct rope *answer)
{
    struct writer w;
    writer_open(&w, out, true);
    write_begin(&w, NULL, '{');
    write_str(&w, "key", key);
    buf_add_str(&w.text, ",\"response\": ");
    rope_take(out, &w.text);
    rope_join(out, answer);
    buf_add_str(&w.text, "}\n");
    writer_close(&w);
}

static void log_line(const struct batch_row *b, const char *method, const struct request *q,
                     uint64_t tries, const struct reply *r)
{
    journal_write(b->journal, &(struct journal_line){.method = method,
                                                     .path = b->batch,
                                                     .model = b->model->name,
                                                     .project = b->project,
                                                     .tier = "batch",
                                                     .seconds = b->age,
                                                     .prompt = q->digest,
                                                     .tries = tries,
                                                     .reply = r});
}

static void log_unmade(const struct batch_row *b, const struct request *q)
{
    static const struct reply none = {.status = 0};
    log_line(b, "UNMADE", q, 0, &none);
}

static bool make(const struct batch_row *b, const struct request *q, struct span key,
                 struct rope *out)
{
    struct reply r = {.status = 200};
    uint64_t tries = prompts_count(b->prompts, q->digest);
    const struct fault *f =
        fault_choose(&b->settings->faults, buf_span(&q->prompt), q->digest, tries);
    bool error = f && (f->kind == FAULT_ERROR || f->kind == FAULT_PAGE);
    struct answer a = {
        .settings = b->settings, .request = q, .fault = f, .form = FORM_ROW, .sample = tries};
    r.fault = f;
    if (error)
        r.status = f->status;
    else if (answer_build(&a, &r) != OK)
        r.status = 500;
    log_line(b, "ROW", q, tries, &r);
    if (r.status != 200)
        write_error(out, key, code_of(f ? f->rpc : "INTERNAL"),
                    span_of(f && f->message ? f->message : "Internal error encountered."));
    else if (f && f->kind == FAULT_TEXT)
        rope_add(out, SPAN("no JSON at all\n"));
    else if (!b->lost && !(f && f->wire != WIRE_WHOLE))
        write_answer(out, key, &r.body);
    bool good = r.status == 200;
    reply_free(&r);
    return good;
}

// A line of the input, taken apart.
struct row_read {
    struct json_object *doc;
    struct request q;
    struct refusal why;
    struct span key; // empty: the line is no row
    bool good;       // what is asked for can be made
};

static struct row_read read_row(const struct batch_row *b, struct span line)
{
    struct row_read r = {.q = {.model = b->model}};
    struct json_object *request;
    struct buf body = {.max = 64u << 20};
    if (take_apart(line, &r.doc, &r.key, &request)) {
        json_write(&body, request);
        r.good = request_read(&r.q, buf_span(&body), false, &r.why) == OK;
    }
    buf_free(&body);
    return r;
}

static void row_read_free(struct row_read *r)
{
    request_free(&r->q);
    refusal_free(&r->why);
    json_object_put(r->doc);
}

void batch_row_unmade(const struct batch_row *b, struct span line)
{
    struct row_read r = read_row(b, line);
    if (r.good)
        log_unmade(b, &r.q);
    row_read_free(&r);
}

bool batch_row_make(const struct batch_row *b, struct span line, struct rope *out)
{
    struct row_read r = read_row(b, line);
    bool made = r.good && make(b, &r.q, r.key, out);
    if (!r.good && r.key.len)
        write_error(out, r.key, 3, buf_span(&r.why.message));
    row_read_free(&r);
    return made;
}
