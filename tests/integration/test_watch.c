// test_watch.c - the library's watchers, on a server that has what they have seen, or not.
#include <string.h>

#include "client/genfarm.h"
#include "farm.h"
#include "redis_server.h"
#include "unit/test.h"

static struct genfarm *open_farm(const struct farm *f)
{
    char why[256];
    struct genfarm *g;
    struct genfarm_options o = {.redis = redis_server_url(f->server), .queue = "q"};
    assert_int_equal(genfarm_open(&o, &g, why, sizeof why), GENFARM_OK);
    return g;
}

static void goes_on_after_an_event(void **state)
{
    struct farm *f = *state;
    struct genfarm_event event;
    farm_submit(f, "cats", "ann", NULL, 2);
    struct genfarm *g = open_farm(f);
    assert_int_equal(genfarm_watch(g, "cats", NULL), GENFARM_OK);
    assert_int_equal(genfarm_next(g, 10, &event), GENFARM_OK);
    assert_string_equal(event.event_id, "1-0");
    assert_int_equal(genfarm_watch(g, "cats", event.event_id), GENFARM_OK);
    assert_int_equal(genfarm_next(g, 0, &event), GENFARM_NONE);
    genfarm_close(g);
}

// Told each time it is asked, until it is watched from the beginning.
static void is_told_of_an_event_that_is_not_there(void **state)
{
    struct farm *f = *state;
    struct genfarm_event event;
    farm_submit(f, "cats", "ann", NULL, 2);
    struct genfarm *g = open_farm(f);
    assert_int_equal(genfarm_watch(g, "cats", "99-0"), GENFARM_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(genfarm_next(g, 10, &event), GENFARM_FAILED);
        assert_non_null(strstr(genfarm_why(g), "event 99-0 is not there any more"));
    }
    assert_int_equal(genfarm_watch(g, "cats", NULL), GENFARM_OK);
    assert_int_equal(genfarm_next(g, 10, &event), GENFARM_OK);
    assert_string_equal(event.event_id, "1-0");
    genfarm_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(goes_on_after_an_event, farm_fresh),
        cmocka_unit_test_setup(is_told_of_an_event_that_is_not_there, farm_fresh),
    };
    return cmocka_run_group_tests(tests, farm_open, farm_close);
}
