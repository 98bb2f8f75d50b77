/*
 * Any bytes as the identifier of a query: read or refused, in pieces as in one; with a Retrieve AE Title put in, all else is as it was; and made again
 * with changes.
 *
 *   0  u8   bits 0-1 transfer syntax; bit 2 the pieces are small; bits 3-5 level asked for; bits 6-7 model
 *   1  u8   length of the title; then the title, then the data set
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "input.h"
#include "relay/identifier.h"
#include "relay/move_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PLAIN_MAX = 64 << 10 };

static const char *const SYNTAXES[] = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2",
                                       "1.2.840.10008.1.2.1.99"};

static void push(struct slices *s, struct pool *pool, struct view bytes, size_t step)
{
    for (size_t at = 0; at < bytes.len; at += step) {
        size_t n = step < bytes.len - at ? step : bytes.len - at;
        hilum_assert(slices_push_copy(s, pool, bytes.at + at, n, NULL));
    }
}

static bool is_same(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void look(const struct identifier *i, uint8_t how)
{
    struct seen_key key;
    struct view list = identifier_text(i, IDENTIFIER_FAILED_UIDS), uid;
    size_t count = 0;
    const size_t said = identifier_count(list);
    while (identifier_next_uid(&list, &uid)) {
        hilum_assert(uid.len > 0);
        count++;
    }
    hilum_assert(count == said);
    const enum identifier_level asked = (how >> 3 & 7) % IDENTIFIER_LEVELS;
    identifier_seen_key(i, (how >> 6) % 3, asked, &key);
    hilum_assert(identifier_level_of(i) < IDENTIFIER_LEVELS);
    hilum_assert(identifier_level_name(identifier_level_of(i)) != NULL);
    for (int k = 0; k < IDENTIFIER_KEYS; k++) {
        struct view text = identifier_text(i, k);
        hilum_assert(text.len <= i->values[k].bytes.len);
        identifier_is_single(text);
        identifier_number(i, k);
    }
}

/* The title is there, and nothing else has changed. */
static void with_title(const struct identifier *i, const struct slices *data, struct pool *pool,
                       const char *title, struct view syntax)
{
    struct slices changed = {0};
    struct identifier again = {0};
    hilum_assert(slices_share(&changed, data));
    if (identifier_set_title(i, &changed, pool, title)) {
        hilum_assert(identifier_read(&again, &changed, syntax, 2 * PLAIN_MAX) == OK);
        hilum_assert(is_same(identifier_text(&again, IDENTIFIER_RETRIEVE_TITLE), view_of(title)));
        for (int k = 0; k < IDENTIFIER_KEYS; k++)
            if (k != IDENTIFIER_RETRIEVE_TITLE)
                hilum_assert(is_same(i->values[k].bytes, again.values[k].bytes));
    }
    identifier_free(&again);
    slices_clear(&changed);
}

static void made_again(const struct identifier *i, struct pool *pool, struct view syntax)
{
    const struct identifier_change changes[] = {
        {identifier_tag(IDENTIFIER_LEVEL_NAME), DICOM_VR_CS, view_of("SERIES")},
        {identifier_tag(IDENTIFIER_STUDY_UID), DICOM_VR_UI, view_of("1.2.3")},
    };
    struct slices out = {0};
    struct identifier again = {0};
    enum result r = identifier_make(i, syntax, changes, 2, pool, &out);
    if (r == OK && identifier_read(&again, &out, syntax, 2 * PLAIN_MAX) == OK) {
        hilum_assert(identifier_level_of(&again) == IDENTIFIER_SERIES);
        hilum_assert(is_same(identifier_text(&again, IDENTIFIER_STUDY_UID), view_of("1.2.3")));
    }
    identifier_free(&again);
    slices_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct pool pool;
    struct slices slices = {0}, pieces = {0};
    struct identifier i = {0}, cut = {0};
    char title[17] = "";
    const uint8_t how = input_u8(&in);
    struct view given = input_bytes(&in, input_u8(&in) & 15);
    for (size_t k = 0; k < given.len; k++) /* a title is a configuration's own: letters */
        title[k] = (char)('A' + given.at[k] % 26);
    if (title[0] == '\0')
        strcpy(title, "HILUM");
    if (in.left > PLAIN_MAX)
        return 0;
    struct view syntax = view_of(SYNTAXES[how & 3]), bytes = input_bytes(&in, in.left);
    pool_init(&pool, 8 << 20);
    push(&slices, &pool, bytes, bytes.len + 1);
    push(&pieces, &pool, bytes, how & 4 ? 7 : 100);
    enum result r = identifier_read(&i, &slices, syntax, PLAIN_MAX);
    hilum_assert(identifier_read(&cut, &pieces, syntax, PLAIN_MAX) == r && (r == OK) == i.is_readable);
    for (int k = 0; k < IDENTIFIER_KEYS; k++)
        hilum_assert(i.values[k].is_there == cut.values[k].is_there &&
                     is_same(i.values[k].bytes, cut.values[k].bytes));
    look(&i, how);
    with_title(&cut, &pieces, &pool, title, syntax);
    if (r == OK)
        made_again(&i, &pool, syntax);
    made_again(NULL, &pool, syntax);
    identifier_free(&i);
    identifier_free(&cut);
    slices_clear(&slices);
    slices_clear(&pieces);
    pool_free(&pool);
    return 0;
}
