/* The queue as a whole: how its parts are put together, and taken apart. */
#include "spool/spool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/disk.h"
#include "spool/commitments.h"
#include "spool/index.h"
#include "spool/indexer.h"
#include "spool/lines.h"
#include "spool/spare.h"
#include "spool/spool_folder.h"
#include "spool/spool_inside.h"

/* What the log leaves of the file system in any case: its outcomes and the index need some to give space back. */
enum { RESERVE_MIN = 16 << 20 };

static uint64_t reserve_of(uint64_t reserve)
{
    return reserve < RESERVE_MIN ? RESERVE_MIN : reserve;
}

/* --- opening --------------------------------------------------------------------------------------------------- */

static enum result open_index(const char *path, struct index **out, char *why, size_t why_cap)
{
    char file[SPOOL_PATH_MAX];
    if ((size_t)snprintf(file, sizeof(file), "%s/index.db", path) >= sizeof(file)) {
        snprintf(why, why_cap, "%.64s...: the path is too long", path);
        return ERR_USAGE;
    }
    enum result r = index_open(file, false, out, why, why_cap);
    if (r == OK && disk_sync_folder(path) != IO_NONE) {
        snprintf(why, why_cap, "%s: %s", path, disk_error_text());
        index_close(out);
        r = ERR_IO;
    }
    return r;
}

/* A generation of our own, and the indexer that looks after it. */
static enum result make_indexer(struct spool *s, const struct spool_options *o, char *why, size_t why_cap)
{
    struct index *index;
    struct generation own;
    uint32_t newest;
    enum result r = open_index(s->path, &index, why, why_cap);
    if (r != OK)
        return r;
    r = index_newest_generation(index, &newest);
    if (r != OK)
        snprintf(why, why_cap, "%s/index.db cannot be read", s->path);
    else
        r = spool_folder_new_generation(s->path, newest, &own, why, why_cap);
    if (r != OK) {
        index_close(&index);
        return r;
    }
    s->generation = own.number;
    s->indexer = indexer_new(s->path, index, own, o->history_ms);
    return s->indexer ? OK : ERR_MEMORY;
}

static enum result start_writer(struct spool *s, const struct spool_options *o, char *why, size_t why_cap)
{
    char folder[SPOOL_PATH_MAX];
    if (!log_folder_path(s->path, s->generation, folder))
        return ERR_USAGE;
    struct log_options options = {
        .folder = folder,
        .generation = s->generation,
        .max_bytes = o->max_bytes,
        .reserve = reserve_of(o->reserve),
        .spare = s->path,
        .other_bytes = spool_folder_bytes(s->path, s->generation),
        .on_published = indexer_on_published,
        .on_failed = indexer_on_failed,
        .owner = s->indexer,
    };
    return log_writer_open(&options, &s->log, why, why_cap);
}

static void close_parts(struct spool *s)
{
    commitments_close(&s->commitments);
    log_writer_close(&s->log);
    indexer_free(&s->indexer);
}

static enum result open_parts(struct spool *s, const struct spool_options *o, char *why, size_t why_cap)
{
    enum result r = make_indexer(s, o, why, why_cap);
    if (r == OK)
        r = indexer_adopt_all(s->indexer, why, why_cap);
    if (r == OK)
        r = start_writer(s, o, why, why_cap);
    if (r == OK) {
        r = indexer_start(s->indexer, s->log);
        if (r != OK)
            snprintf(why, why_cap, "no thread for the spool");
    }
    if (r == OK) {
        r = commitments_open(s->path, s->generation, &s->commitments, why, why_cap);
        if (r != OK)
            indexer_stop(s->indexer);
    }
    if (r != OK)
        close_parts(s);
    return r;
}

/* SQLite gives its files what the umask leaves, and those beside them what the first has: older versions of ours left them open to all. */
static void narrow_tables(const char *path)
{
    static const char *const names[] = {"index.db",       "index.db-wal",       "index.db-shm",
                                        "commitments.db", "commitments.db-wal", "commitments.db-shm"};
    char file[SPOOL_PATH_MAX];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (snprintf(file, sizeof(file), "%s/%s", path, names[i]) < (int)sizeof(file) &&
            disk_narrow(file) != IO_NONE)
            LOG(LOG_WARN, "others may read a file that names patients", LOG_STR("path", file),
                LOG_STR("cause", disk_error_text()));
}

