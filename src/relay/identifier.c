#include "relay/identifier.h"

#include <string.h>

#include "dicom/deflate.h"
#include "dicom/reader.h"
#include "dicom/tag.h"
#include "dicom/uid.h"
#include "dicom/value.h"

#define AVAILABILITY  DICOM_TAG(0x0008, 0x0056) /* Instance Availability */
#define STEP_SEQUENCE DICOM_TAG(0x0040, 0x0100) /* Scheduled Procedure Step Sequence */
#define GROUP_LENGTH  DICOM_TAG(0x0008, 0x0000)

enum { INFLATE_STEP = 16 << 10, VALUE_MAX = 1 << 20 };

static const uint32_t tags[IDENTIFIER_KEYS] = {
    [IDENTIFIER_INSTANCE_UID] = DICOM_TAG(0x0008, 0x0018),
    [IDENTIFIER_LEVEL_NAME] = DICOM_TAG(0x0008, 0x0052),
    [IDENTIFIER_RETRIEVE_TITLE] = DICOM_TAG(0x0008, 0x0054),
    [IDENTIFIER_FAILED_UIDS] = DICOM_TAG(0x0008, 0x0058),
    [IDENTIFIER_PATIENT_ID] = DICOM_TAG(0x0010, 0x0020),
    [IDENTIFIER_ISSUER] = DICOM_TAG(0x0010, 0x0021),
    [IDENTIFIER_STUDY_UID] = DICOM_TAG(0x0020, 0x000D),
    [IDENTIFIER_SERIES_UID] = DICOM_TAG(0x0020, 0x000E),
    [IDENTIFIER_PATIENT_INSTANCES] = DICOM_TAG(0x0020, 0x1204),
    [IDENTIFIER_STUDY_INSTANCES] = DICOM_TAG(0x0020, 0x1208),
    [IDENTIFIER_SERIES_INSTANCES] = DICOM_TAG(0x0020, 0x1209),
    [IDENTIFIER_STEP_ID] = DICOM_TAG(0x0040, 0x0009),
};

static const struct {
    const char *name;
    enum identifier_key unique;
} levels[IDENTIFIER_LEVELS] = {
    [IDENTIFIER_NO_LEVEL] = {"", IDENTIFIER_PATIENT_ID},
    [IDENTIFIER_PATIENT] = {"PATIENT", IDENTIFIER_PATIENT_ID},
    [IDENTIFIER_STUDY] = {"STUDY", IDENTIFIER_STUDY_UID},
    [IDENTIFIER_SERIES] = {"SERIES", IDENTIFIER_SERIES_UID},
    [IDENTIFIER_IMAGE] = {"IMAGE", IDENTIFIER_INSTANCE_UID},
};

