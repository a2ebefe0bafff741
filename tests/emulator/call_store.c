// call_store.c - calls of the Files API and of batches.
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "emulator/call.h"
#include "emulator/refuse.h"

#define PAGE 50 // batches that are listed at once

static void say(struct call *c, struct json_object *o)
{
    struct buf text = {.max = 64u << 20};
    if (o) {
        json_write(&text, o);
        buf_add_byte(&text, '\n');
    }
    c->reply.status = 200;
    c->reply.type = TYPE_JSON;
    rope_take(&c->reply.body, &text);
    json_object_put(o);
}

static void refuse(struct call *c, const char *fault, const char *message)
{
    struct refuse_about about = {.path = span_of(c->path), .model = span_of(c->path)};
    struct fault f = *fault_named(span_of(fault));
    if (message)
        f.message = message;
    refuse_fault(&c->reply, &f, &about);
}

static const char *header(const struct call *c, const char *name)
{
    const char *v = MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, name);
    return v ? v : "";
}

static const char *query(const struct call *c, const char *name)
{
    const char *v = MHD_lookup_connection_value(c->connection, MHD_GET_ARGUMENT_KIND, name);
    return v ? v : "";
}

// --- Files ----------------------------------------------------------------------------------

static struct json_object *describe(const struct file *f)
{
    struct json_object *o = json_object_new_object();
    char size[24];
    snprintf(size, sizeof size, "%llu", (unsigned long long)rope_size(&f->body));
    json_put_cstr(o, "name", f->name);
    json_put_cstr(o, "displayName", f->display);
    json_put_cstr(o, "mimeType", f->mime);
    json_put_cstr(o, "sizeBytes", size);
    json_put_cstr(o, "state", "ACTIVE");
    json_put_cstr(o, "source", "UPLOADED");
    return o;
}

static void begin_upload(struct call *c)
{
    struct json_object *doc = NULL, *file;
    struct span display = {0};
    struct file *f = files_add(c->desk->files, c->project, "files/");
    if (!f) {
        refuse(c, "500", NULL);
        return;
    }
    if (json_read(buf_span(&c->body), &doc, NULL) == OK &&
        json_get(doc, "file", json_type_object, &file) &&
        (json_get_str(file, "display_name", &display) ||
         json_get_str(file, "displayName", &display)))
        snprintf(f->display, sizeof f->display, "%.*s", (int)display.len, display.ptr);
    json_object_put(doc);
    snprintf(f->mime, sizeof f->mime, "%s", header(c, "X-Goog-Upload-Header-Content-Type"));
    snprintf(c->reply.upload_url, sizeof c->reply.upload_url,
             "http://%s/upload/v1beta/files?upload_id=%s&upload_protocol=resumable",
             header(c, "Host"), f->name + strlen("files/"));
    snprintf(c->reply.upload_status, sizeof c->reply.upload_status, "active");
    say(c, NULL);
}

static void end_upload(struct call *c)
{
    char name[FILES_NAME];
    snprintf(name, sizeof name, "files/%s", query(c, "upload_id"));
    struct file *f = files_find(c->desk->files, c->project, span_of(name));
    if (!f || f->whole || c->body.err || strcmp(header(c, "X-Goog-Upload-Offset"), "0") != 0) {
        refuse(c, "400", NULL);
        return;
    }
    rope_take(&f->body, &c->body);
    f->whole = true;
    struct json_object *o = json_object_new_object();
    json_put(o, "file", describe(f));
    snprintf(c->reply.upload_status, sizeof c->reply.upload_status, "final");
    say(c, o);
}

static void upload(struct call *c)
{
    const char *command = header(c, "X-Goog-Upload-Command");
    if (strcmp(command, "start") == 0)
        begin_upload(c);
    else if (strcmp(command, "upload, finalize") == 0)
        end_upload(c);
    else
        refuse(c, "400", NULL);
}

static void file(struct call *c, struct span name)
{
    struct file *f = files_find(c->desk->files, c->project, name);
    if (!f || !f->whole || (f->result && strcmp(c->method, "GET") == 0)) {
        refuse(c, "404", NULL); // the ids of results are too long to be looked at: as it is
    } else if (strcmp(c->method, "DELETE") == 0) {
        f->deleted = true;
        say(c, json_object_new_object());
    } else {
        say(c, describe(f));
    }
}