enum result spool_prepare(const char *path, char *why, size_t why_cap)
{
    enum result r = spool_folder_prepare(path, why, why_cap);
    if (r == OK)
        narrow_tables(path);
    return r;
}

enum result spool_open(const struct spool_options *options, struct spool **out, char *why, size_t why_cap)
{
    *out = NULL;
    snprintf(why, why_cap, "no memory");
    enum result r = spool_folder_prepare(options->path, why, why_cap);
    if (r != OK)
        return r;
    struct spool *s = calloc(1, sizeof(*s));
    if (!s)
        return ERR_MEMORY;
    snprintf(s->path, sizeof(s->path), "%s", options->path); /* it was found to be short enough */
    r = open_parts(s, options, why, why_cap);
    if (r == ERR_IO && spare_use(s->path)) /* it may have been for want of room */
        r = open_parts(s, options, why, why_cap);
    if (r != OK) {
        free(s);
        return r;
    }
    spare_fill(s->path);
    *out = s;
    return OK;
}

void spool_close(struct spool **s)
{
    struct spool *it = *s;
    *s = NULL;
    if (!it)
        return;
    commitments_close(&it->commitments);
    /* Behind all that was given before, so that the indexer finds it written. If that fails there is no more to be had. */
    indexer_write_claims(it->indexer);
    (void)log_append(it->log, RECORD_OUTCOME, "", 0, true);
    indexer_stop(it->indexer);
    log_writer_close(&it->log);
    indexer_free(&it->indexer);
    free(it);
}

/* --- what belongs to the parts --------------------------------------------------------------------------------- */

void spool_set_limits(struct spool *s, uint64_t max_bytes, uint64_t reserve, uint64_t history_ms)
{
    log_set_limits(s->log, max_bytes, reserve_of(reserve));
    indexer_set_history(s->indexer, history_ms);
}

bool spool_is_well(const struct spool *s)
{
    return log_is_well(s->log) && indexer_is_well(s->indexer);
}

bool spool_segment_path(const struct spool *s, uint32_t generation, uint32_t segment,
                        char out[SPOOL_PATH_MAX])
{
    char folder[SPOOL_PATH_MAX];
    return log_folder_path(s->path, generation, folder) && log_segment_path(folder, segment, out);
}

bool spool_unnamed_folder(const struct spool *s, char out[SPOOL_PATH_MAX])
{
    return log_folder_path(s->path, s->generation, out);
}

bool spool_take_room(struct spool *s, uint64_t bytes)
{
    return log_take_room(s->log, bytes);
}

void spool_give_room(struct spool *s, uint64_t bytes)
{
    log_released(s->log, bytes);
}

struct spool_draft *spool_draft_new(struct spool *s)
{
    return log_draft_new(s->log);
}

void spool_write(struct spool *s, struct spool_write *w)
{
    if (w->commit && w->commit->facts.field > RECORD_C_STORE)
        lines_write(indexer_lines(s->indexer), log_draft_number(w->draft), w->commit);
    log_submit(s->log, w);
}

bool spool_is_in_line(struct spool *s, const char *node, struct view sent_instance)
{
    return lines_hold(indexer_lines(s->indexer), view_of(node), sent_instance);
}

void spool_feed_open(struct spool *s, struct spool_feed *f)
{
    indexer_feed_open(s->indexer, f);
}

void spool_feed_next(struct spool *s, struct spool_feed *f, unsigned max, struct spool_range range)
{
    indexer_feed_next(s->indexer, f, max, range);
}

void spool_feed_close(struct spool *s, struct spool_feed *f)
{
    indexer_feed_close(s->indexer, f);
}

void spool_studies_open(struct spool *s, struct spool_studies *st)
{
    indexer_studies_open(s->indexer, st);
}

bool spool_study_release(struct spool *s, struct spool_studies *st, const char *const *nodes, size_t count)
{
    return indexer_study_release(s->indexer, st, nodes, count);
}

void spool_studies_close(struct spool *s, struct spool_studies *st)
{
    indexer_studies_close(s->indexer, st);
}

/* Expected first: the log may be quicker. */
void spool_outcome(struct spool *s, const struct spool_outcome *o)
{
    struct octets record = {0};
    indexer_expect(s->indexer, o);
    record_outcome_write(&record, o);
    if (!record.failed)
        (void)log_append(s->log, RECORD_OUTCOME, record.data, record.len, false);
    octets_free(&record);
}
