#include "relay/trace.h"

#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "base/bytes.h"
#include "dicom/data_set.h"
#include "dicom/tag.h"
#include "dicom/value.h"

enum {
    INSTANCE_COERCION_DATE_TIME = DICOM_TAG(0x0008, 0x0015),
    PATIENT_IDENTITY_REMOVED = DICOM_TAG(0x0012, 0x0062),
    MANUFACTURER = DICOM_TAG(0x0008, 0x0070),
    STATION_NAME = DICOM_TAG(0x0008, 0x1010),
    CODE_VALUE = DICOM_TAG(0x0008, 0x0100),
    CODING_SCHEME = DICOM_TAG(0x0008, 0x0102),
    CODE_MEANING = DICOM_TAG(0x0008, 0x0104),
    CONTRIBUTING_EQUIPMENT = DICOM_TAG(0x0018, 0xA001),
    CONTRIBUTION_DATE_TIME = DICOM_TAG(0x0018, 0xA002),
    PURPOSE = DICOM_TAG(0x0040, 0xA170),
    MODIFIED_ATTRIBUTES = DICOM_TAG(0x0400, 0x0550),
    ORIGINAL_ATTRIBUTES = DICOM_TAG(0x0400, 0x0561),
    MODIFICATION_DATE_TIME = DICOM_TAG(0x0400, 0x0562),
    MODIFYING_SYSTEM = DICOM_TAG(0x0400, 0x0563),
    SOURCE_OF_PREVIOUS_VALUES = DICOM_TAG(0x0400, 0x0564),
    REASON = DICOM_TAG(0x0400, 0x0565)
};

void trace_now(char now[27])
{
    struct timeval at;
    struct tm utc;
    gettimeofday(&at, NULL);
    gmtime_r(&at.tv_sec, &utc);
    size_t len = strftime(now, 27, "%Y%m%d%H%M%S", &utc);
    snprintf(now + len, 27 - len, ".%06ld+0000", (long)at.tv_usec % 1000000);
}

static enum result put_text(struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr, const char *text)
{
    return dicom_data_set_put(ds, tag, vr, view_of(text));
}

static enum result copy_element(struct dicom_data_set *to, struct dicom_element *e);

static bool is_unreadable(enum result r)
{
    return r == ERR_PROTO || r == ERR_LIMIT;
}

/* Whether it can be cut into items, and each of them into elements: ERR_PROTO, ERR_LIMIT: not so. */
static enum result check_items(struct dicom_element *e, size_t *count_out)
{
    enum result r = dicom_element_items(e, count_out);
    for (size_t i = 0; r == OK && i < *count_out; i++) {
        struct dicom_data_set *item;
        r = dicom_element_item(e, i, &item);
    }
    return r;
}

/* A sequence that came broken, and that a morph has replaced, is left out. */
static enum result copy_items(struct dicom_data_set *to, struct dicom_element *from)
{
    struct dicom_element *made;
    size_t count;
    enum result r = check_items(from, &count);
    if (is_unreadable(r))
        return OK;
    if (r == OK)
        r = dicom_data_set_put_sequence(to, from->tag, &made);
    for (size_t i = 0; r == OK && i < count; i++) {
        struct dicom_data_set *item, *copy;
        r = dicom_element_item(from, i, &item);
        if (r == OK)
            r = dicom_element_insert_item(made, i, &copy);
        for (struct dicom_element *e = r == OK ? dicom_data_set_first(item) : NULL; e && r == OK;
             e = dicom_element_next(e))
            r = copy_element(copy, e);
    }
    return r;
}

/* Of what came: also what a broken writer has put there, and nobody may. */
static bool may_be_copied(uint32_t tag)
{
    return !dicom_is_group_length(tag) && !dicom_is_foreign(tag);
}

/* At most DICOM_DEPTH_MAX deep. Fragments stay where they were: an icon in a changed sequence loses its pixels in the copy. */
static enum result copy_element(struct dicom_data_set *to, struct dicom_element *e)
{
    enum dicom_vr vr = dicom_element_vr(e);
    if (!may_be_copied(e->tag) || dicom_element_is_encapsulated(e))
        return OK;
    return vr == DICOM_VR_SQ ? copy_items(to, e) : dicom_data_set_put(to, e->tag, vr, e->value);
}

