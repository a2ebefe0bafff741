// journal.c - see journal.h.
#include "emulator/journal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "emulator/fault_table.h"

#define STATUS_MAX 600
#define FAULTS_MAX 128

struct journal {
    pthread_mutex_t mutex;
    FILE *file; // NULL: none
    uint64_t requests, others, images, whole, broken, bytes;
    uint64_t in_flight, max_in_flight;
    uint64_t by_status[STATUS_MAX];
    uint64_t by_fault[FAULTS_MAX]; // in the order of the table
};

enum err journal_open(const char *path, struct journal **out)
{
    struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return ERR_NOMEM;
    if (path && !(j->file = fopen(path, "ae"))) {
        enum err e = file_err(errno);
        free(j);
        return e;
    }
    pthread_mutex_init(&j->mutex, NULL);
    *out = j;
    return OK;
}

void journal_free(struct journal *j)
{
    if (!j)
        return;
    if (j->file)
        fclose(j->file);
    pthread_mutex_destroy(&j->mutex);
    free(j);
}

void journal_begin(struct journal *j)
{
    pthread_mutex_lock(&j->mutex);
    j->requests++;
    if (++j->in_flight > j->max_in_flight)
        j->max_in_flight = j->in_flight;
    pthread_mutex_unlock(&j->mutex);
}

static void put_hex(struct json_object *o, const char *name, const uint8_t *digest)
{
    char hex[DIGEST_HEX];
    digest_hex(digest, DIGEST_SIZE, hex);
    json_put_cstr(o, name, hex);
}

static void put_reply(struct json_object *o, const struct reply *r)
{
    json_put_int(o, "status", r->status);
    json_put(o, "fault", r->fault ? json_object_new_string(r->fault->name) : NULL);
    json_put_int(o, "images", r->images);
    if (r->images) {
        put_hex(o, "image_sha256", r->image_digest);
        json_put_int(o, "image_bytes", (int64_t)r->image_bytes);
    }
    json_put_int(o, "input_tokens", r->input_tokens);
    json_put_int(o, "text_tokens", r->text_tokens);
    json_put_int(o, "image_tokens", r->image_tokens);
    json_put_int(o, "body_bytes", (int64_t)rope_size(&r->body));
}

static void add_line(struct buf *out, const struct journal_line *l)
{
    struct json_object *o = json_object_new_object();
    char time[CLOCK_RFC3339_SIZE];
    clock_rfc3339(clock_wall_ms(), time);
    if (l->number)
        json_put_int(o, "n", (int64_t)l->number);
    json_put_cstr(o, "time", time);
    json_put_cstr(o, "method", l->method);
    json_put_cstr(o, "path", l->path);
    if (l->model && *l->model)
        json_put_cstr(o, "model", l->model);
    if (l->project)
        json_put_cstr(o, "project", l->project);
    if (l->tier && *l->tier)
        json_put_cstr(o, "tier", l->tier);
    if (l->prompt) {
        put_hex(o, "prompt", l->prompt);
        json_put_int(o, "tries", (int64_t)l->tries + 1);
    }
    put_reply(o, l->reply);
    json_put_fixed(o, "seconds", l->seconds, 6);
    json_write(out, o);
    buf_add_byte(out, '\n');
    json_object_put(o);
}

void journal_write(struct journal *j, const struct journal_line *l)
{
    struct buf text = {.max = 64u << 10};
    if (j->file)
        add_line(&text, l);
    pthread_mutex_lock(&j->mutex);
    if (!l->number)
        j->others++;
    j->images += l->reply->images;
    if (l->number && l->reply->wire != WIRE_DROP && l->reply->wire != WIRE_STALL)
        j->by_status[l->reply->status % STATUS_MAX]++;
    if (l->reply->fault)
        j->by_fault[(l->reply->fault - fault_table) % FAULTS_MAX]++;
    if (j->file && !text.err) {
        fwrite(text.ptr, 1, text.len, j->file);
        fflush(j->file);
    }
    pthread_mutex_unlock(&j->mutex);
    buf_free(&text);
}

void journal_end(struct journal *j, bool whole, uint64_t bytes)
{
    pthread_mutex_lock(&j->mutex);
    j->in_flight--;
    whole ? j->whole++ : j->broken++;
    j->bytes += bytes;
    pthread_mutex_unlock(&j->mutex);
}

static struct json_object *statuses(const struct journal *j)
{
    struct json_object *o = json_object_new_object();
    for (unsigned i = 0; i < STATUS_MAX; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u", i);
        if (j->by_status[i])
            json_put_int(o, name, (int64_t)j->by_status[i]);
    }
    return o;
}

static struct json_object *faults(const struct journal *j)
{
    struct json_object *o = json_object_new_object();
    for (size_t i = 0; fault_table[i].name; i++)
        if (j->by_fault[i])
            json_put_int(o, fault_table[i].name, (int64_t)j->by_fault[i]);
    return o;
}

void journal_stats(struct journal *j, struct buf *out)
{
    struct json_object *o = json_object_new_object();
    pthread_mutex_lock(&j->mutex);
    json_put_int(o, "requests", (int64_t)j->requests);
    json_put_int(o, "images", (int64_t)j->images);
    json_put_int(o, "in_flight", (int64_t)j->in_flight);
    json_put_int(o, "max_in_flight", (int64_t)j->max_in_flight);
    json_put_int(o, "whole", (int64_t)j->whole);
    json_put_int(o, "broken", (int64_t)j->broken);
    json_put_int(o, "bytes", (int64_t)j->bytes);
    json_put_int(o, "others", (int64_t)j->others);
    json_put(o, "by_status", statuses(j));
    json_put(o, "by_fault", faults(j));
    pthread_mutex_unlock(&j->mutex);
    json_write(out, o);
    json_object_put(o);
}
