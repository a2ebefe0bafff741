// quota.c - see quota.h.
#include "emulator/quota.h"

#include <string.h>

#include "common/text.h"

enum err quota_parse(struct quota *q, const char *text)
{
    const char *slash = strchr(text, '/');
    double seconds;
    enum err e;
    if (!slash)
        return ERR_FORMAT;
    struct span calls = {text, (size_t)(slash - text)};
    if ((e = text_uint(calls, 1, UINT32_MAX, &q->calls)) ||
        (e = text_duration(span_of(slash + 1), &seconds)))
        return e;
    q->period_us = (int64_t)(seconds * 1e6);
    return q->period_us > 0 ? OK : ERR_RANGE;
}

bool quota_take(struct quota *q, const struct model *m, int64_t now_us, int64_t *wait_us)
{
    if (q->calls == 0)
        return true;
    size_t i = 0;
    while (i < QUOTA_MODELS - 1 && q->window[i].model && q->window[i].model != m)
        i++;
    q->window[i].model = m;
    if (q->window[i].used == 0 || now_us - q->window[i].since_us >= q->period_us) {
        q->window[i].since_us = now_us;
        q->window[i].used = 0;
    }
    if (q->window[i].used < q->calls) {
        q->window[i].used++;
        return true;
    }
    *wait_us = q->window[i].since_us + q->period_us - now_us;
    return false;
}
