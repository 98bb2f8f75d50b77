#include "relay/commitment_list.h"

#include <stdlib.h>
#include <string.h>

#include "dicom/reader.h"
#include "dicom/uid.h"

enum {
    TRANSACTION_UID = 0x00081195,
    FAILURE_REASON = 0x00081197,
    FAILED_SEQUENCE = 0x00081198,
    REFERENCED_SEQUENCE = 0x00081199,
    REFERENCED_CLASS = 0x00081150,
    REFERENCED_INSTANCE = 0x00081155,
    VALUE_MAX = COMMITMENT_UID_MAX + 2, /* and padding */
};

/* --- reading --------------------------------------------------------------------------------------------------- */

struct value {
    size_t len;
    uint8_t of[VALUE_MAX];
};

struct parse {
    struct commitment_list *to;
    struct dicom_reader reader;
    uint32_t sequence;   /* that is being read; 0: none */
    struct value *value; /* of the element that is coming; NULL: it is not wanted */
    struct value transaction, sop_class, sop_instance, reason;
    bool is_big_endian, is_too_long;
    const char *why;
};

bool commitment_list_add(struct commitment_list *l, struct view sop_class, struct view sop_instance,
                         uint16_t reason)
{
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct commitment_item *items = realloc(l->items, cap * sizeof(*items));
        if (!items)
            return false;
        l->items = items;
        l->cap = cap;
    }
    struct commitment_item *item = &l->items[l->count];
    /* Instances of one class follow each other. */
    bool is_same = l->count > 0 && strlen(item[-1].sop_class) == sop_class.len &&
                   memcmp(item[-1].sop_class, sop_class.at, sop_class.len) == 0;
    *item = (struct commitment_item){
        .sop_class = is_same ? item[-1].sop_class : arena_copy(&l->memory, sop_class.at, sop_class.len),
        .sop_instance = arena_copy(&l->memory, sop_instance.at, sop_instance.len),
        .reason = reason};
    l->count++;
    return item->sop_class && item->sop_instance;
}

static struct view uid_of(const struct value *v)
{
    return dicom_uid_trim((struct view){v->of, v->len});
}

/* What it is as a C string is all of it. */
static bool is_text(struct view uid)
{
    return uid.len > 0 && uid.len <= COMMITMENT_UID_MAX && !memchr(uid.at, '\0', uid.len);
}

static uint16_t reason_of(const struct parse *p)
{
    if (p->sequence == REFERENCED_SEQUENCE)
        return COMMITMENT_COMMITTED;
    uint16_t reason = 0;
    if (p->reason.len == 2)
        reason = p->is_big_endian ? get_be16(p->reason.of) : get_le16(p->reason.of);
    return reason ? reason : COMMITMENT_PROCESSING_FAILURE;
}

static enum result end_item(struct parse *p)
{
    struct view sop_class = uid_of(&p->sop_class), sop_instance = uid_of(&p->sop_instance);
    if (!is_text(sop_class) || !is_text(sop_instance)) {
        p->why = "an item without a SOP class or instance, or one that is no UID";
        return ERR_PROTO;
    }
    if (p->to->count == COMMITMENT_ITEMS_MAX)
        return ERR_LIMIT;
    return commitment_list_add(p->to, sop_class, sop_instance, reason_of(p)) ? OK : ERR_MEMORY;
}

static struct value *wanted(struct parse *p, uint32_t tag)
{
    switch (tag) {
    case REFERENCED_CLASS:
        return &p->sop_class;
    case REFERENCED_INSTANCE:
        return &p->sop_instance;
    case FAILURE_REASON:
        return &p->reason;
    default:
        return NULL;
    }
}

static void begin_element(struct parse *p, const struct dicom_event *e)
{
    bool is_wanted = e->depth == 0 && (e->tag == FAILED_SEQUENCE || e->tag == REFERENCED_SEQUENCE);
    p->value = NULL;
    if (is_wanted && (e->enters || e->vr == DICOM_VR_UN)) {
        p->sequence = e->tag;
        if (!e->enters)
            dicom_reader_enter(&p->reader);
        return;
    }
    if (e->depth == 0 && e->tag == TRANSACTION_UID)
        p->value = &p->transaction;
    else if (e->depth == 1 && p->sequence)
        p->value = wanted(p, e->tag);
    if (p->value)
        p->value->len = 0;
    dicom_reader_skip(&p->reader);
}

static void add_value(struct parse *p, const struct dicom_event *e)
{
    if (!p->value)
        return;
    if (e->len > VALUE_MAX - p->value->len) {
        p->is_too_long = true;
        return;
    }
    memcpy(p->value->of + p->value->len, e->at, e->len);
    p->value->len += e->len;
}

static enum result take(struct parse *p, const struct dicom_event *e)
{
    switch (e->kind) {
    case DICOM_EVENT_ELEMENT:
        begin_element(p, e);
        return OK;
    case DICOM_EVENT_VALUE:
        if (e->len > 0)
            add_value(p, e);
        if (e->is_last)
            p->value = NULL;
        return OK;
    case DICOM_EVENT_ITEM:
        p->sop_class.len = p->sop_instance.len = p->reason.len = 0;
        return OK;
    case DICOM_EVENT_ITEM_END:
        return end_item(p);
    case DICOM_EVENT_SEQUENCE_END:
        p->sequence = 0;
        return OK;
    case DICOM_EVENT_FAULT:
        p->why = e->why;
        return ERR_PROTO;
    case DICOM_EVENT_NONE:
        return NEED_MORE;
    }
    return ERR_PROTO;
}

