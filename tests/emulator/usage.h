// usage.h - usageMetadata: total = prompt + candidates + thoughts, and what is zero is absent.
#ifndef EMULATOR_USAGE_H
#define EMULATOR_USAGE_H

#include "emulator/request.h"
#include "emulator/writer.h"

struct usage { // tokens
    int64_t prompt_text, prompt_images, candidates, images, thoughts;
};

// `images`: made, without interim ones; `text`: bytes of the answer's text; `blocked`: the
// prompt never reached the model.
struct usage usage_of(const struct request *q, size_t images, size_t text, bool blocked);
// The members, without the braces; `details`: candidatesTokensDetails among them.
void usage_write(struct writer *w, const struct usage *u, bool details);
void usage_write_prompt(struct writer *w, const struct usage *u); // promptTokensDetails
#endif
