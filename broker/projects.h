// projects.h - the provider's projects a worker may send through: the quotas of a provider
// belong to a project, and all of its keys share them. One JSON file, read when the program
// starts:
//
//   {"projects": [
//     {"name": "art", "weight": 3,
//      "keys": [{"env": "ART_KEY"}, {"file": "/etc/genfarm/art.key"}],
//      "limit": "rpm=500,rpd=10000",
//      "limits": {"gemini-3-pro-image": "rpm=50", "gemini-3-pro-image/flex": "rpm=20"}},
//     {"name": "spare", "keys": [{"env": "SPARE_KEY"}]}]}
//
// A limit may be the name of a tier of the catalogue, see tier.h. The file says where keys are,
// and never what they are.
#ifndef BROKER_PROJECTS_H
#define BROKER_PROJECTS_H

#include <stdbool.h>

#include "broker/job.h"
#include "common/buf.h"
#include "common/err.h"

#define PROJECTS_MAX       16
#define PROJECT_MAX_KEYS   16
#define PROJECT_MAX_LIMITS 64
#define PROJECT_MAX_WEIGHT 1000

struct project_key {
    struct buf secret; // owned; secret_free()
    char *from;        // owned: "ART_KEY" or the file's path, for people to see; may be NULL
    bool in_env;       // it names a variable
};

struct project_limit { // owned
    char *group;       // "MODEL" or "MODEL/LANE"
    struct buf spec;   // limit_spec()'s
};

struct project {
    char name[JOB_MAX_NAME + 1];
    unsigned weight;  // of the work, among projects that have room: 1 to PROJECT_MAX_WEIGHT
    struct buf limit; // tier_spec()'s, of each model that has none of its own; may be empty
    struct project_limit limits[PROJECT_MAX_LIMITS];
    struct project_key keys[PROJECT_MAX_KEYS];
    size_t n_limits, n_keys;
};

struct projects {
    struct project at[PROJECTS_MAX];
    size_t n;
};

// Reads the file and all keys it names. ERR_FORMAT, ERR_RANGE: the file is not as above; other
// errors: it or a key cannot be read, or others may write it. `why`: a line. On failure, too,
// projects_free() must follow.
MUST_USE enum err projects_read(const char *path, struct projects *out, struct buf *why);
// The one project of a worker that was given a key and no file. Takes the key.
void projects_one(struct projects *out, const char *name, struct buf *key, struct span limit);
void projects_free(struct projects *p);
// Environment variables that hold keys go from the environment; see secret_forget().
void projects_forget(const struct projects *p);
// The project's own limit of that group, "LANE/MODEL": of the model and lane, else of the
// model, else of all. Empty: none.
struct span project_limit(const struct project *p, struct span lane_model);
#endif
