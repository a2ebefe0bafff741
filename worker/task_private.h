// task_private.h - what the files task*.c share.
#ifndef WORKER_TASK_PRIVATE_H
#define WORKER_TASK_PRIVATE_H

#include <ev.h>

#include "broker/event.h"
#include "broker/job.h"
#include "worker/parcel.h"
#include "worker/pump.h"
#include "worker/purse.h"
#include "worker/route.h"
#include "worker/sink.h"
#include "worker/task.h"
#include "worker/tasks.h"

enum task_state {
    TASK_NEW,
    TASK_LOOKUP,    // is it stored already?
    TASK_LOOK_WAIT, // nobody could tell; again soon
    TASK_ASKING,    // does somebody else make the same request?
    TASK_SEEKING,   // is what another one stored there?
    TASK_BACKLOG,   // wants a concurrency slot
    TASK_GATHERED,  // wants to be put into an operation: see task_batch.h
    TASK_ROW,       // of an operation; its answer has not come
    TASK_GATE,      // wants a send slot
    TASK_PARKED,    // its group is closed for a while
    TASK_PURSE,     // wants room in what its user and its project may use
    TASK_MARKING,   // is being marked as sent
    TASK_SLOT,      // waits for its send slot's time
    TASK_CALLING,   //
    TASK_CHECKING,  // its images are being checked
    TASK_STORING,
    TASK_STORE_WAIT, // storing failed; again soon
    TASK_WAITING,    // for its next try
    TASK_REPORTING,  // a call that no settle counts
    TASK_SETTLING,
};

struct task {
    struct task_links links; // first
    struct task_host *host;
    enum task_state state;
    bool lost;   // the lease it was claimed under is gone
    bool noted;  // WAITING: the note is over...
    bool rested; // ...and so is the pause
    struct queue_field field;
    struct ticket ticket;
    uint32_t total, digest;
    struct buf batch, nonce, user, input, id; // copies; `id` as it is shown
    struct job job;                           // points into `input`
    struct buf invalid;                       // why the job cannot be done at all
    double expires;                           // clock_wall_ms() / 1000 of its deadline; 0: none
    double batch_due;                         // the same of --batch-deadline
    bool over;                                // ROW: it was cancelled
    struct purse_call *purse;                 // NULL: nothing is reserved or asked for
    struct route *route;
    bool named;               // GATHERED: it may be part of an operation by now
    bool affordable;          // GATHERED: there is room for it in what may be used
    bool row;                 // its call is of an operation, begun then:
    int64_t begun_ms;         // server time
    bool corrects;            // ROW: its settle is to tell the purse what its call took:
    struct purse_took took;   //
    struct gate_pass pass;    // pass.gate: whose project the call goes through
    int64_t slot_us, sent_us; // clock_boot_us(): its send slot; when the call was made
    ev_timer timer;
    struct provider_call *call;
    struct parcel *parcel;
    unsigned store_tries; // that failed
    unsigned look_tries;  // so did these
    int64_t cost_micro;   // of the call whose images are in hand
    int64_t worst,
        reserved;       // millionths of USD: what a call may cost; kept in the budget for it
    uint8_t call_id[8]; // of that one, or of the call under way: random
    struct task_report *report; // under way, or NULL
    struct task_share *share;   // of a job that shares its request; else NULL
    struct {                    // the last call, for the ledger
        enum code outcome;
        unsigned attempt;
        int64_t latency_ms, bytes_sent, bytes_received;
    } made;
    struct pump_item mark, settle, ask;
    struct { // what the next settle says
        enum queue_op op;
        int64_t delay_ms;
        struct queue_figures figures;
        struct buf events[QUEUE_MAX_EVENTS];
        unsigned n;
        struct buf detail; // for the ledger
    } say;
};

struct task *task_of_mark(struct pump_item *item);
struct task *task_of_settle(struct pump_item *item);

// --- task_say.c: what is told to the queue ---------------------------------------------------

// An event of this job, ready for what is particular about it.
struct event task_event(const struct task *t, enum event_type type);
void task_add_event(struct task *t, const struct event *e);
void task_add_encoded(struct task *t, struct span event);
// Sends what was gathered. WAITING is entered for QUEUE_NOTE, SETTLING else.
void task_say(struct task *t, enum queue_op op, int64_t delay_ms);

// What trying again will hardly mend must be seen.
void task_tell_refused(const struct task_host *h, const char *what, enum err e);

// --- task_share.c: identical requests, made once ---------------------------------------------

