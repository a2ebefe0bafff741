// main.c - genfarm-worker: parts are put together, signals, the end.
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/catalogue.h"
#include "broker/request.h"
#include "broker/tier.h"
#include "common/file.h"
#include "common/log.h"
#include "common/pool.h"
#include "common/secret.h"
#include "worker/keyring.h"
#include "worker/provider.h"
#include "worker/settings.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define EXIT_CANNOT 1
#define EXIT_USAGE  2
#define EXIT_BREAK  130
#define MAX_THREADS 64

struct program {
    struct ev_loop *loop;
    struct settings settings;
    struct catalogue *catalogue;
    struct pool *pool;
    struct provider *provider;
    struct keyring *keyrings[PROJECTS_MAX];
    size_t n_keyrings;
    struct worker_peers peers;
    ev_signal term, interrupt;
    bool draining;
};

static int say(const char *why, int status)
{
    fprintf(stderr, "genfarm-worker: %s\n", why);
    return status;
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)loop, (void)revents;
    struct program *p = w->data;
    if (p->draining) {
        log_warn("leaving at once", "signal=%d", w->signum);
        log_close();
        _exit(EXIT_BREAK);
    }
    p->draining = true;
    for (unsigned i = 0; i < p->peers.n; i++)
        worker_drain(p->peers.at[i]);
}

static void watch_signals(struct program *p)
{
    signal(SIGPIPE, SIG_IGN);
    ev_signal_init(&p->term, on_signal, SIGTERM);
    ev_signal_init(&p->interrupt, on_signal, SIGINT);
    p->term.data = p->interrupt.data = p;
    ev_signal_start(p->loop, &p->term);
    ev_signal_start(p->loop, &p->interrupt);
}

