// skew.c - see skew.h.
#include "worker/skew.h"

#include <stdbool.h>

static void begin(struct skew *s, int64_t ahead, int64_t before, int64_t local_us)
{
    *s = (struct skew){{ahead, before}, local_us};
}

void skew_note(struct skew *s, int64_t server_us, int64_t local_us)
{
    int64_t ahead = server_us - local_us, age = local_us - s->since_us;
    bool first = s->since_us == 0, was_set = !first && skew_us(s) - ahead > SKEW_STEP_US;
    if (first || was_set || age >= 2 * SKEW_WINDOW_US)
        begin(s, ahead, ahead, local_us);
    else if (age >= SKEW_WINDOW_US)
        begin(s, ahead, s->ahead_us[0], local_us);
    else if (ahead > s->ahead_us[0])
        s->ahead_us[0] = ahead;
}

int64_t skew_us(const struct skew *s)
{
    return s->ahead_us[0] > s->ahead_us[1] ? s->ahead_us[0] : s->ahead_us[1];
}
