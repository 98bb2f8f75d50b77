/*
 * The ledger of what was relayed without the queue: sheets of deliveries as the log brought them (sheet.h), and just enough beside them to find
 * one. A row for each delivery would cost more than relaying it.
 *
 * The deliveries of a sheet have ids that follow each other, from the sheet's own. In lists it stands as a study that began when it came. By UID
 * sheets are found by their prints: hashes of all that are in them, which are gone through from the first to the last.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "spool/ids.h"
#include "spool/index_inside.h"
#include "spool/sheet.h"

/* --- taking ------------------------------------------------------------------------------------------------------- */

struct taken {
    struct sheet_reader reader;
    struct octets prints;
    uint32_t study; /* the last row's */
    int64_t count;
    uint64_t newest_ms;
};

static void add_print(struct taken *t, struct view uid)
{
    if (uid.len > 0)
        octets_le32(&t->prints, index_hash(uid));
}

/* Many in a row are of one. */
static void add_study(struct taken *t, struct view uid)
{
    uint32_t hash = uid.len > 0 ? index_hash(uid) : 0;
    if (uid.len > 0 && hash != t->study)
        octets_le32(&t->prints, hash);
    t->study = hash;
}

static enum result look_through(struct taken *t)
{
    struct record_relayed r;
    enum result result;
    while ((result = sheet_next(&t->reader, &r)) == OK) {
        t->count++;
        t->newest_ms = r.at_ms > t->newest_ms ? r.at_ms : t->newest_ms;
        add_print(t, r.sop_instance);
        if (r.sent_instance.at != r.sop_instance.at)
            add_print(t, r.sent_instance);
        add_study(t, r.study);
    }
    if (result == NEED_MORE && t->prints.failed)
        return ERR_MEMORY;
    return result == NEED_MORE && t->count > 0 ? OK : ERR_PROTO;
}

static enum result insert_nodes(struct index *i, const struct taken *t, int64_t id)
{
    for (unsigned way = 0; way < t->reader.way_count; way++) {
        int64_t node;
        RETURN_UNLESS_OK(index_name(i, sheet_node(&t->reader, way), &node));
        RETURN_UNLESS_OK(index_do(i, INDEX_SHEET_NODE_NEW, "INSERT OR IGNORE INTO sheet_node VALUES(?, ?)",
                                  "ii", node, id));
    }
    return OK;
}

static enum result insert(struct index *i, const struct taken *t)
{
    int64_t id = i->relayed + 1;
    struct view prints = {t->prints.data, t->prints.len};
    RETURN_UNLESS_OK(index_do(i, INDEX_SHEET_NEW, "INSERT INTO sheet VALUES(?, ?, ?, ?, ?)", "iiiib", id,
                              t->count, ++i->study, (int64_t)t->newest_ms, t->reader.sheet));
    RETURN_UNLESS_OK(insert_nodes(i, t, id));
    RETURN_UNLESS_OK(
        index_do(i, INDEX_SHEET_PRINT_NEW, "INSERT INTO sheet_print VALUES(?, ?)", "ib", id, prints));
    i->relayed += t->count;
    return OK;
}

enum result index_take_sheet(struct index *i, struct view sheet)
{
    struct taken *t = malloc(sizeof(*t));
    if (!t)
        return ERR_MEMORY;
    t->prints = (struct octets){0};
    t->study = 0;
    t->count = 0;
    t->newest_ms = 0;
    enum result r = sheet_read(&t->reader, sheet) ? look_through(t) : ERR_PROTO;
    if (r == OK)
        r = insert(i, t);
    octets_free(&t->prints);
    free(t);
    return r;
}

/* --- forgetting ----------------------------------------------------------------------------------------------------- */

static enum result forget(struct index *i, spool_id sheet)
{
    RETURN_UNLESS_OK(index_do(i, INDEX_SHEET_FORGET, "DELETE FROM sheet WHERE id = ?", "i", (int64_t)sheet));
    RETURN_UNLESS_OK(index_do(i, INDEX_SHEET_PRINT_FORGET, "DELETE FROM sheet_print WHERE sheet = ?", "i",
                              (int64_t)sheet));
    return index_do(i, INDEX_SHEET_NODE_FORGET,
                    "DELETE FROM sheet_node INDEXED BY sheet_nodes WHERE sheet = ?", "i", (int64_t)sheet);
}

