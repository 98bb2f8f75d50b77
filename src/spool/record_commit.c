/*
 * A commit: a message, where its bytes are, and where they have to go.
 *
 *   u64 message, u64 received_ms, u16 priority
 *   texts: calling, called, remote, abstract_syntax, transfer_syntax, sop_class, sop_instance, study, series, patient
 *   text:  the streams (record_streams.h)
 *   u32 entries; each: u64 id, u32 edition (two's complement), u8 flags (1 was_tried, 2 asks), u16 status, u64 hold_ms, texts node, route, group, comment
 *   u16 field             of what is no C-STORE; else nothing
 */
#include <stdlib.h>

#include "base/text.h"
#include "spool/record_cursor.h"
#include "spool/record_streams.h"

enum { ENTRY_LEAST = 39, ENTRY_WAS_TRIED = 1, ENTRY_ASKS = 2 };

static void write_facts(struct octets *o, const struct spool_facts *f)
{
    octets_le64(o, f->received_ms);
    octets_le16(o, f->priority);
    octets_string(o, f->calling);
    octets_string(o, f->called);
    octets_string(o, f->remote);
    octets_string(o, f->abstract_syntax);
    octets_string(o, f->transfer_syntax);
    octets_text(o, f->sop_class);
    octets_text(o, f->sop_instance);
    octets_text(o, f->study);
    octets_text(o, f->series);
    octets_text(o, f->patient);
}

static void write_entry(struct octets *o, spool_id id, const struct spool_new_entry *e)
{
    octets_le64(o, id);
    octets_le32(o, (uint32_t)e->edition);
    octets_u8(o, (uint8_t)((e->was_tried ? ENTRY_WAS_TRIED : 0) | (e->asks ? ENTRY_ASKS : 0)));
    octets_le16(o, e->status);
    octets_le64(o, e->hold_ms);
    octets_string(o, e->node);
    octets_string(o, e->route);
    octets_string(o, e->group);
    octets_string(o, e->comment);
}

void record_commit_write(struct octets *o, spool_id message, spool_id first_entry,
                         const struct spool_commit *c, const struct spool_stream *streams,
                         size_t stream_count)
{
    octets_le64(o, message);
    write_facts(o, &c->facts);
    size_t length_at = o->len;
    octets_le32(o, 0);
    record_streams_write(o, c, streams, stream_count);
    if (!o->failed)
        put_le32(o->data + length_at, (uint32_t)(o->len - length_at - 4));
    octets_le32(o, (uint32_t)c->entry_count);
    for (size_t i = 0; i < c->entry_count; i++)
        write_entry(o, first_entry + i, &c->entries[i]);
    if (c->facts.field > RECORD_C_STORE)
        octets_le16(o, c->facts.field);
}

static void read_facts(struct cursor *c, struct record_commit *out)
{
    out->received_ms = cursor_u64(c);
    out->priority = cursor_u16(c);
    out->calling = cursor_text(c);
    out->called = cursor_text(c);
    out->remote = cursor_text(c);
    out->abstract_syntax = cursor_text(c);
    out->transfer_syntax = cursor_text(c);
    out->sop_class = cursor_text(c);
    out->sop_instance = cursor_text(c);
    out->study = cursor_text(c);
    out->series = cursor_text(c);
    out->patient = cursor_text(c);
}

/* False: it names an edition that is none. */
static bool read_entry(struct cursor *c, struct record_entry *e, size_t edition_count)
{
    e->id = cursor_u64(c);
    e->edition = (int32_t)cursor_u32(c);
    uint8_t flags = cursor_u8(c);
    e->was_tried = flags & ENTRY_WAS_TRIED;
    e->asks = flags & ENTRY_ASKS;
    e->status = cursor_u16(c);
    e->hold_ms = cursor_u64(c);
    e->node = cursor_text(c);
    e->route = cursor_text(c);
    e->group = cursor_text(c);
    e->comment = cursor_text(c);
    return !c->failed && flags <= (ENTRY_WAS_TRIED | ENTRY_ASKS) && e->edition >= SPOOL_AS_RECEIVED &&
           (e->edition < 0 || (size_t)e->edition < edition_count);
}

/* At the end, where older records have nothing. */
static bool read_field(struct cursor *c, uint16_t *out)
{
    *out = RECORD_C_STORE;
    if (c->rest.len == 0)
        return true;
    *out = cursor_u16(c);
    return !c->failed && c->rest.len == 0 && *out > RECORD_C_STORE;
}

enum result record_commit_read(struct view payload, struct record_commit *out)
{
    struct cursor c = {.rest = payload};
    size_t edition_count = 0;
    *out = (struct record_commit){.message = cursor_u64(&c)};
    read_facts(&c, out);
    out->streams = cursor_text(&c);
    uint32_t count = cursor_count(&c, ENTRY_LEAST);
    if (c.failed || !record_streams_check(out->streams, &edition_count, &out->bytes))
        return ERR_PROTO;
    out->entries = calloc(count > 0 ? count : 1, sizeof(*out->entries));
    if (!out->entries)
        return ERR_MEMORY;
    while (out->entry_count < count && read_entry(&c, &out->entries[out->entry_count], edition_count))
        out->entry_count++;
    if (out->entry_count < count || !read_field(&c, &out->field)) {
        record_commit_free(out);
        return ERR_PROTO;
    }
    return OK;
}

void record_commit_free(struct record_commit *c)
{
    free(c->entries);
    c->entries = NULL;
    c->entry_count = 0;
}

