#include "relay/edition.h"

#include <stdlib.h>
#include <string.h>

#include "dicom/tag.h"
#include "dicom/uid.h"

/* Of the root, trimmed; empty: there is none. Of several values, which only a broken writer has, the first. */
static struct view uid_of(const struct dicom_document *d, uint32_t tag)
{
    const struct dicom_element *e = dicom_data_set_find(dicom_document_root(d), tag);
    struct view value = e ? e->value : (struct view){NULL, 0};
    const uint8_t *end = value.len > 0 ? memchr(value.at, '\\', value.len) : NULL;
    if (end)
        value.len = (size_t)(end - value.at);
    return dicom_uid_trim(value);
}

void edition_begin(struct edition *e, const struct dicom_document *document)
{
    e->class_before = uid_of(document, DICOM_SOP_CLASS_UID);
    e->instance_before = uid_of(document, DICOM_SOP_INSTANCE_UID);
}

/* The morph gave it another value. Only then: the command may name another one than the data set (quirk 28), and stays (quirk 4). */
static bool is_renamed(struct view before, struct view now, char uid[65])
{
    if (now.len == 0 || now.len > 64 || dicom_uid_equal(before, now))
        return false;
    memcpy(uid, now.at, now.len);
    uid[now.len] = '\0';
    return true;
}

static void take_facts(struct edition *e, const struct dicom_document *d, const struct sink_message *received)
{
    e->command = *received->command;
    e->facts = *received;
    e->facts.command = &e->command;
    if (is_renamed(e->class_before, uid_of(d, DICOM_SOP_CLASS_UID), e->sop_class)) {
        e->facts.sop_class = view_of(e->sop_class);
        e->facts.abstract_syntax = e->sop_class;
        *(e->command.has & DIMSE_HAS_REQUESTED_CLASS ? &e->command.requested_class
                                                     : &e->command.affected_class) = e->facts.sop_class;
    }
    if (is_renamed(e->instance_before, uid_of(d, DICOM_SOP_INSTANCE_UID), e->sop_instance)) {
        e->facts.sop_instance = view_of(e->sop_instance);
        *(e->command.has & DIMSE_HAS_REQUESTED_INSTANCE ? &e->command.requested_instance
                                                        : &e->command.affected_instance) =
            e->facts.sop_instance;
    }
}

static bool changes_for_sure(const struct bind *b)
{
    return dicom_document_is_changed(b->document) || b->tail_count > 0 || b->tail_drops_private;
}

/* What the header has not, or has already as it was to be, may stand behind pixel data all the same, put there by a broken writer. */
static bool may_change_behind(const struct bind *b)
{
    return b->behind != 0 && (b->touched_count > 0 || b->tail_drops_below);
}

static void take_tail(struct edition *e, const struct bind *b)
{
    size_t count = b->tail_count;
    memcpy(e->drop, b->tail, count * sizeof(*e->drop));
    memcpy(e->copies, b->touched, b->touched_count * sizeof(*e->copies));
    if (changes_for_sure(b))
        e->drop[count++] = DICOM_DIGITAL_SIGNATURES; /* over what was changed */
    e->tail = (struct dicom_tail_rules){.drop = e->drop,
                                        .drop_count = count,
                                        .drops_private = b->tail_drops_private,
                                        .below = b->tail_drops_below ? b->behind : 0,
                                        .copies = e->copies,
                                        .copy_count = b->touched_count};
    e->encoding = dicom_data_set_encoding(dicom_document_root(b->document));
}

static enum result write_header(struct edition *e, struct bind *b, struct gathered *gathered,
                                struct pool *pool, const struct trace *trace)
{
    size_t len;
    enum result r = dicom_document_measure(b->document, &len);
    if (r != OK)
        return r;
    r = gathered_room(gathered, pool, len, &e->header);
    if (r != OK)
        return r;
    dicom_document_write_to(b->document, e->header.at);
    return trace ? trace_write(trace, &e->header, &b->document->why) : OK;
}

enum result edition_make(struct edition *e, struct bind *b, struct gathered *gathered, struct pool *pool,
                         const struct sink_message *received, const struct trace *trace)
{
    e->is_changed = changes_for_sure(b) || may_change_behind(b);
    if (!e->is_changed) {
        e->facts = *received;
        return OK;
    }
    b->document->why = NULL;
    enum result r = write_header(e, b, gathered, pool, trace);
    if (r == OK) {
        take_facts(e, b->document, received);
        take_tail(e, b);
    }
    return r;
}

static enum result peek_header(struct edition *e, const struct hold *h, struct dicom_peek *peek,
                               const struct config *config, struct dicom_charsets *charsets)
{
    const struct dicom_path **paths = calloc(config->attribute_count + 1, sizeof(*paths));
    if (!paths)
        return ERR_MEMORY;
    size_t count = route_attributes_paths(config, h->wanted, paths);
    enum result r = dicom_peek_begin(peek, paths, count, e->encoding, false);
    free(paths);
    if (r == OK)
        r = dicom_peek_feed(peek, e->header.at, e->header.len);
    if (r == NEED_MORE)
        r = dicom_peek_end(peek);
    return r == OK ? route_attributes_take(&e->attributes, h->wanted, peek, charsets) : r;
}

enum result edition_take_attributes(struct edition *e, const struct hold *h, const struct config *config,
                                    struct dicom_charsets *charsets)
{
    struct dicom_peek *peek = dicom_peek_new();
    enum result r = peek ? route_attributes_reset(&e->attributes, config) : ERR_MEMORY;
    if (r == OK)
        r = peek_header(e, h, peek, config, charsets);
    dicom_peek_free(&peek);
    e->facts.attributes = &e->attributes;
    return r;
}

bool edition_put_stages(const struct edition *e, struct stage **first, struct sink *sink, struct pool *pool,
                        void (*on_failed)(struct stage *st, uint16_t status, const char *what))
{
    if (!e->is_deflated)
        return stage_put_first(first, stage_tail_new(sink, pool, e), on_failed);
    return stage_put_first(first, stage_deflate_new(sink, pool), on_failed) &&
           stage_put_first(first, stage_tail_new(sink, pool, e), on_failed) &&
           stage_put_first(first, stage_inflate_new(sink, pool), on_failed);
}

void edition_free(struct edition *e)
{
    route_attributes_free(&e->attributes);
    gathered_piece_free(&e->header);
}
