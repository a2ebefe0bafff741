// output_check.c - see output_check.h.
#include "client/output_check.h"

#include <dirent.h>
#include <string.h>

#include "client/output_files.h"
#include "common/file.h"
#include "common/json.h"

static enum err refuse(struct buf *why, enum err e, const char *folder, const char *what)
{
    if (why)
        buf_addf(why, "%s: %s", folder, what);
    return e;
}

// What is always there, or put there by workers that share the folder before a client comes.
static bool is_expected(const char *name)
{
    static const char *const names[] = {".", "..", "images", ".records"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool has_files(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *entry;
    bool any = false;
    while (d && !any && (entry = readdir(d)))
        any = !is_expected(entry->d_name);
    if (d)
        closedir(d);
    return any;
}

// Folders of older programs have no nonce.
static bool same_nonce(struct json_object *meta, struct span nonce)
{
    struct span theirs;
    return nonce.len == 0 || !json_get_str(meta, "nonce", &theirs) || span_equal(theirs, nonce);
}

static enum err check_metadata(const char *folder, struct span of, struct span nonce,
                               struct json_object *meta, struct buf *why)
{
    struct span batch, state;
    if (!json_get_str(meta, "batch", &batch) || !json_get_str(meta, "state", &state))
        return refuse(why, ERR_ORDER, folder, "its metadata.json is not a batch's");
    if (!span_equal(batch, of))
        return refuse(why, ERR_ORDER, folder, "belongs to another batch");
    if (!same_nonce(meta, nonce))
        return refuse(why, ERR_ORDER, folder,
                      "belongs to another batch of that name; move it away, or save into "
                      "another folder");
    struct output_files n; // what was lost of a complete one may be fetched again
    return span_is(state, "completed") && output_files_look(folder, &n) == OK && n.missing == 0
               ? refuse(why, ERR_EXISTS, folder, "is complete")
               : OK;
}

static enum err check_batch(const char *folder, struct span batch, struct span nonce,
                            struct buf *why)
{
    struct json_object *meta = NULL;
    enum err e = output_files_metadata(folder, &meta);
    if (e == ERR_MISSING)
        return has_files(folder) ? refuse(why, ERR_ORDER, folder, "not a batch's") : OK;
    if (e == ERR_FORMAT)
        return refuse(why, ERR_ORDER, folder, "its metadata.json is malformed");
    if (e == OK)
        e = check_metadata(folder, batch, nonce, meta, why);
    json_object_put(meta);
    return e;
}

enum err output_check(const char *folder, struct span batch, struct span nonce, bool resume,
                      struct buf *why)
{
    bool there = file_exists(folder);
    if (resume)
        return there ? check_batch(folder, batch, nonce, why)
                     : refuse(why, ERR_MISSING, folder, "there is no such folder");
    return there && has_files(folder)
               ? refuse(why, ERR_EXISTS, folder, "is there already and is not empty")
               : OK;
}
