// test_parcel.c - images on their way into a folder: checked, stored once, adopted, and mended
// after a crash at any point.
#include <dirent.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/job.h"
#include "common/file.h"
#include "common/pool.h"
#include "unit/fault.h"
#include "unit/picture.h"
#include "unit/test.h"
#include "worker/parcel.h"
#include "worker/spool.h"

#define NONCE   "0123456789abcdef"
#define RECORD  "b/.records/0"
#define WRITERS 8

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

static void too_long(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w, (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

static int make_bench(void **state)
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

static int drop_bench(void **state)
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

static struct parcel *parcel_of(struct bench *b, struct span bytes)
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

static void on_stored(void *ctx, enum err e, const struct record *r, bool adopted,
                      struct span why)
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

static struct stored awaited(const struct bench *b, unsigned *left)
{
    return (struct stored){
        .loop = b->loop, .left = left, .event = {.max = 1 << 20}, .why = {.max = 1 << 12}};
}

static void run(struct bench *b, const unsigned *left)
{
    ev_timer_start(b->loop, &b->guard);
    ev_run(b->loop, 0);
    ev_timer_stop(b->loop, &b->guard);
    assert_int_equal(*left, 0);
}

static void stored_free(struct stored *s)
{
    buf_free(&s->event);
    buf_free(&s->why);
}

static struct stored check(struct bench *b, struct parcel *p)
{
    unsigned left = 1;
    struct stored s = awaited(b, &left);
    parcel_check(p, b->pool, IMAGE_CHECK_FULL, on_checked, &s);
    run(b, &left);
    return s;
}

static struct parcel_label label_of(const struct bench *b, const char *nonce, uint32_t digest)
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

// A picture of that width, checked.
static struct parcel *picture(struct bench *b, uint32_t width)
{
    struct buf png = picture_png(width, 4);
    struct parcel *p = parcel_of(b, buf_span(&png));
    struct stored checked = check(b, p);
    assert_int_equal(checked.err, OK);
    stored_free(&checked);
    buf_free(&png);
    return p;
}

static struct stored store_parcel(struct bench *b, struct parcel *p, const char *nonce,
                                  uint32_t digest)
{
    unsigned left = 1;
    struct stored s = awaited(b, &left);
    struct parcel_label l = label_of(b, nonce, digest);
    assert_int_equal(parcel_store(p, b->sink, &l, on_stored, &s), OK);
    assert_int_equal(s.calls, 0); // never from inside
    run(b, &left);
    return s;
}

// Such a picture, stored as job 0.
static struct stored store(struct bench *b, uint32_t width, const char *nonce, uint32_t digest)
{
    struct parcel *p = picture(b, width);
    struct stored s = store_parcel(b, p, nonce, digest);
    parcel_free(p);
    return s;
}

static struct stored look(struct bench *b)
{
    unsigned left = 1;
    struct stored s = awaited(b, &left);
    struct sink_item item = {.batch = SPAN("b")};
    assert_int_equal(b->sink->ops->lookup(b->sink, &item, on_found, &s), OK);
    run(b, &left);
    return s;
}

static char *path_of(const struct bench *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static char *path_of(const struct bench *b, const char *format, ...)
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

static unsigned files_in(const struct bench *b, const char *folder)
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

static struct buf read_whole(const struct bench *b, const char *name)
{
    struct buf bytes = {.max = 1 << 20};
    char *path = path_of(b, "%s", name);
    assert_int_equal(file_read(path, &bytes), OK);
    free(path);
    return bytes;
}

// Where the image of an event is, to be freed.
static char *image_path(const struct bench *b, const struct stored *s)
{
    struct event e;
    assert_int_equal(event_decode(&e, buf_span(&s->event)), OK);
    assert_int_equal(e.n_images, 1);
    return path_of(b, "b/%.*s", (int)e.images[0].path.len, e.images[0].path.ptr);
}

// The image that the event tells of is there, whole, the only one, and that wide; nothing of
// the way it came is left.
static void assert_image(const struct bench *b, const struct stored *s, uint32_t width)
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

// What was there is not taken for it: it is not found, and stored again.
static void assert_stored_anew(struct bench *b)
{
    struct stored found = look(b);
    assert_int_equal(found.err, ERR_MISSING);
    struct stored second = store(b, 9, NONCE, 1);
    assert_true(second.err == OK && !second.adopted);
    assert_image(b, &second, 9);
    stored_free(&second);
    stored_free(&found);
}

// --- Checking --------------------------------------------------------------------------------

static void a_broken_image_is_found_out(void **state)
{
    struct bench *b = *state;
    struct buf png = picture_png(8, 8);
    struct span cut = {png.ptr, png.len - 5};
    const struct span bad[] = {cut, SPAN("this is no image at all"), SPAN("")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct parcel *p = parcel_of(b, bad[i]);
        struct stored s = check(b, p);
        assert_int_equal(s.err, ERR_FORMAT);
        assert_true(s.why.len > 0);
        stored_free(&s);
        parcel_free(p);
    }
    struct parcel *p = parcel_of(b, buf_span(&png));
    struct stored s = check(b, p);
    assert_int_equal(s.err, OK);
    assert_int_equal(parcel_images(p), 1);
    assert_int_equal(parcel_bytes(p), png.len);
    stored_free(&s);
    parcel_free(p);
    buf_free(&png);
}

// --- Storing ---------------------------------------------------------------------------------

static void what_is_stored_is_found(void **state)
{
    struct bench *b = *state;
    struct stored none = look(b);
    assert_int_equal(none.err, ERR_MISSING);
    struct stored s = store(b, 8, NONCE, 1);
    assert_int_equal(s.err, OK);
    assert_false(s.adopted);
    assert_image(b, &s, 8);
    struct event e;
    assert_int_equal(event_decode(&e, buf_span(&s.event)), OK);
    assert_true(span_is(e.text, "said") && span_is(e.worker, "w") && span_is(e.id, "scene"));
    struct stored found = look(b);
    assert_int_equal(found.err, OK);
    assert_true(span_equal(buf_span(&found.event), buf_span(&s.event)));
    stored_free(&none);
    stored_free(&found);
    stored_free(&s);
}

static void the_first_writer_wins(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1), second = store(b, 9, NONCE, 1);
    assert_int_equal(second.err, OK);
    assert_true(second.adopted);
    assert_true(span_equal(buf_span(&first.event), buf_span(&second.event)));
    assert_image(b, &second, 8);
    stored_free(&first);
    stored_free(&second);
}

// Under way together on several threads: one is stored, all the others tell of that one.
static void one_wins(struct bench *b)
{
    unsigned left = WRITERS, own = 0, winner = 0;
    struct stored s[WRITERS];
    struct parcel *p[WRITERS];
    struct parcel_label l = label_of(b, NONCE, 1);
    for (unsigned i = 0; i < WRITERS; i++) {
        p[i] = picture(b, 8 + i);
        s[i] = awaited(b, &left);
    }
    for (unsigned i = 0; i < WRITERS; i++)
        assert_int_equal(parcel_store(p[i], b->sink, &l, on_stored, &s[i]), OK);
    run(b, &left);
    for (unsigned i = 0; i < WRITERS; i++) {
        assert_int_equal(s[i].calls, 1);
        assert_int_equal(s[i].err, OK);
        if (!s[i].adopted) {
            own++;
            winner = i;
        }
    }
    assert_int_equal(own, 1);
    for (unsigned i = 0; i < WRITERS; i++)
        assert_true(span_equal(buf_span(&s[i].event), buf_span(&s[winner].event)));
    assert_image(b, &s[winner], 8 + winner);
    for (unsigned i = 0; i < WRITERS; i++) {
        stored_free(&s[i]);
        parcel_free(p[i]);
    }
}

static void what_another_batch_or_input_left_is_replaced(void **state)
{
    struct bench *b = *state;
    static const struct {
        const char *nonce;
        uint32_t digest;
    } others[] = {{"fedcba9876543210", 1}, {"fedcba9876543210", 2}};
    struct stored before = store(b, 8, NONCE, 1);
    for (uint32_t i = 0; i < 2; i++) {
        struct stored s = store(b, 9 + i, others[i].nonce, others[i].digest);
        assert_int_equal(s.err, OK);
        assert_false(s.adopted);
        assert_image(b, &s, 9 + i);
        stored_free(&s);
    }
    stored_free(&before);
}

static void of_many_at_once_one_wins(void **state)
{
    one_wins(*state);
}

// What another batch left is removed once, and never the record that has just taken its place.
static void over_what_another_batch_left_too(void **state)
{
    for (int round = 0; round < 40; round++) {
        struct stored before = store(*state, 7, "fedcba9876543210", 1);
        assert_false(before.adopted);
        one_wins(*state);
        stored_free(&before);
    }
}

// Other content under the name, of the same size by chance or by somebody's hand.
static void an_image_that_was_replaced_is_none(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1);
    char *image = image_path(b, &first);
    FILE *f = fopen(image, "r+");
    assert_non_null(f);
    assert_int_equal(fseek(f, 20, SEEK_SET), 0);
    assert_int_equal(fputc('!', f), '!');
    fclose(f);
    assert_stored_anew(b);
    free(image);
    stored_free(&first);
}

// --- A disk that fails -----------------------------------------------------------------------

static void empty(const struct bench *b)
{
    char command[80];
    snprintf(command, sizeof command, "rm -rf '%s/b'", b->dir);
    assert_int_equal(system(command), 0);
}

// Whatever could not be synced is told, and nothing is named before; tried again, with the same
// bytes, it is stored once, and nothing is left of the first try.
static void a_sync_that_fails_is_told_and_tried_again(void **state)
{
    struct bench *b = *state;
    unsigned n = 1;
    for (;; n++) {
        struct parcel *p = picture(b, 8);
        fault_sync(n);
        struct stored s = store_parcel(b, p, NONCE, 1);
        bool failed = fault_happened();
        fault_sync(0);
        assert_int_equal(s.err == OK, !failed);
        assert_int_equal(s.why.len > 0, failed);
        if (n <= 2) // of the image and of the record
            assert_int_equal(files_in(b, "b/images"), 0);
        struct stored found = look(b); // by then, who comes next finds it
        assert_int_equal(found.err, n <= 2 ? ERR_MISSING : OK);
        stored_free(&found);
        struct stored again = failed ? store_parcel(b, p, NONCE, 1) : s;
        assert_int_equal(again.err, OK);
        assert_image(b, &again, 8);
        if (failed)
            stored_free(&s);
        stored_free(&again);
        parcel_free(p);
        empty(b);
        if (!failed)
            break;
    }
    assert_int_equal(n, 5); // image, record, both of their folders; then all went well
}

// Stores, with the n-th call of a kind failing; whether it did. `s`: how it ended.
static bool store_disturbed(struct bench *b, struct parcel *p, fault *kind, unsigned n,
                            struct stored *s)
{
    unsigned left = 1;
    struct parcel_label l = label_of(b, NONCE, 1);
    *s = awaited(b, &left);
    kind(n);
    s->err = parcel_store(p, b->sink, &l, on_stored, s);
    if (s->err == OK)
        run(b, &left);
    fault_forget();
    return fault_happened();
}

// Whatever fails, what is there is whole or nothing, and the next try stores it, once.
static void any_call_may_fail(struct bench *b, fault *kind, enum err e)
{
    bool failed = true;
    for (unsigned n = 1; failed; n++) {
        struct stored s;
        struct parcel *p = picture(b, 8);
        failed = store_disturbed(b, p, kind, n, &s);
        if (s.err != OK && !(failed && s.err == e))
            fail_msg("call %u: %s (%s)", n, err_text(s.err), buf_str(&s.why));
        struct stored found = look(b);
        if (found.err == OK)
            assert_image(b, &found, 8);
        struct stored again = store_parcel(b, p, NONCE, 1);
        assert_int_equal(again.err, OK);
        assert_image(b, &again, 8);
        stored_free(&s), stored_free(&found), stored_free(&again);
        parcel_free(p);
        empty(b);
    }
}

static void writes_and_memory_may_fail(void **state)
{
    any_call_may_fail(*state, fault_write, ERR_FULL);
    any_call_may_fail(*state, fault_alloc, ERR_NOMEM);
}

// --- Images of another job -------------------------------------------------------------------

static struct parcel *shared(const struct stored *of)
{
    struct event e;
    assert_int_equal(event_decode(&e, buf_span(&of->event)), OK);
    return parcel_shared(&e, SPAN("said"), SPAN("b"), 0);
}

// As job 0 of batch c, with the n-th call of a kind failing.
static struct stored share(struct bench *b, struct parcel *p, fault *kind, unsigned n)
{
    unsigned left = 1;
    struct stored s = awaited(b, &left);
    struct parcel_label l = label_of(b, NONCE, 2);
    l.batch = SPAN("c");
    l.deduped_of = SPAN("b/scene");
    kind(n);
    s.err = parcel_store(p, b->sink, &l, on_stored, &s);
    if (s.err == OK)
        run(b, &left);
    fault_forget();
    return s;
}

static void assert_shared(struct bench *b, const struct stored *s)
{
    struct event e;
    struct buf bytes = {.max = 1 << 20};
    uint8_t digest[DIGEST_SIZE];
    assert_int_equal(s->err, OK);
    assert_int_equal(event_decode(&e, buf_span(&s->event)), OK);
    assert_true(span_is(e.deduped_of, "b/scene") && e.cost_micro == 0 &&
                span_is(e.text, "said"));
    char *path = path_of(b, "c/%.*s", (int)e.images[0].path.len, e.images[0].path.ptr);
    assert_int_equal(file_read(path, &bytes), OK);
    digest_of(buf_span(&bytes), digest);
    assert_memory_equal(digest, e.images[0].sha256.ptr, DIGEST_SIZE);
    assert_int_equal(files_in(b, "c/images"), 1);
    assert_int_equal(files_in(b, "c/.records"), 1);
    buf_free(&bytes);
    free(path);
}

static void an_image_is_shared(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1);
    static fault *const kinds[] = {fault_sync, fault_write, fault_alloc};
    for (size_t k = 0; k < 3; k++) {
        bool failed = true;
        for (unsigned n = 1; failed; n++) {
            struct parcel *p = shared(&first);
            struct stored s = share(b, p, kinds[k], n);
            failed = fault_happened();
            assert_true(s.err == OK || failed);
            if (s.err == ERR_MISSING) // a call would be made for what is there
                fail_msg("%zu, call %u: %s", k, n, buf_str(&s.why));
            struct stored again = share(b, p, fault_alloc, 0);
            assert_shared(b, &again);
            stored_free(&s), stored_free(&again);
            parcel_free(p);
            char *folder = path_of(b, "c");
            char command[128];
            snprintf(command, sizeof command, "rm -rf '%s'", folder);
            assert_int_equal(system(command), 0);
            free(folder);
        }
    }
    assert_image(b, &first, 8); // and is untouched
    stored_free(&first);
}

