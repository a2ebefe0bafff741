// The answer to CLUSTER SLOTS as bytes of the protocol: whoever is named in it is a place, and
// every slot is one.
#include "common/redis_slot.h"
#include "common/redis_slots.h"
#include "common/redis_wire.h"
#include "fuzz.h"

static void look(const redisReply *reply)
{
    char name[] = "127.0.0.1";
    const struct redis_host asked = {name, 7000};
    struct redis_slots s;
    if (redis_slots_read(&s, reply, &asked) != OK)
        return;
    FUZZ_CHECK(reply->type == REDIS_REPLY_ARRAY && s.n == reply->elements);
    for (size_t i = 0; i < s.n; i++) {
        FUZZ_CHECK(s.ranges[i].first <= s.ranges[i].last);
        FUZZ_CHECK(s.ranges[i].last < REDIS_SLOTS);
        FUZZ_CHECK(s.ranges[i].primary < s.hosts.n);
    }
    for (size_t i = 0; i < s.hosts.n; i++)
        FUZZ_CHECK(redis_host_ok(span_of(s.hosts.at[i].name)) && s.hosts.at[i].port > 0);
    redis_slots_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    redisReader *reader = redis_wire_reader();
    void *reply = NULL;
    FUZZ_CHECK(reader);
    if (redisReaderFeed(reader, (const char *)data, size) == REDIS_OK &&
        redisReaderGetReply(reader, &reply) == REDIS_OK && reply) {
        look(reply);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    return 0;
}
