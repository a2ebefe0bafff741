// refuse.h - the bodies of errors: Google's JSON, and its pages of HTML.
#ifndef EMULATOR_REFUSE_H
#define EMULATOR_REFUSE_H

#include "emulator/fault.h"
#include "emulator/reply.h"
#include "emulator/request.h"

struct refuse_about {
    struct span model;  // as asked for; named in messages
    struct span path;   // of the URL
    const char *method; // "generateContent"
    double retry;       // seconds, in place of the fault's own; 0: that
    const char *limit;  // quotaValue, in place of the violation's own; NULL: that
    bool array;         // the stream's form: an array of one error
};

// A fault of kind FAULT_ERROR or FAULT_PAGE.
void refuse_fault(struct reply *r, const struct fault *f, const struct refuse_about *about);
// 400 INVALID_ARGUMENT.
void refuse_request(struct reply *r, const struct refusal *why,
                    const struct refuse_about *about);
void refuse_anonymous(struct reply *r); // no key: 403
void refuse_page(struct reply *r, unsigned status, struct span path);
#endif
