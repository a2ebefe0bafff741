// purse_question.h - one request that reserves for calls: the accounts it names, each once, and
// what the answer said of each.
#ifndef WORKER_PURSE_QUESTION_H
#define WORKER_PURSE_QUESTION_H

#include <stddef.h>

#include "broker/account.h"
#include "worker/purse.h"
#include "worker/purse_account.h"

#define PURSE_QUESTION_CALLS (ACCOUNT_MAX_NAMES / 2) // a call names two accounts

struct purse_question { // {0}: names nobody
    size_t n;
    int64_t day; // that the last answer reserved in
    struct purse_account *accounts[ACCOUNT_MAX_NAMES];
    struct span names[ACCOUNT_MAX_NAMES];
    struct account_verdict verdicts[ACCOUNT_MAX_NAMES]; // as of the last answer
    char limits[ACCOUNT_MAX_NAMES][32];                 // what their `limit` borrows
};
// The account's place among the names, where it is put when it has none.
unsigned purse_question_place(struct purse_question *q, struct purse_account *a);
// `day` as of account_reserved(); `v`: a verdict for each name. The accounts hear, too, whether
// they have limits.
void purse_question_answered(struct purse_question *q, int64_t day,
                             const struct account_verdict *v);
// What a call of these two was refused by; all empty where neither is full. It borrows from `q`
// and from the accounts.
struct purse_refusal purse_question_refusal(const struct purse_question *q,
                                            const struct purse_account *user,
                                            const struct purse_account *project);
#endif
