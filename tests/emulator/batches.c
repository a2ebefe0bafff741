// batches.c - see batches.h.
#include "emulator/batches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/clock.h"
#include "common/text.h"
#include "emulator/batch_row.h"

#define MOST_UNDER_WAY 100
#define TYPE           "type.googleapis.com/google.ai.generativelanguage.v1main."

enum state { PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLED, EXPIRED };
static const char *const states[] = {"PENDING", "RUNNING",   "SUCCEEDED",
                                     "FAILED",  "CANCELLED", "EXPIRED"};

struct batch {
    char name[FILES_NAME], display[256];
    const struct model *model;
    const char *project; // its input file's
    struct buf lines;
    unsigned rows, good, bad;
    int64_t made_us, made_ms, ended_ms;
    enum state state;
    enum batch_fault fault;
    struct file *result;
    bool cut; // its download is still to be cut
    TAILQ_ENTRY(batch) link;
};

struct batches {
    struct batches_desk desk;
    unsigned made;
    TAILQ_HEAD(, batch) all; // the newest first
};

// --- Faults ----------------------------------------------------------------------------------

static const char *const faults[] = {
    [BATCH_GOOD] = "good",           [BATCH_LOST_CREATE] = "lost_create",
    [BATCH_FAILED] = "failed",       [BATCH_EXPIRED] = "expired",
    [BATCH_STUCK] = "stuck",         [BATCH_CUT_RESULT] = "cut_result",
    [BATCH_LOST_ROWS] = "lost_rows", [BATCH_NEVER_MADE] = "never_made",
    [BATCH_DEAF] = "deaf",
};

static bool read_fault(struct batch_faults *f, struct span text)
{
    const char *star = memchr(text.ptr, '*', text.len);
    uint64_t times = 1;
    struct span name = {text.ptr, star ? (size_t)(star - text.ptr) : text.len};
    if (star &&
        text_uint((struct span){star + 1, text.len - name.len - 1}, 1, 1000, &times) != OK)
        return false;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        if (!span_is(name, faults[i]))
            continue;
        for (uint64_t k = 0; k < times && f->n < sizeof f->at / sizeof *f->at; k++)
            f->at[f->n++] = (enum batch_fault)i;
        return true;
    }
    return false;
}

enum err batches_faults(struct batch_faults *f, const struct opt_strs *given, struct buf *why)
{
    for (size_t i = 0; i < given->n; i++) {
        if (read_fault(f, span_of(given->at[i])))
            continue;
        buf_addf(why, "--batch-fault %s: NAME or NAME*TIMES of", given->at[i]);
        for (size_t k = 0; k < sizeof faults / sizeof *faults; k++)
            buf_addf(why, " %s", faults[k]);
        return ERR_FORMAT;
    }
    return OK;
}

// --- Coming and going -----------------------------------------------------------------------

struct batches *batches_new(const struct batches_desk *d)
{
    struct batches *b = calloc(1, sizeof *b);
    if (!b)
        return NULL;
    b->desk = *d;
    TAILQ_INIT(&b->all);
    return b;
}

static void batch_free(struct batch *one)
{
    buf_free(&one->lines);
    free(one);
}

void batches_free(struct batches *b)
{
    struct batch *one;
    while (b && (one = TAILQ_FIRST(&b->all))) {
        TAILQ_REMOVE(&b->all, one, link);
        batch_free(one);
    }
    free(b);
}

static struct batch *find(struct batches *b, const char *project, struct span name)
{
    struct batch *one;
    TAILQ_FOREACH(one, &b->all, link)
    if (span_is(name, one->name) && strcmp(one->project, project) == 0)
        return one;
    return NULL;
}

// --- Rows ------------------------------------------------------------------------------------

static bool over(const struct batch *one)
{
    return one->state > RUNNING;
}

static void end(struct batch *one, enum state state)
{
    one->state = state;
    one->ended_ms = clock_wall_ms();
}

static struct batch_row row_of(const struct batches *b, const struct batch *one)
{
    return (struct batch_row){.settings = b->desk.settings,
                              .journal = b->desk.journal,
                              .prompts = b->desk.prompts,
                              .model = one->model,
                              .batch = one->name,
                              .project = one->project,
                              .age = (double)(clock_wall_ms() - one->made_ms) / 1000};
}

