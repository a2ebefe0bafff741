// batch_id.c - see batch_id.h.
#include "client/batch_id.h"

#include <stdio.h>

#include "common/clock.h"
#include "common/digest.h"

void batch_id_fresh(char out[static BATCH_ID_SIZE])
{
    unsigned char random[2];
    char time[CLOCK_COMPACT_SIZE], hex[5];
    random_bytes(random, sizeof random);
    clock_compact(clock_wall_ms(), time);
    digest_hex(random, sizeof random, hex);
    snprintf(out, BATCH_ID_SIZE, "%.15s-%.4s", time, hex);
}
