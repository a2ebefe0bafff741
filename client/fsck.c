// fsck.c - see fsck.h.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/account.h"
#include "client/fsck_private.h"

#define ACCOUNT_TIMEOUT 5.0
#define MOMENT          2.0 // seconds for an answer after an interruption

// What the answer would be put into lies on the stack, mostly: it comes now or never.
static void interrupted(struct fsck *f)
{
    session_go_on(f->session); // once more is once more
    f->gone = session_wait_for(f->session, &f->done, MOMENT) != OK;
    if (f->gone)
        session_abandon(f->session);
}

enum err fsck_wait(struct fsck *f, enum err started)
{
    enum err e = started == OK ? session_wait(f->session, &f->done) : started;
    if (e == ERR_CANCELLED)
        interrupted(f);
    f->done = false;
    return e == OK ? f->err : e;
}

static void tell(struct fsck *f, struct span text, bool mended)
{
    f->result->problems++;
    f->result->mended += mended;
    f->options->problem(f->options->ctx, text, mended);
}

void fsck_problem(struct fsck *f, bool mended, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    tell(f, span_of(text), mended);
}

void fsck_take_names(void *ctx, enum err e, const struct span *names, size_t n)
{
    struct fsck_names *to = ctx;
    to->fsck->done = true;
    to->fsck->err = e;
    to->text.max = 64u << 20;
    for (size_t i = 0; e == OK && i < n; i++) {
        buf_add(&to->text, names[i]);
        buf_add_byte(&to->text, '\0');
        to->n++;
    }
    if (to->text.err)
        to->fsck->err = to->text.err;
}

static void on_batches(void *ctx, enum err e, uint64_t next, const struct span *names, size_t n)
{
    struct fsck_names *to = ctx;
    fsck_take_names(to, e, names, n);
    to->fsck->next = next;
}

enum err fsck_batches(struct fsck_names *n, bool open_only, uint64_t *next)
{
    struct fsck *f = n->fsck;
    enum err e = fsck_wait(f, check_batches(f->queue, *next, open_only, on_batches, n));
    if (e == OK && f->next >= *next)
        e = ERR_FORMAT;
    *next = f->next;
    return e;
}

const char *fsck_next_name(const struct fsck_names *n, size_t *at)
{
    if (*at >= n->text.len)
        return NULL;
    const char *name = n->text.ptr + *at;
    *at += strlen(name) + 1;
    return name;
}

static void on_problems(void *ctx, enum err e, uint64_t next, const struct check_problem *p,
                        size_t n)
{
    struct fsck *f = ctx;
    f->done = true;
    f->err = e;
    f->next = next;
    for (size_t i = 0; i < n; i++)
        tell(f, p[i].text, p[i].mended);
}

static enum err all_keys(struct fsck *f)
{
    enum err e = OK;
    f->next = 0;
    do {
        e = fsck_wait(f, check_keys(f->queue, f->next, f->options->mend, on_problems, f));
    } while (e == OK && f->next != 0);
    return e;
}

static enum err one_batch(struct fsck *f, const char *name)
{
    enum err e = fsck_jobs(f, name); // first: it may mend counters
    if (e == OK || e == ERR_MISSING)
        e = fsck_wait(f,
                      check_batch(f->queue, span_of(name), f->options->mend, on_problems, f));
    f->result->batches++;
    return e == ERR_MISSING ? OK : e; // forgotten meanwhile
}

static enum err all_batches(struct fsck *f)
{
    enum err e = OK;
    for (uint64_t next = CHECK_FIRST; e == OK && next != 0;) {
        struct fsck_names batches = {.fsck = f};
        const char *name;
        size_t at = 0;
        e = fsck_batches(&batches, false, &next);
        while (e == OK && (name = fsck_next_name(&batches, &at)))
            e = one_batch(f, name);
        buf_free(&batches.text);
    }
    return e;
}

static void on_accounts(void *ctx, enum err e, const struct span *told, size_t n)
{
    struct fsck *f = ctx;
    f->done = true;
    f->err = e;
    for (size_t i = 0; i + 1 < n; i += 2)
        tell(f, told[i], span_is(told[i + 1], "1"));
}

// Of all queues: what is reserved is compared with the calls it is for.
static enum err accounts(struct fsck *f)
{
    enum err e = fsck_wait(f, account_check(queue_redis(f->queue), ACCOUNT_TIMEOUT,
                                            f->options->mend, on_accounts, f));
    return e == ERR_DENIED ? OK : e;
}

enum err fsck_run(struct session *s, const struct fsck_options *o, struct fsck_result *r)
{
    struct fsck f = {.session = s, .queue = session_queue(s), .options = o, .result = r};
    *r = (struct fsck_result){0};
    enum err e = all_keys(&f);
    if (e == OK)
        e = all_batches(&f);
    if (e == OK) // last, for what was mended has changed them
        e = fsck_counts(&f);
    return e == OK ? accounts(&f) : e;
}
