// queue.h - the queue: what producers, workers and watchers do to it. Every function sends one
// script or command; the scripts (lua/) are the broker, and say exactly what each does.
//
// The life of a job:
//
//   create -> chunk -> [ready] -> claim -> [active] -> sent -> settle ->
//   completed/failed/cancelled
//                         ^                   |  ^                |
//                         |                   |  +---- N noted ---+
//                         +---- R requeue ----+                   |
//                         +---- [delayed] <-- R with a delay -----+
//                         +---- reap, when the worker's lease has ended
//
// Callbacks: exactly once per call that returned OK, never from inside it; with ERR_NET or
// ERR_TIMEOUT the outcome is unknown, and the same call may be sent again, for all scripts may
// be sent twice. Replies are borrowed for the time of the callback. ERR_LOST: the lease has
// ended.
#ifndef BROKER_QUEUE_H
#define BROKER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/job.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/redis.h"

#define QUEUE_MAX_JOBS  1000 // in one call
#define QUEUE_MAX_INDEX (1u << 24)
#define TICKET_SIZE     10

struct queue; // a name and a connection
struct queue *queue_new(struct redis *r, struct span name,
                        double timeout); // NULL: out of memory
void queue_free(struct queue *q);
void queue_keep_ledger(struct queue *q, int64_t bytes); // see queue_tick()
struct redis *queue_redis(struct queue *q);
void queue_key(const struct queue *q, struct buf *out, const char *kind, struct span rest);

// Where a job stands, in ten bytes that the scripts carry along.
struct ticket {
    uint32_t index;
    uint16_t run;     // 1, and one more after each retry
    uint8_t attempts; // calls that failed
    uint8_t lost;     // workers that were lost with it
    uint16_t limited; // times it was sent back by a limit
};
void ticket_write(const struct ticket *t, char out[static TICKET_SIZE]);
struct ticket ticket_read(const char in[static TICKET_SIZE]);

typedef void queue_done(void *ctx, enum err e, int64_t value);

// --- Producing ------------------------------------------------------------------------------

struct batch_options {
    struct span batch, user; // names; user "default" when empty
    const uint8_t *nonce;    // 16 bytes
    struct span digest;      // of what makes two submissions the same; short
    int64_t total;           // declared, or -1
    int64_t keep;            // seconds to keep it after its end
    bool fail_unknown;
    struct span options; // msgpack, opaque, for who collects it
    int64_t max_queue;   // jobs queued in all; 0: no limit
    int64_t bytes;       // of all its inputs; 0: not known
    int64_t max_bytes;   // of the inputs of batches that have not ended; 0: no limit
    int64_t budget;      // millionths of USD; 0: no limit
    int64_t cheapest;    // the least that one of its calls may cost at worst; 0: not known
};
// value: jobs already in (0 for a new batch). ERR_EXISTS: another batch has the name.
// ERR_LIMIT: the queue is full; value: the jobs there are, or ~bytes. A batch that was made
// before is not refused, so that it can be finished.
MUST_USE enum err queue_create(struct queue *q, const struct batch_options *o, queue_done *done,
                               void *ctx);

struct queue_input {
    const char *route; // "1/standard/MODEL": see queue_route()
    struct span bytes; // of job_input()
};
// value: jobs now in. ERR_EXISTS: value is the index that is in with another input. ERR_ORDER:
// sealed, or the chunk leaves a gap. ERR_MISSING: no such batch.
MUST_USE enum err queue_chunk(struct queue *q, struct span batch, uint32_t first, size_t n,
                              const struct queue_input *in, queue_done *done, void *ctx);
void queue_route(struct buf *out, const struct job *j); // PRIORITY/LANE/MODEL
// ERR_ORDER: value is the number that is in.
MUST_USE enum err queue_seal(struct queue *q, struct span batch, uint32_t total,
                             queue_done *done, void *ctx);

// --- Working --------------------------------------------------------------------------------

struct queue_fact { // of a worker, for people to see
    const char *name;
    struct span value;
};
// value: the server's time, ms. ERR_ORDER: the incarnation is not fresh.
MUST_USE enum err queue_register(struct queue *q, struct span inc, int64_t lease_ms, size_t n,
                                 const struct queue_fact *facts, queue_done *done, void *ctx);
// ERR_ORDER: it still holds jobs (value).
MUST_USE enum err queue_leave(struct queue *q, struct span inc, queue_done *done, void *ctx);
// Ends the leases, up to 1,000, of workers that are known to be dead. value: how many there
// were.
MUST_USE enum err queue_void(struct queue *q, size_t n, const struct span *incs,
                             queue_done *done, void *ctx);

