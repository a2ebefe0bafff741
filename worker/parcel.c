// parcel.c - see parcel.h.
#include "worker/parcel.h"

#include <stdlib.h>

#include "common/clock.h"
#include "common/pool.h"
#include "worker/spool.h"

#define MAX_NAME   512
#define MAX_TEXT   (2u << 20)
#define MAX_RECORD (4u << 20)

struct parcel {
    struct pool_task task; // first
    struct buf text, model_version, response_id, why;
    int64_t latency_ms, input_tokens, output_tokens;
    unsigned n;
    struct spool *spools[EVENT_MAX_IMAGES];
    struct image_info infos[EVENT_MAX_IMAGES];
    struct buf names[EVENT_MAX_IMAGES];
    struct buf event, record, place;
    bool shared;                           // the images are those of another job,
    struct buf source_batch, source_event; // of which these are copies;
    struct event origin;                   // and this one points into the latter
    struct sink_source source;
    enum image_check how;
    enum err err;
    parcel_checked *checked;
    parcel_stored *stored;
    void *ctx;
};

static void copy(struct buf *to, struct span from, size_t max)
{
    *to = (struct buf){.max = max};
    buf_add(to, from.len <= max ? from : (struct span){from.ptr, max});
}

// Without memory for a text it would be stored as if there were none.
static bool has_texts(const struct parcel *p)
{
    return !p->text.err && !p->model_version.err && !p->response_id.err;
}

struct parcel *parcel_new(struct provider_result *r)
{
    struct parcel *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    copy(&p->text, r->text, MAX_TEXT);
    copy(&p->model_version, r->model_version, JOB_MAX_NAME);
    copy(&p->response_id, r->response_id, 200);
    if (!has_texts(p)) {
        parcel_free(p);
        return NULL;
    }
    p->why.max = MAX_NAME;
    p->latency_ms = r->latency_ms;
    p->input_tokens = r->input_tokens;
    p->output_tokens = r->output_tokens;
    p->n = r->n_images;
    for (unsigned i = 0; i < p->n; i++) {
        p->spools[i] = r->images[i].spool;
        r->images[i].spool = NULL;
        p->names[i].max = MAX_NAME;
    }
    return p;
}

// A copy of the event whose texts are in `into`.
static enum err copy_event(const struct event *e, struct buf *into, struct event *out)
{
    into->max = MAX_RECORD;
    event_encode(into, e);
    return into->err ? into->err : event_decode(out, buf_span(into));
}

struct parcel *parcel_shared(const struct event *e, struct span text, struct span batch,
                             uint32_t index)
{
    struct parcel *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->shared = true;
    copy(&p->text, text, MAX_TEXT);
    copy(&p->model_version, e->model_version, JOB_MAX_NAME);
    copy(&p->response_id, e->response_id, 200);
    copy(&p->source_batch, batch, JOB_MAX_NAME);
    p->n = e->n_images;
    for (unsigned i = 0; i < p->n; i++)
        p->names[i].max = MAX_NAME;
    if (copy_event(e, &p->source_event, &p->origin) != OK || !has_texts(p) ||
        p->source_batch.err) {
        parcel_free(p);
        return NULL;
    }
    p->source = (struct sink_source){buf_span(&p->source_batch), index, p->origin.images};
    return p;
}

bool parcel_is_shared(const struct parcel *p)
{
    return p->shared;
}

void parcel_free(struct parcel *p)
{
    if (!p)
        return;
    for (unsigned i = 0; i < p->n; i++) {
        spool_free(p->spools[i]);
        buf_free(&p->names[i]);
    }
    struct buf *all[] = {&p->text,  &p->model_version, &p->response_id,
                         &p->why,   &p->event,         &p->record,
                         &p->place, &p->source_batch,  &p->source_event};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_free(all[i]);
    free(p);
}

static uint64_t bytes_of(const struct parcel *p, unsigned i)
{
    return p->shared ? p->origin.images[i].bytes : spool_bytes(p->spools[i]);
}

uint64_t parcel_bytes(const struct parcel *p)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < p->n; i++)
        sum += bytes_of(p, i);
    return sum;
}

unsigned parcel_images(const struct parcel *p)
{
    return p->n;
}

// --- Checking -------------------------------------------------------------------------------

static enum err check_one(struct parcel *p, unsigned i)
{
    FILE *f = spool_open(p->spools[i]);
    if (!f) {
        buf_add_str(&p->why, "the image is empty");
        return spool_bytes(p->spools[i]) == 0 ? ERR_FORMAT : ERR_IO;
    }
    enum err e = image_verify(f, p->how, &p->infos[i], &p->why);
    fclose(f);
    return e;
}