bool record_commit_sent(const struct record_commit *c, int edition, struct view *sop_class_out,
                        struct view *sop_instance_out)
{
    struct record_edition e = {.sop_class = c->sop_class, .sop_instance = c->sop_instance};
    if (edition >= 0 && !record_streams_edition(c->streams, (size_t)edition, &e))
        return false;
    *sop_class_out = e.sop_class;
    *sop_instance_out = e.sop_instance;
    return true;
}

/* --- an entry as it is handed out ------------------------------------------------------------------------------ */

/* The block behind an entry: extents, then tags, then texts. */
struct block {
    struct spool_extent *extents;
    uint32_t *tags;
    char *texts;
};

static const char *put_text(struct block *b, struct view text)
{
    char *at = b->texts;
    (void)text_copy(at, text.len + 1, (const char *)text.at, text.len);
    b->texts += text.len + 1;
    return at;
}

static struct spool_stream put_stream(struct block *b, const struct record_stream *s)
{
    struct spool_stream stream = {.extents = b->extents, .count = s->count, .bytes = s->bytes};
    for (size_t i = 0; i < s->count; i++)
        *b->extents++ = record_extent_at(s, i);
    return stream;
}

static const uint32_t *put_tags(struct block *b, struct view tags, size_t *count_out)
{
    const uint32_t *first = b->tags;
    *count_out = tags.len / sizeof(uint32_t);
    for (size_t i = 0; i < *count_out; i++)
        *b->tags++ = get_le32(tags.at + i * sizeof(uint32_t));
    return first;
}

static void put_edition(struct block *b, struct spool_entry *entry, const struct record_edition *e)
{
    entry->has_edition = true;
    entry->is_deflated = e->is_deflated;
    entry->received_header_len = e->received_header_len;
    entry->tail.drops_private = e->drops_private;
    entry->tail.below = e->below;
    entry->tail.drop = put_tags(b, e->drop, &entry->tail.drop_count);
    entry->tail.copies = put_tags(b, e->copies, &entry->tail.copy_count);
}

static size_t text_bytes(const struct record_commit *c, const struct record_entry *e,
                         const struct record_edition *edition)
{
    const struct view texts[] = {
        e->node,
        e->route,
        c->calling,
        c->called,
        c->remote,
        c->abstract_syntax,
        c->transfer_syntax,
        c->sop_class,
        c->sop_instance,
        c->study,
        c->series,
        c->patient,
        edition->sop_class,
        edition->sop_instance,
        e->syntaxes,
    };
    size_t bytes = 0;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        bytes += texts[i].len + 1;
    return bytes;
}

static void put_texts(struct block *b, struct spool_entry *entry, const struct record_commit *c,
                      const struct record_entry *e, const struct record_edition *edition)
{
    entry->node = put_text(b, e->node);
    entry->route = put_text(b, e->route);
    entry->calling = put_text(b, c->calling);
    entry->called = put_text(b, c->called);
    entry->remote = put_text(b, c->remote);
    entry->abstract_syntax = put_text(b, c->abstract_syntax);
    entry->transfer_syntax = put_text(b, c->transfer_syntax);
    entry->sop_class = put_text(b, c->sop_class);
    entry->sop_instance = put_text(b, c->sop_instance);
    entry->study = put_text(b, c->study);
    entry->series = put_text(b, c->series);
    entry->patient = put_text(b, c->patient);
    entry->sent_class = put_text(b, edition->sop_class);
    entry->sent_instance = put_text(b, edition->sop_instance);
    entry->syntaxes = put_text(b, e->syntaxes);
}

struct spool_entry *record_entry_new(const struct record_commit *c, const struct record_entry *e,
                                     unsigned attempts, uint16_t status)
{
    struct record_stream data = {.count = 0}, header = {.count = 0};
    struct record_edition edition = {.sop_class = c->sop_class, .sop_instance = c->sop_instance};
    uint64_t bytes;
    size_t edition_count;
    bool has_edition = e->edition >= 0;
    if (!record_streams_check(c->streams, &edition_count, &bytes))
        return NULL;
    if (has_edition && (!record_streams_edition(c->streams, (size_t)e->edition, &edition) ||
                        !record_streams_stream(c->streams, edition.stream, &header)))
        return NULL;
    (void)record_streams_stream(c->streams, SPOOL_STREAM_DATA, &data); /* none: it is empty */

    size_t extents = data.count + header.count;
    size_t tag_bytes = edition.drop.len + edition.copies.len;
    struct spool_entry *entry = malloc(sizeof(*entry) + extents * sizeof(struct spool_extent) + tag_bytes +
                                       text_bytes(c, e, &edition));
    if (!entry)
        return NULL;
    struct block b = {.extents = (struct spool_extent *)(entry + 1)};
    b.tags = (uint32_t *)(b.extents + extents);
    b.texts = (char *)b.tags + tag_bytes;
    *entry = (struct spool_entry){
        .id = e->id,
        .message = c->message,
        .priority = c->priority,
        .field = c->field,
        .received_ms = c->received_ms,
        .attempts = attempts,
        .status = status,
    };
    entry->data = put_stream(&b, &data);
    if (has_edition) {
        entry->header = put_stream(&b, &header);
        put_edition(&b, entry, &edition);
    }
    put_texts(&b, entry, c, e, &edition);
    return entry;
}

void spool_entry_free(struct spool_entry **e)
{
    free(*e);
    *e = NULL;
}

void spool_entries_free(struct spool_entry **list)
{
    while (*list) {
        struct spool_entry *e = *list;
        *list = e->next;
        spool_entry_free(&e);
    }
}