void task_begin(struct task *t); // asks first, if it may share; then wants a slot
void task_share_free(struct task *t);
void task_share_missing(struct task *t); // the image that was promised is not to be had
bool task_leads(const struct task *t);   // others wait for our call
struct span task_shared_of(const struct task *t); // empty: the images in hand are our own

// --- task_ledger.c: what the ledger says of calls -------------------------------------------

// A call has ended so; kept for task_enter().
void task_made(struct task *t, const struct provider_result *r);
const char *task_project(const struct task *t); // whose keys its call is made with
void task_enter(struct task *t); // fills say.detail, where say.figures tell of a call
// The same of a call that another one made, and stored.
void task_enter_found(struct task *t, const struct record *r, const struct event *e,
                      struct buf *out);

// --- task_purse.c: what its user and its project may use ------------------------------------

void task_enter_purse(struct task *t); // task_mark() follows, or a settle
// The call is over, or is not made (NULL). Nothing when none was reserved for.
void task_close_purse(struct task *t, const struct purse_took *took);
// The same for a job that is gathered for an operation: `affordable`, or a settle, follows.
void task_gather_purse(struct task *t);
// A row of an operation has its answer: what it took is told when its settle has gone through,
// which is once, whoever else had the row in hand before.
void task_correct_purse(struct task *t, const struct purse_took *took);
void task_purse_settled(struct task *t);

// --- task_money.c: what a call costs, in millionths of USD -----------------------------------

int64_t task_worst(const struct task *t); // what it may cost; below 0: not known
int64_t task_cost(const struct task *t, const struct provider_result *r); // what it did cost
struct limit_units task_estimate(const struct task *t);                   // what it will take
// Fails the job: money is limited, and nobody knows what its call may cost.
void task_unpriced(struct task *t);

// --- task_report.c: calls that no settle counts ---------------------------------------------

// The settle of our own call was refused, or may have been: the call is counted apart, then the
// task ends. `number`: of the settle that may have counted it; 0: none.
void task_unsettled(struct task *t, uint64_t number);
// The call that made this record is counted, unless it was; then `then` goes on.
void task_adopt(struct task *t, const struct record *r, const struct event *e,
                void (*then)(struct task *t));
bool task_costs(const struct queue_figures *f); // anything, that is to be counted once
void task_report_again(struct task *t);
void task_report_free(struct task *t);

// --- task_refused.c: what becomes of one without an image ------------------------------------

void task_no_image(struct task *t, const struct provider_result *r);
// The answer opens a gate that was closed until there is one, if it is one.
void task_reached(struct task *t, const struct provider_result *r);
void task_failed(struct task *t, enum code code, struct span reason, struct span message,
                 bool retryable);
// As the failed event of another job says, whose id is `whose`.
void task_failed_as(struct task *t, const struct event *of, struct span whose);

// --- task_result.c: what becomes of an answer -----------------------------------------------

void task_result(void *ctx, struct provider_result *r); // provider_done
void task_found(struct task *t, struct span record);    // it was stored before
void task_store(struct task *t);
bool task_is_away(enum err e); // Redis is: that is waited for in any case

// --- task_time.c: what time it has -----------------------------------------------------------

void task_read_times(struct task *t, const struct queue_claimed *c);
// Seconds, by the server's clock: whether this has passed; 0: never does.
bool task_past(const struct task *t, double when);
void task_too_late(struct task *t);             // fails: its deadline has passed
double task_call_seconds(const struct task *t); // that its call may take

// --- task_call.c: how it comes to its call ---------------------------------------------------

#define TASK_ROOM_WAIT_MS 1000 // until it is asked again whether there is room in a budget

void task_init_pass(struct task *t);
void task_mark(struct task *t);                 // it may be sent: is marked so
void task_marked(struct task *t, char mark);    // the answer to that
void task_slot_time(struct task *t);            // SLOT: it is time
void task_park(struct task *t, double seconds); // its group is closed for so long
// Too late for its slot, or too early after a refusal, or its project has no room: another one
// may take it now.
void task_enter_again(struct task *t);
void task_unsent(struct task *t);   // its call is not made: others may have its slots
void task_withhold(struct task *t); // its call may not be made by this worker: goes back

// --- task.c ---------------------------------------------------------------------------------

void task_init_timer(struct task *t);
void task_timer(struct task *t, double seconds);
void task_look_up(struct task *t);   // what is stored of it already; begins where nothing is
void task_want_slot(struct task *t); // its call is to be made
void task_release(struct task *t);   // gives its concurrency slot back
void task_settled(struct task *t, char mark); // the answer to task_say()
void task_gone(struct task *t);               // ends, without another word
#endif