static void check_work(struct pool_task *t)
{
    struct parcel *p = (struct parcel *)t;
    p->err = OK;
    for (unsigned i = 0; i < p->n && p->err == OK; i++)
        p->err = check_one(p, i);
}

static void check_done(struct pool_task *t)
{
    struct parcel *p = (struct parcel *)t;
    p->checked(p->ctx, p->err, buf_span(&p->why));
}

void parcel_check(struct parcel *p, struct pool *pool, enum image_check how,
                  parcel_checked *done, void *ctx)
{
    p->task = (struct pool_task){.work = check_work, .done = check_done};
    p->how = how;
    p->checked = done;
    p->ctx = ctx;
    pool_add(pool, &p->task);
}

// --- Storing --------------------------------------------------------------------------------

static struct event_image describe(struct parcel *p, unsigned i)
{
    if (p->shared)
        return p->origin.images[i];
    return (struct event_image){
        .type = p->infos[i].type,
        .bytes = spool_bytes(p->spools[i]),
        .width = p->infos[i].width,
        .height = p->infos[i].height,
        .sha256 = {(const char *)spool_digest(p->spools[i]), DIGEST_SIZE},
        .c2pa = p->infos[i].c2pa};
}

static struct event_image name_image(struct parcel *p, const struct parcel_label *l, unsigned i)
{
    struct event_image im = describe(p, i);
    struct buf *name = &p->names[i];
    buf_clear(name);
    job_image_name(name, l->job, l->id, l->index, l->total, i + 1, p->n,
                   image_extension(im.type));
    im.path = buf_span(name);
    return im;
}

// The event and the record that go with the images.
static enum err write_up(struct parcel *p, const struct parcel_label *l)
{
    struct event e = {.type = EVENT_COMPLETED,
                      .run = l->run,
                      .index = l->index,
                      .ts_ms = clock_wall_ms(),
                      .id = l->id,
                      .attempts = l->attempts,
                      .sample = l->job->samples > 1 ? l->job->sample : 0,
                      .model = l->job->model,
                      .model_version = buf_span(&p->model_version),
                      .worker = l->worker,
                      .text = buf_span(&p->text),
                      .response_id = buf_span(&p->response_id),
                      .latency_ms = p->latency_ms,
                      .cost_micro = l->cost_micro,
                      .input_tokens = p->input_tokens,
                      .output_tokens = p->output_tokens,
                      .deduped_of = l->deduped_of,
                      .sink = buf_span(&p->place),
                      .n_images = p->n};
    enum err err = OK;
    for (unsigned i = 0; i < p->n; i++) {
        e.images[i] = name_image(p, l, i);
        err = p->names[i].err ? p->names[i].err : err;
    }
    p->event.max = p->record.max = MAX_RECORD;
    buf_clear(&p->event);
    buf_clear(&p->record);
    event_encode(&p->event, &e);
    struct record r = {.nonce = l->nonce,
                       .call_id = l->call_id,
                       .digest = l->digest,
                       .event = buf_span(&p->event),
                       .text = buf_span(&p->text)};
    record_encode(&p->record, &r);
    return err ? err : p->event.err ? p->event.err : p->record.err;
}

static void on_stored(void *ctx, enum err e, struct span record, struct span why)
{
    struct parcel *p = ctx;
    struct record r = {.event = buf_span(&p->event)};
    bool adopted = record.len > 0;
    if (e == OK && adopted && record_decode(&r, record) != OK)
        e = ERR_FORMAT;
    p->stored(p->ctx, e, e == OK ? &r : NULL, adopted, why);
}

enum err parcel_store(struct parcel *p, struct sink *sink, const struct parcel_label *l,
                      parcel_stored *done, void *ctx)
{
    struct sink_item item = {.batch = l->batch,
                             .index = l->index,
                             .run = l->run,
                             .n_images = p->n,
                             .spare_s = l->spare_s};
    if (p->shared)
        item.source = &p->source;
    p->stored = done;
    p->ctx = ctx;
    p->place.max = 8192;
    buf_clear(&p->place);
    sink->ops->place(sink, &p->place, &item);
    enum err e = p->place.err ? p->place.err : write_up(p, l);
    if (e != OK)
        return e;
    item.record = buf_span(&p->record);
    for (unsigned i = 0; i < p->n; i++)
        item.images[i] =
            (struct sink_image){p->spools[i], buf_span(&p->names[i]), bytes_of(p, i)};
    return sink->ops->store(sink, &item, on_stored, p);
}
