// test_sweep.c - memory or disk that run out at any moment: everything that holds state says
// so, leaves nothing behind, and where it is tried again, or opened again, all is well.
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/catalogue.h"
#include "broker/projects.h"
#include "broker/request.h"
#include "client/input.h"
#include "client/journal.h"
#include "client/output.h"
#include "client/sheet_list.h"
#include "common/file.h"
#include "common/image.h"
#include "common/json.h"
#include "common/redis.h"
#include "unit/fault.h"
#include "unit/picture.h"
#include "unit/test.h"
#include "worker/answer.h"
#include "worker/judge.h"
#include "worker/keyring.h"
#include "worker/sink.h"
#include "worker/spool.h"
#include "worker/storage.h"

struct folder {
    char path[32];
};

static int make_folder(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    strcpy(f->path, "/tmp/test_sweep.XXXXXX");
    *state = f;
    return mkdtemp(f->path) ? 0 : -1;
}

static void clear(const struct folder *f)
{
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'/*", f->path);
    assert_int_equal(system(command), 0);
}

static int drop_folder(void **state)
{
    struct folder *f = *state;
    clear(f);
    int failed = rmdir(f->path);
    free(f);
    return failed;
}

// Not asprintf(): memory may be out.
static const char *in(const struct folder *f, const char *name)
{
    static char path[96];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    return path;
}

// --- Values ----------------------------------------------------------------------------------

static enum err say_a_job(void *ctx)
{
    (void)ctx;
    static const uint8_t nonce[16];
    const struct job j = {.id = SPAN("one"),
                          .title = SPAN("a cat"),
                          .prompt = SPAN("on a fence"),
                          .model = SPAN("m"),
                          .sample = 1,
                          .samples = 1};
    struct event e = {.type = EVENT_COMPLETED, .id = SPAN("one"), .text = SPAN("said")};
    struct buf map = {.max = 65536}, prompt = map, event = map, record = map;
    job_encode(&map, &j);
    job_compose(&prompt, &j);
    event_encode(&event, &e);
    struct record r = {.nonce = {(const char *)nonce, 16}, .event = buf_span(&event)};
    record_encode(&record, &r);
    enum err err = map.err      ? map.err
                   : prompt.err ? prompt.err
                   : event.err  ? event.err
                                : record.err;
    if (err == OK) {
        struct job again;
        assert_int_equal(job_decode(&again, buf_span(&map), NULL), OK);
        assert_true(span_equal(again.title, j.title));
        assert_int_equal(record_decode(&r, buf_span(&record)), OK);
        assert_int_equal(event_decode(&e, r.event), OK);
    }
    buf_free(&map), buf_free(&prompt), buf_free(&event), buf_free(&record);
    return err;
}

// What is sent is the whole prompt, or nothing, for it is paid for; and no other request's
// digest comes of it, or that one's image would be given out for this one.
static enum err ask_for_an_image(void *ctx)
{
    const char *whole = ctx;
    const struct job j = {.title = SPAN("a cat"), .prompt = SPAN("on a fence")};
    char digest[DIGEST_HEX];
    struct buf body = {.max = 65536};
    request_body(&body, &j);
    enum err e = body.err;
    if (e == OK)
        assert_non_null(
            strstr(buf_str(&body), "\"Subject:\\na cat\\n\\nPrompt:\\non a fence\""));
    request_digest(&j, digest);
    buf_free(&body);
    if (*digest && *whole)
        assert_string_equal(digest, whole);
    if (*whole == '\0')
        strcpy(ctx, digest);
    return *digest ? e : ERR_NOMEM;
}

static enum err read_addresses(void *ctx)
{
    (void)ctx;
    static const char *const all[] = {"redis://user:pass%20word@host:1/2", "unix:///path?db=3",
                                      "rediss+sentinel://u:p@a:1,b,c/name/4",
                                      "redis+cluster://a:1,b:2,c"};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct redis_url u = {0};
        struct buf why = {.max = 100};
        enum err e = redis_url_parse(span_of(all[i]), &u, &why);
        buf_free(&why);
        if (e != OK)
            return e;
        assert_true(u.n_hosts == 1 || u.n_hosts == 3);
        redis_url_free(&u);
    }
    return OK;
}

