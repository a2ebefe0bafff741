// farm.h - a farm on this machine for one run: a private redis-server and some workers, started
// as children that go when this process goes.
#ifndef CLIENT_FARM_H
#define CLIENT_FARM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct farm;

struct farm_options {
    const char *data;      // folder for Redis and the logs, made when missing
    const char *redis_url; // NULL: a server of its own
    const char *queue;
    const char *sink; // folder of the images
    int lock;         // descriptor that a server of its own inherits; below 3: none
    unsigned workers;
    uint64_t concurrency;
    const char *redis_ca, *limit, *key_file, *projects, *base_url, *gemini_ca, *catalogue,
        *verify; // NULL: the worker's defaults
};
// Whether a worker could run with these: nothing is made, and no server asked. ERR_FORMAT: it
// could not; `why` gets its sentence, of an option or the file it names.
MUST_USE enum err farm_check(const struct farm_options *o, struct buf *why);
// Starts Redis and waits until it answers. `why` gets a sentence.
MUST_USE enum err farm_start(const struct farm_options *o, struct farm **out, struct buf *why);
const char *farm_url(const struct farm *f);
MUST_USE enum err farm_workers(struct farm *f, struct buf *why); // starts them
// Looks after the children: a worker or Redis that was lost is started again, Redis when there
// is room on its disk. Not OK: one cannot run at all; `why` has its last words.
MUST_USE enum err farm_look(struct farm *f, struct buf *why);
bool farm_no_room(const struct farm *f); // Redis ended for want of room, and waits for some
void farm_drain(struct farm *f);         // SIGTERM to the workers
bool farm_running(struct farm *f);       // whether a worker is left
void farm_stop(struct farm *f); // ends what is left, Redis last; frees it. NULL is fine
// Stops a farm that is of no use any more, and removes its folder: its Redis need not save
// anything.
void farm_forget(struct farm *f);
void farm_remove(const char *folder); // such a folder: two levels of files
#endif
