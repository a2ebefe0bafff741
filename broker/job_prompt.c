// job_prompt.c - the text that is sent for a job, and the names of what comes of it.
#include <inttypes.h>

#include "broker/job.h"
#include "common/text.h"

static void section(struct buf *out, const char *heading, const char *lead, struct span text)
{
    text = text_trim(text);
    if (text.len == 0)
        return;
    buf_addf(out, "%s%s:\n%s", out->len ? "\n\n" : "", heading, lead);
    buf_add(out, text);
}

void job_compose(struct buf *out, const struct job *j)
{
    if (!text_trim(j->title).len && !text_trim(j->scene).len && !text_trim(j->mood).len &&
        !text_trim(j->negative).len) {
        buf_add(out, j->prompt);
        return;
    }
    struct buf text = {.max = out->max};
    section(&text, "Subject", "", j->title);
    section(&text, "Scene", "", j->scene);
    section(&text, "Mood", "", j->mood);
    section(&text, "Prompt", "", j->prompt);
    section(&text, "Constraints", "Avoid: ", j->negative);
    buf_add(out, buf_span(&text));
    if (text.err && !out->err)
        out->err = text.err;
    buf_free(&text);
}

void job_show_id(struct buf *out, const struct job *j, uint32_t index)
{
    if (j->id.len)
        buf_add(out, j->id);
    else
        buf_addf(out, "%08" PRIu32, index);
}

static int digits(uint32_t n)
{
    int d = 1;
    while (n >= 10) {
        n /= 10;
        d++;
    }
    return d;
}

void job_image_name(struct buf *out, const struct job *j, struct span id, uint32_t index,
                    uint32_t total, unsigned part, unsigned parts, const char *extension)
{
    int width = digits(total) > 5 ? digits(total) : 5;
    buf_addf(out, "images/%0*" PRIu32 "_", width, index);
    text_file_name(out, id, 200);
    if (j->samples > 1)
        buf_addf(out, "_%u", (unsigned)j->sample);
    if (parts > 1)
        buf_addf(out, ".%u", part);
    buf_addf(out, ".%s", extension);
}
