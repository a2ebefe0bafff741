// storing.c - see storing.h.
#include "unit/storing.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digest.h"
#include "common/file.h"
#include "unit/picture.h"
#include "unit/test.h"

static void too_long(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

int make_bench(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    strcpy(b->dir, "/tmp/test_parcel.XXXXXX");
    if (!mkdtemp(b->dir))
        return -1;
    b->place.dir = b->dir;
    b->loop = ev_loop_new(EVFLAG_AUTO);
    b->pool = pool_new(b->loop, 4, 0);
    b->sink = sink_dir_new(b->pool, b->dir);
    b->job = (struct job){.id = SPAN("scene"),
                          .prompt = SPAN("x"),
                          .model = SPAN("m"),
                          .sample = 1,
                          .samples = 1};
    ev_timer_init(&b->guard, too_long, 20., 0.);
    *state = b;
    return b->pool && b->sink ? 0 : -1;
}

int drop_bench(void **state)
{
    struct bench *b = *state;
    char command[80];
    snprintf(command, sizeof command, "rm -rf '%s'", b->dir);
    pool_free(b->pool);
    b->sink->ops->free(b->sink);
    ev_loop_destroy(b->loop);
    int failed = system(command);
    free(b);
    return failed;
}

// --- Pieces ----------------------------------------------------------------------------------

struct parcel *parcel_of(struct bench *b, struct span bytes)
{
    struct provider_result r = {.text = SPAN("said"), .n_images = 1};
    struct spool *s = spool_new(&b->place, 1u << 20);
    assert_non_null(s);
    assert_int_equal(spool_add(s, (const uint8_t *)bytes.ptr, bytes.len), OK);
    assert_int_equal(spool_end(s), OK);
    r.images[0].spool = s;
    struct parcel *p = parcel_new(&r);
    assert_non_null(p);
    assert_null(r.images[0].spool); // taken
    return p;
}

static void one_less(struct stored *s)
{
    s->calls++;
    if (--*s->left == 0)
        ev_break(s->loop, EVBREAK_ALL);
}

static void on_checked(void *ctx, enum err e, struct span why)
{
    struct stored *s = ctx;
    s->err = e;
    buf_add(&s->why, why);
    one_less(s);
}

void on_stored(void *ctx, enum err e, const struct record *r, bool adopted, struct span why)
{
    struct stored *s = ctx;
    s->err = e;
    s->adopted = adopted;
    if (r)
        buf_add(&s->event, r->event);
    buf_add(&s->why, why);
    one_less(s);
}

static void on_found(void *ctx, enum err e, struct span record, struct span why)
{
    struct record r = {0};
    if (e == OK)
        assert_int_equal(record_decode(&r, record), OK);
    on_stored(ctx, e, &r, false, why);
}

struct stored bench_awaited(const struct bench *b, unsigned *left)
{
    return (struct stored){
        .loop = b->loop, .left = left, .event = {.max = 1 << 20}, .why = {.max = 1 << 12}};
}

void bench_run(struct bench *b, const unsigned *left)
{
    ev_timer_start(b->loop, &b->guard);
    ev_run(b->loop, 0);
    ev_timer_stop(b->loop, &b->guard);
    assert_int_equal(*left, 0);
}

void stored_free(struct stored *s)
{
    buf_free(&s->event);
    buf_free(&s->why);
}

struct stored check_parcel(struct bench *b, struct parcel *p)
{
    unsigned left = 1;
    struct stored s = bench_awaited(b, &left);
    parcel_check(p, b->pool, IMAGE_CHECK_FULL, on_checked, &s);
    bench_run(b, &left);
    return s;
}

struct parcel_label label_of(const struct bench *b, const char *nonce, uint32_t digest)
{
    return (struct parcel_label){.job = &b->job,
                                 .id = SPAN("scene"),
                                 .batch = SPAN("b"),
                                 .nonce = span_of(nonce),
                                 .worker = SPAN("w"),
                                 .call_id = SPAN("12345678"),
                                 .digest = digest,
                                 .total = 1,
                                 .attempts = 1};
}

struct parcel *checked_picture(struct bench *b, uint32_t width)
{
    struct buf png = picture_png(width, 4);
    struct parcel *p = parcel_of(b, buf_span(&png));
    struct stored checked = check_parcel(b, p);
    assert_int_equal(checked.err, OK);
    stored_free(&checked);
    buf_free(&png);
    return p;
}

struct stored store_parcel(struct bench *b, struct parcel *p, const char *nonce,
                           uint32_t digest)
{
    unsigned left = 1;
    struct stored s = bench_awaited(b, &left);
    struct parcel_label l = label_of(b, nonce, digest);
    assert_int_equal(parcel_store(p, b->sink, &l, on_stored, &s), OK);
    assert_int_equal(s.calls, 0); // never from inside
    bench_run(b, &left);
    return s;
}

struct stored store_picture(struct bench *b, uint32_t width, const char *nonce, uint32_t digest)
{
    struct parcel *p = checked_picture(b, width);
    struct stored s = store_parcel(b, p, nonce, digest);
    parcel_free(p);
    return s;
}

struct stored look_up(struct bench *b)
{
    unsigned left = 1;
    struct stored s = bench_awaited(b, &left);
    struct sink_item item = {.batch = SPAN("b")};
    assert_int_equal(b->sink->ops->lookup(b->sink, &item, on_found, &s), OK);
    bench_run(b, &left);
    return s;
}

char *path_of(const struct bench *b, const char *format, ...)
{
    char *name, *path;
    va_list ap;
    va_start(ap, format);
    assert_true(vasprintf(&name, format, ap) > 0);
    va_end(ap);
    assert_true(asprintf(&path, "%s/%s", b->dir, name) > 0);
    free(name);
    return path;
}

unsigned files_in(const struct bench *b, const char *folder)
{
    unsigned n = 0;
    char *path = path_of(b, "%s", folder);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    free(path);
    return n;
}

struct buf read_whole(const struct bench *b, const char *name)
{
    struct buf bytes = {.max = 1 << 20};
    char *path = path_of(b, "%s", name);
    assert_int_equal(file_read(path, &bytes), OK);
    free(path);
    return bytes;
}

char *image_path(const struct bench *b, const struct stored *s)
{
    struct event e;
    assert_int_equal(event_decode(&e, buf_span(&s->event)), OK);
    assert_int_equal(e.n_images, 1);
    return path_of(b, "b/%.*s", (int)e.images[0].path.len, e.images[0].path.ptr);
}

void assert_image(const struct bench *b, const struct stored *s, uint32_t width)
{
    struct event e;
    uint8_t digest[DIGEST_SIZE];
    struct buf bytes = {.max = 1 << 20};
    char *path = image_path(b, s);
    assert_int_equal(event_decode(&e, buf_span(&s->event)), OK);
    assert_int_equal(e.images[0].width, width);
    assert_int_equal(file_read(path, &bytes), OK);
    assert_int_equal(bytes.len, e.images[0].bytes);
    digest_of(buf_span(&bytes), digest);
    assert_memory_equal(digest, e.images[0].sha256.ptr, DIGEST_SIZE);
    assert_int_equal(files_in(b, "b/images"), 1);
    assert_int_equal(files_in(b, "b/.records"), 1);
    buf_free(&bytes);
    free(path);
}

void assert_stored_anew(struct bench *b)
{
    struct stored found = look_up(b);
    assert_int_equal(found.err, ERR_MISSING);
    struct stored second = store_picture(b, 9, NONCE, 1);
    assert_true(second.err == OK && !second.adopted);
    assert_image(b, &second, 9);
    stored_free(&second);
    stored_free(&found);
}

void empty_folder(const struct bench *b)
{
    char command[80];
    snprintf(command, sizeof command, "rm -rf '%s/b'", b->dir);
    assert_int_equal(system(command), 0);
}
