#include "relay/hold.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "dicom/tag.h"

enum {
    HEADER_FREE = BUF_BYTES /* of what is inflated, so much does not count: a hold pins a buffer at least */
};

static const char no_memory[] = "no memory to hold what routes ask for", no_copy[] = "out of memory";

struct hold *hold_new(const struct config *config, struct view transfer_syntax, struct gathered *bytes,
                      struct pool *pool)
{
    struct hold *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->bytes = bytes;
    h->pool = pool;
    h->header_max = config->header_max;
    h->wanted = calloc(2 * config->attribute_count + 1, sizeof(*h->wanted));
    h->encoding = dicom_encoding_of(transfer_syntax, &h->is_deflated);
    if (!h->wanted || route_attributes_reset(&h->attributes, config) != OK)
        hold_free(&h);
    else
        h->still = h->wanted + config->attribute_count;
    return h;
}

static void give_back(struct hold *h)
{
    if (h->taken > 0)
        pool_give_back(h->pool, h->taken);
    h->taken = 0;
}

/* What is inflated counts like what comes. False: there is no room. */
static bool take_inflated(struct hold *h)
{
    size_t all = h->copy.len > HEADER_FREE ? h->copy.len - HEADER_FREE : 0;
    if (!h->pool || all <= h->taken)
        return true;
    if (!pool_take(h->pool, all - h->taken))
        return false;
    h->taken = all;
    return true;
}

void hold_free(struct hold **hold)
{
    struct hold *h = *hold;
    *hold = NULL;
    if (!h)
        return;
    dicom_peek_free(&h->peek);
    dicom_inflate_free(&h->inflate);
    route_attributes_free(&h->attributes);
    octets_free(&h->copy);
    give_back(h);
    free(h->wanted);
    free(h);
}

enum result hold_want_attributes(struct hold *h, const struct config *config)
{
    const struct dicom_path **paths = calloc(config->attribute_count + 1, sizeof(*paths));
    h->peek = dicom_peek_new();
    if (!paths || !h->peek) {
        free(paths);
        return ERR_MEMORY;
    }
    size_t count = route_attributes_paths(config, h->wanted, paths);
    enum result r = dicom_peek_begin(h->peek, paths, count, h->encoding, h->is_deflated);
    free(paths);
    h->attributes_known = r == OK ? NEED_MORE : r;
    return r;
}

static void peek_is(struct hold *h, enum result r)
{
    h->attributes_known = r;
    if (r == ERR_PROTO)
        h->why = dicom_peek_fault(h->peek, &h->tag);
    else if (r == ERR_MEMORY)
        h->why = "out of memory";
}

static void header_is(struct hold *h, enum result r, const char *why, uint32_t tag)
{
    h->header_known = r;
    h->why = why ? why : h->why;
    h->tag = why ? tag : h->tag;
}

/* In one piece. Of a deflated data set it has been gathered already, with something of what follows. It counts no more: what is complete is
 * used up, or gone, before the worker turns to anything else. */
static void copy_header(struct hold *h)
{
    give_back(h);
    if (h->is_deflated) {
        h->copy.len = (size_t)h->header_len;
    } else {
        octets_fill(&h->copy, 0, (size_t)h->header_len);
        if (!h->copy.failed && h->header_len > 0)
            gathered_copy_out(h->bytes, h->copy.data, (size_t)h->header_len);
    }
    h->header = (struct view){h->copy.data, h->copy.len};
    if (h->copy.failed)
        header_is(h, ERR_MEMORY, no_copy, 0);
    else
        header_is(h, OK, NULL, 0);
}

/* Where it ends is known. In a file it may have to be written first. */
static void found_header(struct hold *h, uint64_t len)
{
    h->is_found = true;
    h->header_len = len;
    if (h->is_deflated || gathered_is_in_memory(h->bytes))
        copy_header(h);
    else
        gathered_want(h->bytes, len);
    hold_moved(h);
}

