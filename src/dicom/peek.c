#include "dicom/peek.h"

#include <stdlib.h>

#include "base/assert.h"
#include "base/octets.h"
#include "dicom/deflate.h"
#include "dicom/dictionary.h"
#include "dicom/reader.h"
#include "dicom/tag.h"

/* Of a Specific Character Set: dozens of defined terms. */
#define CHARSET_MAX 1024

/* Bytes caught, by their place in `caught`, which moves as it grows. */
struct piece {
    size_t offset, len;
};

struct target {
    const struct dicom_path *path;
    unsigned matched; /* that many of its steps have been entered */
    bool is_settled;  /* nothing more to come */
    enum dicom_peek_state state;
    enum dicom_vr vr;
    bool is_big_endian;
    struct piece value, charset;
};

/* One data set: the outermost, or that of an item being read. */
struct level {
    struct piece charset;
    bool is_signed;                       /* Pixel Representation: of US or SS it is SS */
    bool has_charset, has_representation; /* of its own: the first counts, and no more are kept */
    uint32_t sequence;                    /* the last that was entered in it, */
    uint32_t item;                        /* and how many of its items have begun */
};

struct dicom_peek {
    struct dicom_reader reader;
    struct dicom_inflate *inflate; /* NULL: the elements come as they are */
    struct target *targets;
    size_t count, capacity;
    size_t unsettled;
    uint32_t highest;
    uint32_t lowest;    /* of the outermost level: no lower tag is asked for that is not settled */
    enum result result; /* NEED_MORE until it is over */
    const char *why;
    uint32_t tag;
    struct level levels[DICOM_PATH_DEPTH_MAX + 1];
    unsigned depth; /* items entered */
    struct octets caught;
    bool is_catching; /* the value that comes is put at the end of `caught`, from catch_offset on */
    size_t catch_offset;
    struct dicom_event element; /* whose value it is */
};

struct dicom_peek *dicom_peek_new(void)
{
    return calloc(1, sizeof(struct dicom_peek));
}

void dicom_peek_free(struct dicom_peek **p)
{
    struct dicom_peek *peek = *p;
    *p = NULL;
    if (peek == NULL)
        return;
    dicom_inflate_free(&peek->inflate);
    octets_free(&peek->caught);
    free(peek->targets);
    free(peek);
}

uint32_t dicom_peek_highest(const struct dicom_path *const *paths, size_t count)
{
    uint32_t highest = 0;
    for (size_t i = 0; i < count; i++)
        if (dicom_path_first(paths[i]) > highest)
            highest = dicom_path_first(paths[i]);
    return highest;
}

static bool reserve(struct dicom_peek *p, size_t count)
{
    if (count <= p->capacity)
        return true;
    struct target *bigger = realloc(p->targets, count * sizeof(*bigger));
    if (bigger == NULL)
        return false;
    p->targets = bigger;
    p->capacity = count;
    return true;
}

enum result dicom_peek_begin(struct dicom_peek *p, const struct dicom_path *const *paths, size_t count,
                             struct dicom_encoding encoding, bool is_deflated)
{
    p->count = p->unsettled = 0;
    p->result = ERR_MEMORY;
    if (!reserve(p, count))
        return ERR_MEMORY;
    for (size_t i = 0; i < count; i++)
        p->targets[i] = (struct target){.path = paths[i]};
    p->count = p->unsettled = count;
    p->highest = dicom_peek_highest(paths, count);
    p->lowest = 0;
    p->result = count > 0 ? NEED_MORE : OK;
    p->why = NULL;
    p->tag = 0;
    p->levels[0] = (struct level){.item = 0};
    p->depth = 0;
    p->is_catching = false;
    octets_clear(&p->caught);
    dicom_reader_init(&p->reader, encoding);
    dicom_inflate_free(&p->inflate);
    if (is_deflated && dicom_inflate_new(&p->inflate) != OK)
        p->result = ERR_MEMORY;
    return p->result == ERR_MEMORY ? ERR_MEMORY : OK;
}

static void settle(struct dicom_peek *p, struct target *t, enum dicom_peek_state state)
{
    t->is_settled = true;
    t->state = state;
    p->unsettled--;
}

/* It lies in the data set that is being read, or in items of it. */
static bool is_here(const struct dicom_peek *p, const struct target *t)
{
    return !t->is_settled && t->matched == p->depth;
}

static bool is_at(const struct dicom_peek *p, const struct target *t, uint32_t tag)
{
    return is_here(p, t) && t->path->depth == p->depth && t->path->tag == tag;
}

static bool is_inside(const struct dicom_peek *p, const struct target *t, uint32_t sequence)
{
    return is_here(p, t) && t->path->depth > p->depth && t->path->steps[p->depth].tag == sequence;
}

/* Binary numbers whose sign Pixel Representation decides (PS3.5 A.1 b): explicit VRs say it themselves. */
static bool may_be_signed(uint32_t tag)
{
    const struct dicom_entry *e = dicom_dictionary_find(tag);
    for (size_t i = 0; e != NULL && i < 3; i++)
        if (e->vr[i] == DICOM_VR_SS)
            return true;
    return false;
}

