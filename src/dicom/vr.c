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

#define PAIR(first, second, vr) [(first) - 'A'][(second) - 'A'] = DICOM_VR_##vr

/* By the two letters. It runs for each element of Explicit VR. */
static const uint8_t by_letters[26][26] = {
    PAIR('A', 'E', AE), PAIR('A', 'S', AS), PAIR('A', 'T', AT), PAIR('C', 'S', CS), PAIR('D', 'A', DA),
    PAIR('D', 'S', DS), PAIR('D', 'T', DT), PAIR('F', 'D', FD), PAIR('F', 'L', FL), PAIR('I', 'S', IS),
    PAIR('L', 'O', LO), PAIR('L', 'T', LT), PAIR('O', 'B', OB), PAIR('O', 'D', OD), PAIR('O', 'F', OF),
    PAIR('O', 'L', OL), PAIR('O', 'V', OV), PAIR('O', 'W', OW), PAIR('P', 'N', PN), PAIR('S', 'H', SH),
    PAIR('S', 'L', SL), PAIR('S', 'Q', SQ), PAIR('S', 'S', SS), PAIR('S', 'T', ST), PAIR('S', 'V', SV),
    PAIR('T', 'M', TM), PAIR('U', 'C', UC), PAIR('U', 'I', UI), PAIR('U', 'L', UL), PAIR('U', 'N', UN),
    PAIR('U', 'R', UR), PAIR('U', 'S', US), PAIR('U', 'T', UT), PAIR('U', 'V', UV),
};

enum dicom_vr dicom_vr_parse(const uint8_t letters[2])
{
    unsigned first = letters[0] - 'A';
    unsigned second = letters[1] - 'A';
    return first < 26 && second < 26 ? (enum dicom_vr)by_letters[first][second] : DICOM_VR_UNKNOWN;
}
