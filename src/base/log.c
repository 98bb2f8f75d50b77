#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"

enum {
    LINE_MAX_BYTES = 4096, /* PIPE_BUF on Linux: a pipe takes such a line whole, too */
    TAIL_BYTES = 32,       /* kept free for closing a line that was cut */
};

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_LOGFMT;

static const char *const level_names[] = {"error", "warn", "info", "debug"};

struct line {
    char at[LINE_MAX_BYTES];
    size_t len;
    bool is_cut; /* something did not fit; nothing more is put in */
    bool is_json;
};

/* A unit (an escape, a key) goes in whole or not at all: a cut line still parses. */
static bool put(struct line *line, const char *text, size_t len)
{
    if (line->len + len > LINE_MAX_BYTES - TAIL_BYTES) {
        line->is_cut = true;
        return false;
    }
    memcpy(line->at + line->len, text, len);
    line->len += len;
    return true;
}

/* Into the room that put() leaves: what has to be there even if the line is cut. */
static void put_tail(struct line *line, const char *text)
{
    size_t len = strlen(text);
    hilum_assert(line->len + len <= LINE_MAX_BYTES);
    memcpy(line->at + line->len, text, len);
    line->len += len;
}

static bool needs_quotes(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("\"\\=", text[i])) {
            return true;
        }
    }
    return len == 0;
}

static void put_escaped(struct line *line, const char *text, size_t len)
{
    for (size_t i = 0; i < len && !line->is_cut; i++) {
        unsigned char c = (unsigned char)text[i];
        char unit[8];
        int n;
        if (c == '"' || c == '\\') {
            n = snprintf(unit, sizeof(unit), "\\%c", c);
        } else if (c < ' ' || c > '~') {
            n = snprintf(unit, sizeof(unit), line->is_json ? "\\u00%02x" : "\\x%02x", c);
        } else {
            unit[0] = (char)c;
            n = 1;
        }
        put(line, unit, (size_t)n);
    }
}

static bool put_key(struct line *line, const char *key, bool is_quoted)
{
    char text[128];
    int n = snprintf(text, sizeof(text), line->is_json ? ",\"%s\":%s" : " %s=%s", key, is_quoted ? "\"" : "");
    hilum_assert(n > 0 && n < (int)sizeof(text)); /* keys are ours, and short */
    return put(line, text, (size_t)n);
}

static void put_text_field(struct line *line, const char *key, const char *text, size_t len)
{
    bool is_quoted = line->is_json || needs_quotes(text, len);
    if (!put_key(line, key, is_quoted)) {
        return;
    }
    put_escaped(line, text, len);
    if (is_quoted) {
        put_tail(line, "\"");
    }
}

static void put_field(struct line *line, const struct log_field *field)
{
    if (field->text) {
        put_text_field(line, field->key, field->text,
                       field->len == SIZE_MAX ? strlen(field->text) : field->len);
        return;
    }
    char unit[160]; /* key and digits as one unit: a number that was cut would be another number */
    int n = snprintf(unit, sizeof(unit), line->is_json ? ",\"%s\":%" PRId64 : " %s=%" PRId64, field->key,
                     field->number);
    hilum_assert(n > 0 && n < (int)sizeof(unit));
    put(line, unit, (size_t)n);
}

static void put_head(struct line *line, enum log_level level)
{
    struct timespec now;
    struct tm utc;
    hilum_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
    hilum_assert(gmtime_r(&now.tv_sec, &utc));
    char date[32];
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc);
    char head[96];
    int n = snprintf(head, sizeof(head),
                     line->is_json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\"" : "time=%s.%03ldZ level=%s",
                     date, now.tv_nsec / 1000000, level_names[level]);
    put(line, head, (size_t)n);
}

void log_configure(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&current_level, (int)level, memory_order_relaxed);
    atomic_store_explicit(&current_format, (int)format, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    int saved_errno = errno; /* a caller logs an error and then still wants to look at it */
    struct line line;
    line.len = 0;
    line.is_cut = false;
    line.is_json = atomic_load_explicit(&current_format, memory_order_relaxed) == LOG_JSON;

    put_head(&line, level);
    put_text_field(&line, "event", event, strlen(event));
    for (size_t i = 0; i < count && !line.is_cut; i++) {
        put_field(&line, &fields[i]);
    }
    if (line.is_cut) {
        put_tail(&line, line.is_json ? ",\"cut\":1" : " cut=1");
    }
    put_tail(&line, line.is_json ? "}\n" : "\n");

    ssize_t written;
    do {
        written = write(STDERR_FILENO, line.at, line.len);
    } while (written < 0 && errno == EINTR);
    errno = saved_errno; /* a line that cannot be written has nowhere to go */
}
