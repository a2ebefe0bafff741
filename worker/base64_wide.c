// base64_wide.c - see base64_wide.h. AVX2, looked for when it runs: 32 digits a step.
#include "worker/base64_wide.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define STEP 32 // digits taken, of which 24 bytes come
#define ROOM 44 // digits that must be left: a step writes 32 bytes, the last eight of no use

#define BOTH(...) _mm256_setr_epi8(__VA_ARGS__, __VA_ARGS__) // a table is looked up by halves

// A byte is no digit if its row (the high four bits) and its column (the low four) share a
// bit: 1 for row 2, which has only + and /, 2 for row 3, which ends at 9, 4 for rows 4 and 6,
// which begin at A and a, 8 for rows 5 and 7, which end at Z and z, 16 for all other rows.
#define ROWS    BOTH(16, 16, 1, 2, 4, 8, 4, 8, 16, 16, 16, 16, 16, 16, 16, 16)
#define COLUMNS BOTH(21, 17, 17, 17, 17, 17, 17, 17, 17, 17, 19, 26, 27, 27, 27, 26)
// What makes a digit its value, by its row; / goes by row 1, where there are no digits.
#define SHIFTS BOTH(0, 16, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0)
// The three bytes of each group of four, first one first.
#define ORDER BOTH(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1)

// To 24 bytes and eight zeros; false: one of the digits is none.
__attribute__((target("avx2"))) static inline int step(const unsigned char *in, uint8_t *out)
{
    __m256i low = _mm256_set1_epi8(15), digits = _mm256_loadu_si256((const __m256i *)in);
    __m256i row = _mm256_and_si256(_mm256_srli_epi32(digits, 4), low);
    __m256i column = _mm256_and_si256(digits, low);
    if (!_mm256_testz_si256(_mm256_shuffle_epi8(ROWS, row),
                            _mm256_shuffle_epi8(COLUMNS, column)))
        return 0;
    __m256i slash = _mm256_cmpeq_epi8(digits, _mm256_set1_epi8('/')); // -1 where there is one
    __m256i shift = _mm256_shuffle_epi8(SHIFTS, _mm256_add_epi8(row, slash));
    __m256i values = _mm256_add_epi8(digits, shift);
    // Two and two values of six bits become one of twelve, two of those one of 24.
    __m256i twelve = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140));
    __m256i bytes = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));
    __m256i gap = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7); // between the halves: closed
    bytes = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(bytes, ORDER), gap);
    _mm256_storeu_si256((__m256i *)out, bytes);
    return 1;
}

__attribute__((target("avx2"))) static size_t run(const unsigned char *in, size_t n,
                                                  uint8_t *out)
{
    size_t i = 0;
    while (n - i >= ROOM && step(in + i, out)) {
        i += STEP;
        out += STEP / 4 * 3;
    }
    return i;
}

size_t base64_wide(const unsigned char *in, size_t n, uint8_t *out)
{
    return __builtin_cpu_supports("avx2") ? run(in, n, out) : 0;
}

#else
size_t base64_wide(const unsigned char *in, size_t n, uint8_t *out)
{
    (void)in, (void)n, (void)out;
    return 0;
}
#endif
