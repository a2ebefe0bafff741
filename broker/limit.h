// limit.h - the farm-wide limiter: send slots of one group, granted by lua/limit.lua, which
// says how; and what the provider's refusals teach it.
//
// Nothing is pushed: a refusal reaches the other hosts with the next answer each of them gets.
// Where limits are set that is the next grant, which every call needs, and no slot is granted
// farther ahead than a worker's horizon (100 ms). Where none is set a worker asks every 50 ms
// while calls of the group go out, and not at all when none do: 20 requests a second of some 10
// us of Redis's time, 0.02 % of a server for each group and busy worker. Subscriptions would
// save that, and cost a connection more for each worker, a second way for the state to come in,
// and an answer to what was missed while it was cut. In 50 ms a worker sends what it would have
// sent in the time that a refusal takes to come back from the provider, which nothing can take
// back.
#ifndef BROKER_LIMIT_H
#define BROKER_LIMIT_H

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"
#include "common/redis.h"

#define LIMIT_MAX_SLOTS 1000
#define LIMIT_SLACK_US  10000 // a slot is good from its time until this much later

// "rpm=600,tpm=4000000,rpd=10000,usd10m=50,inflight=100,req=100/1s,strict": what people write.
//   rpm, ipm, tpm  calls, images, input tokens a minute
//   rpd            calls of the provider's day, which ends at midnight Pacific
//   usd10m         dollars in ten minutes; any name that begins with usd counts dollars
//   inflight       calls at a time
//   NAME=N/PERIOD  calls in any period; images, tokens, dollars where the name is ip or tp and
//                  a letter of s, m, h, d, or begins with usd
//   strict         N, and not N + 1, in any window
// `out` becomes what limit.lua takes: "req=100/1000000,rpd=10000/day". `why` says which part is
// wrong.
MUST_USE enum err limit_spec(struct span text, struct buf *out, struct buf *why);
// The other way, for people: "req=100/1s".
void limit_show(struct buf *out, struct span spec);

struct limit_units { // what a call takes, or took beyond what was reckoned
    int64_t images, tokens, micro;
};

struct limit_done_calls {          // counted by the provider's day, for people to see
    int64_t calls, refused, micro; // refused: by a quota; millionths of USD
};

struct limit_grant {
    int64_t server_us;
    struct span spec; // empty: no limit is set
    struct span
        reason; // what limits now: a dimension, "cooling", "probing", "rate", ...; or empty
    int64_t wait_us;               // until it does no longer; 0: not known
    struct limit_done_calls today; // by all hosts
    struct span learned;           // what the provider said it allows, as a spec; or empty
    int64_t learned_us;            // until the last of that is forgotten
    int64_t day_ends_us; // of the day that the slots were counted in; 0: none were asked for
    int64_t edited_us;   // when a person last set or cleared the limits; 0: never
    struct span asks;    // what a worker would set, and may not; or empty
    const int64_t *slots_us; // from server_us, rising
    size_t n;
};
typedef void limit_done(void *ctx, enum err e, const struct limit_grant *g);

// Slots that no call used. A day's quota gets their calls back. Where nobody was granted a
// later one than `to`, those from `from` on are granted again; else they are forfeit, for calls
// of others may stand right behind them.
struct limit_back {
    int64_t n, day_ends_us;  // how many, of which day
    int64_t from_us, to_us;  // server_us + slot; of one grant, none between them used; 0: none
    struct limit_units last; // what the one at `to` was granted for
};

// What a worker has to tell. It is heeded once, however often it is sent: `number` rises with
// each that one teller tells; 0: there is none. Without a teller's name it counts every time.
struct limit_news {
    int64_t number;
    struct limit_units extra; // what earlier calls took beyond what was reckoned
    struct limit_done_calls did;
    int64_t went_well_us; // when a call that went well was sent, server's time; 0: none
    struct limit_back back;
};

struct limit_request {
    struct span group;               // project/model/lane
    unsigned want;                   // 0: ask only
    int64_t horizon_us, lead_us;     // no slot later, or earlier, than this from now
    struct span spec;                // to be set where none is; empty: none
    const struct limit_units *takes; // `want` of them: what each call is reckoned to take
    int64_t now_us; // the server's time, as far as it is known, Unix; 0: this host's
    // Of `inflight`, which counts per incarnation and for so long; empty: of nobody.
    struct span inc;
    unsigned held;
    int64_t held_us;
    struct span teller;
    struct limit_news news;
};
MUST_USE enum err limit_ask(struct redis *r, double timeout, const struct limit_request *l,
                            limit_done *done, void *ctx);
// Sets the group's limits, whatever was there; an empty spec clears them, and no worker sets
// them again. What went out today stays counted.
MUST_USE enum err limit_set(struct redis *r, double timeout, struct span group,
                            struct span spec, limit_done *done, void *ctx);
enum limit_cause {
    LIMIT_BY_RATE,     // the rate was too high, and is lowered
    LIMIT_BY_CAPACITY, // the provider lacks capacity
    LIMIT_BY_SPEND,    // too much was spent of late: the reason is "spend" while it lasts
};
// A call was refused: nothing of the group goes out for `cool_us`.
MUST_USE enum err limit_refused(struct redis *r, double timeout, struct span group,
                                int64_t cool_us, int64_t sent_us, enum limit_cause cause,
                                limit_done *done, void *ctx);
// What the provider said it allows, as a spec: a lower limit than was set then holds in its
// place, with N calls and not N + 1 in any window. Believed for LIMIT_LEARNED_US, or until
// limits are set or cleared. A quota of a day is said when it is used up: nothing goes out for
// LIMIT_DAY_US, after which it is tried again, for its day may end before midnight.
#define LIMIT_LEARNED_US 3600000000
#define LIMIT_DAY_US     600000000
MUST_USE enum err limit_learn(struct redis *r, double timeout, struct span group,
                              struct span spec, limit_done *done, void *ctx);
// The end of the provider's day: the next midnight in Pacific time after `now_us` (Unix time).
// Daylight saving: from the second Sunday of March, 2:00, to the first Sunday of November,
// 2:00. Source: 15 U.S.C. 260a.
int64_t limit_day_end(int64_t now_us);
#endif
