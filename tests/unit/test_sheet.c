// test_sheet.c - contact sheets: the same bytes in whatever order their cells are told.
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/sheet.h"
#include "common/file.h"
#include "common/image.h"
#include "unit/picture.h"
#include "unit/test.h"

#define CELLS 90

struct folder {
    char path[32];
    struct ev_loop *loop;
};

static void put(const struct folder *f, const char *name, struct span bytes)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    assert_int_equal(file_write(path, bytes), OK);
}

static struct buf get(const struct folder *f, const char *name)
{
    struct buf b = {.max = 1u << 26};
    char path[100];
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    assert_int_equal(file_read(path, &b), OK);
    return b;
}

// Pictures of several sizes; every 10th is missing, every 15th cannot be read.
static void fill_folder(const struct folder *f)
{
    struct buf manifest = {.max = 1u << 20};
    for (unsigned i = 0; i < CELLS; i++) {
        char name[40];
        struct buf b = picture_png(20 + 7 * (i % 9), 20 + 5 * (i % 11));
        snprintf(name, sizeof name, "images/%05u_p.png", i);
        if (i % 15 == 5)
            b.len /= 2;
        if (i % 10 != 3)
            put(f, name, buf_span(&b));
        buf_addf(&manifest, "{\"index\":%u,\"id\":\"p%u\",\"status\":\"%s\"", i, i,
                 i % 10 == 3 ? "failed" : "completed");
        if (i % 10 == 3)
            buf_add_str(&manifest, ",\"error\":{\"code\":\"safety\"}}\n");
        else
            buf_addf(&manifest, ",\"images\":[{\"path\":\"%s\"}]}\n", name);
        buf_free(&b);
    }
    put(f, "manifest.jsonl", buf_span(&manifest));
    buf_free(&manifest);
}

