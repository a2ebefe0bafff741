// listener.h - the socket that connections come to.
#ifndef EMULATOR_LISTENER_H
#define EMULATOR_LISTENER_H

#include <stdint.h>

#include "common/buf.h"

// `host` NULL: every address; `port` 0: any that is free. The caller closes *fd. ERR_NET: `why`
// says what failed.
MUST_USE enum err listener_open(const char *host, uint16_t port, int *fd, uint16_t *bound,
                                struct buf *why);
#endif
