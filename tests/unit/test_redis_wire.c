// test_redis_wire.c - commands as they are written, errors as they are understood, and answers
// that are too large to be true.
#include <stdio.h>
#include <string.h>

#include "test.h"

#include "common/redis_wire.h"

static void commands_are_binary_safe(void **state)
{
    (void)state;
    struct buf out = {.max = 1000};
    redis_wire_command(&out, 3, (struct span[]){SPAN("SET"), SPAN("a\0b\r\n"), SPAN("")});
    assert_true(
        span_equal(buf_span(&out), SPAN("*3\r\n$3\r\nSET\r\n$5\r\na\0b\r\n\r\n$0\r\n\r\n")));
    buf_free(&out);
}

static enum err judged(const char *text, bool *demoted)
{
    char copy[200];
    snprintf(copy, sizeof copy, "%s", text);
    redisReply reply = {.type = REDIS_REPLY_ERROR, .str = copy};
    *demoted = redis_wire_demoted(&reply);
    return redis_wire_judge(&reply);
}

static void errors_have_their_kind(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err e;
        bool demoted;
    } table[] = {
        {"ERR unknown command 'X'", ERR_SERVER, false},
        {"LOADING Redis is loading the dataset in memory", ERR_BUSY, false},
        {"READONLY You can't write against a read only replica.", ERR_BUSY, true},
        {"UNBLOCKED force unblock from blocking operation", ERR_BUSY, true},
        {"NOREPLICAS Not enough good replicas to write.", ERR_BUSY, false},
        {"CLUSTERDOWN The cluster is down", ERR_BUSY, false},
        {"OOM command not allowed when used memory > 'maxmemory'.", ERR_FULL, false},
        {"NOAUTH Authentication required.", ERR_AUTH, false},
        {"NOPERM this user has no permissions", ERR_DENIED, false},
        {"MOVED 1 a:1", ERR_SERVER, false},
        // As servers before 7.0 tell what befell a script.
        {"ERR Error running script (call to f_ab): @user_script:1: -OOM command not allowed",
         ERR_FULL, false},
        {"ERR Error running script (call to f_ab): @user_script: 1: -READONLY You can't write",
         ERR_BUSY, true},
        {"ERR Error running script (call to f_ab): @user_script:1: -NOREPLICAS Not enough",
         ERR_BUSY, false},
        {"ERR Error running script (call to f_ab): @user_script:1: no luck", ERR_SERVER, false},
        {"ERR no script speaks of READONLY here", ERR_SERVER, false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        bool demoted;
        assert_int_equal(judged(table[i].text, &demoted), table[i].e);
        assert_int_equal(demoted, table[i].demoted);
    }
}

static void no_room_is_made_for_what_was_only_announced(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        int outcome;
    } table[] = {
        {"*1000000\r\n:1\r\n", REDIS_OK}, // more will come
        {"*1000001\r\n:1\r\n", REDIS_ERR},
        {"*2\r\n*2000000000\r\n:1\r\n", REDIS_ERR},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        redisReader *reader = redis_wire_reader();
        void *reply = NULL;
        assert_non_null(reader);
        assert_int_equal(redisReaderFeed(reader, table[i].bytes, strlen(table[i].bytes)),
                         REDIS_OK);
        assert_int_equal(redisReaderGetReply(reader, &reply), table[i].outcome);
        assert_null(reply);
        redisReaderFree(reader);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_binary_safe),
        cmocka_unit_test(errors_have_their_kind),
        cmocka_unit_test(no_room_is_made_for_what_was_only_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
