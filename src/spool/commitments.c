#include "spool/commitments.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/disk.h"
#include "spool/spool_inside.h"

enum { BUSY_MS = 10000, ADOPT_MS = 5000, WAIT_MS = 20, LINE = 64 };

static const char schema[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                             "CREATE TABLE IF NOT EXISTS commitment(key BLOB PRIMARY KEY, owner INTEGER NOT "
                             "NULL, desk INTEGER NOT NULL, bytes BLOB NOT NULL) WITHOUT ROWID;";

/* One that was adopted, and nobody has asked for yet. */
struct left {
    uint8_t key[SPOOL_COMMITMENT_KEY];
    uint16_t desk;
    struct left *next;
};

struct commitments {
    char path[SPOOL_PATH_MAX];
    uint32_t generation;
    sqlite3 *db; /* NULL: not opened yet */
    int lock;    /* -1: likewise */
    struct left *left;
    uint64_t adopt_ms;
    struct where *where; /* the question that is looked into; NULL: none */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    /* under the lock */
    bool is_stopping, has_news;
    struct spool_commitment_write *writes, **writes_end;
    struct spool_whereabouts *questions, **questions_end;
    struct spool_commitments *feeds;
};

#define OWNER_OF(type, message, member)                                                                      \
    ((struct type *)(void *)((char *)(message)-offsetof(struct type, member)))

/* --- the table ------------------------------------------------------------------------------------------------- */

static bool failed(struct commitments *c, const char *what)
{
    LOG(LOG_ERROR, "storage commitments cannot be kept", LOG_STR("doing", what),
        LOG_STR("error", c->db ? sqlite3_errmsg(c->db) : disk_error_text()));
    return false;
}

static bool run(struct commitments *c, const char *sql)
{
    return sqlite3_exec(c->db, sql, NULL, NULL, NULL) == SQLITE_OK || failed(c, sql);
}

static bool lock_path(const struct commitments *c, uint32_t generation, char out[SPOOL_PATH_MAX])
{
    return snprintf(out, SPOOL_PATH_MAX, "%s/commitments-%u.lock", c->path, (unsigned)generation) <
           SPOOL_PATH_MAX;
}

/* *fd_out -1: another process has it. */
static bool take_lock(struct commitments *c, uint32_t generation, int *fd_out)
{
    char file[SPOOL_PATH_MAX];
    bool is_ours = false;
    *fd_out = -1;
    if (!lock_path(c, generation, file) || disk_open(file, DISK_CREATE, fd_out) != IO_NONE)
        return failed(c, "open lock");
    if (disk_lock(*fd_out, &is_ours) == IO_NONE && is_ours)
        return true;
    disk_close(*fd_out);
    *fd_out = -1;
    return true;
}

static void drop_lock(struct commitments *c, uint32_t generation, int *fd)
{
    char file[SPOOL_PATH_MAX];
    if (*fd >= 0 && lock_path(c, generation, file) && disk_unlink(file) != IO_NONE)
        (void)failed(c, "remove lock");
    disk_close(*fd);
    *fd = -1;
}

/* The file, unless it is not there and not needed. True: it is open. */
static bool open_table(struct commitments *c, bool is_needed)
{
    char file[SPOOL_PATH_MAX];
    if (c->db)
        return true;
    if (snprintf(file, sizeof(file), "%s/commitments.db", c->path) >= (int)sizeof(file))
        return false;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (is_needed ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(file, &c->db, flags, NULL);
    if (code == SQLITE_CANTOPEN && !is_needed) {
        sqlite3_close(c->db);
        c->db = NULL;
        return false;
    }
    bool ok = code == SQLITE_OK && sqlite3_busy_timeout(c->db, BUSY_MS) == SQLITE_OK && run(c, schema) &&
              take_lock(c, c->generation, &c->lock) && c->lock >= 0;
    if (ok && is_needed && disk_sync_folder(c->path) != IO_NONE)
        ok = failed(c, "sync folder");
    if (!ok) {
        (void)failed(c, "open commitments.db");
        drop_lock(c, c->generation, &c->lock);
        sqlite3_close(c->db);
        c->db = NULL;
    }
    return ok;
}

static sqlite3_stmt *prepare(struct commitments *c, const char *sql)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(c->db, sql, -1, &s, NULL) != SQLITE_OK)
        (void)failed(c, sql);
    return s;
}

