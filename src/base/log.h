/*
 * One line an event on stderr, logfmt or JSON, each whole in one write(2), so that lines of several threads never mix.
 *
 *   time=2026-03-01T10:00:00.123Z level=info event="association accepted" assoc=w1-17 calling=CT1 ...
 *
 *   LOG(LOG_INFO, "association accepted", LOG_STR("assoc", id), LOG_STR("calling", title), LOG_INT("port", 104));
 *
 * Values may hold any bytes a peer sent: they are quoted and escaped here (non-ASCII and control bytes as \xNN in
 * logfmt, \u00NN in JSON). Keys and events are ours. A line is at most 4096 bytes (what a pipe takes whole): a longer one
 * loses its end and says so by a last field cut=1. errno is kept. Level, format and privacy are the process's only shared
 * state; any thread may call.
 *
 * Who is in the data is not to be read in the log, unless the configuration says so. So a field says what its value is:
 *
 *   LOG_STR, LOG_TEXT, LOG_INT  ours, or harmless: names of the configuration, titles, addresses, fixed text, SOP classes
 *   LOG_UID, LOG_UID_TEXT       the UID of an instance, series, study or transaction: as it is, or as "#" and 16 hex digits,
 *                               HMAC-SHA-256 of "log:" and the UID, which stay equal for equal UIDs
 *   LOG_PATIENT, LOG_QUOTED     what may name a patient: a path made of attributes, a text of a rule or of a peer. What is
 *                               written instead is given with it
 */
#ifndef HILUM_BASE_LOG_H
#define HILUM_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_kind { LOG_KIND_PLAIN, LOG_KIND_UID, LOG_KIND_PATIENT };

struct log_field {
    const char *key;
    const char *text; /* NULL: the number counts */
    size_t len;       /* SIZE_MAX: text ends with NUL */
    int64_t number;
    enum log_kind kind;
    const char *instead; /* of LOG_KIND_PATIENT: where patients are not to be named; NULL: LOG_WITHHELD */
};

#define LOG_WITHHELD "(withheld)"

/* Text that is not there is empty text. */
static inline const char *log_text_or_empty(const void *text)
{
    return text ? text : "";
}

#define LOG_STR(k, v)     ((struct log_field){.key = (k), .text = log_text_or_empty(v), .len = SIZE_MAX})
#define LOG_TEXT(k, v, n) ((struct log_field){.key = (k), .text = log_text_or_empty(v), .len = (n)})
#define LOG_INT(k, v)     ((struct log_field){.key = (k), .number = (int64_t)(v)})
#define LOG_UID(k, v)                                                                                        \
    ((struct log_field){.key = (k), .text = log_text_or_empty(v), .len = SIZE_MAX, .kind = LOG_KIND_UID})
#define LOG_UID_TEXT(k, v, n)                                                                                \
    ((struct log_field){.key = (k), .text = log_text_or_empty(v), .len = (n), .kind = LOG_KIND_UID})
#define LOG_PATIENT_TEXT(k, v, n, other)                                                                     \
    ((struct log_field){                                                                                     \
        .key = (k), .text = log_text_or_empty(v), .len = (n), .kind = LOG_KIND_PATIENT, .instead = (other)})
#define LOG_PATIENT(k, v, other) LOG_PATIENT_TEXT(k, v, SIZE_MAX, other)
/* A text that is a peer's own words, or is ours. */
#define LOG_QUOTED(k, v, is_quoted)                                                                          \
    ((struct log_field){.key = (k),                                                                          \
                        .text = log_text_or_empty(v),                                                        \
                        .len = SIZE_MAX,                                                                     \
                        .kind = (is_quoted) ? LOG_KIND_PATIENT : LOG_KIND_PLAIN,                             \
                        .instead = LOG_WITHHELD})

void log_configure(enum log_level level, enum log_format format);
bool log_enabled(enum log_level level);

/* Until it is told: no patients, UIDs as they are. */
struct log_privacy {
    bool shows_patients;
    bool hashes_uids;
    const char *key; /* of these hashes; NULL: a random one of this process. Copied */
};
void log_set_privacy(const struct log_privacy *p);
/* For texts that are made before it is known where they go. */
bool log_shows_patients(void);

/* True, as it is at first: who logs waits until stderr has taken its line. False, of a gateway: a line that it does not take at once is lost,
 * and how many were is told in a line ("log lines lost") as soon as it takes them again: with the next one, or the next log_flush.
 * Concerns stderr as it is now. */
void log_set_waiting(bool waits);

/* From now on this thread's lines wait for log_flush, many in one write; those of LOG_WARN and worse, and those before them, do not
 * wait. A thread that gathers must flush before it sleeps. */
void log_gather(void);
void log_flush(void);

/* Goes the way of the lines, as it is: text for people at the start, and last words. */
void log_plain(const char *text, size_t len);

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
