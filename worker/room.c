// room.c - see room.h.
#include "worker/room.h"

#define FIRST_WORST (4u << 20) // bytes an image is thought to have before one was seen
#define BESIDE      65536u     // bytes of what is written for an image beside it
#define FILES       4u         // that are made for one
#define KEEP_PART   64         // of the file system: so much of it is kept free,
#define KEEP_LEAST  (1u << 20) // but so many bytes at least,
#define KEEP_MOST   (64u << 20)

void room_look(struct room *r, const char *path)
{
    if (file_look(path, &r->of) == OK)
        r->known = true;
}

void room_saw_image(struct room *r, uint64_t bytes)
{
    if (bytes > r->worst)
        r->worst = bytes;
}

static uint64_t kept(const struct room *r)
{
    uint64_t n = r->of.size / KEEP_PART;
    return n < KEEP_LEAST ? KEEP_LEAST : n > KEEP_MOST ? KEEP_MOST : n;
}

unsigned room_for(const struct room *r, unsigned busy, unsigned want)
{
    if (!r->known)
        return want;
    uint64_t each = (r->worst ? r->worst : FIRST_WORST) + BESIDE;
    uint64_t most = r->of.free > kept(r) ? (r->of.free - kept(r)) / each : 0;
    if (most > r->of.files / FILES)
        most = r->of.files / FILES;
    uint64_t left = most > busy ? most - busy : 0;
    return left < want ? (unsigned)left : want;
}