static bool do_once(struct commitments *c, sqlite3_stmt *s)
{
    bool ok = s && sqlite3_step(s) == SQLITE_DONE;
    if (s && !ok)
        (void)failed(c, sqlite3_sql(s));
    sqlite3_finalize(s);
    return ok;
}

static bool write_one(struct commitments *c, const struct spool_commitment_write *w)
{
    bool is_over = w->bytes.len == 0;
    /* Over is our own: the requester may have asked the next process for the same meanwhile. */
    sqlite3_stmt *s = prepare(c, is_over ? "DELETE FROM commitment WHERE key = ? AND owner = ?"
                                         : "INSERT OR REPLACE INTO commitment VALUES(?, ?, ?, ?)");
    if (s) {
        sqlite3_bind_blob(s, 1, w->key, sizeof(w->key), SQLITE_STATIC);
        sqlite3_bind_int64(s, 2, c->generation);
    }
    if (s && !is_over) {
        sqlite3_bind_int64(s, 3, w->desk);
        sqlite3_bind_blob64(s, 4, w->bytes.at, w->bytes.len, SQLITE_STATIC);
    }
    return do_once(c, s);
}

/* All that wait, by one sync. If it fails together, none of it counts. */
static void write_all(struct commitments *c, struct spool_commitment_write *list)
{
    bool ok = open_table(c, true) && run(c, "BEGIN IMMEDIATE");
    for (struct spool_commitment_write *w = list; ok && w; w = w->next)
        ok = write_one(c, w);
    ok = ok && run(c, "COMMIT");
    if (!ok && c->db && !sqlite3_get_autocommit(c->db))
        (void)run(c, "ROLLBACK");
    while (list) {
        struct spool_commitment_write *w = list;
        list = w->next;
        w->is_durable = ok;
        io_post(w->io, &w->message);
    }
}

static void on_written(struct io_message *m)
{
    struct spool_commitment_write *w = OWNER_OF(spool_commitment_write, m, message);
    w->on_done(w, w->is_durable);
}

/* --- what others have left --------------------------------------------------------------------------------------- */

static bool keep_left(struct commitments *c, sqlite3_stmt *s)
{
    struct left *l = calloc(1, sizeof(*l));
    if (!l || sqlite3_column_bytes(s, 0) != SPOOL_COMMITMENT_KEY) {
        free(l);
        return l != NULL;
    }
    memcpy(l->key, sqlite3_column_blob(s, 0), sizeof(l->key));
    l->desk = (uint16_t)sqlite3_column_int(s, 1);
    l->next = c->left;
    c->left = l;
    return true;
}

/* Its lock is ours now, or it never had one. */
static void adopt(struct commitments *c, uint32_t generation)
{
    sqlite3_stmt *s = prepare(c, "SELECT key, desk FROM commitment WHERE owner = ?");
    bool ok = s != NULL;
    if (s)
        sqlite3_bind_int64(s, 1, generation);
    while (ok && sqlite3_step(s) == SQLITE_ROW)
        ok = keep_left(c, s);
    sqlite3_finalize(s);
    s = prepare(c, "UPDATE commitment SET owner = ? WHERE owner = ?");
    if (s) {
        sqlite3_bind_int64(s, 1, c->generation);
        sqlite3_bind_int64(s, 2, generation);
    }
    (void)do_once(c, s);
}

static bool next_owner(struct commitments *c, int64_t *owner)
{
    sqlite3_stmt *s = prepare(c, "SELECT min(owner) FROM commitment WHERE owner > ?1 AND owner <> ?2");
    bool is_there = false;
    if (s) {
        sqlite3_bind_int64(s, 1, *owner);
        sqlite3_bind_int64(s, 2, c->generation);
        is_there = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL;
        *owner = is_there ? sqlite3_column_int64(s, 0) : 0;
    }
    sqlite3_finalize(s);
    return is_there;
}

