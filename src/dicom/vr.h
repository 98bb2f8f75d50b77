/* Value representations: what the two letters mean for lengths, padding, byte order and text (PS3.5 6.2, 7.1.2). */
#ifndef HILUM_DICOM_VR_H
#define HILUM_DICOM_VR_H

#include <stdbool.h>
#include <stdint.h>

enum dicom_vr {
    DICOM_VR_UNKNOWN, /* two letters that no edition has; bytes, with a 32-bit length */
    DICOM_VR_AE,
    DICOM_VR_AS,
    DICOM_VR_AT,
    DICOM_VR_CS,
    DICOM_VR_DA,
    DICOM_VR_DS,
    DICOM_VR_DT,
    DICOM_VR_FD,
    DICOM_VR_FL,
    DICOM_VR_IS,
    DICOM_VR_LO,
    DICOM_VR_LT,
    DICOM_VR_OB,
    DICOM_VR_OD,
    DICOM_VR_OF,
    DICOM_VR_OL,
    DICOM_VR_OV,
    DICOM_VR_OW,
    DICOM_VR_PN,
    DICOM_VR_SH,
    DICOM_VR_SL,
    DICOM_VR_SQ,
    DICOM_VR_SS,
    DICOM_VR_ST,
    DICOM_VR_SV,
    DICOM_VR_TM,
    DICOM_VR_UC,
    DICOM_VR_UI,
    DICOM_VR_UL,
    DICOM_VR_UN,
    DICOM_VR_UR,
    DICOM_VR_US,
    DICOM_VR_UT,
    DICOM_VR_UV,
    DICOM_VR_COUNT
} __attribute__((packed)); /* a byte: the dictionary holds three for each of its entries */

enum dicom_vr_kind {
    DICOM_TEXT,   /* characters */
    DICOM_NUMBER, /* binary numbers, each `unit` bytes */
    DICOM_TAGS,   /* AT: pairs of 16-bit numbers */
    DICOM_BYTES,  /* OB, OW and the like, UN, unknown: opaque, but for byte order */
    DICOM_ITEMS   /* SQ */
};

struct dicom_vr_info {
    char name[3];
    enum dicom_vr_kind kind;
    uint8_t unit;            /* bytes of one number; what big endian swaps: 1 nothing, 2, 4, 8 */
    bool is_long;            /* Explicit VR: 2 reserved bytes and a 32-bit length */
    char pad;                /* of a value of odd length */
    bool is_extended;        /* text in the Specific Character Set; other text is ASCII */
    bool has_values;         /* text: backslash separates values */
    bool is_signed, is_real; /* numbers */
    uint32_t max; /* text: characters of a value (PN: of a group), 0: only the length field bounds it */
};

/* Never NULL; of DICOM_VR_UNKNOWN: bytes with a long length. */
const struct dicom_vr_info *dicom_vr_info(enum dicom_vr vr);
/* From the two letters. DICOM_VR_UNKNOWN if there is no such VR. */
enum dicom_vr dicom_vr_parse(const uint8_t letters[2]);

#endif
