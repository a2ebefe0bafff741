// purse_account.c - see purse_account.h.
#include "worker/purse_account.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BELIEVED 1000000 // us: that an account has no limits

static struct purse_account *add(struct purse_accounts *all, const char *name)
{
    struct purse_account **more = realloc(all->at, (all->n + 1) * sizeof *more);
    if (!more)
        return NULL;
    all->at = more;
    struct purse_account *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    snprintf(a->name, sizeof a->name, "%s", name);
    a->sum.name = span_of(a->name);
    return all->at[all->n++] = a;
}

void purse_accounts_free(struct purse_accounts *all)
{
    for (size_t i = 0; i < all->n; i++) {
        free(all->at[i]->corrections);
        free(all->at[i]);
    }
    free(all->at);
    *all = (struct purse_accounts){0};
}

struct purse_account *purse_account_find(struct purse_accounts *all, const char *kind,
                                         struct span name)
{
    char full[ACCOUNT_MAX_NAME + 1];
    snprintf(full, sizeof full, "%s:%.*s", kind, (int)name.len, name.ptr);
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->at[i]->name, full) == 0)
            return all->at[i];
    return add(all, full);
}

bool purse_account_is_free(const struct purse_account *a, int64_t now)
{
    return a->free_us && now - a->free_us < BELIEVED;
}

static struct account_sum *sum_of(struct purse_account *a, int64_t day)
{
    if (day == 0)
        return &a->sum;
    for (size_t i = 0; i < a->n_corrections; i++)
        if (a->corrections[i].day == day)
            return &a->corrections[i];
    struct account_sum *more = realloc(a->corrections, (a->n_corrections + 1) * sizeof *more);
    if (!more)
        return NULL;
    a->corrections = more;
    more += a->n_corrections++;
    *more = (struct account_sum){.name = a->sum.name, .day = day};
    return more;
}

void purse_account_add(struct purse_account *a, const struct account_sum *by)
{
    struct account_sum *s = sum_of(a, by->day);
    if (!s)
        return;
    s->calls += by->calls;
    s->images += by->images;
    s->micro += by->micro;
    s->unknown += by->unknown;
}

static bool is_zero(const struct account_sum *s)
{
    return !s->calls && !s->images && !s->micro && !s->unknown;
}

bool purse_accounts_any_sum(const struct purse_accounts *all)
{
    for (size_t i = 0; i < all->n; i++)
        if (!is_zero(&all->at[i]->sum) || all->at[i]->n_corrections > 0)
            return true;
    return false;
}

size_t purse_accounts_take(struct purse_accounts *all, struct account_sum *out, size_t most)
{
    size_t n = 0;
    for (size_t i = 0; i < all->n && n < most; i++) {
        struct purse_account *a = all->at[i];
        if (!is_zero(&a->sum)) {
            out[n++] = a->sum;
            a->sum = (struct account_sum){.name = a->sum.name};
        }
        while (a->n_corrections > 0 && n < most) // behind what they correct
            out[n++] = a->corrections[--a->n_corrections];
    }
    return n;
}