static void adopt_all(struct commitments *c)
{
    int64_t owner = -1;
    c->adopt_ms = clock_ms() + ADOPT_MS;
    while (c->db && next_owner(c, &owner)) {
        int lock;
        if (take_lock(c, (uint32_t)owner, &lock) && lock >= 0) {
            adopt(c, (uint32_t)owner);
            drop_lock(c, (uint32_t)owner, &lock);
        }
    }
}

/* --- feeds --------------------------------------------------------------------------------------------------------- */

struct handed {
    struct io_message message;
    struct spool_commitments *to;
    uint8_t key[SPOOL_COMMITMENT_KEY];
    uint16_t desk;
    size_t len;
    uint8_t bytes[];
};

static void on_handed(struct io_message *m)
{
    struct handed *h = OWNER_OF(handed, m, message);
    h->to->on_commitment(h->to, h->key, h->desk, (struct view){h->bytes, h->len});
    free(h);
}

static void hand_out(struct commitments *c, const struct left *l, struct spool_commitments *to)
{
    sqlite3_stmt *s = prepare(c, "SELECT bytes FROM commitment WHERE key = ?");
    if (s)
        sqlite3_bind_blob(s, 1, l->key, sizeof(l->key), SQLITE_STATIC);
    if (s && sqlite3_step(s) == SQLITE_ROW) {
        size_t len = (size_t)sqlite3_column_bytes(s, 0);
        struct handed *h = malloc(sizeof(*h) + len);
        if (h) {
            *h = (struct handed){.message = {.on_message = on_handed}, .to = to, .desk = l->desk, .len = len};
            memcpy(h->key, l->key, sizeof(h->key));
            memcpy(h->bytes, sqlite3_column_blob(s, 0), len);
            io_post(to->io, &h->message);
        }
    }
    sqlite3_finalize(s);
}

/* Feeds leave the list on this thread alone. */
static void hand_out_left(struct commitments *c)
{
    pthread_mutex_lock(&c->mutex);
    struct spool_commitments *feeds = c->feeds;
    pthread_mutex_unlock(&c->mutex);
    for (struct left **link = &c->left; *link;) {
        struct left *l = *link;
        struct spool_commitments *f = feeds;
        while (f && l->desk % f->parts != f->part)
            f = f->next;
        if (!f) {
            link = &l->next;
            continue;
        }
        hand_out(c, l, f);
        *link = l->next;
        free(l);
    }
}

static void on_closed(struct io_message *m)
{
    struct spool_commitments *f = OWNER_OF(spool_commitments, m, closed_message);
    f->on_closed(f);
}

/* Lock held. */
static void close_feeds(struct commitments *c)
{
    for (struct spool_commitments **link = &c->feeds; *link;) {
        struct spool_commitments *f = *link;
        if (!f->is_closing) {
            link = &f->next;
            continue;
        }
        *link = f->next;
        io_post(f->io, &f->closed_message);
    }
}

/* --- the thread ------------------------------------------------------------------------------------------------------ */

static void on_whereabouts(struct io_message *m)
{
    struct spool_whereabouts *w = OWNER_OF(spool_whereabouts, m, message);
    w->on_answer(w);
}

/* True: it may go on at once. */
static bool look_into(struct commitments *c)
{
    bool must_wait = false;
    if (!c->where || !where_step(c->where, &must_wait))
        return c->where && !must_wait;
    struct spool_whereabouts *w = where_end(&c->where);
    io_post(w->io, &w->message);
    return true;
}

static void next_question(struct commitments *c)
{
    pthread_mutex_lock(&c->mutex);
    struct spool_whereabouts *w = c->where ? NULL : c->questions;
    if (w) {
        c->questions = w->next;
        if (!c->questions)
            c->questions_end = &c->questions;
    }
    pthread_mutex_unlock(&c->mutex);
    if (!w)
        return;
    c->where = where_begin(c->path, w);
    if (!c->where)
        io_post(w->io, &w->message);
}

/* Lock held. */
static void rest(struct commitments *c)
{
    uint64_t ms = c->where ? WAIT_MS : ADOPT_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += (time_t)(ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&c->wake, &c->mutex, &until);
}

