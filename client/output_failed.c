// output_failed.c - failed.jsonl: the inputs that failed, ready to be submitted again.
#include "client/output_private.h"

#include "client/fields.h"
#include "common/json.h"

// One line an input: its failed samples are asked for again by their number.
static enum err print_input(FILE *f, const struct job *j, int64_t samples)
{
    struct json_object *entry = fields_entry(j);
    if (entry && (samples > 1 || j->samples > 1))
        json_put_int(entry, "count", samples);
    enum err e = output_print(f, entry);
    json_object_put(entry);
    return e;
}

// How many of the jobs from `first` on are samples of the same input, and how many failed.
static uint32_t samples_of(const struct output *o, uint32_t first, const struct job *j,
                           int64_t *failed, enum err *e)
{
    uint32_t i = first;
    struct job other;
    struct buf room = {.max = JOB_MAX_BYTES + 1};
    *failed = 0;
    do {
        *failed += output_state(o, i) == OUTPUT_FAILED;
        i++;
    } while (j->samples > 1 && (*e = output_job_input(o, i, &other, &room)) == OK &&
             other.input == j->input && other.sample > 1);
    buf_free(&room);
    return i - first;
}

enum err output_failed_body(const struct output *o, FILE *f, const void *ctx)
{
    struct buf room = {.max = JOB_MAX_BYTES + 1};
    struct job j;
    enum err e = OK;
    uint32_t step;
    (void)ctx;
    for (uint32_t i = 0; e == OK && i < o->jobs.counts.total; i += step) {
        int64_t failed;
        step = 1;
        e = output_job_input(o, i, &j, &room);
        if (e == OK)
            step = samples_of(o, i, &j, &failed, &e);
        else
            failed = 0;
        e = output_unread(e) ? e : OK;
        if (e == OK && failed)
            e = print_input(f, &j, failed);
    }
    buf_free(&room);
    return e;
}
