/*
 * Identifiers: the small data sets of queries and retrievals, requests and responses. (PS3.4 C.4, K.4)
 *
 * Read once, from front to end: the unique keys of each level, what else a router has to know, and where a Retrieve AE Title stands or would
 * stand. What is changed afterwards leaves every other byte as it came, by reference where that can be.
 */
#ifndef HILUM_RELAY_IDENTIFIER_H
#define HILUM_RELAY_IDENTIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"
#include "dicom/encoding.h"
#include "dicom/vr.h"
#include "mem/buf.h"
#include "relay/seen.h"

/* Query/Retrieve Level (0008,0052), from the top. */
enum identifier_level {
    IDENTIFIER_NO_LEVEL,
    IDENTIFIER_PATIENT,
    IDENTIFIER_STUDY,
    IDENTIFIER_SERIES,
    IDENTIFIER_IMAGE,
    IDENTIFIER_LEVELS
};

enum identifier_key {
    IDENTIFIER_INSTANCE_UID,      /* (0008,0018) */
    IDENTIFIER_LEVEL_NAME,        /* (0008,0052) */
    IDENTIFIER_RETRIEVE_TITLE,    /* (0008,0054) */
    IDENTIFIER_FAILED_UIDS,       /* (0008,0058) */
    IDENTIFIER_PATIENT_ID,        /* (0010,0020) */
    IDENTIFIER_ISSUER,            /* (0010,0021) Issuer of Patient ID */
    IDENTIFIER_STUDY_UID,         /* (0020,000D) */
    IDENTIFIER_SERIES_UID,        /* (0020,000E) */
    IDENTIFIER_PATIENT_INSTANCES, /* (0020,1204) Number of Patient Related Instances */
    IDENTIFIER_STUDY_INSTANCES,   /* (0020,1208) */
    IDENTIFIER_SERIES_INSTANCES,  /* (0020,1209) */
    IDENTIFIER_STEP_ID, /* (0040,0009) in the only item of the Scheduled Procedure Step Sequence (0040,0100) */
    IDENTIFIER_KEYS
};

/* What makes two responses the same. */
enum identifier_model {
    IDENTIFIER_BY_LEVEL,    /* Patient Root, Study Root, Patient/Study Only */
    IDENTIFIER_BY_STEP,     /* worklists */
    IDENTIFIER_BY_INSTANCE, /* all else: protocols, palettes, UPS, ... */
};

/* Zero-initialise; memory is used again from one to the next. */
struct identifier {
    struct view
        plain; /* its elements, as encoded: in the data set itself, or `own` if they were in pieces or deflated */
    struct dicom_encoding encoding;
    bool is_deflated;
    bool is_readable; /* to its end. If not, what was met before that is there */
    bool asks_more;   /* some key that is no unique one has a value */
    struct identifier_value {
        bool is_there;
        struct view bytes; /* of `plain`, with padding */
    } values[IDENTIFIER_KEYS];
    /* private */
    struct octets own;
    size_t title_at, title_len; /* of the element; if it is not there: its place and 0 */
    size_t group_at;            /* of the value of (0008,0000), its four bytes; 0: it has none */
};

/* The model of a query's SOP class. */
enum identifier_model identifier_model_of(struct view abstract_syntax);

/*
 * `data` stay as they are, and must as long as the values are looked at.
 *
 * OK          read to its end
 * ERR_PROTO   it cannot be
 * ERR_LIMIT   inflated it is longer than plain_max
 * ERR_MEMORY
 */
enum result identifier_read(struct identifier *i, const struct slices *data, struct view transfer_syntax,
                            size_t plain_max);
void identifier_free(struct identifier *i);

enum identifier_level identifier_level_of(const struct identifier *i);
/* "STUDY" and so on; "" of none. */
const char *identifier_level_name(enum identifier_level level);
/* The key of a level's entities, and the tag of it. Not of IDENTIFIER_NO_LEVEL. */
enum identifier_key identifier_unique(enum identifier_level level);
uint32_t identifier_tag(enum identifier_key key);

/* Without padding; empty: it has none. */
struct view identifier_text(const struct identifier *i, enum identifier_key key);
/* A number of related instances; 0: not there, or none. */
uint32_t identifier_number(const struct identifier *i, enum identifier_key key);
/* Takes the next UID from the front of a list (values between backslashes, empty ones passed over). False: there is none. */
bool identifier_next_uid(struct view *list, struct view *uid_out);
/* How many there are. */
size_t identifier_count(struct view list);
/* It names one entity alone: no list, and neither `*` nor `?`. */
bool identifier_is_single(struct view value);

/*
 * The key that responses to one query share if they are about the same, whoever sends them: Patient ID and its issuer; the UID of a study, series or
 * instance; Study Instance UID and step id of a worklist; where a worklist or another model lacks it, the whole data set without its Retrieve AE Title.
 * `asked` is the request's level, for responses that do not say. False: it has none.
 */
bool identifier_seen_key(const struct identifier *i, enum identifier_model model, enum identifier_level asked,
                         struct seen_key *key_out);

/* --- identifier_write.c ----------------------------------------------------------------------------------------- */

struct identifier_change {
    uint32_t tag;
    enum dicom_vr vr;
    struct view value;
};

/* The title becomes (0008,0054) of the data set that was read: in place of what stands there, or at its place by tag. What is before and behind is
 * referred to as it was (but of a deflated one). False: it cannot be read, or no memory: *data is as it was. */
bool identifier_set_title(const struct identifier *i, struct slices *data, struct pool *pool,
                          const char *title);

/* Appends a data set to *out: that of `from` (NULL: an empty one) with these changed or added; else as it came. Without `from` in this encoding, else in
 * its own. OK; ERR_PROTO: what came cannot be read; ERR_LIMIT; ERR_MEMORY. */
MUST_USE enum result identifier_make(const struct identifier *from, struct view transfer_syntax,
                                     const struct identifier_change *changes, size_t count, struct pool *pool,
                                     struct slices *out);

#endif
