// example.c - a program that uses libgenfarm: submits its arguments as prompts, prints what
// happens, and saves the images under ./pictures.
//
//   cc example.c $(pkg-config --static --cflags --libs genfarm) -o example
#include <genfarm.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char *argv[])
{
    struct genfarm_options options = {.redis = getenv("GENFARM_REDIS_URL")};
    struct genfarm_event event;
    struct genfarm *farm;
    char why[512], batch[GENFARM_BATCH_SIZE] = "";
    if (argc < 2) {
        fputs("usage: example PROMPT...\n", stderr);
        return 2;
    }
    if (genfarm_open(&options, &farm, why, sizeof why) != GENFARM_OK) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    struct genfarm_job *jobs = calloc((size_t)argc, sizeof *jobs);
    for (int i = 1; jobs && i < argc; i++)
        jobs[i - 1].prompt = argv[i];
    enum genfarm_status s =
        jobs ? genfarm_submit(farm, batch, jobs, (size_t)argc - 1) : GENFARM_FAILED;
    if (s == GENFARM_OK)
        s = genfarm_watch(farm, batch, NULL);
    event.last = false;
    while ((s == GENFARM_OK || s == GENFARM_NONE) && !event.last) {
        s = genfarm_next(farm, 10, &event);
        if (s == GENFARM_OK)
            puts(event.json);
    }
    if (s == GENFARM_OK)
        s = genfarm_collect(farm, batch, "pictures");
    if (s != GENFARM_OK)
        fprintf(stderr, "%s\n", genfarm_why(farm));
    free(jobs);
    genfarm_close(farm);
    return s == GENFARM_OK ? 0 : 1;
}