static enum err open_catalogue(void *ctx)
{
    (void)ctx;
    struct catalogue *c = NULL;
    struct buf why = {.max = 1000};
    enum err e = catalogue_open(NULL, &c, &why);
    buf_free(&why);
    if (e != OK)
        return e;
    assert_non_null(catalogue_find(c, catalogue_default(c)));
    catalogue_free(c);
    return OK;
}

static enum err split_json(void *ctx)
{
    (void)ctx;
    static const char text[] = "{\"a\":[1,2,{\"b\":\"a string that is long enough\"}]}";
    struct json_split *s = json_split_new(NULL, SIZE_MAX, SIZE_MAX);
    struct json_object *o;
    enum err e = s ? OK : ERR_NOMEM;
    for (size_t i = 0; e == OK && i < sizeof text - 1; i++)
        e = json_split_feed(s, text + i, 1);
    if (e == OK)
        e = json_split_take(s, &o);
    if (e == OK) {
        assert_non_null(json_at(o, "a.2.b"));
        json_object_put(o);
    }
    json_split_free(s);
    return e;
}

static void values(void **state)
{
    (void)state;
    char digest[DIGEST_HEX] = "";
    assert_int_equal(ask_for_an_image(digest), OK);
    fault_sweep(fault_alloc, ERR_NOMEM, say_a_job, NULL);
    fault_sweep(fault_alloc, ERR_NOMEM, ask_for_an_image, digest);
    fault_sweep(fault_alloc, ERR_NOMEM, read_addresses, NULL);
    fault_sweep(fault_alloc, ERR_NOMEM, open_catalogue, NULL);
    fault_sweep(fault_alloc, ERR_NOMEM, split_json, NULL);
}

static enum err make_a_keyring(void *ctx)
{
    struct keyring *k = keyring_new(ctx);
    if (!k)
        return ERR_NOMEM;
    keyring_free(k);
    return OK;
}

// What tells batches that images cannot be stored; nobody is told of any here.
static enum err make_a_storage(void *ctx)
{
    struct storage_options o = {.worker = "host:1"};
    struct storage *s = storage_new(ctx, &o);
    if (!s)
        return ERR_NOMEM;
    assert_false(storage_closed(s));
    storage_free(s);
    return OK;
}

static void parts_of_a_worker(void **state)
{
    (void)state;
    static struct projects all;
    struct buf key = {.max = 64};
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    buf_add(&key, SPAN("a key"));
    projects_one(&all, "art", &key, (struct span){0});
    fault_sweep(fault_alloc, ERR_NOMEM, make_a_keyring, &all.at[0]);
    fault_sweep(fault_alloc, ERR_NOMEM, make_a_storage, loop);
    ev_loop_destroy(loop);
    projects_free(&all);
}

// --- Pictures --------------------------------------------------------------------------------

static enum err look_at_pictures(void *ctx)
{
    const struct buf *all = ctx;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < 4; i++) {
        FILE *f = picture_stream(buf_span(&all[i]));
        struct image_info info;
        uint8_t *rgb;
        uint32_t w, h;
        if (!f) // opened by the test, in whose memory the stream is
            return ERR_NOMEM;
        e = image_verify(f, IMAGE_CHECK_FULL, &info, NULL);
        rewind(f);
        if (e == OK)
            e = image_thumbnail(f, 5, 5, &rgb, &w, &h, NULL);
        if (e == OK) {
            assert_true(info.width == 40 && w == 5);
            free(rgb);
        }
        fclose(f);
    }
    return e;
}

static void pictures(void **state)
{
    (void)state;
    struct buf all[] = {picture_png(40, 20), picture_interlaced(40, 20),
                        picture_jpeg(40, 20, false), picture_jpeg(40, 20, true)};
    fault_sweep(fault_alloc, ERR_NOMEM, look_at_pictures, all);
    for (size_t i = 0; i < 4; i++)
        buf_free(&all[i]);
}

// --- Answers ---------------------------------------------------------------------------------

