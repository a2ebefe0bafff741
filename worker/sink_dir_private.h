// sink_dir_private.h - one store or lookup of sink_dir.c, as it goes through the pool.
#ifndef WORKER_SINK_DIR_PRIVATE_H
#define WORKER_SINK_DIR_PRIVATE_H

#include "common/pool.h"
#include "worker/room.h"
#include "worker/sink.h"

#define SINK_DIR_TAG    8          // random bytes in front of a record
#define SINK_DIR_PATH   4096       // bytes
#define SINK_DIR_RECORD (4u << 20) // bytes

struct sink_dir {
    struct sink base;
    struct pool *pool;
    char *path;
    struct room room;  // as last seen
    int64_t looked_ms; // when that was
    bool looking;      // a look that was asked for is under way
};

struct sink_dir_job { // one store or lookup, on its way through the pool
    struct pool_task task;
    struct sink_dir *sink;
    struct sink_item item;
    sink_done *done;
    void *ctx;
    struct buf folder, record_path, found, why;
    uint8_t tag[SINK_DIR_TAG];
    bool linked;      // our record is there: whoever finds it names the images
    struct room room; // as it was at the end
    enum err err;
    struct event event; // of `found`; its spans point there
};

// On a thread: both end with `err`, and `found` where there was a record before.
void sink_dir_store(struct pool_task *t);
void sink_dir_lookup(struct pool_task *t);
#endif
