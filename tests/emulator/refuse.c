// refuse.c - see refuse.h.
#include "emulator/refuse.h"

#include <math.h>
#include <stdio.h>

#include "emulator/writer.h"

#define RPC "type.googleapis.com/google.rpc."

static void open_error(struct writer *w, struct reply *r, bool array)
{
    writer_open(w, &r->body, false);
    r->type = TYPE_JSON;
    if (array)
        buf_add_byte(&w->text, '[');
    write_begin(w, NULL, '{');
    write_begin(w, "error", '{');
}

static void close_error(struct writer *w, bool array)
{
    write_end(w, '}');
    write_end(w, '}');
    buf_add_str(&w->text, array ? "\n]\n" : "\n");
    writer_close(w);
}

static void write_head(struct writer *w, unsigned code, struct span message, const char *rpc)
{
    write_int(w, "code", code);
    write_str(w, "message", message);
    if (rpc)
        write_cstr(w, "status", rpc);
}

static void begin_detail(struct writer *w, const char *type)
{
    write_begin(w, NULL, '{');
    write_cstr(w, "@type", type);
}

static void write_reason(struct writer *w, const char *reason)
{
    begin_detail(w, RPC "ErrorInfo");
    write_cstr(w, "reason", reason);
    write_cstr(w, "domain", "googleapis.com");
    write_begin(w, "metadata", '{');
    write_cstr(w, "service", "generativelanguage.googleapis.com");
    write_end(w, '}');
    write_end(w, '}');
}

static void write_localized(struct writer *w, struct span message)
{
    begin_detail(w, RPC "LocalizedMessage");
    write_cstr(w, "locale", "en-US");
    write_str(w, "message", message);
    write_end(w, '}');
}

static void write_help(struct writer *w)
{
    begin_detail(w, RPC "Help");
    write_begin(w, "links", '[');
    write_begin(w, NULL, '{');
    write_cstr(w, "description", "Learn more about Gemini API quotas");
    write_cstr(w, "url", "https://ai.google.dev/gemini-api/docs/rate-limits");
    write_end(w, '}');
    write_end(w, ']');
    write_end(w, '}');
}

static void write_violations(struct writer *w, const struct fault *f,
                             const struct refuse_about *about)
{
    begin_detail(w, RPC "QuotaFailure");
    write_begin(w, "violations", '[');
    for (const struct violation *v = f->violations; v->metric; v++) {
        write_begin(w, NULL, '{');
        write_cstr(w, "quotaMetric", v->metric);
        write_cstr(w, "quotaId", v->id);
        write_begin(w, "quotaDimensions", '{');
        write_str(w, "model", about->model);
        write_cstr(w, "location", "global");
        write_end(w, '}');
        if (v->value) // a zero is absent, as everywhere in these answers
            write_cstr(w, "quotaValue", about->limit ? about->limit : v->value);
        write_end(w, '}');
    }
    write_end(w, ']');
    write_end(w, '}');
}

// In whole seconds, cut: the exact time stands in the message only. As recorded.
static void write_retry(struct writer *w, double seconds, bool exact)
{
    char text[40];
    snprintf(text, sizeof text, exact ? "%.9gs" : "%.0fs", exact ? seconds : floor(seconds));
    begin_detail(w, RPC "RetryInfo");
    write_cstr(w, "retryDelay", text);
    write_end(w, '}');
}

static double retry_of(const struct fault *f, const struct refuse_about *about)
{
    return about->retry > 0 ? about->retry : f->retry;
}

static void quota_message(struct buf *b, const struct fault *f,
                          const struct refuse_about *about)
{
    buf_add_str(b, f->message);
    for (const struct violation *v = f->violations; v->metric; v++)
        buf_addf(b, "\n* Quota exceeded for metric: %s, limit: %s, model: %.*s", v->metric,
                 !v->value      ? "0"
                 : about->limit ? about->limit
                                : v->value,
                 (int)about->model.len, about->model.ptr);
    buf_addf(b, "\nPlease retry in %.9fs.", retry_of(f, about));
}

