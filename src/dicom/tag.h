/* Tags as one number: group in the upper half. Those that code asks for by name stand here; all others come from the dictionary. */
#ifndef HILUM_DICOM_TAG_H
#define HILUM_DICOM_TAG_H

#include <stdbool.h>
#include <stdint.h>

#define DICOM_TAG(group, element) ((uint32_t)(group) << 16 | (uint32_t)(element))

enum {
    DICOM_SPECIFIC_CHARACTER_SET = DICOM_TAG(0x0008, 0x0005),
    DICOM_SOP_CLASS_UID = DICOM_TAG(0x0008, 0x0016),
    DICOM_SOP_INSTANCE_UID = DICOM_TAG(0x0008, 0x0018),
    DICOM_PIXEL_REPRESENTATION = DICOM_TAG(0x0028, 0x0103),
    DICOM_BITS_ALLOCATED = DICOM_TAG(0x0028, 0x0100),
    DICOM_MAC_PARAMETERS = DICOM_TAG(0x4FFE, 0x0001),
    DICOM_FLOAT_PIXEL_DATA = DICOM_TAG(0x7FE0, 0x0008),
    DICOM_DOUBLE_PIXEL_DATA = DICOM_TAG(0x7FE0, 0x0009),
    DICOM_PIXEL_DATA = DICOM_TAG(0x7FE0, 0x0010)
};

#define DICOM_DIGITAL_SIGNATURES    DICOM_TAG(0xFFFA, 0xFFFA)
#define DICOM_TRAILING_PADDING      DICOM_TAG(0xFFFC, 0xFFFC)
#define DICOM_ITEM                  DICOM_TAG(0xFFFE, 0xE000)
#define DICOM_ITEM_DELIMITATION     DICOM_TAG(0xFFFE, 0xE00D)
#define DICOM_SEQUENCE_DELIMITATION DICOM_TAG(0xFFFE, 0xE0DD)

/* The length field of what ends by a delimiter (PS3.5 7.5). */
#define DICOM_UNDEFINED_LENGTH UINT32_C(0xFFFFFFFF)

static inline uint16_t dicom_group(uint32_t tag)
{
    return (uint16_t)(tag >> 16);
}

static inline bool dicom_is_private(uint32_t tag)
{
    return (tag >> 16 & 1) != 0;
}

/* (odd,0010-00FF): names the owner of a private block. (PS3.5 7.8.1) */
static inline bool dicom_is_private_creator(uint32_t tag)
{
    return dicom_is_private(tag) && (tag & 0xFFFF) >= 0x10 && (tag & 0xFFFF) <= 0xFF;
}

static inline bool dicom_is_group_length(uint32_t tag)
{
    return (tag & 0xFFFF) == 0;
}

/* Of a group that no data set has: commands, file meta information, what is reserved. 0004 is DICOMDIR's. (PS3.5 7.1) */
static inline bool dicom_is_foreign(uint32_t tag)
{
    uint16_t group = dicom_group(tag);
    return (group < 0x0008 && group != 0x0004) || group == 0xFFFF;
}

/* Native, float or double: where the header of an instance ends for a router. */
static inline bool dicom_is_pixel_data(uint32_t tag)
{
    return tag == DICOM_PIXEL_DATA || tag == DICOM_FLOAT_PIXEL_DATA || tag == DICOM_DOUBLE_PIXEL_DATA;
}

#endif
