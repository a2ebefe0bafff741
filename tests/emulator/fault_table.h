// fault_table.h - the table itself; fault.h is what others need.
#ifndef EMULATOR_FAULT_TABLE_H
#define EMULATOR_FAULT_TABLE_H

#include "emulator/fault.h"

extern const struct fault fault_table[]; // ended by a NULL name
#endif
