/*
 * Catches chosen attributes from a data set as it passes: fed piece by piece, and done as soon as all that was asked for is known.
 * One is known when it has been met; when an element of the data set's own level has come that stands behind it (elements rise by tag,
 * PS3.5 7.1; what is out of order behind a higher one is not there); at pixel data; and at the end. So what is known of it depends on
 * the data set alone, not on what else is asked for.
 *
 * In a sequence that came as UN with a length, what cannot be read is not there: nobody but who asks would have looked into it.
 *
 * Of an element that comes twice the first counts. Nothing is kept but the values caught, and of those at most
 * DICOM_PEEK_VALUE_MAX bytes each. One peek serves one message at a time and is used again for the next.
 */
#ifndef HILUM_DICOM_PEEK_H
#define HILUM_DICOM_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"
#include "dicom/encoding.h"
#include "dicom/path.h"
#include "dicom/vr.h"

enum { DICOM_PEEK_VALUE_MAX = 64 * 1024 };

struct dicom_peek;

/* NULL without memory. */
struct dicom_peek *dicom_peek_new(void);
void dicom_peek_free(struct dicom_peek **p);

/* Begins with a new data set. The paths are borrowed until the next begin, the array is not. OK or ERR_MEMORY, after which nothing may
 * be fed. */
MUST_USE enum result dicom_peek_begin(struct dicom_peek *p, const struct dicom_path *const *paths,
                                      size_t count, struct dicom_encoding encoding, bool is_deflated);

/*
 * NEED_MORE   everything is consumed, and something asked for is not known yet.
 * OK          all is known; what is fed from now on is not looked at.
 * ERR_PROTO   the data set cannot be read on, and something asked for was not met before: dicom_peek_fault. It stays so.
 * ERR_MEMORY  likewise.
 */
MUST_USE enum result dicom_peek_feed(struct dicom_peek *p, const uint8_t *bytes, size_t len);
/* The data set is over. OK, or ERR_PROTO: in the middle of something. */
MUST_USE enum result dicom_peek_end(struct dicom_peek *p);

/* How many of the paths are known by now; whether paths[index] is. What is known stays so, after a fault as well. */
size_t dicom_peek_known(const struct dicom_peek *p);
bool dicom_peek_is_known(const struct dicom_peek *p, size_t index);

/* How much of the data set has been looked at, in bytes; of a deflated one they are counted inflated. */
uint64_t dicom_peek_offset(const struct dicom_peek *p);

/* Why ERR_PROTO (fixed text), and at or behind which tag. */
const char *dicom_peek_fault(const struct dicom_peek *p, uint32_t *tag_out);

enum dicom_peek_state {
    DICOM_PEEK_ABSENT, /* or not met yet */
    DICOM_PEEK_VALUE,
    DICOM_PEEK_LONG, /* longer than DICOM_PEEK_VALUE_MAX: it is there, its bytes are not kept */
    DICOM_PEEK_ITEMS /* a sequence, or fragments */
};

struct dicom_peek_value {
    enum dicom_peek_state state;
    /* As it counts: of Implicit VR and of UN the dictionary's, US or SS by Pixel Representation; UN where none is known. */
    enum dicom_vr vr;
    bool is_big_endian;
    struct view bytes; /* with padding; valid until the next feed or begin */
    struct view
        charset; /* value of the Specific Character Set that holds there; empty: there is none. Likewise */
};

/* Of the paths[index] that was begun with. */
struct dicom_peek_value dicom_peek_at(const struct dicom_peek *p, size_t index);

/* The highest tag at the data set's own level that these paths ask for; 0 without paths. */
uint32_t dicom_peek_highest(const struct dicom_path *const *paths, size_t count);

#endif
