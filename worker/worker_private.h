// worker_private.h - what the files worker*.c share.
#ifndef WORKER_WORKER_PRIVATE_H
#define WORKER_WORKER_PRIVATE_H

#include <ev.h>

#include "broker/queue.h"
#include "worker/batcher.h"
#include "worker/gate.h"
#include "worker/held.h"
#include "worker/inbox.h"
#include "worker/lease.h"
#include "worker/pump.h"
#include "worker/route.h"
#include "worker/sink.h"
#include "worker/storage.h"
#include "worker/task.h"
#include "worker/tasks.h"
#include "worker/uplink.h"
#include "worker/worker.h"
#include "worker/worker_facts.h"

#define MAX_LANES 64 // lanes and models that are looked at in one claim

struct worker_rest { // after failures: {0} is none
    unsigned failures;
    int64_t until_ms; // clock_mono_ms()
};

enum worker_chore { WORKER_CLAIMS /* and sends */, WORKER_KEEPS_HOUSE, WORKER_CHORES };

struct worker {
    struct ev_loop *loop;
    struct worker_options options;
    struct redis *redis, *wait_redis;
    struct queue *queue, *wait_queue;
    struct lease *lease;
    struct gates *gates;
    struct purse *purse;
    struct uplink uplink;
    struct inbox *inbox;
    struct held *held;
    struct batcher *batcher;
    struct storage *storage;
    struct task_host host;
    struct tasks tasks; // all of them, and who waits for a slot
    struct worker_facts facts;

    struct { // lanes and models with ready work, as the last answer said
        char *name;
        int64_t jobs;
    } ready[MAX_LANES];
    size_t n_ready;

    unsigned turns; // claims so far
    bool claiming;  // a claim is under way
    uint64_t seq;   // its number; sent again when its answer was lost
    bool resend;
    unsigned asked;                           // how many it asked for
    bool waiting;                             // a blocking wait is under way
    struct worker_rest claim_rest, wait_rest; // nothing is claimed, or waited for, until then
    ev_timer tick, grace, turn, silence;
    bool ticking, leaving, gone;
    unsigned leases; // that are still to be given up, once it is leaving
    bool refused;    // by the server, for good
    bool was_registered;
    enum err why_refused;           // OK: the last answer did not refuse us
    enum err chores[WORKER_CHORES]; // how each ended last, as far as it was said
    struct {
        int64_t since_ms; // clock_mono_ms(); 0: it is well
        bool told;
    } unwell; // the server, though it is connected
};

// --- worker_claim.c: what is claimed, and when ----------------------------------------------

void worker_learn_ready(struct worker *w, const struct queue_ready *ready, size_t n);
void worker_forget_ready(struct worker *w);
void worker_learn_time(struct worker *w, int64_t server_ms);
void worker_ask(struct worker *w);                  // what is ready, claiming nothing
void worker_turn(struct worker *w, double seconds); // looks what may be claimed, then
extern void worker_on_turn(struct ev_loop *loop, ev_timer *t, int revents);

// --- worker_lease.c: holding the lease, and what is done beside jobs ------------------------

extern const struct lease_hooks worker_lease_hooks; // ctx is left out
extern void worker_on_tick(struct ev_loop *loop, ev_timer *t, int revents);
void worker_tick(struct worker *w, double seconds); // keeps house, then
// Says once that it is refused, by what does not pass with the connection, and once that it
// goes on.
void worker_note(struct worker *w, enum worker_chore what, enum err e);
extern void worker_on_silence(struct ev_loop *loop, ev_timer *t, int revents);
void worker_parted(struct worker *w); // the connection was lost, which is said elsewhere

// --- worker_parts.c: what it is made of
// -------------------------------------------------------

// Once its facts and connections are there. False: out of memory, and what was made is there.
bool worker_make_parts(struct worker *w, const struct worker_parts *p);
void worker_free_parts(struct worker *w);

// --- worker.c -------------------------------------------------------------------------------

void worker_leave_if_empty(struct worker *w);
#endif
