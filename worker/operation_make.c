// operation_make.c - an operation's way to a batch at the provider: its requests are written,
// uploaded, and made a batch of, which is found again by its title if the answer was lost.
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/lease.h"
#include "worker/operation_private.h"
#include "worker/spool.h"
#include "worker/task_batch.h"

#define RETRIES    5    // of an upload, before its jobs are told
#define FIND_S     10.0 // until a batch that is not listed is taken for not made
#define FIND_AGAIN 2.0

static void make(struct op *o);
static void find(struct op *o);

static void found(struct op *o, const struct remote_reply *r)
{
    op_take_name(o->name, r->name);
    o->failures = 0;
    log_info("a batch was made", "operation=%s name=%s jobs=%u", o->id, o->name,
             tasks_count(&o->tasks));
    op_note(o, "running", true, op_still_waiting);
}

static void on_found(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    if (op_stops(o))
        return;
    if (r->why.code == CODE_OK && r->name.len)
        found(o, r);
    else if (r->why.code != CODE_OK)
        op_after(o, op_pause(o), find);
    else if (clock_boot_us() < o->find_until_us)
        op_after(o, FIND_AGAIN, find);
    else if (o->stop)
        op_finish_unmade(o);
    else
        make(o); // the same file, under the same title
}

static void find(struct op *o)
{
    if (op_remote(o)->find(o->host.provider, o->keys, span_of(o->title), on_found, o,
                           &o->call) != OK) {
        o->call = NULL;
        op_after(o, op_pause(o), find);
    }
}

void op_find_first(struct op *o)
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
    if (op_stops(o))
        return;
    if (r->why.retry == RETRY_KEY)
        op_after(o, 0.1, make); // with another one
    else if (r->why.retry == RETRY_YES && !r->why.sent)
        op_after(o, op_pause(o), make);
    else if (r->why.retry == RETRY_YES)
        op_find_first(o); // it may have been made
    else if (r->gone && o->taken_over)
        op_after(o, 0., op_build); // its file has gone since
    else
        op_refused(o, r);
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
    if (op_remote(o)->make(o->host.provider, o->keys, span_of(o->model), span_of(o->title),
                           span_of(o->file), may_make, on_made, o, &o->call) == OK) {
        o->making = true;
    } else {
        o->call = NULL;
        op_after(o, op_pause(o), make);
    }
}

// --- Uploading -------------------------------------------------------------------------------

// Nothing left this host: its jobs are not to blame, however long that lasts, and it is not
// counted among the tries.
static bool is_unreached(struct op *o, const struct provider_result *r)
{
    bool was = o->unreached;
    o->unreached = !r->sent && (r->code == CODE_NETWORK || r->code == CODE_TIMEOUT);
    if (o->unreached && !was)
        log_warn("a batch cannot be uploaded", "operation=%s code=%s why=" LOGQ, o->id,
                 code_name(r->code), r->message.len ? r->message.ptr : "");
    if (was && !o->unreached)
        o->failures = 0;
    return o->unreached;
}

static void on_uploaded(void *ctx, const struct remote_reply *r)
{
    struct op *o = ctx;
    o->call = NULL;
    if (op_stops(o))
        return;
    if (r->why.code == CODE_OK) {
        op_take_name(o->file, r->file);
        o->failures = 0;
        spool_free(o->lines);
        o->lines = NULL;
        if (o->stop || op_all_over(o))
            op_finish_unmade(o);
        else
            op_note(o, "making", false, make);
    } else if (r->why.retry == RETRY_KEY) {
        op_after(o, 0.1, op_upload);
    } else if (r->why.retry == RETRY_YES && !o->stop &&
               (is_unreached(o, &r->why) || o->failures < RETRIES)) {
        op_after(o, op_pause(o), op_upload);
    } else {
        op_refused(o, r);
    }
}

void op_upload(struct op *o)
{
    if (o->stop) {
        op_finish_unmade(o);
    } else if (op_remote(o)->upload(o->host.provider, o->keys, span_of(o->title), o->lines,
                                    on_uploaded, o, &o->call) != OK) {
        o->call = NULL;
        op_after(o, op_pause(o), op_upload);
    }
}

// --- Its requests ----------------------------------------------------------------------------

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
        op_remote(o)->line(&line, span_of(key), task_job(t));
        e = line.err ? line.err : spool_add(o->lines, (const uint8_t *)line.ptr, line.len);
    }
    buf_free(&line);
    return e == OK ? spool_end(o->lines) : e;
}

void op_build(struct op *o)
{
    if (op_all_over(o)) {
        op_finish_unmade(o);
        return;
    }
    spool_free(o->lines);
    o->lines = spool_new(op_remote(o)->place(o->host.provider), OP_MAX_LINES);
    enum err e = o->lines ? write_lines(o) : ERR_NOMEM;
    if (e == OK) {
        op_upload(o);
        return;
    }
    log_error("the requests of a batch cannot be written", "operation=%s why=" LOGQ, o->id,
              err_text(e));
    op_after(o, 5., op_build);
}
