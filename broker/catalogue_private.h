// catalogue_private.h - what a catalogue is made of, for the files catalogue*.c.
#ifndef BROKER_CATALOGUE_PRIVATE_H
#define BROKER_CATALOGUE_PRIVATE_H

#include <json-c/json.h>

#include "broker/catalogue.h"

#define CATALOGUE_MAX_LIST 64 // sizes, ratios or aliases of a model

// Spans are borrowed from the document, which lives as long as the catalogue.
struct model {
    struct span name, retires, default_size;
    struct span aliases[CATALOGUE_MAX_LIST], ratios[CATALOGUE_MAX_LIST],
        sizes[CATALOGUE_MAX_LIST];
    int64_t tokens[CATALOGUE_MAX_LIST]; // of an image of each size
    size_t n_aliases, n_ratios, n_sizes;
    bool priced;               // then default_size is one of the sizes
    double input, text, image; // dollars for a million tokens
    struct json_object *tiers; // of names and limits; NULL: none
    double lanes[JOB_LANES];   // factors on all prices; 0: the lane is not priced
};

struct catalogue {
    struct json_object *document;
    struct span by_default;
    struct model *models;
    size_t n;
};

// Reads a whole document into an empty catalogue. `why`: the place in it of what is wrong.
MUST_USE enum err catalogue_read(struct catalogue *c, struct span text, struct buf *why);
#endif
