#include "dicom/tail.h"

#include <string.h>

#include "base/assert.h"
#include "dicom/tag.h"

void dicom_tail_init(struct dicom_tail *t, struct dicom_encoding encoding, struct dicom_tail_rules rules)
{
    *t = (struct dicom_tail){.rules = rules};
    dicom_reader_init(&t->reader, encoding);
}

static bool is_among(const uint32_t *tags, size_t count, uint32_t tag)
{
    for (size_t i = 0; i < count; i++)
        if (tags[i] == tag)
            return true;
    return false;
}

static bool is_kept(struct dicom_tail *t, uint32_t tag)
{
    if (tag < t->rules.below || is_among(t->rules.copies, t->rules.copy_count, tag)) {
        t->has_dropped_copy = true;
        return false;
    }
    if ((t->rules.drops_private && dicom_is_private(tag)) ||
        (t->has_dropped_copy && tag == DICOM_DIGITAL_SIGNATURES))
        return false;
    return !is_among(t->rules.drop, t->rules.drop_count, tag);
}

static void emit_head(struct dicom_tail *t, dicom_tail_emit *emit, void *owner)
{
    if (t->head_len > 0)
        emit(owner, t->head, t->head_len, false);
    t->head_len = 0;
}

static void keep_head(struct dicom_tail *t, const uint8_t *bytes, size_t len)
{
    hilum_assert(t->head_len + len <= sizeof(t->head));
    memcpy(t->head + t->head_len, bytes, len);
    t->head_len = (uint8_t)(t->head_len + len);
}

static void take_element(struct dicom_tail *t, const struct dicom_event *e, const uint8_t *bytes, size_t len,
                         dicom_tail_emit *emit, void *owner)
{
    t->keeps = is_kept(t, e->tag);
    if (t->keeps) {
        emit_head(t, emit, owner);
        emit(owner, bytes, len, true);
    }
    t->head_len = 0;
    dicom_reader_skip(&t->reader);
}

/* With what was held: a header inside of what is skipped. */
static void take_value(struct dicom_tail *t, const uint8_t *bytes, size_t len, dicom_tail_emit *emit,
                       void *owner)
{
    if (t->keeps) {
        emit_head(t, emit, owner);
        if (len > 0)
            emit(owner, bytes, len, true);
    }
    t->head_len = 0;
}

void dicom_tail_feed(struct dicom_tail *t, const uint8_t *bytes, size_t len, dicom_tail_emit *emit,
                     void *owner)
{
    while (len > 0 && !t->why) {
        struct dicom_event e;
        size_t n = dicom_reader_next(&t->reader, bytes, len, &e);
        if (e.kind == DICOM_EVENT_FAULT) {
            t->why = e.why;
            emit_head(t, emit, owner);
            break;
        }
        if (e.kind == DICOM_EVENT_NONE)
            keep_head(t, bytes, n);
        else if (e.kind == DICOM_EVENT_ELEMENT)
            take_element(t, &e, bytes, n, emit, owner);
        else
            take_value(t, bytes, n, emit, owner);
        bytes += n;
        len -= n;
    }
    if (len > 0)
        emit(owner, bytes, len, true);
}

void dicom_tail_finish(struct dicom_tail *t, dicom_tail_emit *emit, void *owner)
{
    emit_head(t, emit, owner);
}
