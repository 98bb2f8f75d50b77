/* What is in line, from the index to memory. */
#include "spool/indexer_inside.h"

struct lines *indexer_lines(struct indexer *ix)
{
    return ix->lines;
}

void indexer_on_failed(void *owner, uint64_t draft)
{
    struct indexer *ix = owner;
    lines_read(ix->lines, draft);
}

static void on_line(void *owner, struct view node, struct view instance)
{
    lines_add(owner, node, instance, 1);
}

enum result indexer_read_lines(struct indexer *ix)
{
    struct lines *fresh = lines_new();
    if (!fresh)
        return ERR_MEMORY;
    enum result r = index_lines(ix->index, on_line, fresh);
    if (r == OK)
        lines_replace(ix->lines, &fresh);
    lines_free(&fresh);
    return r;
}
