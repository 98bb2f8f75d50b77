/*
 * A data set as a tree over its bytes: found in, changed, written back. (PS3.5 7)
 *
 * The bytes are borrowed and stay as they are; elements are views into them. A level (the data set itself, or an item) is cut into
 * elements at once, but what stands in a sequence of defined length is not looked at before somebody asks for its items. A sequence
 * of undefined length is walked once, to find its end, and what was seen is kept.
 *
 * Written back, what nobody touched is copied as it came, whole runs at once: odd lengths, wrong padding, bad order, duplicates
 * and all. Anew are: elements that changed; lengths of sequences and items around them (undefined ones stay undefined); group lengths
 * of a level in which something changed, where it had them. From such a level, and from every one around it, these are dropped, as
 * they are no longer true: Digital Signatures Sequence and MAC Parameters Sequence, besides at the root Length to End (0008,0001)
 * and the length of a group that goes on behind the bytes (7FE0). A signature behind pixel data is the caller's to drop.
 *
 * Memory: all of it is the document's and lives until dicom_document_free, also elements and items that were removed and values
 * that were replaced. So no pointer or view that was given out dangles, and a level may be changed while somebody iterates over it.
 * One thread at a time.
 *
 * Results: OK; ERR_PROTO the bytes are no data set; ERR_USAGE what was asked for cannot be; ERR_LIMIT too deep, or too long for
 * a length field; ERR_MEMORY, also where the bound is reached. If not OK, `why` and `tag` of the document say more and nothing has
 * changed.
 */
#ifndef HILUM_DICOM_DATA_SET_H
#define HILUM_DICOM_DATA_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"
#include "dicom/encoding.h"
#include "dicom/vr.h"

struct dicom_data_set; /* a level: the root, or an item */
struct dicom_items;

struct dicom_document {
    const char *why; /* fixed text; of the last result that was not OK */
    uint32_t tag;    /* the element that it is about, or near it; 0: none */
    /* private from here on */
    struct arena arena;
    struct view bytes;
    uint32_t behind;
    struct dicom_data_set *root;
};

/* To be read only. */
struct dicom_element {
    uint32_t tag;
    /* The value as encoded, without delimiters; of a sequence that came: its items' bytes as they came. */
    struct view value;
    bool is_removed; /* whoever holds it may still look at it */
    /* private from here on */
    uint8_t vr, written_vr; /* vr: once known; see dicom_element_vr */
    uint8_t head_len;       /* of raw */
    bool has_vr : 1, is_undefined : 1, is_encapsulated : 1, is_sequence : 1, is_implicit : 1;
    bool is_changed : 1, is_made : 1, is_dropped : 1, is_counted : 1, is_aside : 1;
    uint32_t counted;
    struct dicom_element *next;
    struct dicom_data_set *in;
    struct view raw;
    struct dicom_items *items;
    size_t new_len;
};

/*
 * Over a data set, or its part before pixel data: whole elements. `behind` is the tag of the first element that follows and is not
 * among the bytes (0: none); new elements of the root must come before it. memory_max bounds what the tree and its changes take,
 * in bytes. Free it in any case; until then *d stays where it is, and the bytes as they are.
 */
MUST_USE enum result dicom_document_parse(struct dicom_document *d, struct view bytes,
                                          struct dicom_encoding encoding, uint32_t behind, size_t memory_max);
void dicom_document_free(struct dicom_document *d);
struct dicom_data_set *dicom_document_root(const struct dicom_document *d);
/* Whether something was changed. False: what is written is what came. */
bool dicom_document_is_changed(const struct dicom_document *d);
/* Appends the data set as it is now. May be called again, after further changes too. */
MUST_USE enum result dicom_document_write(struct dicom_document *d, struct octets *out);
/* The same in two steps: how long it is now; and, without a change in between, its bytes to where there is room for them. */
MUST_USE enum result dicom_document_measure(struct dicom_document *d, size_t *len_out);
void dicom_document_write_to(const struct dicom_document *d, uint8_t *to);

/*
 * In file order; NULL ends. From an element that was removed it goes on where that stood; elements put behind it meanwhile
 * are seen.
 */
struct dicom_element *dicom_data_set_first(const struct dicom_data_set *ds);
struct dicom_element *dicom_element_next(const struct dicom_element *e);
size_t dicom_data_set_count(const struct dicom_data_set *ds);
/* Of duplicates the first; NULL if there is none. Order does not matter. */
struct dicom_element *dicom_data_set_find(struct dicom_data_set *ds, uint32_t tag);
/* Here, or else in the nearest data set around it: for what items inherit (character set, pixel representation). */
struct dicom_element *dicom_data_set_find_outwards(struct dicom_data_set *ds, uint32_t tag);

struct dicom_document *dicom_data_set_document(const struct dicom_data_set *ds);
/* The sequence that this is an item of; NULL at the root. */
struct dicom_element *dicom_data_set_sequence(const struct dicom_data_set *ds);
unsigned dicom_data_set_depth(const struct dicom_data_set *ds); /* 0: the root */
/* How values that are put here are to be encoded: byte order; in UN of undefined length it is Implicit VR Little Endian. */
struct dicom_encoding dicom_data_set_encoding(const struct dicom_data_set *ds);
struct dicom_data_set *dicom_element_data_set(const struct dicom_element *e);

/*
 * The VR that counts. Explicit: as written, but UN of a tag that the dictionary knows is what that says (PS3.5 6.2.2), and so is one
 * whose letters were never filled in (two NULs, spaces). Implicit: the dictionary's; US or SS by Pixel Representation, Pixel Data
 * OB or OW by Bits Allocated, both here or around; all else that may be OW is. SQ of whatever has items. DICOM_VR_UNKNOWN: two
 * capitals that no edition has.
 */
