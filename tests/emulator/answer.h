// answer.h - the answers of generateContent and its kin that come with status 200.
#ifndef EMULATOR_ANSWER_H
#define EMULATOR_ANSWER_H

#include "emulator/reply.h"
#include "emulator/request.h"
#include "emulator/settings.h"

// One object, events, an array of objects, or an object on one line.
enum form { FORM_UNARY, FORM_SSE, FORM_ARRAY, FORM_ROW };

struct answer {
    const struct settings *settings;
    const struct request *request;
    const struct fault *fault; // NULL: a good answer. Not a FAULT_ERROR or FAULT_PAGE.
    enum form form;
    uint64_t sample; // how often the prompt has come before
};

MUST_USE enum err answer_build(const struct answer *a, struct reply *r);
void answer_count(struct reply *r, const struct request *q); // countTokens
void answer_models(struct reply *r);                         // GET models
void answer_model(struct reply *r, const struct model *m);   // GET models/NAME
#endif
