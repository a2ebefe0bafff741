// example.c - a program that uses libgenfarm: submits its arguments as prompts, prints what
// happens, and saves the images under ./pictures.
//
//   cc example.c $(pkg-config --static --cflags --libs genfarm) -o example
//   ./example -b 5 -u ann -l flex "a lighthouse at dusk"    # at most $5, for ann
//   ./example -n dusk "a lighthouse at dusk"    # the same again goes on where it was
#include <genfarm.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct asked {
    struct genfarm_job defaults;
    struct genfarm_submit_options options;
    const char *batch; // NULL: a new name
};

static int read_options(int argc, char *argv[], struct asked *a)
{
    for (int c; (c = getopt(argc, argv, "a:b:d:l:m:n:u:")) != -1;)
        switch (c) {
        case 'a': a->defaults.max_attempts = optarg; break;
        case 'b': a->options.budget = optarg; break;
        case 'd': a->defaults.dedupe = optarg; break;
        case 'l': a->defaults.lane = optarg; break;
        case 'm': a->defaults.model = optarg; break;
        case 'n': a->batch = optarg; break;
        case 'u': a->options.user = optarg; break;
        default: return -1;
        }
    a->options.defaults = &a->defaults;
    return optind < argc ? 0 : -1;
}

static enum genfarm_status submit(struct genfarm *farm, char *batch, const struct asked *a,
                                  char *const *prompts, size_t n)
{
    struct genfarm_cost cost;
    struct genfarm_job *jobs = calloc(n, sizeof *jobs);
    for (size_t i = 0; jobs && i < n; i++)
        jobs[i].prompt = prompts[i];
    enum genfarm_status s =
        jobs ? genfarm_estimate(farm, &a->options, jobs, n, &cost) : GENFARM_FAILED;
    if (s == GENFARM_OK) {
        fprintf(stderr, "%d calls, about $%.4f, $%.4f at worst\n", (int)cost.calls,
                (double)cost.estimate_micro / 1e6, (double)cost.worst_micro / 1e6);
        s = genfarm_submit_with(farm, batch, &a->options, jobs, n);
    }
    free(jobs);
    return s;
}

static enum genfarm_status follow(struct genfarm *farm, const char *batch)
{
    struct genfarm_event event = {.last = false};
    enum genfarm_status s = genfarm_watch(farm, batch, NULL);
    while ((s == GENFARM_OK || s == GENFARM_NONE) && !event.last) {
        s = genfarm_next(farm, 10, &event);
        if (s == GENFARM_OK)
            puts(event.json);
    }
    return s;
}

int main(int argc, char *argv[])
{
    struct genfarm_options options = {.redis = getenv("GENFARM_REDIS_URL")};
    struct asked asked = {.batch = NULL};
    struct genfarm *farm;
    char why[512], batch[GENFARM_BATCH_SIZE] = "";
    if (read_options(argc, argv, &asked) != 0) {
        fputs("usage: example [-b USD] [-u USER] [-l LANE] [-m MODEL] [-d TIME] [-a ATTEMPTS] "
              "[-n BATCH] PROMPT...\n",
              stderr);
        return 2;
    }
    snprintf(batch, sizeof batch, "%s", asked.batch ? asked.batch : "");
    if (genfarm_open(&options, &farm, why, sizeof why) != GENFARM_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    enum genfarm_status s = submit(farm, batch, &asked, argv + optind, (size_t)(argc - optind));
    if (s == GENFARM_OK)
        s = follow(farm, batch);
    if (s == GENFARM_OK)
        s = genfarm_collect(farm, batch, "pictures");
    if (s != GENFARM_OK)
        fprintf(stderr, "%s\n", genfarm_why(farm));
    genfarm_close(farm);
    return s == GENFARM_OK ? 0 : s == GENFARM_REFUSED ? 4 : 1;
}
