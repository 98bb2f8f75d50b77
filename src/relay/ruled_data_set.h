/*
 * A data set before the rules of routes that stands in memory as a whole: of a query, a response, a normalized service. (What flows is ruled.h's.)
 *
 * Any transfer syntax: a deflated one is inflated, looked at, and what is made of it deflated. What a rule does not touch stays byte for byte.
 */
#ifndef HILUM_RELAY_RULED_DATA_SET_H
#define HILUM_RELAY_RULED_DATA_SET_H

#include "base/octets.h"
#include "relay/ruled.h"

/* The function that changes it: of what goes out, or of what comes back. */
enum ruled_kind { RULED_MORPH, RULED_MORPH_RESPONSE };

/* Zero-initialise. All that the caller sets is borrowed until ruled_set_end, and stays as it is. */
struct ruled_set {
    struct rules *rules; /* NULL: they could not be opened */
    struct view
        data_set; /* complete; empty: there is none, or nothing in it, which is a data set for a rule like others */
    struct view transfer_syntax, sop_class, sop_instance; /* UIDs; those of the command */
    struct view calling, called;                          /* trimmed */
    const char *remote, *listener, *peer;                 /* of `assoc`; the address without its port */
    size_t inflated_max;                                  /* bytes: of a deflated one */
    struct dicom_charsets *charsets;
    /* private: what functions look at, made when the first of them is asked */
    bool is_plain; /* `plain` stands: the elements as encoded, in the data set itself or in `inflated` */
    struct view plain;
    struct dicom_encoding encoding;
    bool is_deflated;
    struct octets inflated;
    struct dicom_document document;
    struct dicom_text text;
    bool is_open;
};

/* Asks the function of a route's `when`, which has one. False: *failure_out says why not. */
MUST_USE bool ruled_set_when(struct ruled_set *s, const struct config_route *route, bool *holds_out,
                             struct ruled_failure *failure_out);
/*
 * Runs a route's morph or morph_response, which it has. True: *is_changed_out; if so, the data set as it is now is appended to *out: nothing, where
 * nothing is left in it. What other routes' rules see is the data set as it came.
 * False: *failure_out says why not; *out is as it was.
 */
MUST_USE bool ruled_set_change(struct ruled_set *s, const struct config_route *route, enum ruled_kind kind,
                               struct octets *out, bool *is_changed_out, struct ruled_failure *failure_out);
/* In any case. */
void ruled_set_end(struct ruled_set *s);

#endif
