/* Texts that repeat as numbers, studies as numbers, and counts that are added up over a transaction. */
#include <string.h>
#include <xxhash.h>

#include "spool/index_inside.h"

uint32_t index_hash(struct view text)
{
    return (uint32_t)XXH3_64bits(text.len > 0 ? (const void *)text.at : "", text.len);
}

void index_forget_cached(struct index *i)
{
    memset(i->names, 0, sizeof(i->names));
    memset(i->studies, 0, sizeof(i->studies));
}

/* Where a text is cached, or would be; NULL: it is too long for that. */
static struct index_name_cached *cached(struct index_name_cached *all, struct view text)
{
    uint32_t hash = index_hash(text);
    struct index_name_cached *c = &all[hash % INDEX_NAMES_CACHED];
    if (text.len > INDEX_NAME_CACHED_MAX)
        return NULL;
    if (c->number == 0 || c->hash != hash || c->len != text.len ||
        (text.len > 0 && memcmp(c->text, text.at, text.len) != 0)) {
        *c = (struct index_name_cached){.hash = hash, .len = (uint8_t)text.len};
        if (text.len > 0)
            memcpy(c->text, text.at, text.len);
    }
    return c;
}

enum result index_name_find(struct index *i, struct view text, int64_t *number_out)
{
    return index_number(i, INDEX_NAME_GET, 0, number_out, "SELECT number FROM name WHERE text = ?", "v",
                        text);
}

enum result index_name(struct index *i, struct view text, int64_t *number_out)
{
    struct index_name_cached *c = cached(i->names, text);
    if (c && c->number) {
        *number_out = c->number;
        return OK;
    }
    enum result r = index_name_find(i, text, number_out);
    if (r == OK && *number_out == 0) {
        r = index_do(i, INDEX_NAME_NEW, "INSERT INTO name(text) VALUES(?)", "v", text);
        *number_out = sqlite3_last_insert_rowid(i->db);
    }
    if (r == OK && c)
        c->number = *number_out;
    return r;
}

enum result index_study(struct index *i, struct view uid, uint64_t at_ms, int64_t *number_out)
{
    if (uid.len == 0) {
        *number_out = ++i->study;
        return OK;
    }
    struct index_name_cached *c = cached(i->studies, uid);
    if (c && c->number) {
        *number_out = c->number;
        return OK;
    }
    enum result r =
        index_number(i, INDEX_STUDY_GET, 0, number_out, "SELECT number FROM study WHERE uid = ?", "v", uid);
    if (r == OK && *number_out == 0) {
        *number_out = ++i->study;
        r = index_do(i, INDEX_STUDY_NEW, "INSERT INTO study VALUES(?, ?, ?)", "ivi", *number_out, uid,
                     (int64_t)at_ms);
    }
    if (r == OK && c)
        c->number = *number_out;
    return r;
}

enum result index_add(struct index *i, struct index_sums *sums, int64_t a, int64_t b, int64_t count,
                      int64_t bytes)
{
    for (size_t n = sums->count; n > 0; n--) {
        struct index_sum *s = &sums->of[n - 1];
        if (s->a == a && s->b == b) {
            s->count += count;
            s->bytes += bytes;
            return OK;
        }
    }
    if (sums->count == INDEX_SUMS_MAX) {
        enum result r = index_add_up(i, sums);
        if (r != OK)
            return r;
    }
    sums->of[sums->count++] = (struct index_sum){.a = a, .b = b, .count = count, .bytes = bytes};
    return OK;
}

static enum result add_one(struct index *i, const struct index_sums *sums, const struct index_sum *s)
{
    if (sums == &i->segments)
        return index_do(i, INDEX_SEGMENT_ADD,
                        "INSERT INTO segment VALUES(?, ?, ?) "
                        "ON CONFLICT DO UPDATE SET live = live + excluded.live",
                        "iii", s->a, s->b, s->count);
    return index_do(i, INDEX_TALLY_ADD,
                    "INSERT INTO tally VALUES(?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
                    "count = count + excluded.count, bytes = bytes + excluded.bytes",
                    "iiii", s->a, s->b, s->count, s->bytes);
}

enum result index_add_up(struct index *i, struct index_sums *sums)
{
    for (size_t n = 0; n < sums->count; n++) {
        enum result r = add_one(i, sums, &sums->of[n]);
        if (r != OK)
            return r;
    }
    sums->count = 0;
    return OK;
}
