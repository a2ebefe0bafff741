// audit.h - looks at all keys of the queue from outside and fails the test where one of its
// invariants does not hold.
#ifndef TESTS_AUDIT_H
#define TESTS_AUDIT_H

#include "redis_server.h"

// Of every batch: counters add up and agree with the states, and with the ids that were pushed;
// events are dense, with at most one
// terminal event a job and run; every open job is in exactly one place (ready, delayed, active,
// or being taken back). Of the queue: the count of live jobs, the counts of ready ones and the
// rings agree with the lists, and the count of the inputs' bytes with the inputs.
void audit(const struct redis_server *s);
#endif
