// cmd_summary.c - see cmd_summary.h.
#include "client/cmd_summary.h"

static void say_gone(const struct collect_result *r, const struct collect_batch *b)
{
    cmd_say(0, "%u jobs completed, but their images are no longer where they were stored%s",
            r->images_gone,
            b->images_gone ? ": nobody fetched them before the workers' --keep, --keep-bytes "
                             "or --max-stored had them removed"
                           : "");
}

static void sum_up(const struct collect_result *r, double seconds)
{
    struct buf line = {.max = 1024};
    buf_addf(&line, "%lld completed, %lld failed, %lld cancelled of %lld; ",
             (long long)r->completed, (long long)r->failed, (long long)r->cancelled,
             (long long)r->total);
    cmd_show_usd(&line, r->cost_micro);
    if (r->possible_double_bill > 0)
        buf_addf(&line, "; %lld calls may have been billed twice",
                 (long long)r->possible_double_bill);
    if (r->refused > 0)
        buf_addf(&line, "; %lld more were refused, see genfarm dead", (long long)r->refused);
    if (seconds > 0)
        buf_addf(&line, "; %.1f s", seconds);
    cmd_say(0, "%s", buf_str(&line));
    buf_free(&line);
}

int cmd_summary_status(const struct cmd *c, const struct collect_result *r, enum err e)
{
    if (e == ERR_CANCELLED)
        return EXIT_INTERRUPTED;
    if (e != OK)
        return cmd_fail(c, e);
    if (r->blocked && !r->ended)
        return r->code == CODE_QUOTA_EXHAUSTED || r->code == CODE_BUDGET ? EXIT_QUOTA
                                                                         : EXIT_CANNOT;
    if (r->images_gone > 0 || r->left_open > 0)
        return EXIT_CANNOT;
    return r->failed + r->cancelled + r->refused > 0 ? EXIT_JOBS : EXIT_DONE;
}

void cmd_summary_say(const struct collect_result *r, const struct collect_batch *b,
                     double seconds)
{
    sum_up(r, seconds);
    if (r->images_gone > 0)
        say_gone(r, b);
    if (r->left_open > 0)
        cmd_say(0, "%u jobs have ended, but the folder does not have them", r->left_open);
}

void cmd_summary_say_open(const struct collect_batch *b)
{
    struct buf cost = {.max = 64};
    cmd_show_usd(&cost, b->cost_micro);
    cmd_say(0, "%lld completed, %lld failed, %lld cancelled, %lld left of %lld; %s",
            (long long)b->completed, (long long)b->failed, (long long)b->cancelled,
            (long long)(b->total - b->completed - b->failed - b->cancelled),
            (long long)b->total, buf_str(&cost));
    buf_free(&cost);
}
