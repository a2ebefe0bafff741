// test_image.c - whole images are taken, and nothing else: not a byte less, more or other.
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/image.h"
#include "common/json.h"
#include "unit/picture.h"
#include "unit/suite.h"
#include "unit/test.h"

static enum err verify(struct span s, enum image_check how, struct image_info *info)
{
    struct buf why = {.max = 1000};
    struct image_info own;
    FILE *f = picture_stream(s);
    enum err e = image_verify(f, how, info ? info : &own, &why);
    fclose(f);
    assert_true((e == OK) == (why.len == 0)); // every refusal says why
    assert_int_equal(why.err, OK);
    buf_free(&why);
    return e;
}

// Refused by both checks that go to the end.
static void assert_refused(struct span s)
{
    assert_int_equal(verify(s, IMAGE_CHECK_CRC, NULL), ERR_FORMAT);
    assert_int_equal(verify(s, IMAGE_CHECK_FULL, NULL), ERR_FORMAT);
}

static void assert_whole(struct span s, enum image_type type, uint32_t w, uint32_t h)
{
    for (int how = IMAGE_CHECK_NONE; how <= (int)IMAGE_CHECK_FULL; how++) {
        struct image_info info;
        assert_int_equal(verify(s, (enum image_check)how, &info), OK);
        assert_int_equal(info.type, type);
        assert_int_equal(info.width, w);
        assert_int_equal(info.height, h);
        assert_false(info.c2pa);
    }
}

static void sniffing_takes_the_magic_and_nothing_else(void **state)
{
    (void)state;
    assert_int_equal(image_sniff(SPAN("\x89PNG\r\n\x1a\n")), IMAGE_PNG);
    assert_int_equal(image_sniff(SPAN("\x89PNG\r\n\x1a")), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff(SPAN("\x89PNG\n\x1a\n...")), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff(SPAN("\xff\xd8\xff")), IMAGE_JPEG);
    assert_int_equal(image_sniff(SPAN("\xff\xd8")), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff(SPAN("RIFF....WEBP")), IMAGE_WEBP);
    assert_int_equal(image_sniff(SPAN("RIFF....WAVE")), IMAGE_UNKNOWN);
    assert_int_equal(image_sniff((struct span){0}), IMAGE_UNKNOWN);
    assert_string_equal(image_mime(IMAGE_JPEG), "image/jpeg");
    assert_string_equal(image_mime(IMAGE_UNKNOWN), "application/octet-stream");
    assert_string_equal(image_extension(IMAGE_WEBP), "webp");
    assert_string_equal(image_extension(IMAGE_UNKNOWN), "bin");
}

static void whole_files_are_taken(void **state)
{
    (void)state;
    struct buf b = picture_png(37, 19);
    assert_whole(buf_span(&b), IMAGE_PNG, 37, 19);
    buf_free(&b);
    for (uint32_t side = 1; side <= 9; side++) { // of small ones some passes are empty
        b = picture_interlaced(side, 10 - side);
        assert_whole(buf_span(&b), IMAGE_PNG, side, 10 - side);
        buf_free(&b);
    }
    for (int progressive = 0; progressive < 2; progressive++) {
        b = picture_jpeg(61, 35, progressive);
        assert_whole(buf_span(&b), IMAGE_JPEG, 61, 35);
        buf_free(&b);
    }
    b = picture_webp(300, 7);
    assert_whole(buf_span(&b), IMAGE_WEBP, 300, 7);
    buf_free(&b);
}

static void no_cut_is_whole_and_nothing_may_follow(void **state)
{
    (void)state;
    struct buf files[] = {picture_png(20, 9), picture_interlaced(9, 9),
                          picture_jpeg(33, 20, false), picture_jpeg(33, 20, true),
                          picture_webp(5, 5)};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct span s = buf_span(&files[i]);
        for (size_t n = 0; n < s.len; n++)
            assert_refused((struct span){s.ptr, n});
        buf_add_byte(&files[i], '\0');
        assert_refused(buf_span(&files[i]));
        buf_free(&files[i]);
    }
}

