// prompts.h - how often each prompt has come: by its digest.
#ifndef EMULATOR_PROMPTS_H
#define EMULATOR_PROMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digest.h"

struct prompts;
struct prompts *prompts_new(void);
void prompts_free(struct prompts *p);
// Counts this one; gives how often it has come before. 0 when there is no memory to count it.
uint64_t prompts_count(struct prompts *p, const uint8_t digest[static DIGEST_SIZE]);
#endif
