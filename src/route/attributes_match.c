/* Values of conditions against those of attributes. */
#include "base/assert.h"
#include "route/attributes.h"

/* The bytes of the character at the front: of UTF-8 made by us, so there is nothing to doubt. */
static size_t character_len(const uint8_t *at, size_t len)
{
    size_t n = 1;
    while (n < len && (at[n] & 0xC0) == 0x80)
        n++;
    return n;
}

/* As text_glob (base/text.h), whose `?` is a byte; here it is a character. */
static bool glob(const char *pattern, struct view text)
{
    const char *p = pattern;
    const char *after_star = NULL;
    size_t at = 0;
    size_t star_end = 0; /* the text that the last star has swallowed ends here */
    while (at < text.len) {
        if (*p == '*') {
            after_star = ++p;
            star_end = at;
        } else if (*p == '?') {
            p++;
            at += character_len(text.at + at, text.len - at);
        } else if (*p != '\0' && (uint8_t)*p == text.at[at]) {
            p++;
            at++;
        } else if (after_star != NULL) {
            p = after_star;
            star_end += character_len(text.at + star_end, text.len - star_end);
            at = star_end;
        } else {
            return false;
        }
    }
    while (*p == '*')
        p++;
    return *p == '\0';
}

static bool is_equal(const struct config_number *wanted, const struct dicom_number *n, bool is_single)
{
    if (wanted->is_integer && !n->is_real)
        return n->big == 0 && wanted->integer == n->integer;
    if (is_single)
        return (float)wanted->real == (float)n->real;
    return wanted->real == n->real;
}

static bool matches(const struct route_attributes *a, const struct route_value *v,
                    const struct config_value *wanted)
{
    struct view text = {a->text.data + v->text_at, v->text_len};
    if (wanted->glob != NULL)
        return glob(wanted->glob, text);
    struct dicom_number number = v->number;
    /* As an IS it keeps all digits where it is whole. */
    if (!v->is_binary && !dicom_number_parse(DICOM_VR_IS, text, &number))
        return false;
    return is_equal(&wanted->number, &number, v->is_single);
}

bool route_attributes_match(const struct route_attributes *a, const struct config_condition *condition)
{
    hilum_assert(condition->attribute < a->count && a->of[condition->attribute].is_known);
    const struct route_attribute *of = &a->of[condition->attribute];
    for (size_t i = 0; i < condition->value_count; i++) {
        const struct config_value *wanted = &condition->values[i];
        if (of->is_opaque)
            return false;
        if (of->count == 0 && wanted->glob != NULL && wanted->glob[0] == '\0')
            return true;
        for (size_t j = 0; j < of->count; j++)
            if (matches(a, &a->values[of->first + j], wanted))
                return true;
    }
    return false;
}
