// test_image_make.c - pictures made from others or from nothing: thumbnails, PNG files,
// letters.
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/image.h"
#include "unit/picture.h"
#include "unit/suite.h"
#include "unit/test.h"

// --- Thumbnails ------------------------------------------------------------------------------

static uint8_t *thumbnail(struct span s, uint32_t max_w, uint32_t max_h, uint32_t *w,
                          uint32_t *h)
{
    uint8_t *rgb;
    FILE *f = picture_stream(s);
    assert_int_equal(image_thumbnail(f, max_w, max_h, &rgb, w, h, NULL), OK);
    fclose(f);
    return rgb;
}

static unsigned average(uint32_t x0, uint32_t x1, uint32_t y0, uint32_t y1, int channel)
{
    unsigned sum = 0, n = (x1 - x0) * (y1 - y0);
    for (uint32_t y = y0; y < y1; y++)
        for (uint32_t x = x0; x < x1; x++) {
            uint8_t p[3];
            picture_pixel(x, y, p);
            sum += p[channel];
        }
    return (sum + n / 2) / n;
}

static void thumbnails_are_averages(void **state)
{
    (void)state;
    uint32_t w, h;
    struct buf b = picture_png(50, 30);
    uint8_t *rgb = thumbnail(buf_span(&b), 10, 100, &w, &h); // boxes of 5 x 5
    assert_int_equal(w, 10);
    assert_int_equal(h, 6);
    for (uint32_t y = 0; y < h; y++)
        for (uint32_t x = 0; x < w; x++)
            for (int c = 0; c < 3; c++)
                assert_int_equal(rgb[3 * (y * w + x) + (uint32_t)c],
                                 average(5 * x, 5 * x + 5, 5 * y, 5 * y + 5, c));
    free(rgb);
    rgb = thumbnail(buf_span(&b), 1000, 1000, &w, &h); // never up
    assert_int_equal(w, 50);
    assert_int_equal(h, 30);
    for (uint32_t i = 0; i < w * h; i++) {
        uint8_t p[3];
        picture_pixel(i % w, i / w, p);
        assert_memory_equal(rgb + 3 * i, p, 3);
    }
    free(rgb);
    rgb = thumbnail(buf_span(&b), 7, 1, &w, &h);
    assert_int_equal(w, 2); // 50 x 30 in one row
    assert_int_equal(h, 1);
    assert_int_equal(rgb[3], average(25, 50, 0, 30, 0));
    free(rgb);
    buf_free(&b);
}

static void every_kind_of_picture_has_a_thumbnail(void **state)
{
    (void)state;
    uint32_t w, h;
    struct buf b = picture_interlaced(40, 40);
    uint8_t *rgb = thumbnail(buf_span(&b), 10, 10, &w, &h);
    for (uint32_t y = 0; y < 10; y++) // grey by the row: 4y + 0, 1, 2, 3
        for (uint32_t x = 0; x < 30; x++)
            assert_int_equal(rgb[30 * y + x], 4 * y + 2);
    free(rgb);
    buf_free(&b);
    for (int progressive = 0; progressive < 2; progressive++) {
        b = picture_jpeg(64, 64, progressive);
        rgb = thumbnail(buf_span(&b), 1, 1, &w, &h);
        for (int c = 0; c < 3; c++) // JPEG loses a little
            assert_true(abs(rgb[c] - (int)average(0, 64, 0, 64, c)) < 12);
        free(rgb);
        b.len /= 2;
        FILE *f = picture_stream(buf_span(&b));
        assert_int_equal(image_thumbnail(f, 1, 1, &rgb, &w, &h, NULL), ERR_FORMAT);
        fclose(f);
        buf_free(&b);
    }
    b = picture_webp(9, 9);
    FILE *f = picture_stream(buf_span(&b));
    assert_int_equal(image_thumbnail(f, 1, 1, &rgb, &w, &h, NULL), ERR_FORMAT);
    fclose(f);
    buf_free(&b);
}

static void what_is_transparent_stands_on_white(void **state)
{
    (void)state;
    static const uint8_t rgba[] = {10, 20, 30, 0, 0, 100, 200, 128, 1, 2, 3, 255};
    png_image image = {
        .version = PNG_IMAGE_VERSION, .width = 3, .height = 1, .format = PNG_FORMAT_RGBA};
    char bytes[1000];
    png_alloc_size_t n = sizeof bytes;
    assert_true(png_image_write_to_memory(&image, bytes, &n, 0, rgba, 0, NULL));
    uint32_t w, h;
    uint8_t *rgb = thumbnail((struct span){bytes, n}, 3, 1, &w, &h);
    // 100 * 128 / 255 + 127 and 200 * 128 / 255 + 127
    assert_memory_equal(rgb, ((uint8_t[]){255, 255, 255, 127, 177, 227, 1, 2, 3}), 9);
    free(rgb);
}

// Interlaced or not, the suite has the same pictures.
static void interlaced_pictures_look_the_same(void **state)
{
    (void)state;
    static const char *const kinds[] = {"0g01", "0g16", "2c08", "2c16", "3p01",
                                        "3p08", "4a08", "4a16", "6a08", "6a16"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        uint8_t *rgb[2];
        uint32_t w, h;
        for (int k = 0; k < 2; k++) {
            char name[64];
            snprintf(name, sizeof name, "suites/pngsuite/bas%c%s.png", k ? 'i' : 'n', kinds[i]);
            struct buf b = suite_read(name);
            if (b.len == 0)
                skip();
            rgb[k] = thumbnail(buf_span(&b), 7, 7, &w, &h);
            buf_free(&b);
        }
        assert_memory_equal(rgb[0], rgb[1], 7 * 7 * 3);
        free(rgb[0]);
        free(rgb[1]);
    }
}