enum result index_sheets_forget(struct index *i, uint64_t before_ms, unsigned max, unsigned *count_out)
{
    struct spool_ids old = {0};
    *count_out = 0;
    sqlite3_stmt *s =
        index_ask(i, INDEX_SHEETS_OLD,
                  "SELECT id FROM sheet INDEXED BY sheet_age WHERE newest < ? ORDER BY newest LIMIT ?", "ii",
                  (int64_t)before_ms, (int64_t)max);
    enum result r = index_ids(i, s, &old);
    for (size_t n = 0; r == OK && n < old.count; n++)
        r = forget(i, old.of[n]);
    *count_out = (unsigned)old.count;
    ids_free(&old);
    return r;
}

/* --- finding -------------------------------------------------------------------------------------------------------- */

/* has_print(hashes, hash) */
static void has_print(sqlite3_context *context, int count, sqlite3_value **of)
{
    const uint8_t *hashes = sqlite3_value_blob(of[0]);
    size_t bytes = (size_t)sqlite3_value_bytes(of[0]), at = 0;
    uint32_t hash = (uint32_t)sqlite3_value_int64(of[1]);
    (void)count;
    while (at + 4 <= bytes && get_le32(hashes + at) != hash)
        at += 4;
    sqlite3_result_int(context, at + 4 <= bytes);
}

bool index_sheets_prepare(sqlite3 *db)
{
    return sqlite3_create_function(db, "has_print", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, has_print,
                                   NULL, NULL) == SQLITE_OK;
}

enum result index_sheet_study(struct index *i, spool_id id, int64_t *study_out)
{
    return index_number(i, INDEX_SHEET_OF, -1, study_out,
                        "SELECT iif(?1 < id + count, study, NULL) FROM sheet WHERE id <= ?1 "
                        "ORDER BY id DESC LIMIT 1",
                        "i", (int64_t)id);
}

enum result index_sheets_behind(struct index *i, int64_t study, spool_id *id_out)
{
    int64_t id;
    enum result r = index_number(i, INDEX_SHEET_BEHIND, 0, &id,
                                 "SELECT id FROM sheet INDEXED BY sheet_order WHERE study > ? "
                                 "ORDER BY study LIMIT 1",
                                 "i", study);
    *id_out = (spool_id)id;
    return r;
}

struct index_sheets {
    struct index *i;
    const char *node; /* NULL: any */
    sqlite3_stmt *s;  /* of sheets: id, study, deliveries */
    bool is_open;     /* it stands on one */
    int64_t study;    /*   which stands in lists as this one, */
    spool_id next;    /*   and whose next delivery has this id */
    spool_id from;
    struct octets texts;
    struct sheet_reader reader;
};

/* From the sheet that has `from` on. */
#define FROM(sheet) sheet " >= coalesce((SELECT max(id) FROM sheet WHERE id <= ?1), 0)"

static enum result ask_sheets(struct index_sheets *all, const struct index_filter *f)
{
    static const char each[] = "SELECT id, study, deliveries FROM sheet WHERE " FROM("id") " ORDER BY id";
    static const char of_node[] =
        "SELECT s.id, s.study, s.deliveries FROM sheet_node n CROSS JOIN sheet s ON s.id = n.sheet "
        "WHERE n.node = ?2 AND " FROM("n.sheet") " ORDER BY n.sheet";
    static const char with_print[] =
        "SELECT s.id, s.study, s.deliveries FROM sheet_print p CROSS JOIN sheet s ON s.id = p.sheet "
        "WHERE " FROM("p.sheet") " AND has_print(p.hashes, ?2) ORDER BY p.sheet";
    const char *uid = f->instance ? f->instance : f->study;
    int64_t what = 0;
    if (!uid && f->node)
        RETURN_UNLESS_OK(index_name_find(all->i, view_of(f->node), &what));
    else if (uid)
        what = index_hash(view_of(uid));
    const char *sql = uid ? with_print : f->node ? of_node : each;
    if (sqlite3_prepare_v2(all->i->db, sql, -1, &all->s, NULL) != SQLITE_OK)
        return index_failed(all->i);
    sqlite3_bind_int64(all->s, 1, (int64_t)all->from);
    if (sql != each)
        sqlite3_bind_int64(all->s, 2, what);
    return OK;
}

