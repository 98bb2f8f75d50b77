/*
 * Generations whose processes have gone: their logs are read to the end, and what is in them is delivered from here.
 *
 * What is found here was written, but perhaps never synced and never acknowledged. So every commit is looked at: one whose data are not what it says is
 * left out, unless the log proves that it was acknowledged. Then somebody counts on it, and it is kept as a failure for people to see. One whose
 * bytes were given back has ended: it is left out, too. (It is read again only if the index was lost.)
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/disk.h"
#include "spool/indexer_inside.h"

enum { RECOVER_COMMIT_MS = 500 };

struct recovery {
    struct indexer *ix;
    uint32_t generation;
    uint32_t last;   /* its last segment */
    uint64_t synced; /*   and how much of that was durable, as records in it say */
    uint64_t commits, damaged, left_out, given_back;
};

/* A segment that was given back held nothing that was live. */
static bool has_lost_a_segment(struct recovery *v, const struct record_commit *c)
{
    struct record_place *places = NULL;
    size_t count = 0;
    bool was = false;
    if (record_streams_places(c->streams, &places, &count) != OK)
        return false;
    for (size_t n = 0; n < count && !was; n++)
        was = spool_folder_segment_size(v->ix->path, places[n].generation, places[n].segment) == 0;
    free(places);
    return was;
}

static bool on_commit(void *owner, const struct record *r, const struct record_commit *c,
                      const char **damage_out)
{
    struct recovery *v = owner;
    char id[SPOOL_ID_TEXT];
    v->commits++;
    if (log_verify(v->ix->path, c->streams))
        return true;
    bool was_acknowledged = r->segment < v->last || r->offset + record_size(r) <= v->synced;
    if (log_was_punched(v->ix->path, c->streams) || (was_acknowledged && has_lost_a_segment(v, c))) {
        v->given_back++;
        return false;
    }
    spool_id_text(c->message, id);
    LOG(was_acknowledged ? LOG_ERROR : LOG_WARN,
        was_acknowledged ? "an acknowledged message of the queue is damaged on disk"
                         : "a message of the queue is not whole, and nothing says that it was acknowledged",
        LOG_STR("message", id), LOG_UID_TEXT("sop_instance", c->sop_instance.at, c->sop_instance.len),
        LOG_TEXT("calling", c->calling.at, c->calling.len));
    if (was_acknowledged)
        v->damaged++;
    else
        v->left_out++;
    *damage_out = "damaged on disk";
    return was_acknowledged;
}

/* --- reading it -------------------------------------------------------------------------------------------------- */

/* How much of the last segment was durable when its records were written. */
static enum result find_synced(struct recovery *v, const char *folder, struct log_position from,
                               struct log_position end)
{
    struct log_walk walk;
    struct record record;
    struct view payload;
    enum result r = OK;
    if (from.segment < end.segment)
        from = (struct log_position){.generation = end.generation, .segment = end.segment};
    log_walk_begin(&walk, folder, from);
    while (r == OK || r == ERR_PROTO) {
        r = log_walk_next(&walk, end, &record, &payload);
        if (r == OK && record.segment == end.segment && record.synced > v->synced)
            v->synced = record.synced;
    }
    log_walk_end(&walk);
    return r == NEED_MORE ? OK : r;
}

static enum result read_all(struct recovery *v, struct log_walk *walk, struct log_position end)
{
    struct indexer_judge judge = {.on_commit = on_commit, .owner = v};
    struct index *index = v->ix->index;
    uint64_t begun = clock_ms();
    enum result r = index_begin(index);
    while (r == OK || r == ERR_PROTO) {
        struct record record;
        struct view payload;
        r = log_walk_next(walk, end, &record, &payload);
        if (r == OK)
            r = indexer_apply(v->ix, v->generation, &record, payload, &judge);
        if (r == OK && clock_ms() > begun + RECOVER_COMMIT_MS) {
            r = index_commit(index, walk->at);
            if (r == OK)
                r = index_begin(index);
            begun = clock_ms();
        }
    }
    return r == NEED_MORE ? index_commit(index, walk->at) : r;
}

/* Files that the walk did not enter, since what they hold does not count: they go with the others. */
static enum result take_segments(struct indexer *ix, uint32_t generation)
{
    struct numbers all;
    enum result r = spool_folder_segments(ix->path, generation, &all);
    if (r != OK)
        return r;
    r = index_begin(ix->index);
    for (size_t n = 0; r == OK && n < all.count; n++)
        r = index_take_segment(ix->index, (struct record_place){generation, all.of[n]});
    free(all.of);
    return r == OK ? index_commit(ix->index, (struct log_position){0}) : r;
}

