/* What hilum queue asks of the gateway that runs, or of the next one. */
#include "spool/ids.h"
#include "spool/index_inside.h"

enum result index_order(struct index *i, const spool_id *ids, size_t count, bool drop, const char *to,
                        int64_t *ticket_out)
{
    *ticket_out = 0;
    enum result r = index_begin(i);
    for (size_t n = 0; r == OK && n < count; n++) {
        r = index_do(i, INDEX_ORDER_NEW, "INSERT INTO orders(id, dropped, node) VALUES(?, ?, ?)", "iit",
                     (int64_t)ids[n], (int64_t)drop, to ? to : "");
        *ticket_out = sqlite3_last_insert_rowid(i->db);
    }
    if (r == OK)
        r = index_commit(i, (struct log_position){0});
    if (r != OK)
        index_abandon(i);
    return r;
}

enum result index_orders_left(struct index *i, int64_t ticket, size_t *count_out)
{
    int64_t count;
    enum result r = index_number(i, INDEX_ORDERS_LEFT, 0, &count,
                                 "SELECT count(*) FROM orders WHERE number <= ?", "i", ticket);
    *count_out = (size_t)count;
    return r;
}

static void write_order(sqlite3_stmt *s, uint64_t at_ms, struct octets *out)
{
    struct record_order o = {
        .id = (spool_id)sqlite3_column_int64(s, 1),
        .drop = sqlite3_column_int(s, 2) != 0,
        .to = index_text(s, 3),
        .at_ms = at_ms,
    };
    record_order_write(out, &o);
}

enum result index_orders(struct index *i, uint64_t at_ms, const struct spool_ids *handed,
                         struct octets *record_out, unsigned max, int64_t *numbers_out, size_t *count_out)
{
    *count_out = 0;
    sqlite3_stmt *s =
        index_ask(i, INDEX_ORDERS, "SELECT number, id, dropped, node FROM orders ORDER BY number", "");
    if (!s)
        return ERR_IO;
    enum result r = OK;
    while (*count_out < max && (r = index_step(i, s)) == OK) {
        spool_id id = (spool_id)sqlite3_column_int64(s, 1);
        if (ids_hold(handed, id))
            continue;
        write_order(s, at_ms, record_out);
        numbers_out[(*count_out)++] = sqlite3_column_int64(s, 0);
    }
    index_done(s);
    if (r == NEED_MORE || r == OK)
        r = record_out->failed ? ERR_MEMORY : OK;
    return r;
}

enum result index_orders_done(struct index *i, const int64_t *numbers, size_t count)
{
    enum result r = OK;
    for (size_t n = 0; r == OK && n < count; n++)
        r = index_do(i, INDEX_ORDERS_DONE, "DELETE FROM orders WHERE number = ?", "i", numbers[n]);
    return r;
}

enum result index_orders_open(struct index *i, bool *are_left_out)
{
    size_t count;
    enum result r = index_orders_left(i, INT64_MAX, &count);
    *are_left_out = r != OK || count > 0;
    return r;
}
