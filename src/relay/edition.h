/*
 * What one route makes of a message: a header of its own, and rules for what stands behind. All destinations of the route are fed by it;
 * its morph has run once.
 *
 * An edition without a change is the message as it came. One that may only have to drop what stands behind pixel data out of order,
 * which nobody knows before it has passed, counts as changed: its header is the same bytes.
 */
#ifndef HILUM_RELAY_EDITION_H
#define HILUM_RELAY_EDITION_H

#include "dicom/tail.h"
#include "relay/hold.h"
#include "relay/sink.h"
#include "relay/stage.h"
#include "relay/trace.h"
#include "route/attributes.h"
#include "route/route.h"
#include "script/bind.h"

struct edition {
    const struct config_route *route;
    bool is_changed;
    struct gathered_piece
        header; /* in place of the one that came; none: it is given to the chain (edition_give_header) */
    uint64_t received_header_len;
    bool is_deflated;
    /* What its sinks are told: UIDs as they are in the header now. */
    struct sink_message facts;
    struct dimse_command command;
    char sop_class[65], sop_instance[65];
    struct view class_before, instance_before; /* in the data set, until edition_make */
    struct route_attributes attributes;        /* as its folders ask for them */
    /* Behind the header. */
    struct dicom_encoding encoding;
    uint32_t drop[BIND_TAIL_MAX + 1], copies[BIND_TOUCHED_MAX];
    struct dicom_tail_rules tail;
};

/* Before the morph: what it may rename. */
void edition_begin(struct edition *e, const struct dicom_document *document);
/* From a morph that has run. `received` is what the message's own command said; trace may be NULL. OK; ERR_MEMORY; ERR_LIMIT without a `why` of
 * the binding's document: the spool has no room; else that says why. */
MUST_USE enum result edition_make(struct edition *e, struct bind *b, struct gathered *gathered,
                                  struct pool *pool, const struct sink_message *received,
                                  const struct trace *trace);
/* Looks for the attributes that h->wanted says in the edition's own header. OK; ERR_MEMORY; ERR_PROTO: the morph's header cannot be read. */
MUST_USE enum result edition_take_attributes(struct edition *e, const struct hold *h,
                                             const struct config *config, struct dicom_charsets *charsets);
void edition_free(struct edition *e);

/* In front of a chain: what makes the edition out of what was received. False without memory; what is in the chain then is freed with it. */
bool edition_put_stages(const struct edition *e, struct stage **first, struct sink *sink, struct pool *pool,
                        void (*on_failed)(struct stage *st, uint16_t status, const char *what));

/* To a chain whose edition has no header: a piece of it, before any data. */
void edition_give_header(struct stage *first, struct buf *b, uint8_t *at, uint32_t len);

/* stage_tail.c: the edition's header in place of the one that comes, and behind it the rest with some elements dropped. NULL without memory. */
struct stage *stage_tail_new(struct sink *sink, struct pool *pool, const struct edition *e);
/* stage_deflate.c: around it, of a deflated data set. NULL without memory. */
struct stage *stage_inflate_new(struct sink *sink, struct pool *pool);
struct stage *stage_deflate_new(struct sink *sink, struct pool *pool);

#endif
