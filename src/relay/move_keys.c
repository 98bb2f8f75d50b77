#include "relay/move_keys.h"

#include <stdlib.h>
#include <string.h>

#include "dicom/peek.h"

enum { QUERY_LEVEL = MOVE_LEVELS, IDENTIFIER_PATHS, LOOK_PATHS = MOVE_IMAGE };

static const struct {
    uint32_t tag;
    const char *word; /* of Query/Retrieve Level */
} levels[IDENTIFIER_PATHS] = {
    [MOVE_PATIENT] = {0x00100020, "PATIENT"}, [MOVE_STUDY] = {0x0020000D, "STUDY"},
    [MOVE_SERIES] = {0x0020000E, "SERIES"},   [MOVE_IMAGE] = {0x00080018, "IMAGE"},
    [QUERY_LEVEL] = {0x00080052, NULL},
};

struct move_look {
    struct dicom_path paths[LOOK_PATHS];
    struct dicom_peek *peek;
    enum result known;
};

struct view move_keys_trim(struct view v)
{
    while (v.len > 0 && (v.at[v.len - 1] == ' ' || v.at[v.len - 1] == 0))
        v.len--;
    while (v.len > 0 && v.at[0] == ' ') {
        v.at++;
        v.len--;
    }
    return v;
}

static enum result begin(struct dicom_peek *peek, struct dicom_path *paths, size_t count,
                         const char *transfer_syntax)
{
    const struct dicom_path *list[IDENTIFIER_PATHS];
    bool is_deflated;
    struct dicom_encoding encoding = dicom_encoding_of(view_of(transfer_syntax), &is_deflated);
    for (size_t i = 0; i < count; i++) {
        paths[i] = (struct dicom_path){.tag = levels[i].tag};
        list[i] = &paths[i];
    }
    return dicom_peek_begin(peek, list, count, encoding, is_deflated);
}

static struct view value_at(const struct dicom_peek *peek, size_t index)
{
    struct dicom_peek_value v = dicom_peek_at(peek, index);
    return v.state == DICOM_PEEK_VALUE ? move_keys_trim(v.bytes) : (struct view){NULL, 0};
}

/* --- of an identifier ----------------------------------------------------------------------------------------------- */

/* The level that it names, or the lowest. */
static unsigned level_of(const struct dicom_peek *peek)
{
    struct view word = value_at(peek, QUERY_LEVEL);
    for (unsigned i = 0; word.at && i < MOVE_LEVELS; i++)
        if (word.len == strlen(levels[i].word) && memcmp(word.at, levels[i].word, word.len) == 0)
            return i;
    return MOVE_IMAGE;
}

/* A text of values between backslashes. */
static bool take_values(struct move_keys *k, struct view list)
{
    k->values = malloc(list.len + 1);
    if (!k->values)
        return false;
    while (list.len > 0) {
        const uint8_t *end = memchr(list.at, '\\', list.len);
        size_t len = end ? (size_t)(end - list.at) : list.len;
        struct view one = move_keys_trim((struct view){list.at, len});
        if (one.len > 0) {
            memcpy(k->values + k->len, one.at, one.len);
            k->len += one.len;
            k->values[k->len++] = '\0';
        }
        len += end ? 1 : 0;
        list.at += len;
        list.len -= len;
    }
    return true;
}

static bool take(struct move_keys *k, const struct dicom_peek *peek)
{
    for (unsigned i = level_of(peek) + 1; i-- > 0;) {
        struct view list = value_at(peek, i);
        if (list.len == 0)
            continue;
        k->level = (enum move_level)i;
        return take_values(k, list);
    }
    return true;
}

bool move_keys_take(struct move_keys *k, const struct slices *identifier, const char *transfer_syntax)
{
    struct dicom_path paths[IDENTIFIER_PATHS];
    struct dicom_peek *peek = dicom_peek_new();
    enum result r = peek ? begin(peek, paths, IDENTIFIER_PATHS, transfer_syntax) : ERR_MEMORY;
    for (uint32_t i = 0; (r == OK || r == NEED_MORE) && i < identifier->count; i++) {
        const struct slice *s = slices_at(identifier, i);
        r = dicom_peek_feed(peek, s->at, s->len);
        if (r == OK)
            break;
    }
    if (r == NEED_MORE)
        r = dicom_peek_end(peek);
    bool ok = r != ERR_MEMORY && take(k, peek);
    dicom_peek_free(&peek);
    return ok;
}

void move_keys_free(struct move_keys *k)
{
    free(k->values);
    *k = (struct move_keys){0};
}

bool move_keys_have(const struct move_keys *k, struct view value)
{
    for (size_t at = 0; value.len > 0 && at < k->len; at += strlen(k->values + at) + 1)
        if (strlen(k->values + at) == value.len && memcmp(k->values + at, value.at, value.len) == 0)
            return true;
    return false;
}

/* --- of an instance ---------------------------------------------------------------------------------------------------- */

struct move_look *move_look_new(const char *transfer_syntax)
{
    struct move_look *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->peek = dicom_peek_new();
    l->known = NEED_MORE;
    if (!l->peek || begin(l->peek, l->paths, LOOK_PATHS, transfer_syntax) != OK)
        move_look_free(&l);
    return l;
}

void move_look_free(struct move_look **lp)
{
    struct move_look *l = *lp;
    *lp = NULL;
    if (!l)
        return;
    dicom_peek_free(&l->peek);
    free(l);
}

void move_look_feed(struct move_look *l, const uint8_t *bytes, size_t len)
{
    if (l->known == NEED_MORE)
        l->known = dicom_peek_feed(l->peek, bytes, len);
}

enum result move_look_state(const struct move_look *l)
{
    return l->known;
}

enum result move_look_end(struct move_look *l)
{
    if (l->known == NEED_MORE)
        l->known = dicom_peek_end(l->peek);
    return l->known;
}

const char *move_look_fault(const struct move_look *l, uint32_t *tag_out)
{
    return dicom_peek_fault(l->peek, tag_out);
}

uint64_t move_look_offset(const struct move_look *l)
{
    return dicom_peek_offset(l->peek);
}

struct view move_look_key(const struct move_look *l, enum move_level level)
{
    return value_at(l->peek, level);
}
