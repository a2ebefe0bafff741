// cmd_doctor.h - what the parts of genfarm doctor share.
#ifndef CLIENT_CMD_DOCTOR_H
#define CLIENT_CMD_DOCTOR_H

#include "client/cmd.h"

struct doctor {
    struct cmd *cmd;
    struct session *session; // NULL: the server cannot be used
    struct span models[32];  // to be looked at: those in use, the default first; owned
    size_t n_models;
    unsigned failures, warnings;
};

enum verdict {
    DOCTOR_OK,
    DOCTOR_WARN, // it works, and may cost something one day
    DOCTOR_FAIL  // it does not work, or will lose jobs
};
// One line on stdout about one thing, "redis" or "appendfsync".
void doctor_say(struct doctor *d, enum verdict v, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void doctor_add_model(struct doctor *d, struct span name); // copied; each once

void doctor_server(struct doctor *d); // cmd_doctor_server.c: the server and its settings
void doctor_queue(struct doctor *d);  // cmd_doctor_queue.c: rights, workers, what waits
void doctor_models(struct doctor *d); // cmd_doctor_models.c: key, endpoint, models
#endif
