/* The index's connection: opening, transactions, statements. */
#include "spool/index_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "spool/ids.h"

enum {
    INDEX_VERSION = 3,
    APPLICATION = 0x48494c51, /* "HILQ" */
    BUSY_US = 500,
    BUSY_TRIES = 60000, /* half a minute */
};

/* by_node is the order of delivery and of lists; the row's id is the last column of every index. */
static const char schema[] =
    "CREATE TABLE place(generation INTEGER PRIMARY KEY, segment INTEGER NOT NULL, offset INTEGER NOT NULL);"
    "CREATE TABLE counter(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE name(number INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE study(number INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE,"
    " since INTEGER NOT NULL);"
    "CREATE TABLE message(id INTEGER PRIMARY KEY, live INTEGER NOT NULL, kept INTEGER NOT NULL,"
    " received INTEGER NOT NULL, segment INTEGER NOT NULL, priority INTEGER NOT NULL,"
    " calling INTEGER NOT NULL, called INTEGER NOT NULL, remote INTEGER NOT NULL, abstract INTEGER NOT NULL,"
    " transfer INTEGER NOT NULL, class INTEGER NOT NULL, instance TEXT NOT NULL, series TEXT NOT NULL,"
    " patient TEXT NOT NULL, streams BLOB NOT NULL);"
    "CREATE TABLE delivery(id INTEGER PRIMARY KEY, message INTEGER NOT NULL, node INTEGER NOT NULL,"
    " state INTEGER NOT NULL, study INTEGER NOT NULL, route INTEGER NOT NULL, due INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL, status INTEGER, comment TEXT, queued INTEGER NOT NULL,"
    " changed INTEGER NOT NULL, bytes INTEGER NOT NULL, edition INTEGER NOT NULL, held INTEGER,"
    " received INTEGER NOT NULL, sent INTEGER, sent_instance TEXT);"
    "CREATE INDEX by_node ON delivery(node, state, study);"
    "CREATE INDEX by_received ON delivery(" INDEX_RUN ", received);"
    "CREATE INDEX by_sent ON delivery(" INDEX_RUN ", sent) WHERE sent IS NOT NULL;"
    "CREATE INDEX waiting ON delivery(due) WHERE state = 2;"
    "CREATE INDEX waiting_since ON delivery(changed) WHERE state = 2;"
    "CREATE INDEX ended ON delivery(changed) WHERE state >= 4;"
    "CREATE INDEX by_held ON delivery(held) WHERE state = 0;"
    "CREATE TABLE held(number INTEGER PRIMARY KEY AUTOINCREMENT, asks INTEGER NOT NULL,"
    " due INTEGER NOT NULL, since INTEGER NOT NULL, route INTEGER NOT NULL, uid TEXT NOT NULL,"
    " UNIQUE(route, uid));"
    "CREATE TABLE syntax(study INTEGER, abstract INTEGER, transfer INTEGER,"
    " PRIMARY KEY(study, abstract, transfer)) WITHOUT ROWID;"
    "CREATE INDEX held_due ON held(asks, due);"
    "CREATE INDEX held_since ON held(asks, since);"
    "CREATE TABLE added(message INTEGER, entry INTEGER, node INTEGER NOT NULL, generation INTEGER NOT NULL,"
    " segment INTEGER NOT NULL, PRIMARY KEY(message, entry)) WITHOUT ROWID;"
    "CREATE TABLE attempt(entry INTEGER, number INTEGER, at INTEGER NOT NULL, status INTEGER NOT NULL,"
    " comment TEXT, PRIMARY KEY(entry, number)) WITHOUT ROWID;"
    "CREATE TABLE segment(generation INTEGER, number INTEGER, live INTEGER NOT NULL,"
    " PRIMARY KEY(generation, number)) WITHOUT ROWID;"
    "CREATE INDEX idle ON segment(generation, number) WHERE live = 0;"
    "CREATE TABLE tally(node INTEGER, state INTEGER, count INTEGER NOT NULL, bytes INTEGER NOT NULL,"
    " PRIMARY KEY(node, state)) WITHOUT ROWID;"
    "CREATE TABLE sheet(id INTEGER PRIMARY KEY, count INTEGER NOT NULL, study INTEGER NOT NULL,"
    " newest INTEGER NOT NULL, deliveries BLOB NOT NULL);"
    "CREATE INDEX sheet_order ON sheet(study);"
    "CREATE INDEX sheet_age ON sheet(newest);"
    "CREATE TABLE sheet_node(node INTEGER, sheet INTEGER, PRIMARY KEY(node, sheet)) WITHOUT ROWID;"
    "CREATE INDEX sheet_nodes ON sheet_node(sheet);"
    "CREATE TABLE sheet_print(sheet INTEGER PRIMARY KEY, hashes BLOB NOT NULL);"
    "CREATE TABLE orders(number INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL,"
    " dropped INTEGER NOT NULL, node TEXT NOT NULL);"
    "CREATE INDEX orders_of ON orders(id);"
    "PRAGMA application_id = 1212763217;" /* APPLICATION */
    "PRAGMA user_version = 3;";           /* INDEX_VERSION */

