// cmd_limits.c - genfarm limits: shows, sets and clears the farm-wide limits of model groups.
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "broker/limit.h"
#include "broker/tier.h"
#include "client/cmd.h"
#include "client/group_name.h"
#include "client/limited.h"
#include "client/quota.h"
#include "common/json.h"

#define TIMEOUT 5.0

struct limits {
    struct cmd *cmd;
    struct session *session;
    struct buf group;           // project/model/lane
    bool always;                // print also a group that nothing limits
    const struct limited *used; // what workers tell; NULL: not asked
    size_t shown;
    bool done;
    enum err err;
};

// Becomes `l->group`; else `why` has a sentence.
static bool name_group(struct limits *l, const char *word)
{
    return group_name_read(l->cmd->catalogue, word, &l->group, &l->cmd->why);
}

// What workers tell of the group; NULL: nothing, or it is not limited.
static const struct limited_group *told(const struct limits *l)
{
    const struct limited_group *g;
    for (size_t i = 0; l->used && (g = limited_at(l->used, i)); i++)
        if (span_is(buf_span(&l->group), g->group))
            return g;
    return NULL;
}

// Specs as people write them.
struct texts {
    struct buf limit, learned, asks;
};

static void print_json(struct limits *l, const struct limit_grant *g, const struct texts *t)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "group", buf_span(&l->group));
    json_put_str(o, "limit", buf_span(&t->limit));
    json_put_str(o, "workers_ask", buf_span(&t->asks));
    json_put_str(o, "limited_by", g->reason);
    json_put(o, "workers_say", limited_json(told(l)));
    json_object_object_add(o, "for_s", json_object_new_double((double)g->wait_us / 1e6));
    json_put_str(o, "learned", buf_span(&t->learned));
    if (t->learned.len)
        json_object_object_add(o, "learned_for_s",
                               json_object_new_double((double)g->learned_us / 1e6));
    json_put_int(o, "calls_today", g->today.calls);
    json_put_int(o, "refused_today", g->today.refused);
    json_put_usd(o, "cost_usd_today", g->today.micro);
    cmd_print(o);
}

static void print_today(const struct limit_done_calls *d)
{
    struct buf usd = {.max = 64};
    if (d->calls == 0)
        return;
    cmd_show_usd(&usd, d->micro);
    printf("  today %lld calls, %s", (long long)d->calls, buf_str(&usd));
    if (d->refused)
        printf(", %lld refused", (long long)d->refused);
    buf_free(&usd);
}

// What limits the group now: as the limiter has it, else what workers wait for, who hear of a
// change with the next thing they ask, or are blocked by what is no limit.
static void print_reason(const struct limits *l, const struct limit_grant *g)
{
    const struct limited_group *w = told(l);
    if (g->reason.len)
        printf("  (limited now by %.*s for %.1f s)", (int)g->reason.len, g->reason.ptr,
               (double)g->wait_us / 1e6);
    else if (w && *w->code)
        printf("  (%s: %s)", w->reason, w->code);
    else if (w)
        printf("  (workers wait: %s; they ask again within 2 s)", w->reason);
}

static void print_group(const struct limits *l, const struct limit_grant *g,
                        const struct texts *t)
{
    printf("%-48s %s", buf_str(&l->group), t->limit.len ? buf_str(&t->limit) : "no limit");
    if (t->asks.len)
        printf("  (workers ask for %s, which is not in force)", buf_str(&t->asks));
    if (t->learned.len)
        printf("  (the provider allows %s, learned; forgotten in %.0f min)",
               buf_str(&t->learned), (double)g->learned_us / 60e6);
    print_reason(l, g);
    print_today(&g->today);
    putchar('\n');
}

static void print_grant(struct limits *l, const struct limit_grant *g)
{
    struct texts t = {{.max = 4096}, {.max = 4096}, {.max = 4096}};
    limit_show(&t.limit, g->spec);
    limit_show(&t.learned, g->learned);
    limit_show(&t.asks, g->asks);
    l->shown++;
    if (l->cmd->json)
        print_json(l, g, &t);
    else
        print_group(l, g, &t);
    buf_free(&t.limit);
    buf_free(&t.learned);
    buf_free(&t.asks);
}

static void on_grant(void *ctx, enum err e, const struct limit_grant *g)
{
    struct limits *l = ctx;
    l->done = true;
    l->err = e;
    if (e == OK && (l->always || g->spec.len || g->learned.len || g->reason.len ||
                    g->asks.len || g->today.calls > 0))
        print_grant(l, g);
}

static enum err wait(struct limits *l, enum err started)
{
    enum err e = started == OK ? session_wait(l->session, &l->done) : started;
    l->done = false;
    return e == OK ? l->err : e;
}

static enum err show(struct limits *l)
{
    struct limit_request r = {.group = buf_span(&l->group)};
    return wait(l, limit_ask(session_redis(l->session), TIMEOUT, &r, on_grant, l));
}

// The groups that workers send to, limited or not.
static enum err show_used(struct limits *l, const struct limited *used)
{
    const char *name;
    enum err e = OK;
    l->always = true;
    for (size_t i = 0; e == OK && (name = limited_name(used, i)); i++) {
        if (!strchr(name, '/')) // "storage", which has no limits
            continue;
        buf_clear(&l->group);
        buf_add_str(&l->group, name);
        e = show(l);
    }
    l->always = false;
    return e;
}

