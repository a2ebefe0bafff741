// task_money.c - what a task's call may cost, will cost and did cost, as the catalogue prices
// it.
#include "broker/catalogue.h"
#include "worker/provider.h"
#include "worker/task_private.h"

static const struct model *model_of(const struct task *t)
{
    return catalogue_find(t->host->catalogue, t->job.model);
}

int64_t task_worst(const struct task *t)
{
    const struct model *m = model_of(t);
    int64_t micro = 0;
    return m && model_worst(m, &t->job, t->input.len, &micro) == OK ? micro : -1;
}

// Source: Gemini API, token counting: about four characters a token.
struct limit_units task_estimate(const struct task *t)
{
    const struct model *m = model_of(t);
    struct limit_units u = {.images = 1, .tokens = (int64_t)t->input.len / 4};
    if (m && model_estimate(m, &t->job, t->input.len, &u.micro) != OK)
        u.micro = 0;
    return u;
}

// An image is paid for, whether the answer says so or not. What it leaves out is taken from the
// catalogue: all of it; or, of the tokens it gives without saying what they are for, as many as
// the images take.
static void fill_in(const struct task *t, const struct model *m,
                    const struct provider_result *r, struct model_usage *u)
{
    int64_t images = 0;
    if (r->n_images == 0 || r->image_tokens > 0 ||
        model_image_tokens(m, t->job.image_size, &images) != OK)
        return;
    images *= r->n_images;
    if (r->output_tokens > 0 && images > r->output_tokens)
        images = r->output_tokens;
    u->image_tokens = images;
    u->text_tokens = r->output_tokens > images ? r->output_tokens - images : 0;
    if (!r->has_usage)
        u->input_tokens = (int64_t)t->input.len / 4 + 1;
}

int64_t task_cost(const struct task *t, const struct provider_result *r)
{
    const struct model *m = model_of(t);
    int64_t text = r->output_tokens - r->image_tokens, micro = 0;
    struct model_usage u = {r->input_tokens, text > 0 ? text : 0, r->image_tokens};
    if (!m)
        return 0; // not known, as below
    fill_in(t, m, r, &u);
    return model_cost(m, t->job.lane, &u, &micro) == OK ? micro : 0;
}

// Other workers may have another catalogue; but then that is what has to be mended.
void task_unpriced(struct task *t)
{
    struct buf words = {.max = 1024};
    catalogue_unpriced(t->host->catalogue, &t->job, &words);
    buf_add_str(&words, ", and money is limited here by a budget or a quota in USD: give the "
                        "workers a --catalogue that has it, then retry with --code budget");
    task_failed(t, CODE_BUDGET, SPAN("UNPRICED"), buf_span(&words), true);
    buf_free(&words);
}
