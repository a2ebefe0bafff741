// clock.h - the three clocks, and the two ways a time is written.
//
// Times in Redis are the server's; these are for deadlines within one process and for what is
// shown to people.
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

int64_t clock_wall_ms(void); // UTC, since 1970
int64_t clock_mono_ms(void); // never steps; stands still in suspend
int64_t clock_boot_us(void); // CLOCK_BOOTTIME: goes on in suspend and under SIGSTOP; for leases

#define CLOCK_RFC3339_SIZE 25 // "2026-01-25T14:30:22.123Z" and NUL
void clock_rfc3339(int64_t wall_ms, char out[static CLOCK_RFC3339_SIZE]);
#define CLOCK_COMPACT_SIZE 16 // "20260125-143022" and NUL
void clock_compact(int64_t wall_ms, char out[static CLOCK_COMPACT_SIZE]);
#endif