static void download(struct call *c, struct span name)
{
    static const char end[] = ":download";
    size_t n = sizeof end - 1;
    if (name.len > n && memcmp(name.ptr + name.len - n, end, n) == 0)
        name.len -= n;
    struct file *f = files_find(c->desk->files, c->project, name);
    if (!f || !f->result) {
        refuse(c, "404", NULL);
        return;
    }
    c->reply.status = 200;
    c->reply.type = "application/octet-stream";
    for (size_t i = 0; i < f->body.n; i++) // borrowed: files stay to the end
        rope_repeat(&c->reply.body, (struct span){f->body.at[i].ptr, f->body.at[i].len},
                    f->body.at[i].total);
    if (batches_cut(c->desk->batches, f)) {
        c->reply.wire = WIRE_CUT;
        c->reply.stop_at = rope_size(&c->reply.body) / 2;
    }
}

// --- Batches --------------------------------------------------------------------------------

// {"batch": {"displayName", "inputConfig": {"fileName"}}}
static void make(struct call *c, const struct model *m, struct json_object *doc)
{
    struct json_object *out = NULL;
    struct buf why = {.max = 400};
    struct span display = {0}, name = {0};
    struct file *f = NULL;
    json_get_str(json_at(doc, "batch"), "displayName", &display);
    if (json_get_str(json_at(doc, "batch.inputConfig"), "fileName", &name))
        f = files_find(c->desk->files, c->project, name);
    if (!f || !f->whole) {
        refuse(c, name.len ? "404" : "400", NULL);
        return;
    }
    switch (batches_make(c->desk->batches, m, display, f, c->came_us, &out, &why)) {
    case BATCH_MADE: say(c, out); break;
    case BATCH_LOST:
        json_object_put(out);
        c->reply.wire = WIRE_DROP;
        break;
    case BATCH_BAD: refuse(c, "400", buf_str(&why)); break;
    case BATCH_BUSY: refuse(c, "429_bare", NULL); break;
    }
    buf_free(&why);
}

void call_make_batch(struct call *c, const struct model *m)
{
    struct json_object *doc = NULL;
    pthread_mutex_lock(&c->desk->mutex);
    if (json_read(buf_span(&c->body), &doc, NULL) == OK)
        make(c, m, doc);
    else
        refuse(c, "400", NULL);
    pthread_mutex_unlock(&c->desk->mutex);
    json_object_put(doc);
}

static unsigned number(const char *text, unsigned otherwise)
{
    uint64_t n;
    return text_uint(span_of(text), 0, 1000, &n) == OK ? (unsigned)n : otherwise;
}

static void batch(struct call *c, struct span name)
{
    static const char end[] = ":cancel";
    size_t n = sizeof end - 1;
    struct batches *b = c->desk->batches;
    struct json_object *o = NULL;
    bool there = true;
    if (name.len == strlen("batches")) {
        o = batches_list(b, c->project, number(query(c, "pageToken"), 0),
                         number(query(c, "pageSize"), PAGE), waiting_now_us());
    } else if (strcmp(c->method, "GET") == 0) {
        there = (o = batches_get(b, c->project, name, waiting_now_us())) != NULL;
    } else if (strcmp(c->method, "DELETE") == 0) {
        there = batches_delete(b, c->project, name);
        o = json_object_new_object();
    } else if (name.len > n && memcmp(name.ptr + name.len - n, end, n) == 0) {
        name.len -= n;
        there = batches_cancel(b, c->project, name, waiting_now_us());
        o = json_object_new_object();
    } else {
        there = false;
    }
    if (there) {
        say(c, o);
    } else {
        json_object_put(o);
        refuse(c, "404", NULL);
    }
}

// --- Which ----------------------------------------------------------------------------------

static bool below(const char *path, const char *root, struct span *rest)
{
    size_t n = strlen(root);
    if (strncmp(path, root, n) != 0)
        return false;
    *rest = span_of(path + n);
    return true;
}

static bool starts(struct span s, const char *with)
{
    return s.len >= strlen(with) && memcmp(s.ptr, with, strlen(with)) == 0;
}

bool call_store(struct call *c)
{
    struct span rest;
    bool up = strcmp(c->path, "/upload/v1beta/files") == 0 && strcmp(c->method, "POST") == 0;
    bool down = below(c->path, "/download/v1beta/", &rest) && starts(rest, "files/");
    bool api = !down && below(c->path, "/v1beta/", &rest) &&
               (starts(rest, "files/") || span_is(rest, "batches") || starts(rest, "batches/"));
    if (!up && !down && !api)
        return false;
    if (!call_has_key(c))
        return true;
    pthread_mutex_lock(&c->desk->mutex);
    if (up)
        upload(c);
    else if (down)
        download(c, rest);
    else if (starts(rest, "files/"))
        file(c, rest);
    else
        batch(c, rest);
    pthread_mutex_unlock(&c->desk->mutex);
    return true;
}
