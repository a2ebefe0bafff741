// cmd_need.c - what a batch will ask for, told and held against budgets and quotas before
// anything is submitted.
#include <inttypes.h>
#include <stdlib.h>

#include "broker/projects.h"
#include "client/cmd.h"

void cmd_need(struct cmd *c, const struct inputs *in)
{
    c->need = (struct quota_need){0};
    for (size_t i = 0; i < inputs_count(in); i++) {
        struct input_entry entry = inputs_at(in, i);
        struct job job;
        if (job_decode(&job, entry.map, NULL) == OK)
            quota_need_add(&c->need, c->catalogue, &job, entry.map.len);
    }
}

void cmd_show_need(const struct cmd *c)
{
    const struct quota_need *n = &c->need;
    struct buf line = {.max = 2 * QUOTA_WORDS};
    buf_addf(&line, "%" PRId64 " calls, about ", n->calls);
    cmd_show_usd(&line, n->best);
    buf_add_str(&line, ", ");
    cmd_show_usd(&line, n->worst);
    buf_add_str(&line, " at worst");
    if (n->unpriced > 0)
        buf_addf(&line, ", without %" PRId64 " of unknown price: %s", n->unpriced,
                 n->unpriced_why);
    if (c->budget > 0 && n->best > c->budget)
        buf_add_str(
            &line,
            "; the budget ends before the batch does: the rest waits until it is raised");
    cmd_say(0, "%s", buf_str(&line));
    buf_free(&line);
}

static int refused(enum err e, const struct buf *why)
{
    int status = e == ERR_LIMIT       ? EXIT_QUOTA
                 : e == ERR_CANCELLED ? EXIT_INTERRUPTED
                                      : EXIT_CANNOT;
    return cmd_say(status, "nothing was submitted: %s", buf_str(why));
}

int cmd_check_budget(const struct cmd *c)
{
    struct buf why = {.max = 1024};
    enum err e = quota_budget(&c->need, c->budget, &why);
    int status = e == OK ? 0 : refused(e, &why);
    buf_free(&why);
    return status;
}

// Of run: those of its own workers, which may not be there yet.
static void add_own(const struct cmd *c, struct quota_projects *p)
{
    struct buf why = {.max = 4096}; // the workers say it
    struct projects *all = c->projects_file ? calloc(1, sizeof *all) : NULL;
    if (!c->projects_file && c->command->groups & CMD_FARM)
        quota_add_project(p, SPAN("default"));
    if (!all)
        return;
    if (projects_read(c->projects_file, all, &why) == OK)
        for (size_t i = 0; i < all->n; i++)
            quota_add_project(p, span_of(all->at[i].name));
    projects_free(all);
    free(all);
    buf_free(&why);
}

static enum err find_projects(const struct cmd *c, struct patience *p,
                              struct quota_projects *all)
{
    if (c->project) {
        quota_add_project(all, span_of(c->project));
        return OK;
    }
    add_own(c, all);
    return quota_find_projects(p, all);
}

int cmd_check_accounts(struct cmd *c, struct session *s)
{
    struct quota_projects all = {0};
    struct patience p = {.session = s, .endless = c->wait, .told = cmd_waiting};
    struct buf why = {.max = 2048};
    struct span user = cmd_user(c).len ? cmd_user(c) : SPAN("default");
    enum err e = find_projects(c, &p, &all);
    if (e == OK)
        e = quota_check(&p, user, &all, &c->need, &why);
    if (e == ERR_CANCELLED)
        buf_add_str(&why, "interrupted");
    else if (e != OK && why.len == 0)
        buf_add_str(&why, patience_words(&p, e));
    int status = e == OK ? 0 : refused(e, &why);
    buf_free(&why);
    return status;
}

// Those that still do not fit are set aside again meanwhile: no more go on than there are.
enum err cmd_set_budget(struct session *s, struct span batch, int64_t micro, int64_t jobs)
{
    struct session_value v;
    enum err e;
    do {
        v = (struct session_value){0};
        e = session_value(s, queue_budget(session_queue(s), batch, micro, session_on_value, &v),
                          &v);
        jobs -= v.value;
    } while (e == OK && v.value > 0 && jobs > 0);
    return e;
}
