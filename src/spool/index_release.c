/* Groups that on_study was asked about: they go, and what was added goes with them. */
#include "base/log.h"
#include "spool/index_inside.h"

/* --- what is added ----------------------------------------------------------------------------------------------- */

static enum result count_again(struct index *i, int64_t message)
{
    sqlite3_stmt *s =
        index_ask(i, INDEX_ADDED_WHERE, "SELECT segment, streams FROM message WHERE id = ?", "i", message);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK) {
        struct view streams = {sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1)};
        r = index_count_segments(i, streams, index_generation((spool_id)message),
                                 (uint32_t)sqlite3_column_int64(s, 0), 1);
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

/* All else that the message goes to may have ended meanwhile: an operator's order. Then its segments are counted again, if its bytes are still
 * there. */
static enum result may_live(struct index *i, int64_t message, bool *out)
{
    enum index_need need;
    RETURN_UNLESS_OK(index_has_bytes(i, (spool_id)message, out));
    RETURN_UNLESS_OK(index_message_need(i, (spool_id)message, &need));
    return *out && need == NEED_ENDED ? count_again(i, message) : OK;
}

static enum result insert_added(struct index *i, const struct record_added *a, int64_t node, uint64_t at_ms)
{
    return index_do(i, INDEX_ADDED_NEW,
                    "INSERT INTO delivery(id, message, node, state, study, route, due, attempts, queued, "
                    "changed, bytes, edition, received, held, sent, sent_instance) "
                    "SELECT ?, message, ?, 1, study, route, 0, 0, ?, ?, bytes, edition, received, held, sent,"
                    " sent_instance FROM delivery WHERE id = ?",
                    "iiiii", (int64_t)a->id, node, (int64_t)at_ms, (int64_t)at_ms, (int64_t)a->of);
}

static enum result add(struct index *i, const struct record_release *r, const struct record_added *a,
                       struct record_place where)
{
    struct index_delivery of, here;
    bool is_found, is_here, may;
    int64_t node;
    RETURN_UNLESS_OK(index_delivery_get(i, a->of, &of, &is_found));
    RETURN_UNLESS_OK(index_delivery_get(i, a->id, &here, &is_here));
    if (!is_found || is_here)
        return OK;
    RETURN_UNLESS_OK(may_live(i, of.message, &may));
    if (!may) {
        LOG(LOG_WARN, "an instance that on_study sends somewhere has gone meanwhile",
            LOG_INT("generation", a->of >> SPOOL_ID_BITS),
            LOG_INT("number", a->of & (((spool_id)1 << SPOOL_ID_BITS) - 1)));
        return OK;
    }
    RETURN_UNLESS_OK(index_name(i, record_release_node(r, a->node), &node));
    RETURN_UNLESS_OK(insert_added(i, a, node, r->at_ms));
    RETURN_UNLESS_OK(index_line_follow(i, a->id, a->of, node));
    RETURN_UNLESS_OK(index_do(i, INDEX_ADDED_NOTE, "INSERT INTO added VALUES(?, ?, ?, ?, ?)", "iiiii",
                              of.message, (int64_t)a->id, node, (int64_t)where.generation,
                              (int64_t)where.segment));
    RETURN_UNLESS_OK(index_do(i, INDEX_MESSAGE_MORE,
                              "UPDATE message SET live = live + 1, kept = kept + 1 WHERE id = ?", "i",
                              of.message));
    RETURN_UNLESS_OK(index_add(i, &i->segments, where.generation, where.segment, 1, 0));
    return index_add(i, &i->tally, node, SPOOL_QUEUED, 1, of.bytes);
}

enum result index_added_ended(struct index *i, int64_t message)
{
    sqlite3_stmt *s = index_ask(i, INDEX_ADDED_PLACES,
                                "SELECT generation, segment FROM added WHERE message = ?", "i", message);
    if (!s)
        return ERR_IO;
    enum result r;
    bool has_some = false;
    while ((r = index_step(i, s)) == OK) {
        has_some = true;
        r = index_add(i, &i->segments, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), -1, 0);
        if (r != OK)
            break;
    }
    index_done(s);
    if (r != NEED_MORE)
        return r;
    return has_some ? index_do(i, INDEX_ADDED_FORGET, "DELETE FROM added WHERE message = ?", "i", message)
                    : OK;
}

/* --- what goes ---------------------------------------------------------------------------------------------------- */

static enum result release(struct index *i, spool_id id, uint64_t at_ms, int64_t *group)
{
    struct index_delivery d;
    bool is_found;
    RETURN_UNLESS_OK(index_delivery_get(i, id, &d, &is_found));
    if (!is_found)
        return OK;
    *group = d.held;
    return d.state == SPOOL_HELD ? index_delivery_move(i, &d, d.node, SPOOL_QUEUED, 0, at_ms) : OK;
}

/* What came after it was asked about stays, and waits as a new group. */
static enum result end_group(struct index *i, int64_t group)
{
    return index_do(i, INDEX_RELEASE_DONE,
                    "DELETE FROM held WHERE number = ?1 AND NOT EXISTS"
                    " (SELECT 1 FROM delivery INDEXED BY by_held WHERE held = ?1 AND state = 0)",
                    "i", group);
}

enum result index_take_release(struct index *i, const struct record_release *r, struct record_place where)
{
    int64_t group = 0, last = 0;
    for (size_t n = 0; n < r->added_count; n++) {
        struct record_added a = record_release_added(r, n);
        RETURN_UNLESS_OK(add(i, r, &a, where));
    }
    for (size_t n = 0; n < r->released_count; n++) {
        RETURN_UNLESS_OK(release(i, record_release_id(r, n), r->at_ms, &group));
        if (last != 0 && last != group)
            RETURN_UNLESS_OK(end_group(i, last));
        last = group;
    }
    return last != 0 ? end_group(i, last) : OK;
}
