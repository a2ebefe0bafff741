// route.h - the ways a lane and model may be sent: the gates of all projects. Work flows to
// those that have room, in the proportion of their weights; one that cools down, is used up for
// the day, is blocked or is probed is passed over while another goes on.
#ifndef WORKER_ROUTE_H
#define WORKER_ROUTE_H

#include "worker/gate.h"

struct route;
// Made when new; NULL: no memory.
struct route *route_find(struct gates *g, struct span lane_model);

// How many of `want` calls could be let through soon, by all projects together, beyond those
// that wait already. See gate_room().
unsigned route_room(struct route *r, unsigned want);
// The call waits at the gate of one project, p->gate, and may be moved to another's while it
// does. open() or shut() follows.
void route_enter(struct route *r, struct gate_pass *p);
// The gate of that project, "" or a name not known: of the first.
struct gate *route_gate(struct route *r, struct span project);
// The project that a whole batch of calls is to go through, in the proportion of the weights;
// NULL: all are closed.
struct gate *route_choose(struct route *r);
// Seconds until one of the projects lets calls through; 0: one does.
double route_wait(const struct route *r);
// All projects are blocked: nothing can be sent until somebody mends something.
bool route_blocked(const struct route *r);
int64_t route_closed_until_ms(const struct route *r); // clock_wall_ms(); 0: open
// Who was told of the block: route_tell() is true the first time for each batch, route_told()
// the first time after the block for those that were.
bool route_tell(struct route *r, struct span batch);
bool route_told(struct route *r, struct span batch);
#endif
