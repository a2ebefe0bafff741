// wait.h - runs the event loop until what a test waits for has come, and connects to servers.
#ifndef TESTS_WAIT_H
#define TESTS_WAIT_H

#include <ev.h>
#include <stdbool.h>

#include "common/redis.h"
#include "redis_server.h"

// Turns the loop until *flag; fails the test after ten seconds, with `what` was waited for.
void wait_for(struct ev_loop *loop, const bool *flag, const char *what);
// The same until `ready(ctx)`, which is asked after each turn.
void wait_until(struct ev_loop *loop, bool (*ready)(void *ctx), void *ctx, const char *what);
// Turns the loop for that long: to show that something does not come.
void wait_seconds(struct ev_loop *loop, double seconds);

// A connection with what it told.
struct link {
    struct ev_loop *loop; // borrowed
    struct redis_url url; // owned
    struct redis *redis;
    bool up, down; // set by what was told last; cleared by link_expect()
    enum err why;  // of the last down
    unsigned ups, downs;
};
struct link *link_new(struct ev_loop *loop, const char *url, const struct redis_options *more);
void link_free(struct link *l);
void link_up(struct link *l);   // waits until it is ready
void link_down(struct link *l); // waits until it says that it is not

// One command, and its answer copied.
struct said {
    bool done;
    unsigned times; // told; must never be above 1
    enum err err;
    int type;
    long long integer;
    char text[512];
};
redis_done said_done;                                                      // ctx: a struct said
struct said link_say(struct link *l, double timeout, const char *command); // split at blanks
// A redis_done that frees the connection which it is called from.
struct link_end { // ctx
    struct link *link;
    bool done;
    unsigned times;
};
redis_done link_ends;
enum err link_begin(struct link *l, double timeout, struct said *s, const char *command);
#endif
