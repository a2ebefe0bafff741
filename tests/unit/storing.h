// storing.h - a folder as sink, for tests of what is stored there, and how that went.
#ifndef TESTS_STORING_H
#define TESTS_STORING_H

#include <ev.h>

#include "broker/job.h"
#include "common/pool.h"
#include "worker/parcel.h"
#include "worker/spool.h"

#define NONCE  "0123456789abcdef"
#define RECORD "b/.records/0"

struct bench {
    char dir[40];
    struct spool_place place;
    struct ev_loop *loop;
    ev_timer guard;
    struct pool *pool;
    struct sink *sink;
    struct job job;
};

struct stored { // how a store, check or lookup ended
    struct ev_loop *loop;
    unsigned *left;
    unsigned calls;
    enum err err;
    bool adopted;
    struct buf event, why;
};

int make_bench(void **state);
int drop_bench(void **state);
void bench_run(struct bench *b, const unsigned *left); // until none is left
void empty_folder(const struct bench *b);

// --- Parcels; of the caller ---
struct parcel *parcel_of(struct bench *b, struct span bytes);
struct parcel *checked_picture(struct bench *b, uint32_t width);
struct parcel_label label_of(const struct bench *b, const char *nonce, uint32_t digest);

// --- What is done with them, awaited; to be freed by stored_free() ---
struct stored check_parcel(struct bench *b, struct parcel *p);
struct stored store_parcel(struct bench *b, struct parcel *p, const char *nonce,
                           uint32_t digest);
// Such a picture, stored as job 0.
struct stored store_picture(struct bench *b, uint32_t width, const char *nonce,
                            uint32_t digest);
struct stored look_up(struct bench *b); // job 0
// For several at a time: `left` is how many did not end yet; each counts on_stored() down.
struct stored bench_awaited(const struct bench *b, unsigned *left);
void on_stored(void *ctx, enum err e, const struct record *r, bool adopted, struct span why);
void stored_free(struct stored *s);

// --- What is in the folder; paths are to be freed ---
char *path_of(const struct bench *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *image_path(const struct bench *b, const struct stored *s); // of the event's image
unsigned files_in(const struct bench *b, const char *folder);
struct buf read_whole(const struct bench *b, const char *name);
// The image that the event tells of is there, whole, the only one, and that wide; nothing of
// the way it came is left.
void assert_image(const struct bench *b, const struct stored *s, uint32_t width);
// What was there is not taken for it: it is not found, and stored again.
void assert_stored_anew(struct bench *b);

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)
#endif
