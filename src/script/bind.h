/*
 * The data set in Lua (product page, "The data set in Lua"): what `ds` is in a rule.
 *
 *   ds.Keyword, ds["gggg,eeee"], ds[0xGGGGEEEE]      read; in a morph, written; nil removes
 *   ds:private(creator, group, low [, value [, vr]])  read; in a morph, written
 *   ds:remove_private()                              this data set and all items in it
 *   ds:remove_private("behind")                      only those behind pixel data, which no walk shows
 *   ds:elements()                                    of this level
 *   ds:walk(actions)                                 of all levels: those that the table `actions` has something for
 *   ds.transfer_syntax, ds.sop_class, ds.sop_instance  facts
 *
 * Sequences are lists of data sets. Handles are good for their call only: one that a rule keeps raises an error later.
 */
#ifndef HILUM_SCRIPT_BIND_H
#define HILUM_SCRIPT_BIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "dicom/data_set.h"
#include "dicom/text.h"

struct lua_State;

enum { BIND_TAIL_MAX = 32, BIND_TOUCHED_MAX = 64 };

/* What one call shows and changes. Owned by the caller; Lua's long jumps leave it whole. */
struct bind {
    struct dicom_document *document;
    struct dicom_text *text;
    bool is_read_only; /* in `when` */
    uint32_t behind;   /* tag of the first element that is not in the document: pixel data; 0: all is there */
    struct view transfer_syntax, sop_class, sop_instance;

    /* What the morph wants of the elements behind: they are removed as they pass (dicom/tail.h). */
    uint32_t tail[BIND_TAIL_MAX];
    size_t tail_count;
    bool tail_drops_private;
    /* The data set's own tags that the morph set or removed, or changed something in: copies of them that stand behind pixel data out of order go. More than these, or
     * a rule that went over all elements: then all that stands there out of order goes, seen by nobody. */
    uint32_t touched[BIND_TOUCHED_MAX];
    size_t touched_count;
    bool tail_drops_below;

    struct octets scratch; /* of writing */
};

void bind_init(struct bind *b, struct dicom_document *document, struct dicom_text *text);
void bind_free(struct bind *b);

/* Metatables; once a state (rules.c). Lua errors without memory. */
void bind_install(struct lua_State *lua);

/* For rules_call.push: arg is the struct bind. */
void bind_push(struct lua_State *lua, void *arg);

#endif
