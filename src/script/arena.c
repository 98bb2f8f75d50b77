#include "script/arena.h"

#include <stdlib.h>
#include <string.h>

struct arena_piece {
    struct arena_piece *next;
    max_align_t bytes[];
};

void *arena_alloc(struct arena *a, size_t size)
{
    size_t whole = size + sizeof(struct arena_piece);
    if (whole < size || whole > a->left) {
        return NULL;
    }
    struct arena_piece *piece = calloc(1, whole);
    if (piece == NULL) {
        return NULL;
    }
    a->left -= whole;
    piece->next = a->pieces;
    a->pieces = piece;
    return piece->bytes;
}

char *arena_copy(struct arena *a, const char *text, size_t len)
{
    char *copy = arena_alloc(a, len + 1);
    if (copy != NULL && len > 0) {
        memcpy(copy, text, len);
    }
    return copy;
}

void arena_free(struct arena *a)
{
    while (a->pieces != NULL) {
        struct arena_piece *piece = a->pieces;
        a->pieces = piece->next;
        free(piece);
    }
}
