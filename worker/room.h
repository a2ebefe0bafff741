// room.h - how many more images a file system may be asked to take. An image that finds no room
// has been paid for all the same, so a call is made only when there is room for its answer; and
// the last of it is left to the others who write there: Redis, the client's manifest.
#ifndef WORKER_ROOM_H
#define WORKER_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/file.h"

struct room { // {0} is a valid beginning: there is room
    bool known;
    struct file_room of; // as it was looked at
    uint64_t worst;      // bytes of the largest image so far
};
// Looks at the file system of `path`; blocks. What cannot be looked at stays as it was.
void room_look(struct room *r, const char *path);
void room_saw_image(struct room *r, uint64_t bytes);
// How many of `want` calls may begin when `busy` answers are still to be stored.
unsigned room_for(const struct room *r, unsigned busy, unsigned want);
#endif
