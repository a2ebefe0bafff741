// cmd_watch.c - genfarm watch and collect.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "client/cmd_follow.h"
#include "client/folder_lock.h"
#include "common/file.h"
#include "common/text.h"

static bool read_after(struct cmd *c, uint64_t *after)
{
    struct span s = span_of(c->after);
    if (s.len > 2 && memcmp(s.ptr + s.len - 2, "-0", 2) == 0)
        s.len -= 2;
    *after = 0;
    return !c->after || text_uint(s, 0, UINT32_MAX, after) == OK;
}

static bool name_ok(const struct cmd *c)
{
    if (job_name_ok(span_of(c->words.at[0])))
        return true;
    cmd_say(EXIT_USAGE, "%.100s: no batch has such a name", c->words.at[0]);
    return false;
}

static int watch(struct cmd *c, struct session *s)
{
    struct collect_result r;
    struct cmd_follow f = {.batch = span_of(c->words.at[0])};
    (void)read_after(c, &f.after); // which is well
    cmd_catch_signals(s);
    return cmd_follow(c, s, &f, &r);
}

int cmd_watch(struct cmd *c)
{
    uint64_t after;
    if (!name_ok(c))
        return EXIT_USAGE;
    if (!read_after(c, &after))
        return cmd_say(EXIT_USAGE, "--after %.100s: must be an event's id, as 17-0", c->after);
    return cmd_connected(c, watch);
}

// DIR is made, for the lock is beside the batch's folder in it.
static int lock_output(struct cmd *c, struct folder_lock **lock)
{
    if (file_mkdirs(c->output) != OK)
        return cmd_say(EXIT_CANNOT, "%s: %s", c->output, strerror(errno));
    enum err e = folder_lock_take(c->output, c->words.at[0], "collected", FOLDER_LOCK_WAIT_MS,
                                  lock, &c->why);
    return e == OK ? 0 : cmd_fail(c, e);
}

static int collect_into(struct cmd *c, struct session *s)
{
    struct collect_result r;
    struct folder_lock *lock = NULL;
    char folder[4096];
    struct cmd_follow f = {.batch = span_of(c->words.at[0]), .folder = folder};
    int status = lock_output(c, &lock);
    if (status != 0)
        return status;
    snprintf(folder, sizeof folder, "%s/%s", c->output, c->words.at[0]);
    f.resume = access(folder, F_OK) == 0;
    cmd_catch_signals(s);
    status = cmd_follow(c, s, &f, &r);
    if (r.kept && r.ended)
        cmd_say(0, "images and manifest are in %s", folder);
    folder_lock_free(lock);
    return status;
}

int cmd_collect(struct cmd *c)
{
    return name_ok(c) ? cmd_connected(c, collect_into) : EXIT_USAGE;
}
