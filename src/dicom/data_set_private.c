/* Private blocks: who owns (gggg,bbxx) stands in (gggg,00bb). (PS3.5 7.8.1) */
#include <string.h>

#include "dicom/data_set.h"
#include "dicom/data_set_inside.h"
#include "dicom/tag.h"

enum { FIRST_BLOCK = 0x10, LAST_BLOCK = 0xFF };

static struct view trim(struct view text)
{
    while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\0'))
        text.len--;
    while (text.len > 0 && *text.at == ' ') {
        text.at++;
        text.len--;
    }
    return text;
}

/* As a new creator, ASCII only: it is compared byte for byte, whatever the character set, and must read the same after a change of that. */
static const char *why_no_creator(struct view name)
{
    if (name.len == 0 || name.len > 64 || memchr(name.at, '\\', name.len))
        return "a private creator is 1 to 64 characters without backslash";
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < 0x20 || name.at[i] > 0x7E)
            return "a private creator is made of ASCII characters only";
    return NULL;
}

/* Goes through the elements that may name creators in this group; an even one has none. */
static struct dicom_range creators_of(struct dicom_data_set *ds, uint16_t group)
{
    uint32_t lo = DICOM_TAG(group, FIRST_BLOCK), hi = DICOM_TAG(group, LAST_BLOCK);
    return group % 2 == 1 ? dicom_range_of(ds, lo, hi) : dicom_range_of(ds, hi, lo);
}

/* The next of this name, which is trimmed. */
static struct dicom_element *next_creator(struct dicom_range *creators, struct view name)
{
    for (struct dicom_element *e; (e = dicom_range_next(creators, false));) {
        struct view found = trim(e->value);
        if (name.len > 0 && found.len == name.len && memcmp(found.at, name.at, name.len) == 0)
            return e;
    }
    return NULL;
}

static uint32_t tag_in_block(uint32_t creator_tag, uint8_t low)
{
    return DICOM_TAG(dicom_group(creator_tag), (creator_tag & 0xFF) << 8 | low);
}

/* A creator should be there once; where it is not, the first block that has the element. */
struct dicom_element *dicom_data_set_find_private(struct dicom_data_set *ds, uint16_t group,
                                                  struct view creator, uint8_t low)
{
    struct dicom_range creators = creators_of(ds, group);
    for (const struct dicom_element *c; (c = next_creator(&creators, trim(creator)));) {
        struct dicom_element *e = dicom_data_set_find(ds, tag_in_block(c->tag, low));
        if (e)
            return e;
    }
    return NULL;
}

/* The lowest that nothing stands in, not even elements that nobody owns; 0: none. */
static uint32_t free_block(struct dicom_data_set *ds, uint16_t group)
{
    bool is_taken[LAST_BLOCK + 1] = {false};
    uint32_t lo = DICOM_TAG(group, FIRST_BLOCK), hi = DICOM_TAG(group, 0xFFFF);
    struct dicom_range range = dicom_range_of(ds, lo, hi);
    for (const struct dicom_element *e; (e = dicom_range_next(&range, false));)
        is_taken[(e->tag & 0xFFFF) <= LAST_BLOCK ? e->tag & 0xFF : e->tag >> 8 & 0xFF] = true;
    for (uint32_t block = FIRST_BLOCK; block <= LAST_BLOCK; block++)
        if (!is_taken[block])
            return block;
    return 0;
}

enum result dicom_data_set_private_tag(struct dicom_data_set *ds, uint16_t group, struct view creator,
                                       uint8_t low, uint32_t *tag_out)
{
    *tag_out = 0;
    const struct dicom_element *e = dicom_data_set_find_private(ds, group, creator, low);
    if (e) {
        *tag_out = e->tag;
        return OK;
    }
    creator = trim(creator);
    struct dicom_range creators = creators_of(ds, group);
    const struct dicom_element *c = next_creator(&creators, creator);
    if (c) {
        *tag_out = tag_in_block(c->tag, low);
        return OK;
    }
    uint32_t tag = DICOM_TAG(group, FIRST_BLOCK);
    if (group % 2 == 0)
        return dicom_fault(ds->document, ERR_USAGE, "private elements stand in odd groups", tag);
    const char *why = why_no_creator(creator);
    if (why)
        return dicom_fault(ds->document, ERR_USAGE, why, tag);
    uint32_t block = free_block(ds, group);
    if (block == 0)
        return dicom_fault(ds->document, ERR_USAGE, "all private blocks of its group are taken", tag);
    *tag_out = DICOM_TAG(group, block << 8 | low);
    return OK;
}

enum result dicom_data_set_put_creator(struct dicom_data_set *ds, uint32_t tag, struct view creator)
{
    uint32_t creator_tag = DICOM_TAG(dicom_group(tag), tag >> 8 & 0xFF);
    if (dicom_data_set_find(ds, creator_tag))
        return OK;
    enum result r = dicom_data_set_put(ds, creator_tag, DICOM_VR_LO, trim(creator));
    if (r != OK) /* one that nobody owns is not left behind */
        dicom_data_set_remove(ds, tag);
    return r;
}

enum result dicom_data_set_put_private(struct dicom_data_set *ds, uint16_t group, struct view creator,
                                       uint8_t low, enum dicom_vr vr, struct view value)
{
    uint32_t tag;
    enum result r = dicom_data_set_private_tag(ds, group, creator, low, &tag);
    if (r == OK)
        r = dicom_data_set_put(ds, tag, vr, value);
    return r == OK ? dicom_data_set_put_creator(ds, tag, creator) : r;
}

size_t dicom_data_set_remove_private(struct dicom_data_set *ds)
{
    size_t count = 0;
    for (struct dicom_element *e = dicom_data_set_first(ds); e; e = dicom_element_next(e))
        if (dicom_is_private(e->tag)) {
            dicom_element_remove(e);
            count++;
        }
    return count;
}
