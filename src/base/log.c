#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/log_out.h"

enum {
    LINE_MAX_BYTES = LOG_OUT_MAX,
    TAIL_BYTES = 32, /* kept free for closing a line that was cut */
    UID_MOST = 64,   /* of a longer one, which is none, the front counts */
    UID_HASH_BYTES = 18
};

/* Lines of a thread that gathers them, PIPE_BUF at most in all. */
static _Thread_local struct {
    char at[LINE_MAX_BYTES];
    size_t len;
    bool is_on;
} batch;

/* The second that `date` names; lines come many a second. */
static _Thread_local struct {
    time_t second;
    char date[32];
} clock_face;

static _Atomic int current_level = LOG_INFO;
static _Atomic int current_format = LOG_LOGFMT;

static _Atomic uint64_t lost_lines; /* since they were told last */

static atomic_bool shows_patients, hashes_uids;
/* Of HMAC-SHA-256: a longer key is its hash (RFC 2104 2), so this much is enough to keep. */
static struct {
    pthread_mutex_t lock;
    uint8_t bytes[SHA256_CBLOCK];
    size_t len; /* 0: none has been made yet */
    bool is_given;
} uid_key = {.lock = PTHREAD_MUTEX_INITIALIZER};

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

static bool needs_escape(unsigned char c)
{
    return c == '"' || c == '\\' || c < ' ' || c > '~';
}

static void put_escape(struct line *line, unsigned char c)
{
    char unit[8];
    int n;
    if (c == '"' || c == '\\') {
        n = snprintf(unit, sizeof(unit), "\\%c", c);
    } else {
        n = snprintf(unit, sizeof(unit), line->is_json ? "\\u00%02x" : "\\x%02x", c);
    }
    put(line, unit, (size_t)n);
}

/* As much as there is room for. */
static void put_plain(struct line *line, const char *text, size_t len)
{
    size_t room = LINE_MAX_BYTES - TAIL_BYTES - line->len;
    put(line, text, len < room ? len : room);
    line->is_cut = len > room;
}

static void put_escaped(struct line *line, const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && !line->is_cut) {
        size_t from = i;
        while (i < len && !needs_escape((unsigned char)text[i])) {
            i++;
        }
        put_plain(line, text + from, i - from);
        if (i < len && !line->is_cut) {
            put_escape(line, (unsigned char)text[i++]);
        }
    }
}