// --- Writing and lettering -------------------------------------------------------------------

// A picture one pixel wide, of one row.
static enum err write_one(FILE *f, uint32_t w, uint32_t h, int level,
                          const struct image_text *texts)
{
    static const uint8_t black[3];
    struct image_writer *out;
    enum err e = image_writer_open(f, w, h, level, texts, &out);
    if (e != OK)
        return e;
    e = image_writer_rows(out, black, 1);
    if (e == OK)
        e = image_writer_end(out);
    image_writer_free(out);
    return e;
}

static void writing_says_what_went_wrong(void **state)
{
    (void)state;
    static const uint8_t rows[2][3];
    struct image_writer *w;
    static const struct image_text nul[] = {{"Title", {"a\0b", 3}}, {0}};
    static const struct image_text nameless[] = {{"", {"a", 1}}, {0}};
    FILE *f = fopen("/dev/full", "w"), *null = fopen("/dev/null", "w");
    assert_true(f && null);
    assert_int_equal(write_one(f, 1, 1, 6, NULL), ERR_FULL);
    assert_int_equal(write_one(null, 1, 1, 6, NULL), OK);
    assert_int_equal(write_one(null, 0, 1, 6, NULL), ERR_RANGE);
    assert_int_equal(write_one(null, 1, 1, 10, NULL), ERR_RANGE);
    assert_int_equal(write_one(null, 1, 16385, 6, NULL), ERR_TOOBIG);
    assert_int_equal(write_one(null, 1, 1, 6, nul), ERR_RANGE);
    assert_int_equal(write_one(null, 1, 1, 6, nameless), ERR_RANGE);
    assert_int_equal(write_one(null, 1, 2, 6, NULL), ERR_ORDER); // a row is missing
    assert_int_equal(image_writer_open(null, 1, 1, 6, NULL, &w), OK);
    assert_int_equal(image_writer_rows(w, rows[0], 2), ERR_RANGE);
    image_writer_free(w);
    fclose(f);
    fclose(null);
}

static void texts_are_written_before_the_pixels(void **state)
{
    (void)state;
    struct buf b = picture_png(4, 4);
    size_t text = picture_chunk(buf_span(&b), "iTXt", 0);
    assert_true(text < picture_chunk(buf_span(&b), "IDAT", 0));
    assert_memory_equal(b.ptr + text + 8, "Title\0\0\0\0\0a small test", 22);
    buf_free(&b);
}

#define SIDE 40
struct drawing {
    uint8_t rgb[SIDE * SIDE * 3];
};

static unsigned drawn(struct drawing *d, int32_t x, int32_t y, unsigned scale, struct span text)
{
    struct image_canvas c = {d->rgb, SIDE, SIDE};
    unsigned n = 0;
    memset(d, 0, sizeof *d);
    image_letter(&c, x, y, scale, 0x010203, text);
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        const uint8_t *p = d->rgb + 3 * i;
        if (p[0] || p[1] || p[2])
            assert_memory_equal(p, ((uint8_t[]){1, 2, 3}), 3);
        n += p[0];
    }
    return n;
}

static void letters_differ_and_stay_in_the_picture(void **state)
{
    (void)state;
    static struct drawing all[95], box, d;
    drawn(&box, 0, 0, 1, SPAN("\xc3\xa9"));
    for (int i = 0; i < 95; i++) {
        char letter = (char)(32 + i);
        unsigned n = drawn(&all[i], 0, 0, 1, (struct span){&letter, 1});
        assert_true((n == 0) == (letter == ' '));
        assert_memory_not_equal(&all[i], &box, sizeof box);
        for (int k = 0; k < i; k++)
            assert_memory_not_equal(&all[i], &all[k], sizeof all[i]);
        assert_int_equal(drawn(&d, 0, 0, 3, (struct span){&letter, 1}), 9 * n);
    }
    unsigned one = drawn(&d, 0, 0, 1, SPAN("\xc3\xa9"));
    assert_int_equal(drawn(&d, 0, 0, 1, SPAN("\xc3\xa9\xf0\x9f\x98\x80\xff")), 3 * one);
    assert_int_equal(drawn(&d, -6, 0, 1, SPAN("\xc3\xa9\xc3\xa9")), one);
    assert_int_equal(drawn(&d, SIDE, 0, 1, SPAN("H")), 0);
    assert_int_equal(drawn(&d, 0, INT32_MAX, 1, SPAN("H")), 0);
    assert_int_equal(drawn(&d, INT32_MIN, INT32_MIN, 9, SPAN("HHH")), 0);
    assert_true(drawn(&d, SIDE - 3, SIDE - 5, 1, SPAN("HHHHHH")) > 0);
    assert_int_equal(drawn(&d, 0, 0, 0, SPAN("H")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thumbnails_are_averages),
        cmocka_unit_test(every_kind_of_picture_has_a_thumbnail),
        cmocka_unit_test(what_is_transparent_stands_on_white),
        cmocka_unit_test(writing_says_what_went_wrong),
        cmocka_unit_test(texts_are_written_before_the_pixels),
        cmocka_unit_test(letters_differ_and_stay_in_the_picture),
        cmocka_unit_test(interlaced_pictures_look_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
