// cmd_gemini.c - see cmd_gemini.h.
#include "client/cmd_gemini.h"

#include <curl/curl.h>
#include <string.h>

#include "common/json.h"
#include "common/text.h"

#define MAX_ANSWER (1u << 20)

static size_t on_bytes(char *bytes, size_t size, size_t n, void *ctx)
{
    struct buf *body = ctx;
    buf_add(body, (struct span){bytes, size * n});
    return body->err ? 0 : size * n;
}

static bool makes_content(struct json_object *doc)
{
    struct json_object *methods;
    if (!json_get(doc, "supportedGenerationMethods", json_type_array, &methods))
        return true; // it does not say
    for (size_t i = 0; i < json_object_array_length(methods); i++)
        if (strcmp(json_object_get_string(json_object_array_get_idx(methods, i)),
                   "generateContent") == 0)
            return true;
    return false;
}

static void read_answer(struct gemini_said *out, struct span body)
{
    struct json_object *doc = NULL;
    struct span message = SPAN("the answer is no JSON");
    bool json = json_read(body, &doc, NULL) == OK && json_object_is_type(doc, json_type_object);
    struct json_object *error = json ? json_at(doc, "error") : NULL;
    if (json)
        out->makes_content = makes_content(doc);
    if (error)
        json_get_str(error, "message", &message);
    if (out->status != 200 || !json)
        text_show(&out->why, message, 300);
    json_object_put(doc);
}

static enum err end_of(CURLcode code)
{
    return code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT
           : code == CURLE_URL_MALFORMAT    ? ERR_FORMAT
           : code == CURLE_OUT_OF_MEMORY    ? ERR_NOMEM
                                            : ERR_NET;
}

static enum err perform(CURL *easy, const char *url, struct curl_slist *headers, double timeout,
                        struct gemini_said *out)
{
    struct buf body = {.max = MAX_ANSWER};
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout * 1000));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &body);
    CURLcode code = curl_easy_perform(easy);
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &out->status);
    if (code == CURLE_OK)
        read_answer(out, buf_span(&body));
    else
        buf_add_str(&out->why, *why ? why : curl_easy_strerror(code));
    buf_free(&body);
    return code == CURLE_OK ? OK : end_of(code);
}

enum err gemini_ask(const char *base_url, const char *ca_file, struct span key,
                    struct span model, double timeout, struct gemini_said *out)
{
    struct buf url = {.max = 4096}, header = {.max = 8192};
    *out = (struct gemini_said){.why = {.max = 4096}};
    size_t n = strlen(base_url);
    while (n > 0 && base_url[n - 1] == '/')
        n--;
    buf_addf(&url, "%.*s/v1beta/models/%.*s", (int)n, base_url, (int)model.len, model.ptr);
    buf_addf(&header, "x-goog-api-key: %.*s", (int)key.len, key.ptr);
    CURL *easy = curl_easy_init();
    struct curl_slist *headers = header.err ? NULL : curl_slist_append(NULL, buf_str(&header));
    enum err e = !easy || !headers || url.err ? ERR_NOMEM : OK;
    if (e == OK && ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    if (e == OK)
        e = perform(easy, buf_str(&url), headers, timeout, out);
    text_redact(&out->why, key);
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
    if (header.ptr)
        explicit_bzero(header.ptr, header.cap);
    buf_free(&header);
    buf_free(&url);
    return e;
}

void gemini_said_free(struct gemini_said *s)
{
    buf_free(&s->why);
}