static bool put_key(struct line *line, const char *key, bool is_quoted)
{
    char text[128];
    size_t len = strlen(key), n = 0;
    hilum_assert(len < sizeof(text) - 5); /* keys are ours, and short */
    text[n++] = line->is_json ? ',' : ' ';
    if (line->is_json) {
        text[n++] = '"';
    }
    memcpy(text + n, key, len);
    n += len;
    if (line->is_json) {
        text[n++] = '"';
    }
    text[n++] = line->is_json ? ':' : '=';
    if (is_quoted) {
        text[n++] = '"';
    }
    return put(line, text, n);
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

/* "#" and 16 hex digits. Never the UID itself, whatever fails. */
static void hash_uid(const char *uid, size_t len, char out[UID_HASH_BYTES])
{
    uint8_t text[4 + UID_MOST] = "log:", digest[SHA256_DIGEST_LENGTH];
    unsigned digest_len = 0;
    len = len < UID_MOST ? len : UID_MOST;
    memcpy(text + 4, uid, len);
    pthread_mutex_lock(&uid_key.lock);
    if (uid_key.len == 0 && RAND_bytes(uid_key.bytes, SHA256_DIGEST_LENGTH) == 1) {
        uid_key.len = SHA256_DIGEST_LENGTH;
    }
    bool ok = uid_key.len > 0 &&
              HMAC(EVP_sha256(), uid_key.bytes, (int)uid_key.len, text, 4 + len, digest, &digest_len);
    pthread_mutex_unlock(&uid_key.lock);
    out[0] = '#';
    out[1] = '\0';
    for (size_t i = 0; ok && i < 8; i++) {
        snprintf(out + 1 + 2 * i, 3, "%02x", digest[i]);
    }
}

static void put_private_field(struct line *line, const struct log_field *field, const char *text, size_t len)
{
    char hash[UID_HASH_BYTES];
    if (field->kind == LOG_KIND_UID && atomic_load_explicit(&hashes_uids, memory_order_relaxed)) {
        hash_uid(text, len, hash);
        text = hash;
        len = strlen(hash);
    } else if (field->kind == LOG_KIND_PATIENT && !log_shows_patients()) {
        text = field->instead ? field->instead : LOG_WITHHELD;
        len = strlen(text);
    }
    put_text_field(line, field->key, text, len);
}

static void put_field(struct line *line, const struct log_field *field)
{
    if (field->text) {
        size_t len = field->len == SIZE_MAX ? strlen(field->text) : field->len;
        if (field->kind != LOG_KIND_PLAIN && len > 0) {
            put_private_field(line, field, field->text, len);
        } else {
            put_text_field(line, field->key, field->text, len);
        }
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
    hilum_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
    if (now.tv_sec != clock_face.second) {
        struct tm utc;
        hilum_assert(gmtime_r(&now.tv_sec, &utc));
        strftime(clock_face.date, sizeof(clock_face.date), "%Y-%m-%dT%H:%M:%S", &utc);
        clock_face.second = now.tv_sec;
    }
    char head[96];
    int n = snprintf(head, sizeof(head),
                     line->is_json ? "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\"" : "time=%s.%03ldZ level=%s",
                     clock_face.date, now.tv_nsec / 1000000, level_names[level]);
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

void log_set_privacy(const struct log_privacy *p)
{
    size_t len = p->key ? strlen(p->key) : 0;
    pthread_mutex_lock(&uid_key.lock);
    if (len > sizeof(uid_key.bytes)) {
        SHA256((const uint8_t *)p->key, len, uid_key.bytes);
        uid_key.len = SHA256_DIGEST_LENGTH;
    } else if (len > 0) {
        memcpy(uid_key.bytes, p->key, len);
        uid_key.len = len;
    } else if (uid_key.is_given) {
        uid_key.len = 0; /* another random one: the given one is not to be used any more */
    }
    uid_key.is_given = len > 0;
    pthread_mutex_unlock(&uid_key.lock);
    atomic_store_explicit(&shows_patients, p->shows_patients, memory_order_relaxed);
    atomic_store_explicit(&hashes_uids, p->hashes_uids, memory_order_relaxed);
}

bool log_shows_patients(void)
{
    return atomic_load_explicit(&shows_patients, memory_order_relaxed);
}

static void begin(struct line *line, enum log_level level, const char *event)
{
    line->len = 0;
    line->is_cut = false;
    line->is_json = atomic_load_explicit(&current_format, memory_order_relaxed) == LOG_JSON;
    put_head(line, level);
    put_text_field(line, "event", event, strlen(event));
}

static void end(struct line *line)
{
    if (line->is_cut) {
        put_tail(line, line->is_json ? ",\"cut\":1" : " cut=1");
    }
    put_tail(line, line->is_json ? "}\n" : "\n");
}

/* At every level: else somebody would take what is there for everything. */
static void tell_lost(void)
{
    uint64_t lost = atomic_exchange_explicit(&lost_lines, 0, memory_order_relaxed);
    if (lost == 0) {
        return; /* another thread is telling it */
    }
    struct line line;
    begin(&line, LOG_WARN, "log lines lost");
    put_field(&line, &LOG_INT("lines", lost));
    end(&line);
    if (log_out(line.at, line.len) < line.len) {
        atomic_fetch_add_explicit(&lost_lines, lost, memory_order_relaxed);
    }
}

static void write_out(const char *bytes, size_t len)
{
    if (atomic_load_explicit(&lost_lines, memory_order_relaxed) > 0) {
        tell_lost();
    }
    uint64_t lost = 0;
    for (size_t i = log_out(bytes, len); i < len; i++) {
        lost += bytes[i] == '\n';
    }
    if (lost > 0) {
        atomic_fetch_add_explicit(&lost_lines, lost, memory_order_relaxed);
    }
}

void log_plain(const char *text, size_t len)
{
    int saved_errno = errno;
    log_flush();
    for (size_t n; len > 0; text += n, len -= n) {
        n = len < LOG_OUT_MAX ? len : LOG_OUT_MAX;
        write_out(text, n);
    }
    errno = saved_errno;
}

void log_gather(void)
{
    batch.is_on = true;
}

void log_flush(void)
{
    int saved_errno = errno;
    if (batch.len > 0) {
        write_out(batch.at, batch.len);
        batch.len = 0;
    } else if (atomic_load_explicit(&lost_lines, memory_order_relaxed) > 0) {
        tell_lost();
    }
    errno = saved_errno;
}

static void emit(const struct line *line, enum log_level level)
{
    if (batch.len > 0 && batch.len + line->len > sizeof(batch.at)) {
        log_flush();
    }
    if (!batch.is_on) {
        write_out(line->at, line->len);
        return;
    }
    memcpy(batch.at + batch.len, line->at, line->len);
    batch.len += line->len;
    if (level <= LOG_WARN) {
        log_flush();
    }
}

void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t count)
{
    int saved_errno = errno; /* a caller logs an error and then still wants to look at it */
    struct line line;
    begin(&line, level, event);
    for (size_t i = 0; i < count && !line.is_cut; i++) {
        put_field(&line, &fields[i]);
    }
    end(&line);
    emit(&line, level);
    errno = saved_errno;
}
