#include "spool/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "io/disk.h"
#include "spool/index_inside.h"
#include "spool/spool_folder.h"

enum { VERSION_BYTES = 32, LOOK_PAUSE_NS = 10000000 };
static const char version_head[] = "hilum spool ";

/* --- the folder ------------------------------------------------------------------------------------------------ */

static bool path_in(const char *path, const char *name, char out[SPOOL_PATH_MAX])
{
    return snprintf(out, SPOOL_PATH_MAX, "%s/%s", path, name) < SPOOL_PATH_MAX;
}

bool look_index_path(const char *path, char out[SPOOL_PATH_MAX])
{
    return path_in(path, "index.db", out);
}

/* "hilum spool 1" and a line's end. 0: it is something else. */
static unsigned long version_of(const char *text)
{
    char *end;
    if (strncmp(text, version_head, sizeof(version_head) - 1) != 0)
        return 0;
    unsigned long version = strtoul(text + sizeof(version_head) - 1, &end, 10);
    return *end == '\0' || *end == '\n' ? version : 0;
}

static enum result judge_version(const char *path, const char *text, char *why, size_t why_cap)
{
    unsigned long version = version_of(text);
    if (version == 0)
        snprintf(why, why_cap, "%s: this is no folder of a queue", path);
    else if (version > SPOOL_VERSION)
        snprintf(why, why_cap, "%s: the queue is of a newer Hilum: version %lu, and this one knows %d", path,
                 version, SPOOL_VERSION);
    else
        return OK;
    return ERR_USAGE;
}

enum result look_at_folder(const char *path, char *why, size_t why_cap)
{
    char file[SPOOL_PATH_MAX], text[VERSION_BYTES + 1] = "";
    size_t n;
    int fd;
    if (!path_in(path, "version", file)) {
        snprintf(why, why_cap, "%s: the path is too long", path);
        return ERR_USAGE;
    }
    enum io_error error = disk_open(file, DISK_READ, &fd);
    if (error == IO_NOT_FOUND) {
        snprintf(why, why_cap, "%s: there is no queue: the gateway makes it when it starts", path);
        return ERR_USAGE;
    }
    if (error == IO_NONE)
        error = disk_read(fd, text, VERSION_BYTES, 0, &n);
    if (error != IO_NONE)
        snprintf(why, why_cap, "%s: %s", file, disk_error_text());
    disk_close(fd);
    return error == IO_NONE ? judge_version(path, text, why, why_cap) : ERR_IO;
}

/* --- generations ----------------------------------------------------------------------------------------------- */

/* Opened for reading only: whoever looks may not be allowed more. */
static enum result try_lock(const char *path, uint32_t generation, bool *is_free_out, char *why,
                            size_t why_cap)
{
    char folder[SPOOL_PATH_MAX], file[SPOOL_PATH_MAX];
    int fd;
    *is_free_out = true;
    if (!log_folder_path(path, generation, folder) || !path_in(folder, "lock", file))
        return ERR_USAGE;
    enum io_error error = disk_open(file, DISK_READ, &fd);
    if (error == IO_NOT_FOUND)
        return OK; /* not taken yet, or just given up */
    if (error == IO_NONE)
        error = disk_lock(fd, is_free_out);
    if (error != IO_NONE)
        snprintf(why, why_cap, "%s: %s", file, disk_error_text());
    disk_close(fd);
    return error == IO_NONE ? OK : ERR_IO;
}

enum result look_is_in_use(const char *path, bool *is_in_use_out, char *why, size_t why_cap)
{
    struct numbers all;
    bool is_free = true;
    *is_in_use_out = false;
    enum result r = spool_folder_generations(path, &all);
    if (r != OK)
        snprintf(why, why_cap, "%s: %s", path, disk_error_text());
    for (size_t n = 0; r == OK && is_free && n < all.count; n++)
        r = try_lock(path, all.of[n], &is_free, why, why_cap);
    free(all.of);
    *is_in_use_out = r == OK && !is_free;
    return r;
}

/* Where the log of a generation ends, as its files say; zeroes: it has none. */
static enum result end_of(const char *path, uint32_t generation, struct log_position *out)
{
    struct numbers segments;
    enum result r = spool_folder_segments(path, generation, &segments);
    *out = (struct log_position){.generation = generation};
    if (r == OK && segments.count > 0) {
        out->segment = segments.of[segments.count - 1];
        out->offset = spool_folder_segment_size(path, generation, out->segment);
    }
    free(segments.of);
    return r;
}

/* What ends before its last segment does has not been read to its end. */
static enum result is_before(struct index *i, const struct log_position *end, bool *is_before_out)
{
    struct log_position place;
    enum result r = index_place(i, end->generation, &place);
    *is_before_out =
        place.segment < end->segment || (place.segment == end->segment && place.offset < end->offset);
    return r;
}

static enum result compare_end(const char *path, struct index *i, uint32_t generation, bool *is_behind_out)
{
    struct log_position end;
    enum result r = end_of(path, generation, &end);
    *is_behind_out = false;
    return r == OK && end.segment > 0 ? is_before(i, &end, is_behind_out) : r;
}

