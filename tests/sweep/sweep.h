// sweep.h - sweeps over what goes on with a server: what a scenario needs is made in peace, and
// only from then on the n-th call fails.
#ifndef TESTS_SWEEP_H
#define TESTS_SWEEP_H

#include "farm.h"
#include "unit/fault.h"

// As fault_sweep(), but that nothing fails before the act says sweep_begin(), nor, when it
// wants to look at what came of it, after fault_forget().
void sweep(fault *kind, enum err error, fault_act *act, void *ctx);
void sweep_begin(void);

// A connection of the scenario's own that is up.
struct link *sweep_link(struct farm *f);
// How many problems fsck finds with what users and projects have reserved.
size_t sweep_account_problems(struct farm *f);
#endif
