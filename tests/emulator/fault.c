// fault.c - see fault.h.
#include "emulator/fault.h"

#include <string.h>

#include "common/text.h"
#include "emulator/fault_table.h"

const struct fault *fault_named(struct span name)
{
    for (const struct fault *f = fault_table; f->name; f++)
        if (span_is(name, f->name))
            return f;
    return NULL;
}

void fault_list(FILE *out)
{
    size_t column = 2;
    fputs(" ", out);
    for (const struct fault *f = fault_table; f->name; f++) {
        size_t n = strlen(f->name) + 1;
        if (column + n > 96) {
            fputs("\n ", out);
            column = 2;
        }
        fprintf(out, " %s", f->name);
        column += n;
    }
    fputc('\n', out);
}

static enum err read_one(struct fault_plan *p, const char *text, double *sum, struct buf *why)
{
    const char *equals = strchr(text, '=');
    struct span name = {text, equals ? (size_t)(equals - text) : strlen(text)};
    double probability = 1;
    const struct fault *f = fault_named(name);
    if (!f) {
        buf_addf(why, "--fault %.60s: no such fault; --help lists them", text);
        return ERR_MISSING;
    }
    if (equals && text_decimal(span_of(equals + 1), 0, 1, &probability)) {
        buf_addf(why, "--fault %.60s: the probability is not a number from 0 to 1", text);
        return ERR_FORMAT;
    }
    *sum += probability;
    if (p->n == sizeof p->at / sizeof *p->at || *sum > 1.0000001) {
        buf_addf(why, "--fault %.60s: the probabilities add up to more than 1", text);
        return ERR_RANGE;
    }
    p->at[p->n].fault = f;
    p->at[p->n++].probability = probability;
    return OK;
}

enum err fault_plan_read(struct fault_plan *p, const struct opt_strs *given, struct buf *why)
{
    double sum = 0;
    enum err e = OK;
    for (size_t i = 0; i < given->n && !e; i++)
        e = read_one(p, given->at[i], &sum, why);
    return e;
}

// The next [[key:VALUE]] of the prompt, and what follows it.
static bool next_marker(struct span *rest, const char *key, struct span *value)
{
    size_t n = strlen(key);
    const char *at, *end;
    if (rest->len == 0 || !(at = memmem(rest->ptr, rest->len, key, n)))
        return false;
    size_t left = rest->len - (size_t)(at + n - rest->ptr);
    if (!(end = memmem(at + n, left, "]]", 2)))
        return false;
    *value = (struct span){at + n, (size_t)(end - at) - n};
    *rest = (struct span){end, rest->len - (size_t)(end - rest->ptr)};
    return true;
}

// What the prompt says about itself; `*said` tells whether it says anything.
static const struct fault *by_prompt(struct span prompt, uint64_t tries, bool *said)
{
    uint64_t before = 0; // tries that earlier markers have taken
    struct span marker;
    while (next_marker(&prompt, "[[fault:", &marker)) {
        const char *star = memchr(marker.ptr, '*', marker.len);
        struct span name = {marker.ptr, star ? (size_t)(star - marker.ptr) : marker.len};
        uint64_t times = UINT64_MAX;
        const struct fault *f = fault_named(name);
        if (!f || (star && text_uint((struct span){star + 1, marker.len - name.len - 1}, 0,
                                     UINT32_MAX, &times)))
            continue;
        *said = true;
        if (tries - before < times)
            return f;
        before += times;
    }
    return NULL;
}

// Uniform in [0, 1), from the seed, the prompt and the try.
static double draw(uint64_t seed, const uint8_t *digest, uint64_t tries)
{
    struct {
        uint64_t seed, tries;
        uint8_t prompt[DIGEST_SIZE];
    } in = {.seed = seed, .tries = tries};
    uint8_t out[DIGEST_SIZE];
    uint64_t bits;
    memcpy(in.prompt, digest, DIGEST_SIZE);
    digest_of((struct span){(const char *)&in, sizeof in}, out);
    memcpy(&bits, out, sizeof bits);
    return (double)(bits >> 11) * 0x1p-53;
}

const struct fault *fault_choose(const struct fault_plan *p, struct span prompt,
                                 const uint8_t digest[static DIGEST_SIZE], uint64_t tries)
{
    bool said = false;
    const struct fault *f = by_prompt(prompt, tries, &said);
    if (said || p->n == 0)
        return f;
    double u = draw(p->seed, digest, tries), sum = 0;
    for (size_t i = 0; i < p->n; i++)
        if (u < (sum += p->at[i].probability))
            return p->at[i].fault;
    return NULL;
}

double fault_latency(struct span prompt, double otherwise)
{
    struct span marker;
    double seconds;
    if (next_marker(&prompt, "[[latency:", &marker) && text_duration(marker, &seconds) == OK)
        return seconds;
    return otherwise;
}
