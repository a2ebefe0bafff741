// files.c - see files.h.
#include "emulator/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "common/digest.h"

struct entry {
    struct file file; // first
    SLIST_ENTRY(entry) link;
};

struct files {
    SLIST_HEAD(, entry) all;
};

struct files *files_new(void)
{
    return calloc(1, sizeof(struct files));
}

void files_free(struct files *f)
{
    struct entry *e;
    while (f && (e = SLIST_FIRST(&f->all))) {
        SLIST_REMOVE_HEAD(&f->all, link);
        rope_free(&e->file.body);
        free(e);
    }
    free(f);
}

void files_name(const char *prefix, char *out, size_t size)
{
    uint8_t salt[12];
    char hex[2 * sizeof salt + 1];
    random_bytes(salt, sizeof salt);
    digest_hex(salt, sizeof salt, hex);
    snprintf(out, size, "%s%s", prefix, hex);
}

struct file *files_add(struct files *f, const char *project, const char *prefix)
{
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->file.project = project;
    files_name(prefix, e->file.name, sizeof e->file.name);
    SLIST_INSERT_HEAD(&f->all, e, link);
    return &e->file;
}

struct file *files_find(struct files *f, const char *project, struct span name)
{
    struct entry *e;
    SLIST_FOREACH(e, &f->all, link)
    if (!e->file.deleted && span_is(name, e->file.name) &&
        strcmp(e->file.project, project) == 0)
        return &e->file;
    return NULL;
}
