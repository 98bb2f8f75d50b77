#include "dicom/encoding.h"

#include "dicom/uid.h"

struct dicom_encoding dicom_encoding_of(struct view transfer_syntax, bool *is_deflated_out)
{
    struct view text = dicom_uid_trim(transfer_syntax);
    const struct dicom_uid *uid = dicom_uid_find((const char *)text.at, text.len);
    bool is_known = uid && uid->type == DICOM_UID_TRANSFER_SYNTAX;
    *is_deflated_out = is_known && uid->is_deflated;
    return (struct dicom_encoding){.is_explicit = !is_known || !uid->is_implicit,
                                   .is_big_endian = is_known && uid->is_big_endian};
}
