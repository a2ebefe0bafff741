// worker_facts.c - see worker_facts.h.
#include "worker/worker_facts.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/keyring.h"
#include "worker/provider.h"
#include "worker/worker.h"

static void name_projects(struct worker_facts *f, const struct worker_options *o)
{
    size_t n = 0;
    for (size_t i = 0; i < o->n_keyrings && n < sizeof f->projects; i++)
        n += (size_t)snprintf(f->projects + n, sizeof f->projects - n, "%s%s", i ? "," : "",
                              keyring_project(o->keyrings[i])->name);
}

void worker_facts_init(struct worker_facts *f, const struct worker_options *o,
                       const struct provider *provider)
{
    gethostname(f->hostname, sizeof f->hostname - 1);
    snprintf(f->pid, sizeof f->pid, "%ld", (long)getpid());
    snprintf(f->name, sizeof f->name, "%s:%s", f->hostname, f->pid);
    snprintf(f->slots, sizeof f->slots, "%u", o->concurrency);
    name_projects(f, o);
    const struct queue_fact list[WORKER_FACTS] = {
        {"host", span_of(f->hostname)},
        {"pid", span_of(f->pid)},
        {"concurrency", span_of(f->slots)},
        {"version", SPAN(GENFARM_VERSION)},
        {"sink", span_of(o->sink_name)},
        // For the ledger, of calls that are under way when it is lost.
        {"ledger", o->ledger ? SPAN("1") : SPAN("0")},
        {"project", span_of(o->project)},
        {"provider", span_of(provider->name)},
        {"endpoint", span_of(provider->endpoint)},
        {"projects", span_of(f->projects)},
    };
    memcpy(f->list, list, sizeof list);
}
