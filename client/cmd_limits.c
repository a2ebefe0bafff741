// cmd_limits.c - genfarm limits: shows, sets and clears the farm-wide limits of model groups.
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "broker/limit.h"
#include "broker/tier.h"
#include "client/cmd.h"
#include "client/limited.h"
#include "common/json.h"

#define TIMEOUT 5.0

struct limits {
    struct cmd *cmd;
    struct session *session;
    struct buf group; // project/model/lane
    bool always;      // print also a group that nothing limits
    size_t shown;
    bool done;
    enum err err;
};

// MODEL, MODEL/LANE or PROJECT/MODEL/LANE; an alias becomes the model's name.
static bool name_group(struct limits *l, const char *word)
{
    char project[JOB_MAX_NAME + 1] = "default", model[JOB_MAX_NAME + 1], lane[16] = "standard";
    unsigned slashes = 0;
    for (const char *p = word; *p; p++)
        slashes += *p == '/';
    bool ok = slashes == 0 ? sscanf(word, "%100[^/]", model) == 1
              : slashes == 1
                  ? sscanf(word, "%100[^/]/%15[^/]", model, lane) == 2
                  : sscanf(word, "%100[^/]/%100[^/]/%15[^/]", project, model, lane) == 3;
    if (!ok || slashes > 2 || !job_name_ok(span_of(model)) || !job_name_ok(span_of(project)) ||
        !job_name_ok(span_of(lane)))
        return false;
    const struct model *m = catalogue_find(l->cmd->catalogue, span_of(model));
    struct span name = m ? model_name(m) : span_of(model);
    buf_clear(&l->group);
    buf_addf(&l->group, "%s/%.*s/%s", project, (int)name.len, name.ptr, lane);
    return true;
}

static void print_json(struct limits *l, const struct limit_grant *g, struct span limit,
                       struct span learned)
{
    struct json_object *o = json_object_new_object();
    json_put_str(o, "group", buf_span(&l->group));
    json_put_str(o, "limit", limit);
    json_put_str(o, "limited_by", g->reason);
    json_object_object_add(o, "for_s", json_object_new_double((double)g->wait_us / 1e6));
    json_put_str(o, "learned", learned);
    if (learned.len)
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

static void on_grant(void *ctx, enum err e, const struct limit_grant *g)
{
    struct limits *l = ctx;
    struct buf limit = {.max = 4096}, learned = {.max = 4096};
    l->done = true;
    l->err = e;
    if (e != OK || (!l->always && g->spec.len == 0 && g->learned.len == 0 &&
                    g->reason.len == 0 && g->today.calls == 0))
        return;
    limit_show(&limit, g->spec);
    limit_show(&learned, g->learned);
    l->shown++;
    if (l->cmd->json) {
        print_json(l, g, buf_span(&limit), buf_span(&learned));
    } else {
        printf("%-48s %s", buf_str(&l->group), limit.len ? buf_str(&limit) : "no limit");
        if (learned.len)
            printf("  (the provider allows %s, learned; forgotten in %.0f min)",
                   buf_str(&learned), (double)g->learned_us / 60e6);
        if (g->reason.len)
            printf("  (limited now by %.*s for %.1f s)", (int)g->reason.len, g->reason.ptr,
                   (double)g->wait_us / 1e6);
        print_today(&g->today);
        putchar('\n');
    }
    buf_free(&limit);
    buf_free(&learned);
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

// The groups that workers send to.
static enum err show_used(struct limits *l, const struct limited *used)
{
    const char *name;
    enum err e = OK;
    for (size_t i = 0; e == OK && (name = limited_name(used, i)); i++) {
        buf_clear(&l->group);
        buf_add_str(&l->group, name);
        e = show(l);
    }
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
    static const char *const lanes[] = {"standard", "flex", "priority", "batch"};
    const struct model *m;
    enum err e = OK;
    for (size_t i = 0; e == OK && (m = catalogue_at(l->cmd->catalogue, i)); i++)
        for (size_t k = 0; e == OK && k < sizeof lanes / sizeof *lanes; k++) {
            struct span name = model_name(m);
            buf_clear(&l->group);
            buf_addf(&l->group, "default/%.*s/%s", (int)name.len, name.ptr, lanes[k]);
            if (!is_used(l, used))
                e = show(l);
        }
    return e;
}

static enum err show_all(struct limits *l)
{
    struct limited *used = limited_new(l->session, NULL, NULL);
    enum err e = used ? limited_wait(used) : ERR_NOMEM;
    if (e == OK)
        e = show_used(l, used);
    if (e == OK)
        e = show_catalogue(l, used);
    limited_free(used);
    if (e == OK && l->shown == 0 && !l->cmd->json)
        cmd_say(0, "no model of the catalogue is limited");
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
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
}

static int show_some(struct limits *l)
{
    struct cmd *c = l->cmd;
    enum err e = OK;
    l->always = true;
    for (size_t i = 0; e == OK && i < c->words.n; i++) {
        if (!name_group(l, c->words.at[i]))
            return cmd_say(EXIT_USAGE, "%s is no MODEL, MODEL/LANE or PROJECT/MODEL/LANE",
                           c->words.at[i]);
        e = show(l);
    }
    if (c->words.n == 0) {
        l->always = false;
        e = show_all(l);
    }
    return e == OK ? EXIT_DONE : cmd_fail(c, e);
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
                       set ? "set MODEL[/LANE] SPEC, as rpm=600" : "clear MODEL[/LANE]");
    if (!name_group(l, c->words.at[1]))
        return cmd_say(EXIT_USAGE, "%s is no MODEL, MODEL/LANE or PROJECT/MODEL/LANE",
                       c->words.at[1]);
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
