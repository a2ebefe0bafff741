// purse_question.c - see purse_question.h.
#include "worker/purse_question.h"

#include <stdio.h>

#include "common/clock.h"

unsigned purse_question_place(struct purse_question *q, struct purse_account *a)
{
    for (size_t i = 0; i < q->n; i++)
        if (q->accounts[i] == a)
            return (unsigned)i;
    q->accounts[q->n] = a;
    q->names[q->n] = span_of(a->name);
    q->verdicts[q->n] = (struct account_verdict){0};
    return (unsigned)q->n++;
}

void purse_question_answered(struct purse_question *q, int64_t day,
                             const struct account_verdict *v)
{
    int64_t now = clock_boot_us();
    q->day = day;
    for (size_t i = 0; i < q->n; i++) {
        struct span limit = v[i].limit;
        snprintf(q->limits[i], sizeof q->limits[i], "%.*s", (int)limit.len, limit.ptr);
        q->verdicts[i] = v[i];
        q->verdicts[i].limit = span_of(q->limits[i]);
        q->accounts[i]->free_us = v[i].limited ? 0 : now;
    }
}

struct purse_refusal purse_question_refusal(const struct purse_question *q,
                                            const struct purse_account *user,
                                            const struct purse_account *project)
{
    struct purse_refusal r = {0};
    for (size_t i = 0; i < q->n; i++) {
        const struct purse_account *a = q->accounts[i];
        const struct account_verdict *v = &q->verdicts[i];
        if ((a == user || a == project) && v->limit.len)
            r = (struct purse_refusal){q->names[i], v->limit, v->allowed, v->used, v->until_ms};
    }
    return r;
}
