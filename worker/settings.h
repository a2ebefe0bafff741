// settings.h - what a worker was told: options, environment, key.
#ifndef WORKER_SETTINGS_H
#define WORKER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/projects.h"
#include "common/image.h"
#include "common/log.h"
#include "common/opt.h"
#include "common/redis.h"

struct settings {
    bool help, version;
    bool dry; // only say whether these settings would do
    const char *redis, *ca_file, *sink, *spool, *verify, *limit, *project;
    const char *key_file, *projects_file, *base_url, *gemini_ca, *catalogue, *log_level,
        *log_dir;
    struct opt_strs queues;
    uint64_t concurrency, max_stored, keep_bytes, ledger, max_batches, batch_bytes;
    double lease, grace, keep;
    // what they come to; owned
    struct redis_url url;
    struct projects projects;
    enum image_check check;
    enum log_level level;
    const char *sink_dir; // NULL: the sink is Redis
};

// ERR_FORMAT: bad usage (exit 2); other errors: it cannot run here (exit 1). `why`: one line.
MUST_USE enum err settings_read(struct settings *s, int argc, char *const argv[],
                                struct buf *why);
void settings_free(struct settings *s);
void settings_help(FILE *out);
#endif
