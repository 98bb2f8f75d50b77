#include "relay/split.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { INDEX_FIRST = 64 };

/* --- the tree --------------------------------------------------------------------------------------------------- */

void split_free(struct split *s)
{
    free(s->units);
    free(s->index);
    octets_free(&s->text);
    *s = (struct split){0};
}

struct view split_uid(const struct split *s, uint32_t unit)
{
    const struct split_unit *u = &s->units[unit];
    return (struct view){s->text.data + u->uid_at, u->uid_len};
}

static uint32_t hash(uint32_t parent, struct view uid)
{
    const struct view parts[] = {{(const uint8_t *)&parent, sizeof(parent)}, uid};
    return (uint32_t)seen_key_of(parts, 2).low;
}

/* Where the unit's number stands, or belongs. */
static uint32_t *index_at(const struct split *s, uint32_t parent, struct view uid)
{
    uint32_t i = hash(parent, uid) & (s->index_room - 1);
    for (; s->index[i] != SPLIT_NONE; i = (i + 1) & (s->index_room - 1)) {
        struct view other = split_uid(s, s->index[i]);
        bool is_same = other.len == uid.len && (uid.len == 0 || memcmp(other.at, uid.at, uid.len) == 0);
        if (s->units[s->index[i]].parent == parent && is_same)
            break;
    }
    return &s->index[i];
}

static bool grow_index(struct split *s)
{
    uint32_t room = s->index_room ? s->index_room * 2 : INDEX_FIRST;
    uint32_t *bigger = malloc(room * sizeof(*bigger));
    if (!bigger)
        return false;
    free(s->index);
    s->index = bigger;
    s->index_room = room;
    for (uint32_t i = 0; i < room; i++)
        bigger[i] = SPLIT_NONE;
    for (uint32_t i = 0; i < s->count; i++)
        *index_at(s, s->units[i].parent, split_uid(s, i)) = i;
    return true;
}

static bool make_room(struct split *s)
{
    if (s->count >= SPLIT_UNITS_MAX)
        return false;
    if (s->count * 2 >= s->index_room && !grow_index(s))
        return false;
    if (s->count < s->room)
        return true;
    uint32_t room = s->room ? s->room * 2 : INDEX_FIRST;
    struct split_unit *bigger = realloc(s->units, room * sizeof(*bigger));
    if (!bigger)
        return false;
    s->units = bigger;
    s->room = room;
    return true;
}

/* Behind its siblings. */
static void hang(struct split *s, uint32_t unit)
{
    uint32_t parent = s->units[unit].parent;
    uint32_t *first = parent == SPLIT_NONE ? &s->first_root : &s->units[parent].first_child;
    uint32_t *last = parent == SPLIT_NONE ? &s->last_root : &s->units[parent].last_child;
    bool is_first = parent == SPLIT_NONE ? s->root_count == 0 : *first == SPLIT_NONE;
    if (is_first)
        *first = unit;
    else
        s->units[*last].next = unit;
    *last = unit;
    s->root_count += parent == SPLIT_NONE;
}

uint32_t split_add(struct split *s, uint32_t parent, enum identifier_level level, struct view uid,
                   unsigned archive, uint32_t count)
{
    hilum_assert(archive < SPLIT_ARCHIVES_MAX);
    if (!make_room(s))
        return SPLIT_NONE;
    uint32_t *at = index_at(s, parent, uid);
    if (*at == SPLIT_NONE) {
        struct split_unit u = {.parent = parent,
                               .next = SPLIT_NONE,
                               .first_child = SPLIT_NONE,
                               .last_child = SPLIT_NONE,
                               .uid_at = s->text.len,
                               .uid_len = uid.len,
                               .level = level};
        octets_append(&s->text, uid.at, uid.len);
        if (s->text.failed)
            return SPLIT_NONE;
        *at = s->count;
        s->units[s->count] = u;
        hang(s, s->count++);
    }
    struct split_unit *u = &s->units[*at];
    u->holders |= UINT32_C(1) << archive;
    u->count = count > u->count ? count : u->count;
    return *at;
}

static bool is_several(uint32_t set)
{
    return (set & (set - 1)) != 0;
}

bool split_wants_open(const struct split *s, uint32_t unit, uint32_t alive)
{
    const struct split_unit *u = &s->units[unit];
    return is_several(u->holders & alive) && u->level < IDENTIFIER_IMAGE && !u->is_open && !u->is_closed;
}

void split_opened(struct split *s, uint32_t unit)
{
    struct split_unit *u = &s->units[unit];
    if (u->first_child == SPLIT_NONE) /* they said that they have it, and do not know of what it consists */
        u->is_closed = true;
    else
        u->is_open = true;
}

void split_close(struct split *s, uint32_t unit)
{
    s->units[unit].is_closed = true;
}

/* --- what is asked for next ------------------------------------------------------------------------------------- */

static uint32_t bit(unsigned archive)
{
    return UINT32_C(1) << archive;
}

