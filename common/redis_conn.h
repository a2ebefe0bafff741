// redis_conn.h - one connection to one server: its states, deadlines, and how it is made anew.
// For the files redis_*.c only; everybody else uses redis.h.
//
//   CLOSED -> FINDING -> CONNECTING -> GREETING -> READY
//     ^__________|___________|____________|__________|
//
// CLOSED waits for its next try, with jittered backoff (100 ms doubling to 5 s). FINDING is for
// those that must ask for the address first. GREETING is redis_greeting.c's.
#ifndef COMMON_REDIS_CONN_H
#define COMMON_REDIS_CONN_H

#include "common/redis.h"

struct pollfd;
struct redis_conn;

// Whom we expect: decides what the greeting asks for.
enum redis_peer {
    REDIS_PEER_PRIMARY, // takes writes, and is refused while it does not
    REDIS_PEER_NODE,    // any node of a cluster
    REDIS_PEER_SENTINEL // needs no password, as a rule, but is given ours
};

struct redis_conn_options {
    const struct redis_url
        *url; // how to log in, and where unless `at` or `find` says; borrowed
    const struct redis_host *at; // copied
    const char *name, *ca_file;  // borrowed; as in redis_options
    enum redis_peer peer;
    bool once;             // is not made anew when it fails or is lost
    redis_state *on_state; // as in redis_options
    // The address must be found: redis_conn_aim() or redis_conn_unfound() follows, from inside
    // or later.
    void (*find)(void *ctx);
    redis_done *pushed; // answers that nobody asked for; NULL: they end the connection
    void *ctx;
    double connect_timeout; // seconds; 0: 5
};

struct redis_conn *redis_conn_new(struct ev_loop *loop, const struct redis_conn_options *o);
void redis_conn_free(struct redis_conn *c); // NULL is fine; requests get ERR_CANCELLED
bool redis_conn_ready(const struct redis_conn *c);
const char *redis_conn_refusal(const struct redis_conn *c); // its last error answer, or ""
const char *redis_conn_why(const struct redis_conn *c);     // never NULL
enum err redis_conn_error(const struct redis_conn *c); // of the last failure; OK while ready
unsigned redis_conn_version(const struct redis_conn *c);
bool redis_conn_poll(const struct redis_conn *c, struct pollfd *out); // false: no socket

// As redis_call() and with the same promises; _send() takes a whole command as it is written.
MUST_USE enum err redis_conn_call(struct redis_conn *c, double timeout, redis_done *done,
                                  void *ctx, size_t argc, const struct span *argv);
MUST_USE enum err redis_conn_send(struct redis_conn *c, double timeout, redis_done *done,
                                  void *ctx, struct span command);

// The server is there: goes there, unless it is there already. Both may call back from inside.
void redis_conn_aim(struct redis_conn *c, const struct redis_host *at);
// Nobody knows where it is, for now; only while FINDING.
void redis_conn_unfound(struct redis_conn *c, enum err e, const char *why);

// --- For redis_greeting.c --------------------------------------------------------------------

const struct redis_conn_options *redis_conn_options(const struct redis_conn *c);
bool redis_conn_greets(const struct redis_conn *c); // false: it was lost meanwhile
// `done` gets the connection as its ctx. A failure to say it ends the connection.
void redis_conn_say(struct redis_conn *c, redis_done *done, size_t argc,
                    const struct span *argv);
void redis_conn_set_version(struct redis_conn *c, unsigned version);
void redis_conn_welcome(struct redis_conn *c); // READY
// Closes, tells everyone, and comes back after a while. `what` is added to the address.
void redis_conn_fail(struct redis_conn *c, enum err e, const char *what);
#endif
