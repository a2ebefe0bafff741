// answer_models.c - countTokens and the list of models; see answer.h.
#include <stdio.h>

#include "emulator/answer.h"
#include "emulator/usage.h"
#include "emulator/writer.h"

static void open_reply(struct reply *r, struct writer *w)
{
    r->status = 200;
    r->type = TYPE_JSON;
    writer_open(w, &r->body, false);
}

static void close_reply(struct writer *w)
{
    buf_add_byte(&w->text, '\n');
    writer_close(w);
}

void answer_count(struct reply *r, const struct request *q)
{
    struct usage u = usage_of(q, 0, 0, true);
    struct writer w;
    open_reply(r, &w);
    write_begin(&w, NULL, '{');
    write_int(&w, "totalTokens", u.prompt_text + u.prompt_images);
    usage_write_prompt(&w, &u);
    write_end(&w, '}');
    close_reply(&w);
}

static void write_model(struct writer *w, const struct model *m)
{
    static const char *const methods[] = {"generateContent", "countTokens",
                                          "streamGenerateContent"};
    char name[80];
    snprintf(name, sizeof name, "models/%s", m->name);
    write_begin(w, NULL, '{');
    write_cstr(w, "name", name);
    write_cstr(w, "version", m->version);
    write_cstr(w, "displayName", m->title);
    write_cstr(w, "description", m->about);
    write_int(w, "inputTokenLimit", m->input);
    write_int(w, "outputTokenLimit", m->output);
    write_begin(w, "supportedGenerationMethods", '[');
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        write_cstr(w, NULL, methods[i]);
    write_end(w, ']');
    write_int(w, "temperature", 1);
    write_number(w, "topP", "0.95");
    write_int(w, "topK", 64);
    write_int(w, "maxTemperature", 2);
    if (m->thinks)
        write_bool(w, "thinking", true);
    write_end(w, '}');
}

void answer_models(struct reply *r)
{
    struct writer w;
    open_reply(r, &w);
    write_begin(&w, NULL, '{');
    write_begin(&w, "models", '[');
    for (size_t i = 0; model_at(i); i++)
        write_model(&w, model_at(i));
    write_end(&w, ']');
    write_end(&w, '}');
    close_reply(&w);
}

void answer_model(struct reply *r, const struct model *m)
{
    struct writer w;
    open_reply(r, &w);
    write_model(&w, m);
    close_reply(&w);
}