void hold_moved(struct hold *h)
{
    if (!h->is_found || h->header_known != NEED_MORE || !gathered_is_settled(h->bytes))
        return;
    if (gathered_is_in_memory(h->bytes) || h->header_len == 0)
        copy_header(h);
    else if (gathered_view(h->bytes, h->header_len, &h->header))
        header_is(h, OK, NULL, 0);
    /* else what it is gathered in has failed, and says so */
}

static void read_elements(struct hold *h, const uint8_t *bytes, size_t len)
{
    while (h->header_known == NEED_MORE && !h->is_found) {
        struct dicom_event e;
        size_t n = dicom_reader_next(&h->reader, bytes, len, &e);
        if (e.kind == DICOM_EVENT_NONE)
            return;
        if (e.kind == DICOM_EVENT_FAULT) {
            header_is(h, ERR_PROTO, e.why, e.tag);
        } else if (e.kind == DICOM_EVENT_ELEMENT && e.depth == 0) {
            if (dicom_is_pixel_data(e.tag)) {
                h->behind = e.tag;
                found_header(h, e.offset);
            } else {
                dicom_reader_skip(&h->reader);
            }
        }
        bytes += n;
        len -= n;
    }
}

static void read_inflated(struct hold *h, const uint8_t *bytes, size_t len)
{
    uint8_t piece[16 << 10];
    struct view in = {bytes, len};
    enum result r = OK;
    while (r == OK && h->header_known == NEED_MORE) {
        const char *why = "out of memory";
        size_t n;
        r = dicom_inflate_next(h->inflate, &in, piece, sizeof(piece), &n, &why);
        octets_append(&h->copy, piece, n);
        read_elements(h, piece, n);
        if (h->header_known != NEED_MORE)
            return;
        if (h->copy.failed)
            header_is(h, ERR_MEMORY, no_copy, 0);
        else if (h->copy.len > h->header_max)
            header_is(h, ERR_LIMIT, "inflated, the header is larger than header_max", 0);
        else if (!take_inflated(h))
            header_is(h, ERR_MEMORY, no_memory, 0);
        else if (r != OK && r != NEED_MORE)
            header_is(h, r, why, 0);
    }
}

static void read_header(struct hold *h, const uint8_t *bytes, size_t len)
{
    if (h->is_deflated)
        read_inflated(h, bytes, len);
    else
        read_elements(h, bytes, len);
}

static void end_header(struct hold *h)
{
    const char *why;
    if ((h->is_deflated && dicom_inflate_end(h->inflate, &why) != OK) ||
        dicom_reader_end(&h->reader, &why) != OK) {
        header_is(h, ERR_PROTO, why, dicom_reader_tag(&h->reader));
        return;
    }
    found_header(h, h->is_deflated ? h->copy.len : gathered_bytes(h->bytes));
}

/* What has come is too much for what is not known yet. Of a deflated data set also what it holds, which may be without end. */
static void bound(struct hold *h)
{
    bool is_peeking = h->attributes_known == NEED_MORE;
    bool is_beyond = gathered_bytes(h->bytes) > gathered_max(h->bytes) ||
                     (is_peeking && h->is_deflated && dicom_peek_offset(h->peek) > h->header_max);
    if (hold_state(h) != NEED_MORE || !is_beyond || (h->is_found && !is_peeking))
        return;
    *(is_peeking ? &h->attributes_known : &h->header_known) = ERR_LIMIT;
    h->why = h->is_deflated || gathered_max(h->bytes) == h->header_max
                 ? "what routes ask for lies beyond header_max"
                 : "what routes ask for lies beyond header_spool_max";
}

/* What is held already is read through. */
static void feed_header(void *owner, struct buf *b, uint8_t *at, uint32_t len)
{
    (void)b;
    read_header(owner, at, len);
}

void hold_want_header(struct hold *h)
{
    if (h->wants_header)
        return;
    h->wants_header = true;
    h->header_known = NEED_MORE;
    if (h->is_deflated && dicom_inflate_new(&h->inflate) != OK) {
        header_is(h, ERR_MEMORY, "out of memory", 0);
        return;
    }
    dicom_reader_init(&h->reader, h->encoding);
    if (!gathered_each(h->bytes, feed_header, h))
        return; /* it has failed, and says so */
    if (h->is_ended && h->header_known == NEED_MORE && !h->is_found)
        end_header(h);
    bound(h);
}

