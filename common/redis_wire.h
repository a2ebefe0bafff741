// redis_wire.h - the words of the protocol: how a command is written, and what an error that
// comes back means.
#ifndef COMMON_REDIS_WIRE_H
#define COMMON_REDIS_WIRE_H

#include "common/redis.h"

// NULL: out of memory. Unlike hiredis' own, it makes no room for an array of more than a
// million elements, whatever a server says there are: "out of memory" then.
redisReader *redis_wire_reader(void);
void redis_wire_command(struct buf *out, size_t argc, const struct span *argv);
// OK for what is no error; see redis_done for the others.
enum err redis_wire_judge(const redisReply *reply);
// Whether it says that the server was a primary and is none any more.
bool redis_wire_demoted(const redisReply *reply);
#endif