/* Takes what is to be written; rests if there is nothing to do. False: it is over. */
static bool take_writes(struct commitments *c, bool may_rest, struct spool_commitment_write **out)
{
    pthread_mutex_lock(&c->mutex);
    close_feeds(c);
    bool has_work = c->writes || c->is_stopping || c->has_news || (!c->where && c->questions);
    if (may_rest && !has_work) {
        rest(c);
        close_feeds(c);
    }
    c->has_news = false;
    *out = c->writes;
    c->writes = NULL;
    c->writes_end = &c->writes;
    bool goes_on = *out || !c->is_stopping;
    pthread_mutex_unlock(&c->mutex);
    return goes_on;
}

static void *commitments_main(void *arg)
{
    struct commitments *c = arg;
    struct spool_commitment_write *writes;
    bool may_rest = false;
    while (take_writes(c, may_rest, &writes)) {
        if (writes)
            write_all(c, writes);
        if (clock_ms() >= c->adopt_ms)
            adopt_all(c);
        hand_out_left(c);
        next_question(c);
        may_rest = !look_into(c);
    }
    return NULL;
}

/* --- its life ---------------------------------------------------------------------------------------------------------- */

enum result commitments_open(const char *path, uint32_t generation, struct commitments **out, char *why,
                             size_t why_cap)
{
    struct commitments *c = calloc(1, sizeof(*c));
    pthread_condattr_t monotonic;
    *out = NULL;
    if (!c)
        return ERR_MEMORY;
    snprintf(c->path, sizeof(c->path), "%s", path);
    c->generation = generation;
    c->lock = -1;
    c->writes_end = &c->writes;
    c->questions_end = &c->questions;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (open_table(c, false)) /* numbers may have begun anew: nothing in it is ours yet */
        adopt(c, generation);
    if (pthread_create(&c->thread, NULL, commitments_main, c) != 0) {
        snprintf(why, why_cap, "no thread for storage commitments");
        drop_lock(c, c->generation, &c->lock);
        sqlite3_close(c->db);
        free(c);
        return ERR_MEMORY;
    }
    *out = c;
    return OK;
}

static void fail_questions(struct commitments *c)
{
    if (c->where) {
        struct spool_whereabouts *w = where_end(&c->where);
        w->next = c->questions;
        c->questions = w;
    }
    while (c->questions) {
        struct spool_whereabouts *w = c->questions;
        c->questions = w->next;
        w->result = ERR_CLOSED;
        io_post(w->io, &w->message);
    }
}

void commitments_close(struct commitments **cp)
{
    struct commitments *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    pthread_mutex_lock(&c->mutex);
    c->is_stopping = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
    fail_questions(c);
    while (c->left) {
        struct left *l = c->left;
        c->left = l->next;
        free(l);
    }
    sqlite3_close(c->db);
    drop_lock(c, c->generation, &c->lock);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

/* --- from any thread --------------------------------------------------------------------------------------------------- */

void spool_commitment_write(struct spool *s, struct spool_commitment_write *w)
{
    struct commitments *c = s->commitments;
    w->message.on_message = on_written;
    w->next = NULL;
    pthread_mutex_lock(&c->mutex);
    *c->writes_end = w;
    c->writes_end = &w->next;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
}

void spool_commitments_open(struct spool *s, struct spool_commitments *f)
{
    struct commitments *c = s->commitments;
    f->closed_message.on_message = on_closed;
    f->is_closing = false;
    pthread_mutex_lock(&c->mutex);
    f->next = c->feeds;
    c->feeds = f;
    c->has_news = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
}

void spool_commitments_close(struct spool *s, struct spool_commitments *f)
{
    struct commitments *c = s->commitments;
    pthread_mutex_lock(&c->mutex);
    hilum_assert(!f->is_closing);
    f->is_closing = true;
    c->has_news = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
}

void spool_whereabouts_ask(struct spool *s, struct spool_whereabouts *w)
{
    struct commitments *c = s->commitments;
    w->message.on_message = on_whereabouts;
    w->next = NULL;
    w->result = OK;
    w->rows = NULL;
    w->row_count = w->row_cap = 0;
    w->texts = (struct arena){0};
    pthread_mutex_lock(&c->mutex);
    *c->questions_end = w;
    c->questions_end = &w->next;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
}

void spool_whereabouts_free(struct spool_whereabouts *w)
{
    free(w->rows);
    w->rows = NULL;
    arena_free(&w->texts);
}
