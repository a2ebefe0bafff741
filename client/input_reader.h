// input_reader.h - what the readers of the single formats share; private to input*.c.
#ifndef CLIENT_INPUT_READER_H
#define CLIENT_INPUT_READER_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/job.h"
#include "client/input.h"
#include "common/buf.h"
#include "common/err.h"

// --- Bytes of a file -------------------------------------------------------------------------

struct source { // a stream without its byte order mark, that counts lines
    FILE *f;
    uint32_t line;         // of the next byte, from 1
    unsigned char back[3]; // bytes read while looking for the mark
    unsigned n_back;
    bool any; // there was a byte, be it only the mark
};
void source_open(struct source *s, FILE *f);
int source_get(struct source *s);  // a byte, or EOF
int source_peek(struct source *s); // the next one, left where it is
// One line without its end (LF or CRLF) into `text`; what passes text->max is dropped and shows
// as text->err. False at the end of the file.
bool source_line(struct source *s, struct buf *text);

// --- Entries ---------------------------------------------------------------------------------

struct reader { // one file being read
    struct inputs *in;
    struct source source;
    const char *file; // as messages name it; lives as long as the inputs
    struct buf *complaints;
    uint32_t entries; // seen in this file, bad ones too
};

struct draft { // one entry being put together
    struct job job;
    uint32_t line;            // where it begins
    struct span raw;          // as it stands in the file
    struct json_object *json; // what the job's spans point into, for formats of JSON; owned
    struct buf extra;         // pairs of msgpack values: the unknown columns
    uint32_t n_extra;
    struct buf why; // the first complaint; empty while there is none
    enum err err;   // no memory: nobody knows whether it is good
    const struct reader *reader;
    uint64_t hinted; // known columns that an unknown one of this file may have meant, bits
};
void draft_open(struct draft *d); // once; draft_begin for each entry
void draft_free(struct draft *d);
// Starts an entry from the defaults. `raw` must stay until reader_add. Bytes that are no text
// (bad UTF-8, NUL) or were cut by the limit are complained about here.
void draft_begin(struct draft *d, const struct reader *r, uint32_t line, const struct buf *raw);
bool draft_ok(const struct draft *d);
void draft_fail(struct draft *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// A value from text, by its column's name; an unknown column goes to `extra`. An empty value of
// a known column is as if it were absent. Both spans must stay until reader_add.
void draft_set(struct draft *d, struct span name, struct span value);
void draft_set_json(struct draft *d, struct span name, struct json_object *value);
// Whether a column of this name means something.
bool draft_knows(struct span name);
// One line of complaint, once a file, for an unknown column that is nearly a known one. It is
// no error: the column is kept as any other.
void draft_hint(struct draft *d, struct span name);

// Takes the entry in, or among the bad ones. Not OK: no memory, or too many.
MUST_USE enum err reader_add(struct reader *r, struct draft *d);
// Complains about the file as a whole; `line` 0: no line. Always returns ERR_FORMAT.
enum err reader_fail(struct reader *r, uint32_t line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

// --- Formats ---------------------------------------------------------------------------------

enum err input_json(struct reader *r);
enum err input_jsonl(struct reader *r);
enum err input_csv(struct reader *r);
enum err input_tsv(struct reader *r);
enum err input_text(struct reader *r);
// Fills a draft from the JSON text in d->raw: an object, or a string, which is the prompt.
void input_json_entry(struct draft *d);
#endif
