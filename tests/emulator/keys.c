// keys.c - see keys.h.
#include "emulator/keys.h"

#include <stdio.h>
#include <string.h>

enum err keys_add(struct keys *k, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    const char *project = equals ? equals + 1 : KEYS_DEFAULT;
    if (k->n == KEYS_MAX)
        return ERR_TOOBIG;
    if (n == 0 || n >= sizeof k->at[0].key || !*project ||
        strlen(project) >= sizeof k->at[0].project)
        return ERR_FORMAT;
    memcpy(k->at[k->n].key, text, n);
    snprintf(k->at[k->n].project, sizeof k->at[0].project, "%s", project);
    k->n++;
    return OK;
}

const char *keys_project(const struct keys *k, const char *key)
{
    for (unsigned i = 0; i < k->n; i++)
        if (strcmp(k->at[i].key, key) == 0)
            return k->at[i].project;
    return k->n ? NULL : KEYS_DEFAULT;
}