/* The VR and byte order by which the bytes are to be read. UN holds what Implicit VR Little Endian would (PS3.5 6.2.2). */
static void take_meaning(const struct dicom_peek *p, const struct dicom_event *e, struct target *t)
{
    t->vr = e->vr;
    t->is_big_endian = e->encoding.is_big_endian;
    bool is_un = e->vr == DICOM_VR_UN || e->vr == DICOM_VR_UNKNOWN;
    if (e->encoding.is_explicit && !is_un)
        return;
    if (is_un) {
        t->vr = dicom_dictionary_vr(e->tag);
        t->is_big_endian = false;
    }
    if (t->vr == DICOM_VR_US && p->levels[p->depth].is_signed && may_be_signed(e->tag))
        t->vr = DICOM_VR_SS;
}

/* What is said of every target that this element is. */
static void met(struct dicom_peek *p, const struct dicom_event *e, enum dicom_peek_state state,
                struct piece value)
{
    for (size_t i = 0; i < p->count; i++) {
        struct target *t = &p->targets[i];
        if (!is_at(p, t, e->tag))
            continue;
        take_meaning(p, e, t);
        t->value = value;
        t->charset = p->levels[p->depth].charset;
        settle(p, t, state);
    }
}

static bool is_wanted(const struct dicom_peek *p, uint32_t tag)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_at(p, &p->targets[i], tag))
            return true;
    return false;
}

static bool is_on_the_way(const struct dicom_peek *p, uint32_t sequence)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_inside(p, &p->targets[i], sequence))
            return true;
    return false;
}

/* What others depend on. Their lengths are bounded because nobody asked for them; they come once a level for the same reason. */
static bool decides(const struct level *here, const struct dicom_event *e)
{
    if (e->tag == DICOM_SPECIFIC_CHARACTER_SET)
        return !here->has_charset && e->length <= CHARSET_MAX;
    return e->tag == DICOM_PIXEL_REPRESENTATION && !here->has_representation && e->length <= 2;
}

static void keep_context(struct dicom_peek *p, const struct dicom_event *e, struct piece value)
{
    struct level *here = &p->levels[p->depth];
    if (!decides(here, e))
        return;
    if (e->tag == DICOM_SPECIFIC_CHARACTER_SET) {
        here->charset = value;
        here->has_charset = true;
    } else if (value.len == 2) {
        here->is_signed = (p->caught.data[value.offset] | p->caught.data[value.offset + 1]) != 0;
        here->has_representation = true;
    }
}

/* UN of undefined length is entered by the reader; one that has a length holds the same, if the dictionary says so (PS3.5 6.2.2), or what a
 * writer took for it: items in Explicit VR, text. */
static bool is_sequence_as_un(const struct dicom_event *e)
{
    return e->vr == DICOM_VR_UN && e->encoding.is_explicit && dicom_dictionary_vr(e->tag) == DICOM_VR_SQ;
}

static void begin_items(struct dicom_peek *p, const struct dicom_event *e)
{
    met(p, e, DICOM_PEEK_ITEMS, (struct piece){0, 0});
    if (!is_on_the_way(p, e->tag)) {
        dicom_reader_skip(&p->reader);
        return;
    }
    if (!e->enters)
        dicom_reader_enter(&p->reader);
    p->levels[p->depth].sequence = e->tag;
    p->levels[p->depth].item = 0;
}

/* Of the outermost level: what should have stood before this tag is not there. */
static void pass(struct dicom_peek *p, uint32_t tag)
{
    p->lowest = UINT32_MAX;
    for (size_t i = 0; i < p->count; i++) {
        struct target *t = &p->targets[i];
        uint32_t first = dicom_path_first(t->path);
        if (t->is_settled)
            continue;
        if (first < tag)
            settle(p, t, DICOM_PEEK_ABSENT);
        else if (first < p->lowest)
            p->lowest = first;
    }
}

static void begin_element(struct dicom_peek *p, const struct dicom_event *e)
{
    if (p->depth == 0 && (e->tag > p->highest || dicom_is_pixel_data(e->tag))) {
        p->result = OK;
        return;
    }
    if (p->depth == 0 && e->tag > p->lowest)
        pass(p, e->tag);
    if (e->enters || is_sequence_as_un(e)) {
        begin_items(p, e);
        return;
    }
    if (!is_wanted(p, e->tag) && !decides(&p->levels[p->depth], e))
        return;
    if (e->length > DICOM_PEEK_VALUE_MAX) {
        met(p, e, DICOM_PEEK_LONG, (struct piece){0, 0});
        return;
    }
    p->element = *e;
    p->is_catching = true;
    p->catch_offset = p->caught.len;
}

static void take_value(struct dicom_peek *p, const struct dicom_event *e)
{
    if (!p->is_catching)
        return;
    octets_append(&p->caught, e->at, e->len);
    if (!e->is_last)
        return;
    p->is_catching = false;
    if (p->caught.failed) {
        p->result = ERR_MEMORY;
        return;
    }
    struct piece value = {p->catch_offset, p->caught.len - p->catch_offset};
    keep_context(p, &p->element, value);
    met(p, &p->element, DICOM_PEEK_VALUE, value);
}

