// limiting.h - asking the limiter and waiting for its answer, for tests. All fail the test when
// it does not come.
#ifndef TESTS_LIMITING_H
#define TESTS_LIMITING_H

#include "broker/limit.h"
#include "farm.h"

#define GROUP SPAN("p/m/standard")

struct grant { // a copy of what limit.h's says
    bool done;
    enum err err;
    int64_t server_us, wait_us;
    char spec[256], reason[64], learned[256];
    int64_t learned_us;
    struct limit_done_calls today;
    int64_t day_ends_us, edited_us;
    char asks[256];
    size_t n;
    int64_t at[LIMIT_MAX_SLOTS]; // in the server's time
};

extern struct limit_units takes[LIMIT_MAX_SLOTS];           // what each of the calls takes
const struct limit_units *each_takes(struct limit_units u); // `takes`, all of them so much

enum err ask_slots(struct link *l, const struct limit_request *r, struct grant *g);
void get_slots(struct farm *f, const struct limit_request *r, struct grant *g); // it goes well
struct grant two_slots(struct farm *f); // of GROUP, however far away
struct grant put_spec(struct farm *f, struct span group, struct span spec);
void set_limit(struct farm *f, const char *text); // of GROUP, as people write it
struct grant learn_limit(struct farm *f, const char *spec);
struct grant refuse_by(struct farm *f, int64_t cool_us, int64_t sent_us,
                       enum limit_cause cause);
struct grant refuse(struct farm *f, int64_t cool_us, int64_t sent_us, bool rate);

// Sorts `at`. A call goes out between its slot and 10 ms later: the worst case is late, then
// early.
void assert_at_most(int64_t *at, size_t n, size_t most, int64_t period_us);
#endif
