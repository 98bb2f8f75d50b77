/* The writer's thread: takes what waits, writes it, syncs it, answers. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/assert.h"
#include "base/log.h"
#include "io/disk.h"
#include "spool/log_inside.h"
#include "spool/spare.h"

enum {
    GROUP_BYTES = 8 << 20, /* no more than this waits for one sync */
    SEGMENTS_MIN = 16,     /* that what there is room for is divided into at least */
    SEGMENT_MIN = 64 << 10,
    IDLE_MIN = 4096,       /* less is not worth another file */
    AHEAD_BYTES = 8 << 20, /* that the segment may take before it needs them, */
    AHEAD_ROOM = 64,       /*   if there is so many times as much */
    PROBE_MS = 1000,
    PROBE_ROOM = 4 * SPOOL_PIECE_MAX,
};

/* --- limits ------------------------------------------------------------------------------------------------------ */

/* What drafts may still write. A disk that does not say what it has left is found out by writing. */
static uint64_t room_left(struct log_writer *w)
{
    uint64_t max = atomic_load(&w->max_bytes), used = atomic_load(&w->used),
             reserve = atomic_load(&w->reserve);
    uint64_t room = max == 0 ? UINT64_MAX : max > used ? max - used : 0, free_bytes;
    if (reserve > 0 && disk_free_bytes(w->folder, &free_bytes) == IO_NONE) {
        uint64_t left = free_bytes > reserve ? free_bytes - reserve : 0;
        room = left < room ? left : room;
    }
    return room;
}

/* What is used, and what may be. */
static uint64_t capacity(const struct log_writer *w, uint64_t room)
{
    uint64_t used = atomic_load(&w->used);
    return room < UINT64_MAX - used ? used + room : UINT64_MAX;
}

/* Space comes back by whole segments: where there is little, whatever the limit, they are small. */
static uint64_t segment_bytes(const struct log_writer *w, uint64_t room)
{
    uint64_t bytes = capacity(w, room) / SEGMENTS_MIN;
    return bytes > LOG_SEGMENT_BYTES ? LOG_SEGMENT_BYTES : bytes < SEGMENT_MIN ? SEGMENT_MIN : bytes;
}

static void set_well(struct log_writer *w, bool is_well, const char *why)
{
    if (atomic_exchange(&w->is_well, is_well) == is_well)
        return;
    if (is_well)
        LOG(LOG_INFO, "the spool can be written again", LOG_STR("folder", w->folder));
    else
        LOG(LOG_ERROR, "the spool cannot be written", LOG_STR("folder", w->folder), LOG_STR("why", why));
}

/* --- a segment for the group ---------------------------------------------------------------------------------------- */

static void give_up(struct log_writer *w)
{
    struct log_segment *s = &w->segment;
    pthread_mutex_lock(&w->lock);
    if (s->is_deleted)
        log_drafts_break_all(w); /* who deletes one may have deleted others */
    else
        log_drafts_break(w, s->number, s->synced);
    pthread_mutex_unlock(&w->lock);
    atomic_fetch_sub(&w->used, s->end - s->synced);
    log_segment_give_up(s);
}

/* A place where what has to be known of the new segment can be kept. False without memory. */
static bool keep_segment(struct log_writer *w)
{
    size_t need = (size_t)w->segment.number + 1;
    bool is_kept = true;
    pthread_mutex_lock(&w->lock);
    if (need > w->kept_count) {
        size_t count = need * 2;
        struct log_kept *more = realloc(w->kept, count * sizeof(*more));
        is_kept = more != NULL;
        for (size_t i = w->kept_count; more && i < count; i++)
            more[i] = (struct log_kept){.is_for_good = false};
        w->kept = more ? more : w->kept;
        w->kept_count = more ? count : w->kept_count;
    }
    if (is_kept)
        w->kept[w->segment.number].is_for_good = w->segment.follows_given_up;
    pthread_mutex_unlock(&w->lock);
    return is_kept;
}

