// inputs_private.h - what a list of jobs holds. All bytes live in two buffers, found by
// offsets, for the buffers move as they grow.
#ifndef CLIENT_INPUTS_PRIVATE_H
#define CLIENT_INPUTS_PRIVATE_H

#include "client/inputs.h"

struct place {
    uint32_t file, line; // number of the file among in->names
};

struct slot {  // one job
    size_t at; // in in->bytes: the id, then the map
    uint32_t id_len, map_len;
    struct place place;
    uint32_t input;
    bool own_id; // given, not the default
};

struct bad {
    size_t at; // in in->rejects: the reason, then the raw text
    uint32_t why_len, raw_len;
    struct place place;
};

struct inputs {
    struct job defaults;
    uint32_t entries; // good and bad
    struct buf bytes, rejects;
    struct slot *slots;
    size_t n_slots, cap_slots;
    struct bad *bads;
    size_t n_bads, cap_bads;
    char **names;
    size_t n_names, cap_names;
};

// One more bad entry, and its complaint; `raw` is its text.
enum err inputs_add_bad(struct inputs *in, struct place p, struct span why, struct span raw,
                        struct buf *complaints);
#endif