static enum result recover(struct indexer *ix, uint32_t generation)
{
    struct recovery v = {.ix = ix, .generation = generation};
    struct log_position from, end;
    struct log_walk walk;
    char folder[SPOOL_PATH_MAX];
    if (!log_folder_path(ix->path, generation, folder))
        return ERR_USAGE;
    enum result r = index_place(ix->index, generation, &from);
    from.generation = generation;
    if (r == OK)
        r = log_find_end(folder, from, &end);
    if (r != OK)
        return r;
    v.last = end.segment;
    r = find_synced(&v, folder, from, end);
    log_walk_begin(&walk, folder, from);
    if (r == OK)
        r = read_all(&v, &walk, end);
    log_walk_end(&walk);
    if (r == OK)
        r = take_segments(ix, generation);
    if (r != OK)
        index_abandon(ix->index);
    else
        LOG(LOG_INFO, "a generation of the spool is adopted", LOG_INT("generation", generation),
            LOG_INT("commits", v.commits), LOG_INT("damaged", v.damaged), LOG_INT("left_out", v.left_out),
            LOG_INT("given_back", v.given_back));
    return r;
}

/* --- holding it ----------------------------------------------------------------------------------------------------- */

enum result indexer_own(struct indexer *ix)
{
    uint32_t *own = malloc(ix->held_count * sizeof(*own));
    if (!own)
        return ERR_MEMORY;
    for (size_t n = 0; n < ix->held_count; n++)
        own[n] = ix->held[n].number;
    enum result r = index_own(ix->index, own, ix->held_count);
    free(own);
    return r;
}

static bool is_held(const struct indexer *ix, uint32_t generation)
{
    for (size_t n = 0; n < ix->held_count; n++) {
        if (ix->held[n].number == generation)
            return true;
    }
    return false;
}

/* NEED_MORE: somebody else holds it. */
static enum result adopt(struct indexer *ix, uint32_t generation)
{
    struct generation *held = realloc(ix->held, (ix->held_count + 1) * sizeof(*held));
    if (!held)
        return ERR_MEMORY;
    ix->held = held;
    struct generation *g = &held[ix->held_count];
    enum result r = spool_folder_hold(ix->path, generation, g);
    if (r == OK) {
        r = recover(ix, generation);
        if (r == OK)
            ix->held_count++;
        else
            spool_folder_release(g);
    }
    return r;
}

static const char *reason(const struct indexer *ix, enum result r)
{
    bool is_full;
    const char *of_index = index_failure(ix->index, &is_full);
    return r == ERR_USAGE    ? "of a newer Hilum"
           : r == ERR_MEMORY ? "no memory"
           : of_index        ? of_index
                             : disk_error_text();
}

enum result indexer_adopt_all(struct indexer *ix, char *why, size_t why_cap)
{
    struct numbers all;
    enum result r = spool_folder_generations(ix->path, &all);
    if (r != OK) {
        snprintf(why, why_cap, "%s: it cannot be read", ix->path);
        return r;
    }
    for (size_t n = 0; (r == OK || r == NEED_MORE) && n < all.count; n++) {
        if (is_held(ix, all.of[n]))
            continue;
        r = adopt(ix, all.of[n]);
        if (r != OK && r != NEED_MORE)
            snprintf(why, why_cap, "%s/%08u: %s", ix->path, all.of[n], reason(ix, r));
    }
    free(all.of);
    if (r != OK && r != NEED_MORE)
        return r;
    indexer_remove_empty(ix);
    return indexer_own(ix);
}

void indexer_adopt_late(struct indexer *ix)
{
    struct numbers all;
    size_t before = ix->held_count;
    if (spool_folder_generations(ix->path, &all) != OK)
        return;
    for (size_t n = 0; n < all.count; n++) {
        if (!is_held(ix, all.of[n])) {
            enum result r = adopt(ix, all.of[n]);
            if (r != OK && r != NEED_MORE)
                LOG(LOG_ERROR, "a generation of the spool cannot be adopted, it is tried again",
                    LOG_INT("generation", all.of[n]));
        }
    }
    free(all.of);
    if (ix->held_count == before)
        return;
    indexer_remove_empty(ix);
    if (indexer_own(ix) == OK)
        indexer_node_is_due(ix, NULL, 0);
    ix->study_wall_ms = 0;
}
