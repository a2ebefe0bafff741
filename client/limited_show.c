// limited_show.c - see limited.h: what limits a group, for people and for programs.
#include <string.h>
#include <time.h>

#include "broker/limit.h"
#include "client/limited.h"
#include "common/clock.h"
#include "common/json.h"

static bool is_daily(const char *reason)
{
    return strcmp(reason, "daily quota") == 0;
}

static void show_until(struct buf *out, const struct limited_group *g)
{
    time_t at = (time_t)(g->until_ms / 1000);
    struct tm tm;
    char text[16];
    if (is_daily(g->reason))
        buf_add_str(out, " until 00:00 Pacific");
    else if (g->until_ms > clock_wall_ms() && localtime_r(&at, &tm) &&
             strftime(text, sizeof text, "%H:%M:%S", &tm))
        buf_addf(out, " until %s", text);
}

void limited_show(struct buf *out, const struct limited_group *g)
{
    static const char standard[] = "/standard";
    if (!g)
        return;
    size_t n = strlen(g->group), lane = sizeof standard - 1;
    if (n > lane && strcmp(g->group + n - lane, standard) == 0)
        n -= lane; // the lane that needs no word
    if (*g->code)
        buf_addf(out, "%s (%s): %.*s", g->reason, g->code, (int)n, g->group);
    else if (strcmp(g->reason, "cooling") == 0 || strcmp(g->reason, "circuit open") == 0)
        buf_addf(out, "%s: %.*s", g->reason, (int)n, g->group);
    else
        buf_addf(out, "limited by %s of %.*s", g->reason, (int)n, g->group);
    show_until(out, g);
}

struct json_object *limited_json(const struct limited_group *g)
{
    char until[CLOCK_RFC3339_SIZE];
    if (!g)
        return NULL;
    struct json_object *o = json_object_new_object();
    int64_t ms =
        is_daily(g->reason) ? limit_day_end(clock_wall_ms() * 1000) / 1000 : g->until_ms;
    json_put_cstr(o, "reason", g->reason);
    json_put_cstr(o, "group", g->group);
    if (*g->code)
        json_put_cstr(o, "code", g->code);
    if (ms) {
        clock_rfc3339(ms, until);
        json_put_cstr(o, "until", until);
    }
    return o;
}