static enum err read_answer(void *ctx)
{
    static const char text[] =
        "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"here\"},{\"inlineData\":{"
        "\"mimeType\":\"image/"
        "png\",\"data\":\"QUJDREVGR0hJSktM\"}}]},\"finishReason\":\"STOP\"}]}";
    struct answer *a = answer_new(ctx);
    struct json_object *doc;
    enum err e = a ? OK : ERR_NOMEM;
    for (size_t i = 0; e == OK && i < sizeof text - 1; i += 16)
        e = answer_feed(a, text + i, sizeof text - 1 - i < 16 ? sizeof text - 1 - i : 16);
    if (e == OK)
        e = answer_end(a, &doc);
    if (e == OK) {
        struct provider_result r = {0};
        judge_answer(&r, a, doc);
        assert_int_equal(r.n_images, 1);
        assert_int_equal(spool_bytes(r.images[0].spool), 12);
        spool_free(r.images[0].spool);
    }
    answer_free(a);
    return e;
}

// 40 KB in a file, which is then given a name.
static enum err fill_spool(void *ctx)
{
    struct spool_place *place = ctx;
    uint8_t bytes[4096];
    memset(bytes, 7, sizeof bytes);
    struct spool *s = spool_new(place, 1u << 20);
    enum err e = s ? OK : ERR_NOMEM;
    for (int i = 0; e == OK && i < 10; i++)
        e = spool_add(s, bytes, sizeof bytes);
    if (e == OK)
        e = spool_end(s);
    char path[96];
    snprintf(path, sizeof path, "%s/named", place->dir);
    if (e == OK)
        e = spool_link(s, path);
    struct buf whole = {.max = 1u << 20};
    unsigned n = 0;
    if (e == OK) {
        FILE *f = fopen(path, "r");
        assert_non_null(f);
        while (getc(f) == 7)
            n++;
        fclose(f);
        assert_int_equal(n, 40960);
    } else {
        assert_false(file_exists(path));
    }
    unlink(path);
    buf_free(&whole);
    spool_free(s);
    assert_int_equal(place->in_memory, 0);
    return e;
}

static void answers(void **state)
{
    struct folder *f = *state;
    struct spool_place place = {.dir = f->path},
                       wide = {.dir = f->path, .max_memory = 1u << 20};
    fault_sweep(fault_alloc, ERR_NOMEM, read_answer, &place);
    fault_sweep(fault_write, ERR_FULL, read_answer, &place);
    fault_sweep(fault_alloc, ERR_NOMEM, fill_spool, &place);
    fault_sweep(fault_write, ERR_FULL, fill_spool, &place);
    fault_sweep(fault_write, ERR_FULL, fill_spool, &wide); // goes on in memory
}

// --- Files of people -------------------------------------------------------------------------

struct reading {
    struct folder *folder;
    const char *name;
};

static enum err read_inputs(void *ctx)
{
    const struct reading *r = ctx;
    const struct job defaults = {.model = SPAN("m"), .samples = 1, .sample = 1};
    struct buf complaints = {.max = 1u << 20};
    struct inputs *all = inputs_new(&defaults, 2);
    enum err e = all ? inputs_read(all, in(r->folder, r->name), NULL, &complaints) : ERR_NOMEM;
    if (e == OK)
        e = inputs_finish(all, &complaints);
    if (e == OK) { // what was not read for want of memory is not taken for bad
        assert_int_equal(inputs_bad(all), 1);
        assert_int_equal(inputs_count(all), 4);
        struct job j;
        assert_int_equal(job_decode(&j, inputs_at(all, 3).map, NULL), OK);
        assert_true(span_is(j.prompt, "two"));
    }
    inputs_free(all);
    buf_free(&complaints);
    return e;
}

static enum err write_rejects(void *ctx)
{
    const struct reading *r = ctx;
    const struct job defaults = {.model = SPAN("m"), .samples = 1, .sample = 1};
    struct buf complaints = {.max = 1u << 20};
    struct inputs *all = inputs_new(&defaults, 1);
    char path[96];
    snprintf(path, sizeof path, "%s/rejects", r->folder->path);
    enum err e = all ? inputs_read(all, in(r->folder, r->name), NULL, &complaints) : ERR_NOMEM;
    if (e == OK)
        e = inputs_write_rejects(all, path);
    struct buf whole = {.max = 65536};
    fault_forget(); // of an error that came after the file had its name, it stays there
    if (e == OK || file_exists(path)) {
        assert_int_equal(file_read(path, &whole), OK);
        assert_true(whole.len > 50 && whole.ptr[whole.len - 1] == '\n');
    }
    buf_free(&whole);
    unlink(path);
    inputs_free(all);
    buf_free(&complaints);
    return e;
}

