// server.h - the HTTP side: connections, routes, keys, latency, and the way out.
#ifndef EMULATOR_SERVER_H
#define EMULATOR_SERVER_H

#include <stdint.h>

#include "common/buf.h"
#include "emulator/settings.h"

struct server;
// `s` is borrowed until server_free(). `why`: what failed. Listens when it returns OK.
MUST_USE enum err server_start(const struct settings *s, struct server **out, struct buf *why);
uint16_t server_port(const struct server *s);
void server_stop(struct server *s); // calls under way are cut off
void server_stats(struct server *s, struct buf *out);
void server_free(struct server *s);
#endif
