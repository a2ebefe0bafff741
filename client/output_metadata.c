// output_metadata.c - metadata.json: the whole run, as it is when it begins and at its end.
#include "client/output_private.h"

#include "common/clock.h"
#include "common/json.h"

static void put_time(struct json_object *o, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];
    if (!ms)
        return;
    clock_rfc3339(ms, text);
    json_put_cstr(o, name, text);
}

const char *output_batch_state(const struct output *o, const struct output_summary *s)
{
    if (s->interrupted || o->jobs.by_state[OUTPUT_OPEN])
        return "interrupted";
    return o->jobs.by_state[OUTPUT_COMPLETED] == o->jobs.counts.total ? "completed" : "ended";
}

static void put_counts(struct json_object *o, const struct output *out)
{
    struct json_object *counts = json_object_new_object();
    json_put_int(counts, "total", out->jobs.counts.total);
    json_put_int(counts, "completed", out->jobs.by_state[OUTPUT_COMPLETED]);
    json_put_int(counts, "failed", out->jobs.by_state[OUTPUT_FAILED]);
    json_put_int(counts, "cancelled", out->jobs.by_state[OUTPUT_CANCELLED]);
    json_put_int(counts, "open", out->jobs.by_state[OUTPUT_OPEN]);
    json_put_int(counts, "images", out->jobs.counts.images);
    json_put_int(counts, "bytes", out->jobs.counts.bytes);
    json_put(o, "counts", counts);
}

static struct json_object *metadata(const struct output *out, const char *state)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "batch", buf_span(&out->batch));
    if (out->nonce.len)
        json_put_str(o, "nonce", buf_span(&out->nonce));
    json_put_cstr(o, "state", state);
    json_put_cstr(o, "genfarm", GENFARM_VERSION);
    return o;
}

static struct json_object *whole_metadata(const struct output *out,
                                          const struct output_summary *s)
{
    struct json_object *o = metadata(out, output_batch_state(out, s));
    put_time(o, "submitted", s->submitted_ms);
    put_time(o, "ended", s->ended_ms);
    if (s->submitted_ms && s->ended_ms >= s->submitted_ms)
        json_put_fixed(o, "seconds", (double)(s->ended_ms - s->submitted_ms) / 1000, 3);
    if (s->model.len)
        json_put_str(o, "model", s->model);
    if (s->options)
        json_put(o, "options", json_object_get(s->options));
    put_counts(o, out);
    json_put_usd(o, "cost_usd", out->jobs.counts.cost_micro);
    json_put_int(o, "possible_double_bill", s->possible_double_bill);
    return o;
}

static enum err print_paths(const struct output *o, uint32_t index, FILE *f, bool *first)
{
    struct json_object *images, *event;
    struct buf text = {.max = OUTPUT_MAX_LINE};
    enum err e = output_job_event(o, index, &event);
    size_t n = event && json_get(event, "images", json_type_array, &images)
                   ? json_object_array_length(images)
                   : 0;
    for (size_t i = 0; i < n && !text.err; i++) {
        struct json_object *path = json_at(json_object_array_get_idx(images, i), "path");
        buf_clear(&text);
        json_write(&text, path);
        fprintf(f, "%s\n%s", *first ? "" : ",", buf_str(&text));
        *first = false;
    }
    json_object_put(event);
    e = output_unread(e) ? e : text.err;
    buf_free(&text);
    return e;
}

// The images' paths come last and one by one: there may be a hundred thousand.
enum err output_metadata_body(const struct output *o, FILE *f, const void *ctx)
{
    struct buf text = {.max = OUTPUT_MAX_LINE};
    struct json_object *head = whole_metadata(o, ctx);
    bool first = true;
    enum err e = OK;
    if (head)
        json_write(&text, head);
    json_object_put(head);
    if (!text.len || text.err) {
        buf_free(&text);
        return ERR_NOMEM;
    }
    fwrite(text.ptr, 1, text.len - 1, f); // all but the closing bracket
    fputs(",\"images\":[", f);
    for (uint32_t i = 0; e == OK && i < o->jobs.counts.total; i++)
        if (output_state(o, i) == OUTPUT_COMPLETED)
            e = print_paths(o, i, f, &first);
    fputs("]}\n", f);
    buf_free(&text);
    return e;
}

enum err output_started_body(const struct output *o, FILE *f, const void *ctx)
{
    struct json_object *m = metadata(o, "running");
    (void)ctx;
    put_time(m, "submitted", o->opened_ms);
    enum err e = output_print(f, m);
    json_object_put(m);
    return e;
}