enum result index_sheets_open(struct index *i, const struct index_filter *f, spool_id from,
                              struct index_sheets **out)
{
    struct index_sheets *all = malloc(sizeof(*all));
    *out = all;
    if (!all)
        return ERR_MEMORY;
    all->i = i;
    all->node = f->node;
    all->s = NULL;
    all->is_open = false;
    all->from = from;
    all->texts = (struct octets){0};
    return ask_sheets(all, f);
}

void index_sheets_close(struct index_sheets **all)
{
    struct index_sheets *it = *all;
    *all = NULL;
    if (!it)
        return;
    sqlite3_finalize(it->s);
    octets_free(&it->texts);
    free(it);
}

static enum result next_sheet(struct index_sheets *all)
{
    enum result r = index_step(all->i, all->s);
    if (r != OK)
        return r;
    struct view sheet = {sqlite3_column_blob(all->s, 2), (size_t)sqlite3_column_bytes(all->s, 2)};
    all->next = (spool_id)sqlite3_column_int64(all->s, 0);
    all->study = sqlite3_column_int64(all->s, 1);
    all->is_open = sheet_read(&all->reader, sheet);
    return OK;
}

/* Its texts as people's programs take them, each with its NUL. */
static bool fill_row(struct index_sheets *all, const struct record_relayed *r, struct index_row *row)
{
    *row = (struct index_row){.id = all->next - 1,
                              .is_relayed = true,
                              .state = SPOOL_RELAYED,
                              .queued_ms = r->at_ms,
                              .changed_ms = r->at_ms,
                              .bytes = r->bytes,
                              .attempts = 1,
                              .status = r->status,
                              .has_status = true,
                              .series = "",
                              .patient = "",
                              .transfer_syntax = ""};
    const struct {
        const char **to;
        struct view text;
    } texts[] = {{&row->node, r->node},
                 {&row->route, r->route},
                 {&row->calling, r->calling},
                 {&row->called, r->called},
                 {&row->remote, r->remote},
                 {&row->sop_class, r->sop_class},
                 {&row->sop_instance, r->sop_instance},
                 {&row->sent_instance, r->sent_instance},
                 {&row->study, r->study},
                 {&row->comment, r->comment}};
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
    size_t len = TEXTS;
    for (size_t n = 0; n < TEXTS; n++)
        len += texts[n].text.len;
    octets_clear(&all->texts);
    octets_fill(&all->texts, 0, len);
    char *at = (char *)all->texts.data;
    for (size_t n = 0; !all->texts.failed && n < TEXTS; n++) {
        *texts[n].to = at;
        if (texts[n].text.len > 0)
            memcpy(at, texts[n].text.at, texts[n].text.len);
        at += texts[n].text.len + 1;
    }
    return !all->texts.failed;
}

static bool is_of_node(const struct index_sheets *all, const struct record_relayed *r)
{
    return !all->node ||
           (strlen(all->node) == r->node.len && memcmp(all->node, r->node.at, r->node.len) == 0);
}

enum result index_sheets_next(struct index_sheets *all, int64_t *study_out, struct index_row *row_out)
{
    struct record_relayed r;
    for (;;) {
        enum result result = all->is_open ? sheet_next(&all->reader, &r) : NEED_MORE;
        if (result != OK) { /* its end; it was looked through when it was taken */
            all->is_open = false;
            RETURN_UNLESS_OK(next_sheet(all));
            continue;
        }
        if (all->next++ < all->from || !is_of_node(all, &r))
            continue;
        *study_out = all->study;
        return fill_row(all, &r, row_out) ? OK : ERR_MEMORY;
    }
}

enum result index_relayed(struct index *i, spool_id id, bool *is_found_out,
                          bool (*on_row)(void *owner, const struct index_row *row), void *owner)
{
    struct index_sheets *all;
    struct index_row row;
    int64_t study;
    *is_found_out = false;
    enum result r = index_sheets_open(i, &(struct index_filter){.node = NULL}, id, &all);
    if (r == OK)
        r = index_sheets_next(all, &study, &row);
    if (r == OK && row.id == id) {
        *is_found_out = true;
        (void)on_row(owner, &row);
    }
    index_sheets_close(&all);
    return r == NEED_MORE ? OK : r;
}