/* --- statements -------------------------------------------------------------------------------------------- */

enum result index_failed(struct index *i)
{
    if (!i->is_logged)
        LOG(LOG_ERROR, "the queue's index failed", LOG_STR("error", sqlite3_errmsg(i->db)),
            LOG_INT("code", sqlite3_extended_errcode(i->db)));
    i->is_logged = true;
    i->failed_code = sqlite3_extended_errcode(i->db);
    return ERR_IO;
}

const char *index_failure(const struct index *i, bool *is_full_out)
{
    *is_full_out = i->failed_code == SQLITE_FULL || i->failed_code == SQLITE_IOERR_SHMSIZE;
    return *is_full_out     ? sqlite3_errstr(SQLITE_FULL)
           : i->failed_code ? sqlite3_errstr(i->failed_code)
                            : NULL;
}

static int bind_one(sqlite3_stmt *s, int at, char type, va_list *args)
{
    struct view v;
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(s, at, va_arg(*args, int64_t));
    case 't':
        return sqlite3_bind_text(s, at, va_arg(*args, const char *), -1, SQLITE_STATIC);
    case 'v':
        v = va_arg(*args, struct view);
        return sqlite3_bind_text(s, at, v.len > 0 ? (const char *)v.at : "", (int)v.len, SQLITE_STATIC);
    case 'b':
        v = va_arg(*args, struct view);
        return sqlite3_bind_blob(s, at, v.len > 0 ? (const void *)v.at : "", (int)v.len, SQLITE_STATIC);
    default:
        hilum_assert(type == 'n');
        return sqlite3_bind_null(s, at);
    }
}

static sqlite3_stmt *ask(struct index *i, enum index_statement which, const char *sql, const char *types,
                         va_list *args)
{
    sqlite3_stmt **s = &i->statements[which];
    if (!*s && sqlite3_prepare_v3(i->db, sql, -1, SQLITE_PREPARE_PERSISTENT, s, NULL) != SQLITE_OK) {
        index_failed(i);
        return NULL;
    }
    hilum_assert(sqlite3_bind_parameter_count(*s) == (int)strlen(types));
    for (int at = 0; types[at]; at++) {
        if (bind_one(*s, at + 1, types[at], args) != SQLITE_OK) {
            index_failed(i);
            return NULL;
        }
    }
    return *s;
}

sqlite3_stmt *index_ask(struct index *i, enum index_statement which, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = ask(i, which, sql, types, &args);
    va_end(args);
    return s;
}

enum result index_step(struct index *i, sqlite3_stmt *s)
{
    int n = sqlite3_step(s);
    return n == SQLITE_ROW ? OK : n == SQLITE_DONE ? NEED_MORE : index_failed(i);
}

