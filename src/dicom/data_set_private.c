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

/* The next creator element of this name behind e (NULL: the first). */
static struct dicom_element *next_creator(struct dicom_data_set *ds, struct dicom_element *e, uint16_t group,
                                          struct view creator)
{
    creator = trim(creator);
    uint32_t lo = DICOM_TAG(group, FIRST_BLOCK), hi = DICOM_TAG(group, LAST_BLOCK);
    while (group % 2 == 1 && creator.len > 0 && (e = dicom_level_range(ds, e, lo, hi))) {
        struct view name = trim(e->value);
        if (name.len == creator.len && memcmp(name.at, creator.at, name.len) == 0)
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
    for (struct dicom_element *c = NULL; (c = next_creator(ds, c, group, creator));) {
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
    for (struct dicom_element *e = NULL; (e = dicom_level_range(ds, e, lo, hi));)
        is_taken[(e->tag & 0xFFFF) <= LAST_BLOCK ? e->tag & 0xFF : e->tag >> 8 & 0xFF] = true;
    for (uint32_t block = FIRST_BLOCK; block <= LAST_BLOCK; block++)
        if (!is_taken[block])
            return block;
    return 0;
}

enum result dicom_data_set_private_tag(struct dicom_data_set *ds, uint16_t group, struct view creator,
                                       uint8_t low, uint32_t *tag_out)
{
    const struct dicom_element *c = dicom_data_set_find_private(ds, group, creator, low);
    if (c) {
        *tag_out = c->tag;
        return OK;
    }
    c = next_creator(ds, NULL, group, creator);
    if (c) {
        *tag_out = tag_in_block(c->tag, low);
        return OK;
    }
    uint32_t tag = DICOM_TAG(group, FIRST_BLOCK);
    creator = trim(creator);
    if (group % 2 == 0)
        return dicom_fault(ds->document, ERR_USAGE, "private elements stand in odd groups", tag);
    if (creator.len == 0 || creator.len > 64 || memchr(creator.at, '\\', creator.len))
        return dicom_fault(ds->document, ERR_USAGE,
                           "a private creator is 1 to 64 characters without backslash", tag);
    uint32_t block = free_block(ds, group);
    if (block == 0)
        return dicom_fault(ds->document, ERR_USAGE, "all private blocks of its group are taken", tag);
    enum result r = dicom_data_set_put(ds, DICOM_TAG(group, block), DICOM_VR_LO, creator);
    if (r == OK)
        *tag_out = DICOM_TAG(group, block << 8 | low);
    return r;
}

enum result dicom_data_set_put_private(struct dicom_data_set *ds, uint16_t group, struct view creator,
                                       uint8_t low, enum dicom_vr vr, struct view value)
{
    bool has_creator = next_creator(ds, NULL, group, creator) != NULL;
    uint32_t tag;
    enum result r = dicom_data_set_private_tag(ds, group, creator, low, &tag);
    if (r != OK)
        return r;
    r = dicom_data_set_put(ds, tag, vr, value);
    if (r != OK && !has_creator) /* one that owns nothing is not left behind */
        dicom_data_set_remove(ds, DICOM_TAG(group, tag >> 8 & 0xFF));
    return r;
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