struct queue_claimed {              // one job, valid for the time of the callback
    struct span list;               // PRIORITY/LANE/MODEL/BATCH
    struct span batch, model, lane; // parts of it
    struct span user, nonce;
    uint32_t total;     // of the batch
    int64_t created_ms; // the batch, in server time
    unsigned slot;
    struct ticket ticket;
    struct span input; // job_input()'s
};
struct queue_ready {        // jobs that could be claimed
    struct span lane_model; // "standard/gemini-3-pro-image"
    int64_t jobs;
};
struct queue_claims {
    int64_t server_ms;
    const struct queue_claimed *jobs;
    size_t n_jobs;
    const struct queue_ready *ready;
    size_t n_ready;
};
typedef void queue_claim_done(void *ctx, enum err e,
                              const struct queue_claims *c); // c: OK only
// `lane_models`: n strings as above, in order of preference. `seq` rises by one with each claim
// (queue_inbox_take shares the numbers); sent again with the same one it returns the same jobs.
MUST_USE enum err queue_claim(struct queue *q, struct span inc, uint64_t seq, unsigned want,
                              size_t n, const struct span *lane_models, queue_claim_done *done,
                              void *ctx);

struct queue_field { // SEQ:SLOT
    uint64_t seq;
    unsigned slot;
};
struct queue_mark { // of a call that is about to be sent
    struct queue_field field;
    int64_t worst;       // what it may cost, millionths of USD; below 0: not known
    struct span project; // whose keys it is made with; empty: the worker's only one
    bool fail_unknown;   // it fails when the worker is lost meanwhile, and is not done again
};
// marks: n characters, see the scripts. Valid when OK.
typedef void queue_marks_done(void *ctx, enum err e, struct span marks);
// `number` rises by one; the same may be sent again until it is answered.
MUST_USE enum err queue_sent(struct queue *q, struct span inc, uint64_t number, size_t n,
                             const struct queue_mark *calls, queue_marks_done *done, void *ctx);

// One that asks who else makes the same request, before its call is made.
struct queue_asked {
    struct queue_field field;
    struct span digest; // hex of request_digest()
    int64_t within_ms;  // an outcome is shared for so long
    uint32_t input;     // digest of its input, as its record will have it
    struct span gone;   // BATCH/INDEX of an image that was not to be had; empty: none
};
enum queue_role { // the characters of lead.lua
    QUEUE_LEADS = 'l',
    QUEUE_LEADS_LOOKING = 'L', // ...but who led before may have stored an image
    QUEUE_SHARES = 'd',        // that one's image
    QUEUE_SHARES_REFUSAL = 'r',
    QUEUE_FOLLOWS = 'p', // has left the worker, and comes again
    QUEUE_NOT_OURS = '0'
};
struct queue_answer {
    enum queue_role role;
    struct span batch;     // whose image or refusal it is
    struct span nonce;     // QUEUE_SHARES, QUEUE_LEADS_LOOKING: of that batch;
    uint32_t index, input; // and which of its jobs
    struct span event;     // QUEUE_SHARES_REFUSAL: event_encode()'s
};
// An answer for each of those that asked; none at all: the same number was answered long ago.
typedef void queue_lead_done(void *ctx, enum err e, const struct queue_answer *a, size_t n);
#define QUEUE_MAX_ASKED 500
MUST_USE enum err queue_lead(struct queue *q, struct span inc, uint64_t number, size_t n,
                             const struct queue_asked *asked, queue_lead_done *done, void *ctx);

enum queue_op {
    QUEUE_COMPLETED = 'C',
    QUEUE_FAILED = 'F',
    QUEUE_REFUSED = 'B', // failed, and so would every job that asks for the same
    QUEUE_CANCELLED = 'X',
    QUEUE_REQUEUE = 'R',
    QUEUE_STANDARD = 'S', // as R, into the standard lane
    QUEUE_ASIDE = 'A',    // as R, until its batch's budget can have room for its call
    QUEUE_NOTE = 'N'
};
struct queue_figures {
    int64_t cost_micro;
    uint32_t input_tokens, output_tokens, bytes;
    uint16_t images;
    uint8_t unknown, retries, calls; // calls that went out, unknown ones among them
};
#define QUEUE_MAX_EVENTS 3
#define QUEUE_CALL_ID    8 // bytes
struct queue_settle {
    struct span batch;
    struct queue_field field;
    enum queue_op op;
    int64_t delay_ms;     // of a requeue; of QUEUE_ASIDE what its call may cost
    struct ticket ticket; // of a requeue or note
    struct queue_figures figures;
    struct span call_id; // of the call that they tell of, where it cost something; else empty
    struct span detail;  // ledger_detail()'s of the call; empty: it is not entered there
    unsigned n_events;
    struct span events[QUEUE_MAX_EVENTS]; // event_encode()'s
};
// Jobs of one batch must stand together. `number` rises by one; the same number again gives the
// same marks. The caller's array may go after the call.
MUST_USE enum err queue_settle(struct queue *q, struct span inc, uint64_t number, size_t n,
                               const struct queue_settle *s, queue_marks_done *done, void *ctx);

