// test_collect.c - memory or disk that run out while a batch is collected from a server:
// whoever is told so begins again and ends with the whole batch, each event once and in order,
// each image byte for byte, also those that Redis has let go of since.
#include "client/collect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/blob.h"
#include "client/collect_resume.h"
#include "client/output.h"
#include "client/patience.h"
#include "common/digest.h"
#include "common/file.h"
#include "sweep.h"
#include "test.h"

#define BATCH  "cats"
#define TOTAL  3
#define CHUNKS 6 // of the image in Redis
#define CHUNK  4096

struct shelf {
    struct farm *farm;
    char top[32], source[64], folder[64]; // the sink's folder, and the batch's
    char bytes[CHUNKS * CHUNK];
    uint8_t sha256[DIGEST_SIZE];
    bool resume;
    uint64_t told; // number of the last event
};

// --- A batch that is done --------------------------------------------------------------------

static const char *const paths[] = {"images/00000_job-0.png", "images/00001_job-1.png"};

static struct event result_of(const struct shelf *s, const struct held *job, const char *sink)
{
    if (job->ticket.index == 2)
        return farm_event(EVENT_FAILED, job);
    struct event e = farm_event(EVENT_COMPLETED, job);
    e.sink = span_of(sink);
    e.n_images = 1;
    e.images[0] = (struct event_image){.path = span_of(paths[e.index]),
                                       .type = IMAGE_PNG,
                                       .bytes = sizeof s->bytes,
                                       .width = 10,
                                       .height = 10,
                                       .sha256 = {(const char *)s->sha256, DIGEST_SIZE}};
    return e;
}

// The first one's image is in Redis, the second one's in a folder; the third one failed.
static void settle(const struct shelf *s, struct hand *h, const struct held *job)
{
    char sink[100];
    struct buf event = {.max = 4096};
    snprintf(sink, sizeof sink, job->ticket.index ? "dir:%s" : "redis:" BATCH "/0", s->source);
    struct event e = result_of(s, job, sink);
    event_encode(&event, &e);
    struct queue_settle q = {.batch = SPAN(BATCH),
                             .field = job->field,
                             .op = e.type == EVENT_FAILED ? QUEUE_FAILED : QUEUE_COMPLETED,
                             .ticket = job->ticket,
                             .figures = {.calls = 1},
                             .events = {buf_span(&event)},
                             .n_events = 1};
    assert_string_equal(farm_settle_as(s->farm, h, h->number + 1, 1, &q).text, "1");
    buf_free(&event);
}

static void told_record(void *ctx, enum err e, struct span record)
{
    told_value(ctx, e, (int64_t)record.len);
}

static void store_images(const struct shelf *s)
{
    const struct span temp = SPAN("t/1/0");
    struct queue *q = s->farm->queue;
    for (size_t i = 0; i < CHUNKS; i++) {
        struct told t = {0};
        struct span chunk = {s->bytes + i * CHUNK, CHUNK};
        assert_int_equal(farm_wait(s->farm, blob_push(q, temp, chunk, told_value, &t), &t).err,
                         OK);
    }
    struct told t = {0};
    enum err e = blob_keep(q, SPAN(BATCH "/0"), SPAN("0123456789abcdef"), sizeof s->bytes, 0, 1,
                           &temp, told_record, &t);
    assert_int_equal(farm_wait(s->farm, e, &t).err, OK);
    char path[128];
    snprintf(path, sizeof path, "%s/images", s->source);
    assert_int_equal(file_mkdirs(path), OK);
    snprintf(path, sizeof path, "%s/%s", s->source, paths[1]);
    assert_int_equal(file_write(path, (struct span){s->bytes, sizeof s->bytes}), OK);
}

static void do_batch(struct shelf *s, bool backwards)
{
    farm_fresh(&(void *){s->farm});
    farm_submit(s->farm, BATCH, "ann", NULL, TOTAL);
    struct hand h = farm_hand(s->farm, "inc");
    struct claims *c = farm_claim(s->farm, &h, TOTAL);
    assert_int_equal(c->n, TOTAL);
    store_images(s);
    farm_sent(s->farm, &h, TOTAL, c->jobs);
    for (size_t i = 0; i < TOTAL; i++)
        settle(s, &h, &c->jobs[backwards ? TOTAL - 1 - i : i]);
    free(c);
}

// --- Collecting ------------------------------------------------------------------------------

static void on_event(void *ctx, const struct event *e, struct span event_id)
{
    struct shelf *s = ctx;
    (void)e;
    uint64_t number = strtoull(event_id.ptr ? event_id.ptr : "0", NULL, 10);
    assert_int_equal(number, s->told + 1);
    s->told = number;
}

