/*
 * What people write, as text: sizes, durations, networks, addresses, paths of attributes, folder patterns, globs, dates. Each is taken or refused; what is
 * taken means the same once more; and no value that a peer sends leads out of a pattern's folders.
 *
 *   0  u8   what it is
 *   1  the text; of two, with a line's end between them
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/queue.h"
#include "command/target.h"
#include "config/config.h"
#include "config/pattern.h"
#include "dicom/date.h"
#include "dicom/path.h"
#include "dicom/uid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void numbers(const char *text)
{
    uint64_t n = 0;
    if (text_parse_size(text, &n) == OK)
        hilum_assert(strspn(text, "0123456789kKMGTiB") == strlen(text));
    if (text_parse_duration(text, &n) == OK)
        hilum_assert(strspn(text, "0123456789smhd") == strlen(text));
    queue_states_parse(text);
}

static void network(const char *text)
{
    struct config_network n;
    if (config_network_parse(text, &n) != OK)
        return;
    hilum_assert(n.bits <= 128 && config_network_holds(&n, n.address));
    uint8_t other[16];
    memcpy(other, n.address, sizeof(other));
    if (n.bits > 0) { /* one bit of the prefix is another */
        unsigned bit = n.bits - 1;
        other[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        hilum_assert(!config_network_holds(&n, other));
    }
}

static void target(const char *text)
{
    struct target t;
    const char *why = NULL;
    if (target_parse(text, &t, &why) == OK)
        hilum_assert(t.port != 0 && t.host[0] != '\0' && strlen(t.text) == strlen(text));
    else
        hilum_assert(why);
    if (target_title_is_valid(text))
        hilum_assert(strlen(text) <= 16);
}

static void path(const char *text)
{
    struct dicom_path first, again;
    struct dicom_path_fault fault = {0};
    char printed[DICOM_PATH_TEXT_MAX];
    if (dicom_path_parse(view_of(text), &first, &fault) != OK) {
        hilum_assert(fault.why);
        return;
    }
    dicom_path_print(&first, printed);
    hilum_assert(dicom_path_parse(view_of(printed), &again, &fault) == OK);
    hilum_assert(dicom_path_equal(&first, &again) && dicom_path_first(&first) == dicom_path_first(&again));
}

static size_t slashes(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '/';
    return n;
}

/* A pattern that is good holds whatever the values are. */
static void pattern(const char *text, const char *value)
{
    static const char usual[] = "/data/{calling}/{date}/{Modality}-{PatientID}/{SOPInstanceUID}.dcm";
    struct view values[PATTERN_ATTRIBUTES_MAX], name;
    char why[512] = "", to[PATTERN_PATH_MAX + 1];
    if (pattern_check(text, why, sizeof(why)) != OK) {
        hilum_assert(why[0] && memchr(why, '\0', sizeof(why)));
        text = usual;
    }
    size_t count = 0;
    for (const char *p = text; pattern_next_attribute(&p, &name); count++)
        hilum_assert(count < PATTERN_ATTRIBUTES_MAX && name.len > 0);
    for (size_t i = 0; i < PATTERN_ATTRIBUTES_MAX; i++)
        values[i] = view_of(value);
    struct pattern_values v = {values[0], values[0], values[0], values[0], "20260101", values};
    if (pattern_expand(text, &v, to, sizeof(to)) != OK)
        return;
    hilum_assert(slashes(to) == slashes(text));
    hilum_assert(strlen(to) <= PATTERN_PATH_MAX);
    const char *at = to;
    for (const char *from = text; at;
         from = strchr(from, '/') + 1, at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL) {
        if (*from == '{') { /* a component that a peer's value begins */
            hilum_assert(at[0] != '.' && at[0] != '/' && at[0] != '\0');
        }
        hilum_assert(strcspn(at, "/") <= 255);
        if (!strchr(from, '/'))
            break;
    }
}

static void glob(const char *one, const char *other)
{
    const size_t len = strlen(other);
    text_glob_utf8(one, other, len);
    if (!strpbrk(one, "*?"))
        hilum_assert(text_glob(one, other, len) == (strcmp(one, other) == 0));
    hilum_assert(text_glob("*", one, strlen(one)) && text_glob_utf8("*", other, len));
    if (text_glob(one, other, len)) { /* so does it if it may begin by anything, too */
        char *wide = malloc(strlen(one) + 2);
        hilum_assert(wide);
        wide[0] = '*';
        strcpy(wide + 1, one);
        hilum_assert(text_glob(wide, other, len));
        free(wide);
    }
    char out[20];
    text_printable(out, sizeof(out), other, len);
    hilum_assert(strlen(out) < sizeof(out) && !strpbrk(out, "\"\\\n"));
    hilum_assert(text_copy(out, sizeof(out), other, len) == (len < sizeof(out)));
}

static void date(const char *text, uint8_t days)
{
    char out[DICOM_DATE_CAP], back[DICOM_DATE_CAP];
    struct view v = view_of(text);
    dicom_tm_check(v);
    const bool is_good = v.len > 0 && (!dicom_da_check(v) || !dicom_dt_check(v));
    if (dicom_date_shift(v, days, out) != NULL || !is_good || v.len < 8)
        return;
    hilum_assert(dicom_date_shift(view_of(out), -(int64_t)days, back) == NULL);
    hilum_assert(strncmp(back, text, 8) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 8192)
        return 0;
    char *text = malloc(size);
    hilum_assert(text);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    char *second = strchr(text, '\n');
    if (second)
        *second++ = '\0';
    const char *other = second ? second : "";
    switch (data[0] % 8) {
    case 0:
        numbers(text);
        break;
    case 1:
        network(text);
        break;
    case 2:
        target(text);
        break;
    case 3:
        path(text);
        break;
    case 4:
    case 5:
        pattern(text, other);
        break;
    case 6:
        glob(text, other);
        break;
    default:
        date(text, data[0] >> 3);
    }
    free(text);
    return 0;
}