struct queue_renewed {
    int64_t server_ms;
    int64_t active; // jobs the server holds for this incarnation
    const struct queue_ready *ready;
    size_t n_ready;
    const struct span *cancelled; // batches of which jobs were cancelled since the last renewal
    size_t n_cancelled;
};
// A call whose job could not be settled by who made it; counted once, however often it is said.
struct queue_orphan {
    struct span batch, nonce;
    struct span call_id, lane_model; // "standard/MODEL"
    struct queue_figures figures;
    struct span inc; // under which a settle may have counted it,
    uint64_t number; // and that one's number; 0: none did
    bool while_open; // only while this job is open:
    uint32_t index;
    uint16_t run;
    struct span detail; // ledger_detail()'s, or empty
};
// value: 1 counted, 0 it was before. ERR_MISSING: there is no such batch.
MUST_USE enum err queue_orphan(struct queue *q, const struct queue_orphan *o, queue_done *done,
                               void *ctx);

// Writes an event that is of none of the batch's jobs. ERR_MISSING: there is no such batch, or
// it has ended.
MUST_USE enum err queue_tell(struct queue *q, struct span batch, struct span nonce,
                             struct span event, queue_done *done, void *ctx);

typedef void queue_renew_done(void *ctx, enum err e, const struct queue_renewed *r);
// `limits`: the limit groups the worker sends to, for people to see: lines of the group,
// what limits it (a dimension, "cooling", "spend", "probing", "blocked"; or nothing), the error
// code of a block, and until when (ms), with tabs between them; and one of "storage", which is
// blocked while images cannot be stored.
MUST_USE enum err queue_renew(struct queue *q, struct span inc, int64_t lease_ms,
                              unsigned flight, struct span limits, queue_renew_done *done,
                              void *ctx);
// What the server holds for this incarnation, 1,000 at most.
typedef void queue_fields_done(void *ctx, enum err e, const struct queue_field *f, size_t n);
MUST_USE enum err queue_mine(struct queue *q, struct span inc, queue_fields_done *done,
                             void *ctx);
// Which of these are still to be done: marks '1', or '0' when they are over or not ours.
MUST_USE enum err queue_open(struct queue *q, struct span inc, size_t n,
                             const struct queue_field *fields, queue_marks_done *done,
                             void *ctx);
// Gives back jobs that this worker does not know of; those that were sent are told as unknown.
// value: how many.
MUST_USE enum err queue_handback(struct queue *q, struct span inc, size_t n,
                                 const struct queue_field *fields, queue_done *done, void *ctx);
// value: promoted + reaped + cancelled + purged; call again soon when it is not 0. Keeps the
// ledger within what queue_keep_ledger() said (LEDGER_BYTES).
MUST_USE enum err queue_tick(struct queue *q, unsigned most, queue_done *done, void *ctx);
// Waits up to `seconds` for new work, on a connection that is used for nothing else.
// value: 1 woken, 0 not.
MUST_USE enum err queue_wait(struct queue *q, double seconds, queue_done *done, void *ctx);

struct queue_item { // something another producer pushed
    uint64_t seq;
    unsigned slot;
    int64_t taken_ms; // server time
    struct span bytes;
};
typedef void queue_inbox_done(void *ctx, enum err e, const struct queue_item *items, size_t n);
MUST_USE enum err queue_inbox_take(struct queue *q, struct span inc, uint64_t seq,
                                   unsigned most, queue_inbox_done *done, void *ctx);
// Places one item, or sends it to the dead letters, as pushed_read() has judged it. value: 1
// placed, 2 repeat, 0 dead.
struct catalogue;
MUST_USE enum err queue_inbox_put(struct queue *q, struct span inc,
                                  const struct queue_item *item, const struct catalogue *c,
                                  queue_done *done, void *ctx);

// --- Watching and steering ------------------------------------------------------------------

struct queue_batch { // spans valid for the time of the callback
    struct span batch, user, nonce, options, digest;
    int64_t total, in, open, completed, failed, cancelled; // total -1: not known yet
    // Of what was pushed for it by other producers: refused, and what its end told it to have.
    // 0: that has not been told.
    int64_t refused, expected;
    int64_t cost_micro, calls, images, input_tokens, output_tokens, bytes, retries;
    int64_t possible_double_bill, created_ms, done_ms; // done_ms 0: not ended
    int64_t images_gone; // jobs whose images were removed before anybody fetched them
    int64_t last_event, run;
    // Budget 0: none. Reserved for calls under way; spent by those of unknown outcome, at
    // worst.
    int64_t budget_micro, reserved_micro, spent_micro;
    // Who holds it back: "1" a person, "budget", "account", "fsck"; and "ACCOUNT LIMIT" of what
    // had no room when it was last looked at. Empty: nobody.
    struct span paused_by, blocked_by;
    bool sealed, paused, cancelling;
    bool pushed; // through the inbox
};
typedef void queue_batch_done(void *ctx, enum err e, const struct queue_batch *b);
MUST_USE enum err queue_status(struct queue *q, struct span batch, queue_batch_done *done,
                               void *ctx); // ERR_MISSING
