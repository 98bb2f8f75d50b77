/* A rule of one line and a data set made of bytes: what the rule sees of it, and what it makes of it. */
#ifndef TESTS_SCRIPT_BINDING_H
#define TESTS_SCRIPT_BINDING_H

#include "base/octets.h"
#include "dicom/charset.h"
#include "dicom/data_set.h"
#include "loading.h"
#include "script/bind.h"
#include "script/rules.h"

struct bound {
    struct loaded loaded;
    struct rules *rules;
    struct dicom_charsets *charsets;
    /* What the next run looks at; `in` is the test's to fill, and freed by bound_close. */
    struct octets in;
    struct dicom_encoding encoding;
    uint32_t behind;
    size_t memory_max;
    /* Of the last run. */
    struct octets out; /* written after a morph that was OK */
    bool is_changed;
    uint32_t tail[BIND_TAIL_MAX];
    size_t tail_count;
    bool tail_drops_private, tail_drops_below;
    uint32_t touched[BIND_TOUCHED_MAX];
    size_t touched_count;
};

/* The body is that of `function (ds, assoc)`, on line 1; `kept` is a table that lives from call to call. Explicit VR LE, no pixel data,
 * memory enough. */
struct bound bound_morph(const char *folder, const char *body);
struct bound bound_when(const char *folder, const char *body);
void bound_close(struct bound *b);

enum result bound_run(struct bound *b);
/* Fails the test, with the rule's error, unless it is OK. */
void bound_run_ok(struct bound *b);
/* It fails, and its error has this part. */
void bound_run_fails(struct bound *b, const char *part);
/* What was written is this; `expected` is freed. */
void bound_wrote(const struct bound *b, struct octets *expected);

/* A morph in all three encodings: `fill` makes the data set (NULL: none), `expect` what must be written (NULL: the same). */
typedef void bound_fill(struct octets *o, struct dicom_encoding encoding);
void bound_everywhere(const char *folder, const char *body, bound_fill *fill, bound_fill *expect);

/* Data sets that several tests look at. */
bound_fill bound_fill_patient; /* Modality, Patient's Name and ID */
/* Referenced Image Sequence of defined length, with one item of defined and one of undefined length. */
bound_fill bound_fill_sequence;
bound_fill bound_fill_private; /* elements of two creators, at the root and in an item */
/* An item of the sequence: its Referenced SOP Instance UID. */
void bound_referenced_item(struct octets *o, struct dicom_encoding encoding, bool is_undefined,
                           const char *uid);

#endif