// Ends without any.
static void end_unmade(struct batches *b, struct batch *one, enum state state)
{
    struct batch_row row = row_of(b, one);
    struct span rest = buf_span(&one->lines), line;
    while (batch_row_next(&rest, &line))
        batch_row_unmade(&row, line);
    end(one, state);
}

static void make_rows(struct batches *b, struct batch *one)
{
    struct batch_row row = row_of(b, one);
    struct file *result = files_add(b->desk.files, one->project, "files/batch-");
    struct span rest = buf_span(&one->lines), line;
    unsigned number = 0;
    while (result && batch_row_next(&rest, &line)) {
        row.lost = one->fault == BATCH_LOST_ROWS && number++ % 2 == 1;
        *(batch_row_make(&row, line, &result->body) ? &one->good : &one->bad) += 1;
    }
    if (result)
        result->result = result->whole = true;
    one->result = result;
    one->cut = one->fault == BATCH_CUT_RESULT;
    end(one, result ? SUCCEEDED : FAILED);
}

static void look(struct batches *b, struct batch *one, int64_t now_us)
{
    int64_t lasts = (int64_t)(b->desk.settings->batch_latency * 1e6);
    if (over(one) || one->fault == BATCH_STUCK || one->fault == BATCH_DEAF)
        return;
    if (now_us - one->made_us > lasts / 10)
        one->state = RUNNING;
    if (now_us - one->made_us < lasts)
        return;
    if (one->fault == BATCH_FAILED || one->fault == BATCH_EXPIRED)
        end_unmade(b, one, one->fault == BATCH_FAILED ? FAILED : EXPIRED);
    else
        make_rows(b, one);
}

void batches_look(struct batches *b, int64_t now_us)
{
    struct batch *one;
    TAILQ_FOREACH(one, &b->all, link)
    look(b, one, now_us);
}

// --- What is told ---------------------------------------------------------------------------

static void put_time(struct json_object *o, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(ms, text);
    json_put_cstr(o, name, text);
}

// As int64 in protobuf's JSON; zeros are left out.
static void put_count(struct json_object *o, const char *name, unsigned n)
{
    char text[16];
    snprintf(text, sizeof text, "%u", n);
    if (n)
        json_put_cstr(o, name, text);
}

static struct json_object *stats(const struct batch *one)
{
    struct json_object *o = json_object_new_object();
    put_count(o, "requestCount", one->rows);
    put_count(o, "successfulRequestCount", one->good);
    put_count(o, "failedRequestCount", one->bad);
    put_count(o, "pendingRequestCount", one->rows - one->good - one->bad);
    return o;
}

static struct json_object *output(const struct batch *one, bool typed)
{
    struct json_object *o = json_object_new_object();
    if (typed)
        json_put_cstr(o, "@type", TYPE "GenerateContentBatchOutput");
    json_put_cstr(o, "responsesFile", one->result->name);
    return o;
}

static struct json_object *metadata(const struct batch *one)
{
    struct json_object *o = json_object_new_object();
    char text[300];
    json_put_cstr(o, "@type", TYPE "GenerateContentBatch");
    snprintf(text, sizeof text, "models/%s", one->model->name);
    json_put_cstr(o, "model", text);
    json_put_cstr(o, "displayName", one->display);
    if (one->result)
        json_put(o, "output", output(one, false));
    put_time(o, "createTime", one->made_ms);
    if (over(one))
        put_time(o, "endTime", one->ended_ms);
    put_time(o, "updateTime", over(one) ? one->ended_ms : one->made_ms);
    json_put(o, "batchStats", stats(one));
    snprintf(text, sizeof text, "BATCH_STATE_%s", states[one->state]);
    json_put_cstr(o, "state", text);
    json_put_cstr(o, "name", one->name);
    return o;
}

static struct json_object *operation(const struct batch *one)
{
    struct json_object *o = json_object_new_object(), *error;
    json_put_cstr(o, "name", one->name);
    json_put(o, "metadata", metadata(one));
    if (!over(one))
        return o;
    json_put_bool(o, "done", true);
    if (one->state == SUCCEEDED) {
        json_put(o, "response", output(one, true));
        return o;
    }
    error = json_object_new_object();
    json_put_int(error, "code", one->state == CANCELLED ? 1 : one->state == EXPIRED ? 4 : 13);
    json_put_cstr(error, "message",
                  one->state == CANCELLED ? "The batch was cancelled."
                  : one->state == EXPIRED ? "The batch expired before it was finished."
                                          : "Internal error encountered.");
    json_put(o, "error", error);
    return o;
}

