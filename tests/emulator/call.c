// call.c - see call.h.
#include "emulator/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/answer.h"
#include "emulator/fault_table.h"
#include "emulator/refuse.h"

// A path of the API, taken apart: /v1beta/models/NAME:METHOD.
struct route {
    struct span model;  // empty: the list
    struct span method; // "generateContent"; empty: none
};

static bool route_of(const char *path, struct route *out)
{
    static const char *const roots[] = {"/v1beta/models", "/v1/models", "/v1alpha/models"};
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        size_t n = strlen(roots[i]);
        if (strncmp(path, roots[i], n) != 0 || (path[n] != '/' && path[n] != '\0'))
            continue;
        const char *name = path + n + (path[n] == '/'), *colon = strchr(name, ':');
        *out = (struct route){.model = span_of(name)};
        if (colon) {
            out->model.len = (size_t)(colon - name);
            out->method = span_of(colon + 1);
        }
        return memchr(name, '/', strlen(name)) == NULL;
    }
    return false;
}

// False: answered already.
static bool has_key(struct call *c, const struct refuse_about *about)
{
    const char *key =
        MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, "x-goog-api-key");
    if (!key)
        key = MHD_lookup_connection_value(c->connection, MHD_GET_ARGUMENT_KIND, "key");
    if (!key || !*key) {
        refuse_anonymous(&c->reply);
        return false;
    }
    if (!(c->project = keys_project(&c->desk->settings->keys, key))) {
        refuse_fault(&c->reply, fault_named(SPAN("bad_key")), about);
        return false;
    }
    return true;
}

bool call_has_key(struct call *c)
{
    struct refuse_about about = {.path = span_of(c->path)};
    return has_key(c, &about);
}

static enum form form_of(struct call *c, const struct route *r)
{
    const char *alt = MHD_lookup_connection_value(c->connection, MHD_GET_ARGUMENT_KIND, "alt");
    if (span_is(r->method, "generateContent"))
        return FORM_UNARY;
    return alt && strcmp(alt, "sse") == 0 ? FORM_SSE : FORM_ARRAY;
}

// Under the desk's lock: counts the call, and the prompt unless a quota refuses it, which is
// given.
static const struct quota_rule *admit(struct call *c, const struct request *q, int64_t *wait_us)
{
    struct desk *d = c->desk;
    pthread_mutex_lock(&d->mutex);
    const struct quota_rule *over =
        quota_take(&d->quota, c->project, q->model, waiting_now_us(), wait_us);
    if (!over)
        c->tries = prompts_count(d->prompts, q->digest);
    pthread_mutex_unlock(&d->mutex);
    return over;
}

static void refuse_quota(struct call *c, struct refuse_about *about,
                         const struct quota_rule *over, int64_t wait_us)
{
    struct fault f = *fault_named(over->period_us ? SPAN("429") : SPAN("429_day"));
    struct violation v[] = {*f.violations, {0}};
    char limit[24];
    if (over->period_us && over->period_us != 60000000) // no id of the API's says so
        v[0].id = "GenerateRequestsPerPeriodPerProjectPerModel";
    f.violations = v;
    snprintf(limit, sizeof limit, "%llu", (unsigned long long)over->calls);
    about->limit = limit;
    about->retry = (double)wait_us / 1e6;
    refuse_fault(&c->reply, &f, about);
}

// A body that breaks off does so in its middle, a picture's in the picture.
static void break_off(struct reply *r, enum wire wire)
{
    r->wire = wire;
    r->stop_at = rope_size(&r->body) / 2;
}

static void generate(struct call *c, const struct request *q, struct refuse_about *about,
                     enum form form)
{
    const struct settings *s = c->desk->settings;
    int64_t wait_us = 0;
    const struct quota_rule *over = admit(c, q, &wait_us);
    if (over) {
        refuse_quota(c, about, over, wait_us);
        return;
    }
    const struct fault *f = fault_choose(&s->faults, buf_span(&q->prompt), q->digest, c->tries);
    double jitter = s->jitter > 0 ? s->jitter * random_unit() : 0;
    c->latency = fault_latency(buf_span(&q->prompt), s->latency + jitter);
    c->reply.fault = f;
    if (f && (f->kind == FAULT_ERROR || f->kind == FAULT_PAGE)) {
        refuse_fault(&c->reply, f, about);
        return;
    }
    if (f && (f->wire == WIRE_DROP || f->wire == WIRE_STALL)) {
        c->reply.wire = f->wire;
        return;
    }
    struct answer a = {
        .settings = s, .request = q, .fault = f, .form = form, .sample = c->tries};
    if (answer_build(&a, &c->reply) != OK) {
        rope_free(&c->reply.body);
        refuse_fault(&c->reply, fault_named(SPAN("500")), about);
    } else if (f && f->wire != WIRE_WHOLE) {
        break_off(&c->reply, f->wire);
    }
}

