/*
 * Any bytes as a value of any VR. What is read and can be written reads back as the same; what may be written keeps its own rules;
 * what is trimmed stays as it is.
 *
 *   0  VR     1  odd: big endian     2  i16  days, little-endian     4  the value
 */
#include <math.h>

#include "base/assert.h"
#include "dicom/date.h"
#include "dicom/uid_make.h"
#include "dicom/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool is_same(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void check_binary(enum dicom_vr vr, bool is_big_endian, struct view value)
{
    struct octets out = {0};
    size_t count = dicom_number_count(vr, value);
    bool has_nan = false;
    for (size_t i = 0; i < count; i++) {
        struct dicom_number number = dicom_number_at(vr, is_big_endian, value, i);
        has_nan = has_nan || isnan(number.real); /* the processor may make a signalling one quiet */
        hilum_assert(dicom_number_append(vr, is_big_endian, &number, &out) == NULL);
    }
    hilum_assert(out.len <= value.len);
    hilum_assert(has_nan || is_same((struct view){out.data, out.len}, (struct view){value.at, out.len}));
    octets_free(&out);
}

/* A number that was read can be written unless the VR is too small for it, is legal then, and reads as what it was, or as near as 16
 * characters come. */
static void check_text_number(enum dicom_vr vr, struct view value)
{
    struct dicom_number number;
    if (!dicom_number_parse(vr, value, &number)) {
        return;
    }
    hilum_assert(isfinite(number.real));
    struct octets out = {0};
    if (dicom_number_append(vr, false, &number, &out) == NULL) {
        struct dicom_number again;
        struct view text = {out.data, out.len};
        hilum_assert(dicom_text_check(vr, text) == NULL);
        hilum_assert(dicom_number_parse(vr, text, &again));
        double error = fabs(again.real - number.real);
        hilum_assert(error <= fabs(number.real) * 1e-8 || fabs(number.real) < 1e-300);
        /* and from then on nothing changes */
        struct octets twice = {0};
        hilum_assert(dicom_number_append(vr, false, &again, &twice) == NULL);
        hilum_assert(is_same((struct view){twice.data, twice.len}, text));
        octets_free(&twice);
    } else {
        hilum_assert(vr == DICOM_VR_IS && out.len == 0);
    }
    octets_free(&out);
}

static void check_text(enum dicom_vr vr, struct view value)
{
    const struct dicom_vr_info *info = dicom_vr_info(vr);
    bool is_right = dicom_text_check(vr, value) == NULL;
    hilum_assert(!is_right || info->is_extended || info->max == 0 || value.len <= info->max);
    hilum_assert(!is_right || !info->has_values || value.len == 0 || !memchr(value.at, '\\', value.len));
    hilum_assert(!is_right || value.len == 0 || !memchr(value.at, '\0', value.len));
    struct dicom_number number;
    bool is_number = value.len > 0 && (vr == DICOM_VR_DS || vr == DICOM_VR_IS);
    hilum_assert(!is_right || !is_number || dicom_number_parse(vr, value, &number));
    struct view trimmed = dicom_value_trim(vr, value);
    hilum_assert(trimmed.len <= value.len && is_same(dicom_value_trim(vr, trimmed), trimmed));
}

/* There and back. */
static void check_shift(struct view value, int64_t days)
{
    char moved[DICOM_DATE_CAP];
    char back[DICOM_DATE_CAP];
    if (dicom_date_shift(value, days, moved) != NULL) {
        hilum_assert(moved[0] == '\0');
        return;
    }
    hilum_assert(dicom_text_check(DICOM_VR_DT, view_of(moved)) == NULL);
    hilum_assert(dicom_date_shift(view_of(moved), -days, back) == NULL);
    struct view trimmed = dicom_value_trim(DICOM_VR_DT, value);
    bool is_old = trimmed.len == 10 && trimmed.at[4] == '.'; /* comes back as a DA */
    hilum_assert(is_old || is_same(view_of(back), trimmed));
}

static void check_uid(const uint8_t random[16])
{
    char out[DICOM_MADE_UID_CAP];
    dicom_uid_of_uuid(random, out);
    hilum_assert(dicom_text_check(DICOM_VR_UI, view_of(out)) == NULL);
    unsigned __int128 number = 0;
    for (const char *p = out + strlen("2.25."); *p != '\0'; p++) {
        number = number * 10 + (unsigned)(*p - '0');
    }
    for (size_t i = 16; i-- > 0; number >>= 8) {
        hilum_assert((uint8_t)number == random[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 4) {
        return 0;
    }
    enum dicom_vr vr = (enum dicom_vr)(bytes[0] % DICOM_VR_COUNT);
    struct view value = {bytes + 4, len - 4};
    check_binary(vr, bytes[1] % 2 == 1, value);
    if (dicom_vr_info(vr)->kind == DICOM_TEXT) {
        check_text(vr, value);
    }
    check_text_number(vr, value);
    check_shift(value, (int16_t)get_le16(bytes + 2));
    if (value.len >= 16) {
        check_uid(value.at);
    }
    return 0;
}
