#include "pdu/arena.h"

#include <sanitizer/asan_interface.h>
#include <stdint.h>
#include <stdlib.h>

enum { ALIGNMENT = _Alignof(max_align_t), BLOCK_BYTES = 2048 };

/* A block; the newest stands first. A request larger than a block gets one of its own. */
struct pdu_arena {
    struct pdu_arena *next;
    size_t used, size;
    _Alignas(max_align_t) uint8_t bytes[];
};

static struct pdu_arena *add_block(struct pdu_arena **arena, size_t size)
{
    struct pdu_arena *block = calloc(1, sizeof *block + size);
    if (!block)
        return NULL;
    ASAN_POISON_MEMORY_REGION(block->bytes, size); /* under ASan a read past a piece is seen; else nothing */
    block->size = size;
    block->next = *arena;
    *arena = block;
    return block;
}

void *pdu_arena_alloc(struct pdu_arena **arena, size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct pdu_arena *block = *arena;
    if (!block || block->size - block->used < rounded)
        block = add_block(arena, rounded > BLOCK_BYTES ? rounded : BLOCK_BYTES);
    if (!block)
        return NULL;
    void *p = block->bytes + block->used;
    block->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

void pdu_arena_free(struct pdu_arena **arena)
{
    while (*arena) {
        struct pdu_arena *block = *arena;
        *arena = block->next;
        free(block);
    }
}