void index_done(sqlite3_stmt *s)
{
    sqlite3_reset(s);
}

enum result index_do(struct index *i, enum index_statement which, const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = ask(i, which, sql, types, &args);
    va_end(args);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    index_done(s);
    return r == ERR_IO ? r : OK;
}

enum result index_number(struct index *i, enum index_statement which, int64_t otherwise, int64_t *out,
                         const char *sql, const char *types, ...)
{
    va_list args;
    va_start(args, types);
    sqlite3_stmt *s = ask(i, which, sql, types, &args);
    va_end(args);
    *out = otherwise;
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK && sqlite3_column_type(s, 0) != SQLITE_NULL)
        *out = sqlite3_column_int64(s, 0);
    index_done(s);
    return r == ERR_IO ? r : OK;
}

enum result index_ids(struct index *i, sqlite3_stmt *s, struct spool_ids *ids)
{
    enum result r = s ? OK : ERR_IO;
    while (r == OK && (r = index_step(i, s)) == OK) {
        if (ids_reserve(ids, 1))
            ids_put(ids, (spool_id)sqlite3_column_int64(s, 0));
        else
            r = ERR_MEMORY;
    }
    if (s)
        index_done(s);
    return r == NEED_MORE ? OK : r;
}

/* --- opening ------------------------------------------------------------------------------------------------- */

/* Others hold the file for a transaction at most, and leave little time between two: who waits asks often. */
static int on_busy(void *owner, int tries)
{
    (void)owner;
    if (tries >= BUSY_TRIES)
        return 0;
    usleep(BUSY_US);
    return 1;
}

