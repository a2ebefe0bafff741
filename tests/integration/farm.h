// farm.h - the queue on a server of the test's own, called and waited for in one step.
#ifndef TESTS_FARM_H
#define TESTS_FARM_H

#include "broker/event.h"
#include "broker/queue.h"
#include "wait.h"

#define FARM_LEASE  60000 // ms: longer than any test; expiry is made, not waited for
#define FARM_ROUTE  "1/standard/m"
#define FARM_LANE   "standard/m"
#define FARM_MOST   1000
#define FARM_PREFIX "genfarm:{q}:"

struct farm {
    struct redis_server *server;
    struct ev_loop *loop;
    struct link *link;
    struct queue *queue;
};
int farm_open(void **state); // cmocka group set-up and tear-down; state: a struct farm
int farm_close(void **state);
int farm_fresh(void **state);                      // before each test: no keys, no memory limit
struct farm *farm_with(const char *const extra[]); // another one, with such a server
void farm_free(struct farm *f);
void farm_again(struct farm *f); // after its server was started again: connected

struct told { // what a queue_done was told
    bool done;
    unsigned times;
    enum err err;
    int64_t value;
};
queue_done told_value; // ctx: a struct told
struct told farm_wait(struct farm *f, enum err accepted, struct told *t);

// --- Producing ---

struct told farm_create(struct farm *f, const char *batch, const char *user);
// n jobs from `first`, all on `route` (NULL: FARM_ROUTE); `salt` goes into each input.
struct told farm_chunk_of(struct farm *f, const char *batch, uint32_t first, uint32_t n,
                          const char *route, const char *salt);
struct told farm_chunk(struct farm *f, const char *batch, uint32_t first, uint32_t n);
struct told farm_seal(struct farm *f, const char *batch, uint32_t total);
// All three, which must succeed.
void farm_submit(struct farm *f, const char *batch, const char *user, const char *route,
                 uint32_t n);

// --- Working ---

struct hand { // a worker
    char inc[40];
    uint64_t seq, number, mark; // the last ones used
};
struct held { // a claimed job
    char batch[JOB_MAX_NAME + 1], user[JOB_MAX_NAME + 1], list[4 * JOB_MAX_NAME];
    char id[64];
    int64_t total;
    struct queue_field field;
    struct ticket ticket;
};
struct claims {
    bool done;
    enum err err;
    int64_t ready; // over all lanes
    size_t n;
    struct held jobs[FARM_MOST];
};
struct marks {
    bool done;
    enum err err;
    char text[FARM_MOST + 1];
};
struct hand farm_hand(struct farm *f, const char *inc); // registered
struct told farm_register(struct farm *f, const char *inc);
// The caller frees what it gets. NULL lanes: FARM_LANE.
struct claims *farm_claim(struct farm *f, struct hand *h, unsigned want);
struct claims *farm_claim_at(struct farm *f, struct hand *h, uint64_t seq, unsigned want,
                             const char *lane);
struct marks farm_sent(struct farm *f, struct hand *h, size_t n, const struct held *jobs);
// The same of jobs that are to fail when nobody knows what came of their calls.
struct marks farm_sent_to_fail(struct farm *f, struct hand *h, size_t n,
                               const struct held *jobs);
struct marks farm_sent_as(struct farm *f, const struct hand *h, uint64_t number, size_t n,
                          const struct held *jobs, int64_t worst); // worst: of each call
// The event that a job ends with; its id is the job's.
struct event farm_event(enum event_type type, const struct held *job);
// Settles all of them in the same way; of terminal ones with the event that belongs to it.
struct marks farm_settle(struct farm *f, struct hand *h, enum queue_op op, size_t n,
                         const struct held *jobs);
struct marks farm_settle_as(struct farm *f, struct hand *h, uint64_t number, size_t n,
                            const struct queue_settle *s);
struct marks farm_set_aside(struct farm *f, struct hand *h, int64_t worst, size_t n,
                            const struct held *jobs);
struct marks farm_requeue(struct farm *f, struct hand *h, int64_t delay_ms, size_t n,
                          const struct held *jobs);
struct renewal {
    bool done;
    enum err err;
    int64_t active, ready;
    size_t n_cancelled;
    char cancelled[JOB_MAX_NAME + 1]; // the first of them
};
struct renewal farm_renew(struct farm *f, const struct hand *h);
struct told farm_leave(struct farm *f, const struct hand *h);
struct told farm_tick(struct farm *f);
void farm_tick_all(struct farm *f);                     // until there is nothing more to do
void farm_expire(struct farm *f, const struct hand *h); // its lease has ended
// Claims and completes everything there is; returns how many.
size_t farm_work_off(struct farm *f, struct hand *h);

// --- Watching ---

struct status {
    bool done;
    enum err err;
    struct queue_batch b; // numbers and flags only: its spans are gone
};
struct status farm_status(struct farm *f, const char *batch);
struct told farm_cancel(struct farm *f, const char *batch, size_t n, const uint32_t *indexes);
struct told farm_retry(struct farm *f, const char *batch, uint16_t run, size_t n,
                       const uint32_t *indexes);
struct told farm_pause(struct farm *f, const char *batch, bool on);
// How many events of that type the batch has, of those of one index (-1: all).
unsigned farm_events(struct farm *f, const char *batch, enum event_type type, int64_t index);
#endif
