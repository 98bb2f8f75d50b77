#include "relay/keep_look.h"

#include <stdlib.h>

#include "base/octets.h"
#include "dicom/peek.h"
#include "dicom/uid.h"
#include "dicom/value.h"

enum { LOOK_PATIENT, LOOK_STUDY, LOOK_SERIES, LOOK_COUNT };

struct keep_look {
    struct dicom_path paths[LOOK_COUNT];
    struct dicom_peek *peek; /* NULL: it is over */
    enum result known;
    struct dicom_charsets *charsets;
    char study[65], series[65];
    struct octets patient;
};

static const uint32_t tags[LOOK_COUNT] = {0x00100020, 0x0020000D, 0x0020000E};

struct keep_look *keep_look_new(const char *transfer_syntax, struct dicom_charsets *charsets)
{
    const struct dicom_path *paths[LOOK_COUNT];
    struct keep_look *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    for (unsigned i = 0; i < LOOK_COUNT; i++) {
        l->paths[i].tag = tags[i];
        paths[i] = &l->paths[i];
    }
    bool is_deflated;
    struct dicom_encoding encoding = dicom_encoding_of(view_of(transfer_syntax), &is_deflated);
    l->charsets = charsets;
    l->known = NEED_MORE;
    l->peek = dicom_peek_new();
    if (!l->peek || dicom_peek_begin(l->peek, paths, LOOK_COUNT, encoding, is_deflated) != OK)
        keep_look_free(&l);
    return l;
}

void keep_look_free(struct keep_look **lp)
{
    struct keep_look *l = *lp;
    *lp = NULL;
    if (!l)
        return;
    dicom_peek_free(&l->peek);
    octets_free(&l->patient);
    free(l);
}

static void take_uid(const struct keep_look *l, unsigned which, char out[65])
{
    struct dicom_peek_value v = dicom_peek_at(l->peek, which);
    struct view uid = dicom_uid_trim(v.bytes);
    if (v.state != DICOM_PEEK_VALUE || uid.len == 0 || uid.len > 64)
        return;
    memcpy(out, uid.at, uid.len);
    out[uid.len] = '\0';
}

static void take_patient(struct keep_look *l)
{
    struct dicom_charset set;
    struct dicom_peek_value v = dicom_peek_at(l->peek, LOOK_PATIENT);
    if (v.state != DICOM_PEEK_VALUE || !l->charsets || v.bytes.len > 1024)
        return;
    dicom_charset_parse(v.charset, &set);
    dicom_charset_decode(l->charsets, &set, DICOM_VR_LO, v.bytes, &l->patient);
}

static void take(struct keep_look *l)
{
    take_uid(l, LOOK_STUDY, l->study);
    take_uid(l, LOOK_SERIES, l->series);
    take_patient(l);
    dicom_peek_free(&l->peek);
}

void keep_look_feed(struct keep_look *l, const uint8_t *bytes, size_t len)
{
    if (l->known != NEED_MORE)
        return;
    l->known = dicom_peek_feed(l->peek, bytes, len);
    if (l->known != NEED_MORE) /* what was met before it could not be read on counts */
        take(l);
}

void keep_look_end(struct keep_look *l, struct spool_facts *facts)
{
    if (l->known == NEED_MORE) {
        l->known = dicom_peek_end(l->peek);
        take(l);
    }
    facts->study = view_of(l->study);
    facts->series = view_of(l->series);
    facts->patient =
        dicom_value_trim(DICOM_VR_LO, (struct view){l->patient.data, l->patient.failed ? 0 : l->patient.len});
}
