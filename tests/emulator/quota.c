// quota.c - see quota.h.
#include "emulator/quota.h"

#include <string.h>

#include "common/text.h"

#define DAY_WAIT_US 21400000 // of a day's quota the API names short waits, too

enum err quota_add(struct quota *q, const char *text)
{
    const char *equals = strchr(text, '='), *slash = strchr(text, '/');
    double seconds = 0;
    enum err e;
    if (q->n == QUOTA_RULES)
        return ERR_TOOBIG;
    struct quota_rule *r = &q->rules[q->n];
    size_t n = equals ? (size_t)(equals - text) : 0;
    if (!slash || n >= sizeof r->project || (equals && (n == 0 || slash < equals)))
        return ERR_FORMAT;
    memcpy(r->project, text, n);
    if (equals)
        text = equals + 1;
    bool day = strcmp(slash + 1, "day") == 0;
    if ((e = text_uint((struct span){text, (size_t)(slash - text)}, 1, UINT32_MAX,
                       &r->calls)) ||
        (!day && (e = text_duration(span_of(slash + 1), &seconds))))
        return e;
    r->period_us = (int64_t)(seconds * 1e6);
    if (!day && r->period_us <= 0)
        return ERR_RANGE;
    q->n++;
    return OK;
}

static bool has_own(const struct quota *q, const char *project)
{
    for (unsigned i = 0; i < q->n; i++)
        if (strcmp(q->rules[i].project, project) == 0)
            return true;
    return false;
}

static struct quota_window *window_of(struct quota *q, const struct quota_rule *r,
                                      const char *project, const struct model *m)
{
    size_t i = 0;
    while (i < QUOTA_WINDOWS - 1 && q->windows[i].rule &&
           (q->windows[i].rule != r || q->windows[i].model != m ||
            strcmp(q->windows[i].project, project) != 0))
        i++;
    q->windows[i].rule = r;
    q->windows[i].project = project;
    q->windows[i].model = m;
    return &q->windows[i];
}

static bool is_full(const struct quota_rule *r, struct quota_window *w, int64_t now_us)
{
    if (w->used == 0 || (r->period_us > 0 && now_us - w->since_us >= r->period_us)) {
        w->since_us = now_us;
        w->used = 0;
    }
    return w->used >= r->calls;
}

const struct quota_rule *quota_take(struct quota *q, const char *project, const struct model *m,
                                    int64_t now_us, int64_t *wait_us)
{
    const char *whose = has_own(q, project) ? project : "";
    struct quota_window *mine[QUOTA_RULES];
    unsigned n = 0;
    for (unsigned i = 0; i < q->n; i++) {
        const struct quota_rule *r = &q->rules[i];
        if (strcmp(r->project, whose) != 0)
            continue;
        struct quota_window *w = window_of(q, r, project, m);
        if (is_full(r, w, now_us)) {
            *wait_us = r->period_us ? w->since_us + r->period_us - now_us : DAY_WAIT_US;
            return r;
        }
        mine[n++] = w;
    }
    for (unsigned i = 0; i < n; i++)
        mine[i]->used++;
    return NULL;
}
