// life.h - the life of an object that its owner may free from inside its callbacks: it goes
// when the last of its functions that may call back has been left.
//
//   life_enter(&o->life);   // in each function that may call back
//   ...                     // after a callback: look at o->life.over before calling another
//   life_leave(&o->life);   // `o` may be gone now
#ifndef COMMON_LIFE_H
#define COMMON_LIFE_H

#include <stdbool.h>

struct life {
    void (*destroy)(void *of);
    void *of;
    unsigned depth; // of the functions we are in
    bool over;      // its owner has freed it
};

static inline void life_enter(struct life *l)
{
    l->depth++;
}

static inline void life_leave(struct life *l)
{
    if (--l->depth == 0 && l->over)
        l->destroy(l->of);
}
#endif
