#include "dicom/compare.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "dicom/tag.h"

static bool same_bytes(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void tell(struct dicom_comparison *c, enum dicom_change_kind kind, unsigned depth, uint32_t tag,
                 struct dicom_element *before, struct dicom_element *after)
{
    struct dicom_change change = {
        .kind = kind, .steps = c->steps, .depth = depth, .tag = tag, .before = before, .after = after};
    c->on_change(c->owner, &change);
}

/* --- one level in order of tags ---------------------------------------------------------------------------- */

struct place {
    struct dicom_element *element;
    size_t at; /* in the file: keeps duplicates in order */
};

struct sorted {
    struct place *places;
    size_t count;
};

static int by_tag(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->element->tag != y->element->tag)
        return x->element->tag < y->element->tag ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

/* All but group lengths. A level that is NULL has none. */
static enum result sort(struct dicom_data_set *ds, struct sorted *out)
{
    size_t count = ds ? dicom_data_set_count(ds) : 0, n = 0;
    bool is_sorted = true;
    *out = (struct sorted){.places = malloc((count + 1) * sizeof(*out->places))};
    if (!out->places)
        return ERR_MEMORY;
    for (struct dicom_element *e = ds ? dicom_data_set_first(ds) : NULL; e; e = dicom_element_next(e)) {
        if (dicom_is_group_length(e->tag))
            continue;
        hilum_assert(n < count);
        is_sorted = is_sorted && (n == 0 || out->places[n - 1].element->tag <= e->tag);
        out->places[n] = (struct place){.element = e, .at = n};
        n++;
    }
    out->count = n;
    if (!is_sorted)
        qsort(out->places, n, sizeof(*out->places), by_tag);
    return OK;
}

/* --- are they the same ------------------------------------------------------------------------------------- */

static bool is_same_level(struct dicom_data_set *a, struct dicom_data_set *b);

static bool is_sequence(struct dicom_element *e)
{
    return e && dicom_element_vr(e) == DICOM_VR_SQ;
}

static bool is_as_it_came(const struct dicom_element *e)
{
    return !dicom_document_is_changed(dicom_data_set_document(dicom_element_data_set(e)));
}

static bool is_same_item(struct dicom_element *a, size_t i, struct dicom_element *b, size_t j)
{
    struct dicom_data_set *x, *y;
    return dicom_element_item(a, i, &x) == OK && dicom_element_item(b, j, &y) == OK && is_same_level(x, y);
}

static bool are_same_items(struct dicom_element *a, struct dicom_element *b)
{
    size_t n, m;
    if (dicom_element_items(a, &n) != OK || dicom_element_items(b, &m) != OK || n != m)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_same_item(a, i, b, i))
            return false;
    return true;
}

static bool is_same_element(struct dicom_element *a, struct dicom_element *b)
{
    if (a->tag != b->tag || dicom_element_vr(a) != dicom_element_vr(b))
        return false;
    if (!is_sequence(a))
        return same_bytes(a->value, b->value);
    /* Most are not cut into items at all. */
    bool is_short_cut =
        is_as_it_came(a) && is_as_it_came(b) && same_bytes(dicom_element_raw(a), dicom_element_raw(b));
    return is_short_cut || are_same_items(a, b);
}

/* What cannot be known is taken as different. */
static bool is_same_level(struct dicom_data_set *a, struct dicom_data_set *b)
{
    struct sorted x, y = {0};
    bool is_same = sort(a, &x) == OK && sort(b, &y) == OK && x.count == y.count;
    for (size_t i = 0; is_same && i < x.count; i++)
        is_same = is_same_element(x.places[i].element, y.places[i].element);
    free(x.places);
    free(y.places);
    return is_same;
}

/* --- what is different ------------------------------------------------------------------------------------- */

static enum result compare_level(struct dicom_comparison *c, struct dicom_data_set *before,
                                 struct dicom_data_set *after, unsigned depth);

/* Items of one side; none where there is no sequence. */
struct side {
    struct dicom_element *e;
    size_t count;
};

static enum result open_side(struct dicom_element *e, struct side *out)
{
    *out = (struct side){.e = is_sequence(e) ? e : NULL};
    return out->e ? dicom_element_items(e, &out->count) : OK;
}

