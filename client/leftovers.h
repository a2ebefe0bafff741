// leftovers.h - leases of workers that are no more.
#ifndef CLIENT_LEFTOVERS_H
#define CLIENT_LEFTOVERS_H

#include "client/session.h"

// Ends the leases of workers that ran on this machine and run no more, so that their jobs need
// not wait for that. A process that has such a worker's number by now is taken for it: then its
// lease ends by itself.
MUST_USE enum err leftovers_end(struct session *s);
#endif