static void end_segment(struct log_writer *w)
{
    if (log_segment_sync(&w->segment))
        log_segment_seal(&w->segment);
    else
        give_up(w);
}

/* Without room even for its first record, by what is kept for that. */
static bool open_segment(struct log_writer *w)
{
    if (log_segment_open(&w->segment))
        return true;
    return w->segment.error == IO_NO_SPACE && w->spare && spare_use(w->spare) &&
           log_segment_open(&w->segment);
}

/* One that is not full. False: there is none, segment.error says why. */
static bool have_segment(struct log_writer *w)
{
    struct log_segment *s = &w->segment;
    if (s->fd >= 0 && s->end < w->segment_bytes)
        return true;
    if (s->fd >= 0)
        end_segment(w);
    s->full = w->segment_bytes;
    if (!open_segment(w))
        return false;
    atomic_fetch_add(&w->used, s->end);
    if (keep_segment(w))
        return true;
    s->error = IO_OTHER;
    give_up(w);
    return false;
}

/* --- a group ------------------------------------------------------------------------------------------------------------ */

static bool has_writes(const struct log_group *g)
{
    for (const struct spool_write *write = g->writes; write; write = write->next)
        if (write->error == SPOOL_DONE)
            return true;
    return false;
}

static void fail_writes(struct log_group *g, enum spool_error error)
{
    for (struct spool_write *write = g->writes; write; write = write->next) {
        if (write->error == SPOOL_DONE)
            log_group_refuse(g, write, error);
    }
}

static enum spool_error error_of(const struct log_writer *w)
{
    return w->segment.error == IO_NO_SPACE ? SPOOL_FULL : SPOOL_FAILED;
}

/* True: all that has no error is written, and synced if it has to be. */
static bool try_group(struct log_writer *w, struct log_group *g)
{
    struct log_segment *s = &w->segment;
    if (!have_segment(w))
        return false;
    log_group_lay_out(g, w);
    if (g->bytes == 0)
        return true;
    uint64_t bytes = g->bytes;
    if (log_segment_write(s, g->parts, g->count, bytes)) {
        atomic_fetch_add(&w->used, bytes);
        w->counts.groups++;
        w->counts.bytes += bytes;
        w->counts.syncs += g->wants_sync;
        if (!g->wants_sync || log_segment_sync(s))
            return true;
        log_group_undo(g);
        give_up(w);
        return false;
    }
    log_group_undo(g);
    if (s->error == IO_NO_SPACE && log_segment_cut_back(s))
        fail_writes(g, SPOOL_FULL); /* what is left of the group may still fit */
    else
        give_up(w);
    return false;
}

/* What became of it says how well the log is; a draft that had failed before says nothing. */
static void judge(struct log_writer *w, struct log_group *g, bool is_written)
{
    for (struct log_append *a = g->appends; a; a = a->next)
        a->is_good = a->is_good && is_written;
    if (!is_written && g->appends && !w->has_told_dropped)
        LOG(LOG_ERROR, "outcomes and notes could not be written, the log does without them",
            LOG_STR("folder", w->folder));
    w->has_told_dropped = !is_written;
    if (g->refused == SPOOL_FULL)
        atomic_store(&w->wants_room, true);
    if (!is_written || g->refused == SPOOL_FAILED)
        set_well(w, false, io_error_name(w->segment.error));
    else if (g->refused == SPOOL_FULL)
        set_well(w, false, "it is full");
    else if (has_writes(g))
        set_well(w, true, NULL);
}