static int make_folder(void **state)
{
    struct folder *f = calloc(1, sizeof *f);
    char images[48];
    if (!f || !(f->loop = ev_loop_new(EVFLAG_AUTO)))
        return -1;
    strcpy(f->path, "/tmp/genfarm-test-sheet-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    snprintf(images, sizeof images, "%s/images", f->path);
    if (mkdir(images, 0700) != 0)
        return -1;
    *state = f;
    return 0;
}

static int remove_folder(void **state)
{
    struct folder *f = *state;
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", f->path);
    ev_loop_destroy(f->loop);
    free(f);
    return system(command) != 0;
}

static struct sheet_options options_of(const struct folder *f)
{
    return (struct sheet_options){.folder = f->path, .columns = 8, .cell = 40};
}

static void tell(struct sheet *s, unsigned i)
{
    char id[16], image[40];
    snprintf(id, sizeof id, "p%u", i);
    snprintf(image, sizeof image, "images/%05u_p.png", i);
    struct sheet_item item = {.id = span_of(id)};
    if (i % 10 == 3)
        item.status = SPAN("safety");
    else
        item.image = span_of(image);
    sheet_set(s, i, &item);
}

static void wait_for(const struct folder *f, const struct sheet *s)
{
    while (!*sheet_finished(s))
        ev_run(f->loop, EVRUN_ONCE);
}

// A permutation of the cells: i * step modulo CELLS, step having no divisor in common with it.
static struct buf draw(const struct folder *f, unsigned step, bool at_once)
{
    struct sheet_options o = options_of(f);
    struct sheet_result r;
    struct sheet *s;
    o.background = true;
    assert_int_equal(sheet_begin(f->loop, &o, CELLS, &s, NULL), OK);
    for (unsigned i = 0; i < CELLS; i++) {
        tell(s, i * step % CELLS);
        if (!at_once)
            ev_run(f->loop, EVRUN_NOWAIT);
    }
    wait_for(f, s);
    assert_int_equal(sheet_end(s, &r, NULL), OK);
    assert_int_equal(r.cells, CELLS);
    assert_int_equal(r.total, CELLS);
    assert_int_equal(r.missing, 9 + 6);
    return get(f, "contact_sheet.png");
}

static void the_order_changes_no_byte(void **state)
{
    const struct folder *f = *state;
    struct sheet_options o = options_of(f);
    static const unsigned steps[] = {1, 89, 7, 37, 49};
    fill_folder(f);
    assert_int_equal(sheet_make(&o, NULL, NULL), OK);
    struct buf first = get(f, "contact_sheet.png");
    for (size_t i = 0; i < 10; i++) {
        struct buf b = draw(f, steps[i / 2], i % 2);
        assert_int_equal(b.len, first.len);
        assert_memory_equal(b.ptr, first.ptr, b.len);
        buf_free(&b);
    }
    buf_free(&first);
}

// The pictures' pixels are where they should be: one alone, as large as its cell.
static void a_picture_stands_in_its_cell(void **state)
{
    const struct folder *f = *state;
    struct sheet_options o = options_of(f);
    struct sheet_result r;
    struct buf b = picture_png(40, 40);
    put(f, "images/00000_a.png", buf_span(&b));
    buf_free(&b);
    assert_int_equal(sheet_make(&o, &r, NULL), OK); // without a manifest
    assert_int_equal(r.width, 12 + 40 + 12);
    assert_int_equal(r.height, 12 + 40 + 20 + 12);
    b = get(f, "contact_sheet.png");
    uint8_t *rgb;
    uint32_t w, h;
    FILE *in = picture_stream(buf_span(&b));
    assert_int_equal(image_thumbnail(in, 1000, 1000, &rgb, &w, &h, NULL), OK);
    fclose(in);
    for (uint32_t y = 0; y < 40; y++)
        for (uint32_t x = 0; x < 40; x++) {
            uint8_t p[3];
            picture_pixel(x, y, p);
            assert_memory_equal(rgb + 3 * ((y + 12) * w + x + 12), p, 3);
        }
    free(rgb);
    buf_free(&b);
}

static void a_cell_told_twice_ends_it(void **state)
{
    const struct folder *f = *state;
    struct sheet_options o = options_of(f);
    struct buf why = {.max = 1000};
    struct sheet *s;
    fill_folder(f);
    assert_int_equal(sheet_begin(f->loop, &o, CELLS, &s, NULL), OK);
    for (unsigned i = 0; i < CELLS / 2; i++)
        tell(s, i);
    tell(s, CELLS); // there is no such cell
    assert_false(*sheet_finished(s));
    tell(s, 0);
    assert_true(*sheet_finished(s));
    assert_int_equal(sheet_end(s, NULL, &why), ERR_ORDER);
    assert_true(why.len > 0);
    buf_free(&why);
    assert_int_equal(sheet_begin(f->loop, &o, CELLS, &s, NULL), OK);
    tell(s, 0);
    assert_int_equal(sheet_end(s, NULL, NULL), ERR_ORDER); // cells are missing
    assert_int_equal(sheet_begin(f->loop, &o, CELLS, &s, NULL), OK);
    tell(s, 1);
    sheet_free(s);
    sheet_free(NULL);
    assert_int_equal(sheet_begin(f->loop, &o, CELLS, &s, NULL), OK);
    for (unsigned i = 0; i < CELLS; i++)
        tell(s, i);
    wait_for(f, s);
    tell(s, 7); // when all was done
    assert_int_equal(sheet_end(s, NULL, NULL), ERR_ORDER);
}

static void an_unfinished_sheet_leaves_nothing(void **state)
{
    const struct folder *f = *state;
    struct sheet_options o = options_of(f);
    struct sheet *s;
    fill_folder(f);
    assert_int_equal(sheet_begin(f->loop, &o, CELLS, &s, NULL), OK);
    for (unsigned i = 0; i < CELLS - 1; i++)
        tell(s, i);
    ev_run(f->loop, EVRUN_ONCE);
    sheet_free(s);
    char path[64];
    snprintf(path, sizeof path, "%s/contact_sheet.png", f->path);
    assert_false(file_exists(path));
}

static void what_is_wrong_is_said(void **state)
{
    const struct folder *f = *state;
    struct sheet_options o = options_of(f);
    struct buf why = {.max = 1000};
    struct sheet *s;
    assert_int_equal(sheet_make(&o, NULL, &why), ERR_MISSING);
    assert_non_null(strstr(buf_str(&why), "no images"));
    buf_clear(&why);
    o.out = "/nonexistent/folder/sheet.png";
    assert_int_equal(sheet_begin(f->loop, &o, 1, &s, &why), ERR_MISSING);
    assert_non_null(strstr(buf_str(&why), o.out));
    buf_clear(&why);
    o.columns = 1;
    o.cell = 1024;
    assert_int_equal(sheet_begin(f->loop, &o, 100, &s, &why), ERR_TOOBIG);
    assert_non_null(strstr(buf_str(&why), "more columns"));
    buf_free(&why);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_order_changes_no_byte), TEST(a_picture_stands_in_its_cell),
        TEST(a_cell_told_twice_ends_it), TEST(an_unfinished_sheet_leaves_nothing),
        TEST(what_is_wrong_is_said)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