static bool is_used(const struct limits *l, const struct limited *used)
{
    const char *name;
    for (size_t i = 0; (name = limited_name(used, i)); i++)
        if (span_is(buf_span(&l->group), name))
            return true;
    return false;
}

// And those of the project "default" that limits may have been set for.
static enum err show_catalogue(struct limits *l, const struct limited *used)
{
    const struct model *m;
    enum err e = OK;
    for (size_t i = 0; e == OK && (m = catalogue_at(l->cmd->catalogue, i)); i++)
        for (size_t k = 0; e == OK && k < JOB_LANES; k++) {
            group_name_set(&l->group, SPAN("default"), model_name(m), (enum job_lane)k);
            if (!is_used(l, used))
                e = show(l);
        }
    return e;
}

static enum err show_all(struct limits *l)
{
    l->always = false;
    enum err e = show_used(l, l->used);
    if (e == OK)
        e = show_catalogue(l, l->used);
    if (e == OK && l->shown == 0 && !l->cmd->json)
        cmd_say(0, "no worker sends anything, and no model of the catalogue is limited");
    return e;
}

// Limits, or the name of a tier that the group's model has.
static enum err read_spec(struct limits *l, const char *text, struct buf *spec)
{
    struct buf given = {.max = 4096};
    char model[JOB_MAX_NAME + 1];
    sscanf(strchr(buf_str(&l->group), '/') + 1, "%100[^/]", model);
    enum err e = tier_spec(span_of(text), &given, &l->cmd->why);
    if (e == OK &&
        (e = tier_resolve(l->cmd->catalogue, span_of(model), buf_span(&given), spec)) != OK)
        buf_addf(&l->cmd->why, "limit \"%s\": the catalogue has no such tier of %s", text,
                 model);
    buf_free(&given);
    return e;
}

// A name without a project means default's, through which no worker may send.
static bool is_nobodys(struct limits *l, const char *word)
{
    struct quota_projects all = {0};
    struct patience p = {.session = l->session};
    const char *name = buf_str(&l->group);
    if (strncmp(name, "default/", 8) != 0 || strncmp(word, "default/", 8) == 0 ||
        quota_find_projects(&p, &all) != OK)
        return false;
    for (size_t i = 0; i < all.n; i++)
        if (strcmp(all.names[i], "default") == 0)
            return false;
    buf_addf(&l->cmd->why, "%s: no worker sends through project default; ", word);
    for (size_t i = 0; i < all.n; i++)
        buf_addf(&l->cmd->why, "%s%s%s", i ? ", " : "name ", all.names[i], name + 7);
    buf_addf(&l->cmd->why, ", or %s if it is meant all the same", name);
    return true;
}

static int change(struct limits *l, const char *text)
{
    struct cmd *c = l->cmd;
    struct buf spec = {.max = 4096};
    enum err e = OK;
    if (text && read_spec(l, text, &spec) != OK) {
        buf_free(&spec);
        return cmd_say(EXIT_USAGE, "%s", buf_str(&c->why));
    }
    l->always = true;
    e = wait(l, limit_set(session_redis(l->session), TIMEOUT, buf_span(&l->group),
                          buf_span(&spec), on_grant, l));
    buf_free(&spec);
    return cmd_end(c, e);
}

static enum err show_named(struct limits *l)
{
    enum err e = OK;
    l->always = true;
    for (size_t i = 0; e == OK && i < l->cmd->words.n; i++)
        e = name_group(l, l->cmd->words.at[i]) ? show(l) : ERR_FORMAT;
    return e;
}

static int show_some(struct limits *l)
{
    struct cmd *c = l->cmd;
    struct limited *used = limited_new(l->session, NULL, NULL);
    enum err e = used ? limited_wait(used) : ERR_NOMEM;
    l->used = used;
    if (e == OK)
        e = c->words.n ? show_named(l) : show_all(l);
    l->used = NULL;
    limited_free(used);
    if (e != OK && c->why.len)
        return cmd_say(EXIT_USAGE, "%s", buf_str(&c->why));
    return cmd_end(c, e);
}

static int act(struct limits *l)
{
    struct cmd *c = l->cmd;
    const char *verb = c->words.n ? c->words.at[0] : "";
    bool set = strcmp(verb, "set") == 0, clear = strcmp(verb, "clear") == 0;
    if (!set && !clear)
        return show_some(l);
    if (c->words.n != (set ? 3 : 2))
        return cmd_say(EXIT_USAGE, "limits %s",
                       set ? "set [PROJECT/]MODEL[/LANE] SPEC, as rpm=600"
                           : "clear [PROJECT/]MODEL[/LANE]");
    if (!name_group(l, c->words.at[1]) || is_nobodys(l, c->words.at[1]))
        return cmd_say(EXIT_USAGE, "%s", buf_str(&c->why));
    return change(l, set ? c->words.at[2] : NULL);
}

int cmd_limits(struct cmd *c)
{
    struct limits l = {.cmd = c, .group = {.max = 512}};
    enum err e = catalogue_open(c->catalogue_path, &c->catalogue, &c->why);
    if (e != OK)
        return cmd_say(EXIT_USAGE, "%s", buf_str(&c->why));
    if ((e = cmd_connect(c, c->redis, c->queue, &l.session)) != OK)
        return cmd_fail(c, e);
    int status = act(&l);
    session_close(l.session);
    buf_free(&l.group);
    return status;
}
