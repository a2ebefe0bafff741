// session.h - a client's connection to a farm: one for commands, one for waiting on events, in
// a loop of their own. Calls of queue.h are made blocking by session_wait().
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/queue.h"
#include "common/buf.h"
#include "common/err.h"

struct ev_loop;
struct session;

struct session_options {
    struct span redis;   // URL
    struct span queue;   // name
    const char *ca_file; // for TLS; NULL: the system's
    double connect;      // seconds until it is given up; 0: 5
    // Seconds that a server is waited for which is there and cannot answer yet: it loads its
    // data, runs somebody's script, or is being replaced. 0: none; below: for ever. Another
    // failure is told at once.
    double patience;
    // Told when it begins to wait for that, and, with OK, when it is over; may be NULL.
    void (*told)(void *ctx, enum err e, const char *words);
    void *ctx;
};
// Connects. `why` gets a sentence with the server's address and what to do.
MUST_USE enum err session_open(const struct session_options *o, struct session **out,
                               struct buf *why);
void session_close(struct session *s); // NULL is fine
struct ev_loop *session_loop(const struct session *s);
struct queue *session_queue(const struct session *s);  // for commands
struct queue *session_waiter(const struct session *s); // for reads that block
struct redis *session_redis(const struct session *s);
struct redis *session_wait_redis(const struct session *s);

// Runs the loop until *done. ERR_CANCELLED: session_interrupt() was called meanwhile.
MUST_USE enum err session_wait(struct session *s, const bool *done);
// Runs the loop until *done or `seconds` have passed; ERR_TIMEOUT then.
MUST_USE enum err session_wait_for(struct session *s, const bool *done, double seconds);
// For a call that returned `started`: runs the loop until *done, for a call cannot be taken
// back; the outcome of both.
MUST_USE enum err session_finish(struct session *s, enum err started, const bool *done,
                                 const enum err *err);
// Cuts the connections: who waits for an answer is told ERR_CANCELLED before this returns, and
// nothing can be asked any more.
void session_abandon(struct session *s);
void session_interrupt(struct session *s); // may be called from within the loop
bool session_interrupted(const struct session *s);
void session_go_on(struct session *s); // forgets the interruption, so that there can be another

struct session_value { // for calls that answer with a number
    bool done;
    enum err err;
    int64_t value;
};
void session_on_value(void *ctx, enum err e, int64_t value); // a queue_done; ctx: session_value
// `started`: what the call returned. Waits, and returns the outcome.
MUST_USE enum err session_value(struct session *s, enum err started, struct session_value *v);
#endif
