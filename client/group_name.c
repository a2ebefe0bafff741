// group_name.c - see group_name.h.
#include "client/group_name.h"

#include <string.h>

struct reader {
    const struct catalogue *catalogue;
    struct buf *why;
};

struct name {
    struct span project, model;
    enum job_lane lane;
};

// Takes what is before the first slash, or all.
static struct span next_part(struct span *left)
{
    const char *slash = left->len ? memchr(left->ptr, '/', left->len) : NULL;
    struct span part = {left->ptr, slash ? (size_t)(slash - left->ptr) : left->len};
    left->ptr += part.len + (slash != NULL);
    left->len -= part.len + (slash != NULL);
    return part;
}

// Two parts are told apart by the second: the lanes are known, and no model is called so.
static bool read_two(struct reader *r, struct span first, struct span second, struct name *n)
{
    if (job_lane_parse(second, &n->lane) == OK) {
        n->model = first;
        return true;
    }
    n->project = first;
    n->model = second;
    if (catalogue_find(r->catalogue, second))
        return true;
    buf_addf(r->why,
             "%.*s is neither a lane (standard, flex, priority, batch) nor a model of the "
             "catalogue",
             (int)second.len, second.ptr);
    return false;
}

// A name in full may have a model that the catalogue does not know.
static bool read_three(struct reader *r, const struct span *part, struct name *n)
{
    n->project = part[0];
    n->model = part[1];
    if (job_lane_parse(part[2], &n->lane) == OK)
        return true;
    buf_addf(r->why, "%.*s is no lane: standard, flex, priority or batch", (int)part[2].len,
             part[2].ptr);
    return false;
}

static bool read_parts(struct reader *r, const struct span *part, size_t parts, struct name *n)
{
    *n = (struct name){SPAN("default"), part[0], JOB_STANDARD};
    if (parts == 3 ? !read_three(r, part, n) : parts == 2 && !read_two(r, part[0], part[1], n))
        return false;
    if (parts == 3 || catalogue_find(r->catalogue, n->model))
        return true;
    buf_addf(r->why,
             "the catalogue has no model %.*s; PROJECT/MODEL/LANE names one all the same",
             (int)n->model.len, n->model.ptr);
    return false;
}

// 1 to 3 parts that are names; 0: it is none.
static size_t split(const char *word, struct span part[static 4])
{
    struct span left = span_of(word);
    size_t parts = 0;
    bool ok = true;
    while (parts < 4 && (parts == 0 || left.ptr[-1] == '/')) {
        part[parts] = next_part(&left);
        ok = job_name_ok(part[parts++]) && ok;
    }
    return ok && parts <= 3 ? parts : 0;
}

void group_name_set(struct buf *group, struct span project, struct span model,
                    enum job_lane lane)
{
    buf_clear(group);
    buf_addf(group, "%.*s/%.*s/%s", (int)project.len, project.ptr, (int)model.len, model.ptr,
             job_lane_name(lane));
}

bool group_name_read(const struct catalogue *catalogue, const char *word, struct buf *group,
                     struct buf *why)
{
    struct reader r = {catalogue, why};
    struct span part[4];
    struct name n;
    size_t parts = split(word, part);
    if (parts == 0)
        buf_addf(why, "%.300s is no MODEL, MODEL/LANE, PROJECT/MODEL or PROJECT/MODEL/LANE",
                 word);
    if (parts == 0 || !read_parts(&r, part, parts, &n))
        return false;
    const struct model *m = catalogue_find(catalogue, n.model);
    group_name_set(group, n.project, m ? model_name(m) : n.model, n.lane);
    return true;
}
