// fault.h - a disk and a memory that fail when they are told to. Linked into every unit test in
// place of the calls themselves (see --wrap in CMakeLists.txt); what libraries allocate and
// write by themselves is not reached.
#ifndef TESTS_UNIT_FAULT_H
#define TESTS_UNIT_FAULT_H

#include <stdbool.h>

#include "common/err.h"

// The n-th call of its kind from now on (1: the next), of whatever thread, fails; 0: none does.
typedef void fault(unsigned n);
fault fault_sync;  // fsync, fdatasync: EIO
fault fault_write; // write, pwritev, fflush, link, linkat, rename: ENOSPC
fault fault_alloc; // malloc, calloc, realloc, strdup, strndup: NULL
// The first allocation from now on that is made from a place, its callers included, where none
// has failed since this was told 1. For what does not go on in the same order each time, so
// that the n-th one is now this one and now that.
fault fault_place;

void fault_forget(void);   // none fails any more; what happened stays known
bool fault_happened(void); // since the last of these was told what to do

// Does `act` with the 1st, 2nd, 3rd ... of such calls failing, until it needs no more of them.
// An act that was disturbed returns `error`, or OK where it managed all the same; it checks
// itself what it left behind.
typedef enum err fault_act(void *ctx);
void fault_sweep(fault *kind, enum err error, fault_act *act, void *ctx);
#endif
