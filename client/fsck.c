// fsck.c - see fsck.h.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/account.h"
#include "client/fsck_private.h"

#define ACCOUNT_TIMEOUT 5.0
#define MOST_BATCHES    100000
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
    if (e == OK)
        e = fsck_wait(f,
                      check_batch(f->queue, span_of(name), f->options->mend, on_problems, f));
    f->result->batches++;
    return e == ERR_MISSING ? OK : e; // forgotten meanwhile
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
    struct fsck_names batches = {.fsck = &f};
    const char *name;
    size_t at = 0;
    *r = (struct fsck_result){0};
    enum err e = all_keys(&f);
    if (e == OK)
        e = fsck_wait(&f, queue_list(f.queue, MOST_BATCHES, fsck_take_names, &batches));
    while (e == OK && (name = fsck_next_name(&batches, &at)))
        e = one_batch(&f, name);
    if (e == OK) // last, for what was mended has changed it
        e = fsck_wait(&f, check_index(f.queue, o->mend, on_problems, &f));
    if (e == OK)
        e = accounts(&f);
    buf_free(&batches.text);
    return e;
}
