// cpu.h - what the benches share: stopping at an error, and Redis's CPU time.
#ifndef TESTS_BENCH_CPU_H
#define TESTS_BENCH_CPU_H

#include "client/session.h"

void bench_stop(enum err e, const char *what); // says it and exits, unless OK
double bench_redis_cpu(struct session *s);     // seconds of the server's main thread
#endif
