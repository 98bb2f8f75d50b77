#include "base/arena.h"

#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Blocks double from the first size to the last, so that small things stay small and large ones are few calls. malloc keeps sizes
 * up to the last at hand: larger ones cost several times as much. */
enum { ALIGNMENT = _Alignof(max_align_t), FIRST_BYTES = 2048, LAST_BYTES = 16384 };

/* A request larger than a block gets one of its own. */
struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(max_align_t) uint8_t bytes[];
};

static size_t usual_size(const struct arena *a)
{
    if (!a->blocks)
        return FIRST_BYTES;
    return a->blocks->size < LAST_BYTES / 2 ? a->blocks->size * 2 : LAST_BYTES;
}

static struct arena_block *add_block(struct arena *a, size_t need)
{
    size_t room = (a->max ? a->max : SIZE_MAX / 2) - a->taken;
    if (room < sizeof(struct arena_block) || room - sizeof(struct arena_block) < need)
        return NULL;
    room -= sizeof(struct arena_block);
    size_t size = usual_size(a);
    size = size < need ? need : size;
    size = size > room ? room : size; /* the last block before the bound holds what is left */
    struct arena_block *block = calloc(1, sizeof *block + size);
    a->is_refused = !block;
    if (!block)
        return NULL;
    ASAN_POISON_MEMORY_REGION(block->bytes, size); /* under ASan a read past a piece is seen; else nothing */
    block->size = size;
    block->next = a->blocks;
    a->blocks = block;
    a->taken += sizeof *block + size;
    return block;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
    if (bytes > SIZE_MAX / 4)
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_block *block = a->blocks;
    if (!block || block->size - block->used < rounded)
        block = add_block(a, rounded);
    if (!block)
        return NULL;
    void *p = block->bytes + block->used;
    block->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

char *arena_copy(struct arena *a, const void *bytes, size_t len)
{
    char *copy = len < SIZE_MAX ? arena_alloc(a, len + 1) : NULL;
    if (copy && len > 0) /* an empty view may be NULL, which memcpy does not take */
        memcpy(copy, bytes, len);
    return copy;
}

void arena_free(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *block = a->blocks;
        a->blocks = block->next;
        ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->size);
        free(block);
    }
    a->taken = 0;
    a->is_refused = false;
}

void arena_wipe(struct arena *a)
{
    for (struct arena_block *block = a->blocks; block; block = block->next) {
        ASAN_UNPOISON_MEMORY_REGION(block->bytes, block->used);
        explicit_bzero(block->bytes, block->used);
    }
    arena_free(a);
}
