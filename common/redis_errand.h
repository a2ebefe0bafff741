// redis_errand.h - requests to a cluster, each of which may have to go to several nodes until
// it is answered for good, and the lines in which they wait for their slot.
//
// There is a line for a slot while something waits for it, so that requests to one slot go out
// in the order in which they were made.
#ifndef COMMON_REDIS_ERRAND_H
#define COMMON_REDIS_ERRAND_H

#include <sys/queue.h>

#include "common/redis_node.h"

struct redis_errand {
    TAILQ_ENTRY(redis_errand) link; // only while it waits
    void *owner;
    redis_done *done;
    void *ctx;
    double timeout;  // seconds, for a node to answer
    double deadline; // on the clock of the loop: it waits no longer
    uint64_t number; // rising, as they were made
    unsigned slot;
    unsigned moves;           // that it was sent elsewhere
    struct redis_node *at;    // who has it; held; only while it is under way
    struct redis_node *asked; // where it goes once, with ASKING; held; NULL: to the slot's
    size_t len;
    char command[]; // as it is written
};
// NULL: out of memory.
struct redis_errand *redis_errand_new(size_t argc, const struct span *argv);
void redis_errand_free(struct redis_errand *e); // and tells nobody
void redis_errand_tell(struct redis_errand *e, enum err err, const redisReply *r); // frees it
void redis_errand_ask(struct redis_errand *e, struct redis_node *n); // NULL: no longer

TAILQ_HEAD(redis_errands, redis_errand);
struct redis_line {
    TAILQ_ENTRY(redis_line) link;
    struct redis_errands errands; // by number
    unsigned slot, tries;
    double again; // nothing goes out before
    // Nobody served the slot just now: one goes out alone, and the others follow if that works.
    bool careful;
    struct redis_errand *scout; // that one, while it is under way
};
TAILQ_HEAD(redis_lines, redis_line);

// NULL: nothing waits for the slot, or with `make`: out of memory.
struct redis_line *redis_lines_find(struct redis_lines *all, unsigned slot, bool make);
bool redis_line_busy(const struct redis_line *l);
void redis_line_add(struct redis_line *l, struct redis_errand *e);
struct redis_errand *redis_line_take(struct redis_line *l); // the first one; NULL: none
// Takes one whose deadline is before `when` out of its line; NULL: none.
struct redis_errand *redis_lines_late(struct redis_lines *all, double when);
void redis_lines_sweep(struct redis_lines *all); // frees the lines that are not busy
#endif
