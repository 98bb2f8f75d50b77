/* Values of conditions against those of attributes. */
#include "base/assert.h"
#include "base/text.h"
#include "route/attributes.h"

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
        return text_glob_utf8(wanted->glob, (const char *)text.at, text.len);
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
