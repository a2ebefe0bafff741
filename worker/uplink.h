// uplink.h - whether there is a way to the provider: name, route, connection, TLS. One for all
// calls of a worker, for they go to the same endpoint.
//
// A call of which no byte left is no fault of its job. After a few of them in a row the way is
// taken for closed, and one call a while finds out whether it is open again.
#ifndef WORKER_UPLINK_H
#define WORKER_UPLINK_H

#include <stdint.h>

struct uplink {      // zeroed: it is open
    unsigned failed; // calls in a row that did not get through
    int64_t down_us; // since when it is closed, clock_boot_us(); 0: it is open
};

// A call did not get through. Returns the seconds to wait until the next one finds out, the
// longer the longer it has been closed; 0: it is taken for the fault of this one call.
double uplink_failed(struct uplink *u);
// One that was made then did. It says nothing when it left before the way was closed.
void uplink_reached(struct uplink *u, int64_t sent_us);
#endif
