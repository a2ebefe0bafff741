// keyring.c - see keyring.h.
#include "worker/keyring.h"

#include <stdlib.h>

#include "common/clock.h"

#define AGAIN_US 60000000 // until a bad key is tried again

struct key {
    bool bad, trying; // trying: one call finds out whether it is good again
    int64_t again_us; // clock_boot_us()
};

struct keyring {
    const struct project *project;
    size_t next;
    struct key keys[PROJECT_MAX_KEYS];
};

struct keyring *keyring_new(const struct project *p)
{
    struct keyring *k = calloc(1, sizeof *k);
    if (k)
        k->project = p;
    return k;
}

void keyring_free(struct keyring *k)
{
    free(k);
}

const struct project *keyring_project(const struct keyring *k)
{
    return k->project;
}

bool keyring_out(const struct keyring *k)
{
    for (size_t i = 0; i < k->project->n_keys; i++)
        if (!k->keys[i].bad)
            return false;
    return true;
}

void keyring_retry(struct keyring *k)
{
    for (size_t i = 0; i < k->project->n_keys; i++)
        k->keys[i].again_us = 0;
}

// How willingly a key is taken: one that may be good again, a good one, the others.
static int rank(const struct key *k, int64_t now_us)
{
    return !k->bad ? 1 : !k->trying && now_us >= k->again_us ? 2 : 0;
}

size_t keyring_take(struct keyring *k)
{
    int64_t now = clock_boot_us();
    size_t n = k->project->n_keys, best = k->next % n;
    for (size_t i = 1; i < n; i++) {
        size_t at = (k->next + i) % n;
        if (rank(&k->keys[at], now) > rank(&k->keys[best], now))
            best = at;
    }
    k->next = best + 1;
    k->keys[best].trying = k->keys[best].bad;
    return best;
}

struct span keyring_secret(const struct keyring *k, size_t key)
{
    return buf_span(&k->project->keys[key].secret);
}

const char *keyring_from(const struct keyring *k, size_t key)
{
    const char *from = k->project->keys[key].from;
    return from ? from : "the key";
}

bool keyring_tell(struct keyring *k, size_t key, enum key_verdict v)
{
    struct key *it = &k->keys[key];
    bool was_bad = it->bad;
    it->trying = false;
    if (v == KEY_MUTE)
        return false;
    it->bad = v == KEY_BAD;
    if (it->bad)
        it->again_us = clock_boot_us() + AGAIN_US;
    return it->bad && !was_bad;
}
