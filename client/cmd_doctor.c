// cmd_doctor.c - genfarm doctor: what would go wrong, told before it does.
#include "client/cmd_doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/json.h"

void doctor_say(struct doctor *d, enum verdict v, const char *what, const char *fmt, ...)
{
    static const char *const names[] = {"ok", "warn", "fail"}, *const tags[] = {"OK", "WARN",
                                                                                "FAIL"};
    char finding[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(finding, sizeof finding, fmt, ap);
    va_end(ap);
    d->failures += v == DOCTOR_FAIL;
    d->warnings += v == DOCTOR_WARN;
    if (!d->cmd->json) {
        printf("%-5s %-18s %s\n", tags[v], what, finding);
        return;
    }
    struct json_object *o = json_object_new_object();
    json_put_cstr(o, "check", what);
    json_put_cstr(o, "verdict", names[v]);
    json_put_cstr(o, "finding", finding);
    cmd_print(o);
}

void doctor_add_model(struct doctor *d, struct span name)
{
    const size_t most = sizeof d->models / sizeof *d->models;
    for (size_t i = 0; i < d->n_models; i++)
        if (span_equal(d->models[i], name))
            return;
    char *copy = d->n_models < most && job_name_ok(name) ? strndup(name.ptr, name.len) : NULL;
    if (copy)
        d->models[d->n_models++] = (struct span){copy, name.len};
}

static void free_models(struct doctor *d)
{
    for (size_t i = 0; i < d->n_models; i++)
        free((void *)(uintptr_t)d->models[i].ptr);
}

int cmd_doctor(struct cmd *c)
{
    struct doctor d = {.cmd = c};
    enum err e = catalogue_open(c->catalogue_path, &c->catalogue, &c->why);
    if (e != OK)
        return cmd_fail(c, e);
    doctor_add_model(&d, c->texts[0] ? span_of(c->texts[0]) : catalogue_default(c->catalogue));
    doctor_server(&d);
    if (d.session)
        doctor_queue(&d);
    doctor_models(&d);
    session_close(d.session);
    free_models(&d);
    return cmd_say(d.failures ? EXIT_CANNOT : EXIT_DONE, "%u failed, %u warnings", d.failures,
                   d.warnings);
}
