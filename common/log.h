// log.h - logfmt lines to stderr and, if asked, to a file. Only programs log, libraries do not.
//
//   ts=2026-01-25T14:30:22.123Z level=info prog=genfarm-worker msg="claimed" jobs=64
//
// Never log a key, a whole prompt, or a signed URL: log_secret() removes the keys that are
// known to it from every line, whoever wrote it; text_show() shortens what came from outside.
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/err.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

// `prog` is borrowed for ever. `dir` NULL: stderr only; else also
// DIR/PROG-YYYYMMDD-HHMMSS-PID.log.
MUST_USE enum err log_open(const char *prog, enum log_level level, const char *dir);
void log_close(void);
bool log_level_parse(const char *name, enum log_level *out); // "error" "warn" "info" "debug"
bool log_enabled(enum log_level level);
void log_secret(
    struct span secret); // copied; at most 260 are kept; shorter than 6 bytes ignored

// `msg` is the fixed text of the event; `fmt` gives the other fields, already as key=value.
// Values with spaces must be quoted by the caller, for which LOGQ does: "why=" LOGQ.
#define LOGQ "\"%s\""
void log_at(enum log_level level, const char *msg, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define log_error(msg, ...) log_at(LOG_ERROR, msg, __VA_ARGS__)
#define log_warn(msg, ...)  log_at(LOG_WARN, msg, __VA_ARGS__)
#define log_info(msg, ...)  log_at(LOG_INFO, msg, __VA_ARGS__)
#define log_debug(msg, ...) log_at(LOG_DEBUG, msg, __VA_ARGS__)
#endif