static void one_wrong_bit_is_seen(void **state)
{
    (void)state;
    struct buf b = picture_png(20, 9);
    for (size_t i = 0; i < b.len; i++) {
        b.ptr[i] = (char)(b.ptr[i] ^ 1 << i % 8);
        assert_true(verify(buf_span(&b), IMAGE_CHECK_CRC, NULL) != OK);
        assert_true(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL) != OK);
        b.ptr[i] = (char)(b.ptr[i] ^ 1 << i % 8);
    }
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL), OK);
    buf_free(&b);
}

// With checksums that match, only decoding can tell.
static void pixels_that_do_not_decode_are_seen(void **state)
{
    (void)state;
    struct buf b = picture_png(20, 9);
    size_t pixels = picture_chunk(buf_span(&b), "IDAT", 0);
    for (size_t at = pixels + 8 + 20; b.ptr[at + 8] && at < pixels + 60; at++) {
        b.ptr[at] ^= 0x10;
        picture_mend(&b, pixels);
        assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, NULL), OK);
        assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL), ERR_FORMAT);
        b.ptr[at] ^= 0x10;
    }
    picture_mend(&b, pixels);
    for (int rows = 8; rows <= 10; rows++) { // one too many, right, one missing
        b.ptr[23] = (char)rows;
        picture_mend(&b, 8);
        assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, NULL), OK);
        assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL),
                         rows == 9 ? OK : ERR_FORMAT);
    }
    buf_free(&b);
    b = picture_jpeg(160, 160, false);
    memset(b.ptr + b.len - 300, 0, 200); // codes that mean nothing
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, NULL), OK);
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL), ERR_FORMAT);
    buf_free(&b);
}

static bool decodes(struct span s)
{
    uint8_t *rgb;
    uint32_t w, h;
    FILE *f = picture_stream(s);
    enum err e = image_thumbnail(f, 16, 16, &rgb, &w, &h, NULL);
    fclose(f);
    if (e == OK)
        free(rgb);
    return e == OK;
}

// The check makes no pixels: it must refuse what cannot be made into them, and that only.
static void the_check_agrees_with_the_decoder(void **state)
{
    (void)state;
    struct buf all[] = {picture_png(20, 9), picture_interlaced(13, 11)};
    for (unsigned k = 0; k < 2; k++) {
        struct buf *b = &all[k];
        size_t pixels = picture_chunk(buf_span(b), "IDAT", 0);
        size_t end = picture_chunk(buf_span(b), "IEND", 0);
        for (size_t i = 0; i < 8 * (end - pixels - 12); i++) {
            char *byte = b->ptr + pixels + 8 + i / 8;
            *byte = (char)(*byte ^ 1 << i % 8);
            picture_mend(b, pixels);
            bool whole = verify(buf_span(b), IMAGE_CHECK_FULL, NULL) == OK;
            assert_int_equal(whole, decodes(buf_span(b)));
            *byte = (char)(*byte ^ 1 << i % 8);
        }
        picture_mend(b, pixels);
        assert_int_equal(verify(buf_span(b), IMAGE_CHECK_FULL, NULL), OK);
        picture_insert(b, end, "IDAT", SPAN("x"));
        assert_int_equal(verify(buf_span(b), IMAGE_CHECK_CRC, NULL), OK);
        assert_int_equal(verify(buf_span(b), IMAGE_CHECK_FULL, NULL), ERR_FORMAT);
        buf_free(b);
    }
}

// A chunk put in at the place of another, or at the end.
static void assert_chunk(const char *name, struct span data, const char *before, enum err want)
{
    struct buf b = picture_png(8, 8);
    picture_insert(&b, picture_chunk(buf_span(&b), before, 0), name, data);
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, NULL), want);
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL), want);
    buf_free(&b);
}

static void chunks_stand_where_they_may(void **state)
{
    (void)state;
    assert_chunk("teXt", SPAN("anything"), "IDAT", OK);
    assert_chunk("iCCP", SPAN("not a profile"), "IDAT", OK); // not for the pixels: not read
    assert_chunk("teXt", SPAN("anything"), "IHDR", ERR_FORMAT);
    assert_chunk("CgBI", SPAN(""), "IDAT", ERR_FORMAT); // critical and unknown
    assert_chunk("te1t", SPAN(""), "IDAT", ERR_FORMAT);
    assert_chunk("IEND", SPAN(""), "IDAT", ERR_FORMAT);
    assert_chunk("IDAT", SPAN("x"), "iTXt", ERR_FORMAT); // pixels in two places
    assert_chunk("PLTE", SPAN("rgb"), "IDAT", OK);
    assert_chunk("PLTE", SPAN("rg"), "IDAT", ERR_FORMAT);
    assert_chunk("PLTE", SPAN("rgb"), "IEND", ERR_FORMAT);
}

