// patience.c - see patience.h.
#include "client/patience.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/redis.h"

#define BASE  0.1     // seconds
#define CAP   5.0     // seconds
#define FLOOR 0.02    // seconds
#define LIMIT 30000ll // ms, of patience that is not endless

bool patience_is_away(enum err e)
{
    return e == ERR_NET || e == ERR_TIMEOUT || e == ERR_BUSY;
}

static bool passing(const struct patience *p, enum err e)
{
    bool room = e == ERR_FULL || e == ERR_LIMIT;
    return patience_is_away(e) || (p->endless && room);
}

const char *patience_words_of(const struct redis *r, enum err e)
{
    const char *why = e == ERR_BUSY && redis_ready(r) ? redis_refusal(r) : redis_why(r);
    if (e == ERR_FULL)
        return "the server's memory is full: its maxmemory is reached";
    return patience_is_away(e) && *why ? why : err_text(e);
}

const char *patience_words(const struct patience *p, enum err e)
{
    return patience_words_of(session_redis(p->session), e);
}

double patience_note(struct patience *p, enum err e, const char *words)
{
    if (p->why == OK)
        p->since_ms = clock_mono_ms();
    if (p->told && p->why != e)
        p->told(p->ctx, e, words ? words : patience_words(p, e));
    p->why = e;
    return backoff_delay(++p->tries, BASE, CAP, FLOOR);
}

enum err patience_wait(struct patience *p, enum err e, const char *words)
{
    bool never = false;
    if (session_interrupted(p->session))
        return ERR_CANCELLED;
    if (!passing(p, e))
        return e;
    if (!p->endless && p->why != OK && clock_mono_ms() - p->since_ms > LIMIT)
        return e;
    double delay = patience_note(p, e, words);
    return session_wait_for(p->session, &never, delay) == ERR_CANCELLED ? ERR_CANCELLED : OK;
}

void patience_well(struct patience *p)
{
    if (p->told && p->why != OK)
        p->told(p->ctx, OK, "");
    p->why = OK;
    p->tries = 0;
}

bool patience_again(struct patience *p, enum err *e)
{
    if (*e == OK)
        patience_well(p);
    else if (*e != ERR_DENIED && (*e = patience_wait(p, *e, NULL)) == OK)
        return true;
    return false;
}
