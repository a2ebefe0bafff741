// job.h - one generation job: what a client asks for, as a msgpack map, and the prompt made of
// it.
//
// The map's keys are those of input files ("prompt", "id", "aspect_ratio", ...). Keys that
// are not known are kept in `extra`. Everything is checked on the way in, whoever wrote it.
#ifndef BROKER_JOB_H
#define BROKER_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

#define JOB_MAX_BYTES   (256u * 1024) // of one encoded job
#define JOB_MAX_ID      1024u         // bytes
#define JOB_MAX_NAME    100u          // bytes: of a batch, model, user: A-Z a-z 0-9 . _ -
#define JOB_MAX_SAMPLES 1000u

enum job_priority { JOB_HIGH, JOB_NORMAL, JOB_LOW };
enum job_lane { JOB_STANDARD, JOB_FLEX, JOB_PRIORITY, JOB_BATCH };
#define JOB_LANES 4

struct job {        // spans are borrowed from what was decoded
    struct span id; // empty: the zero-based index, eight digits
    struct span title, scene, mood, prompt, negative;
    struct span model;                    // never empty in a queued job
    struct span aspect_ratio, image_size; // empty: the provider's default
    struct span extra; // msgpack map of unknown columns, handed back untouched; may be empty
    struct span batch, user; // only in the inbox; empty elsewhere
    enum job_priority priority;
    enum job_lane lane;
    uint32_t input;   // zero-based number of the input line it came from
    uint16_t sample;  // 1..samples: which of --count images of one input
    uint16_t samples; // 1 or more
    bool has_seed, has_temperature;
    int32_t seed;
    double temperature;    // 0..2
    uint16_t max_attempts; // 0: the default, 5
    double timeout;        // seconds for one call; 0: the default
    double deadline;       // seconds for the job in all, from its submission; 0: none
    double batch_deadline; // of lane batch: after so long from its submission it goes standard
    double deadline_from;  // that submission, s since 1970; 0: when its batch was made
    bool fail_unknown;     // --on-unknown fail
    double dedupe;         // seconds for which an identical request is shared; 0: never
};

bool job_name_ok(struct span s); // 1..JOB_MAX_NAME bytes of A-Z a-z 0-9 . _ -, no leading dot
MUST_USE enum err job_priority_parse(struct span s, enum job_priority *out);
MUST_USE enum err job_lane_parse(struct span s, enum job_lane *out);
const char *job_lane_name(enum job_lane lane);
const char *job_priority_name(enum job_priority p);

// Sets one member from text, by the name of its column or long option ("aspect-ratio" and
// "aspect_ratio" are the same, letter case ignored). ERR_MISSING: no such member (then it
// belongs in `extra`); ERR_FORMAT, ERR_RANGE: a bad value, `why` says what would be right.
// `value` is borrowed by the job.
MUST_USE enum err job_set(struct job *j, struct span name, struct span value, struct buf *why);

// Checks what single members cannot: a prompt that is there and not blank, UTF-8 everywhere,
// lengths, ranges. `why` gets one line that begins with the member's name: `"prompt" is empty`.
MUST_USE enum err job_check(const struct job *j, struct buf *why);
void job_encode(struct buf *out, const struct job *j); // members at their default are left out
MUST_USE enum err job_decode(struct job *j, struct span bytes,
                             struct buf *why); // and checks it

// What an encoded job holds beside a job's members, together with j->extra: a map for
// `extra`, nothing when there is none. For jobs that other producers wrote.
MUST_USE enum err job_extra(struct buf *out, const struct job *j, struct span map);

// The prompt that is sent. A bare prompt is sent as it stands. With a title, scene, mood or
// negative, sections under headings: Subject, Scene, Mood, Prompt, Constraints.
void job_compose(struct buf *out, const struct job *j);
// Its id as events show it: `id`, or the eight-digit index.
void job_show_id(struct buf *out, const struct job *j, uint32_t index);

// An input as the batch keeps it: digest u32 of the map, length of id u16, id, map; big-endian.
void job_input(struct buf *out, struct span id, struct span map);
MUST_USE enum err job_input_read(struct span input, struct span *id, struct span *map);

// The name of an image: images/INDEX_ID[_K][.M].EXT. `total` is the batch's, for the
// padding; `part` is M, 1 or more; `parts` how many there are.
void job_image_name(struct buf *out, const struct job *j, struct span id, uint32_t index,
                    uint32_t total, unsigned part, unsigned parts, const char *extension);
#endif