enum result look_ends(const char *path, struct look_ends *out)
{
    struct numbers all;
    *out = (struct look_ends){0};
    enum result r = spool_folder_generations(path, &all);
    if (r == OK)
        out->of = malloc((all.count + 1) * sizeof(*out->of));
    if (r == OK && !out->of)
        r = ERR_MEMORY;
    for (size_t n = 0; r == OK && n < all.count; n++) {
        r = end_of(path, all.of[n], &out->of[out->count]);
        out->count += r == OK && out->of[out->count].segment > 0;
    }
    free(all.of);
    return r;
}

enum result look_has_reached(struct index *i, const struct look_ends *ends, bool *out)
{
    bool is_behind = false;
    enum result r = OK;
    for (size_t n = 0; r == OK && !is_behind && n < ends->count; n++)
        r = is_before(i, &ends->of[n], &is_behind);
    *out = !is_behind;
    return r;
}

void look_ends_free(struct look_ends *ends)
{
    free(ends->of);
    *ends = (struct look_ends){0};
}

enum result look_wait(const char *path, struct index *i, uint64_t ms)
{
    uint64_t until_ms = clock_ms() + ms;
    struct look_ends ends;
    bool has_reached = false;
    enum result r = look_ends(path, &ends);
    while (r == OK && !has_reached) {
        r = look_has_reached(i, &ends, &has_reached);
        if (clock_ms() >= until_ms)
            break;
        if (!has_reached)
            nanosleep(&(struct timespec){.tv_nsec = LOOK_PAUSE_NS}, NULL);
    }
    look_ends_free(&ends);
    return r;
}

enum result look_is_behind(const char *path, struct index *i, bool *is_behind_out)
{
    struct numbers all;
    *is_behind_out = false;
    enum result r = spool_folder_generations(path, &all);
    for (size_t n = 0; r == OK && !*is_behind_out && n < all.count; n++)
        r = compare_end(path, i, all.of[n], is_behind_out);
    free(all.of);
    return r;
}

/* --- rows ------------------------------------------------------------------------------------------------------ */

/* A statement of its own: this is asked for a few ids, not kept prepared. */
static enum result prepare(struct index *i, const char *sql, spool_id id, sqlite3_stmt **out)
{
    if (sqlite3_prepare_v2(i->db, sql, -1, out, NULL) != SQLITE_OK ||
        sqlite3_bind_int64(*out, 1, (int64_t)id) != SQLITE_OK) {
        sqlite3_finalize(*out);
        *out = NULL;
        return index_failed(i);
    }
    return OK;
}

/* By way of its instance, for which there is an index: the first row behind the id before. */
enum result look_row(struct index *i, spool_id id, bool *is_found_out,
                     bool (*on_row)(void *owner, const struct index_row *row), void *owner)
{
    sqlite3_stmt *s;
    *is_found_out = false;
    if (id == 0 || id > INT64_MAX)
        return OK;
    if (index_generation(id) == 0)
        return index_relayed(i, id, is_found_out, on_row, owner);
    enum result r = prepare(
        i, "SELECT m.instance FROM delivery d JOIN message m ON m.id = d.message WHERE d.id = ?", id, &s);
    if (r == OK)
        r = index_step(i, s);
    if (r == OK) {
        const char *instance = (const char *)sqlite3_column_text(s, 0);
        struct index_filter f = {.instance = instance ? instance : "", .after = id - 1, .max = 1};
        *is_found_out = true;
        r = index_list(i, &f, on_row, owner);
    }
    sqlite3_finalize(s);
    return r == NEED_MORE ? OK : r;
}

static bool on_state(void *owner, const struct index_row *row)
{
    *(enum spool_state *)owner = row->state;
    return false;
}

enum result look_state(struct index *i, spool_id id, bool *is_found_out, enum spool_state *out)
{
    sqlite3_stmt *s;
    *is_found_out = false;
    if (id > INT64_MAX)
        return OK;
    if (index_generation(id) == 0)
        return index_relayed(i, id, is_found_out, on_state, out);
    enum result r = prepare(i, "SELECT state FROM delivery WHERE id = ?", id, &s);
    if (r == OK)
        r = index_step(i, s);
    if (r == OK) {
        *is_found_out = true;
        *out = (enum spool_state)sqlite3_column_int(s, 0);
    }
    sqlite3_finalize(s);
    return r == NEED_MORE ? OK : r;
}

/* --- bytes ----------------------------------------------------------------------------------------------------- */

enum result look_stream(const char *path, const struct spool_stream *stream,
                        bool (*on_bytes)(void *owner, struct view bytes), void *owner)
{
    uint32_t most = 1;
    for (size_t n = 0; n < stream->count; n++)
        most = stream->extents[n].bytes > most ? stream->extents[n].bytes : most;
    if (most > SPOOL_PIECE_MAX)
        return ERR_PROTO; /* no draft writes larger pieces */
    uint8_t *bytes = malloc(most);
    enum result r = bytes ? OK : ERR_MEMORY;
    for (size_t n = 0; r == OK && n < stream->count; n++) {
        r = log_read_extent(path, &stream->extents[n], bytes);
        if (r == OK && !on_bytes(owner, (struct view){bytes, stream->extents[n].bytes}))
            break;
    }
    free(bytes);
    return r;
}
