// call.h - one HTTP request from its first byte to the last of its answer, and what becomes of
// it.
#ifndef EMULATOR_CALL_H
#define EMULATOR_CALL_H

#include <microhttpd.h>
#include <pthread.h>

#include "emulator/batches.h"
#include "emulator/files.h"
#include "emulator/journal.h"
#include "emulator/prompts.h"
#include "emulator/reply.h"
#include "emulator/request.h"
#include "emulator/settings.h"
#include "emulator/waiting.h"

struct desk { // what all calls share
    const struct settings *settings;
    struct journal *journal;
    struct waiting *waiting;
    pthread_mutex_t mutex; // for the following
    struct prompts *prompts;
    struct files *files;
    struct batches *batches;
    struct quota quota;
    uint64_t calls;
};

enum call_state { CALL_READING, CALL_WAITING, CALL_ANSWERED };

struct call {
    struct desk *desk;
    struct MHD_Connection *connection;
    enum call_state state;
    const char *method; // borrowed from the connection
    char path[256];     // cut
    char model[128];
    const char *project; // its key's; NULL: no good key
    struct buf body;
    struct reply reply;
    struct rope_cursor cursor; // how far the reply is sent
    uint64_t sent;             // bytes of it
    int64_t came_us;
    double latency;  // seconds, to wait before the answer
    uint64_t number; // among the calls of a model, from 1; 0: none
    uint64_t tries;  // how often the prompt came before
    bool prompt_known;
    uint8_t prompt[DIGEST_SIZE];
    char tier[16]; // that it asks for
};

// Sets the call's reply and latency, from its method, path and body.
void call_decide(struct call *c);
// The same for files and batches; false: the path is none of theirs.
bool call_store(struct call *c);
// batchGenerateContent.
void call_make_batch(struct call *c, const struct model *m);
bool call_has_key(struct call *c); // false: answered already
#endif