static void credentials_are_seen(void **state)
{
    (void)state;
    struct image_info info;
    struct buf b = picture_png(8, 8);
    picture_insert(&b, picture_chunk(buf_span(&b), "IDAT", 0), "caBX", SPAN("jumb"));
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, &info), OK);
    assert_true(info.c2pa);
    buf_free(&b);
}

static struct buf patched_jpeg(bool progressive, unsigned w, unsigned h)
{
    struct buf b = picture_jpeg(16, 16, progressive);
    char sof[] = {(char)0xff, progressive ? (char)0xc2 : (char)0xc0};
    char *p = memmem(b.ptr, b.len, sof, 2);
    assert_non_null(p);
    p[5] = (char)(h >> 8);
    p[6] = (char)h;
    p[7] = (char)(w >> 8);
    p[8] = (char)w;
    return b;
}

static void what_is_too_large_is_refused_before_it_is_decoded(void **state)
{
    (void)state;
    static const struct {
        unsigned w, h;
        enum err png;
    } sizes[] = {{16384, 7812, OK}, {16385, 1, ERR_TOOBIG}, {16384, 7813, ERR_TOOBIG}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct buf b = picture_png(1, 1);
        for (int k = 0; k < 4; k++) {
            b.ptr[16 + k] = (char)(sizes[i].w >> (24 - 8 * k));
            b.ptr[20 + k] = (char)(sizes[i].h >> (24 - 8 * k));
        }
        picture_mend(&b, 8);
        assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, NULL), sizes[i].png);
        buf_free(&b);
    }
    struct buf b = patched_jpeg(false, 40000, 3);
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL), ERR_TOOBIG);
    buf_free(&b);
    b = patched_jpeg(true, 16000, 8000); // its coefficients would take 384 MB
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, NULL), OK);
    assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, NULL), ERR_TOOBIG);
    buf_free(&b);
}

static void many_scans_are_refused(void **state)
{
    (void)state;
    struct buf b = picture_jpeg(16, 16, true), many = {.max = 1u << 20};
    const char *last = memrchr(b.ptr, 0xda, b.len);
    assert_non_null(last);
    size_t head = (size_t)(last - 1 - b.ptr);
    buf_add(&many, (struct span){b.ptr, head});
    for (int i = 0; i < 200; i++)
        buf_add(&many, (struct span){b.ptr + head, b.len - head - 2});
    buf_add(&many, SPAN("\xff\xd9"));
    assert_int_equal(verify(buf_span(&many), IMAGE_CHECK_CRC, NULL), ERR_TOOBIG);
    buf_free(&b);
    buf_free(&many);
}

// --- Memory ----------------------------------------------------------------------------------

// How much more a process has in memory, at its most, in KB, for having verified the bytes.
static long growth(struct span s)
{
    int ends[2];
    long grown = -1;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        struct rusage before, after;
        struct image_info info;
        FILE *f = picture_stream(s);
        getrusage(RUSAGE_SELF, &before);
        enum err e = image_verify(f, IMAGE_CHECK_FULL, &info, NULL);
        getrusage(RUSAGE_SELF, &after);
        grown = e == OK ? after.ru_maxrss - before.ru_maxrss : -1;
        _exit(write(ends[1], &grown, sizeof grown) != sizeof grown);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &grown, sizeof grown), (int)sizeof grown);
    close(ends[0]);
    waitpid(child, NULL, 0);
    return grown;
}

static void memory_does_not_grow_with_the_height(void **state)
{
    (void)state;
    struct buf b = picture_interlaced(4000, 6000); // 24 MB of pixels
    long kb = growth(buf_span(&b));
    buf_free(&b);
    assert_in_range(kb, 0, 8000);
    b = picture_jpeg(3000, 3000, false); // 27 MB of pixels
    kb = growth(buf_span(&b));
    buf_free(&b);
    assert_in_range(kb, 0, 8000);
}

