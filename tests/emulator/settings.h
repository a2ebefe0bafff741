// settings.h - what the command line asks for.
#ifndef EMULATOR_SETTINGS_H
#define EMULATOR_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "emulator/fault.h"
#include "emulator/keys.h"
#include "emulator/pad.h"
#include "emulator/quota.h"
#include "emulator/stock.h"

// What befalls the batches, in the order in which they are made.
enum batch_fault {
    BATCH_GOOD,
    BATCH_LOST_CREATE, // made, but its answer never comes
    BATCH_NEVER_MADE,  // the answer never comes, and it is not made
    BATCH_FAILED,      //
    BATCH_EXPIRED,     //
    BATCH_STUCK,       // pending for ever, unless it is cancelled
    BATCH_DEAF,        // and even then
    BATCH_CUT_RESULT,  // the first download breaks off
    BATCH_LOST_ROWS,   // every other row is missing in the result
};
struct batch_faults {
    enum batch_fault at[1000];
    size_t n;
};

enum format { FORMAT_PNG, FORMAT_JPEG, FORMAT_AUTO }; // auto: as the model does

struct settings {
    const char *host;       // to listen on
    uint16_t port;          // 0: any that is free
    const char *port_file;  // NULL: none
    const char *log;        // NULL: none
    double latency, jitter; // seconds
    double batch_latency;   // of a whole batch
    struct batch_faults batch_faults;
    enum format format;
    uint32_t side;      // of a square of as many pixels as a picture has; 0: the real sizes
    uint64_t bytes;     // of an image file; 0: as drawn
    uint64_t signature; // characters of thoughtSignature
    unsigned threads;
    struct keys keys;
    struct quota quota;       // as given: every server keeps a copy to count in
    struct fault_plan faults; // holds the seed
    struct pad *pad;
    struct stock *stock; // every image that is not spoiled; NULL: they are drawn
};
#endif
