/* Looks at what is kept for the UIDs that the queue sorts by: study, series, and whose it is. */
#ifndef HILUM_RELAY_KEEP_LOOK_H
#define HILUM_RELAY_KEEP_LOOK_H

#include "dicom/charset.h"
#include "spool/spool.h"

struct keep_look;

/* NULL without memory, or of a transfer syntax that nobody knows: then nothing is found, and nothing else is lost. The charsets may be NULL. */
struct keep_look *keep_look_new(const char *transfer_syntax, struct dicom_charsets *charsets);
void keep_look_free(struct keep_look **l);
/* From the front of the data set; what comes after all is known costs nothing. */
void keep_look_feed(struct keep_look *l, const uint8_t *bytes, size_t len);
/* No more comes. The views last as long as l. */
void keep_look_end(struct keep_look *l, struct spool_facts *facts);

#endif
