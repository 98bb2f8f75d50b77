/*
 * One line an event on stderr, logfmt or JSON, each whole in one write(2), so that lines of several threads never mix.
 *
 *   time=2026-03-01T10:00:00.123Z level=info event="association accepted" assoc=w1-17 calling=CT1 ...
 *
 *   LOG(LOG_INFO, "association accepted", LOG_STR("assoc", id), LOG_STR("calling", title), LOG_INT("port", 104));
 *
 * Values may hold any bytes a peer sent: they are quoted and escaped here (non-ASCII and control bytes as \xNN in
 * logfmt, \u00NN in JSON). Keys and events are ours. A line is at most 4096 bytes (what a pipe takes whole): a longer one
 * loses its end and says so by a last field cut=1. errno is kept. Level and format are the process's only shared state
 * and are atomic. Any thread may call.
 */
#ifndef HILUM_BASE_LOG_H
#define HILUM_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;
    const char *text; /* NULL: the number counts */
    size_t len;       /* SIZE_MAX: text ends with NUL */
    int64_t number;
};

/* Text that is not there is empty text. */
static inline const char *log_text_or_empty(const void *text)
{
    return text ? text : "";
}

#define LOG_STR(k, v)     ((struct log_field){.key = (k), .text = log_text_or_empty(v), .len = SIZE_MAX})
#define LOG_TEXT(k, v, n) ((struct log_field){.key = (k), .text = log_text_or_empty(v), .len = (n)})
#define LOG_INT(k, v)     ((struct log_field){.key = (k), .number = (int64_t)(v)})

void log_configure(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);
/* From now on this thread's lines wait for log_flush, many in one write; those of LOG_WARN and worse, and those before them, do not
 * wait. A thread that gathers must flush before it sleeps. */
void log_gather(void);
void log_flush(void);

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count);

/* `level` and `event`, then any number of LOG_* fields. Fields are not evaluated when the level is off. */
#define LOG(level, event, ...)                                                                               \
    do {                                                                                                     \
        if (log_enabled(level)) {                                                                            \
            const struct log_field fields_[] = {{0}, __VA_ARGS__};                                           \
            log_write((level), (event), fields_ + 1, sizeof(fields_) / sizeof(fields_[0]) - 1);              \
        }                                                                                                    \
    } while (0)

#endif