static void not_found_message(struct buf *b, const struct refuse_about *about)
{
    buf_addf(
        b,
        "models/%.*s is not found for API version v1beta, or is not supported for %s. Call "
        "ListModels to see the list of available models and their supported methods.",
        (int)about->model.len, about->model.ptr,
        about->method ? about->method : "generateContent");
}

static void write_details(struct writer *w, const struct fault *f, struct span message,
                          const struct refuse_about *about)
{
    if (!f->reason && !f->violations && f->retry <= 0)
        return;
    write_begin(w, "details", '[');
    if (f->reason)
        write_reason(w, f->reason);
    if (f->localized)
        write_localized(w, message);
    if (f->violations) {
        write_help(w);
        write_violations(w, f, about);
    }
    if (f->retry > 0)
        write_retry(w, retry_of(f, about), !f->violations);
    write_end(w, ']');
}

void refuse_fault(struct reply *r, const struct fault *f, const struct refuse_about *about)
{
    struct writer w;
    struct buf message = {.max = 8000};
    r->status = f->status;
    if (f->kind == FAULT_PAGE) {
        refuse_page(r, f->status, about->path);
        return;
    }
    if (f->violations)
        quota_message(&message, f, about);
    else if (!f->message)
        not_found_message(&message, about);
    else
        buf_add_str(&message, f->message);
    open_error(&w, r, f->array || about->array);
    write_head(&w, f->status, buf_span(&message), f->rpc);
    write_details(&w, f, buf_span(&message), about);
    close_error(&w, f->array || about->array);
    buf_free(&message);
}

void refuse_request(struct reply *r, const struct refusal *why,
                    const struct refuse_about *about)
{
    struct writer w;
    r->status = 400;
    open_error(&w, r, about->array);
    write_head(&w, 400, buf_span(&why->message), "INVALID_ARGUMENT");
    if (why->violation) {
        write_begin(&w, "details", '[');
        begin_detail(&w, RPC "BadRequest");
        write_begin(&w, "fieldViolations", '[');
        write_begin(&w, NULL, '{');
        if (why->field.len)
            write_str(&w, "field", buf_span(&why->field));
        write_str(&w, "description", buf_span(&why->message));
        write_end(&w, '}');
        write_end(&w, ']');
        write_end(&w, '}');
        write_end(&w, ']');
    }
    close_error(&w, about->array);
}

void refuse_anonymous(struct reply *r)
{
    struct writer w;
    r->status = 403;
    open_error(&w, r, false);
    write_head(&w, 403,
               SPAN("Method doesn't allow unregistered callers (callers without established "
                    "identity). Please use API Key or other form of API consumer identity to "
                    "call this API."),
               "PERMISSION_DENIED");
    close_error(&w, false);
}

static const char *title_of(unsigned status)
{
    return status == 404 ? "Not Found" : status == 502 ? "Server Error" : "Sorry";
}

static void escape(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '<' || c == '>' || c == '&' || c == '"')
            buf_addf(b, "&#%d;", c);
        else
            buf_add_byte(b, c);
    }
}

void refuse_page(struct reply *r, unsigned status, struct span path)
{
    struct buf b = {.max = 64u << 10};
    buf_addf(&b,
             "<!DOCTYPE html>\n<html lang=en>\n  <meta charset=utf-8>\n"
             "  <meta name=viewport content=\"initial-scale=1, minimum-scale=1, "
             "width=device-width\">\n  <title>Error %u (%s)!!1</title>\n"
             "  <p><b>%u.</b> <ins>That’s an error.</ins>\n  <p>",
             status, title_of(status), status);
    if (status == 404) {
        buf_add_str(&b, "The requested URL <code>");
        escape(&b, path);
        buf_add_str(&b, "</code> was not found on this server.");
    } else {
        buf_add_str(&b, "The server encountered a temporary error and could not complete your "
                        "request.<p>Please try again in 30 seconds.");
    }
    buf_add_str(&b, "  <ins>That’s all we know.</ins>\n");
    r->status = status;
    r->type = TYPE_HTML;
    rope_take(&r->body, &b);
}
