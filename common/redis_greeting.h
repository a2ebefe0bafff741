// redis_greeting.h - what is said first on a connection: who we are, and whether the server is
// the one that we expect.
#ifndef COMMON_REDIS_GREETING_H
#define COMMON_REDIS_GREETING_H

struct redis_conn;

// Ends in redis_conn_welcome() or redis_conn_fail(), not from inside.
void redis_greet(struct redis_conn *c);
#endif
