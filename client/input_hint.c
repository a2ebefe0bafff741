// input_hint.c - columns that are surely misspelt: what is meant is asked, not guessed.
#include <ctype.h>
#include <string.h>

#include "broker/job_member.h"
#include "client/input_reader.h"

#define MAX_NAME 32
#define ENTRIES  100 // of a file are looked at: a slip is in the first, or in few

// As names are compared: small letters, and _ for -.
static size_t plain(struct span s, char out[static MAX_NAME])
{
    size_t n = s.len < MAX_NAME ? s.len : MAX_NAME;
    for (size_t i = 0; i < n; i++)
        out[i] = s.ptr[i] == '-' ? '_' : (char)tolower((unsigned char)s.ptr[i]);
    return n;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

// Letters left out, put in, exchanged, or swapped with their neighbour.
static unsigned distance(struct span a, struct span b)
{
    char s[MAX_NAME], t[MAX_NAME];
    unsigned d[MAX_NAME + 1][MAX_NAME + 1];
    size_t n = plain(a, s), m = plain(b, t);
    for (size_t i = 0; i <= n; i++)
        d[i][0] = (unsigned)i;
    for (size_t k = 0; k <= m; k++)
        d[0][k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++)
        for (size_t k = 1; k <= m; k++) {
            unsigned cost = s[i - 1] != t[k - 1];
            d[i][k] = least(d[i - 1][k] + 1, d[i][k - 1] + 1, d[i - 1][k - 1] + cost);
            if (i > 1 && k > 1 && s[i - 1] == t[k - 2] && s[i - 2] == t[k - 1])
                d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1, d[i][k]);
        }
    return d[n][m];
}

static bool numbered(struct span name)
{
    return name.len && isdigit((unsigned char)name.ptr[name.len - 1]);
}

// Short names are near to too many others: "name" is no "lane". "title2" is meant as it stands.
static bool near(struct span name, struct span known)
{
    size_t more = name.len > known.len ? name.len - known.len : known.len - name.len;
    unsigned most = known.len >= 8 ? 2 : 1;
    return !numbered(name) && name.len >= 5 && known.len >= 5 && name.len < MAX_NAME &&
           more <= most && distance(name, known) <= most;
}

void draft_hint(struct draft *d, struct span name)
{
    size_t n;
    const struct job_member *all = job_members(&n);
    const struct reader *r = d->reader;
    if (!r || r->entries >= ENTRIES)
        return;
    for (size_t i = 0; i < n && i < 64; i++)
        if (all[i].column && !(d->hinted & 1ull << i) && near(name, span_of(all[i].name))) {
            d->hinted |= 1ull << i;
            buf_addf(r->complaints,
                     "%s:%u: column \"%.*s\" is kept as it is: was \"%s\" meant?\n", r->file,
                     d->line, (int)name.len, name.ptr, all[i].name);
            return;
        }
}