// value: 1 when the whole queue is paused.
MUST_USE enum err queue_is_paused(struct queue *q, queue_done *done, void *ctx);
// The newest `most` batches' names, newest first.
typedef void queue_names_done(void *ctx, enum err e, const struct span *names, size_t n);
MUST_USE enum err queue_list(struct queue *q, unsigned most, queue_names_done *done, void *ctx);

struct queue_event {
    struct span event_id; // "17-0"
    uint64_t number;      // 17
    struct span bytes;    // event_decode()'s
};
typedef void queue_events_done(void *ctx, enum err e, const struct queue_event *ev, size_t n);
// Up to `most` events after number `after`; waits up to `block` seconds (0: not at all, and
// then the connection stays usable for other calls meanwhile). n may be 0. ERR_MISSING is not
// told: ask queue_status first.
MUST_USE enum err queue_events(struct queue *q, struct span batch, uint64_t after,
                               unsigned most, double block, queue_events_done *done, void *ctx);
// The inputs of n indexes, in that order; empty where there is none.
typedef void queue_inputs_done(void *ctx, enum err e, const struct span *inputs, size_t n);
MUST_USE enum err queue_inputs(struct queue *q, struct span batch, size_t n,
                               const uint32_t *indexes, queue_inputs_done *done, void *ctx);
// n two-bit states from index `first`: 0 open, 1 completed, 2 failed, 3 cancelled; one byte
// each.
typedef void queue_states_done(void *ctx, enum err e, const uint8_t *states, size_t n);
MUST_USE enum err queue_states(struct queue *q, struct span batch, uint32_t first, size_t n,
                               queue_states_done *done, void *ctx);

// n 0: the whole batch. value: cancelled by this call; *more is in the sign: ~value when the
// call must be repeated.
MUST_USE enum err queue_cancel(struct queue *q, struct span batch, size_t n,
                               const uint32_t *indexes, queue_done *done, void *ctx);
// Opens ended jobs again as `run`. value: reopened. ERR_ORDER: value is the batch's run.
struct queue_reopen {
    uint32_t index;
    const char *route;
};
MUST_USE enum err queue_retry(struct queue *q, struct span batch, uint16_t run, size_t n,
                              const struct queue_reopen *jobs, queue_done *done, void *ctx);
MUST_USE enum err queue_pause(struct queue *q, struct span batch, bool on, queue_done *done,
                              void *ctx); // empty batch: the whole queue
// Sets what the batch may cost (0: no limit), and goes on with it if that had held it back.
// value: jobs that did not fit and go on; to be called again until there are none.
MUST_USE enum err queue_budget(struct queue *q, struct span batch, int64_t micro,
                               queue_done *done, void *ctx);
// A batch's user or project has no room for one more call until `until_ms` (queue_done's value:
// 1 held back now, 0 it was); the event tells so, and stands there once. ERR_MISSING: no such
// batch.
MUST_USE enum err queue_held(struct queue *q, struct span batch, struct span nonce,
                             struct span account, struct span limit, int64_t until_ms,
                             struct span event, queue_done *done, void *ctx);
// That account may use more from now on: value: batches that go on.
MUST_USE enum err queue_unheld(struct queue *q, struct span account, queue_done *done,
                               void *ctx);
// What was used on one day, counted from 1970-01-01 UTC: "USER/LANE/MODEL/WHAT", number, ...
// WHAT: calls, images, completed, failed, cancelled, unknown, retries, in_tokens, out_tokens,
// bytes, cost (millionths of USD).
MUST_USE enum err queue_usage(struct queue *q, int64_t day, queue_names_done *done, void *ctx);
struct queue_worker {
    struct span inc, host, pid, concurrency, flight, version, sink, limits;
    struct span projects; // "art,spare": whose keys it has
    int64_t since_ms, lease_ends_ms;
};
typedef void queue_workers_done(void *ctx, enum err e, const struct queue_worker *w, size_t n);
MUST_USE enum err queue_workers(struct queue *q, queue_workers_done *done, void *ctx);
MUST_USE enum err queue_ready_counts(struct queue *q, queue_claim_done *done, void *ctx);
#endif
