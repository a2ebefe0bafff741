// redis.h - asynchronous requests to Redis: to one server, to the primary that Sentinel names,
// or to the nodes of a cluster.
//
// hiredis is the codec (redisReader); the socket, the TLS, the queue of requests and their
// deadlines are ours (redis_conn.h), because hiredis 0.14 has neither TLS nor timeouts.
//
// A lost connection is made anew by itself, with jittered backoff (100 ms doubling to 5 s), for
// ever; a server that is no primary any more counts as lost. A request whose deadline passes
// drops the connection, for a late answer would shift all the others; every request under way
// is then told ERR_NET (its outcome is unknown) or, for the one that was late, ERR_TIMEOUT.
// Requests made while not ready fail at once with ERR_NET, so that whoever made them decides
// what is worth saying again.
#ifndef COMMON_REDIS_H
#define COMMON_REDIS_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct ev_loop;
struct pollfd;
struct redis;

struct redis_host {
    char *name; // or the socket's path
    uint16_t port;
};
// Where a server is, or who knows where. Strings are owned; redis_url_free() frees them.
struct redis_url {
    enum redis_scheme { REDIS_TCP, REDIS_TLS, REDIS_UNIX } scheme;
    enum redis_kind { REDIS_SERVER, REDIS_SENTINEL, REDIS_CLUSTER } kind;
    struct redis_host *hosts; // the server; the sentinels; some nodes of the cluster
    size_t n_hosts;           // 1 or more
    char *primary;            // its name among the sentinels; NULL without them
    char *user, *password;    // NULL: none
    unsigned db;
};
// redis://[user[:password]@]host[:port][/db], rediss://, unix:///path[?db=N],
// redis+sentinel://[user:password@]host[:port],.../name[/db], redis+cluster://host[:port],...;
// rediss+sentinel:// and rediss+cluster:// speak TLS to all of them. A lone `:password@` has no
// user. %XX is decoded in user, password, hosts and name. `why` says what is wrong.
MUST_USE enum err redis_url_parse(struct span text, struct redis_url *out, struct buf *why);
void redis_url_free(struct redis_url *u);
void redis_url_show(struct buf *out, const struct redis_url *u); // without the password
// One server of those that `u` leads to, in the same manner.
void redis_url_show_at(struct buf *out, const struct redis_url *u, const struct redis_host *at);

// Called on each change: `up` true when ready; false with the reason (err, and redis_why())
// when a connection was lost or could not be made (once per outage, not per try).
typedef void redis_state(void *ctx, bool up, enum err why);

struct redis_options {
    const struct redis_url *url; // borrowed for the connection's life
    const char *name;            // for CLIENT SETNAME; borrowed
    const char *ca_file;         // for TLS; NULL: the system's
    redis_state *on_state;       // may be NULL
    void *ctx;
    double connect_timeout; // seconds, for connect and greeting together; 0: 5 s
};

struct redis *redis_new(struct ev_loop *loop,
                        const struct redis_options *o); // connects at once
void redis_free(struct redis *r); // NULL is fine; requests under way get ERR_CANCELLED
// In a cluster: ready means that the node of this key is, and commands without a key go there.
void redis_home(struct redis *r, struct span key);
bool redis_ready(const struct redis *r);
const char *redis_why(const struct redis *r); // words for the last failure; never NULL
// It is known where the server is, and others say that it is the one (sentinels, a cluster's
// map): when it does not answer, another may be taking over.
bool redis_named(const struct redis *r);
// What the server answered last when it refused a request ("BUSY Redis is busy running a
// script..."), for people; "" before, and in a cluster.
const char *redis_refusal(const struct redis *r);
enum err redis_last_error(const struct redis *r); // OK while ready
unsigned redis_version(const struct redis *r); // 70015 for 7.0.15; 0 before the first greeting
// What its sockets wait for: fills up to `max`, returns how many there are.
size_t redis_poll(const struct redis *r, size_t max, struct pollfd *out);

// Exactly once per redis_call() that returned OK, never from inside it. `reply` is borrowed for
// the time of the callback; NULL unless err is OK or one of the errors an answer can carry:
// ERR_SERVER (reply->str has its text), ERR_BUSY (LOADING, BUSY, READONLY, MISCONF, MASTERDOWN,
// NOREPLICAS, UNBLOCKED, TRYAGAIN, CLUSTERDOWN), ERR_FULL (OOM), ERR_AUTH (NOAUTH,
// WRONGPASS), ERR_DENIED (NOPERM, and what a script may not do).
typedef void redis_done(void *ctx, enum err e, const redisReply *reply);

// `timeout` seconds, from now until the answer (in a cluster up to twice as long, see
// redis_cluster.h); blocking commands: their block time + 2 s. In a cluster all keys of a
// command must be of one slot. Arguments are copied. ERR_NET: not ready; ERR_NOMEM; ERR_TOOBIG:
// over 512 MiB.
MUST_USE enum err redis_call(struct redis *r, double timeout, redis_done *done, void *ctx,
                             size_t argc, const struct span *argv);

// --- Scripts ---------------------------------------------------------------------------------

struct redis_script { // static storage; `sha` is filled at first use
    const char *name;
    struct span source;
    char sha[41];
};
// EVALSHA, and on NOSCRIPT the same again as EVAL, unseen by the caller. KEYS are the first
// `nkeys` (1 or more, so that a cluster can redirect) of argv.
MUST_USE enum err redis_eval(struct redis *r, double timeout, redis_done *done, void *ctx,
                             struct redis_script *script, size_t nkeys, size_t argc,
                             const struct span *argv);
#endif
