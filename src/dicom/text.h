/*
 * Text of elements in UTF-8, whatever the Specific Character Set that holds where they stand: that of their own data set, or of the
 * nearest around it (PS3.5 6.1.2, 7.5.3).
 *
 * A text that the set cannot hold switches the whole instance to ISO_IR 192: all of its text is encoded anew, at every depth.
 */
#ifndef HILUM_DICOM_TEXT_H
#define HILUM_DICOM_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/octets.h"
#include "dicom/charset.h"
#include "dicom/data_set.h"

/* What one document at a time is read and written with. */
struct dicom_text {
    struct dicom_charsets *charsets; /* borrowed: the thread's */
    /* private from here on */
    struct octets decoded, encoded;
    struct view charset_value; /* that `charset` was parsed from */
    struct dicom_charset charset;
};

void dicom_text_init(struct dicom_text *t, struct dicom_charsets *charsets);
void dicom_text_free(struct dicom_text *t);

/* Of VRs of text: the whole value as UTF-8, backslashes and padding as they are. Borrowed until the next call. Of other VRs: the bytes.
 * *is_clean_out (may be NULL) is false where U+FFFD stands for bytes without a meaning. ERR_MEMORY. */
MUST_USE enum result dicom_text_get(struct dicom_text *t, struct dicom_element *e, struct view *utf8_out,
                                    bool *is_clean_out);

/* Puts a whole value of a VR of text, in UTF-8, unpadded. The text that is there already is no change, also where its bytes would be
 * written in another way. Results as of dicom_data_set_put; ERR_USAGE also for what is no UTF-8, and for characters beyond ASCII in VRs
 * that have no others. */
MUST_USE enum result dicom_text_put(struct dicom_text *t, struct dicom_data_set *ds, uint32_t tag,
                                    enum dicom_vr vr, struct view utf8);

/* Encodes the text of what was built aside (data_set.h) in the set that holds where it is to go; one that cannot hold it is switched as by
 * dicom_text_put. To be called once all is in it, and right before it is put there. ERR_MEMORY. */
MUST_USE enum result dicom_text_settle(struct dicom_text *t, struct dicom_element *aside);

/*
 * Encodes all text of the document in another set, and says so in (0008,0005), also in items that have their own. Where bytes had no
 * meaning in the old set, but have one in UTF-8, and that is the new one, they stay; else U+FFFD or '?' stands for them.
 * ERR_USAGE: the set has no such name, or cannot hold some text: `why` and `tag` of the document; nothing has changed then.
 */
MUST_USE enum result dicom_text_recode(struct dicom_text *t, struct dicom_document *d, struct view charset);

#endif
