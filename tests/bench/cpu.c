// cpu.c - see cpu.h.
#include "cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void bench_stop(enum err e, const char *what)
{
    if (e == OK)
        return;
    fprintf(stderr, "bench_queue: %s: %s\n", what, err_text(e));
    exit(1);
}

struct cpu {
    bool done;
    double seconds;
};

static double field(const char *info, const char *name)
{
    const char *at = strstr(info, name);
    return at ? strtod(at + strlen(name), NULL) : 0;
}

static void on_info(void *ctx, enum err e, const redisReply *r)
{
    struct cpu *c = ctx;
    bench_stop(e, "INFO");
    c->seconds = field(r->str, "used_cpu_sys_main_thread:") +
                 field(r->str, "used_cpu_user_main_thread:");
    c->done = true;
}

double bench_redis_cpu(struct session *s)
{
    static const struct span argv[] = {SPAN("INFO"), SPAN("cpu")};
    struct cpu c = {0};
    bench_stop(redis_call(session_redis(s), 5., on_info, &c, 2, argv), "INFO");
    bench_stop(session_wait(s, &c.done), "wait");
    return c.seconds;
}
