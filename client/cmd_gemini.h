// cmd_gemini.h - asks the Gemini API what it says of a model: whether the key is good, and
// whether the model is there. Costs nothing. Blocks.
#ifndef CLIENT_CMD_GEMINI_H
#define CLIENT_CMD_GEMINI_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

struct gemini_said {
    long status;        // of HTTP
    bool makes_content; // the model takes generateContent, as far as it says
    struct buf why;     // owned: what the answer says, when the status is not 200
};
// OK: an answer came, whatever its status. ERR_NET, ERR_TIMEOUT, ERR_FORMAT: `why` says what
// was wrong. Nothing of the key is ever in `why`. `ca_file`: certificates to trust; NULL: the
// system's.
MUST_USE enum err gemini_ask(const char *base_url, const char *ca_file, struct span key,
                             struct span model, double timeout, struct gemini_said *out);
void gemini_said_free(struct gemini_said *s);
#endif
