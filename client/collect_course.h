// collect_course.h - how following a batch goes; one for all that take part in it.
#ifndef CLIENT_COLLECT_COURSE_H
#define CLIENT_COLLECT_COURSE_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

struct collect_course {
    enum err err;    // the first failure: it ends
    struct buf *why; // has its sentence
    bool moved;      // something has come: it is time to look what can be done
};
#endif
