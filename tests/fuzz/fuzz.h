// fuzz.h - what every fuzz target is made of.
//
// A target takes bytes from anywhere and must neither crash nor break one of the promises it
// checks with FUZZ_CHECK. libFuzzer calls it with bytes of its own making (FUZZ=ON, clang);
// replay.c with the files of its corpus, as a test.
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(promise)                                                       \
    do {                                                                          \
        if (!(promise)) {                                                         \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #promise); \
            abort();                                                              \
        }                                                                         \
    } while (0)
#endif