static void inputs(void **state)
{
    static const char *const files[][2] = {
        {"a.jsonl",
         "{\"prompt\":\"one\",\"colour\":\"red\"}\n{\"prompt\":\"\"}\n{\"prompt\":\"two\"}\n"},
        {"a.json", "[{\"prompt\":\"one\",\"id\":\"x\"},{\"prompt\":\"\"},\"two\"]"},
        {"a.csv", "id,prompt,colour\nx,one,red\ny,,red\nz,two,\"a \"\"b\"\"\"\n"},
        {"a.tsv", "id\tprompt\nx\tone\ny\t\nz\ttwo\n"},
    };
    struct reading r = {.folder = *state};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        r.name = files[i][0];
        assert_int_equal(file_write(in(r.folder, r.name), span_of(files[i][1])), OK);
        fault_sweep(fault_alloc, ERR_NOMEM, read_inputs, &r);
    }
    fault_sweep(fault_alloc, ERR_NOMEM, write_rejects, &r);
    fault_sweep(fault_write, ERR_FULL, write_rejects, &r);
    clear(r.folder);
}

// --- Files that are whole --------------------------------------------------------------------

static enum err write_file(void *ctx)
{
    struct folder *f = ctx;
    char path[96], bytes[64];
    snprintf(path, sizeof path, "%s/file", f->path);
    enum err e = file_write(path, SPAN("new and longer"));
    fault_forget();
    FILE *is = fopen(path, "r");
    assert_non_null(is);
    size_t n = fread(bytes, 1, sizeof bytes, is);
    fclose(is);
    assert_true((n == 14 && memcmp(bytes, "new and longer", n) == 0) ||
                (e != OK && n == 3 && memcmp(bytes, "old", 3) == 0));
    return e;
}

static enum err write_synced_file(void *ctx)
{
    enum err e = write_file(ctx);
    assert_true(e != OK || !fault_happened());
    return e;
}

static enum err seen(void *ctx, uint32_t tag, uint64_t at, struct span record)
{
    unsigned *n = ctx;
    (void)at;
    assert_int_equal(tag, 5);
    assert_true(span_is(record, "a record"));
    (*n)++;
    return OK;
}

// What was acknowledged is there when the journal is opened again, and nothing torn.
static enum err keep_journal(void *ctx)
{
    struct folder *f = ctx;
    struct journal j = {.fd = -1};
    char path[96];
    snprintf(path, sizeof path, "%s/journal", f->path);
    unsigned before = 0, after = 0, added = 0;
    enum err e = journal_open(&j, path, seen, &before);
    for (int i = 0; e == OK && i < 3; i++) {
        uint64_t at;
        e = journal_add(&j, 5, SPAN("a record"), &at);
        added += e == OK;
    }
    journal_close(&j);
    fault_forget();
    bool failed = e != OK;
    if (journal_open(&j, path, seen, &after) == OK)
        assert_true(after == added || (failed && after == added + 1));
    journal_close(&j);
    unlink(path);
    return e;
}

static void files(void **state)
{
    struct folder *f = *state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_write(in(f, "file"), SPAN("old")), OK);
        fault_sweep(i ? fault_write : fault_alloc, i ? ERR_FULL : ERR_NOMEM, write_file, f);
    }
    assert_int_equal(file_write(in(f, "file"), SPAN("old")), OK);
    fault_sweep(fault_sync, ERR_IO, write_synced_file, f);
    clear(f);
}

// --- The folder of a batch -------------------------------------------------------------------

static const char sum_of_abc[] =
    "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"
    "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad";

static enum err put_image(struct output *o, const struct event_image *im)
{
    struct output_image *to;
    enum err e = output_image_open(o, im, &to);
    if (e != OK)
        return e;
    e = output_image_add(to, SPAN("abc"));
    if (e == OK)
        return output_image_commit(to);
    output_image_abort(to);
    return e;
}

