// incarnation.h - the name that one life of a worker goes by, "HOST:PID:SALT": a worker whose
// lease ended takes a fresh one, and nobody ever takes an old one again.
#ifndef WORKER_INCARNATION_H
#define WORKER_INCARNATION_H

#define INCARNATION_SIZE 128 // with its NUL

void incarnation_fresh(char out[static INCARNATION_SIZE], const char *host);
#endif
