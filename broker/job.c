// job.c - a job as a whole, and the names that jobs have and use. See job.h.
#include "broker/job.h"

#include "broker/job_member.h"
#include "common/text.h"

static const char *const priorities[] = {"high", "normal", "low"};
static const char *const lanes[JOB_LANES] = {"standard", "flex", "priority", "batch"};

static bool name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           c == '.' || c == '_' || c == '-';
}

bool job_name_ok(struct span s)
{
    if (s.len < 1 || s.len > JOB_MAX_NAME || s.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!name_char(s.ptr[i]))
            return false;
    return true;
}

static enum err parse_word(struct span s, const char *const *words, unsigned n, unsigned *out)
{
    for (unsigned i = 0; i < n; i++)
        if (span_is_case(s, words[i])) {
            *out = i;
            return OK;
        }
    return ERR_FORMAT;
}

enum err job_priority_parse(struct span s, enum job_priority *out)
{
    unsigned i;
    enum err e = parse_word(s, priorities, 3, &i);
    if (e == OK)
        *out = (enum job_priority)i;
    return e;
}

enum err job_lane_parse(struct span s, enum job_lane *out)
{
    unsigned i;
    enum err e = parse_word(s, lanes, JOB_LANES, &i);
    if (e == OK)
        *out = (enum job_lane)i;
    return e;
}

const char *job_lane_name(enum job_lane lane)
{
    return (unsigned)lane < JOB_LANES ? lanes[lane] : "unknown";
}

const char *job_priority_name(enum job_priority p)
{
    return (unsigned)p < 3 ? priorities[p] : "unknown";
}

enum err job_set(struct job *j, struct span name, struct span value, struct buf *why)
{
    const struct job_member *m = job_member_find(name);
    return m && m->column ? job_member_set(j, m, value, why) : ERR_MISSING;
}

static enum err refuse(struct buf *why, enum err e, const char *what)
{
    if (why)
        buf_add_str(why, what);
    return e;
}

static enum err check_texts(const struct job *j, struct buf *why)
{
    const struct span texts[] = {j->id,     j->title,    j->scene, j->mood,
                                 j->prompt, j->negative, j->extra};
    size_t total = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        total += texts[i].len;
    if (total <= JOB_MAX_BYTES - 1024) // the rest of the members fits into 1,024 bytes
        return OK;
    if (why)
        buf_addf(why, "\"prompt\" and the other texts are longer than %u bytes in all",
                 JOB_MAX_BYTES - 1024);
    return ERR_TOOBIG;
}

enum err job_check(const struct job *j, struct buf *why)
{
    enum err e = OK;
    size_t n;
    const struct job_member *members = job_members(&n);
    for (size_t i = 0; e == OK && i < n; i++)
        e = job_member_check(j, &members[i], why);
    if (e != OK)
        return e;
    if (text_trim(j->prompt).len == 0)
        return refuse(why, ERR_FORMAT,
                      j->prompt.len ? "\"prompt\" is blank" : "\"prompt\" is empty");
    e = check_texts(j, why);
    if (e == OK && j->sample > 0 && j->sample > (j->samples ? j->samples : 1))
        return refuse(why, ERR_RANGE, "\"sample\" is above \"count\"");
    return e;
}