static enum err put_job(struct output *o, uint32_t index)
{
    const struct job j = {
        .prompt = SPAN("a cat"), .model = SPAN("m"), .sample = 1, .samples = 1};
    struct event e = {.type = index == 1 ? EVENT_FAILED : EVENT_COMPLETED,
                      .run = 1,
                      .index = index,
                      .id = index == 1 ? SPAN("b") : SPAN("a"),
                      .code = index == 1 ? CODE_SAFETY : CODE_OK};
    struct event_image *im = &e.images[0];
    *im = (struct event_image){.path = SPAN("images/0.png"),
                               .type = IMAGE_PNG,
                               .bytes = 3,
                               .sha256 = {sum_of_abc, 32}};
    struct buf map = {.max = 4096};
    job_encode(&map, &j);
    enum err err = map.err ? map.err : output_input(o, index, buf_span(&map));
    buf_free(&map);
    if (err == OK && index != 1) {
        e.n_images = 1;
        err = output_has_image(o, im) ? OK : put_image(o, im);
    }
    return err == OK ? output_event(o, &e, &(struct trail){.number = index + 1}, NULL) : err;
}

static enum err fill_folder(struct folder *f, bool resume)
{
    char path[96];
    snprintf(path, sizeof path, "%s/batch", f->path);
    struct output_options options = {path, SPAN("batch"), 2, resume, SPAN("ab")};
    struct output_summary s = {.model = SPAN("m")};
    struct output *o;
    enum err e = output_open(&options, &o, NULL);
    if (e != OK)
        return e;
    for (uint32_t i = 0; e == OK && i < 2; i++)
        e = put_job(o, i);
    if (e == OK)
        e = output_finish(o, &s, NULL);
    output_free(o);
    return e;
}

// Whatever failed: who opens the folder again brings it to its end, and nothing is there twice.
static enum err make_batch(void *ctx)
{
    struct folder *f = ctx;
    enum err e = fill_folder(f, false);
    fault_forget();
    if (e != OK) {
        char path[96];
        snprintf(path, sizeof path, "%s/batch", f->path);
        enum err again = fill_folder(f, file_exists(path));
        assert_int_equal(again, OK);
    }
    struct buf manifest = {.max = 65536};
    assert_int_equal(file_read(in(f, "batch/manifest.jsonl"), &manifest), OK);
    unsigned n = 0;
    for (size_t i = 0; i < manifest.len; i++)
        n += manifest.ptr[i] == '\n';
    assert_int_equal(n, 2);
    assert_true(file_exists(in(f, "batch/images/0.png")));
    assert_true(file_exists(in(f, "batch/failed.jsonl")));
    buf_free(&manifest);
    clear(f);
    return e;
}

static enum err list_pictures(void *ctx)
{
    struct folder *f = ctx;
    struct sheet_list *l;
    struct sheet_item item;
    enum err e = sheet_list_open(in(f, "batch"), &l, NULL);
    if (e != OK)
        return e;
    assert_int_equal(sheet_list_count(l), 2);
    bool got = sheet_list_get(l, 0, &item);
    sheet_list_free(l);
    return got ? OK : ERR_NOMEM;
}

// Unlike others, a sync that failed cannot be made up for: it is always told.
static enum err make_synced_batch(void *ctx)
{
    enum err e = make_batch(ctx);
    assert_true(e != OK || !fault_happened());
    return e;
}

static void folders(void **state)
{
    struct folder *f = *state;
    assert_int_equal(fill_folder(f, false), OK);
    fault_sweep(fault_alloc, ERR_NOMEM, list_pictures, f);
    clear(f);
}

static void folders_are_gone_on_with(void **state)
{
    fault_sweep(fault_alloc, ERR_NOMEM, make_batch, *state);
    fault_sweep(fault_write, ERR_FULL, make_batch, *state);
    fault_sweep(fault_sync, ERR_IO, make_synced_batch, *state);
    fault_sweep(fault_write, ERR_FULL, keep_journal, *state);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, make_folder, drop_folder)
    const struct CMUnitTest tests[] = {
        T(values),  T(parts_of_a_worker),        T(pictures), T(answers), T(inputs), T(files),
        T(folders), T(folders_are_gone_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