enum result hold_begin(struct hold *h, const struct config *config, const struct route_facts *facts,
                       const struct route_decision *d, enum result decided)
{
    bool function, any = false;
    route_wants(config, facts, h->wanted, &function);
    route_destinations_want(config, d, h->wanted);
    for (size_t i = 0; i < config->attribute_count; i++)
        any = any || h->wanted[i];
    enum result r = any ? hold_want_attributes(h, config) : OK;
    if (r == OK && (decided == OK ? route_morphs(d) : !any))
        hold_want_header(h);
    return r;
}

enum result hold_data(struct hold *h, struct buf *b, uint8_t *at, uint32_t len)
{
    if (gathered_push(h->bytes, b, at, len) == ERR_MEMORY)
        return ERR_MEMORY;
    if (h->attributes_known == NEED_MORE)
        peek_is(h, dicom_peek_feed(h->peek, at, len));
    if (h->wants_header && !h->is_found)
        read_header(h, at, len);
    bound(h);
    return OK;
}

void hold_end(struct hold *h)
{
    h->is_ended = true;
    if (h->attributes_known == NEED_MORE)
        peek_is(h, dicom_peek_end(h->peek));
    if (h->wants_header && h->header_known == NEED_MORE && !h->is_found)
        end_header(h);
}

enum result hold_state(const struct hold *h)
{
    const char *why;
    enum result g = gathered_state(h->bytes, &why);
    enum result a = h->attributes_known, b = h->wants_header ? h->header_known : OK;
    if (g != OK)
        return g;
    if (a != OK && a != NEED_MORE)
        return a;
    return b != OK && b != NEED_MORE ? b : a == OK ? b : a;
}

const char *hold_why(const struct hold *h)
{
    const char *why;
    return gathered_state(h->bytes, &why) != OK ? why : h->why;
}

bool hold_has_header(const struct hold *h)
{
    return h->wants_header && h->header_known == OK;
}

/* Where the header is wanted as well nothing less will do. */
bool hold_is_ready(const struct hold *h)
{
    if (!gathered_is_settled(h->bytes))
        return false;
    return hold_state(h) != NEED_MORE ||
           (h->peek && !h->wants_header && dicom_peek_known(h->peek) > h->known);
}

enum result hold_take_attributes(struct hold *h, struct dicom_charsets *charsets)
{
    if (!h->peek)
        return OK;
    h->known = dicom_peek_known(h->peek);
    return route_attributes_take(&h->attributes, h->wanted, h->peek, charsets);
}

/* Something of h->still is not known. */
static bool lacks(const struct hold *h)
{
    for (size_t i = 0; i < h->attributes.count; i++)
        if (h->still[i] && !h->attributes.of[i].is_known)
            return true;
    return false;
}

enum result hold_ask(struct hold *h, const struct config *config, const struct route_facts *facts,
                     const struct route_decision *d, enum result decided)
{
    bool function, morphs = decided == OK && route_morphs(d), is_lacking = false;
    const char *why;
    enum result gathered = gathered_state(h->bytes, &why);
    if (gathered != OK)
        return gathered; /* what is known already would go out with a hole in it */
    if (decided == OK && route_destinations_ask(d)) {
        memset(h->still, 0, config->attribute_count * sizeof(*h->still));
        is_lacking = route_destinations_want(config, d, h->still) && lacks(h);
    } else if (decided == NEED_MORE) {
        is_lacking = route_wants(config, facts, h->still, &function) && lacks(h);
    }
    if (decided == OK && !is_lacking && (!morphs || hold_has_header(h)))
        return OK;
    enum result state = hold_state(h);
    if (state == OK && (is_lacking || h->wants_header))
        return ERR_MEMORY; /* not known in spite of that: it could not be taken */
    if ((state == OK || state == NEED_MORE) && (morphs || !is_lacking))
        hold_want_header(h);
    return state == OK ? NEED_MORE : state;
}
