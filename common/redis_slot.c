// redis_slot.c - see redis_slot.h.
#include "common/redis_slot.h"

#include <stdint.h>
#include <string.h>

static uint16_t crc16(struct span s)
{
    uint16_t crc = 0;
    for (size_t i = 0; i < s.len; i++) {
        crc = (uint16_t)(crc ^ (unsigned char)s.ptr[i] << 8);
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

unsigned redis_slot(struct span key)
{
    const char *open = key.len ? memchr(key.ptr, '{', key.len) : NULL;
    if (open) {
        size_t after = key.len - (size_t)(open + 1 - key.ptr);
        const char *close = after ? memchr(open + 1, '}', after) : NULL;
        if (close && close > open + 1)
            key = (struct span){open + 1, (size_t)(close - open - 1)};
    }
    return crc16(key) % REDIS_SLOTS;
}

enum { NO_KEY = 0, AFTER_COUNT = -1, AFTER_STREAMS = -2 }; // else the argument it is

static int key_of(struct span command)
{
    static const struct {
        const char *name;
        int at;
    } table[] = {
        {"EVALSHA", AFTER_COUNT},
        {"EVAL", AFTER_COUNT},
        {"EVALSHA_RO", AFTER_COUNT},
        {"EVAL_RO", AFTER_COUNT},
        {"XREAD", AFTER_STREAMS},
        {"XREADGROUP", AFTER_STREAMS},
        {"OBJECT", 2},
        {"MEMORY", 2},
        {"XINFO", 2},
        {"XGROUP", 2},
        {"ACL", NO_KEY},
        {"CLIENT", NO_KEY},
        {"CLUSTER", NO_KEY},
        {"COMMAND", NO_KEY},
        {"CONFIG", NO_KEY},
        {"ECHO", NO_KEY},
        {"INFO", NO_KEY},
        {"KEYS", NO_KEY},
        {"LATENCY", NO_KEY},
        {"PING", NO_KEY},
        {"PUBLISH", NO_KEY},
        {"SCAN", NO_KEY},
        {"SCRIPT", NO_KEY},
        {"SELECT", NO_KEY},
        {"SLOWLOG", NO_KEY},
        {"WAIT", NO_KEY},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (span_is_case(command, table[i].name))
            return table[i].at;
    return 1;
}

struct span redis_command_key(size_t argc, const struct span *argv)
{
    int at = argc > 0 ? key_of(argv[0]) : NO_KEY;
    size_t i = at > 0 ? (size_t)at : argc;
    if (at == AFTER_COUNT && argc > 2 && !span_is(argv[2], "0"))
        i = 3;
    for (size_t word = 1; at == AFTER_STREAMS && i == argc && word < argc; word++)
        if (span_is_case(argv[word], "STREAMS"))
            i = word + 1;
    return i < argc ? argv[i] : (struct span){0};
}
