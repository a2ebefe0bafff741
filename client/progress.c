// progress.c - counts, figures made of them, and the line.
#include "client/progress.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "client/limited.h"
#include "client/rate.h"
#include "common/clock.h"
#include "common/json.h"

#define REDRAW_MS   100
#define MAX_COLS    200
#define MAX_BAR     40
#define MIN_BAR     10
#define MAX_LIMITED 512 // bytes of words

struct progress {
    FILE *f; // NULL: nothing is drawn
    int64_t total, completed, failed, cancelled, cost_micro;
    struct rate images, jobs; // jobs: that ended
    int64_t drawn_ms;         // when the line was drawn last
    bool shown;               // it stands on the terminal
    enum code blocked;        // why nothing can be sent; CODE_OK: it can
    struct buf limited;       // what limits the farm, in words
    struct json_object *limited_json;
    struct remotes_sum remote; // of its jobs
};

struct progress *progress_new(FILE *terminal, uint32_t total)
{
    struct progress *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->f = terminal && isatty(fileno(terminal)) ? terminal : NULL;
    p->total = total;
    p->limited.max = MAX_LIMITED;
    p->images.start_ms = p->jobs.start_ms = -1;
    p->drawn_ms = INT64_MIN / 2;
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_hide(p);
    buf_free(&p->limited);
    json_object_put(p->limited_json);
    free(p);
}

bool progress_drawn(const struct progress *p)
{
    return p->f != NULL;
}

void progress_start_from(struct progress *p, int64_t completed, int64_t failed,
                         int64_t cancelled, int64_t cost_micro)
{
    p->completed = completed;
    p->failed = failed;
    p->cancelled = cancelled;
    p->cost_micro = cost_micro;
}

void progress_total(struct progress *p, uint32_t total)
{
    p->total = total;
}

static bool same_limit(struct json_object *old, const struct limited_group *g)
{
    struct span reason, group;
    if (!old || !g)
        return !old && !g;
    return json_get_str(old, "reason", &reason) && span_is(reason, g->reason) &&
           json_get_str(old, "group", &group) && span_is(group, g->group);
}

bool progress_limited(struct progress *p, const struct limited_group *g)
{
    bool same = same_limit(p->limited_json, g);
    buf_clear(&p->limited);
    limited_show(&p->limited, g);
    json_object_put(p->limited_json);
    p->limited_json = limited_json(g);
    return !same;
}

bool progress_remote(struct progress *p, const struct remotes_sum *s)
{
    bool same = p->remote.batches == s->batches && p->remote.jobs == s->jobs;
    p->remote = *s;
    return !same;
}

// --- Counting --------------------------------------------------------------------------------

static void look(struct progress *p, int64_t mono_ms)
{
    rate_look(&p->images, mono_ms);
    rate_look(&p->jobs, mono_ms);
}

static void count_ended(struct progress *p, const struct event *e)
{
    p->completed += e->type == EVENT_COMPLETED;
    p->failed += e->type == EVENT_FAILED;
    p->cancelled += e->type == EVENT_CANCELLED;
    p->cost_micro += e->cost_micro;
    rate_add(&p->images, e->n_images);
    rate_add(&p->jobs, 1);
}

// The event does not say what the reopened jobs were; failed ones are retried first.
static void count_reopened(struct progress *p, int64_t jobs)
{
    int64_t failed = jobs < p->failed ? jobs : p->failed;
    int64_t cancelled = jobs - failed < p->cancelled ? jobs - failed : p->cancelled;
    p->failed -= failed;
    p->cancelled -= cancelled;
}

static void take_figures(struct progress *p, const struct event *e)
{
    p->completed = e->completed;
    p->failed = e->failed;
    p->cancelled = e->cancelled;
    p->total = e->total;
    p->cost_micro = e->cost_micro;
}

void progress_event(struct progress *p, const struct event *e, int64_t mono_ms)
{
    look(p, mono_ms);
    switch (e->type) {
    case EVENT_SUBMITTED: p->total = e->total > 0 ? e->total : p->total; break;
    case EVENT_COMPLETED:
    case EVENT_FAILED:
    case EVENT_CANCELLED: count_ended(p, e); break;
    case EVENT_REOPENED: count_reopened(p, e->jobs); break;
    case EVENT_BLOCKED: p->blocked = e->code; break;
    case EVENT_UNBLOCKED: p->blocked = CODE_OK; break;
    case EVENT_BATCH_DONE: take_figures(p, e); break;
    default: break;
    }
}

// --- Figures ---------------------------------------------------------------------------------

double progress_rate(const struct progress *p, int64_t mono_ms)
{
    return rate_of(&p->images, mono_ms);
}

static int64_t ended(const struct progress *p)
{
    return p->completed + p->failed + p->cancelled;
}

// Seconds until all have ended at the present rate; negative: not known.
static double eta(const struct progress *p, int64_t mono_ms)
{
    double rate = rate_of(&p->jobs, mono_ms);
    if (p->total > 0 && ended(p) >= p->total)
        return 0;
    return p->total > 0 && rate > 0 ? (double)(p->total - ended(p)) / rate : -1;
}

