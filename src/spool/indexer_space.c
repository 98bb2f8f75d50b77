/* Segments that nobody needs any more are deleted, and folders of adopted generations when nothing is left in them. */
#include "base/log.h"
#include "io/disk.h"
#include "spool/indexer_inside.h"

enum { GIVE_BACK_MAX = 64 /* at once */ };

static bool may_go(struct indexer *ix, struct record_place p)
{
    if (p.generation != ix->held[0].number)
        return true; /* read to its end when it was adopted, and nobody writes it */
    return p.segment < ix->committed.segment && log_may_delete(ix->log, p.segment, ix->committed);
}

static bool delete_segment(struct indexer *ix, struct record_place p)
{
    char folder[SPOOL_PATH_MAX], file[SPOOL_PATH_MAX];
    if (!log_folder_path(ix->path, p.generation, folder) || !log_segment_path(folder, p.segment, file))
        return false;
    uint64_t bytes = indexer_segment_bytes(ix, p);
    enum io_error error = disk_unlink(file);
    if (error != IO_NONE && error != IO_NOT_FOUND) {
        LOG(LOG_WARN, "a segment of the spool cannot be deleted", LOG_STR("file", file),
            LOG_STR("why", disk_error_text()));
        return false;
    }
    log_released(ix->log, bytes);
    return true;
}

void indexer_remove_empty(struct indexer *ix)
{
    for (size_t n = ix->held_count; n > 1; n--) {
        struct generation *g = &ix->held[n - 1];
        uint32_t number = g->number;
        if (!spool_folder_remove_if_empty(ix->path, g))
            continue;
        LOG(LOG_INFO, "a generation of the spool is done", LOG_INT("generation", number));
        *g = ix->held[--ix->held_count];
    }
}

/* What was idle when it was looked at stays so, if the log agrees; but it must be known for good before the bytes go. */
enum result indexer_give_back(struct indexer *ix)
{
    struct record_place places[GIVE_BACK_MAX];
    size_t count, kept = 0;
    bool has_adopted = false;
    enum result r = index_idle_segments(ix->index, places, GIVE_BACK_MAX, &count);
    if (r == OK && count > 0)
        r = indexer_commit(ix);
    if (r != OK)
        return r;
    for (size_t n = 0; n < count; n++) {
        if (places[n].generation == ix->held[0].number && places[n].segment == ix->committed.segment)
            log_end_idle(ix->log, places[n].segment);
        if (may_go(ix, places[n]))
            places[kept++] = places[n];
    }
    if (kept == 0)
        return OK;
    r = index_checkpoint(ix->index);
    if (r != OK)
        return r == NEED_MORE ? OK : r;
    r = indexer_begin(ix);
    for (size_t n = 0; r == OK && n < kept; n++) {
        if (!delete_segment(ix, places[n]))
            continue;
        r = index_forget_segment(ix->index, places[n]);
        has_adopted = has_adopted || places[n].generation != ix->held[0].number;
    }
    if (r == OK && has_adopted) {
        indexer_remove_empty(ix);
        r = indexer_own(ix);
    }
    return r;
}
