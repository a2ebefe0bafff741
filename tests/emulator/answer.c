// answer.c - see answer.h.
#include "emulator/answer.h"

#include <stdio.h>
#include <string.h>

#include "emulator/base64.h"
#include "emulator/pictures.h"
#include "emulator/usage.h"
#include "emulator/writer.h"

#define HUGE_TEXT (3u << 20)

// What an answer holds, once everything is decided.
struct plan {
    const struct answer *a;
    const struct fault *shape; // &good when nothing is wrong
    struct pictures pictures;
    struct usage usage;
    struct buf thought, text;
    char id[32];
};

static const struct fault good = {.kind = FAULT_ANSWER};

// A request may itself ask for what else would be a fault.
static const struct fault *shape_of(const struct answer *a)
{
    const struct request *q = a->request;
    if (a->fault && a->fault->kind == FAULT_ANSWER)
        return a->fault;
    if (q->max_tokens > 0 && q->max_tokens < q->size->tokens && q->wants_image)
        return fault_named(SPAN("max_tokens"));
    return q->wants_image ? &good : fault_named(SPAN("text_only"));
}

static void write_ratings(struct writer *w)
{
    static const char *const categories[] = {
        "HARM_CATEGORY_SEXUALLY_EXPLICIT", "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_DANGEROUS_CONTENT"};
    write_begin(w, "safetyRatings", '[');
    for (size_t i = 0; i < 4; i++) {
        write_begin(w, NULL, '{');
        write_cstr(w, "category", categories[i]);
        write_cstr(w, "probability", i == 3 ? "HIGH" : "NEGLIGIBLE");
        if (i == 3)
            write_bool(w, "blocked", true);
        write_end(w, '}');
    }
    write_end(w, ']');
}

static void write_text_part(struct writer *w, const struct plan *p, struct span text,
                            bool thought)
{
    write_begin(w, NULL, '{');
    if (!thought && p->shape->spoil == SPOIL_HUGE) {
        struct rope huge = {0};
        rope_repeat(&huge, SPAN("and so on, "), HUGE_TEXT);
        write_rope(w, "text", &huge);
    } else {
        write_str(w, "text", text);
    }
    if (thought)
        write_bool(w, "thought", true);
    write_end(w, '}');
}

static void write_signature(struct writer *w, const struct settings *s)
{
    const struct pad_pattern *pattern = pad_pattern_png(s->pad);
    struct rope text = {0};
    rope_repeat(&text, (struct span){pattern->base64, sizeof pattern->base64},
                s->signature / 4 * 4);
    write_rope(w, "thoughtSignature", &text);
}

static void write_picture_part(struct writer *w, const struct plan *p, size_t i)
{
    const struct picture *picture = &p->pictures.at[i].picture;
    struct rope data = {0};
    bool thought = p->pictures.at[i].thought;
    if (p->shape->spoil == SPOIL_BASE64)
        rope_add(&data, SPAN("!*-_"));
    picture_base64(picture, &data);
    write_begin(w, NULL, '{');
    write_begin(w, "inlineData", '{');
    write_cstr(w, "mimeType", p->pictures.mime);
    write_rope(w, "data", &data);
    write_end(w, '}');
    if (thought)
        write_bool(w, "thought", true);
    else if (p->a->settings->signature && !p->a->request->model->older)
        write_signature(w, p->a->settings);
    write_end(w, '}');
}

static void write_content(struct writer *w, const struct plan *p, bool words, bool pictures)
{
    if (p->shape->content == CONTENT_ABSENT)
        return;
    write_begin(w, "content", '{');
    if (p->shape->content == CONTENT_PARTS || p->shape->content == CONTENT_NONE) {
        write_begin(w, "parts", '[');
        if (words && p->thought.len)
            write_text_part(w, p, buf_span(&p->thought), true);
        if (words && p->text.len)
            write_text_part(w, p, buf_span(&p->text), false);
        for (size_t i = 0; pictures && i < p->pictures.n; i++)
            write_picture_part(w, p, i);
        write_end(w, ']');
    }
    if (p->shape->content != CONTENT_EMPTY)
        write_cstr(w, "role", "model");
    write_end(w, '}');
}

static void write_candidate(struct writer *w, const struct plan *p, bool words, bool last)
{
    const char *finish = p->shape->finish ? p->shape->finish : "STOP";
    write_begin(w, NULL, '{');
    write_content(w, p, words, last);
    if (last && p->shape->spoil == SPOIL_JSON)
        write_number(w, "finishReason", finish); // its quotes forgotten
    else if (last)
        write_cstr(w, "finishReason", finish);
    if (last && p->shape->message)
        write_cstr(w, "finishMessage", p->shape->message);
    write_int(w, "index", 0);
    if (strcmp(finish, "SAFETY") == 0)
        write_ratings(w);
    write_end(w, '}');
}

static void write_usage(struct writer *w, const struct plan *p)
{
    if (p->shape->no_usage)
        return;
    write_begin(w, "usageMetadata", '{');
    usage_write(w, &p->usage, !p->shape->no_details);
    write_cstr(w, "serviceTier", p->a->request->tier);
    write_end(w, '}');
}