// For the log.
static void know(struct call *c, const struct request *q)
{
    c->prompt_known = true;
    memcpy(c->prompt, q->digest, DIGEST_SIZE);
    snprintf(c->tier, sizeof c->tier, "%s", q->tier);
}

// The same of a call whose key is no good.
static void know_refused(struct call *c, const struct route *r)
{
    struct request q = {.model = model_named(r->model)};
    struct refusal why = {0};
    if (q.model && span_is(r->method, "generateContent") && !c->body.err &&
        request_read(&q, buf_span(&c->body), false, &why) == OK)
        know(c, &q);
    request_free(&q);
    refusal_free(&why);
}

static void post(struct call *c, const struct route *r, struct refuse_about *about)
{
    bool counting = span_is(r->method, "countTokens");
    bool generating =
        span_is(r->method, "generateContent") || span_is(r->method, "streamGenerateContent");
    struct request q = {.model = model_named(r->model)};
    if (q.model && span_is(r->method, "batchGenerateContent")) {
        call_make_batch(c, q.model);
        return;
    }
    struct refusal why = {0};
    enum form form = form_of(c, r);
    about->array = form == FORM_ARRAY && generating;
    if (!q.model || (!counting && !generating)) {
        refuse_fault(&c->reply, fault_named(SPAN("404")), about);
        return;
    }
    if (c->body.err) {
        refuse_fault(&c->reply, fault_named(SPAN("413")), about);
        return;
    }
    if (request_read(&q, buf_span(&c->body), counting, &why) != OK) {
        refuse_request(&c->reply, &why, about);
    } else {
        buf_free(&c->body);
        know(c, &q);
        if (counting)
            answer_count(&c->reply, &q);
        else
            generate(c, &q, about, form);
    }
    request_free(&q);
    refusal_free(&why);
}

static void get(struct call *c, const struct route *r, const struct refuse_about *about)
{
    const struct model *m = model_named(r->model);
    if (r->model.len == 0)
        answer_models(&c->reply);
    else if (m && r->method.len == 0)
        answer_model(&c->reply, m);
    else
        refuse_fault(&c->reply, fault_named(SPAN("404")), about);
}

static void stats(struct call *c)
{
    struct buf text = {.max = 64u << 10};
    pthread_mutex_lock(&c->desk->mutex);
    batches_look(c->desk->batches, waiting_now_us()); // their rows count, once they are due
    pthread_mutex_unlock(&c->desk->mutex);
    journal_stats(c->desk->journal, &text);
    buf_add_byte(&text, '\n');
    c->reply.status = 200;
    c->reply.type = TYPE_JSON;
    rope_take(&c->reply.body, &text);
}

static void count_call(struct call *c)
{
    pthread_mutex_lock(&c->desk->mutex);
    c->number = ++c->desk->calls;
    pthread_mutex_unlock(&c->desk->mutex);
    journal_begin(c->desk->journal);
}

void call_decide(struct call *c)
{
    struct route r = {0};
    struct refuse_about about = {.path = span_of(c->path)};
    bool is_post = strcmp(c->method, "POST") == 0, is_get = strcmp(c->method, "GET") == 0;
    bool known = route_of(c->path, &r);
    char method[64];
    bool batch = known && span_is(r.method, "batchGenerateContent");
    if (is_post && known && !batch)
        count_call(c);
    snprintf(c->model, sizeof c->model, "%.*s", (int)r.model.len,
             r.model.ptr ? r.model.ptr : "");
    snprintf(method, sizeof method, "%.*s", (int)r.method.len,
             r.method.ptr ? r.method.ptr : "");
    about.model = span_of(c->model);
    about.method = *method ? method : NULL;
    if (is_get && strcmp(c->path, "/emulator/stats") == 0)
        stats(c);
    else if (!known && call_store(c))
        return;
    else if (!known || (!is_post && !is_get) || (is_post && r.method.len == 0))
        refuse_page(&c->reply, 404, span_of(c->path));
    else if (has_key(c, &about))
        is_post ? post(c, &r, &about) : get(c, &r, &about);
    else if (is_post)
        know_refused(c, &r);
}
