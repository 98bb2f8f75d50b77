#include <stdlib.h>

#include "dicom/charset_inside.h"

_Static_assert(CHARSET_COUNT - 1 <= DICOM_CHARSET_OTHERS_MAX, "every element can be announced once");

static const char *const conversion_names[CHARSET_CONVERSION_COUNT] = {
    [CHARSET_EUC_JP] = "EUC-JP",         [CHARSET_EUC_KR] = "EUC-KR", [CHARSET_EUC_CN] = "GB2312",
    [CHARSET_GB18030_WHOLE] = "GB18030", [CHARSET_GBK_WHOLE] = "GBK",
};

/* What iconv_open gives for "no". */
static const iconv_t closed = (iconv_t)-1; // NOLINT(performance-no-int-to-ptr)

struct dicom_charsets *dicom_charsets_new(void)
{
    struct dicom_charsets *cs = malloc(sizeof(*cs));
    bool all = cs != NULL;
    for (int i = 0; cs && i < CHARSET_CONVERSION_COUNT; i++) {
        const char *name = conversion_names[i];
        cs->to_utf8[i] = name ? iconv_open("UTF-8", name) : closed;
        cs->from_utf8[i] = name ? iconv_open(name, "UTF-8") : closed;
        all = all && (!name || (cs->to_utf8[i] != closed && cs->from_utf8[i] != closed));
    }
    if (!all) {
        dicom_charsets_free(&cs);
    }
    return cs;
}

void dicom_charsets_free(struct dicom_charsets **cs)
{
    for (int i = 0; *cs && i < CHARSET_CONVERSION_COUNT; i++) {
        if ((*cs)->to_utf8[i] != closed) {
            (void)iconv_close((*cs)->to_utf8[i]);
        }
        if ((*cs)->from_utf8[i] != closed) {
            (void)iconv_close((*cs)->from_utf8[i]);
        }
    }
    free(*cs);
    *cs = NULL;
}

size_t charset_convert(iconv_t conversion, const uint8_t *bytes, size_t len, uint8_t out[CHARSET_MAX_BYTES])
{
    char *from = (char *)bytes;
    char *to = (char *)out;
    size_t room = CHARSET_MAX_BYTES;
    if (iconv(conversion, &from, &len, &to, &room) != 0) { /* more than 0: something like it */
        (void)iconv(conversion, NULL, NULL, NULL, NULL);
        return 0;
    }
    return CHARSET_MAX_BYTES - room;
}

/* Letters and digits, upper case; false: longer than any term. */
static bool plain_name(const uint8_t *p, size_t len, char name[16])
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_lower = p[i] >= 'a' && p[i] <= 'z';
        if (is_lower || (p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9')) {
            if (used == 15) {
                return false;
            }
            name[used++] = (char)(is_lower ? p[i] - 'a' + 'A' : p[i]);
        } else if (p[i] > 0x7E) {
            return false;
        }
    }
    name[used] = '\0';
    return true;
}

static int compare_name(const void *name, const void *term)
{
    return strcmp(name, ((const struct charset_term *)term)->name);
}

/* NULL: unknown. */
static const struct charset_term *find_term(const uint8_t *p, size_t len)
{
    static const struct charset_term empty = {.g0 = CHARSET_ASCII};
    char name[16];
    if (!plain_name(p, len, name)) {
        return NULL;
    }
    if (name[0] == '\0') {
        return &empty;
    }
    return bsearch(name, charset_terms, charset_term_count, sizeof(charset_terms[0]), compare_name);
}

static void announce(struct dicom_charset *set, uint8_t element)
{
    if (memchr(set->others, element, set->count) == NULL) {
        set->others[set->count++] = element;
    }
}

static void add_first(struct dicom_charset *set, const struct charset_term *term)
{
    if (!term) {
        set->has_unknown = true;
        return;
    }
    /* Pairs in G0 need an escape, even where they are announced first, as they may not be. */
    set->g0 = charset_kind_of(term->g0) == CHARSET_G0_DOUBLE ? CHARSET_ASCII : term->g0;
    set->g1 = term->g1;
}

static void add_other(struct dicom_charset *set, const struct charset_term *term)
{
    if (!term || charset_kind_of(term->g0) == CHARSET_ALONE || charset_kind_of(set->g0) == CHARSET_ALONE) {
        set->has_unknown = true;
        return;
    }
    announce(set, term->g0);
    if (term->g1 != CHARSET_ASCII) {
        announce(set, term->g1);
    }
}

void dicom_charset_parse(struct view value, struct dicom_charset *out)
{
    *out = (struct dicom_charset){0};
    bool is_several = value.len > 0 && memchr(value.at, '\\', value.len) != NULL;
    for (size_t start = 0, i = 0; start <= value.len; i++) {
        size_t end = start;
        while (end < value.len && value.at[end] != '\\') {
            end++;
        }
        const struct charset_term *term =
            end > start ? find_term(value.at + start, end - start) : find_term(NULL, 0);
        if (i == 0) {
            add_first(out, term);
            if (term && charset_kind_of(out->g0) != CHARSET_ALONE && (is_several || term->extends)) {
                add_other(out, term);
            }
        } else if (!term || term->name[0] != '\0') {
            add_other(out, term);
        }
        start = end + 1;
    }
}

bool dicom_charset_equal(const struct dicom_charset *a, const struct dicom_charset *b)
{
    return a->g0 == b->g0 && a->g1 == b->g1 && a->count == b->count &&
           memcmp(a->others, b->others, a->count) == 0;
}

bool dicom_charset_is_utf8(const struct dicom_charset *set)
{
    return set->g0 == CHARSET_UTF_8;
}