// --- Files of others -------------------------------------------------------------------------

static void suite_picture(void *ctx, const char *name, struct span s)
{
    unsigned *refused = ctx;
    bool bad = name[0] == 'x';
    *refused += bad;
    enum err crc = verify(s, IMAGE_CHECK_CRC, NULL), full = verify(s, IMAGE_CHECK_FULL, NULL);
    bool decoded = decodes(s);
    if ((crc == OK) == bad || (full == OK) == bad || decoded == bad)
        fail_msg("%s: crc %d, full %d, thumbnail %d", name, crc, full, decoded);
}

static void the_png_suite_is_judged_right(void **state)
{
    (void)state;
    unsigned refused = 0;
    size_t n = suite_each("suites/pngsuite", ".png", suite_picture, &refused);
    if (n == 0)
        skip();
    assert_int_equal(n, 175);
    assert_int_equal(refused, 14);
}

static struct buf recorded(const char *name)
{
    struct buf answer = suite_read(name), b = {.max = 16u << 20};
    struct json_object *o;
    if (answer.len == 0)
        skip();
    assert_int_equal(json_read(buf_span(&answer), &o, NULL), OK);
    buf_free(&answer);
    struct json_object *parts = json_at(o, "candidates.0.content.parts");
    for (size_t i = 0; i < json_object_array_length(parts) && b.len == 0; i++) {
        struct span text;
        struct json_object *part = json_object_array_get_idx(parts, i);
        if (!json_get_str(json_at(part, "inlineData"), "data", &text))
            continue;
        char *room = buf_room(&b, text.len);
        assert_non_null(room);
        int n = EVP_DecodeBlock((unsigned char *)room, (const unsigned char *)text.ptr,
                                (int)text.len);
        assert_true(n > 0);
        n -= (text.ptr[text.len - 1] == '=') + (text.ptr[text.len - 2] == '=');
        buf_added(&b, (size_t)n);
    }
    json_object_put(o);
    assert_true(b.len > 0);
    return b;
}

static void what_gemini_sent_is_whole(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct image_info want;
    } files[] = {
        {"gemini/image/gemini-2.5-flash-image_text-and-png.json",
         {IMAGE_PNG, 1024, 1024, false}},
        {"gemini/image/gemini-3-pro-image_jpeg_thought-signature.json",
         {IMAGE_JPEG, 1408, 768, true}},
        {"gemini/recorded/image-3.1-flash-lite-image-unary.json",
         {IMAGE_JPEG, 1408, 768, true}},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct buf b = recorded(files[i].name);
        struct image_info info;
        assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_CRC, &info), OK);
        assert_int_equal(verify(buf_span(&b), IMAGE_CHECK_FULL, &info), OK);
        assert_int_equal(info.type, files[i].want.type);
        assert_int_equal(info.width, files[i].want.width);
        assert_int_equal(info.height, files[i].want.height);
        assert_int_equal(info.c2pa, files[i].want.c2pa);
        for (size_t n = 1; n < b.len; n += b.len / 37)
            assert_refused((struct span){b.ptr, n});
        assert_refused((struct span){b.ptr, b.len - 1});
        buf_add_byte(&b, 'x');
        assert_refused(buf_span(&b));
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sniffing_takes_the_magic_and_nothing_else),
        cmocka_unit_test(whole_files_are_taken),
        cmocka_unit_test(no_cut_is_whole_and_nothing_may_follow),
        cmocka_unit_test(one_wrong_bit_is_seen),
        cmocka_unit_test(pixels_that_do_not_decode_are_seen),
        cmocka_unit_test(the_check_agrees_with_the_decoder),
        cmocka_unit_test(chunks_stand_where_they_may),
        cmocka_unit_test(credentials_are_seen),
        cmocka_unit_test(what_is_too_large_is_refused_before_it_is_decoded),
        cmocka_unit_test(many_scans_are_refused),
        cmocka_unit_test(memory_does_not_grow_with_the_height),
        cmocka_unit_test(the_png_suite_is_judged_right),
        cmocka_unit_test(what_gemini_sent_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