static bool run(struct index *i, const char *sql)
{
    return sqlite3_exec(i->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static bool read_pragma(struct index *i, const char *sql, int64_t *out)
{
    sqlite3_stmt *s = NULL;
    bool is_read = sqlite3_prepare_v2(i->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;
    *out = is_read ? sqlite3_column_int64(s, 0) : 0;
    sqlite3_finalize(s);
    return is_read;
}

#define MADE_ANEW                                                                                            \
    "Move it away and start again: it is made anew from the log, without what was known of deliveries that " \
    "have ended"

/* What is there: nothing yet, an index of ours, something else. */
static enum result look_at_version(struct index *i, bool *is_new_out, char *why, size_t why_cap)
{
    int64_t version, application, objects;
    if (!read_pragma(i, "PRAGMA user_version", &version) ||
        !read_pragma(i, "PRAGMA application_id", &application) ||
        !read_pragma(i, "SELECT count(*) FROM sqlite_schema", &objects)) {
        int code = sqlite3_extended_errcode(i->db) & 0xFF;
        bool is_damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
        snprintf(why, why_cap, "%s%s", sqlite3_errmsg(i->db), is_damaged ? ". " MADE_ANEW : "");
        return ERR_IO;
    }
    *is_new_out = version == 0 && application == 0 && objects == 0;
    if (*is_new_out)
        return OK;
    if (application != APPLICATION) {
        snprintf(why, why_cap, "it is not the index of a queue");
        return ERR_USAGE;
    }
    if (version > INDEX_VERSION) {
        snprintf(why, why_cap, "it is of a newer Hilum: version %lld, and this one knows %d",
                 (long long)version, INDEX_VERSION);
        return ERR_USAGE;
    }
    if (version < INDEX_VERSION) {
        snprintf(why, why_cap, "it is of an older Hilum: version %lld, and this one knows %d. " MADE_ANEW,
                 (long long)version, INDEX_VERSION);
        return ERR_USAGE;
    }
    return OK;
}

static enum result make_schema(struct index *i, char *why, size_t why_cap)
{
    /* Another process may be just as new: the second one finds the first one's tables. */
    bool is_new = false;
    enum result r = run(i, "BEGIN IMMEDIATE") ? look_at_version(i, &is_new, why, why_cap) : ERR_IO;
    if (r == OK && ((is_new && !run(i, schema)) || !index_claims_prepare(i->db) ||
                    !index_lines_prepare(i->db) || !run(i, "COMMIT")))
        r = ERR_IO;
    if (r == ERR_IO)
        snprintf(why, why_cap, "%s", sqlite3_errmsg(i->db));
    if (r != OK)
        run(i, "ROLLBACK");
    return r;
}

static enum result set_up(struct index *i, bool is_read_only, char *why, size_t why_cap)
{
    bool is_new;
    int keep = 1;
    sqlite3_busy_handler(i->db, on_busy, NULL);
    sqlite3_extended_result_codes(i->db, 1);
    /* A file that is refused is not even tidied up when it is closed. */
    sqlite3_db_config(i->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_file_control(i->db, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
    enum result r = look_at_version(i, &is_new, why, why_cap);
    if (r != OK)
        return r;
    if (is_new && is_read_only) {
        snprintf(why, why_cap, "it is empty");
        return ERR_IO;
    }
    if (!index_sheets_prepare(i->db) ||
        !run(i, "PRAGMA cache_size = -65536; PRAGMA mmap_size = 268435456; PRAGMA temp_store = MEMORY")) {
        snprintf(why, why_cap, "%s", sqlite3_errmsg(i->db));
        return ERR_IO;
    }
    if (is_read_only)
        return OK;
    if (!run(i, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 8000;"
                "PRAGMA journal_size_limit = 67108864")) {
        snprintf(why, why_cap, "%s", sqlite3_errmsg(i->db));
        return ERR_IO;
    }
    sqlite3_db_config(i->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    if (is_new)
        return make_schema(i, why, why_cap);
    if (index_claims_prepare(i->db) && index_lines_prepare(i->db))
        return OK;
    snprintf(why, why_cap, "%s", sqlite3_errmsg(i->db));
    return ERR_IO;
}

enum result index_open(const char *path, bool is_read_only, struct index **out, char *why, size_t why_cap)
{
    struct index *i = calloc(1, sizeof(*i));
    *out = NULL;
    if (!i)
        return ERR_MEMORY;
    char reason[256] = "";
    int flags = is_read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    enum result r = OK;
    if (sqlite3_open_v2(path, &i->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        snprintf(reason, sizeof(reason), "%s", i->db ? sqlite3_errmsg(i->db) : "no memory");
        r = ERR_IO;
    }
    if (r == OK)
        r = set_up(i, is_read_only, reason, sizeof(reason));
    if (r != OK) {
        snprintf(why, why_cap, "%s: %s", path, reason);
        index_close(&i);
    }
    *out = i;
    return r;
}

void index_close(struct index **i)
{
    struct index *it = *i;
    *i = NULL;
    if (!it)
        return;
    index_abandon(it);
    for (size_t n = 0; n < INDEX_STATEMENTS; n++)
        sqlite3_finalize(it->statements[n]);
    sqlite3_close(it->db);
    free(it->own);
    free(it);
}

enum result index_own(struct index *i, const uint32_t *generations, size_t count)
{
    uint32_t *own = malloc((count + 1) * sizeof(*own));
    if (!own)
        return ERR_MEMORY;
    if (count > 0)
        memcpy(own, generations, count * sizeof(*own));
    free(i->own);
    i->own = own;
    i->own_count = count;
    return OK;
}

bool index_is_own(const struct index *i, uint32_t generation)
{
    for (size_t n = 0; n < i->own_count; n++) {
        if (i->own[n] == generation)
            return true;
    }
    return false;
}

/* --- transactions ------------------------------------------------------------------------------------------ */

static enum result data_version(struct index *i, int64_t *out)
{
    return index_number(i, INDEX_DATA_VERSION, 0, out, "PRAGMA data_version", "");
}

static enum result read_counter(struct index *i, const char *key, int64_t *out, int64_t *was_out)
{
    enum result r =
        index_number(i, INDEX_COUNTER_GET, 0, out, "SELECT value FROM counter WHERE key = ?", "t", key);
    *was_out = *out;
    return r;
}

static enum result write_counter(struct index *i, const char *key, int64_t value, int64_t was)
{
    return value == was ? OK
                        : index_do(i, INDEX_COUNTER_SET, "INSERT OR REPLACE INTO counter VALUES(?, ?)", "ti",
                                   key, value);
}

enum result index_begin(struct index *i)
{
    int64_t version;
    hilum_assert(!i->is_begun);
    /* One that could not be taken back, since that takes memory too. */
    if (!sqlite3_get_autocommit(i->db) && !run(i, "ROLLBACK"))
        return ERR_IO;
    enum result r = index_do(i, INDEX_BEGIN, "BEGIN IMMEDIATE", "");
    if (r != OK)
        return r;
    i->is_begun = true;
    r = data_version(i, &version);
    if (r == OK && version != i->cache_version) {
        index_forget_cached(i);
        i->cache_version = version;
    }
    if (r == OK)
        r = read_counter(i, "study", &i->study, &i->study_was);
    if (r == OK)
        r = read_counter(i, "relayed", &i->relayed, &i->relayed_was);
    if (r != OK)
        index_abandon(i);
    return r;
}

enum result index_commit(struct index *i, struct log_position read_to)
{
    hilum_assert(i->is_begun);
    enum result r = index_add_up(i, &i->segments);
    if (r == OK)
        r = index_add_up(i, &i->tally);
    if (r == OK)
        r = write_counter(i, "study", i->study, i->study_was);
    if (r == OK)
        r = write_counter(i, "relayed", i->relayed, i->relayed_was);
    if (r == OK && read_to.generation != 0)
        r = index_do(i, INDEX_PLACE_SET, "INSERT OR REPLACE INTO place VALUES(?, ?, ?)", "iii",
                     (int64_t)read_to.generation, (int64_t)read_to.segment, (int64_t)read_to.offset);
    if (r == OK)
        r = index_do(i, INDEX_COMMIT, "COMMIT", "");
    if (r == OK)
        i->is_begun = i->is_logged = false;
    if (r == OK)
        i->failed_code = 0;
    return r;
}

void index_abandon(struct index *i)
{
    if (!i->is_begun)
        return;
    i->is_begun = false;
    for (size_t n = 0; n < INDEX_STATEMENTS; n++)
        sqlite3_reset(i->statements[n]);
    if (!sqlite3_get_autocommit(i->db)) /* some failures have taken it back already */
        run(i, "ROLLBACK");
    i->segments.count = i->tally.count = 0;
    index_forget_cached(i);
}

enum result index_place(struct index *i, uint32_t generation, struct log_position *out)
{
    *out = (struct log_position){0};
    sqlite3_stmt *s = index_ask(i, INDEX_PLACE_GET, "SELECT segment, offset FROM place WHERE generation = ?",
                                "i", (int64_t)generation);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK)
        *out = (struct log_position){.generation = generation,
                                     .segment = (uint32_t)sqlite3_column_int64(s, 0),
                                     .offset = (uint64_t)sqlite3_column_int64(s, 1)};
    index_done(s);
    return r == ERR_IO ? r : OK;
}

enum result index_newest_generation(struct index *i, uint32_t *out)
{
    int64_t newest;
    enum result r = index_number(i, INDEX_PLACE_NEWEST, 0, &newest, "SELECT max(generation) FROM place", "");
    *out = (uint32_t)newest;
    return r;
}

bool index_was_touched(struct index *i)
{
    int64_t version;
    if (data_version(i, &version) != OK || version == i->data_version)
        return false;
    i->data_version = version;
    return true;
}
