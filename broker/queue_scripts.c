// queue_scripts.c - see queue_scripts.h.
#include "broker/queue_scripts.h"

#define X(id, name)                          \
    extern const unsigned char lua_##name[]; \
    extern const size_t lua_##name##_len;
QUEUE_SCRIPTS(X)
#undef X

// The digests are filled in by the connection at first use; the sources are not constant
// expressions, and so must be, too.
struct redis_script *queue_script(enum queue_script s)
{
    static const struct {
        const char *name;
        const unsigned char *source;
        const size_t *len;
    } table[] = {
#define X(id, name) [id] = {#name, lua_##name, &lua_##name##_len},
        QUEUE_SCRIPTS(X)
#undef X
    };
    static _Thread_local struct redis_script scripts[sizeof table / sizeof *table];
    struct redis_script *it = &scripts[s];
    if (!it->name) {
        it->source = (struct span){(const char *)table[s].source, *table[s].len};
        it->name = table[s].name;
    }
    return it;
}