static void write_group(struct log_writer *w, struct log_group *g)
{
    w->segment.is_quiet = !atomic_load(&w->is_well);
    g->refused = SPOOL_DONE;
    g->room = 0;
    if (g->writes) {
        g->room = room_left(w);
        w->segment_bytes = segment_bytes(w, g->room);
    }
    w->segment.ahead = g->room / AHEAD_ROOM >= AHEAD_BYTES ? AHEAD_BYTES : 0;
    bool is_written = try_group(w, g);
    if (!is_written && (g->appends || has_writes(g)))
        is_written = try_group(w, g);
    if (!is_written)
        fail_writes(g, error_of(w));
    judge(w, g, is_written);
}

/* --- answers -------------------------------------------------------------------------------------------------------------- */

static void on_answer(struct io_message *m)
{
    struct spool_write *write =
        (struct spool_write *)(void *)((char *)m - offsetof(struct spool_write, message));
    write->on_done(write, write->error);
}

static void answer_writes(struct log_writer *w, struct log_group *g)
{
    for (struct spool_write *write = g->writes, *next; write; write = next) {
        next = write->next; /* posted, it is its owner's */
        if (write->commit && write->error != SPOOL_DONE && w->on_failed)
            w->on_failed(w->owner, write->draft->number);
        write->message.on_message = on_answer;
        io_post(write->io, &write->message);
    }
    g->writes = NULL;
}

/* Those who wait; the lock is held. */
static void answer_awaited(struct log_writer *w, struct log_group *g)
{
    for (struct log_append **link = &g->appends, *a; (a = *link);) {
        if (!a->is_awaited) {
            link = &a->next;
            continue;
        }
        *link = a->next; /* done, it is its caller's */
        a->is_done = true;
    }
    pthread_cond_broadcast(&w->has_appended);
}

static void answer_appends(struct log_group *g)
{
    for (struct log_append *a = g->appends, *next; a; a = next) {
        next = a->next;
        if (a->io) {
            *a->is_good_out = a->is_good;
            io_post(a->io, a->message);
        }
        free(a);
    }
    g->appends = NULL;
}

/* Lock held. Segments that the group's commits refer to stay until an index has gone past it. */
static void keep_referred(struct log_writer *w, const struct log_group *g)
{
    for (const struct spool_write *write = g->writes; write; write = write->next) {
        if (!write->commit || write->error != SPOOL_DONE || write->draft->first_segment == 0)
            continue;
        for (uint32_t i = write->draft->first_segment; i <= write->draft->last_segment; i++)
            w->kept[i].behind = w->published;
    }
}

static void publish(struct log_writer *w, struct log_group *g)
{
    const struct log_segment *s = &w->segment;
    pthread_mutex_lock(&w->lock);
    struct log_position end = {s->generation, s->number, s->end};
    bool has_moved = s->fd >= 0 && log_position_before(w->published, end);
    if (has_moved)
        w->published = end;
    keep_referred(w, g);
    if (g->appends)
        answer_awaited(w, g);
    pthread_mutex_unlock(&w->lock);
    answer_appends(g);
    answer_writes(w, g);
    if (has_moved && w->on_published)
        w->on_published(w->owner);
}

/* --- the thread -------------------------------------------------------------------------------------------------------------- */

/* The front of what was taken, no more than a sync should wait for. */
static void take_group(struct log_writer *w, struct log_group *g)
{
    uint64_t bytes = w->segment.fd >= 0 ? w->segment.end : 0;
    uint64_t full = w->segment_bytes;
    uint64_t most = bytes < full && full - bytes < GROUP_BYTES ? full - bytes : GROUP_BYTES;
    struct spool_write **end = &w->taken;
    g->writes = w->taken;
    for (bytes = 0; *end && bytes < most; end = &(*end)->next)
        for (unsigned i = 0; i < (*end)->part_count; i++)
            bytes += (*end)->parts[i].len;
    struct spool_write *rest = *end;
    *end = NULL;
    w->taken = rest;
}

