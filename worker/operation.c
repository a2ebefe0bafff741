// operation.c - see operation.h.
#include "worker/operation.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/event.h"
#include "common/backoff.h"
#include "common/clock.h"
#include "common/digest.h"
#include "common/log.h"
#include "common/text.h"
#include "worker/held.h"
#include "worker/lease.h"
#include "worker/operation_private.h"
#include "worker/pump.h"
#include "worker/remote.h"
#include "worker/sink.h"
#include "worker/spool.h"
#include "worker/task_batch.h"
#include "worker/tasks.h"

#define RETRIES    5    // of an upload, before its jobs are told
#define CAP_S      60.0 // of all waits
#define FIND_S     10.0 // until a batch that is not listed is taken for not made
#define FIND_AGAIN 2.0
#define CANCEL_S   15.0 // until a batch that does not end is given up
#define IN_HAND    8    // rows that are checked or stored at a time
#define MARGIN_S   600  // before nothing can be hoped for

static const struct remote_ops *remote(const struct op *o)
{
    return o->host.provider->ops->remote;
}

static double server_now(const struct op *o)
{
    return (double)(clock_wall_ms() + o->from->tasks->server_offset_ms) / 1000;
}

void op_after(struct op *o, double seconds, void (*step)(struct op *o))
{
    o->step = step;
    ev_timer_stop(o->host.loop, &o->timer);
    ev_timer_set(&o->timer, seconds, 0.);
    ev_timer_start(o->host.loop, &o->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct op *o = w->data;
    if (!o->lost && !o->leaving)
        o->step(o);
}

static double pause_of(struct op *o)
{
    return backoff_delay(++o->failures, 1., CAP_S, 0.2);
}

// True: it goes no further here.
static bool stops_here(struct op *o)
{
    if (o->leaving && !o->lost)
        op_go_away(o);
    return o->lost || o->leaving;
}

// --- Writing down ---------------------------------------------------------------------------

static void on_noted(void *ctx, enum err e, int64_t now_ms)
{
    struct op *o = ctx;
    o->asking--;
    if (e == ERR_LOST)
        lease_was_lost(o->lease);
    if (o->lost)
        return;
    if (e != OK) {
        if (!stops_here(o))
            op_after(o, 0.5, op_note_again);
        return;
    }
    if (o->note.made)
        o->made_ms = now_ms;
    if (!stops_here(o))
        o->note.then(o);
}

void op_note_again(struct op *o)
{
    struct queue_fact facts[] = {{"state", span_of(o->note.state)},
                                 {"file", span_of(o->file)},
                                 {"name", span_of(o->name)},
                                 {"made", SPAN("")}};
    size_t n = o->note.made ? 4 : 3;
    if (operation_note(o->host.queue, lease_incarnation(o->lease), span_of(o->id), n, facts,
                       on_noted, o) == OK)
        o->asking++;
    else
        op_after(o, 0.5, op_note_again);
}

static void note(struct op *o, const char *state, bool made, void (*then)(struct op *o))
{
    o->note.state = state;
    o->note.made = made;
    o->note.then = then;
    op_note_again(o);
}

static void take_name(char *to, struct span from)
{
    snprintf(to, REMOTE_NAME, "%.*s", (int)from.len, from.len ? from.ptr : "");
}

// --- The end of its rows --------------------------------------------------------------------

static void each_waiting(struct op *o, void (*act)(struct op *o, struct task *t))
{
    struct task *t = tasks_next(&o->tasks, NULL), *next;
    o->busy = true; // the last of them must not end it under our feet
    for (; t; t = next) {
        next = tasks_next(&o->tasks, t);
        if (task_row_waits(t))
            act(o, t);
    }
    o->busy = false;
}

static void answer_with_verdict(struct op *o, struct task *t)
{
    struct provider_result r = o->verdict;
    uint8_t call_id[QUEUE_CALL_ID];
    if (task_row_is_over(t)) {
        task_row_back(t, r.unknown);
        return;
    }
    op_call_id(o, task_field(t).slot, call_id);
    task_row(t, call_id, &r);
}

static void give_back(struct op *o, struct task *t)
{
    task_row_back(t, o->verdict.unknown);
}

static void settle_rest(struct op *o, void (*act)(struct op *o, struct task *t))
{
    ev_timer_stop(o->host.loop, &o->due);
    o->settling = true;
    each_waiting(o, act);
    op_look_if_done(o);
}

// Whether the provider has made more than it has given us.
static bool made_more(const struct op *o)
{
    return o->good < 0 || (uint64_t)o->good > o->delivered;
}

// All there will ever be of the rows has come.
static void finish(struct op *o)
{
    static const struct {
        enum code code;
        const char *message;
    } why[] = {
        [REMOTE_WAITING] = {CODE_TIMEOUT, "the batch did not end"},
        [REMOTE_SUCCEEDED] = {CODE_BAD_RESPONSE, "the batch ended without an answer for it"},
        [REMOTE_FAILED] = {CODE_SERVER_ERROR, "the batch failed"},
        [REMOTE_CANCELLED] = {CODE_SERVER_ERROR, "the batch was cancelled at the provider"},
        [REMOTE_EXPIRED] = {CODE_TIMEOUT, "the batch expired before it was done"},
    };
    o->verdict = (struct provider_result){.code = why[o->state].code,
                                          .retry = RETRY_YES,
                                          .sent = true,
                                          .unknown = o->doubt || made_more(o),
                                          .message = span_of(why[o->state].message)};
    settle_rest(o, o->stop ? give_back : answer_with_verdict);
}

// Nothing was made of it at all.
static void finish_unmade(struct op *o)
{
    o->verdict = (struct provider_result){0};
    settle_rest(o, give_back);
}

// It was refused: each job is told so.
static void refused(struct op *o, const struct remote_reply *r)
{
    o->verdict = r->why;
    o->verdict.sent = o->verdict.unknown = false; // of the rows nothing was made
    log_warn("a batch was refused", "operation=%s code=%s why=\"%.*s\"", o->id,
             code_name(r->why.code), (int)r->why.message.len,
             r->why.message.len ? r->why.message.ptr : "");
    settle_rest(o, answer_with_verdict);
}

// --- Answers --------------------------------------------------------------------------------

static unsigned in_hand(const struct op *o)
{
    const struct task *t = NULL;
    unsigned n = 0;
    while ((t = tasks_next(&o->tasks, t)))
        n += !task_row_waits(t);
    return n;
}

static bool has_room(struct op *o)
{
    struct buf why = {.max = 8192};
    unsigned n = in_hand(o);
    bool room = o->host.stuck == 0 && n < IN_HAND &&
                o->host.sink->ops->room(o->host.sink, n, 1, true, &why) > 0;
    buf_free(&why);
    return room;
}

static void go_on(struct op *o)
{
    if (!o->paused || !o->call)
        return;
    if (!has_room(o)) {
        op_after(o, 0.3, go_on);
        return;
    }
    o->paused = false;
    remote(o)->pause(o->call, false);
}

// The row of one key; NULL: it is none of ours, or was settled before.
static struct task *row_of(struct op *o, struct span key)
{
    size_t n = strlen(o->id);
    uint64_t slot;
    if (key.len < n + 2 || memcmp(key.ptr, o->id, n) != 0 || key.ptr[n] != '.' ||
        text_uint((struct span){key.ptr + n + 1, key.len - n - 1}, 1, QUEUE_MAX_JOBS, &slot) !=
            OK)
        return NULL;
    struct task *t = tasks_find(&o->tasks, (struct queue_field){1, (unsigned)slot});
    return t && task_row_waits(t) ? t : NULL;
}

static void on_row(void *ctx, struct span key, struct provider_result *r)
{
    struct op *o = ctx;
    uint8_t call_id[QUEUE_CALL_ID];
    struct task *t = row_of(o, key);
    o->delivered += r->has_usage;
    if (!t || o->lost)
        return;
    op_call_id(o, task_field(t).slot, call_id);
    r->latency_ms = (int64_t)(server_now(o) * 1000) - o->made_ms;
    task_row(t, call_id, r);
    if (!o->paused && !has_room(o)) {
        o->paused = true;
        remote(o)->pause(o->call, true);
        op_after(o, 0.3, go_on);
    }
}

static void fetch(struct op *o);

static void on_fetched(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    o->paused = false;
    ev_timer_stop(o->host.loop, &o->timer);
    if (stops_here(o))
        return;
    if (r->why.code == CODE_OK) {
        finish(o);
    } else if (r->gone || (o->stop && r->why.code != CODE_STORAGE)) {
        o->doubt = true;
        finish(o);
    } else {
        log_warn("the answers of a batch did not come whole", "operation=%s why=\"%.*s\"",
                 o->id, (int)r->why.message.len, r->why.message.len ? r->why.message.ptr : "");
        op_after(o, pause_of(o), fetch);
    }
}

static void fetch(struct op *o)
{
    o->delivered = 0;
    if (!has_room(o))
        op_after(o, 1., fetch);
    else if (remote(o)->fetch(o->host.provider, o->keys, span_of(o->result), on_row, on_fetched,
                              o, &o->call) != OK)
        op_after(o, pause_of(o), fetch);
}

// --- Waiting for its end --------------------------------------------------------------------

static void look(struct op *o);
static void cancel(struct op *o);

// The younger, the more often; a day's batch once a minute.
static double look_delay(const struct op *o)
{
    double age = server_now(o) - (double)o->made_ms / 1000, delay = age / 10;
    if (o->stop)
        return 0.5;
    return delay < 0.3 ? 0.3 : delay > CAP_S ? CAP_S : delay;
}

static bool all_over(const struct op *o)
{
    const struct task *t = NULL;
    while ((t = tasks_next(&o->tasks, t)))
        if (!task_row_is_over(t))
            return false;
    return true;
}

static void still_waiting(struct op *o)
{
    o->stop = o->stop || all_over(o);
    if (o->stop && o->cancel_until_us == 0) {
        o->cancel_until_us = clock_boot_us() + (int64_t)(CANCEL_S * 1e6);
        cancel(o);
    } else if (o->stop && clock_boot_us() > o->cancel_until_us) {
        o->doubt = true;
        finish(o);
    } else {
        op_after(o, look_delay(o), look);
    }
}

static void ended(struct op *o, const struct remote_reply *r)
{
    o->state = r->state;
    o->good = r->good;
    take_name(o->result, r->result);
    log_info("a batch ended", "operation=%s name=%s state=%d good=%lld", o->id, o->name,
             (int)r->state, (long long)r->good);
    if (o->result[0])
        fetch(o);
    else
        finish(o);
}

static void on_looked(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    if (stops_here(o))
        return;
    if (r->why.code == CODE_OK)
        o->failures = 0;
    if (r->why.code == CODE_OK && r->state != REMOTE_WAITING) {
        ended(o, r);
    } else if (r->gone) {
        o->doubt = true;
        finish(o);
    } else if (r->why.code == CODE_OK || (o->stop && o->cancel_until_us)) {
        still_waiting(o);
    } else {
        if (o->failures == 0)
            log_warn("a batch cannot be looked at", "operation=%s code=%s why=\"%.*s\"", o->id,
                     code_name(r->why.code), (int)r->why.message.len,
                     r->why.message.len ? r->why.message.ptr : "");
        op_after(o, pause_of(o), look);
    }
}

static void look(struct op *o)
{
    if (remote(o)->look(o->host.provider, o->keys, span_of(o->name), on_looked, o, &o->call) !=
        OK) {
        o->call = NULL;
        op_after(o, pause_of(o), look);
    }
}

static void on_cancelled(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    (void)r; // whether it went well, its state will tell
    o->call = NULL;
    if (!stops_here(o))
        op_after(o, 0.2, look);
}

static void cancel(struct op *o)
{
    log_info("cancelling a batch", "operation=%s name=%s", o->id, o->name);
    if (remote(o)->cancel(o->host.provider, o->keys, span_of(o->name), on_cancelled, o,
                          &o->call) != OK) {
        o->call = NULL;
        op_after(o, 1., look);
    }
}

// --- Making it ------------------------------------------------------------------------------

static void make(struct op *o);
static void find(struct op *o);
static void build(struct op *o);

static void found(struct op *o, const struct remote_reply *r)
{
    take_name(o->name, r->name);
    o->failures = 0;
    log_info("a batch was made", "operation=%s name=%s jobs=%u", o->id, o->name,
             tasks_count(&o->tasks));
    note(o, "running", true, still_waiting);
}

static void on_found(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    if (stops_here(o))
        return;
    if (r->why.code == CODE_OK && r->name.len)
        found(o, r);
    else if (r->why.code != CODE_OK)
        op_after(o, pause_of(o), find);
    else if (clock_boot_us() < o->find_until_us)
        op_after(o, FIND_AGAIN, find);
    else if (o->stop)
        finish_unmade(o);
    else
        make(o); // the same file, under the same title
}

static void find(struct op *o)
{
    if (remote(o)->find(o->host.provider, o->keys, span_of(o->title), on_found, o, &o->call) !=
        OK) {
        o->call = NULL;
        op_after(o, pause_of(o), find);
    }
}

static void find_first(struct op *o)
{
    o->find_until_us = clock_boot_us() + (int64_t)(FIND_S * 1e6);
    find(o);
}

static void on_made(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    o->making = false;
    if (o->lost)
        return;
    if (r->why.code == CODE_OK) {
        found(o, r); // noted, even if it is left to others then
        return;
    }
    if (stops_here(o))
        return;
    if (r->why.retry == RETRY_KEY)
        op_after(o, 0.1, make); // with another one
    else if (r->why.retry == RETRY_YES && !r->why.sent)
        op_after(o, pause_of(o), make);
    else if (r->why.retry == RETRY_YES)
        find_first(o); // it may have been made
    else if (r->gone && o->taken_over)
        op_after(o, 0., build); // its file has gone since
    else
        refused(o, r);
    if (r->gone)
        o->taken_over = false; // once
}

static bool may_make(void *ctx)
{
    const struct op *o = ctx;
    return lease_holds(o->lease);
}

// A worker that cannot renew makes nothing.
static void make(struct op *o)
{
    if (!may_make(o)) {
        op_after(o, 0.5, make);
        return;
    }
    if (remote(o)->make(o->host.provider, o->keys, span_of(o->model), span_of(o->title),
                        span_of(o->file), may_make, on_made, o, &o->call) == OK) {
        o->making = true;
    } else {
        o->call = NULL;
        op_after(o, pause_of(o), make);
    }
}

static void upload(struct op *o);

// Nothing left this host: its jobs are not to blame, however long that lasts.
static bool is_unreached(const struct provider_result *r)
{
    return !r->sent && (r->code == CODE_NETWORK || r->code == CODE_TIMEOUT);
}

static void on_uploaded(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    if (stops_here(o))
        return;
    if (r->why.code == CODE_OK) {
        take_name(o->file, r->file);
        o->failures = 0;
        spool_free(o->lines);
        o->lines = NULL;
        if (o->stop || all_over(o))
            finish_unmade(o);
        else
            note(o, "making", false, make);
    } else if (r->why.retry == RETRY_KEY) {
        op_after(o, 0.1, upload);
    } else if (r->why.retry == RETRY_YES && !o->stop &&
               (o->failures < RETRIES || is_unreached(&r->why))) {
        op_after(o, pause_of(o), upload);
    } else {
        refused(o, r);
    }
}

static void upload(struct op *o)
{
    if (o->stop) {
        finish_unmade(o);
    } else if (remote(o)->upload(o->host.provider, o->keys, span_of(o->title), o->lines,
                                 on_uploaded, o, &o->call) != OK) {
        o->call = NULL;
        op_after(o, pause_of(o), upload);
    }
}

static enum err write_lines(struct op *o)
{
    struct task *t = NULL;
    struct buf line = {.max = 17 * JOB_MAX_BYTES};
    char key[64];
    enum err e = OK;
    while (e == OK && (t = tasks_next(&o->tasks, t))) {
        if (!task_row_waits(t) || task_row_is_over(t))
            continue;
        snprintf(key, sizeof key, "%s.%u", o->id, task_field(t).slot);
        buf_clear(&line);
        remote(o)->line(&line, span_of(key), task_job(t));
        e = line.err ? line.err : spool_add(o->lines, (const uint8_t *)line.ptr, line.len);
    }
    buf_free(&line);
    return e == OK ? spool_end(o->lines) : e;
}

static void build(struct op *o)
{
    if (all_over(o)) {
        finish_unmade(o);
        return;
    }
    spool_free(o->lines);
    o->lines = spool_new(remote(o)->place(o->host.provider), OP_MAX_LINES);
    enum err e = o->lines ? write_lines(o) : ERR_NOMEM;
    if (e == OK) {
        upload(o);
        return;
    }
    log_error("the requests of a batch cannot be written", "operation=%s why=" LOGQ, o->id,
              err_text(e));
    op_after(o, 5., build);
}

// --- Where it stands when it comes here -----------------------------------------------------

static double first_due(const struct op *o)
{
    const struct task *t = NULL;
    double first = (double)o->until_ms / 1000 - MARGIN_S;
    while ((t = tasks_next(&o->tasks, t))) {
        double due = task_due(t);
        if (due > 0 && due < first)
            first = due;
    }
    return first;
}

// Its time is up: it is cancelled, or what it waits for is waited for no more.
static void on_due(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop, (void)revents;
    struct op *o = w->data;
    if (o->lost || o->leaving || o->settling)
        return;
    o->stop = true;
    if (ev_is_active(&o->timer) && (o->step == look || o->step == upload || o->step == fetch))
        op_after(o, 0., o->step == fetch ? fetch : o->step == look ? still_waiting : upload);
}

void op_begin(struct op *o, struct span state)
{
    double left = first_due(o) - server_now(o);
    ev_timer_set(&o->due, left > 0 ? left : 0., 0.);
    ev_timer_start(o->host.loop, &o->due);
    if (o->name[0])
        look(o);
    else if (span_is(state, "making") && o->file[0])
        find_first(o);
    else
        build(o);
}

void op_nudge(struct op *o)
{
    if (o->step == look && ev_is_active(&o->timer) && !o->cancel_until_us && all_over(o))
        op_after(o, 0., still_waiting);
}

void op_init_timers(struct op *o)
{
    ev_init(&o->timer, on_timer);
    ev_init(&o->due, on_due);
    o->timer.data = o->due.data = o;
}