enum identifier_model identifier_model_of(struct view abstract_syntax)
{
    struct view trimmed = dicom_uid_trim(abstract_syntax);
    const struct dicom_uid *uid = dicom_uid_find((const char *)trimmed.at, trimmed.len);
    if (!uid)
        return IDENTIFIER_BY_INSTANCE;
    if (strcmp(uid->service, "Modality Worklist") == 0 ||
        strcmp(uid->service, "General Purpose Worklist") == 0)
        return IDENTIFIER_BY_STEP;
    bool has_levels = strncmp(uid->keyword, "PatientRoot", 11) == 0 ||
                      strncmp(uid->keyword, "StudyRoot", 9) == 0 ||
                      strncmp(uid->keyword, "PatientStudyOnly", 16) == 0;
    return has_levels ? IDENTIFIER_BY_LEVEL : IDENTIFIER_BY_INSTANCE;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Into one piece. */
static enum result gather(struct identifier *i, const struct slices *data)
{
    if (data->count == 1) {
        const struct slice *only = slices_at(data, 0);
        i->plain = (struct view){only->at, only->len};
        return OK;
    }
    for (uint32_t k = 0; k < data->count; k++)
        octets_append(&i->own, slices_at(data, k)->at, slices_at(data, k)->len);
    i->plain = (struct view){i->own.data, i->own.len};
    return i->own.failed ? ERR_MEMORY : OK;
}

/* One slice of the stream. NEED_MORE: all of it is taken. */
static enum result inflate_slice(struct identifier *i, struct dicom_inflate *z, const struct slice *s,
                                 size_t plain_max)
{
    uint8_t piece[INFLATE_STEP];
    struct view in = {s->at, s->len};
    enum result r = OK;
    while (r == OK) {
        size_t len;
        const char *why;
        r = dicom_inflate_next(z, &in, piece, sizeof(piece), &len, &why);
        octets_append(&i->own, piece, len);
        if (i->own.failed)
            return ERR_MEMORY;
        if (i->own.len > plain_max)
            return ERR_LIMIT;
    }
    return r;
}

static enum result inflate(struct identifier *i, const struct slices *data, size_t plain_max)
{
    struct dicom_inflate *z;
    const char *why;
    enum result r = dicom_inflate_new(&z);
    if (r == OK)
        r = NEED_MORE;
    for (uint32_t k = 0; r == NEED_MORE && k < data->count; k++)
        r = inflate_slice(i, z, slices_at(data, k), plain_max);
    if (r == NEED_MORE)
        r = dicom_inflate_end(z, &why);
    dicom_inflate_free(&z);
    i->plain = (struct view){i->own.data, i->own.len};
    return r;
}

struct scan {
    struct identifier *i;
    struct dicom_reader reader;
    size_t items; /* of the step sequence */
    /* Whose value comes: its key, or none; where it begins. */
    enum identifier_key key;
    size_t value_at;
    bool is_title;
};

/* What may have a value in a request that asks by unique keys alone. */
static bool is_harmless(uint32_t tag)
{
    return tag == DICOM_SPECIFIC_CHARACTER_SET || tag == tags[IDENTIFIER_LEVEL_NAME] ||
           tag == tags[IDENTIFIER_RETRIEVE_TITLE] || tag == AVAILABILITY || dicom_is_group_length(tag) ||
           tag == tags[IDENTIFIER_STUDY_UID] || tag == tags[IDENTIFIER_SERIES_UID] ||
           tag == tags[IDENTIFIER_INSTANCE_UID];
}

static enum identifier_key key_of(uint32_t tag, unsigned depth)
{
    for (unsigned k = 0; k < IDENTIFIER_KEYS; k++)
        if (tags[k] == tag && (k == IDENTIFIER_STEP_ID) == (depth == 1))
            return (enum identifier_key)k;
    return IDENTIFIER_KEYS;
}

/* An element of the data set's own level. */
static void take_own(struct scan *s, const struct dicom_event *e)
{
    struct identifier *i = s->i;
    uint32_t title = tags[IDENTIFIER_RETRIEVE_TITLE];
    if (e->length != 0 && !is_harmless(e->tag))
        i->asks_more = true;
    s->is_title = e->tag == title && i->title_len == 0;
    if (s->is_title || (i->title_at == SIZE_MAX && e->tag > title))
        i->title_at = (size_t)e->offset;
    if (e->tag == GROUP_LENGTH && e->length == 4 && i->group_at == 0)
        i->group_at = (size_t)e->offset + e->header_len;
}

static void take_element(struct scan *s, const struct dicom_event *e)
{
    s->key = IDENTIFIER_KEYS;
    s->is_title = false;
    s->value_at = (size_t)e->offset + e->header_len;
    if (e->depth == 0)
        take_own(s, e);
    if (e->depth == 0 && e->tag == STEP_SEQUENCE && e->enters)
        return;
    if (e->enters)
        dicom_reader_skip(&s->reader);
    else if (e->depth <= 1)
        s->key = key_of(e->tag, e->depth);
}

/* A value has ended; of duplicates the first counts. */
static void take_value(struct scan *s, size_t end)
{
    struct identifier *i = s->i;
    if (s->is_title)
        i->title_len = end - i->title_at;
    if (s->key == IDENTIFIER_KEYS || i->values[s->key].is_there || end - s->value_at > VALUE_MAX)
        return;
    i->values[s->key] = (struct identifier_value){true, {i->plain.at + s->value_at, end - s->value_at}};
}

static enum result scan(struct identifier *i)
{
    struct scan s = {.i = i, .key = IDENTIFIER_KEYS};
    struct dicom_event e;
    const char *why;
    size_t at = 0;
    dicom_reader_init(&s.reader, i->encoding);
    do {
        at += dicom_reader_next(&s.reader, i->plain.at + at, i->plain.len - at, &e);
        if (e.kind == DICOM_EVENT_ELEMENT)
            take_element(&s, &e);
        else if (e.kind == DICOM_EVENT_ITEM && e.depth == 0)
            s.items++;
        else if (e.kind == DICOM_EVENT_VALUE && e.is_last)
            take_value(&s, (size_t)e.offset + e.len);
    } while (e.kind != DICOM_EVENT_NONE && e.kind != DICOM_EVENT_FAULT);
    if (s.items > 1) /* of several steps none speaks for all */
        i->values[IDENTIFIER_STEP_ID].is_there = false;
    if (i->title_at == SIZE_MAX)
        i->title_at = i->plain.len;
    return dicom_reader_end(&s.reader, &why);
}

enum result identifier_read(struct identifier *i, const struct slices *data, struct view transfer_syntax,
                            size_t plain_max)
{
    octets_clear(&i->own);
    *i = (struct identifier){.own = i->own, .title_at = SIZE_MAX};
    i->encoding = dicom_encoding_of(transfer_syntax, &i->is_deflated);
    enum result r = i->is_deflated ? inflate(i, data, plain_max) : gather(i, data);
    if (i->plain.len == 0)
        i->plain = view_of(""); /* a place even so: for what may be put in */
    enum result scanned = r == OK || r == ERR_PROTO ? scan(i) : r;
    r = r == OK ? scanned : r;
    i->is_readable = r == OK;
    return r;
}

void identifier_free(struct identifier *i)
{
    octets_free(&i->own);
    *i = (struct identifier){0};
}

/* --- what it says ----------------------------------------------------------------------------------------------- */

enum identifier_level identifier_level_of(const struct identifier *i)
{
    struct view name = identifier_text(i, IDENTIFIER_LEVEL_NAME);
    for (unsigned l = IDENTIFIER_PATIENT; l < IDENTIFIER_LEVELS; l++)
        if (dicom_uid_is(name, levels[l].name))
            return (enum identifier_level)l;
    return IDENTIFIER_NO_LEVEL;
}

const char *identifier_level_name(enum identifier_level level)
{
    return levels[level].name;
}

enum identifier_key identifier_unique(enum identifier_level level)
{
    return levels[level].unique;
}

uint32_t identifier_tag(enum identifier_key key)
{
    return tags[key];
}

struct view identifier_text(const struct identifier *i, enum identifier_key key)
{
    if (!i->values[key].is_there)
        return (struct view){NULL, 0};
    return dicom_value_trim(DICOM_VR_LO, i->values[key].bytes);
}

uint32_t identifier_number(const struct identifier *i, enum identifier_key key)
{
    struct dicom_number n;
    if (!dicom_number_parse(DICOM_VR_IS, identifier_text(i, key), &n) || n.is_real || n.integer < 0)
        return 0;
    return n.integer > INT32_MAX ? INT32_MAX : (uint32_t)n.integer;
}

bool identifier_next_uid(struct view *list, struct view *uid_out)
{
    while (list->len > 0) {
        const uint8_t *end = memchr(list->at, '\\', list->len);
        size_t len = end ? (size_t)(end - list->at) : list->len;
        *uid_out = dicom_value_trim(DICOM_VR_LO, (struct view){list->at, len});
        list->at += end ? len + 1 : len;
        list->len -= end ? len + 1 : len;
        if (uid_out->len > 0)
            return true;
    }
    return false;
}

size_t identifier_count(struct view list)
{
    struct view uid;
    size_t count = 0;
    while (identifier_next_uid(&list, &uid))
        count++;
    return count;
}

bool identifier_is_single(struct view value)
{
    for (size_t k = 0; k < value.len; k++)
        if (value.at[k] == '\\' || value.at[k] == '*' || value.at[k] == '?')
            return false;
    return value.len > 0;
}

/* The whole of it but its title. */
static struct seen_key key_of_all(const struct identifier *i)
{
    size_t behind = i->title_at + i->title_len;
    const struct view parts[] = {
        view_of("all"), {i->plain.at, i->title_at}, {i->plain.at + behind, i->plain.len - behind}};
    return seen_key_of(parts, 3);
}

static struct seen_key key_of_two(const char *kind, struct view a, struct view b)
{
    const struct view parts[] = {view_of(kind), a, b};
    return seen_key_of(parts, 3);
}

bool identifier_seen_key(const struct identifier *i, enum identifier_model model, enum identifier_level asked,
                         struct seen_key *key_out)
{
    struct view study = identifier_text(i, IDENTIFIER_STUDY_UID), none = {NULL, 0};
    if (!i->is_readable)
        return false;
    if (model == IDENTIFIER_BY_LEVEL) {
        enum identifier_level said = identifier_level_of(i);
        enum identifier_level level = said != IDENTIFIER_NO_LEVEL ? said : asked;
        struct view key = identifier_text(i, levels[level].unique);
        struct view second = level == IDENTIFIER_PATIENT ? identifier_text(i, IDENTIFIER_ISSUER) : none;
        *key_out = key_of_two(levels[level].name, key, second);
        return level != IDENTIFIER_NO_LEVEL && key.len > 0;
    }
    struct view step = identifier_text(i, IDENTIFIER_STEP_ID);
    struct view instance = identifier_text(i, IDENTIFIER_INSTANCE_UID);
    if (model == IDENTIFIER_BY_STEP && study.len > 0 && step.len > 0)
        *key_out = key_of_two("step", study, step);
    else if (model == IDENTIFIER_BY_INSTANCE && instance.len > 0)
        *key_out = key_of_two("instance", instance, none);
    else
        *key_out = key_of_all(i);
    return i->plain.len > 0;
}