// One GenerateContentResponse: with the words, with the end (pictures and finishReason), or
// both.
static void write_response(struct writer *w, const struct plan *p, bool words, bool last)
{
    write_begin(w, NULL, '{');
    if (p->shape->content != CANDIDATES_NONE) {
        write_begin(w, "candidates", '[');
        if (p->shape->content != CANDIDATES_EMPTY)
            write_candidate(w, p, words, last);
        write_end(w, ']');
    }
    if (p->shape->block) {
        write_begin(w, "promptFeedback", '{');
        write_cstr(w, "blockReason", p->shape->block);
        if (strcmp(p->shape->block, "SAFETY") == 0)
            write_ratings(w);
        write_end(w, '}');
    }
    write_usage(w, p);
    write_cstr(w, "modelVersion", p->a->request->model->name);
    write_cstr(w, "responseId", p->id);
    write_end(w, '}');
}

static void write_unary(const struct plan *p, struct reply *r)
{
    struct writer w;
    writer_open(&w, &r->body, p->a->form == FORM_ROW);
    write_response(&w, p, true, true);
    if (p->a->form == FORM_UNARY)
        buf_add_byte(&w.text, '\n');
    writer_close(&w);
}

// As recorded: without the "data: " of events, and over several lines.
static void write_cancelled(struct writer *w)
{
    w->one_line = false;
    write_begin(w, NULL, '{');
    write_begin(w, "error", '{');
    write_int(w, "code", 499);
    write_cstr(w, "message", "The operation was cancelled.");
    write_cstr(w, "status", "CANCELLED");
    write_end(w, '}');
    write_end(w, '}');
}

static void write_stream(const struct plan *p, struct reply *r)
{
    bool sse = p->a->form == FORM_SSE,
         apart = p->thought.len + p->text.len > 0 && p->pictures.n > 0;
    struct writer w;
    writer_open(&w, &r->body, sse);
    buf_add_str(&w.text, sse ? "data: " : "[");
    write_response(&w, p, true, !apart);
    w.follows = false;
    if (apart && p->shape->spoil == SPOIL_STREAM) {
        buf_add_str(&w.text, sse ? "\r\n\r\n" : "\n,\r\n");
        write_cancelled(&w);
    } else if (apart) {
        buf_add_str(&w.text, sse ? "\r\n\r\ndata: " : "\n,\r\n");
        write_response(&w, p, false, true);
    }
    buf_add_str(&w.text, sse ? "\r\n\r\n" : "\n]");
    writer_close(&w);
}

static void give_id(struct plan *p, const uint8_t *look)
{
    struct buf id = {.max = 64};
    base64url_add(&id, (struct span){(const char *)look, 17});
    snprintf(p->id, sizeof p->id, "%s", buf_str(&id));
    buf_free(&id);
}

// About every second answer has words before its picture, if it may.
static void find_words(struct plan *p, const uint8_t *look)
{
    const struct request *q = p->a->request;
    p->thought = p->text = (struct buf){.max = 4000};
    if (q->thoughts && q->model->thinks)
        buf_add_str(&p->thought, "**Considering the Composition**\n\nI'm weighing how to "
                                 "arrange the subject.\n\n\n");
    if (p->shape->text || (q->wants_text && !p->shape->no_image && look[0] & 1))
        buf_add_str(&p->text, p->shape->no_image ? "I can describe it, but there is no image."
                                                 : "Here is the picture you asked for: ");
}

static void account(struct plan *p, struct reply *r)
{
    const struct pictures *all = &p->pictures;
    size_t paid = all->finals ? all->finals : p->shape->thought_only; // who gets one pays
    p->usage = usage_of(p->a->request, paid, p->text.len, p->shape->block != NULL);
    r->input_tokens = p->usage.prompt_text + p->usage.prompt_images;
    r->text_tokens = p->usage.candidates + p->usage.thoughts - p->usage.images;
    r->image_tokens = p->usage.images;
    r->images = (unsigned)all->finals;
    for (size_t i = 0; i < all->n; i++) {
        if (all->at[i].thought)
            continue;
        r->image_bytes = picture_size(&all->at[i].picture);
        if (p->a->settings->log)
            picture_digest(&all->at[i].picture, r->image_digest);
    }
}

enum err answer_build(const struct answer *a, struct reply *r)
{
    static const char *const types[] = {TYPE_JSON, TYPE_SSE, TYPE_JSON, TYPE_JSON};
    struct plan p = {.a = a, .shape = shape_of(a)};
    uint8_t look[DIGEST_SIZE];
    r->status = 200;
    r->type = types[a->form];
    r->fault = a->fault;
    snprintf(r->tier, sizeof r->tier, "%s", a->request->tier);
    if (a->fault && a->fault->kind == FAULT_TEXT)
        return OK; // an empty body
    pictures_look(a, 0, look);
    give_id(&p, look);
    find_words(&p, look);
    enum err e = p.shape->no_image ? OK : pictures_make(a, p.shape, &p.pictures);
    if (!e) {
        account(&p, r);
        bool whole = a->form == FORM_UNARY || a->form == FORM_ROW;
        (whole ? write_unary : write_stream)(&p, r);
        e = r->body.err;
    }
    pictures_free(&p.pictures);
    buf_free(&p.thought);
    buf_free(&p.text);
    return e;
}