// A call in flight needs a connection and a spool.
static void raise_descriptors(const struct settings *s)
{
    struct rlimit r;
    rlim_t need = 4 * s->concurrency + 256;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    if (r.rlim_cur < need) {
        r.rlim_cur = r.rlim_max == RLIM_INFINITY || r.rlim_max > need ? need : r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    if (r.rlim_cur < need)
        log_warn("few file descriptors", "have=%lu want=%lu", (unsigned long)r.rlim_cur,
                 (unsigned long)need);
}

static struct sink *make_sink(void *ctx, struct ev_loop *loop, void *queue)
{
    struct program *p = ctx;
    const struct settings *s = &p->settings;
    const struct sink_bounds b = {(int64_t)s->max_stored,
                                  (int64_t)(s->keep_bytes ? s->keep_bytes : s->max_stored),
                                  (int64_t)(s->keep * 1000)};
    return s->sink_dir ? sink_dir_new(p->pool, s->sink_dir) : sink_redis_new(loop, queue, &b);
}

// --- Beginning ------------------------------------------------------------------------------

static enum err make_folders(const struct settings *s, struct buf *why)
{
    const char *const folders[] = {s->sink_dir, s->spool};
    for (unsigned i = 0; i < 2; i++) {
        if (!folders[i])
            continue;
        enum err e = file_mkdirs(folders[i]);
        if (e == OK && access(folders[i], W_OK | X_OK) != 0)
            e = file_err(errno);
        if (e != OK) {
            buf_addf(why, "%s: %s", folders[i], strerror(errno));
            return e;
        }
    }
    return OK;
}

static void hide_keys(const struct settings *s)
{
    for (size_t i = 0; i < s->projects.n; i++)
        for (size_t k = 0; k < s->projects.at[i].n_keys; k++)
            log_secret(buf_span(&s->projects.at[i].keys[k].secret));
}

static void warn_of_file(const char *file)
{
    if (secret_exposed(file))
        log_warn("others than its owner may read a key's file", "file=" LOGQ, file);
}

static void warn_of_files(const struct settings *s)
{
    if (s->key_file)
        warn_of_file(s->key_file);
    for (size_t i = 0; s->projects_file && i < s->projects.n; i++)
        for (size_t k = 0; k < s->projects.at[i].n_keys; k++) {
            const struct project_key *key = &s->projects.at[i].keys[k];
            if (!key->in_env && key->from)
                warn_of_file(key->from);
        }
}

static bool make_keyrings(struct program *p)
{
    const struct projects *all = &p->settings.projects;
    while (p->n_keyrings < all->n &&
           (p->keyrings[p->n_keyrings] = keyring_new(&all->at[p->n_keyrings])))
        p->n_keyrings++;
    return p->n_keyrings == all->n;
}

static enum err make_workers(struct program *p)
{
    const struct settings *s = &p->settings;
    struct worker_parts parts = {p->provider, p->pool, make_sink, p};
    for (size_t i = 0; i < s->queues.n; i++) {
        struct worker_options o = {.redis = &s->url,
                                   .ca_file = s->ca_file,
                                   .queue = s->queues.at[i],
                                   .keyrings = p->keyrings,
                                   .n_keyrings = p->n_keyrings,
                                   .project = p->n_keyrings == 1 ? s->projects.at[0].name : "",
                                   .concurrency = (unsigned)s->concurrency,
                                   .peers = &p->peers,
                                   .lease = s->lease,
                                   .grace = s->grace,
                                   .verify = s->check,
                                   .catalogue = p->catalogue,
                                   .sink_name = s->sink,
                                   .ledger = (int64_t)s->ledger,
                                   .max_batches = (unsigned)s->max_batches,
                                   .batch_bytes = s->batch_bytes};
        if (!worker_new(p->loop, &o, &parts))
            return ERR_NOMEM;
    }
    return OK;
}

// A tier that no model has would be no limit at all.
static enum err check_tiers(const struct projects *all, const struct catalogue *c,
                            struct buf *why)
{
    for (const struct project *p = all->at; p < all->at + all->n; p++)
        for (size_t i = 0; i <= p->n_limits; i++) {
            struct span spec = buf_span(i ? &p->limits[i - 1].spec : &p->limit);
            if (tier_known(c, spec))
                continue;
            buf_addf(why, "limit \"%.*s\": no model of the catalogue has such a tier",
                     (int)spec.len - 1, spec.ptr + 1);
            return ERR_MISSING;
        }
    return OK;
}

// Options and files have been read: what is left of them.
static int dry_run(struct program *p)
{
    struct buf why = {.max = 4096};
    int status = 0;
    enum err e = catalogue_open(p->settings.catalogue, &p->catalogue, &why);
    if (e == OK)
        e = check_tiers(&p->settings.projects, p->catalogue, &why);
    if (e != OK)
        status = say(buf_str(&why), EXIT_CANNOT);
    buf_free(&why);
    return status;
}

// What was read of keys is in memory alone from here on.
static void forget_keys(const struct settings *s)
{
    const char *google = getenv("GOOGLE_API_KEY"), *gemini = getenv("GEMINI_API_KEY");
    if (!s->key_file && !s->projects_file && google && gemini && strcmp(google, gemini) != 0)
        log_warn("two keys are set", "used=%s", "GOOGLE_API_KEY");
    secret_forget(request_key_names);
    projects_forget(&s->projects);
}

static enum err check_files(struct program *p, struct buf *why)
{
    const struct settings *s = &p->settings;
    enum err e = catalogue_open(s->catalogue, &p->catalogue, why);
    if (e == OK)
        e = check_tiers(&s->projects, p->catalogue, why);
    return e == OK ? make_folders(s, why) : e;
}

static enum err make_parts(struct program *p, struct buf *why)
{
    const struct settings *s = &p->settings;
    struct gemini_options g = {s->base_url, s->spool, s->gemini_ca, (unsigned)s->concurrency};
    p->pool = pool_new(p->loop, pool_cores(MAX_THREADS), 0);
    p->provider = provider_gemini_new(p->loop, &g);
    enum err e = p->pool && p->provider && make_keyrings(p) ? make_workers(p) : ERR_NOMEM;
    if (e != OK)
        buf_add_str(why, err_text(e));
    return e;
}

static enum err begin(struct program *p, struct buf *why)
{
    const struct settings *s = &p->settings;
    enum err e = log_open("genfarm-worker", s->level, s->log_dir);
    if (e != OK) {
        buf_addf(why, "--log-file %s: %s", s->log_dir, strerror(errno));
        return e;
    }
    hide_keys(s);
    warn_of_files(s);
    forget_keys(s);
    raise_descriptors(s);
    e = check_files(p, why);
    return e == OK ? make_parts(p, why) : e;
}

// --- End ------------------------------------------------------------------------------------

static int status_of(const struct program *p)
{
    for (unsigned i = 0; i < p->peers.n; i++)
        if (worker_refused(p->peers.at[i]))
            return say(worker_refused(p->peers.at[i]), EXIT_CANNOT);
    return 0;
}

static bool all_drained(const struct program *p)
{
    for (unsigned i = 0; i < p->peers.n; i++)
        if (!worker_drained(p->peers.at[i]))
            return false;
    return true;
}

static void end(struct program *p)
{
    for (unsigned i = 0; i < p->peers.n; i++)
        worker_free(p->peers.at[i]);
    if (p->pool)
        pool_free(p->pool);
    if (p->provider)
        p->provider->ops->free(p->provider);
    for (size_t i = 0; i < p->n_keyrings; i++)
        keyring_free(p->keyrings[i]);
    catalogue_free(p->catalogue);
    settings_free(&p->settings);
    ev_loop_destroy(p->loop);
    log_close();
}

static int run(struct program *p)
{
    struct buf why = {.max = 4096};
    enum err e = begin(p, &why);
    if (e != OK) {
        int status = say(buf_str(&why), EXIT_CANNOT);
        buf_free(&why);
        return status;
    }
    watch_signals(p);
    ev_run(p->loop, 0);
    int status = status_of(p);
    if (status == 0 &&
        !all_drained(p)) { // calls are under way still: leave them where they are
        log_close();
        _exit(0);
    }
    return status;
}

int main(int argc, char *argv[])
{
    secret_no_dumps();
    secret_hide_arguments(argc, argv);
    struct program p = {.loop = ev_default_loop(0)};
    struct buf why = {.max = 4096};
    enum err e = p.loop ? settings_read(&p.settings, argc, argv, &why) : ERR_NOMEM;
    int status = 0;
    if (e != OK)
        status =
            say(buf_str(&why), e == ERR_FORMAT || e == ERR_RANGE ? EXIT_USAGE : EXIT_CANNOT);
    else if (p.settings.help)
        settings_help(stdout);
    else if (p.settings.version)
        printf("genfarm-worker %s\n", GENFARM_VERSION);
    else if (p.settings.dry)
        status = dry_run(&p);
    else
        status = run(&p);
    buf_free(&why);
    if (p.loop)
        end(&p);
    return status;
}
