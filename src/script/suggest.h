/* "Did you mean": the nearest of some names, by edit distance. */
#ifndef HILUM_SCRIPT_SUGGEST_H
#define HILUM_SCRIPT_SUGGEST_H

#include <stddef.h>

struct suggestion {
    const char *word; /* what was written */
    const char *name; /* the nearest so far that is near enough; NULL: none */
    size_t distance;
};

/* Zero-initialise with `word` set, offer every name, then look at `name`, which is borrowed. */
void suggest_offer(struct suggestion *s, const char *name);

#endif
