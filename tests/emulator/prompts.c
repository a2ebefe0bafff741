// prompts.c - see prompts.h. An open hash table: the digest is its own hash.
#include "emulator/prompts.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t key[2]; // half of the SHA-256: enough to tell prompts apart
    uint64_t seen;   // 0: free
};

struct prompts {
    struct entry *at;
    size_t n, size; // size is a power of two
};

struct prompts *prompts_new(void)
{
    struct prompts *p = calloc(1, sizeof *p);
    if (!p || !(p->at = calloc(p->size = 1024, sizeof *p->at))) {
        free(p);
        return NULL;
    }
    return p;
}

void prompts_free(struct prompts *p)
{
    if (p)
        free(p->at);
    free(p);
}

static struct entry *place(struct entry *at, size_t size, const uint64_t key[static 2])
{
    size_t i = key[0] & (size - 1);
    while (at[i].seen && memcmp(at[i].key, key, sizeof at[i].key) != 0)
        i = (i + 1) & (size - 1);
    return &at[i];
}

static bool grow(struct prompts *p)
{
    struct entry *at = calloc(p->size * 2, sizeof *at);
    if (!at)
        return false;
    for (size_t i = 0; i < p->size; i++)
        if (p->at[i].seen)
            *place(at, p->size * 2, p->at[i].key) = p->at[i];
    free(p->at);
    p->at = at;
    p->size *= 2;
    return true;
}

uint64_t prompts_count(struct prompts *p, const uint8_t digest[static DIGEST_SIZE])
{
    uint64_t key[2];
    memcpy(key, digest, sizeof key);
    struct entry *e = place(p->at, p->size, key);
    if (e->seen)
        return e->seen++;
    if (p->n >= p->size * 3 / 4) {
        if (!grow(p))
            return 0;
        e = place(p->at, p->size, key);
    }
    memcpy(e->key, key, sizeof key);
    e->seen = 1;
    p->n++;
    return 0;
}