enum dicom_vr dicom_element_vr(struct dicom_element *e);
/* The two letters as they came or will be written; "??" where there are none (Implicit VR). */
void dicom_element_letters(const struct dicom_element *e, char letters_out[3]);
/* Byte order of its value: that of its data set, but of UN little endian. */
bool dicom_element_is_big_endian(const struct dicom_element *e);
/* What came, header and delimiters included; empty if it did not come but was put. */
struct view dicom_element_raw(const struct dicom_element *e);
/* Value is fragments, each an item, the first an offset table. */
bool dicom_element_is_encapsulated(const struct dicom_element *e);
/* A LUT descriptor: its values 1 and 3 are unsigned whatever its VR is (PS3.3 C.11.1.1.1). */
bool dicom_is_lut_descriptor(uint32_t tag);

/* ERR_USAGE: it is no sequence. The count holds until items are inserted or removed. */
MUST_USE enum result dicom_element_items(struct dicom_element *e, size_t *count_out);
/* The i-th item, from 0. ERR_USAGE: there is none, or it is no sequence. */
MUST_USE enum result dicom_element_item(struct dicom_element *e, size_t i, struct dicom_data_set **out);

/* The place behind `item`, which was at `place` - 1 when it was given out, though items up to it may have been removed since, it too: then
 * behind the last before it that is left. 0 in a sequence that was set anew. No items may have been put before it meanwhile. */
size_t dicom_element_place_behind(const struct dicom_element *e, const struct dicom_data_set *item,
                                  size_t place);

/*
 * Puts a value: in place of that of the first element with this tag (further ones are removed), or as a new element in its place by tag.
 * The bytes are copied, and padded to even length as the VR says. Bytes that are there already are no change, also as fragments; others
 * are written with their length. A value too long for
 * the length field of its VR becomes UN (PS3.5 6.2.2). ERR_USAGE: the tag cannot stand here (group length, delimiter, groups 0000 to 0007
 * but 0004, FFFF; at or past `behind`), or the VR is SQ.
 */
MUST_USE enum result dicom_data_set_put(struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr,
                                        struct view value);
/* Puts a sequence without items, likewise; an old value or old items are gone. */
MUST_USE enum result dicom_data_set_put_sequence(struct dicom_data_set *ds, uint32_t tag,
                                                 struct dicom_element **out);
/* All elements with this tag. Whether there were any. */
bool dicom_data_set_remove(struct dicom_data_set *ds, uint32_t tag);
void dicom_element_remove(struct dicom_element *e);

/* A new, empty item before the i-th, from 0; i may be the count. ERR_USAGE: no sequence, or i is more. */
MUST_USE enum result dicom_element_insert_item(struct dicom_element *e, size_t i,
                                               struct dicom_data_set **out);
MUST_USE enum result dicom_element_remove_item(struct dicom_element *e, size_t i);

/*
 * Items that are built aside: what is put into them changes nothing in the document before they go to their place, all at once; dropped
 * half built they leave no trace. They see what is around that place. Text in them is UTF-8 for text.h until dicom_text_settle.
 *
 * The first makes a sequence of this tag without items, to be filled as others are and to take the place of what stands there; the second
 * one whose only item is to go into the sequence e. Results as of dicom_data_set_put_sequence and dicom_element_insert_item.
 */
MUST_USE enum result dicom_data_set_sequence_aside(struct dicom_data_set *ds, uint32_t tag,
                                                   struct dicom_element **aside_out);
MUST_USE enum result dicom_element_item_aside(struct dicom_element *e, struct dicom_element **aside_out,
                                              struct dicom_data_set **item_out);
/* In place of what has its tag; `aside` is of no use any more, its items are those of the element that stands there now. */
MUST_USE enum result dicom_data_set_put_aside(struct dicom_element *aside);
/* The only item of `aside` in place of the i-th of e, from 0, or, where i is the count, behind the last. */
MUST_USE enum result dicom_element_put_item(struct dicom_element *e, size_t i, struct dicom_element *aside);
/* It is an item that is built aside, or in one. */
bool dicom_data_set_is_aside(const struct dicom_data_set *ds);

/*
 * Private elements by group, creator (compared without padding) and the low byte of the element number (PS3.5 7.8.1). The scope of a
 * creator is its own level: items inherit none. NULL: there is none.
 */
struct dicom_element *dicom_data_set_find_private(struct dicom_data_set *ds, uint16_t group,
                                                  struct view creator, uint8_t low);
/* The tag that a private element of this creator has or would have here: without a creator's element in the lowest block that neither a
 * creator nor an element has. Changes nothing. ERR_USAGE: the group is even or reserved, no block is free, the creator is
 * new and not 1 to 64 printable ASCII characters without backslash. */
MUST_USE enum result dicom_data_set_private_tag(struct dicom_data_set *ds, uint16_t group,
                                                struct view creator, uint8_t low, uint32_t *tag_out);
/* Makes the creator's element, if there is none, for a private element that was put at the tag from above: after it, as that may be
 * refused. If not OK the private element is gone too. */
MUST_USE enum result dicom_data_set_put_creator(struct dicom_data_set *ds, uint32_t tag, struct view creator);
MUST_USE enum result dicom_data_set_put_private(struct dicom_data_set *ds, uint16_t group,
                                                struct view creator, uint8_t low, enum dicom_vr vr,
                                                struct view value);
/* Every element of an odd group at this level, creators too. How many. */
size_t dicom_data_set_remove_private(struct dicom_data_set *ds);

#endif
