// keys.h - which keys are good, and whose project each belongs to.
#ifndef EMULATOR_KEYS_H
#define EMULATOR_KEYS_H

#include "common/err.h"

#define KEYS_MAX     32
#define KEYS_DEFAULT "default" // the project of a key that names none

struct keys { // {0}: every key is good, and of the project KEYS_DEFAULT
    struct {
        char key[128], project[64];
    } at[KEYS_MAX];
    unsigned n;
};

MUST_USE enum err keys_add(struct keys *k, const char *text);    // "KEY" or "KEY=PROJECT"
const char *keys_project(const struct keys *k, const char *key); // NULL: the key is no good
#endif
