// tier.c - see tier.h.
#include "broker/tier.h"

#include <string.h>

#include "broker/limit.h"
#include "common/text.h"

#define MARK '@'

enum err tier_spec(struct span text, struct buf *out, struct buf *why)
{
    struct span name = text_trim(text);
    if (!job_name_ok(name) || span_is(name, "strict"))
        return limit_spec(text, out, why);
    buf_add_byte(out, MARK);
    buf_add(out, name);
    return out->err;
}

static bool is_tier(struct span spec)
{
    return spec.len > 1 && spec.ptr[0] == MARK;
}

static struct span name_of(struct span spec)
{
    return (struct span){spec.ptr + 1, spec.len - 1};
}

enum err tier_resolve(const struct catalogue *c, struct span model, struct span spec,
                      struct buf *out)
{
    if (!is_tier(spec)) {
        buf_add(out, spec);
        return out->err;
    }
    const struct model *m = catalogue_find(c, model);
    struct span text = m ? model_tier(m, name_of(spec)) : SPAN("");
    return text.len ? limit_spec(text, out, NULL) : ERR_MISSING;
}

bool tier_known(const struct catalogue *c, struct span spec)
{
    const struct model *m;
    if (!is_tier(spec))
        return true;
    for (size_t i = 0; (m = catalogue_at(c, i)); i++)
        if (model_tier(m, name_of(spec)).len)
            return true;
    return false;
}
