// request.h - the body of a generateContent call. Shared by the worker, which sends it, and by
// `genfarm preview`, which shows it.
#ifndef BROKER_REQUEST_H
#define BROKER_REQUEST_H

#include "broker/job.h"
#include "common/buf.h"
#include "common/digest.h"

// Source: Gemini API, generateContent; only fields that are set are sent, for unknown or
// unsupported ones are refused with 400.
void request_body(struct buf *out, const struct job *j);
// What makes two requests the same, whatever lane they go by: model, body, and which of several
// samples it is. Hex; empty: out of memory.
void request_digest(const struct job *j, char out[static DIGEST_HEX]);
void request_path(struct buf *out, struct span model); // "/v1beta/models/MODEL:generateContent"
// A line of the file that a batch is made of. `key`: plain, without quotes.
void request_row(struct buf *out, struct span key, const struct job *j);
void request_batch_path(struct buf *out, struct span model); // "...MODEL:batchGenerateContent"
// The environment variables that a key is looked for in, in this order; ended by NULL.
extern const char *const request_key_names[];
#endif
