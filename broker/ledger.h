// ledger.h - the ledger: one entry for each call, kept by day under the time of the script that
// counted it. Its figures are those that went into the batch's counters and the sums of the
// day, so that the entries of a day add up to these.
//
// An entry is: version u8 (1), time u64 (ms, the server's), figures (25 bytes, see
// lua/settle.lua), and the detail: a msgpack array of seventeen, in the order of struct
// ledger_call from `outcome` on. Of a call whose worker was lost the reaper writes what is
// known without it: no call id, no latency, no bytes. What such a call cost may become known
// later: then an entry with `calls` 0 follows.
#ifndef BROKER_LEDGER_H
#define BROKER_LEDGER_H

#include "broker/queue.h"

#define LEDGER_MAX_DETAIL 2048 // bytes

struct ledger_call { // spans are borrowed
    int64_t ts_ms;
    struct queue_figures figures;
    struct span outcome; // "ok", or an error code
    struct span user, batch, id;
    int64_t index, run, attempt;   // attempt: 1 for the first call of a run that failed none
    struct span provider, project; // "gemini", whose keys
    struct span model, lane;       //
    struct span operation;         // "generate"
    struct span endpoint;          // "https://host", without a path
    int64_t latency_ms;            // of the call; 0: not known
    int64_t bytes_sent, bytes_received; // of the request's body and the answer's
    struct span call_id;                // 8 bytes; empty: not known
};

// Appends the detail of `c`; ERR_TOOBIG stays in out->err where it would pass the limit of
// `out`.
void ledger_detail(struct buf *out, const struct ledger_call *c);
// Reads an entry. ERR_FORMAT: it is none.
MUST_USE enum err ledger_read(struct ledger_call *c, struct span entry);

struct ledger_page { // valid for the time of the callback
    int64_t first; // number of the first of them; above the one asked for: older ones are gone
    int64_t lost;  // calls, of any day, that could not be written at all
    const struct span *entries;
    size_t n; // 0: there are no more
};
typedef void ledger_done(void *ctx, enum err e, const struct ledger_page *p);
// Up to `most` (1,000) entries of a day, counted from 1970-01-01 UTC, from number `from` on.
MUST_USE enum err queue_calls(struct queue *q, int64_t day, int64_t from, unsigned most,
                              ledger_done *done, void *ctx);
// What the ledger may take, in bytes, before queue_tick() lets the oldest go; 0: the calls that
// this worker makes are not entered.
#define LEDGER_BYTES (256 << 20)
#endif
