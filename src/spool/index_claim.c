/* Where studies began: what relay/ has claimed of pools. A table of its own, that came after the others. */
#include "spool/index_inside.h"

bool index_claims_prepare(sqlite3 *db)
{
    return sqlite3_exec(db,
                        "CREATE TABLE IF NOT EXISTS claim(pool INTEGER, study TEXT, member INTEGER NOT NULL,"
                        " at INTEGER NOT NULL, PRIMARY KEY(pool, study)) WITHOUT ROWID;"
                        "CREATE INDEX IF NOT EXISTS claim_age ON claim(at);",
                        NULL, NULL, NULL) == SQLITE_OK;
}

enum result index_take_claim(struct index *i, const struct record_claim *c, bool is_ours)
{
    int64_t pool, member;
    RETURN_UNLESS_OK(index_name(i, c->pool, &pool));
    RETURN_UNLESS_OK(index_name(i, c->member, &member));
    return index_do(i, INDEX_CLAIM_SET,
                    "INSERT INTO claim VALUES(?, ?, ?, ?) ON CONFLICT(pool, study) DO UPDATE SET"
                    " member = excluded.member, at = excluded.at WHERE ? OR excluded.at >= at",
                    "iviii", pool, c->study, member, (int64_t)c->at_ms, (int64_t)is_ours);
}

enum result index_claims(struct index *i, size_t max,
                         void (*on_claim)(void *owner, const struct record_claim *c), void *owner)
{
    sqlite3_stmt *s = index_ask(i, INDEX_CLAIMS,
                                "SELECT (SELECT text FROM name WHERE number = pool), study,"
                                " (SELECT text FROM name WHERE number = member), at"
                                " FROM claim INDEXED BY claim_age ORDER BY at DESC LIMIT ?",
                                "i", (int64_t)max);
    if (!s)
        return ERR_IO;
    enum result r;
    while ((r = index_step(i, s)) == OK) {
        struct record_claim c = {.pool = index_text(s, 0),
                                 .study = index_text(s, 1),
                                 .member = index_text(s, 2),
                                 .at_ms = (uint64_t)sqlite3_column_int64(s, 3)};
        on_claim(owner, &c);
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_forget_claims(struct index *i, uint64_t now_ms, unsigned max, unsigned *count_out)
{
    int64_t oldest = now_ms > SPOOL_CLAIM_KEPT_MS ? (int64_t)(now_ms - SPOOL_CLAIM_KEPT_MS) : 0;
    int64_t newest = (int64_t)(now_ms + SPOOL_CLAIM_KEPT_MS);
    enum result r = index_do(
        i, INDEX_CLAIMS_FORGET,
        "DELETE FROM claim WHERE (pool, study) IN (SELECT pool, study FROM claim INDEXED BY claim_age"
        " WHERE at < ? UNION ALL SELECT pool, study FROM claim INDEXED BY claim_age WHERE at > ? LIMIT ?)",
        "iii", oldest, newest, (int64_t)max);
    *count_out = r == OK ? (unsigned)sqlite3_changes(i->db) : 0;
    return r;
}
