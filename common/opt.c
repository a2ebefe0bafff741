// opt.c - see opt.h.
#include "common/opt.h"

#include <stdlib.h>
#include <string.h>

#include "common/text.h"

static bool ends(const struct opt *o)
{
    return !o->name && o->type != OPT_GROUP;
}

static const struct opt *find(const struct opt *table, struct span name)
{
    for (const struct opt *o = table; !ends(o); o++)
        if (o->name && span_is(name, o->name))
            return o;
    return NULL;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
    for (const struct opt *o = table; !ends(o); o++)
        if (o->letter && o->letter == letter)
            return o;
    return NULL;
}

static bool bounded(const struct opt *o)
{
    return o->min != 0 || o->max != 0;
}

static enum err in_bounds(const struct opt *o, double v)
{
    return bounded(o) && (v < o->min || v > o->max) ? ERR_RANGE : OK;
}

static enum err set_uint(const struct opt *o, enum err e, uint64_t v)
{
    if (e == OK)
        e = in_bounds(o, (double)v);
    if (e == OK)
        *(uint64_t *)o->to = v;
    return e;
}

static enum err set_int(const struct opt *o, enum err e, int64_t v)
{
    if (e == OK && o->type != OPT_USD)
        e = in_bounds(o, (double)v);
    if (e == OK)
        *(int64_t *)o->to = v;
    return e;
}

static enum err set_double(const struct opt *o, enum err e, double v)
{
    if (e == OK)
        e = in_bounds(o, v);
    if (e == OK)
        *(double *)o->to = v;
    return e;
}

static enum err set_number(const struct opt *o, struct span v)
{
    uint64_t u = 0;
    int64_t i = 0;
    double d = 0;
    enum err e;
    switch (o->type) {
    case OPT_UINT: e = text_uint(v, 0, UINT64_MAX, &u); return set_uint(o, e, u);
    case OPT_BYTES: e = text_bytes(v, &u); return set_uint(o, e, u);
    case OPT_INT: e = text_int(v, INT64_MIN + 1, INT64_MAX, &i); return set_int(o, e, i);
    case OPT_USD: e = text_usd(v, &i); return set_int(o, e, i);
    case OPT_SECONDS: e = text_duration(v, &d); return set_double(o, e, d);
    default: e = text_decimal(v, 0, 1e15, &d); return set_double(o, e, d);
    }
}

static enum err set(const struct opt *o, const char *value)
{
    struct opt_strs *strs = o->to;
    switch (o->type) {
    case OPT_FLAG: *(bool *)o->to = !value || strcmp(value, "0") != 0; return OK;
    case OPT_MAYBE:
    case OPT_STR: *(const char **)o->to = value; return OK;
    case OPT_STRS:
        if (strs->n == OPT_STRS_MAX)
            return ERR_TOOBIG;
        strs->at[strs->n++] = value;
        return OK;
    default: return set_number(o, span_of(value));
    }
}

static const char *wanted(enum opt_type t)
{
    switch (t) {
    case OPT_UINT: return "a whole number";
    case OPT_INT: return "a whole number, negative or not";
    case OPT_DECIMAL: return "a number like 0.5";
    case OPT_SECONDS: return "a duration like 90, 1.5s, 200ms or 10m";
    case OPT_BYTES: return "a size like 512, 64K or 2G";
    case OPT_USD: return "dollars like 1.25";
    default: return "a value";
    }
}

// One line: where the value came from, what is wrong with it, what would be right.
static enum err complain(struct buf *why, const struct opt *o, const char *from,
                         const char *value, enum err e)
{
    if (e == ERR_TOOBIG) {
        buf_addf(why, "%s: given more than %d times", from, OPT_STRS_MAX);
        return e;
    }
    buf_addf(why, "%s: \"", from);
    text_show(why, span_of(value), 80);
    buf_addf(why, "\" is not %s", wanted(o->type));
    if (bounded(o) && e == ERR_RANGE)
        buf_addf(why, " from %.15g to %.15g", o->min, o->max);
    return e;
}

static enum err set_default(const struct opt *o, struct buf *why)
{
    char name[64];
    for (const char *p = o->env; p && *p;) {
        size_t n = strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, p);
        const char *value = getenv(name);
        if (value && *value) {
            enum err e = set(o, value);
            return e ? complain(why, o, name, value, e) : OK;
        }
        p += n + (p[n] == ',');
    }
    return o->fallback ? set(o, o->fallback) : OK;
}

static unsigned distance(const char *a, const char *b)
{
    unsigned row[64];
    size_t n = strlen(b);
    if (n >= 64)
        return 64;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            unsigned up = row[j], best = corner + (a[i - 1] != b[j - 1]);
            best = best < up + 1 ? best : up + 1;
            row[j] = best < row[j - 1] + 1 ? best : row[j - 1] + 1;
            corner = up;
        }
    }
    return row[n];
}

