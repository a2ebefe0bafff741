// Projects as their file says, and which of their keys a call is made with.
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/projects.h"
#include "common/file.h"
#include "worker/keyring.h"

#define TWO                                                                                    \
    "{\"projects\": [{\"name\": \"art\", \"weight\": 3, \"keys\": [{\"env\": \"PROJECTS_A\"}," \
    "{\"file\": \"projects.key\"}, {\"env\": \"PROJECTS_B\"}], \"limit\": \"rpm=500\","        \
    "\"limits\": {\"m\": \"rpm=50\", \"m/flex\": \"rpm=20\"}},"                                \
    "{\"name\": \"spare\", \"keys\": [{\"env\": \"PROJECTS_C\"}]}]}"

static struct projects all;

static int set_up(void **state)
{
    static char dir[] = "/tmp/genfarm-projects-XXXXXX";
    (void)state;
    if (!mkdtemp(dir) || chdir(dir) != 0)
        return -1;
    setenv("PROJECTS_A", " key-a \n", 1);
    setenv("PROJECTS_B", "key-b", 1);
    setenv("PROJECTS_C", "key-c", 1);
    return file_write("projects.key", SPAN("key-file\n")) != OK ||
           file_write("p.json", SPAN(TWO)) != OK;
}

static int tear_down(void **state)
{
    char dir[200];
    (void)state;
    unlink("projects.key");
    unlink("p.json");
    return !getcwd(dir, sizeof dir) || chdir("/") != 0 || rmdir(dir) != 0;
}

static void read_two(void)
{
    struct buf why = {.max = 1000};
    if (projects_read("p.json", &all, &why) != OK)
        fail_msg("%s", buf_str(&why));
    buf_free(&why);
}

static void is(struct span s, const char *text)
{
    if (!span_is(s, text))
        fail_msg("\"%.*s\" is not \"%s\"", (int)s.len, s.ptr ? s.ptr : "", text);
}

static void a_file_says_all(void **state)
{
    (void)state;
    read_two();
    const struct project *art = &all.at[0], *spare = &all.at[1];
    assert_int_equal(all.n, 2);
    assert_string_equal(art->name, "art");
    assert_int_equal(art->weight, 3);
    assert_int_equal(spare->weight, 1);
    assert_int_equal(art->n_keys, 3);
    is(buf_span(&art->keys[0].secret), "key-a");
    is(buf_span(&art->keys[1].secret), "key-file");
    assert_string_equal(art->keys[1].from, "projects.key");
    is(project_limit(art, SPAN("standard/m")), "rpm=50/60000000");
    is(project_limit(art, SPAN("flex/m")), "rpm=20/60000000");
    is(project_limit(art, SPAN("standard/mm")), "rpm=500/60000000");
    is(project_limit(spare, SPAN("standard/m")), "");
    projects_free(&all);
}

static void keys_go_from_the_environment(void **state)
{
    (void)state;
    read_two();
    projects_forget(&all);
    assert_null(getenv("PROJECTS_A"));
    assert_null(getenv("PROJECTS_C"));
    is(buf_span(&all.at[1].keys[0].secret), "key-c");
    projects_free(&all);
}

static void a_file_that_all_may_write_is_refused(void **state)
{
    struct buf why = {.max = 1000};
    (void)state;
    assert_int_equal(chmod("p.json", 0646), 0);
    assert_int_equal(projects_read("p.json", &all, &why), ERR_DENIED);
    assert_non_null(strstr(buf_str(&why), "everybody may write it"));
    assert_int_equal(chmod("p.json", 0644), 0);
    projects_free(&all);
    buf_free(&why);
}

static void good_keys_take_turns(void **state)
{
    (void)state;
    read_two();
    struct keyring *k = keyring_new(&all.at[0]);
    unsigned used[3] = {0};
    for (unsigned i = 0; i < 9; i++)
        used[keyring_take(k)]++;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(used[i], 3);
    keyring_free(k);
    projects_free(&all);
}

static void a_bad_key_is_left_out(void **state)
{
    (void)state;
    read_two();
    struct keyring *k = keyring_new(&all.at[0]);
    assert_true(keyring_tell(k, 1, KEY_BAD));
    assert_false(keyring_tell(k, 1, KEY_BAD)); // no news any more
    for (unsigned i = 0; i < 9; i++)
        assert_int_not_equal(keyring_take(k), 1);
    assert_false(keyring_out(k));
    assert_true(keyring_tell(k, 0, KEY_BAD));
    assert_true(keyring_tell(k, 2, KEY_BAD));
    assert_true(keyring_out(k));
    keyring_tell(k, keyring_take(k), KEY_MUTE); // a call that says nothing changes nothing
    assert_true(keyring_out(k));
    size_t again = keyring_take(k);
    keyring_tell(k, again, KEY_GOOD);
    assert_false(keyring_out(k));
    assert_int_equal(keyring_take(k), again);
    keyring_free(k);
    projects_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_says_all),
        cmocka_unit_test(a_file_that_all_may_write_is_refused),
        cmocka_unit_test(good_keys_take_turns),
        cmocka_unit_test(a_bad_key_is_left_out),
        cmocka_unit_test(keys_go_from_the_environment), // last: they are gone then
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
