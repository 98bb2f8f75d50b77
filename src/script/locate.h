/* Where in the text of a declaration a key stands. Best effort: the text is read as tokens, not as Lua. */
#ifndef HILUM_SCRIPT_LOCATE_H
#define HILUM_SCRIPT_LOCATE_H

#include <stddef.h>

#include "script/declare.h"

/* A place in a declaration: a chain from a key or list item up to the declaration itself. */
struct place {
    const struct declaration *declaration;
    const struct place *parent; /* NULL: the declaration itself */
    const char *key;            /* or, if NULL, */
    size_t index;               /* the list item, from 1 */
};

/* The line of the key or item, or of the nearest thing around it that was found. At least the declaration's line. */
int locate_line(const struct place *place);

#endif