/* An item that nothing leads into is not read. What leads into it is one step further. */
static void begin_item(struct dicom_peek *p, const struct dicom_event *e)
{
    struct level *here = &p->levels[p->depth];
    bool is_wanted_item = false;
    here->item++;
    for (size_t i = 0; i < p->count && !e->is_fragment; i++) {
        struct target *t = &p->targets[i];
        if (is_inside(p, t, here->sequence) && t->path->steps[p->depth].item == here->item) {
            t->matched++;
            is_wanted_item = true;
        }
    }
    if (!is_wanted_item) {
        dicom_reader_skip(&p->reader);
        return;
    }
    hilum_assert(p->depth < DICOM_PATH_DEPTH_MAX);
    p->levels[++p->depth] = (struct level){.charset = here->charset, .is_signed = here->is_signed};
}

/* What led into it and was not met is not there. */
static void end_item(struct dicom_peek *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_here(p, &p->targets[i]))
            settle(p, &p->targets[i], DICOM_PEEK_ABSENT);
    p->depth--;
}

/* It had fewer items than were asked for. */
static void end_sequence(struct dicom_peek *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (is_inside(p, &p->targets[i], p->levels[p->depth].sequence))
            settle(p, &p->targets[i], DICOM_PEEK_ABSENT);
}

static void handle(struct dicom_peek *p, const struct dicom_event *e)
{
    switch (e->kind) {
    case DICOM_EVENT_ELEMENT:
        begin_element(p, e);
        break;
    case DICOM_EVENT_VALUE:
        take_value(p, e);
        break;
    case DICOM_EVENT_ITEM:
        begin_item(p, e);
        break;
    case DICOM_EVENT_ITEM_END:
        end_item(p);
        break;
    case DICOM_EVENT_SEQUENCE_END:
        end_sequence(p);
        break;
    case DICOM_EVENT_FAULT:
        if (dicom_reader_recover(&p->reader)) /* its ends settle what was looked for in there */
            break;
        p->result = ERR_PROTO;
        p->why = e->why;
        p->tag = e->tag;
        break;
    case DICOM_EVENT_NONE:
        break;
    }
    if (p->unsettled == 0 && p->result == NEED_MORE)
        p->result = OK;
}

static void read_elements(struct dicom_peek *p, const uint8_t *bytes, size_t len)
{
    struct dicom_event e;
    do {
        size_t used = dicom_reader_next(&p->reader, bytes, len, &e);
        handle(p, &e);
        bytes += used;
        len -= used;
    } while (e.kind != DICOM_EVENT_NONE && p->result == NEED_MORE);
}

static void read_deflated(struct dicom_peek *p, const uint8_t *bytes, size_t len)
{
    struct view in = {bytes, len};
    uint8_t room[4096];
    enum result r;
    do {
        size_t got;
        const char *why = NULL;
        r = dicom_inflate_next(p->inflate, &in, room, sizeof(room), &got, &why);
        read_elements(p, room, got);
        if (p->result == NEED_MORE && r != OK && r != NEED_MORE) {
            p->result = r;
            p->why = why;
            p->tag = dicom_reader_tag(&p->reader);
        }
    } while (r == OK && p->result == NEED_MORE);
}

enum result dicom_peek_feed(struct dicom_peek *p, const uint8_t *bytes, size_t len)
{
    if (p->result == NEED_MORE && p->inflate != NULL)
        read_deflated(p, bytes, len);
    else if (p->result == NEED_MORE)
        read_elements(p, bytes, len);
    return p->result;
}

enum result dicom_peek_end(struct dicom_peek *p)
{
    if (p->result != NEED_MORE)
        return p->result;
    p->tag = dicom_reader_tag(&p->reader);
    p->result = dicom_reader_end(&p->reader, &p->why);
    if (p->result == OK && p->inflate != NULL)
        p->result = dicom_inflate_end(p->inflate, &p->why);
    return p->result;
}

size_t dicom_peek_known(const struct dicom_peek *p)
{
    return p->result == OK ? p->count : p->count - p->unsettled;
}

bool dicom_peek_is_known(const struct dicom_peek *p, size_t index)
{
    hilum_assert(index < p->count);
    return p->result == OK || p->targets[index].is_settled;
}

uint64_t dicom_peek_offset(const struct dicom_peek *p)
{
    return p->reader.offset;
}

const char *dicom_peek_fault(const struct dicom_peek *p, uint32_t *tag_out)
{
    *tag_out = p->tag;
    return p->why;
}

static struct view view_piece(const struct dicom_peek *p, struct piece piece)
{
    return piece.len > 0 ? (struct view){p->caught.data + piece.offset, piece.len} : (struct view){NULL, 0};
}

struct dicom_peek_value dicom_peek_at(const struct dicom_peek *p, size_t index)
{
    hilum_assert(index < p->count);
    const struct target *t = &p->targets[index];
    return (struct dicom_peek_value){
        .state = t->state,
        .vr = t->vr,
        .is_big_endian = t->is_big_endian,
        .bytes = view_piece(p, t->value),
        .charset = view_piece(p, t->charset),
    };
}
