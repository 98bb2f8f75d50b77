/*
 * The data sets of storage commitment (PS3.4 J.3.2, J.3.3): a Transaction UID, and instances with what is said of each. Pure, but for memory.
 *
 *   (0008,1195) UI  Transaction UID
 *   (0008,1198) SQ  Failed SOP Sequence: as below, and (0008,1197) US Failure Reason     N-EVENT-REPORT
 *   (0008,1199) SQ  Referenced SOP Sequence: (0008,1150) UI class, (0008,1155) UI instance
 */
#ifndef HILUM_RELAY_COMMITMENT_LIST_H
#define HILUM_RELAY_COMMITMENT_LIST_H

#include "base/arena.h"
#include "base/octets.h"
#include "base/result.h"
#include "dicom/encoding.h"
#include "mem/buf.h"

#define COMMITMENT_CLASS    "1.2.840.10008.1.20.1"
#define COMMITMENT_INSTANCE "1.2.840.10008.1.20.1.1" /* the well-known one */

enum {
    COMMITMENT_ITEMS_MAX = 200000,
    COMMITMENT_UID_MAX = 64,
    COMMITMENT_REQUEST = 1, /* Action Type ID */
    COMMITMENT_EVENT_SUCCESS = 1,
    COMMITMENT_EVENT_FAILURES = 2,
};

/* Failure Reason (PS3.3 C.14.1.1) */
enum {
    COMMITMENT_COMMITTED = 0, /* ours: no failure */
    COMMITMENT_PROCESSING_FAILURE = 0x0110,
    COMMITMENT_NO_SUCH_INSTANCE = 0x0112,
    COMMITMENT_CLASS_CONFLICT = 0x0119,
    COMMITMENT_CLASS_NOT_SUPPORTED = 0x0122,
    COMMITMENT_DUPLICATE = 0x0131, /* Transaction UID */
    COMMITMENT_RESOURCE_LIMIT = 0x0213,
};

struct commitment_item {
    const char *sop_class, *sop_instance;
    uint16_t reason; /* COMMITMENT_COMMITTED: of the Referenced SOP Sequence */
};

struct commitment_list {
    struct arena memory;
    char transaction[COMMITMENT_UID_MAX + 1];
    struct commitment_item *items; /* in their order */
    size_t count, cap;
};

/*
 * Reads a data set; other elements are passed over, of a failed instance without a reason it is a processing failure.
 *
 * OK          *out is filled
 * ERR_PROTO   it is none: no Transaction UID, an item without a class or an instance, a UID too long, or bytes that are no data set; *why_out is a fixed text
 * ERR_LIMIT   more than COMMITMENT_ITEMS_MAX
 * ERR_MEMORY
 * commitment_list_free in any case.
 */
MUST_USE enum result commitment_list_read(struct commitment_list *out, const struct slices *data,
                                          struct dicom_encoding encoding, const char **why_out);
/* Appends an item; the UIDs are copied. False without memory. */
MUST_USE bool commitment_list_add(struct commitment_list *l, struct view sop_class, struct view sop_instance,
                                  uint16_t reason);
void commitment_list_free(struct commitment_list *l);

/* How many of them have failed. */
size_t commitment_failed(const struct commitment_item *items, size_t count);
/* Appends a data set: the failed ones, if there are any, and the others, if there are any. Little endian. */
void commitment_list_write(struct octets *o, bool is_explicit, const char *transaction,
                           const struct commitment_item *items, size_t count);

/* Of two reasons that an instance failed for, the one to tell: what will not pass before what may. COMMITMENT_COMMITTED is none. */
uint16_t commitment_worse(uint16_t a, uint16_t b);

#endif
