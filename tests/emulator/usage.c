// usage.c - see usage.h.
#include "emulator/usage.h"

#define PER_IMAGE 258 // tokens of an image in the prompt
#define BESIDE    96  // what thinking models count beside the image: 1216 for one of 1120
#define THOUGHTS  179

struct usage usage_of(const struct request *q, size_t images, size_t text, bool blocked)
{
    struct usage u = {.prompt_text = request_tokens(q),
                      .prompt_images = (int64_t)q->images * PER_IMAGE};
    if (blocked)
        return u;
    u.images = (int64_t)images * q->size->tokens;
    u.candidates = u.images + (int64_t)(text + 3) / 4;
    if (q->model->thinks) {
        u.candidates += images ? BESIDE : 0;
        u.thoughts = THOUGHTS;
    }
    return u;
}

static void write_count(struct writer *w, const char *modality, int64_t tokens)
{
    if (tokens == 0)
        return;
    write_begin(w, NULL, '{');
    write_cstr(w, "modality", modality);
    write_int(w, "tokenCount", tokens);
    write_end(w, '}');
}

void usage_write_prompt(struct writer *w, const struct usage *u)
{
    write_begin(w, "promptTokensDetails", '[');
    write_count(w, "TEXT", u->prompt_text);
    write_count(w, "IMAGE", u->prompt_images);
    write_end(w, ']');
}

void usage_write(struct writer *w, const struct usage *u, bool details)
{
    int64_t prompt = u->prompt_text + u->prompt_images;
    write_int(w, "promptTokenCount", prompt);
    if (u->candidates)
        write_int(w, "candidatesTokenCount", u->candidates);
    write_int(w, "totalTokenCount", prompt + u->candidates + u->thoughts);
    usage_write_prompt(w, u);
    if (u->images && details) {
        write_begin(w, "candidatesTokensDetails", '[');
        write_count(w, "IMAGE", u->images);
        write_end(w, ']');
    }
    if (u->thoughts)
        write_int(w, "thoughtsTokenCount", u->thoughts);
}