static bool is_told(uint32_t tag)
{
    return may_be_copied(tag) && tag != ORIGINAL_ATTRIBUTES && tag != CONTRIBUTING_EQUIPMENT &&
           tag != INSTANCE_COERCION_DATE_TIME;
}

static bool has_changed(struct dicom_element *before, struct dicom_data_set *after)
{
    const struct dicom_element *e = dicom_data_set_find(after, before->tag);
    struct view was = dicom_element_raw(before), is;
    if (!is_told(before->tag))
        return false;
    if (!e)
        return true;
    is = dicom_element_raw(e);
    return is.len != was.len || memcmp(is.at, was.at, is.len) != 0;
}

static bool has_something_new(struct dicom_data_set *before, struct dicom_data_set *after)
{
    for (struct dicom_element *e = dicom_data_set_first(after); e; e = dicom_element_next(e))
        if (is_told(e->tag) && !dicom_data_set_find(before, e->tag))
            return true;
    return false;
}

/* A further item at the end; the sequence is made if there is none. */
static enum result add_item(struct dicom_data_set *ds, uint32_t tag, struct dicom_data_set **out)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    size_t count = 0;
    enum result r = e ? dicom_element_items(e, &count) : dicom_data_set_put_sequence(ds, tag, &e);
    return r == OK ? dicom_element_insert_item(e, count, out) : r;
}

/* PS3.16 CID 7005 */
struct purpose {
    const char *code, *meaning;
};
static const struct purpose modifying = {"109103", "Modifying Equipment"};
static const struct purpose de_identifying = {"109104", "De-identifying Equipment"};

static enum result add_equipment(const struct trace *t, struct dicom_data_set *root,
                                 const struct purpose *purpose, bool is_named)
{
    struct dicom_data_set *item, *code;
    enum result r = add_item(root, CONTRIBUTING_EQUIPMENT, &item);
    r = r == OK ? put_text(item, MANUFACTURER, DICOM_VR_LO, "Hilum") : r;
    if (is_named) {
        r = r == OK ? put_text(item, STATION_NAME, DICOM_VR_SH, t->system) : r;
        r = r == OK ? put_text(item, CONTRIBUTION_DATE_TIME, DICOM_VR_DT, t->now) : r;
    }
    r = r == OK ? add_item(item, PURPOSE, &code) : r;
    r = r == OK ? put_text(code, CODE_VALUE, DICOM_VR_SH, purpose->code) : r;
    r = r == OK ? put_text(code, CODING_SCHEME, DICOM_VR_SH, "DCM") : r;
    return r == OK ? put_text(code, CODE_MEANING, DICOM_VR_LO, purpose->meaning) : r;
}

/* What a private element means is said by the creator of its block, in the same data set (PS3.5 7.8.1). */
static enum result copy_creator(struct dicom_data_set *to, struct dicom_data_set *from, uint32_t tag)
{
    uint32_t creator = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF);
    struct dicom_element *e =
        dicom_is_private(tag) && (tag & 0xFFFF) >= 0x1000 ? dicom_data_set_find(from, creator) : NULL;
    return e && !dicom_data_set_find(to, creator) ? copy_element(to, e) : OK;
}

/* Old text is in the old character set: where that has changed the item says so itself. */
static enum result add_values(struct dicom_data_set *item, struct dicom_data_set *before,
                              struct dicom_data_set *after)
{
    struct dicom_data_set *values;
    enum result r = add_item(item, MODIFIED_ATTRIBUTES, &values);
    for (struct dicom_element *e = dicom_data_set_first(before); e && r == OK; e = dicom_element_next(e))
        if (has_changed(e, after)) {
            r = copy_creator(values, before, e->tag);
            r = r == OK ? copy_element(values, e) : r;
        }
    return r;
}

