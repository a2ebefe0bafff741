// patience.h - how long a client waits for a farm that cannot do now what it is asked for: the
// server is away or busy, its memory or the queue is full.
#ifndef CLIENT_PATIENCE_H
#define CLIENT_PATIENCE_H

#include <stdbool.h>

#include "client/session.h"

struct patience { // {.session = s} is a valid beginning
    struct session *session;
    bool endless; // waits for as long as it takes, for room too; else half a minute for the
                  // server
    // Told once when it begins to wait, or waits for another reason, and with OK when it goes
    // on. `words`: the reason. May be NULL.
    void (*told)(void *ctx, enum err e, const char *words);
    void *ctx;
    // Inside:
    unsigned tries;
    enum err why;     // it waits for; OK: it does not
    int64_t since_ms; // clock_mono_ms()
};
// After a failure: waits, with jitter and longer each time, and says OK when the same may be
// tried again; the failure itself when it should not; ERR_CANCELLED when it was interrupted.
// `words` NULL: those of the failure.
MUST_USE enum err patience_wait(struct patience *p, enum err e, const char *words);
// One try has ended as *e says. True: it was waited, and another is to be made. False: *e is
// what it comes to.
bool patience_again(struct patience *p, enum err *e);
// The same for who does not stop here: says that it waits, and gives the seconds until the next
// try. What does not pass is not told apart.
double patience_note(struct patience *p, enum err e, const char *words);
const char *patience_words(const struct patience *p, enum err e); // of a failure, for people
const char *patience_words_of(const struct redis *r, enum err e); // of that connection's
bool patience_is_away(enum err e); // the server is away or busy: it may get over that by itself
void patience_well(struct patience *p); // something succeeded
#endif
