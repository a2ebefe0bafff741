// fault.h - a disk that fails when it is told to keep what was written. Linked into every unit
// test in place of fsync(2) and fdatasync(2).
#ifndef TESTS_UNIT_FAULT_H
#define TESTS_UNIT_FAULT_H

#include <stdbool.h>

// The n-th sync from now on (1: the next), of whatever thread, fails with EIO; 0: none does.
void fault_sync(unsigned n);
bool fault_happened(void); // since fault_sync()
#endif