static enum err unknown(const struct opt *table, const char *word, struct buf *why)
{
    const struct opt *near = NULL;
    char name[64];
    unsigned best = 4;
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 2, "="), word + 2);
    for (const struct opt *o = table; !ends(o); o++)
        if (o->name && distance(name, o->name) < best) {
            best = distance(name, o->name);
            near = o;
        }
    buf_add_str(why, "unknown option ");
    text_show(why, span_of(word), 80);
    if (near)
        buf_addf(why, " (did you mean --%s?)", near->name);
    else
        buf_add_str(why, "; --help lists them");
    return ERR_FORMAT;
}

// The option that a word names, with the value that is part of it.
static const struct opt *match(const struct opt *table, const char *word, const char **value)
{
    *value = NULL;
    if (word[1] != '-') {
        if (word[2])
            *value = word + 2;
        return find_letter(table, word[1]);
    }
    size_t n = strcspn(word + 2, "=");
    if (word[2 + n] == '=')
        *value = word + 2 + n + 1;
    return find(table, (struct span){word + 2, n});
}

static enum err take(const struct opt *table, int argc, char *const argv[], int *i,
                     struct buf *why)
{
    const char *word = argv[*i], *value;
    const struct opt *o = match(table, word, &value);
    if (!o)
        return unknown(table, word, why);
    if (o->type == OPT_FLAG && value) {
        buf_addf(why, "--%s takes no value", o->name);
        return ERR_FORMAT;
    }
    if (o->type == OPT_MAYBE && !value)
        value = "";
    if (o->type != OPT_FLAG && !value) {
        if (*i + 1 >= argc) {
            buf_addf(why, "--%s needs %s", o->name, wanted(o->type));
            return ERR_FORMAT;
        }
        value = argv[++*i];
    }
    char from[80];
    snprintf(from, sizeof from, "--%s", o->name);
    enum err e = set(o, value);
    return e ? complain(why, o, from, value, e) : OK;
}

enum err opt_read(const struct opt *table, int argc, char *const argv[], struct opt_strs *words,
                  struct buf *why)
{
    enum err e = OK;
    for (const struct opt *o = table; !ends(o) && e == OK; o++)
        if (o->type != OPT_GROUP && !opt_given(table, argc, argv, o->name))
            e = set_default(o, why);
    bool only_words = false;
    for (int i = 1; i < argc && e == OK; i++) {
        const char *word = argv[i];
        if (only_words || word[0] != '-' || word[1] == '\0') {
            if (words->n == OPT_STRS_MAX) {
                buf_addf(why, "more than %d arguments", OPT_STRS_MAX);
                return ERR_TOOBIG;
            }
            words->at[words->n++] = word;
        } else if (strcmp(word, "--") == 0) {
            only_words = true;
        } else {
            e = take(table, argc, argv, &i, why);
        }
    }
    return e;
}

bool opt_given(const struct opt *table, int argc, char *const argv[], const char *name)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value;
        if (argv[i][0] != '-' || argv[i][1] == '\0')
            continue;
        const struct opt *o = match(table, argv[i], &value);
        if (o && o->name && strcmp(o->name, name) == 0)
            return true;
        if (o && o->type != OPT_FLAG && o->type != OPT_MAYBE && !value)
            i++;
    }
    return false;
}

#define HELP_COLUMN 30
#define HELP_WIDTH  96

static void wrap(FILE *out, const char *text)
{
    size_t column = HELP_COLUMN;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column + n > HELP_WIDTH && column > HELP_COLUMN) {
            fprintf(out, "\n%*s", HELP_COLUMN, "");
            column = HELP_COLUMN;
        }
        fprintf(out, "%.*s", (int)n, text);
        column += n;
        text += n;
        if (*text == ' ') {
            text++;
            if (column < HELP_WIDTH)
                fputc(' ', out);
            column++;
        }
    }
}

static void help_one(FILE *out, const struct opt *o)
{
    char left[80];
    struct buf text = {.max = 1000};
    bool maybe = o->type == OPT_MAYBE;
    snprintf(left, sizeof left, "  %c%c%s--%s%s%s%s", o->letter ? '-' : ' ',
             o->letter ? o->letter : ' ', o->letter ? ", " : "  ", o->name,
             maybe    ? "[="
             : o->arg ? " "
                      : "",
             o->arg ? o->arg : "", maybe ? "]" : "");
    fprintf(out, "%-*s", HELP_COLUMN, left);
    if (strlen(left) >= HELP_COLUMN)
        fprintf(out, "\n%*s", HELP_COLUMN, "");
    buf_add_str(&text, o->help ? o->help : "");
    if (o->fallback)
        buf_addf(&text, " (default %s)", o->fallback);
    if (o->env)
        buf_addf(&text, " [%s]", o->env);
    wrap(out, buf_str(&text));
    fputc('\n', out);
    buf_free(&text);
}

void opt_help(FILE *out, const struct opt *table)
{
    for (const struct opt *o = table; !ends(o); o++) {
        if (o->type == OPT_GROUP)
            fprintf(out, "\n%s\n", o->help);
        else
            help_one(out, o);
    }
}
