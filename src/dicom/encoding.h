/* How a transfer syntax writes elements (PS3.5 Annex A). */
#ifndef HILUM_DICOM_ENCODING_H
#define HILUM_DICOM_ENCODING_H

#include <stdbool.h>

#include "base/bytes.h"

struct dicom_encoding {
    bool is_explicit;   /* VR in the element's header */
    bool is_big_endian; /* retired; tags, lengths and numbers */
};

/* A data set of this transfer syntax (UID, with or without padding). What the registry does not know is Explicit VR Little Endian,
 * as everything new has been for decades (PS3.5 A.4). *is_deflated_out: the elements stand in a raw deflate stream (A.5). */
struct dicom_encoding dicom_encoding_of(struct view transfer_syntax, bool *is_deflated_out);

#endif
