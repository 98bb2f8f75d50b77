#include "dicom/dictionary.h"

#include <string.h>

#include "base/bytes.h"
#include "dicom/dictionary_table.h"

/* As in tools/gen_dictionary.py. */
#define MULTIPLIER UINT64_C(0x9E3779B97F4A7C15)

static uint64_t tag_hash(uint32_t tag)
{
    return tag * MULTIPLIER;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * MULTIPLIER;
    return hash ^ hash >> 32;
}

/* Words of 8 bytes, the last one overlapping; a shorter keyword is one word, filled with NULs. */
static uint64_t keyword_hash(const uint8_t *at, size_t len)
{
    uint64_t hash = len;
    if (len < 8) {
        uint64_t word = 0;
        for (size_t i = 0; i < len; i++)
            word |= (uint64_t)at[i] << 8 * i;
        return mix(hash, word) * MULTIPLIER;
    }
    for (size_t i = 0; i + 8 < len; i += 8)
        hash = mix(hash, get_le64(at + i));
    return mix(hash, get_le64(at + len - 8)) * MULTIPLIER;
}

/* The only entry that may have this hash; NULL: none. */
static const struct dicom_entry *look_up(const struct dictionary_index *index, uint64_t hash)
{
    uint8_t shift = index->shifts[hash >> (64 - DICTIONARY_BUCKET_BITS)];
    uint16_t slot = index->slots[(hash >> 32 ^ shift) & ((1 << DICTIONARY_SLOT_BITS) - 1)];
    return slot == DICTIONARY_EMPTY ? NULL : &dictionary_table[slot];
}

static const struct dicom_entry *find_first(uint32_t tag)
{
    const struct dicom_entry *entry = look_up(&dictionary_by_tag, tag_hash(tag));
    return entry && entry->tag == tag ? entry : NULL;
}

static const struct dicom_entry *find_pattern(uint32_t tag)
{
    for (size_t i = 0; i < dictionary_family_count; i++) {
        const struct dictionary_family *family = &dictionary_families[i];
        if ((tag & family->covers) == family->value)
            return find_first((tag & family->fixed) + family->added);
    }
    return NULL;
}

const struct dicom_entry *dicom_dictionary_find(uint32_t tag)
{
    const struct dicom_entry *entry = find_first(tag);
    if (entry || dicom_is_private(tag) || dicom_is_group_length(tag))
        return entry;
    return find_pattern(tag);
}

const struct dicom_entry *dicom_dictionary_find_keyword(const char *keyword, size_t len, uint32_t *tag_out)
{
    const struct dicom_entry *entry =
        look_up(&dictionary_by_keyword, keyword_hash((const uint8_t *)keyword, len));
    if (!entry || strlen(entry->keyword) != len || memcmp(entry->keyword, keyword, len) != 0)
        return NULL;
    if (tag_out)
        *tag_out = entry->tag;
    return entry;
}

enum dicom_vr dicom_dictionary_vr(uint32_t tag)
{
    if (dicom_is_group_length(tag))
        return DICOM_VR_UL;
    if (dicom_is_private(tag))
        return dicom_is_private_creator(tag) ? DICOM_VR_LO : DICOM_VR_UN;
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    return entry && entry->vr[0] != DICOM_VR_UNKNOWN ? entry->vr[0] : DICOM_VR_UN;
}

const struct dicom_entry *dicom_dictionary_at(size_t i)
{
    return i < dictionary_count ? &dictionary_table[i] : NULL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20; /* lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool dicom_tag_parse(const char *text, size_t len, uint32_t *tag_out)
{
    if (len == 11 && text[0] == '(' && text[10] == ')') {
        text++;
        len -= 2;
    }
    if (len != 9 || text[4] != ',')
        return false;
    uint32_t tag = 0;
    for (size_t i = 0; i < len; i++) {
        if (i == 4)
            continue;
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return false;
        tag = tag << 4 | (uint32_t)digit;
    }
    *tag_out = tag;
    return true;
}
