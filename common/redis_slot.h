// redis_slot.h - which slot of a cluster a key belongs to, and which argument of a command is
// its key.
#ifndef COMMON_REDIS_SLOT_H
#define COMMON_REDIS_SLOT_H

#include "common/buf.h"

#define REDIS_SLOTS 16384

// Of what stands between the key's first { and the next }, if anything does; else of all of it.
// Source: Redis Cluster Specification, "Key distribution model" and "Hash tags"; CRC-16/XMODEM.
unsigned redis_slot(struct span key);
// The first key; empty: the command has none, and any node will do. Commands that are not known
// here are taken to have it as their first argument, as most have; a node that is asked for a
// key of another one says so.
struct span redis_command_key(size_t argc, const struct span *argv);
#endif