/* Of the living the one that has most of these siblings that are not done; the first among equals. SPLIT_ARCHIVES_MAX: none has any. */
static unsigned best_archive(const struct split *s, uint32_t first, uint32_t alive)
{
    uint32_t counts[SPLIT_ARCHIVES_MAX] = {0};
    unsigned best = SPLIT_ARCHIVES_MAX;
    for (uint32_t i = first; i != SPLIT_NONE; i = s->units[i].next)
        for (uint32_t set = s->units[i].is_done ? 0 : s->units[i].holders & alive; set; set &= set - 1)
            counts[__builtin_ctz(set)]++;
    for (unsigned a = 0; a < SPLIT_ARCHIVES_MAX; a++)
        if (counts[a] > 0 && (best == SPLIT_ARCHIVES_MAX || counts[a] > counts[best]))
            best = a;
    return best;
}

/* Nothing of a series that this archive has is done: it can come whole. */
static bool is_untouched(const struct split *s, uint32_t series, unsigned archive)
{
    for (uint32_t i = s->units[series].first_child; i != SPLIT_NONE; i = s->units[i].next)
        if ((s->units[i].holders & bit(archive)) && s->units[i].is_done)
            return false;
    return true;
}

static bool is_series_of_instances(const struct split_unit *u)
{
    return u->is_open && u->level == IDENTIFIER_SERIES;
}

/* The archive of which an entity is asked for: itself, or, of a series that has come in part, what is left of it. */
static unsigned archive_of(const struct split *s, uint32_t unit, uint32_t alive, bool *whole_out)
{
    const struct split_unit *u = &s->units[unit];
    *whole_out = true;
    if (u->is_done || (u->is_open && !is_series_of_instances(u)))
        return SPLIT_ARCHIVES_MAX;
    if (!is_series_of_instances(u))
        return (u->holders & alive) ? (unsigned)__builtin_ctz(u->holders & alive) : SPLIT_ARCHIVES_MAX;
    unsigned archive = best_archive(s, u->first_child, alive);
    *whole_out = archive < SPLIT_ARCHIVES_MAX && is_untouched(s, unit, archive);
    return archive;
}

static void begin_job(struct split_job *job, unsigned archive, enum identifier_level level, uint32_t parent)
{
    *job = (struct split_job){.archive = archive, .level = level, .parent = parent};
}

/* Instances of these siblings, of the archive that has most of them. */
static bool next_instances(const struct split *s, uint32_t first, uint32_t alive, struct split_job *job)
{
    unsigned archive = best_archive(s, first, alive);
    if (archive == SPLIT_ARCHIVES_MAX)
        return false;
    begin_job(job, archive, IDENTIFIER_IMAGE, s->units[first].parent);
    for (uint32_t i = first; i != SPLIT_NONE && job->count < SPLIT_JOB_MAX; i = s->units[i].next)
        if (!s->units[i].is_done && (s->units[i].holders & bit(archive)))
            job->units[job->count++] = i;
    return true;
}

/* Whether others could give some of it, should this archive fail: such ones are asked for apart from those that have nobody else. */
static bool has_other(const struct split *s, uint32_t unit, unsigned archive, uint32_t alive)
{
    const struct split_unit *u = &s->units[unit];
    uint32_t others = alive & ~bit(archive);
    if (!is_series_of_instances(u))
        return (u->holders & others) != 0;
    for (uint32_t i = u->first_child; i != SPLIT_NONE; i = s->units[i].next) {
        const struct split_unit *child = &s->units[i];
        if (!child->is_done && (child->holders & bit(archive)) && (child->holders & others))
            return true;
    }
    return false;
}

/* The first of these siblings and those behind it that come from the same archive. */
static bool next_siblings(const struct split *s, uint32_t first, uint32_t alive, struct split_job *job)
{
    bool is_whole;
    unsigned archive = archive_of(s, first, alive, &is_whole);
    if (archive == SPLIT_ARCHIVES_MAX)
        return false;
    if (!is_whole)
        return next_instances(s, s->units[first].first_child, alive, job);
    begin_job(job, archive, s->units[first].level, s->units[first].parent);
    for (uint32_t i = first; i != SPLIT_NONE && job->count < SPLIT_JOB_MAX; i = s->units[i].next)
        if (archive_of(s, i, alive, &is_whole) == archive && is_whole &&
            has_other(s, i, archive, alive) == has_other(s, first, archive, alive))
            job->units[job->count++] = i;
    return true;
}

static bool next_among(const struct split *s, uint32_t first, uint32_t alive, struct split_job *job)
{
    if (first != SPLIT_NONE && s->units[first].level == IDENTIFIER_IMAGE)
        return next_instances(s, first, alive, job);
    for (uint32_t i = first; i != SPLIT_NONE; i = s->units[i].next) {
        const struct split_unit *u = &s->units[i];
        bool goes_deeper = u->is_open && !is_series_of_instances(u) && !u->is_done;
        if (goes_deeper ? next_among(s, u->first_child, alive, job) : next_siblings(s, i, alive, job))
            return true;
    }
    return false;
}

