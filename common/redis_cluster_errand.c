// redis_cluster_errand.c - sending errands to the nodes of a cluster, and on to other ones.
#include "common/backoff.h"
#include "common/redis_cluster_private.h"
#include "common/redis_redirect.h"

#define MAX_MOVES    5    // one after the other; then a while is waited before each
#define BACKOFF_BASE 0.02 // of what was to be tried again
#define BACKOFF_CAP  0.2

static void wait_a_while(struct redis_cluster *c, struct redis_line *l)
{
    l->again =
        ev_now(c->loop) + backoff_delay(++l->tries, BACKOFF_BASE, BACKOFF_CAP, BACKOFF_BASE);
}

static void redirect(struct redis_cluster *c, struct redis_errand *e,
                     const struct redis_node *from, const struct redis_redirect *r)
{
    struct span host = r->host.len ? r->host : span_of(redis_node_host(from)->name);
    bool named = r->kind == REDIS_MOVED || r->kind == REDIS_ASK;
    struct redis_node *to = named ? redis_nodes_get(c->nodes, host, r->port) : NULL;
    if (r->kind == REDIS_MOVED && to) {
        e->slot = r->slot;
        redis_nodes_assign(c->nodes, r->slot, to);
    }
    if (r->kind == REDIS_ASK)
        redis_errand_ask(e, to);
    if (r->kind == REDIS_MOVED || r->kind == REDIS_DOWN)
        cluster_map_doubt(c);
    struct redis_line *l = redis_lines_find(&c->lines, e->slot, true);
    if (!l) {
        redis_errand_tell(e, ERR_NOMEM, NULL);
        return;
    }
    redis_line_add(l, e);
    l->careful |= !named;
    if (!to || ++e->moves > MAX_MOVES)
        wait_a_while(c, l);
}

static void on_answer(void *ctx, enum err err, const redisReply *reply)
{
    struct redis_errand *e = ctx;
    struct redis_cluster *c = e->owner;
    struct redis_node *from = e->at;
    struct redis_redirect r = {.kind = REDIS_STAY};
    struct redis_line *l = redis_lines_find(&c->lines, e->slot, false);
    life_enter(&c->life);
    if (reply && reply->type == REDIS_REPLY_ERROR)
        r = redis_redirect_read((struct span){reply->str, (size_t)reply->len});
    if (l && l->scout == e) {
        l->scout = NULL;
        l->careful = r.kind != REDIS_STAY;
    }
    e->at = NULL;
    if (r.kind != REDIS_STAY)
        redirect(c, e, from, &r);
    redis_node_release(from);
    if (r.kind == REDIS_STAY)
        redis_errand_tell(e, err, reply);
    if (!c->life.over)
        cluster_send(c);
    cluster_leave(c);
}

static enum err send_errand(struct redis_errand *e, struct redis_node *to)
{
    bool asking = e->asked;
    e->at = to;
    redis_node_hold(to);
    redis_errand_ask(e, NULL);
    enum err err = redis_node_send(to, asking, e->timeout, on_answer, e,
                                   (struct span){e->command, e->len});
    if (err != OK)
        redis_node_release(to);
    return err;
}

// Sends what may go. false: someone was told that his could not, and may have changed things.
static bool send_line(struct redis_cluster *c, struct redis_line *l)
{
    struct redis_errand *e;
    if (ev_now(c->loop) < l->again)
        return true;
    while (!l->scout && (e = TAILQ_FIRST(&l->errands))) {
        struct redis_node *to = e->asked ? e->asked : redis_nodes_of(c->nodes, l->slot);
        if (to)
            redis_node_connect(to);
        if (!to || !redis_node_ready(to)) {
            cluster_map_ask_later(c);
            return true;
        }
        redis_line_take(l);
        enum err err = send_errand(e, to);
        if (err != OK) {
            redis_errand_tell(e, err, NULL);
            return false;
        }
        l->scout = l->careful ? e : NULL;
    }
    return true;
}

void cluster_send(struct redis_cluster *c)
{
    struct redis_line *l;
    TAILQ_FOREACH(l, &c->lines, link)
    if (!send_line(c, l))
        return; // the others follow in a later turn
}

enum err cluster_set_out(struct redis_cluster *c, struct redis_errand *e)
{
    struct redis_line *l = redis_lines_find(&c->lines, e->slot, false);
    struct redis_node *to = redis_nodes_of(c->nodes, e->slot);
    if (to && redis_node_ready(to) && !(l && redis_line_busy(l)))
        return send_errand(e, to);
    if (!l && !(l = redis_lines_find(&c->lines, e->slot, true)))
        return ERR_NOMEM;
    redis_line_add(l, e);
    if (to)
        redis_node_connect(to);
    cluster_rearm(c);
    return OK;
}

bool cluster_waits(const struct redis_cluster *c)
{
    const struct redis_line *l;
    TAILQ_FOREACH(l, &c->lines, link)
    if (!TAILQ_EMPTY(&l->errands))
        return true;
    return false;
}

void cluster_tell_late(struct redis_cluster *c)
{
    struct redis_errand *e;
    while (!c->life.over && (e = redis_lines_late(&c->lines, ev_now(c->loop))))
        redis_errand_tell(e, ERR_TIMEOUT, NULL);
}

void cluster_tell_all(struct redis_cluster *c, enum err err)
{
    struct redis_errand *e;
    while ((e = redis_lines_late(&c->lines, 1e300)))
        redis_errand_tell(e, err, NULL);
}