static void what_is_not_as_it_was_is_not_shared(void **state)
{
    struct bench *b = *state;
    static const char *const commands[] = {"rm '%s'", "truncate -s -1 '%s'",
                                           "truncate -s +1 '%s'",
                                           "printf x | dd of='%s' conv=notrunc status=none"};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct stored first = store(b, 8, NONCE, 1);
        char *path = image_path(b, &first), command[256];
        struct parcel *p = shared(&first);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(command, sizeof command, commands[i], path);
#pragma GCC diagnostic pop
        assert_int_equal(system(command), 0);
        struct stored s = share(b, p, fault_alloc, 0);
        assert_int_equal(s.err, ERR_MISSING);
        assert_int_equal(files_in(b, "c/images"), 0);
        assert_int_equal(files_in(b, "c/.records"), 0);
        stored_free(&s), stored_free(&first);
        parcel_free(p);
        free(path);
        empty(b);
    }
}

// Where a name is taken that cannot be replaced the words say which, and it is stored later.
static void a_name_that_cannot_be_given_is_told(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1);
    char *path = image_path(b, &first);
    stored_free(&first);
    empty(b);
    assert_int_equal(file_mkdirs(path), OK);
    struct parcel *p = picture(b, 8);
    for (int i = 0; i < 3; i++) {
        struct stored s = store_parcel(b, p, NONCE, 1);
        assert_int_equal(s.err, ERR_IO);
        assert_non_null(strstr(buf_str(&s.why), path));
        stored_free(&s);
    }
    assert_int_equal(rmdir(path), 0);
    struct stored s = store_parcel(b, p, NONCE, 1);
    assert_int_equal(s.err, OK);
    assert_image(b, &s, 8);
    stored_free(&s);
    parcel_free(p);
    free(path);
}

