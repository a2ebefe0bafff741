// incarnation.c - see incarnation.h.
#include "worker/incarnation.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "common/digest.h"

void incarnation_fresh(char out[static INCARNATION_SIZE], const char *host)
{
    uint8_t salt[6];
    char hex[2 * sizeof salt + 1];
    random_bytes(salt, sizeof salt);
    digest_hex(salt, sizeof salt, hex);
    snprintf(out, INCARNATION_SIZE, "%.64s:%ld:%s", host, (long)getpid(), hex);
}
