// inputs.c - the list of jobs and of bad entries.
#include <stdlib.h>
#include <string.h>

#include "client/inputs_private.h"

#define REJECTS_MAX_BYTES (256u << 20) // of raw text kept; beyond it only the place and reason

struct inputs *inputs_new(const struct job *defaults, uint32_t count)
{
    struct inputs *in = calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->defaults = *defaults;
    in->defaults.sample = 1;
    in->defaults.samples = (uint16_t)(count < 1                 ? 1
                                      : count > JOB_MAX_SAMPLES ? JOB_MAX_SAMPLES
                                                                : count);
    in->bytes.max = INPUTS_MAX_BYTES;
    in->rejects.max = REJECTS_MAX_BYTES + JOB_MAX_BYTES;
    return in;
}

void inputs_free(struct inputs *in)
{
    if (!in)
        return;
    for (size_t i = 0; i < in->n_names; i++)
        free(in->names[i]);
    free(in->names);
    free(in->slots);
    free(in->bads);
    buf_free(&in->bytes);
    buf_free(&in->rejects);
    free(in);
}

const struct job *inputs_defaults(const struct inputs *in)
{
    return &in->defaults;
}

// Room for one more element at the end of an array.
static bool grow(void **array, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 64;
    void *p = reallocarray(*array, more, size);
    if (!p)
        return false;
    *array = p;
    *cap = more;
    return true;
}

const char *inputs_name(struct inputs *in, const char *path)
{
    void *names = in->names;
    if (!grow(&names, in->n_names, &in->cap_names, sizeof *in->names))
        return NULL;
    in->names = names;
    char *copy = strdup(path);
    if (copy)
        in->names[in->n_names++] = copy;
    return copy;
}

// The file being read is the last one that was named.
static struct place place_of(const struct inputs *in, uint32_t line)
{
    return (struct place){(uint32_t)in->n_names - 1, line};
}

static enum err put_job(struct inputs *in, const struct job *job, bool own_id, uint32_t line)
{
    struct slot s = {in->bytes.len,      (uint32_t)job->id.len, 0,
                     place_of(in, line), in->entries,           own_id};
    void *slots = in->slots;
    if (in->n_slots >= INPUTS_MAX_JOBS)
        return ERR_TOOBIG;
    if (!grow(&slots, in->n_slots, &in->cap_slots, sizeof *in->slots))
        return ERR_NOMEM;
    in->slots = slots;
    buf_add(&in->bytes, job->id);
    job_encode(&in->bytes, job);
    if (in->bytes.err)
        return in->bytes.err;
    size_t len = in->bytes.len - s.at - s.id_len;
    if (len > JOB_MAX_BYTES)
        return ERR_RANGE;
    s.map_len = (uint32_t)len;
    in->slots[in->n_slots++] = s;
    return OK;
}

enum err inputs_put(struct inputs *in, const struct job *job, uint32_t line)
{
    char id[16];
    struct job j = *job;
    size_t slots = in->n_slots, bytes = in->bytes.len;
    enum err e = OK;
    snprintf(id, sizeof id, "%08u", in->entries);
    if (!job->id.len)
        j.id = span_of(id);
    j.input = in->entries;
    for (uint16_t k = 1; e == OK && k <= j.samples; k++) {
        j.sample = k;
        e = put_job(in, &j, job->id.len > 0, line);
    }
    if (e == OK) {
        in->entries++;
    } else { // none of its samples without the others
        in->n_slots = slots;
        in->bytes.len = bytes;
    }
    return e;
}

static void complain(const struct inputs *in, struct place p, struct span why,
                     struct buf *complaints)
{
    if (in->n_bads > INPUTS_MAX_SHOWN)
        return;
    buf_addf(complaints, "%s:%u: ", in->names[p.file], p.line);
    buf_add(complaints, why);
    buf_add_str(complaints, "\n");
}

enum err inputs_add_bad(struct inputs *in, struct place p, struct span why, struct span raw,
                        struct buf *complaints)
{
    void *bads = in->bads;
    if (!grow(&bads, in->n_bads, &in->cap_bads, sizeof *in->bads))
        return ERR_NOMEM;
    in->bads = bads;
    if (in->rejects.len + why.len + raw.len > REJECTS_MAX_BYTES)
        raw.len = why.len = 0; // the complaint was shown, or counted
    struct bad b = {in->rejects.len, (uint32_t)why.len, (uint32_t)raw.len, p};
    buf_add(&in->rejects, why);
    buf_add(&in->rejects, raw);
    if (in->rejects.err)
        return in->rejects.err;
    in->bads[in->n_bads++] = b;
    complain(in, p, why, complaints);
    return OK;
}

enum err inputs_put_bad(struct inputs *in, uint32_t line, struct span why, struct span raw,
                        struct buf *complaints)
{
    in->entries++;
    return inputs_add_bad(in, place_of(in, line), why, raw, complaints);
}

size_t inputs_count(const struct inputs *in)
{
    return in->n_slots;
}

struct input_entry inputs_at(const struct inputs *in, size_t i)
{
    const struct slot *s = &in->slots[i];
    const char *at = in->bytes.ptr + s->at;
    return (struct input_entry){{at, s->id_len},
                                {at + s->id_len, s->map_len},
                                in->names[s->place.file],
                                s->place.line,
                                s->input};
}

size_t inputs_bad(const struct inputs *in)
{
    return in->n_bads;
}

struct input_reject inputs_rejected(const struct inputs *in, size_t i)
{
    const struct bad *b = &in->bads[i];
    const char *at = buf_str(&in->rejects) + b->at;
    return (struct input_reject){in->names[b->place.file],
                                 b->place.line,
                                 {at, b->why_len},
                                 {at + b->why_len, b->raw_len}};
}