// --- After a crash ---------------------------------------------------------------------------

// Takes the image back to the name it had before the record was linked.
static void undo_rename(const struct bench *b, const struct stored *s)
{
    char hex[17];
    struct buf record = read_whole(b, RECORD);
    digest_hex((const uint8_t *)record.ptr, 8, hex);
    char *to = path_of(b, RECORD ".%s.0", hex), *from = image_path(b, s);
    assert_int_equal(rename(from, to), 0);
    free(from);
    free(to);
    buf_free(&record);
}

static void a_lookup_ends_what_a_crash_left_undone(void **state)
{
    struct bench *b = *state;
    struct stored s = store(b, 8, NONCE, 1);
    undo_rename(b, &s);
    assert_int_equal(files_in(b, "b/images"), 0);
    struct stored found = look(b);
    assert_int_equal(found.err, OK);
    assert_true(span_equal(buf_span(&found.event), buf_span(&s.event)));
    assert_image(b, &found, 8);
    stored_free(&found);
    stored_free(&s);
}

static void so_does_the_next_writer(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1);
    undo_rename(b, &first);
    struct stored second = store(b, 9, NONCE, 1);
    assert_true(second.err == OK && second.adopted);
    assert_image(b, &second, 8);
    stored_free(&first);
    stored_free(&second);
}