// --- What is asked --------------------------------------------------------------------------

static unsigned under_way(const struct batches *b)
{
    const struct batch *one;
    unsigned n = 0;
    TAILQ_FOREACH(one, &b->all, link)
    n += !over(one);
    return n;
}

static bool take_lines(struct batch *one, const struct file *file, struct buf *why)
{
    struct rope_cursor at = {0};
    uint64_t size = rope_size(&file->body);
    one->lines.max = 200u << 20;
    char *to = buf_room(&one->lines, (size_t)size);
    if (to) {
        size_t n = 0, got;
        while (n < size && (got = rope_read(&file->body, &at, to + n, (size_t)size - n)))
            n += got;
        buf_added(&one->lines, n);
    }
    struct span rest = buf_span(&one->lines), line;
    while (batch_row_next(&rest, &line)) {
        one->rows++;
        if (batch_row_check(line))
            continue;
        buf_addf(why, "Invalid JSON in line %u of the input file.", one->rows);
        return false;
    }
    if (one->rows == 0)
        buf_add_str(why, "The input file has no requests.");
    return one->rows > 0;
}

enum batch_made batches_make(struct batches *b, const struct model *m, struct span display,
                             struct file *file, int64_t now_us, struct json_object **out,
                             struct buf *why)
{
    const struct batch_faults *f = &b->desk.settings->batch_faults;
    struct batch *one = calloc(1, sizeof *one);
    batches_look(b, now_us);
    if (!one || under_way(b) >= MOST_UNDER_WAY) {
        free(one);
        return BATCH_BUSY;
    }
    one->fault = b->made < f->n ? f->at[b->made] : BATCH_GOOD;
    b->made++;
    if (one->fault == BATCH_NEVER_MADE) {
        free(one);
        return BATCH_LOST;
    }
    if (!take_lines(one, file, why)) {
        batch_free(one);
        return BATCH_BAD;
    }
    files_name("batches/", one->name, sizeof one->name);
    snprintf(one->display, sizeof one->display, "%.*s", (int)display.len,
             display.ptr ? display.ptr : "");
    one->model = m;
    one->project = file->project;
    one->made_us = now_us;
    one->made_ms = clock_wall_ms();
    TAILQ_INSERT_HEAD(&b->all, one, link);
    *out = operation(one);
    return one->fault == BATCH_LOST_CREATE ? BATCH_LOST : BATCH_MADE;
}

struct json_object *batches_get(struct batches *b, const char *project, struct span name,
                                int64_t now_us)
{
    struct batch *one = find(b, project, name);
    if (!one)
        return NULL;
    look(b, one, now_us);
    return operation(one);
}

bool batches_cancel(struct batches *b, const char *project, struct span name, int64_t now_us)
{
    struct batch *one = find(b, project, name);
    if (!one)
        return false;
    look(b, one, now_us);
    if (!over(one) && one->fault != BATCH_DEAF)
        end_unmade(b, one, CANCELLED);
    return true;
}

bool batches_delete(struct batches *b, const char *project, struct span name)
{
    struct batch *one = find(b, project, name);
    if (!one)
        return false;
    TAILQ_REMOVE(&b->all, one, link);
    batch_free(one);
    return true;
}

struct json_object *batches_list(struct batches *b, const char *project, unsigned from,
                                 unsigned most, int64_t now_us)
{
    struct json_object *o = json_object_new_object(), *list = json_object_new_array();
    struct batch *one;
    unsigned i = 0;
    char token[16];
    batches_look(b, now_us);
    TAILQ_FOREACH(one, &b->all, link)
    {
        if (strcmp(one->project, project) != 0)
            continue;
        if (i >= from && i < from + most)
            json_object_array_add(list, operation(one));
        i++;
    }
    json_put(o, "operations", list);
    if (i > from + most) {
        snprintf(token, sizeof token, "%u", from + most);
        json_put_cstr(o, "nextPageToken", token);
    }
    return o;
}

bool batches_cut(struct batches *b, const struct file *f)
{
    struct batch *one;
    TAILQ_FOREACH(one, &b->all, link)
    if (one->result == f && one->cut) {
        one->cut = false;
        return true;
    }
    return false;
}
