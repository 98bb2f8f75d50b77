/* The generated table (uid_table.c, by tools/gen_uids.py). Only uid.c looks at it. */
#ifndef HILUM_DICOM_UID_TABLE_H
#define HILUM_DICOM_UID_TABLE_H

#include "dicom/uid.h"

/* Rising by uid, as memcmp sees it. */
extern const struct dicom_uid uid_table[];
extern const size_t uid_table_count;

/* Positions in uid_table, rising by keyword; entries without a keyword are not here. */
extern const uint16_t uid_by_keyword[];
extern const size_t uid_by_keyword_count;

/* Positions in uid_table of the SOP classes that use C-STORE. */
extern const uint16_t uid_storage[];
extern const size_t uid_storage_count;

#endif