static void images_without_a_record_are_nothing(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1);
    undo_rename(b, &first);
    char *record = path_of(b, RECORD);
    assert_int_equal(unlink(record), 0);
    struct stored found = look(b);
    assert_int_equal(found.err, ERR_MISSING);
    assert_int_equal(files_in(b, "b/images"), 0);
    struct stored second = store(b, 9, NONCE, 1);
    assert_true(second.err == OK && !second.adopted);
    assert_int_equal(files_in(b, "b/images"), 1);
    free(record);
    stored_free(&first);
    stored_free(&second);
    stored_free(&found);
}

static void a_record_without_its_image_is_replaced(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1);
    char *image = image_path(b, &first);
    assert_int_equal(unlink(image), 0);
    assert_stored_anew(b);
    free(image);
    stored_free(&first);
}

static void a_record_cut_anywhere_is_none(void **state)
{
    struct bench *b = *state;
    struct stored first = store(b, 8, NONCE, 1);
    struct buf record = read_whole(b, RECORD);
    char *path = path_of(b, RECORD);
    for (size_t n = 0; n < record.len; n += 1 + record.len / 23) {
        assert_int_equal(file_write(path, (struct span){record.ptr, n}), OK);
        struct stored found = look(b);
        assert_int_equal(found.err, ERR_MISSING);
        stored_free(&found);
    }
    struct stored second = store(b, 9, NONCE, 1);
    assert_true(second.err == OK && !second.adopted);
    assert_image(b, &second, 9);
    free(path);
    buf_free(&record);
    stored_free(&first);
    stored_free(&second);
}

