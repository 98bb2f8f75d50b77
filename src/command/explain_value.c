/* Values of elements as people read them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/explain.h"
#include "dicom/value.h"

enum {
    TEXT_MAX = 1024, /* bytes kept of a value */
    NUMBERS_MAX = 64,
    NUMBER_TEXT = 32
};

static enum result keep(struct arena *arena, struct explain_value *out, const void *text, size_t len)
{
    if (len > TEXT_MAX) {
        len = TEXT_MAX;
        while (len > 0 && (((const uint8_t *)text)[len] & 0xC0) == 0x80) /* not through a character */
            len--;
        out->is_cut = true;
    }
    out->text = arena_copy(arena, text, len);
    out->len = len;
    return out->text ? OK : ERR_MEMORY;
}

static enum result keep_text(struct arena *arena, struct explain_value *out, enum dicom_vr vr,
                             struct view text)
{
    text = dicom_value_trim(vr, text);
    out->is_quoted = true;
    return keep(arena, out, text.at, text.len);
}

static enum result keep_count(struct arena *arena, struct explain_value *out, size_t count, const char *what)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "%zu %s%s", count, what, count == 1 ? "" : "s");
    return keep(arena, out, text, (size_t)len);
}

/* --- numbers ----------------------------------------------------------------------------------------------- */

/* The shortest decimal that reads back as the same number. */
static void print_real(char text[NUMBER_TEXT], double real, bool is_single)
{
    for (int digits = is_single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, NUMBER_TEXT, "%.*g", digits, real);
        if (is_single ? strtof(text, NULL) == (float)real : strtod(text, NULL) == real)
            return;
    }
}

static void print_number(char text[NUMBER_TEXT], enum dicom_vr vr, const struct dicom_number *n)
{
    if (n->is_real)
        print_real(text, n->real, vr == DICOM_VR_FL);
    else if (n->big > 0)
        snprintf(text, NUMBER_TEXT, "%" PRIu64, n->big);
    else if (vr == DICOM_VR_AT)
        snprintf(text, NUMBER_TEXT, "(%04X,%04X)", (unsigned)(n->integer >> 16),
                 (unsigned)(n->integer & 0xFFFF));
    else
        snprintf(text, NUMBER_TEXT, "%" PRId64, n->integer);
}

static enum result keep_numbers(struct arena *arena, struct explain_value *out, struct dicom_element *e)
{
    enum dicom_vr vr = dicom_element_vr(e);
    size_t count = dicom_number_count(vr, e->value), len = 0;
    char text[NUMBERS_MAX * NUMBER_TEXT];
    if (count * dicom_vr_info(vr)->unit != e->value.len && vr != DICOM_VR_AT)
        return keep_count(arena, out, e->value.len, "byte"); /* a length that no number has */
    for (size_t i = 0; i < count && i < NUMBERS_MAX; i++) {
        char one[NUMBER_TEXT];
        struct dicom_number n = dicom_number_at(vr, dicom_element_is_big_endian(e), e->value, i);
        print_number(one, vr, &n);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i > 0 ? "\\" : "", one);
    }
    out->is_quoted = count == 0;
    enum result r = keep(arena, out, text, len);
    out->is_cut = out->is_cut || count > NUMBERS_MAX;
    return r;
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

/* Private elements of Implicit VR are UN to all but their makers, and are text more often than not. */
static bool is_plain_text(struct view bytes)
{
    struct view text = dicom_value_trim(DICOM_VR_LO, bytes);
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] < ' ' || text.at[i] > '~')
            return false;
    return text.len > 0;
}

static enum result keep_bytes(struct arena *arena, struct explain_value *out, struct dicom_element *e)
{
    enum dicom_vr vr = dicom_element_vr(e);
    bool may_be_text = vr == DICOM_VR_UN || vr == DICOM_VR_UNKNOWN;
    if (may_be_text && is_plain_text(e->value))
        return keep_text(arena, out, DICOM_VR_LO, e->value);
    return keep_count(arena, out, e->value.len, "byte");
}

enum result explain_value(struct arena *arena, struct dicom_text *text, struct dicom_element *e,
                          struct explain_value *out)
{
    *out = (struct explain_value){0};
    struct view utf8;
    size_t count;
    enum result r;
    switch (dicom_vr_info(dicom_element_vr(e))->kind) {
    case DICOM_TEXT:
        r = dicom_text_get(text, e, &utf8, NULL);
        return r == OK ? keep_text(arena, out, dicom_element_vr(e), utf8) : r;
    case DICOM_NUMBER:
    case DICOM_TAGS:
        return keep_numbers(arena, out, e);
    case DICOM_ITEMS:
        if (dicom_element_items(e, &count) == OK)
            return keep_count(arena, out, count, "item");
        break;
    case DICOM_BYTES:
        break;
    }
    return keep_bytes(arena, out, e);
}
