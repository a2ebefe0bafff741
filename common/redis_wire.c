// redis_wire.c - see redis_wire.h.
#include "common/redis_wire.h"

#include <stdio.h>
#include <string.h>

#define MAX_ELEMENTS 1000000

#if HIREDIS_MAJOR >= 1
redisReader *redis_wire_reader(void)
{
    redisReader *r = redisReaderCreate();
    if (r)
        r->maxelements = MAX_ELEMENTS;
    return r;
}
#else
static _Thread_local redisReplyObjectFunctions makers; // hiredis' own, but for arrays
static _Thread_local void *(*make_any_array)(const redisReadTask *, int);

static void *make_array(const redisReadTask *task, int elements)
{
    return elements <= MAX_ELEMENTS ? make_any_array(task, elements) : NULL;
}

redisReader *redis_wire_reader(void)
{
    redisReader *r = redisReaderCreate();
    if (!r)
        return NULL;
    if (!make_any_array) {
        makers = *r->fn;
        make_any_array = makers.createArray;
        makers.createArray = make_array;
    }
    r->fn = &makers;
    return r;
}
#endif

void redis_wire_command(struct buf *out, size_t argc, const struct span *argv)
{
    buf_addf(out, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        char head[32];
        int n = snprintf(head, sizeof head, "$%zu\r\n", argv[i].len);
        buf_add(out, (struct span){head, (size_t)n});
        buf_add(out, argv[i]);
        buf_add(out, SPAN("\r\n"));
    }
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

// The error's code and text. Before Redis 7 a script's error carries that of its command
// within: "ERR Error running script (call to f_...): @user_script:1: -OOM command not allowed
// ...".
static const char *error_text(const redisReply *reply)
{
    static const char *const codes[] = {"OOM ", "READONLY ", "MISCONF ", "NOREPLICAS "};
    const char *text = reply->str, *at;
    if (begins(text, "ERR Error running script") || begins(text, "ERR user_script"))
        for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
            if ((at = strstr(text, codes[i])))
                return at;
    return text;
}

enum err redis_wire_judge(const redisReply *reply)
{
    static const struct {
        const char *prefix;
        enum err e;
    } table[] = {
        {"LOADING ", ERR_BUSY},    {"BUSY ", ERR_BUSY},        {"READONLY ", ERR_BUSY},
        {"MISCONF ", ERR_BUSY},    {"MASTERDOWN ", ERR_BUSY},  {"NOREPLICAS ", ERR_BUSY},
        {"TRYAGAIN ", ERR_BUSY},   {"CLUSTERDOWN ", ERR_BUSY}, {"OOM ", ERR_FULL},
        {"NOAUTH ", ERR_AUTH},     {"NOPERM ", ERR_DENIED},    {"WRONGPASS ", ERR_AUTH},
        {"UNKILLABLE ", ERR_BUSY}, {"UNBLOCKED ", ERR_BUSY},
    };
    // What a script's own commands are refused with has no code.
    static const char denied[] = "The user executing the script can't ";
    if (reply->type != REDIS_REPLY_ERROR)
        return OK;
    if (strstr(reply->str, denied))
        return ERR_DENIED;
    const char *text = error_text(reply);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (begins(text, table[i].prefix))
            return table[i].e;
    return ERR_SERVER;
}

bool redis_wire_demoted(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ERROR)
        return false;
    const char *text = error_text(reply);
    return begins(text, "READONLY ") || begins(text, "UNBLOCKED ");
}