/* Lock held. False: it is time for a probe. */
static bool wait_for_work(struct log_writer *w)
{
    struct timespec until;
    if (atomic_load(&w->is_well)) {
        pthread_cond_wait(&w->has_work, &w->lock);
        return true;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += PROBE_MS / 1000;
    return pthread_cond_timedwait(&w->has_work, &w->lock, &until) == 0;
}

/* Everything that waits, into w->taken and the group. False: the thread ends. *idle_out: a segment to be ended, or 0. *probe_out: nothing waits, but
 * it is time to try. */
static bool take_work(struct log_writer *w, struct log_group *g, uint32_t *idle_out, bool *probe_out)
{
    *probe_out = false;
    pthread_mutex_lock(&w->lock);
    while (!w->writes && !w->appends && w->idle == 0 && !w->is_stopping && !*probe_out)
        *probe_out = !wait_for_work(w);
    *idle_out = w->idle;
    w->idle = 0;
    bool goes_on = w->writes || w->appends || !w->is_stopping;
    w->taken = w->writes;
    g->appends = w->appends;
    w->writes = NULL;
    w->writes_end = &w->writes;
    w->appends = NULL;
    w->appends_end = &w->appends;
    pthread_mutex_unlock(&w->lock);
    return goes_on;
}

/* An outcome of nothing, synced. */
static void probe(struct log_writer *w, struct log_group *g)
{
    uint64_t room = room_left(w), half = capacity(w, room) / 2;
    if (room == 0 || room < (half < PROBE_ROOM ? half : PROBE_ROOM))
        return;
    w->nothing =
        (struct log_append){.type = RECORD_OUTCOME, .payload = "", .is_durable = true, .is_awaited = true};
    g->appends = &w->nothing;
    write_group(w, g);
    publish(w, g);
    if (w->nothing.is_good)
        set_well(w, true, NULL);
}

/* Nothing in the segment is live: another begins, so that it can go. It is synced before; if there is no room for another the next write, or the
 * next time, tries again. */
static void end_idle(struct log_writer *w, struct log_group *g, uint32_t segment)
{
    struct log_segment *s = &w->segment;
    if (s->fd >= 0 && s->number != segment)
        return;
    s->is_quiet = !atomic_load(&w->is_well);
    atomic_store(&w->wants_room, false);
    if (s->fd >= 0)
        end_segment(w);
    if (have_segment(w))
        publish(w, g);
}

static void *run(void *owner)
{
    struct log_writer *w = owner;
    struct log_group *g = &w->group;
    uint32_t idle;
    bool is_probe;
    while (take_work(w, g, &idle, &is_probe)) {
        if (is_probe && !w->taken && !g->appends)
            probe(w, g);
        while (w->taken || g->appends) {
            take_group(w, g);
            write_group(w, g);
            publish(w, g);
        }
        if (idle != 0)
            end_idle(w, g, idle);
    }
    if (w->segment.fd >= 0)
        end_segment(w);
    LOG(LOG_INFO, "the spool's log is closed", LOG_STR("folder", w->folder),
        LOG_INT("groups", w->counts.groups), LOG_INT("syncs", w->counts.syncs),
        LOG_INT("bytes", w->counts.bytes));
    log_flush();
    return NULL;
}

/* --- what others call ------------------------------------------------------------------------------------------------------------ */

void log_submit(struct log_writer *w, struct spool_write *write)
{
    write->next = NULL;
    write->error = SPOOL_DONE;
    write->checksum = log_group_checksum(write);
    pthread_mutex_lock(&w->lock);
    hilum_assert(!w->is_stopping);
    *w->writes_end = write;
    w->writes_end = &write->next;
    pthread_cond_signal(&w->has_work);
    pthread_mutex_unlock(&w->lock);
}

static void append(struct log_writer *w, struct log_append *a)
{
    pthread_mutex_lock(&w->lock);
    *w->appends_end = a;
    w->appends_end = &a->next;
    pthread_cond_signal(&w->has_work);
    while (a->is_awaited && !a->is_done)
        pthread_cond_wait(&w->has_appended, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

/* With its payload. NULL without memory. */
static struct log_append *copy_append(enum record_type type, const void *payload, size_t len)
{
    struct log_append *a = malloc(sizeof(*a) + len);
    if (!a)
        return NULL;
    *a = (struct log_append){.type = type, .payload = a + 1, .len = len};
    memcpy(a + 1, payload, len);
    return a;
}

bool log_append(struct log_writer *w, enum record_type type, const void *payload, size_t len, bool is_durable)
{
    if (!is_durable) {
        struct log_append *a = copy_append(type, payload, len);
        if (a)
            append(w, a);
        return true; /* without memory: as good as lost in a crash */
    }
    struct log_append a = {
        .type = type, .payload = payload, .len = len, .is_durable = true, .is_awaited = true};
    append(w, &a);
    return a.is_good;
}

void log_append_told(struct log_writer *w, enum record_type type, const void *payload, size_t len,
                     struct io *io, struct io_message *m, bool *is_good_out)
{
    struct log_append *a = copy_append(type, payload, len);
    if (!a) {
        *is_good_out = false;
        io_post(io, m);
        return;
    }
    a->is_durable = true;
    a->io = io;
    a->message = m;
    a->is_good_out = is_good_out;
    append(w, a);
}

spool_id log_take_ids(struct log_writer *w, size_t count)
{
    return atomic_fetch_add(&w->next_id, count);
}

void log_set_limits(struct log_writer *w, uint64_t max_bytes, uint64_t reserve)
{
    atomic_store(&w->max_bytes, max_bytes);
    atomic_store(&w->reserve, reserve);
}

bool log_is_well(const struct log_writer *w)
{
    return atomic_load(&w->is_well);
}

struct log_position log_end(struct log_writer *w)
{
    pthread_mutex_lock(&w->lock);
    struct log_position end = w->published;
    pthread_mutex_unlock(&w->lock);
    return end;
}

static bool is_of_a_draft(const struct log_writer *w, uint32_t segment)
{
    const struct spool_draft *d;
    LIST_FOREACH (d, &w->drafts, link)
        if (d->first_segment != 0 && d->first_segment <= segment && segment <= d->last_segment)
            return true;
    return false;
}

/* Lock held. */
static bool is_settled(const struct log_writer *w, uint32_t segment, struct log_position indexed)
{
    return segment < w->published.segment && segment < w->kept_count &&
           !log_position_before(indexed, w->kept[segment].behind) && !is_of_a_draft(w, segment);
}

bool log_may_delete(struct log_writer *w, uint32_t segment, struct log_position indexed)
{
    pthread_mutex_lock(&w->lock);
    bool may = is_settled(w, segment, indexed) && !w->kept[segment].is_for_good;
    pthread_mutex_unlock(&w->lock);
    return may;
}

bool log_is_settled(struct log_writer *w, uint32_t segment, struct log_position indexed, uint32_t *last_out)
{
    pthread_mutex_lock(&w->lock);
    bool is = is_settled(w, segment, indexed);
    *last_out = is && w->kept[segment].behind.segment > segment ? w->kept[segment].behind.segment : segment;
    pthread_mutex_unlock(&w->lock);
    return is;
}

/* A quarter of what is allowed; without a limit, some segments. */
bool log_is_short(struct log_writer *w)
{
    uint64_t max = atomic_load(&w->max_bytes);
    return room_left(w) < (max > 0 ? max / 4 : (uint64_t)SEGMENTS_MIN * LOG_SEGMENT_BYTES);
}

void log_end_idle(struct log_writer *w, uint32_t segment)
{
    pthread_mutex_lock(&w->lock);
    uint64_t bytes = w->published.segment == segment ? w->published.offset : 0;
    pthread_mutex_unlock(&w->lock);
    if (bytes < IDLE_MIN || (!atomic_load(&w->wants_room) && bytes <= room_left(w)))
        return;
    pthread_mutex_lock(&w->lock);
    w->idle = segment;
    pthread_cond_signal(&w->has_work);
    pthread_mutex_unlock(&w->lock);
}

bool log_take_room(struct log_writer *w, uint64_t bytes)
{
    if (bytes > room_left(w)) {
        atomic_store(&w->wants_room, true);
        return false;
    }
    atomic_fetch_add(&w->used, bytes);
    return true;
}

void log_released(struct log_writer *w, uint64_t bytes)
{
    uint64_t used = atomic_load(&w->used);
    while (!atomic_compare_exchange_weak(&w->used, &used, bytes < used ? used - bytes : 0))
        ;
}

/* --- opening and closing ------------------------------------------------------------------------------------------------------------ */

static bool make_locks(struct log_writer *w)
{
    pthread_condattr_t monotonic;
    bool is_made = pthread_condattr_init(&monotonic) == 0 &&
                   pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                   pthread_cond_init(&w->has_work, &monotonic) == 0 &&
                   pthread_cond_init(&w->has_appended, NULL) == 0 && pthread_mutex_init(&w->lock, NULL) == 0;
    (void)pthread_condattr_destroy(&monotonic);
    return is_made;
}

static void free_writer(struct log_writer *w)
{
    disk_close(w->segment.fd);
    arena_free(&w->group.memory);
    octets_free(&w->scratch);
    free(w->group.parts);
    free(w->kept);
    free(w);
}

static struct log_writer *make_writer(const struct log_options *options)
{
    struct log_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    memcpy(w->folder, options->folder, strlen(options->folder) + 1);
    w->segment = (struct log_segment){.folder = w->folder, .generation = options->generation, .fd = -1};
    atomic_init(&w->next_id, (spool_id)options->generation << SPOOL_ID_BITS | 1);
    w->writes_end = &w->writes;
    w->appends_end = &w->appends;
    w->on_published = options->on_published;
    w->on_failed = options->on_failed;
    w->owner = options->owner;
    w->spare = options->spare;
    LIST_INIT(&w->drafts);
    atomic_init(&w->used, options->other_bytes);
    atomic_init(&w->max_bytes, options->max_bytes);
    atomic_init(&w->reserve, options->reserve);
    atomic_init(&w->is_well, true);
    atomic_init(&w->wants_room, false);
    w->segment_bytes = segment_bytes(w, room_left(w));
    if (make_locks(w))
        return w;
    free(w);
    return NULL;
}

enum result log_writer_open(const struct log_options *options, struct log_writer **out, char *why,
                            size_t why_cap)
{
    *out = NULL;
    if (strlen(options->folder) >= SPOOL_PATH_MAX - 32) {
        snprintf(why, why_cap, "%s: too long", options->folder);
        return ERR_USAGE;
    }
    struct log_writer *w = make_writer(options);
    if (!w)
        return ERR_MEMORY;
    if (!have_segment(w) || !log_segment_sync(&w->segment)) {
        snprintf(why, why_cap, "%s: %s", options->folder, io_error_name(w->segment.error));
        free_writer(w);
        return ERR_IO;
    }
    w->published = (struct log_position){options->generation, w->segment.number, w->segment.end};
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        snprintf(why, why_cap, "no thread for the spool");
        free_writer(w);
        return ERR_MEMORY;
    }
    *out = w;
    return OK;
}

void log_writer_close(struct log_writer **w)
{
    struct log_writer *writer = *w;
    if (!writer)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->is_stopping = true;
    pthread_cond_signal(&writer->has_work);
    pthread_mutex_unlock(&writer->lock);
    (void)pthread_join(writer->thread, NULL);
    hilum_assert(LIST_EMPTY(&writer->drafts));
    (void)pthread_cond_destroy(&writer->has_work);
    (void)pthread_cond_destroy(&writer->has_appended);
    (void)pthread_mutex_destroy(&writer->lock);
    free_writer(writer);
    *w = NULL;
}
