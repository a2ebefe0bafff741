// cmd_doctor_models.c - the key, and the models: of the catalogue, and as the endpoint knows
// them.
#include <stdlib.h>
#include <string.h>

#include "broker/projects.h"
#include "broker/request.h"
#include "client/cmd_doctor.h"
#include "client/cmd_gemini.h"
#include "common/clock.h"
#include "common/secret.h"

#define TIMEOUT 15.0                  // seconds
#define AHEAD   (60 * 86400ll * 1000) // ms before its end that a model is warned of
#define PUBLIC  "https://generativelanguage.googleapis.com"

// --- The key --------------------------------------------------------------------------------

static void check_file(struct doctor *d, const char *file)
{
    if (secret_exposed(file))
        doctor_say(d, DOCTOR_WARN, "key",
                   "%.300s: others than its owner may read it; chmod 600", file);
}

static bool check_key(struct doctor *d, struct buf *key)
{
    const char *google = getenv("GOOGLE_API_KEY"), *gemini = getenv("GEMINI_API_KEY");
    struct buf why = {.max = 4096};
    enum err e = secret_read(key, d->cmd->key_file, request_key_names, &why);
    if (e == ERR_MISSING && !d->cmd->key_file)
        doctor_say(d, DOCTOR_WARN, "key",
                   "none in this environment: models were not asked for; workers need one");
    else if (e != OK)
        doctor_say(d, DOCTOR_FAIL, "key", "%s", buf_str(&why));
    else if (d->cmd->key_file)
        check_file(d, d->cmd->key_file);
    else if (google && *google && gemini && *gemini && strcmp(google, gemini) != 0)
        doctor_say(d, DOCTOR_WARN, "key",
                   "GOOGLE_API_KEY and GEMINI_API_KEY differ; the first one is used");
    buf_free(&why);
    return e == OK;
}

// --- Models ---------------------------------------------------------------------------------

static void today(int64_t later_ms, char out[static CLOCK_RFC3339_SIZE])
{
    clock_rfc3339(clock_wall_ms() + later_ms, out);
    out[10] = '\0'; // the date
}

// A model that has retired, or soon will. The dates are the earliest ones: if the endpoint can
// be asked, it has the last word.
static void check_retirement(struct doctor *d, const char *what, struct span name, bool asked)
{
    char now[CLOCK_RFC3339_SIZE], soon[CLOCK_RFC3339_SIZE], end[16];
    const struct model *m = catalogue_find(d->cmd->catalogue, name);
    struct span date = m ? model_retires(m) : SPAN("");
    today(0, now);
    today(AHEAD, soon);
    snprintf(end, sizeof end, "%.*s", (int)date.len, date.ptr);
    if (!m)
        doctor_say(d, DOCTOR_WARN, what,
                   "is not in the catalogue: what it costs is not known to genfarm");
    else if (*end && strcmp(end, now) <= 0)
        doctor_say(d, asked ? DOCTOR_WARN : DOCTOR_FAIL, what,
                   "was to be retired on %s or later; choose another model", end);
    else if (*end && strcmp(end, soon) <= 0)
        doctor_say(d, DOCTOR_WARN, what, "retires on %s at the earliest", end);
}

struct asking { // on whose behalf the endpoint is asked
    const char *base;
    struct span key;
    const char *project, *from; // NULL: there is one key only
};

// "project art, ART_KEY: ", or nothing.
static void whose(const struct asking *a, char *out, size_t n)
{
    *out = '\0';
    if (a->project)
        snprintf(out, n, "project %s, %s: ", a->project, a->from);
}

enum asked { WENT_ON, NO_USE }; // NO_USE: the next model would say the same

static enum asked judge(struct doctor *d, const char *what, const struct asking *a,
                        const struct gemini_said *s)
{
    char by[256];
    whose(a, by, sizeof by);
    if (s->status == 200 && s->makes_content) {
        doctor_say(d, DOCTOR_OK, what, "%sis there, and the key is good", by);
        return WENT_ON;
    }
    if (s->status == 200 || s->status == 404) {
        doctor_say(d, DOCTOR_FAIL, what, "%s%s", by,
                   s->status == 404 ? "is not there: the name is wrong, or it was retired"
                                    : "makes no images: it does not take generateContent");
        return WENT_ON;
    }
    bool key = s->status == 400 || s->status == 401 || s->status == 403;
    doctor_say(d, key ? DOCTOR_FAIL : DOCTOR_WARN, key ? "key" : "endpoint",
               "%s%s (status %ld)", by, buf_str(&s->why), s->status);
    return NO_USE;
}

static enum asked ask(struct doctor *d, const struct asking *a, struct span name)
{
    struct gemini_said said;
    char what[128];
    const struct model *m = catalogue_find(d->cmd->catalogue, name);
    snprintf(what, sizeof what, "%.*s", (int)name.len, name.ptr);
    enum asked next = NO_USE;
    enum err e = gemini_ask(a->base, d->cmd->gemini_ca, a->key, m ? model_name(m) : name,
                            TIMEOUT, &said);
    if (e == OK)
        next = judge(d, what, a, &said);
    else
        doctor_say(d, DOCTOR_FAIL, "endpoint", "%s: %s", a->base, buf_str(&said.why));
    gemini_said_free(&said);
    return next;
}

// The models of all projects, by the first key of each; by the others one, which tells whether
// the key is good.
static void ask_projects(struct doctor *d, const char *base)
{
    struct projects *all = calloc(1, sizeof *all);
    struct buf why = {.max = 4096};
    if (!all)
        return;
    if (projects_read(d->cmd->projects_file, all, &why) != OK)
        doctor_say(d, DOCTOR_FAIL, "projects", "%s", buf_str(&why));
    else
        doctor_say(d, DOCTOR_OK, "projects", "%zu", all->n);
    for (size_t i = 0; why.len == 0 && i < all->n; i++)
        for (size_t k = 0; k < all->at[i].n_keys; k++) {
            const struct project_key *key = &all->at[i].keys[k];
            if (!key->in_env && key->from)
                check_file(d, key->from);
            struct asking a = {base, buf_span(&key->secret), all->at[i].name, key->from};
            enum asked next = WENT_ON;
            for (size_t m = 0; next == WENT_ON && m < (k ? 1 : d->n_models); m++)
                next = ask(d, &a, d->models[m]);
        }
    projects_free(all);
    free(all);
    buf_free(&why);
}

void doctor_models(struct doctor *d)
{
    struct buf key = {.max = SECRET_MAX};
    const char *base = d->cmd->base_url ? d->cmd->base_url : PUBLIC,
               *file = d->cmd->projects_file;
    enum asked next = !file && check_key(d, &key) ? WENT_ON : NO_USE;
    struct asking a = {base, buf_span(&key), NULL, NULL};
    if (strcmp(base, PUBLIC) != 0)
        doctor_say(d, DOCTOR_WARN, "endpoint", "%.200s instead of the public one", base);
    for (size_t i = 0; i < d->n_models; i++) {
        char what[128];
        snprintf(what, sizeof what, "%.*s", (int)d->models[i].len, d->models[i].ptr);
        check_retirement(d, what, d->models[i], file || next == WENT_ON);
        if (next == WENT_ON)
            next = ask(d, &a, d->models[i]);
    }
    if (file)
        ask_projects(d, base);
    secret_free(&key);
}