static enum err fill(struct shelf *s, struct session *session, struct output *out)
{
    struct buf why = {.max = 4096};
    struct collect_result r = {0};
    struct collect_batch b = {0};
    struct patience p = {.session = session};
    struct collect_options o = {
        .batch = SPAN(BATCH), .output = out, .event = on_event, .ctx = s, .patience = 5};
    enum err e = collect_status(session, o.batch, &b);
    if (e == OK)
        e = collect_resume(&p, o.batch, &b, out, &o.after, NULL, &why);
    s->told = o.after.number;
    if (e == OK)
        e = collect_inputs(session, o.batch, out);
    if (e == OK)
        e = collect(session, &o, &r, &why);
    assert_int_equal(r.images_gone, 0);
    if (e == OK)
        assert_true(r.ended && r.total == TOTAL && r.completed == 2);
    if (e == OK)
        e = output_finish(out, &(struct output_summary){.model = SPAN("m")}, &why);
    collect_batch_free(&b);
    buf_free(&r.message);
    buf_free(&why);
    return e;
}

static enum err bring(struct shelf *s, bool resume, bool in_peace)
{
    struct buf why = {.max = 1000};
    struct session *session;
    struct output *out;
    struct output_options o = {s->folder, SPAN(BATCH), TOTAL, resume, SPAN("ab")};
    struct session_options from = {.redis = span_of(redis_server_url(s->farm->server)),
                                   .queue = SPAN("q")};
    assert_int_equal(session_open(&from, &session, &why), OK);
    assert_int_equal(output_open(&o, &out, &why), OK);
    if (!in_peace)
        sweep_begin();
    enum err e = fill(s, session, out);
    fault_forget();
    output_free(out);
    session_close(session);
    buf_free(&why);
    return e;
}

// --- What came of it -------------------------------------------------------------------------

static void read_folder(const struct shelf *s, const char *name, struct buf *out)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    *out = (struct buf){.max = 1 << 20};
    assert_int_equal(file_read(path, out), OK);
}

static void check_file(const struct shelf *s, const char *name, struct span bytes)
{
    struct buf whole;
    read_folder(s, name, &whole);
    assert_true(span_equal(buf_span(&whole), bytes));
    buf_free(&whole);
}

// As when nothing fails, which is done first.
static void check_folder(const struct shelf *s)
{
    static const char *const names[] = {"manifest.jsonl", "failed.jsonl", "metadata.json"};
    static char whole[3][8192];
    for (size_t i = 0; i < 2; i++)
        check_file(s, paths[i], (struct span){s->bytes, sizeof s->bytes});
    for (size_t i = 0; i < 3; i++) {
        struct buf now;
        read_folder(s, names[i], &now);
        if (!whole[i][0])
            snprintf(whole[i], sizeof whole[i], "%s", buf_str(&now));
        assert_string_equal(buf_str(&now), whole[i]);
        buf_free(&now);
    }
}

static void clear_away(const struct shelf *s)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", s->top);
    assert_int_equal(system(command), 0);
}

static void draw(struct shelf *s, char tint)
{
    for (size_t i = 0; i < sizeof s->bytes; i++)
        s->bytes[i] = (char)((char)(i * i >> 8) ^ tint);
    digest_of((struct span){s->bytes, sizeof s->bytes}, s->sha256);
}

static void put_up(struct shelf *s, struct farm *f)
{
    *s = (struct shelf){.farm = f, .top = "/tmp/test_collect.XXXXXX"};
    assert_non_null(mkdtemp(s->top));
    snprintf(s->source, sizeof s->source, "%s/sink", s->top);
    snprintf(s->folder, sizeof s->folder, "%s/" BATCH, s->top);
}

static enum err bring_all(struct shelf *s, bool resume)
{
    draw(s, 0);
    do_batch(s, false);
    enum err e = bring(s, resume, false);
    if (e != OK)
        assert_int_equal(bring(s, true, true), OK);
    check_folder(s);
    clear_away(s);
    return e;
}

static enum err collect_cats(void *ctx)
{
    struct shelf s;
    put_up(&s, ctx);
    return bring_all(&s, false);
}

// The folder has them already, as they were in a past that the server knows nothing of.
static enum err collect_again(void *ctx)
{
    struct shelf s;
    put_up(&s, ctx);
    draw(&s, 1);
    do_batch(&s, true);
    assert_int_equal(bring(&s, false, true), OK);
    return bring_all(&s, true);
}

static void memory_runs_out(void **state)
{
    assert_int_equal(collect_cats(*state), OK);
    sweep(fault_alloc, ERR_NOMEM, collect_cats, *state);
    sweep(fault_alloc, ERR_NOMEM, collect_again, *state);
}

static void the_disk_is_full(void **state)
{
    sweep(fault_write, ERR_FULL, collect_cats, *state);
    sweep(fault_write, ERR_FULL, collect_again, *state);
}

static void the_disk_breaks(void **state)
{
    sweep(fault_sync, ERR_IO, collect_cats, *state);
    sweep(fault_sync, ERR_IO, collect_again, *state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(the_disk_is_full),
        cmocka_unit_test(the_disk_breaks),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