static enum result add_original(const struct trace *t, struct dicom_data_set *root,
                                struct dicom_data_set *before)
{
    struct dicom_data_set *item;
    enum result r = add_item(root, ORIGINAL_ATTRIBUTES, &item);
    r = r == OK ? put_text(item, SOURCE_OF_PREVIOUS_VALUES, DICOM_VR_LO, "") : r;
    r = r == OK ? put_text(item, MODIFICATION_DATE_TIME, DICOM_VR_DT, t->now) : r;
    r = r == OK ? put_text(item, MODIFYING_SYSTEM, DICOM_VR_LO, t->system) : r;
    r = r == OK ? put_text(item, REASON, DICOM_VR_CS, "COERCE") : r;
    return r == OK ? add_values(item, before, root) : r;
}

static bool is_changed(struct dicom_data_set *before, struct dicom_data_set *after)
{
    for (struct dicom_element *e = dicom_data_set_first(before); e; e = dicom_element_next(e))
        if (has_changed(e, after))
            return true;
    return has_something_new(before, after);
}

static enum result parse(const struct trace *t, struct dicom_document *d, struct view bytes)
{
    return dicom_document_parse(d, bytes, t->encoding, t->behind, t->memory_max);
}

/* As a CS, whatever VR it came with. Of several values, which it cannot have, any: identities that were taken out are not to come back. */
static bool has_no_identity(struct dicom_data_set *root)
{
    const struct dicom_element *e = dicom_data_set_find(root, PATIENT_IDENTITY_REMOVED);
    struct view rest = e ? e->value : (struct view){NULL, 0};
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.at, '\\', rest.len);
        size_t len = end ? (size_t)(end - rest.at) : rest.len;
        struct view value = dicom_value_trim(DICOM_VR_CS, (struct view){rest.at, len});
        if (value.len == 3 && memcmp(value.at, "YES", 3) == 0)
            return true;
        len += end != NULL;
        rest = (struct view){rest.at + len, rest.len - len};
    }
    return false;
}

/* Old values are what was to be taken out. So are when and where: an image passes here minutes after it was made. */
static enum result tell_without_identity(const struct trace *t, struct dicom_data_set *root,
                                         struct dicom_data_set *before)
{
    return add_equipment(t, root, has_no_identity(before) ? &modifying : &de_identifying, false);
}

static enum result tell_all(const struct trace *t, struct dicom_data_set *root, struct dicom_data_set *before)
{
    enum result r = add_original(t, root, before);
    r = r == OK ? add_equipment(t, root, &modifying, true) : r;
    return r == OK ? put_text(root, INSTANCE_COERCION_DATE_TIME, DICOM_VR_DT, t->now) : r;
}

/* What is added while the trees are compared is not told (is_told), so the one that is written serves for both. */
static enum result write_trace(const struct trace *t, struct dicom_document *before,
                               struct dicom_document *after, struct gathered_piece *header)
{
    struct dicom_data_set *was = dicom_document_root(before), *root = dicom_document_root(after);
    struct gathered_piece out = {0};
    size_t len;
    if (!is_changed(was, root))
        return OK;
    enum result r = has_no_identity(root) ? tell_without_identity(t, root, was) : tell_all(t, root, was);
    r = r == OK ? dicom_document_measure(after, &len) : r;
    r = r == OK ? gathered_room(t->gathered, t->pool, len, &out) : r;
    if (r != OK)
        return r;
    dicom_document_write_to(after, out.at);
    gathered_piece_free(header);
    *header = out;
    return OK;
}

enum result trace_write(const struct trace *t, struct gathered_piece *header, const char **why_out)
{
    struct dicom_document before = {0}, after = {0};
    struct gathered_piece was = *header;
    was.buf = buf_ref(was.buf); /* what is written refers to it */
    *why_out = NULL;
    enum result r = parse(t, &before, t->before);
    if (r != OK)
        *why_out = before.why;
    if (r == OK) {
        r = parse(t, &after, (struct view){was.at, was.len});
        r = r == OK ? write_trace(t, &before, &after, header) : r;
        *why_out = r == OK ? NULL : after.why ? after.why : before.why;
    }
    dicom_document_free(&before);
    dicom_document_free(&after);
    gathered_piece_free(&was);
    return r;
}