/* An archive that has all that is asked for, when none of it had to be opened. */
static bool next_whole(const struct split *s, uint32_t alive, struct split_job *job)
{
    uint32_t common = alive;
    for (uint32_t i = s->first_root; i != SPLIT_NONE; i = s->units[i].next) {
        const struct split_unit *u = &s->units[i];
        if (u->is_open || u->is_closed || u->is_done)
            return false;
        common &= u->holders;
    }
    if (!common)
        return false;
    begin_job(job, (unsigned)__builtin_ctz(common), s->units[s->first_root].level, SPLIT_NONE);
    job->is_whole = true;
    return true;
}

bool split_next(const struct split *s, uint32_t alive, struct split_job *job_out)
{
    if (s->root_count == 0)
        return false;
    return next_whole(s, alive, job_out) || next_among(s, s->first_root, alive, job_out);
}

/* --- what came of it -------------------------------------------------------------------------------------------- */

static void done_unit(struct split *s, uint32_t unit, unsigned archive)
{
    struct split_unit *u = &s->units[unit];
    u->was_given = true;
    if (u->is_closed) { /* then from the next one as well */
        u->holders &= ~bit(archive);
        u->is_done = u->holders == 0;
    } else if (u->is_open) {
        for (uint32_t i = u->first_child; i != SPLIT_NONE; i = s->units[i].next)
            if (s->units[i].holders & bit(archive))
                s->units[i].is_done = true;
    } else {
        u->is_done = true;
    }
}

static void fail_unit(struct split *s, uint32_t unit, unsigned archive)
{
    struct split_unit *u = &s->units[unit];
    u->holders &= ~bit(archive);
    for (uint32_t i = u->is_open ? u->first_child : SPLIT_NONE; i != SPLIT_NONE; i = s->units[i].next)
        s->units[i].holders &= ~bit(archive);
    if (u->is_closed && u->holders == 0 && u->was_given)
        u->is_done = true;
}

/* Calls for each entity of a job. */
static void each_unit(struct split *s, const struct split_job *job,
                      void (*call)(struct split *s, uint32_t unit, unsigned archive))
{
    for (uint32_t i = s->first_root; job->is_whole && i != SPLIT_NONE; i = s->units[i].next)
        call(s, i, job->archive);
    for (unsigned k = 0; k < job->count; k++)
        call(s, job->units[k], job->archive);
}

void split_done(struct split *s, const struct split_job *job)
{
    each_unit(s, job, done_unit);
}

static bool any_has_other(const struct split *s, const struct split_job *job, uint32_t alive)
{
    for (uint32_t i = s->first_root; job->is_whole && i != SPLIT_NONE; i = s->units[i].next)
        if (has_other(s, i, job->archive, alive))
            return true;
    for (unsigned k = 0; k < job->count; k++)
        if (has_other(s, job->units[k], job->archive, alive))
            return true;
    return false;
}

bool split_failed(struct split *s, const struct split_job *job, uint32_t alive)
{
    bool has = any_has_other(s, job, alive);
    each_unit(s, job, has ? fail_unit : done_unit);
    return has;
}

void split_leave(struct split *s, unsigned archive)
{
    for (uint32_t i = 0; i < s->count; i++) {
        s->units[i].holders &= ~bit(archive);
        if (s->units[i].holders == 0)
            s->units[i].is_done = true;
    }
}

/* --- how much ---------------------------------------------------------------------------------------------------- */

/* Of one that is not done; `least` where the number is not known. */
static uint32_t count_of(const struct split *s, uint32_t unit, uint32_t least)
{
    const struct split_unit *u = &s->units[unit];
    uint32_t sum = 0;
    if (u->is_done)
        return 0;
    if (u->level == IDENTIFIER_IMAGE)
        return 1;
    if (!u->is_open)
        return u->count > least ? u->count : least;
    for (uint32_t i = u->first_child; i != SPLIT_NONE; i = s->units[i].next)
        sum += count_of(s, i, least);
    return sum;
}

static uint32_t count_roots(const struct split *s, uint32_t least)
{
    uint32_t sum = 0;
    for (uint32_t i = s->root_count ? s->first_root : SPLIT_NONE; i != SPLIT_NONE; i = s->units[i].next)
        sum += count_of(s, i, least);
    return sum;
}

uint32_t split_left(const struct split *s)
{
    return count_roots(s, 0);
}

uint32_t split_lost(const struct split *s)
{
    return count_roots(s, 1);
}

/* Of a series that comes whole only what the archive has of it. */
static uint32_t count_at(const struct split *s, uint32_t unit, unsigned archive)
{
    const struct split_unit *u = &s->units[unit];
    uint32_t sum = 0;
    if (!u->is_open)
        return count_of(s, unit, 0);
    for (uint32_t i = u->first_child; i != SPLIT_NONE; i = s->units[i].next)
        sum += !s->units[i].is_done && (s->units[i].holders & bit(archive));
    return sum;
}

uint32_t split_job_count(const struct split *s, const struct split_job *job)
{
    uint32_t sum = job->is_whole ? count_roots(s, 0) : 0;
    for (unsigned k = 0; k < job->count; k++)
        sum += count_at(s, job->units[k], job->archive);
    return sum;
}
