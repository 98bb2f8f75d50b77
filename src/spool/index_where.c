/* Where instances went, for storage commitment: many at once. */
#include <stdlib.h>

#include "spool/index_inside.h"
#include "spool/sheet.h"

enum { NOT_RELAYED = (1 << SPOOL_RELAYED) - 1 };

enum result index_where_queued(struct index *i, const char *instance,
                               bool (*on_row)(void *owner, const struct index_row *row), void *owner)
{
    struct index_filter f = {.instance = instance, .states = NOT_RELAYED, .max = UINT32_MAX};
    return index_list(i, &f, on_row, owner);
}

struct pass {
    bool (*holds)(void *owner, uint32_t hash);
    bool (*on_row)(void *owner, const struct record_relayed *row);
    void *owner;
    struct sheet_reader reader;
};

static bool has_one(const struct pass *p, struct view hashes)
{
    for (size_t at = 0; at + 4 <= hashes.len; at += 4)
        if (p->holds(p->owner, get_le32(hashes.at + at)))
            return true;
    return false;
}

static struct view blob(sqlite3_stmt *s, int column)
{
    const uint8_t *at = sqlite3_column_blob(s, column);
    return (struct view){at, at ? (size_t)sqlite3_column_bytes(s, column) : 0};
}

/* What cannot be read was found to be sound when it was taken: then the file has changed. */
static enum result read_sheet(struct pass *p, struct view sheet)
{
    struct record_relayed row;
    enum result r = sheet_read(&p->reader, sheet) ? OK : ERR_IO;
    while (r == OK) {
        r = sheet_next(&p->reader, &row);
        if (r == OK && !p->on_row(p->owner, &row))
            return ERR_MEMORY;
    }
    return r == NEED_MORE ? OK : ERR_IO;
}

enum result index_where_relayed(struct index *i, bool (*holds)(void *owner, uint32_t hash),
                                bool (*on_row)(void *owner, const struct record_relayed *row), void *owner)
{
    struct pass *p = malloc(sizeof(*p));
    sqlite3_stmt *s = NULL;
    if (!p)
        return ERR_MEMORY;
    p->holds = holds;
    p->on_row = on_row;
    p->owner = owner;
    enum result r = OK;
    if (sqlite3_prepare_v2(i->db,
                           "SELECT p.hashes, s.deliveries FROM sheet_print p CROSS JOIN sheet s ON s.id = "
                           "p.sheet ORDER BY p.sheet",
                           -1, &s, NULL) != SQLITE_OK)
        r = index_failed(i);
    while (r == OK && (r = index_step(i, s)) == OK)
        if (has_one(p, blob(s, 0)))
            r = read_sheet(p, blob(s, 1));
    sqlite3_finalize(s);
    free(p);
    return r == NEED_MORE ? OK : r;
}
