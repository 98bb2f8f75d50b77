/* Requests that go to their node one after another: which entries stand in line, and who is told of it. A table of its own, that came after the others. */
#include "spool/index_inside.h"

bool index_lines_prepare(sqlite3 *db)
{
    return sqlite3_exec(db,
                        "CREATE TABLE IF NOT EXISTS line(entry INTEGER PRIMARY KEY, node INTEGER NOT NULL,"
                        " instance TEXT NOT NULL);"
                        "CREATE INDEX IF NOT EXISTS line_order ON line(node, instance);",
                        NULL, NULL, NULL) == SQLITE_OK;
}

void index_watch_lines(struct index *i,
                       void (*on_line)(void *owner, struct view node, struct view instance, int by),
                       void *owner)
{
    i->on_line = on_line;
    i->line_owner = owner;
}

static enum result tell(struct index *i, int64_t node, struct view instance, int by)
{
    if (!i->on_line)
        return OK;
    sqlite3_stmt *s = index_ask(i, INDEX_NAME_TEXT, "SELECT text FROM name WHERE number = ?", "i", node);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK)
        i->on_line(i->line_owner, index_text(s, 0), instance, by);
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_line_join(struct index *i, spool_id entry, int64_t node, struct view instance)
{
    RETURN_UNLESS_OK(index_do(i, INDEX_LINE_NEW, "INSERT OR REPLACE INTO line VALUES(?, ?, ?)", "iiv",
                              (int64_t)entry, node, instance));
    return tell(i, node, instance, 1);
}

/* What a statement gives back of the entry: its node and its instance. OK with *is_there_out false: it is not in line. */
static enum result took(struct index *i, sqlite3_stmt *s, int by, bool *is_there_out)
{
    *is_there_out = false;
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK) {
        *is_there_out = true;
        r = tell(i, sqlite3_column_int64(s, 0), index_text(s, 1), by);
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_line_follow(struct index *i, spool_id entry, spool_id of, int64_t node)
{
    bool is_there;
    return took(i,
                index_ask(i, INDEX_LINE_FOLLOW,
                          "INSERT INTO line SELECT ?, ?, instance FROM line WHERE entry = ?"
                          " RETURNING node, instance",
                          "iii", (int64_t)entry, node, (int64_t)of),
                1, &is_there);
}

enum result index_line_leave(struct index *i, spool_id entry)
{
    bool is_there;
    enum result r =
        took(i,
             index_ask(i, INDEX_LINE_LEAVE, "DELETE FROM line WHERE entry = ? RETURNING node, instance", "i",
                       (int64_t)entry),
             -1, &is_there);
    i->line_has_moved = i->line_has_moved || is_there;
    return r;
}

enum result index_line_change(struct index *i, spool_id entry, int64_t node)
{
    bool was_there, is_there;
    RETURN_UNLESS_OK(took(
        i,
        index_ask(i, INDEX_LINE_GET, "SELECT node, instance FROM line WHERE entry = ?", "i", (int64_t)entry),
        -1, &was_there));
    if (!was_there)
        return OK;
    i->line_has_moved = true;
    return took(i,
                index_ask(i, INDEX_LINE_CHANGE,
                          "UPDATE line SET node = ? WHERE entry = ? RETURNING node, instance", "ii", node,
                          (int64_t)entry),
                1, &is_there);
}

bool index_line_has_moved(struct index *i)
{
    bool has = i->line_has_moved;
    i->line_has_moved = false;
    return has;
}

enum result index_lines(struct index *i, void (*on_line)(void *owner, struct view node, struct view instance),
                        void *owner)
{
    sqlite3_stmt *s = index_ask(i, INDEX_LINES,
                                "SELECT (SELECT text FROM name WHERE number = node), instance FROM line", "");
    if (!s)
        return ERR_IO;
    enum result r;
    while ((r = index_step(i, s)) == OK)
        on_line(owner, index_text(s, 0), index_text(s, 1));
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_line_before(struct index *i, spool_id entry, spool_id *before_out)
{
    int64_t before;
    enum result r =
        index_number(i, INDEX_LINE_BEFORE, 0, &before,
                     "SELECT min(b.entry) FROM line l JOIN line b ON b.node = l.node AND b.instance ="
                     " l.instance AND b.entry < l.entry WHERE l.entry = ?",
                     "i", (int64_t)entry);
    *before_out = (spool_id)before;
    return r;
}
