/* Whose bytes are needed, and whose are still there. */
#include <stdlib.h>

#include "spool/index_inside.h"

enum { GIVEN_BACK = -1 /* as message.live */ };

enum result index_segments(struct index *i,
                           bool (*on_segment)(void *owner, struct record_place p, int64_t live), void *owner)
{
    enum result r = i->is_begun ? index_add_up(i, &i->segments) : OK;
    sqlite3_stmt *s =
        r == OK ? index_ask(i, INDEX_SEGMENT_ALL,
                            "SELECT generation, number, live FROM segment ORDER BY generation, number", "")
                : NULL;
    if (!s)
        return ERR_IO;
    bool goes_on = true;
    while (goes_on && (r = index_step(i, s)) == OK) {
        struct record_place p = {.generation = (uint32_t)sqlite3_column_int64(s, 0),
                                 .segment = (uint32_t)sqlite3_column_int64(s, 1)};
        if (index_is_own(i, p.generation))
            goes_on = on_segment(owner, p, sqlite3_column_int64(s, 2));
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_message_need(struct index *i, spool_id message, enum index_need *out)
{
    *out = NEED_UNKNOWN;
    sqlite3_stmt *s =
        index_ask(i, INDEX_MESSAGE_NEED, "SELECT live FROM message WHERE id = ?", "i", (int64_t)message);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK) {
        int64_t live = sqlite3_column_int64(s, 0);
        *out = live > 0 ? NEED_LIVE : live == GIVEN_BACK ? NEED_GIVEN_BACK : NEED_ENDED;
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_give_back(struct index *i, spool_id message)
{
    return index_do(i, INDEX_MESSAGE_GIVE_BACK, "UPDATE message SET live = -1 WHERE id = ? AND live = 0", "i",
                    (int64_t)message);
}

/* --- what is there --------------------------------------------------------------------------------------------------- */

static enum result is_there(struct index *i, struct record_place p, bool *out)
{
    int64_t count;
    enum result r = index_number(i, INDEX_SEGMENT_GET, 0, &count,
                                 "SELECT count(*) FROM segment WHERE generation = ? AND number = ?", "ii",
                                 (int64_t)p.generation, (int64_t)p.segment);
    *out = count > 0;
    return r;
}

/* Without the segment of its commit nobody knows what is its: then its pieces in others may have been given back. */
static enum result are_there(struct index *i, struct view streams, struct record_place commit, bool *out)
{
    struct record_place *places = NULL;
    size_t count = 0;
    enum result r = record_streams_places(streams, &places, &count);
    if (r == OK)
        r = is_there(i, commit, out);
    for (size_t n = 0; r == OK && *out && n < count; n++)
        r = is_there(i, places[n], out);
    free(places);
    return r;
}

enum result index_has_bytes(struct index *i, spool_id message, bool *out)
{
    *out = false;
    RETURN_UNLESS_OK(i->is_begun ? index_add_up(i, &i->segments) : OK);
    sqlite3_stmt *s =
        index_ask(i, INDEX_MESSAGE_WHERE, "SELECT live, segment, streams FROM message WHERE id = ?", "i",
                  (int64_t)message);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK && sqlite3_column_int64(s, 0) > 0) {
        *out = true;
    } else if (r == OK && sqlite3_column_int64(s, 0) == 0) {
        struct view streams = {sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2)};
        struct record_place commit = {index_generation(message), (uint32_t)sqlite3_column_int64(s, 1)};
        r = are_there(i, streams, commit, out);
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}