/* The rest of the bytes is offered even if it is empty: ends by length need none. */
static enum result read_piece(struct parse *p, const uint8_t *at, size_t len)
{
    enum result r;
    do {
        struct dicom_event e;
        size_t n = dicom_reader_next(&p->reader, at, len, &e);
        at += n;
        len -= n;
        r = take(p, &e);
    } while (r == OK);
    return r == NEED_MORE ? OK : r;
}

static enum result finish(struct parse *p)
{
    if (dicom_reader_end(&p->reader, &p->why) != OK)
        return ERR_PROTO;
    struct view transaction = uid_of(&p->transaction);
    if (!is_text(transaction)) {
        p->why = "no Transaction UID, or one that is none";
        return ERR_PROTO;
    }
    if (p->is_too_long) {
        p->why = "a value that is too long";
        return ERR_PROTO;
    }
    memcpy(p->to->transaction, transaction.at, transaction.len);
    p->to->transaction[transaction.len] = '\0';
    return OK;
}

enum result commitment_list_read(struct commitment_list *out, const struct slices *data,
                                 struct dicom_encoding encoding, const char **why_out)
{
    struct parse p = {.to = out, .is_big_endian = encoding.is_big_endian, .why = "not a data set"};
    enum result r = OK;
    *out = (struct commitment_list){0};
    dicom_reader_init(&p.reader, encoding);
    for (uint32_t i = 0; r == OK && i < data->count; i++) {
        const struct slice *s = slices_at(data, i);
        r = read_piece(&p, s->at, s->len);
    }
    if (r == OK)
        r = finish(&p);
    *why_out = r == ERR_LIMIT ? "too many instances" : r == ERR_MEMORY ? "out of memory" : p.why;
    return r;
}

void commitment_list_free(struct commitment_list *l)
{
    arena_free(&l->memory);
    free(l->items);
    *l = (struct commitment_list){0};
}

/* --- writing --------------------------------------------------------------------------------------------------- */

enum { ITEM = 0xFFFEE000 };

static void write_tag(struct octets *o, uint32_t tag)
{
    octets_le16(o, (uint16_t)(tag >> 16));
    octets_le16(o, (uint16_t)tag);
}

static void write_head(struct octets *o, bool is_explicit, uint32_t tag, const char *vr, uint32_t len)
{
    write_tag(o, tag);
    if (!is_explicit) {
        octets_le32(o, len);
        return;
    }
    octets_append(o, vr, 2);
    if (vr[0] == 'S') { /* SQ */
        octets_le16(o, 0);
        octets_le32(o, len);
    } else {
        octets_le16(o, (uint16_t)len);
    }
}

static uint32_t even(size_t len)
{
    return (uint32_t)(len + len % 2);
}

static void write_uid(struct octets *o, bool is_explicit, uint32_t tag, const char *uid)
{
    size_t len = strlen(uid);
    write_head(o, is_explicit, tag, "UI", even(len));
    octets_append(o, uid, len);
    octets_fill(o, 0, len % 2);
}

static uint32_t item_bytes(const struct commitment_item *i)
{
    uint32_t len = 8 + even(strlen(i->sop_class)) + 8 + even(strlen(i->sop_instance));
    return i->reason ? len + 10 : len;
}

static bool is_of(const struct commitment_item *i, uint32_t sequence)
{
    return (i->reason != COMMITMENT_COMMITTED) == (sequence == FAILED_SEQUENCE);
}

/* Lengths are the same in both encodings. */
static void write_sequence(struct octets *o, bool is_explicit, uint32_t sequence,
                           const struct commitment_item *items, size_t count)
{
    uint32_t len = 0;
    for (size_t n = 0; n < count; n++)
        len += is_of(&items[n], sequence) ? 8 + item_bytes(&items[n]) : 0;
    if (len == 0)
        return;
    write_head(o, is_explicit, sequence, "SQ", len);
    for (size_t n = 0; n < count; n++) {
        if (!is_of(&items[n], sequence))
            continue;
        write_tag(o, ITEM);
        octets_le32(o, item_bytes(&items[n]));
        write_uid(o, is_explicit, REFERENCED_CLASS, items[n].sop_class);
        write_uid(o, is_explicit, REFERENCED_INSTANCE, items[n].sop_instance);
        if (items[n].reason) {
            write_head(o, is_explicit, FAILURE_REASON, "US", 2);
            octets_le16(o, items[n].reason);
        }
    }
}

void commitment_list_write(struct octets *o, bool is_explicit, const char *transaction,
                           const struct commitment_item *items, size_t count)
{
    write_uid(o, is_explicit, TRANSACTION_UID, transaction);
    write_sequence(o, is_explicit, FAILED_SEQUENCE, items, count);
    write_sequence(o, is_explicit, REFERENCED_SEQUENCE, items, count);
}

/* --- reasons --------------------------------------------------------------------------------------------------- */

size_t commitment_failed(const struct commitment_item *items, size_t count)
{
    size_t failed = 0;
    for (size_t n = 0; n < count; n++)
        failed += items[n].reason != COMMITMENT_COMMITTED;
    return failed;
}

static int weight(uint16_t reason)
{
    static const uint16_t worst_first[] = {COMMITMENT_NO_SUCH_INSTANCE,    COMMITMENT_CLASS_CONFLICT,
                                           COMMITMENT_CLASS_NOT_SUPPORTED, COMMITMENT_DUPLICATE,
                                           COMMITMENT_PROCESSING_FAILURE,  COMMITMENT_RESOURCE_LIMIT};
    enum { REASONS = sizeof(worst_first) / sizeof(worst_first[0]) };
    for (int n = 0; n < REASONS; n++)
        if (worst_first[n] == reason)
            return REASONS + 1 - n;
    return reason == COMMITMENT_COMMITTED ? 0 : 1;
}

uint16_t commitment_worse(uint16_t a, uint16_t b)
{
    return weight(b) > weight(a) ? b : a;
}
