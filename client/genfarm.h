// genfarm.h - the client library: submit jobs to a farm, follow their events, collect the
// images.
//
//   struct genfarm *g;
//   char why[256];
//   struct genfarm_options o = {.redis = "redis://127.0.0.1:6379/0"};
//   if (genfarm_open(&o, &g, why, sizeof why) != GENFARM_OK) ...
//   struct genfarm_job job = {.prompt = "a lighthouse at dusk"};
//   char batch[GENFARM_BATCH_SIZE] = "";
//   genfarm_submit(g, batch, &job, 1);     // genfarm_submit_with(): with a budget, a user, ...
//   genfarm_watch(g, batch, NULL);
//   while (genfarm_next(g, 60, &event) == GENFARM_OK && !event.last) ...
//   genfarm_close(g);
//
// A handle belongs to one thread. Nothing here prints. Strings in events are valid until the
// next call with the same handle.
#ifndef GENFARM_H
#define GENFARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum genfarm_status {
    GENFARM_OK,
    GENFARM_NONE,        // no event within the time
    GENFARM_BAD_INPUT,   // what was given is wrong: genfarm_why()
    GENFARM_MISSING,     // no such batch
    GENFARM_UNAVAILABLE, // the server cannot be reached or used
    GENFARM_FAILED,      // of the disk, or of memory
    GENFARM_REFUSED,     // by a budget, a quota or a limit of the queue; nothing was submitted
};

struct genfarm;

struct genfarm_options {
    const char *redis;     // URL; NULL: redis://127.0.0.1:6379/0
    const char *queue;     // NULL: "default"
    const char *ca_file;   // for TLS; NULL: the system's
    const char *catalogue; // a file of models and prices; NULL: the built-in ones
};
// On failure `why`, of n bytes, gets a sentence.
enum genfarm_status genfarm_open(const struct genfarm_options *o, struct genfarm **out,
                                 char *why, size_t n);
void genfarm_close(struct genfarm *g);            // NULL is fine
const char *genfarm_why(const struct genfarm *g); // words for the last failure; never NULL

struct genfarm_job { // NULL members are left to their defaults; `prompt` is required
    const char *id;  // unique in its batch; default: its eight-digit index
    const char *title, *scene, *mood, *prompt, *negative;
    const char *model, *aspect_ratio, *image_size;
    const char *seed, *temperature, *priority; // as the command line's options
    const char *lane;                          // "standard", "flex", "priority", "batch"
    const char *dedupe;       // "2h": share identical requests of so long ago, or under way
    const char *max_attempts; // "5": calls that may fail before the job does
    const char *timeout;      // "180": seconds for one call
    const char *deadline;     // "3600": for the job in all, from its submission
};
#define GENFARM_BATCH_SIZE 101
// Submits n jobs as one batch. `batch`: its name, or "" for a new one, which is written there.
// May be called again with the same jobs: only what is missing goes in. GENFARM_BAD_INPUT:
// nothing was submitted.
enum genfarm_status genfarm_submit(struct genfarm *g, char batch[GENFARM_BATCH_SIZE],
                                   const struct genfarm_job *jobs, size_t n);

// Of a whole batch. {0} is what genfarm_submit() does; later versions add members at the end.
struct genfarm_submit_options {
    // What the batch may cost at most, in dollars: "25" or "1.50". Then it waits, with an event
    // `blocked`, until `genfarm retry BATCH --budget USD` raises it. NULL: no limit.
    const char *budget;
    const char *user;    // on whose behalf; users share the farm fairly. NULL: "default"
    const char *project; // whose quota is looked at before; NULL: of those that workers send
                         // through, one must have room
    bool fail_unknown;   // a call whose answer was lost fails its job, and is not made again
    const struct genfarm_job
        *defaults;     // of members that jobs leave NULL, but for id and prompt
    int64_t max_queue; // refused if the queue would hold more jobs; 0: no limit
};
// As genfarm_submit(), for GENFARM_REFUSED see there. What the jobs cost is reckoned by the
// catalogue before anything is sent: a budget that does not allow even one call refuses, as
// does a quota of the user or the projects that they would pass. Where money is limited, so
// does a job that has no price. A batch that is there already is completed without being asked
// again.
enum genfarm_status genfarm_submit_with(struct genfarm *g, char batch[GENFARM_BATCH_SIZE],
                                        const struct genfarm_submit_options *o,
                                        const struct genfarm_job *jobs, size_t n);
struct genfarm_cost {
    int64_t calls, unpriced;             // unpriced: which have no price, and are left out:
    int64_t estimate_micro, worst_micro; // in millionths of a dollar
};
// What these jobs would come to; nothing is sent, and no server asked.
enum genfarm_status genfarm_estimate(struct genfarm *g, const struct genfarm_submit_options *o,
                                     const struct genfarm_job *jobs, size_t n,
                                     struct genfarm_cost *out);

struct genfarm_event {
    const char *event;    // "completed", "failed", "retrying", ...
    const char *event_id; // "17-0": give it to genfarm_watch() to go on after it
    const char *id;       // of the job; "" for events of the batch
    const char *json;     // all of it, as `genfarm watch --json` prints it
    uint32_t index;
    bool terminal; // the job has ended
    bool last;     // the batch has ended
};
// Begins to follow a batch, after event `after` (NULL: from its beginning).
enum genfarm_status genfarm_watch(struct genfarm *g, const char *batch, const char *after);
// The next event; waits up to `seconds` (0: not at all). Goes on by itself through lost
// connections. GENFARM_FAILED, from then on: the server has lost events that were told, or does
// not have the one to go on after; watch again from the beginning to see what it did instead.
enum genfarm_status genfarm_next(struct genfarm *g, double seconds,
                                 struct genfarm_event *event);
// For other event loops: when this descriptor is readable, call genfarm_next(g, 0, ...) until
// it gives GENFARM_NONE. It stays the same until genfarm_close().
int genfarm_fd(struct genfarm *g);

// Waits for the batch to end, and saves its images and manifest under DIR/BATCH. May be called
// again after an interruption. GENFARM_BAD_INPUT: DIR/BATCH is complete, or is another batch's,
// which may have had the name before.
enum genfarm_status genfarm_collect(struct genfarm *g, const char *batch, const char *dir);

#ifdef __cplusplus
}
#endif
#endif
