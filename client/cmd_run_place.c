// cmd_run_place.c - see cmd_run_place.h.
#include "client/cmd_run_place.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/batch_id.h"
#include "client/farm.h"
#include "client/output_files.h"
#include "common/file.h"

static void name_places(const struct cmd *c, struct run_place *p)
{
    snprintf(p->folder, sizeof p->folder, "%s/%s", p->dir, p->batch);
    snprintf(p->data, sizeof p->data, "%s/.genfarm/%s", p->dir, p->batch);
    if (c->redis_given && c->queue_given)
        snprintf(p->queue, sizeof p->queue, "%s", c->queue);
    else
        snprintf(p->queue, sizeof p->queue, "run-%s", p->batch);
}

int run_place_find(const struct cmd *c, struct run_place *p)
{
    char copy[PATH_MAX];
    struct stat st;
    if (c->words.n > 0)
        return cmd_say(EXIT_USAGE, "--resume goes on with what the batch has, and takes no %s",
                       c->words.at[0]);
    if (!realpath(c->resume, copy) || stat(copy, &st) != 0)
        return cmd_say(EXIT_USAGE, "--resume %s: %s", c->resume, strerror(errno));
    snprintf(p->batch, sizeof p->batch, "%.100s", basename(copy));
    snprintf(p->dir, sizeof p->dir, "%s", dirname(copy));
    if (!S_ISDIR(st.st_mode) || !job_name_ok(span_of(p->batch)))
        return cmd_say(EXIT_USAGE, "--resume %s: is not the folder of a batch", c->resume);
    name_places(c, p);
    return 0;
}

int run_place_make(const struct cmd *c, struct run_place *p)
{
    char id[BATCH_ID_SIZE];
    batch_id_fresh(id);
    snprintf(p->batch, sizeof p->batch, "%s", c->batch ? c->batch : id);
    if (file_mkdirs(c->output) != OK || !realpath(c->output, p->dir))
        return cmd_say(EXIT_CANNOT, "%s: %s", c->output, strerror(errno));
    name_places(c, p);
    return 0;
}

int run_place_check_new(const struct run_place *p)
{
    if (access(p->folder, F_OK) == 0)
        return cmd_say(EXIT_USAGE, "%s is there already; --resume %s goes on with it",
                       p->folder, p->folder);
    return 0;
}

void run_place_say_failed(const struct run_place *p)
{
    cmd_say(0, "to try the failed ones again: genfarm run %s/failed.jsonl", p->folder);
}

// A folder whose batch has ended, and a queue that is of no use any more.
static int say_over(const struct run_place *p, const struct output_files *n, bool *over)
{
    *over = true;
    farm_remove(p->data);
    if (n->missing == 0 && n->completed == n->total)
        return cmd_say(EXIT_DONE, "%s is complete: %lld of %lld jobs, nothing is left to do",
                       p->folder, (long long)n->completed, (long long)n->total);
    cmd_say(0, "%s has ended: %lld of %lld jobs completed, nothing is left to go on with",
            p->folder, (long long)n->completed, (long long)n->total);
    if (n->completed < n->total)
        run_place_say_failed(p);
    if (n->missing > 0)
        return cmd_say(EXIT_CANNOT,
                       "%lld images are missing or broken in %s/images, the first one %s, and "
                       "the queue that knew them is gone; what was asked is in manifest.jsonl",
                       (long long)n->missing, p->folder, n->first);
    return EXIT_JOBS;
}

// Another's server may know where images are, or have had failed jobs opened again.
int run_place_check_resumed(const struct cmd *c, const struct run_place *p, bool *over)
{
    struct output_files n;
    bool queue = c->redis_given || access(p->data, F_OK) == 0;
    if (output_files_look(p->folder, &n) != OK)
        n = (struct output_files){0};
    if (n.complete && (n.missing == 0 || !queue))
        return say_over(p, &n, over);
    if (n.over && !queue)
        return say_over(p, &n, over);
    if (n.missing > 0)
        cmd_say(0, "%lld images are missing or broken in %s/images, the first one %s",
                (long long)n.missing, p->folder, n.first);
    if (!queue)
        return cmd_say(EXIT_USAGE,
                       "%s has no queue to go on with: it is not the folder of a run, or it "
                       "was made with --redis (then give the same here)",
                       p->folder);
    return 0;
}