// A record is data that others can write: its names lead nowhere else.
static void names_of_a_record_do_not_leave_the_folder(void **state)
{
    struct bench *b = *state;
    static const char *const names[] = {"images/../../out.png", "../out.png", "/tmp/out.png",
                                        "images/.hidden.png",   "images/",    "images/a/b.png"};
    struct stored first = store(b, 8, NONCE, 1);
    undo_rename(b, &first);
    struct buf record = read_whole(b, RECORD);
    char *path = path_of(b, RECORD);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct event e;
        struct record r = {.nonce = SPAN(NONCE), .digest = 1};
        struct buf event = {.max = 1 << 16}, forged = {.max = 1 << 16};
        assert_int_equal(event_decode(&e, buf_span(&first.event)), OK);
        e.images[0].path = span_of(names[i]);
        event_encode(&event, &e);
        r.event = buf_span(&event);
        buf_add(&forged, (struct span){record.ptr, 8});
        record_encode(&forged, &r);
        assert_int_equal(file_write(path, buf_span(&forged)), OK);
        struct stored found = look(b);
        assert_int_equal(found.err, ERR_MISSING);
        assert_int_equal(files_in(b, "b/images"), 0);
        assert_int_equal(files_in(b, "b/.records"), 2); // the image did not move
        stored_free(&found);
        buf_free(&event);
        buf_free(&forged);
    }
    free(path);
    buf_free(&record);
    stored_free(&first);
}

// What cannot be stored says why, and can be tried again.
static void without_its_folder_nothing_is_stored(void **state)
{
    struct bench *b = *state;
    char *path = path_of(b, "b");
    assert_int_equal(file_write(path, SPAN("a file where the folder should be")), OK);
    struct stored s = store(b, 8, NONCE, 1);
    assert_int_not_equal(s.err, OK);
    assert_true(s.why.len > 0);
    assert_int_equal(unlink(path), 0);
    struct stored again = store(b, 8, NONCE, 1);
    assert_int_equal(again.err, OK);
    assert_image(b, &again, 8);
    assert_null(sink_dir_new(b->pool, "/nonexistent/folder"));
    free(path);
    stored_free(&s);
    stored_free(&again);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, make_bench, drop_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_broken_image_is_found_out),
        CASE(what_is_stored_is_found),
        CASE(the_first_writer_wins),
        CASE(of_many_at_once_one_wins),
        CASE(over_what_another_batch_left_too),
        CASE(an_image_that_was_replaced_is_none),
        CASE(what_another_batch_or_input_left_is_replaced),
        CASE(a_sync_that_fails_is_told_and_tried_again),
        CASE(writes_and_memory_may_fail),
        CASE(an_image_is_shared),
        CASE(what_is_not_as_it_was_is_not_shared),
        CASE(a_name_that_cannot_be_given_is_told),
        CASE(a_lookup_ends_what_a_crash_left_undone),
        CASE(so_does_the_next_writer),
        CASE(images_without_a_record_are_nothing),
        CASE(a_record_without_its_image_is_replaced),
        CASE(a_record_cut_anywhere_is_none),
        CASE(names_of_a_record_do_not_leave_the_folder),
        CASE(without_its_folder_nothing_is_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