static double percent(const struct progress *p)
{
    return p->total > 0 ? 100.0 * (double)ended(p) / (double)p->total : 0;
}

struct json_object *progress_json(const struct progress *p, int64_t mono_ms, struct span batch,
                                  struct span event_id)
{
    char ts[CLOCK_RFC3339_SIZE];
    struct json_object *o = json_object_new_object();
    double left = eta(p, mono_ms);
    clock_rfc3339(clock_wall_ms(), ts);
    json_put_cstr(o, "event", "progress");
    json_put_str(o, "batch", batch);
    json_put_str(o, "event_id", event_id);
    json_put_cstr(o, "ts", ts);
    json_put_int(o, "completed", p->completed);
    json_put_int(o, "failed", p->failed);
    json_put_int(o, "cancelled", p->cancelled);
    json_put_int(o, "total", p->total);
    json_put_fixed(o, "percent", percent(p), 1);
    json_put_fixed(o, "images_per_s", progress_rate(p, mono_ms), 1);
    if (left < 0)
        json_put(o, "eta_s", NULL);
    else
        json_put_fixed(o, "eta_s", left, 1);
    json_put_usd(o, "cost_usd", p->cost_micro);
    json_put(o, "limited_by", json_object_get(p->limited_json));
    json_put(o, "remote", remotes_sum_json(&p->remote));
    return o;
}

// --- The line --------------------------------------------------------------------------------

static void add_eta(struct buf *out, double seconds)
{
    long s = seconds < 359999 ? (long)(seconds + 0.5) : 359999; // 99:59:59
    if (s >= 3600)
        buf_addf(out, "  ETA %ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        buf_addf(out, "  ETA %ld:%02ld", s / 60, s % 60);
}

static void add_figures(const struct progress *p, int64_t mono_ms, struct buf *out)
{
    double rate = progress_rate(p, mono_ms), left = eta(p, mono_ms);
    buf_addf(out, "%3d%%  %lld/%lld", (int)percent(p), (long long)ended(p),
             (long long)p->total);
    if (p->failed)
        buf_addf(out, "  %lld failed", (long long)p->failed);
    if (p->cancelled)
        buf_addf(out, "  %lld cancelled", (long long)p->cancelled);
    if (rate > 0)
        buf_addf(out, "  %.1f images/s", rate);
    if (left > 0)
        add_eta(out, left);
    if (p->cost_micro)
        buf_addf(out, "  $%.2f", (double)p->cost_micro / 1e6);
    if (p->blocked != CODE_OK)
        buf_addf(out, "  blocked: %s", code_name(p->blocked));
    else if (p->limited.len && !p->limited.err)
        buf_addf(out, "  %s", buf_str(&p->limited));
    if (p->remote.batches) {
        buf_add_str(out, "  ");
        remotes_show(out, &p->remote);
    }
}

static void add_bar(const struct progress *p, size_t cells, struct buf *out)
{
    size_t done = (size_t)(percent(p) / 100 * (double)cells);
    buf_add_byte(out, '[');
    for (size_t i = 0; i < cells; i++)
        buf_add_byte(out, i < done ? '#' : i == done ? '>' : '.');
    buf_add_str(out, "] ");
}

void progress_line(const struct progress *p, int64_t mono_ms, unsigned width, struct buf *out)
{
    struct buf figures = {.max = 512};
    add_figures(p, mono_ms, &figures);
    size_t room = width > figures.len + 4 ? width - figures.len - 3 : 0;
    if (room >= MIN_BAR)
        add_bar(p, room < MAX_BAR ? room : MAX_BAR, out);
    struct span s = buf_span(&figures); // plain ASCII: a column is a byte
    if (s.len > width)
        s.len = width;
    buf_add(out, s);
    buf_free(&figures);
}

static unsigned columns(FILE *f)
{
    struct winsize w;
    if (ioctl(fileno(f), TIOCGWINSZ, &w) != 0 || w.ws_col == 0)
        return 79;
    // The last column is left free, for some terminals wrap there.
    return w.ws_col - 1u < MAX_COLS ? w.ws_col - 1u : MAX_COLS;
}

static void draw(struct progress *p, int64_t mono_ms)
{
    struct buf line = {.max = 1024};
    look(p, mono_ms);
    progress_line(p, mono_ms, columns(p->f), &line);
    fprintf(p->f, "\r%s\033[K", buf_str(&line));
    fflush(p->f);
    buf_free(&line);
    p->drawn_ms = mono_ms;
    p->shown = true;
}

void progress_draw(struct progress *p, int64_t mono_ms)
{
    if (p->f && mono_ms - p->drawn_ms >= REDRAW_MS)
        draw(p, mono_ms);
}

void progress_hide(struct progress *p)
{
    if (!p->f || !p->shown)
        return;
    fputs("\r\033[K", p->f);
    fflush(p->f);
    p->shown = false;
    p->drawn_ms = INT64_MIN / 2; // the next draw puts it back at once
}

void progress_end(struct progress *p, int64_t mono_ms)
{
    if (!p->f)
        return;
    draw(p, mono_ms);
    putc('\n', p->f);
    fflush(p->f);
    p->shown = false;
}
