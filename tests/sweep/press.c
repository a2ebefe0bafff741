// press.c - see press.h.
#include "press.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#define ROUTE "1/batch/m"

struct remote_call {
    struct press *press;
    void (*answer)(struct remote_call *c, struct remote_reply *r);
    remote_done *done;
    void *ctx;
    ev_timer timer;
    char name[REMOTE_NAME];
    struct press_file *file;     // upload(), fetch()
    const struct spool *lines;   // upload()
    provider_may_send *may_send; // make()
    remote_row *row;             // fetch()
    unsigned at;                 // rows that were told
};

// --- What is answered -----------------------------------------------------------------------

static struct press_file *file_of(struct press *p, const char *name)
{
    const char *slash = strchr(name, '/');
    unsigned i = slash ? (unsigned)atoi(slash + 1) : PRESS_MOST;
    assert_true(i < p->n_files);
    return &p->files[i];
}

static void write_name(struct remote_call *c, const char *kind, const struct press_file *f,
                       struct span *out)
{
    snprintf(c->name, sizeof c->name, "%s/%u", kind, (unsigned)(f - c->press->files));
    *out = span_of(c->name);
}

static void read_lines(struct press_file *f, const struct spool *lines)
{
    char text[SHOP_TOTAL * 64], *at = text;
    ssize_t n = pread(spool_fd(lines), text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    for (char *end; (end = strchr(at, '\n')); at = end + 1) {
        assert_true(f->rows < SHOP_TOTAL && end - at < 64);
        memcpy(f->keys[f->rows++], at, (size_t)(end - at));
    }
}

static void uploaded(struct remote_call *c, struct remote_reply *r)
{
    struct press *p = c->press;
    assert_true(p->n_files < PRESS_MOST);
    struct press_file *f = &p->files[p->n_files++];
    snprintf(f->title, sizeof f->title, "%s", c->name);
    read_lines(f, c->lines);
    write_name(c, "files", f, &r->file);
}

void press_make(struct press *p, struct press_file *f)
{
    f->made = true;
    p->made++;
    p->shop.calls += f->rows;
}

static void made(struct remote_call *c, struct remote_reply *r)
{
    struct press_file *f = file_of(c->press, c->name);
    if (!c->may_send(c->ctx)) {
        r->why = (struct provider_result){.code = CODE_NETWORK, .retry = RETRY_YES};
        return;
    }
    assert_false(f->made); // it would be billed twice
    press_make(c->press, f);
    write_name(c, "batches", f, &r->name);
}

static void found(struct remote_call *c, struct remote_reply *r)
{
    struct press *p = c->press;
    for (struct press_file *f = p->files; f < p->files + p->n_files; f++)
        if (f->made && strcmp(f->title, c->name) == 0) {
            write_name(c, "batches", f, &r->name);
            return;
        }
}

static void looked(struct remote_call *c, struct remote_reply *r)
{
    const struct press_file *f = file_of(c->press, c->name);
    r->state = REMOTE_SUCCEEDED;
    r->good = f->rows;
    write_name(c, "results", f, &r->result);
}

static void nothing(struct remote_call *c, struct remote_reply *r)
{
    (void)c, (void)r;
}

// One row a turn. Without memory for it the answers do not come whole.
static void next_row(struct remote_call *c, struct remote_reply *r)
{
    struct provider_result row = shop_picture(&c->press->shop);
    if (row.code != CODE_OK) {
        r->why = row;
        return;
    }
    c->row(c->ctx, span_of(c->file->keys[c->at++]), &row);
    spool_free(row.images[0].spool);
}

// --- Calls ----------------------------------------------------------------------------------

static void on_time(struct ev_loop *loop, ev_timer *t, int revents)
{
    (void)revents;
    struct remote_call *c = t->data;
    struct remote_reply r = {.good = -1};
    bool rows = c->row && c->at < c->file->rows;
    if (rows)
        ev_timer_start(loop, t); // first: it may be paused by whom it tells
    c->answer(c, &r);
    if (rows && r.why.code == CODE_OK) {
        c->answer = c->at < c->file->rows ? next_row : nothing;
        return;
    }
    ev_timer_stop(loop, t);
    c->done(c->ctx, &r);
    free(c);
}

static struct remote_call *begin(struct provider *p, struct span name, remote_done *done,
                                 void *ctx,
                                 void (*answer)(struct remote_call *, struct remote_reply *))
{
    struct remote_call *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->press = (struct press *)p;
    c->answer = answer;
    c->done = done;
    c->ctx = ctx;
    snprintf(c->name, sizeof c->name, "%.*s", (int)name.len, name.ptr);
    ev_timer_init(&c->timer, on_time, 0., 0.);
    c->timer.data = c;
    ev_timer_start(c->press->shop.farm->loop, &c->timer);
    return c;
}

static struct spool_place *place(struct provider *p)
{
    return &((struct shop *)p)->place;
}

static void line(struct buf *out, struct span key, const struct job *job)
{
    (void)job;
    buf_add(out, key);
    buf_add_byte(out, '\n');
}

static enum err upload(struct provider *p, struct keyring *k, struct span title,
                       struct spool *lines, remote_done *done, void *ctx,
                       struct remote_call **out)
{
    (void)k;
    if ((*out = begin(p, title, done, ctx, uploaded)))
        (*out)->lines = lines;
    return *out ? OK : ERR_NOMEM;
}

static enum err make(struct provider *p, struct keyring *k, struct span model,
                     struct span title, struct span file, provider_may_send *may_send,
                     remote_done *done, void *ctx, struct remote_call **out)
{
    (void)k, (void)model, (void)title;
    if ((*out = begin(p, file, done, ctx, made)))
        (*out)->may_send = may_send;
    return *out ? OK : ERR_NOMEM;
}

#define ASK(name, answer)                                                        \
    static enum err name(struct provider *p, struct keyring *k, struct span of,  \
                         remote_done *done, void *ctx, struct remote_call **out) \
    {                                                                            \
        (void)k;                                                                 \
        return (*out = begin(p, of, done, ctx, answer)) ? OK : ERR_NOMEM;        \
    }
ASK(find, found)
ASK(look, looked)
ASK(cancel, nothing)

static enum err fetch(struct provider *p, struct keyring *k, struct span result,
                      remote_row *row, remote_done *done, void *ctx, struct remote_call **out)
{
    (void)k;
    if (!(*out = begin(p, result, done, ctx, next_row)))
        return ERR_NOMEM;
    (*out)->row = row;
    (*out)->file = file_of((struct press *)p, (*out)->name);
    return OK;
}

static void forget(struct provider *p, struct keyring *k, struct span file)
{
    (void)p, (void)k, (void)file;
}

static void pause_rows(struct remote_call *c, bool pause)
{
    struct ev_loop *loop = c->press->shop.farm->loop;
    if (pause)
        ev_timer_stop(loop, &c->timer);
    else
        ev_timer_start(loop, &c->timer);
}

static void abort_call(struct remote_call *c)
{
    ev_timer_stop(c->press->shop.farm->loop, &c->timer);
    free(c);
}

static const struct remote_ops remote = {.place = place,
                                         .line = line,
                                         .upload = upload,
                                         .make = make,
                                         .find = find,
                                         .look = look,
                                         .cancel = cancel,
                                         .fetch = fetch,
                                         .forget = forget,
                                         .pause = pause_rows,
                                         .abort = abort_call};
static const struct provider_ops ops = {.remote = &remote}; // no call is made one by one

// --- The worker -----------------------------------------------------------------------------

void press_open(struct press *p, struct farm *f)
{
    *p = (struct press){0};
    shop_open(&p->shop, f, ROUTE);
}

void press_begin(struct press *p)
{
    assert_true(shop_begin(&p->shop, &ops));
    shop_ready(&p->shop);
}

static bool is_uploaded(void *ctx)
{
    return ((struct press *)ctx)->n_files > 0;
}

void press_uploaded(struct press *p)
{
    wait_until(p->shop.farm->loop, is_uploaded, p, "requests to be uploaded");
}

void press_close(struct press *p)
{
    fault_forget();
    shop_drain(&p->shop);
    shop_audit(&p->shop);
    shop_close(&p->shop);
}
