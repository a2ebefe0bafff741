// purse_account.h - the accounts that this worker's calls count in: whether each is known to
// have no limits, and what its calls took that nobody was told of yet.
#ifndef WORKER_PURSE_ACCOUNT_H
#define WORKER_PURSE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/account.h"

struct purse_account {               // stays where it is while its worker lives
    char name[ACCOUNT_MAX_NAME + 1]; // "user:ann"
    int64_t free_us; // when it was last said to have no limits, clock_boot_us(); 0: it has some
    // Not told yet; they borrow `name`: of calls that reserved nothing, and what corrects calls
    // that were told of before, one for each day of these.
    struct account_sum sum, *corrections;
    size_t n_corrections;
};
struct purse_accounts { // {0}: none
    struct purse_account **at;
    size_t n;
};
void purse_accounts_free(struct purse_accounts *all); // what is in it
// The account of this kind ("user", "project") and name, made when it is new. NULL: out of
// memory.
struct purse_account *purse_account_find(struct purse_accounts *all, const char *kind,
                                         struct span name);
// That it has no limits is believed for a second. `now` as of clock_boot_us().
bool purse_account_is_free(const struct purse_account *a, int64_t now);
// A correction has its `day`; for want of memory it is left out: what was told stays.
void purse_account_add(struct purse_account *a, const struct account_sum *by);
bool purse_accounts_any_sum(const struct purse_accounts *all);
// Moves the sums, at most `most` of them, to `out`, where they borrow the accounts' names.
// Returns how many.
size_t purse_accounts_take(struct purse_accounts *all, struct account_sum *out, size_t most);
#endif
