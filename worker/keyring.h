// keyring.h - the keys of one project in this process: which of them are good. They share the
// project's quotas, so that a refusal by a quota says nothing of a key; a bad one is left out,
// and tried again now and then, one call at a time, for it may have been mended.
#ifndef WORKER_KEYRING_H
#define WORKER_KEYRING_H

#include <stdbool.h>

#include "broker/projects.h"

struct keyring;
// Borrows the project. NULL: out of memory.
struct keyring *keyring_new(const struct project *p);
void keyring_free(struct keyring *k); // NULL is fine
const struct project *keyring_project(const struct keyring *k);
bool keyring_out(const struct keyring *k); // none of its keys is good
void keyring_retry(struct keyring *k);     // bad ones may have been mended: tried again at once

// A key for one call, by its number; they take turns. keyring_tell() must follow.
size_t keyring_take(struct keyring *k);
struct span keyring_secret(const struct keyring *k, size_t key); // NUL-terminated
const char *keyring_from(const struct keyring *k, size_t key);   // for people to see

enum key_verdict {
    KEY_GOOD, // the call was let in
    KEY_BAD,  // refused because of the key
    KEY_MUTE, // it says nothing of the key
};
// What a call with this key came to. True: a key that was thought good is bad.
bool keyring_tell(struct keyring *k, size_t key, enum key_verdict v);
#endif
