// cmd_fsck.c - genfarm fsck.
#include <inttypes.h>
#include <stdio.h>

#include "client/cmd.h"
#include "client/fsck.h"
#include "common/json.h"
#include "common/text.h"

static void print_problem(void *ctx, struct span text, bool mended)
{
    const struct cmd *c = ctx;
    if (c->json) {
        struct json_object *o = json_object_new_object();
        json_put_str(o, "problem", text);
        json_put_bool(o, "repaired", mended);
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        json_object_put(o);
        return;
    }
    struct buf shown = {.max = 4096};
    text_show(&shown, text, 1024);
    printf("%s%s\n", buf_str(&shown), mended ? " (repaired)" : "");
    buf_free(&shown);
}

int cmd_fsck(struct cmd *c)
{
    struct session *s;
    struct fsck_result r;
    struct fsck_options o = {.mend = c->repair, .problem = print_problem, .ctx = c};
    enum err e = cmd_connect(c, c->redis, c->queue, &s);
    if (e != OK)
        return cmd_fail(c, e);
    cmd_catch_signals(s);
    e = fsck_run(s, &o, &r);
    session_close(s);
    if (e != OK)
        return cmd_fail(c, e);
    if (r.unsure)
        cmd_say(0, "counts of the whole queue were not compared: they moved at every look");
    unsigned left = r.problems - r.mended;
    return cmd_say(left ? EXIT_CANNOT : EXIT_DONE,
                   "%" PRIu64 " batches, %" PRIu64 " jobs, %" PRIu64
                   " events looked at: %u problems, %u repaired",
                   r.batches, r.jobs, r.events, r.problems, r.mended);
}