/* NULL past the end. */
static enum result item_at(const struct side *s, size_t i, struct dicom_data_set **out)
{
    *out = NULL;
    return i < s->count ? dicom_element_item(s->e, i, out) : OK;
}

/* The i-th of both, from 0. */
static enum result compare_item(struct dicom_comparison *c, uint32_t tag, size_t i, const struct side *before,
                                const struct side *after, unsigned depth)
{
    struct dicom_data_set *x, *y = NULL;
    enum result r = item_at(before, i, &x);
    if (r == OK)
        r = item_at(after, i, &y);
    if (r != OK)
        return r;
    hilum_assert(depth < DICOM_DEPTH_MAX);
    c->steps[depth] = (struct dicom_change_step){.tag = tag, .item = (uint32_t)i + 1};
    if (!x || !y)
        tell(c, y ? DICOM_ITEM_ADDED : DICOM_ITEM_REMOVED, depth + 1, tag, NULL, NULL);
    return compare_level(c, x, y, depth + 1);
}

/* How many items at the front, and behind those at the end, are the same. */
static void match_ends(const struct side *before, const struct side *after, size_t *front_out,
                       size_t *back_out)
{
    size_t least = before->count < after->count ? before->count : after->count;
    size_t front = 0, back = 0;
    while (front < least && is_same_item(before->e, front, after->e, front))
        front++;
    while (back < least - front &&
           is_same_item(before->e, before->count - 1 - back, after->e, after->count - 1 - back))
        back++;
    *front_out = front;
    *back_out = back;
}

static enum result compare_items(struct dicom_comparison *c, uint32_t tag, struct dicom_element *before,
                                 struct dicom_element *after, unsigned depth)
{
    struct side x, y = {0};
    size_t front = 0, back = 0;
    enum result r = open_side(before, &x);
    if (r == OK)
        r = open_side(after, &y);
    if (r == OK && x.count != y.count) /* else each stands in its place */
        match_ends(&x, &y, &front, &back);
    x.count -= back;
    y.count -= back;
    for (size_t i = front; r == OK && (i < x.count || i < y.count); i++)
        r = compare_item(c, tag, i, &x, &y, depth);
    return r;
}

/* Of one tag; one of them may be NULL. */
static enum result compare_element(struct dicom_comparison *c, uint32_t tag, struct dicom_element *before,
                                   struct dicom_element *after, unsigned depth)
{
    if (before && after) {
        if (is_same_element(before, after))
            return OK;
        if (!is_sequence(before) || !is_sequence(after))
            tell(c, DICOM_ELEMENT_CHANGED, depth, tag, before, after);
    } else if (before) {
        tell(c, DICOM_ELEMENT_REMOVED, depth, tag, before, NULL);
    } else {
        tell(c, DICOM_ELEMENT_ADDED, depth, tag, NULL, after);
    }
    if (is_sequence(before) || is_sequence(after))
        return compare_items(c, tag, before, after, depth);
    return OK;
}

static enum result merge(struct dicom_comparison *c, const struct sorted *x, const struct sorted *y,
                         unsigned depth)
{
    enum result r = OK;
    for (size_t i = 0, j = 0; r == OK && (i < x->count || j < y->count);) {
        struct dicom_element *a = i < x->count ? x->places[i].element : NULL;
        struct dicom_element *b = j < y->count ? y->places[j].element : NULL;
        hilum_assert(a || b);
        uint32_t tag = !b || (a && a->tag < b->tag) ? a->tag : b->tag;
        a = a && a->tag == tag ? a : NULL;
        b = b && b->tag == tag ? b : NULL;
        i += a != NULL;
        j += b != NULL;
        r = compare_element(c, tag, a, b, depth);
    }
    return r;
}

static enum result compare_level(struct dicom_comparison *c, struct dicom_data_set *before,
                                 struct dicom_data_set *after, unsigned depth)
{
    struct sorted x, y = {0};
    enum result r = sort(before, &x);
    if (r == OK)
        r = sort(after, &y);
    if (r == OK)
        r = merge(c, &x, &y, depth);
    free(x.places);
    free(y.places);
    return r;
}

enum result dicom_compare(struct dicom_comparison *c, struct dicom_data_set *before,
                          struct dicom_data_set *after)
{
    return compare_level(c, before, after, 0);
}
