#include "dicom/vr.h"

#include "base/assert.h"

#define TEXT(vr, pad, max) [DICOM_VR_##vr] = {#vr, DICOM_TEXT, 1, false, pad, false, true, false, false, max}
#define EXTENDED(vr, values, max)                                                                            \
    [DICOM_VR_##vr] = {#vr, DICOM_TEXT, 1, false, ' ', true, values, false, false, max}
#define NUMBER(vr, unit, is_long, is_signed, is_real)                                                        \
    [DICOM_VR_##vr] = {#vr, DICOM_NUMBER, unit, is_long, '\0', false, false, is_signed, is_real, 0}
#define BYTES(vr, unit) [DICOM_VR_##vr] = {#vr, DICOM_BYTES, unit, true, '\0', false, false, false, false, 0}

static const struct dicom_vr_info infos[DICOM_VR_COUNT] = {
    [DICOM_VR_UNKNOWN] = {"??", DICOM_BYTES, 1, true, '\0', false, false, false, false, 0},
    TEXT(AE, ' ', 16),
    TEXT(AS, ' ', 4),
    [DICOM_VR_AT] = {"AT", DICOM_TAGS, 2, false, '\0', false, false, false, false, 0},
    TEXT(CS, ' ', 16),
    TEXT(DA, ' ', 8),
    TEXT(DS, ' ', 16),
    TEXT(DT, ' ', 26),
    NUMBER(FD, 8, false, true, true),
    NUMBER(FL, 4, false, true, true),
    TEXT(IS, ' ', 12),
    EXTENDED(LO, true, 64),
    EXTENDED(LT, false, 10240),
    BYTES(OB, 1),
    BYTES(OD, 8),
    BYTES(OF, 4),
    BYTES(OL, 4),
    BYTES(OV, 8),
    BYTES(OW, 2),
    EXTENDED(PN, true, 64),
    EXTENDED(SH, true, 16),
    NUMBER(SL, 4, false, true, false),
    [DICOM_VR_SQ] = {"SQ", DICOM_ITEMS, 1, true, '\0', false, false, false, false, 0},
    NUMBER(SS, 2, false, true, false),
    EXTENDED(ST, false, 1024),
    NUMBER(SV, 8, true, true, false),
    TEXT(TM, ' ', 14),
    [DICOM_VR_UC] = {"UC", DICOM_TEXT, 1, true, ' ', true, true, false, false, 0},
    TEXT(UI, '\0', 64),
    NUMBER(UL, 4, false, false, false),
    BYTES(UN, 1),
    [DICOM_VR_UR] = {"UR", DICOM_TEXT, 1, true, ' ', false, false, false, false, 0},
    NUMBER(US, 2, false, false, false),
    [DICOM_VR_UT] = {"UT", DICOM_TEXT, 1, true, ' ', true, false, false, false, 0},
    NUMBER(UV, 8, true, false, false),
};

const struct dicom_vr_info *dicom_vr_info(enum dicom_vr vr)
{
    hilum_assert(vr < DICOM_VR_COUNT);
    return &infos[vr];
}

enum dicom_vr dicom_vr_parse(const uint8_t letters[2])
{
    for (unsigned vr = DICOM_VR_UNKNOWN + 1; vr < DICOM_VR_COUNT; vr++)
        if (infos[vr].name[0] == (char)letters[0] && infos[vr].name[1] == (char)letters[1])
            return (enum dicom_vr)vr;
    return DICOM_VR_UNKNOWN;
}
