/* The struct itself: its memory, its titles, its contexts. Reading and writing stand in files of their own. */
#include "pdu/associate.h"

#include <string.h>

void pdu_associate_init(struct pdu_associate *a, bool is_ac)
{
    memset(a, 0, sizeof *a);
    a->is_ac = is_ac;
    a->version = 1;
}

void pdu_associate_free(struct pdu_associate *a)
{
    arena_wipe(&a->store); /* an identity is of it, mostly a passcode */
    memset(a, 0, sizeof *a);
}

static void wipe(struct view secret)
{
    if (secret.len > 0)
        explicit_bzero((void *)(uintptr_t)secret.at, secret.len); /* it stands in our own store */
}

void pdu_associate_forget_identity(struct pdu_associate *a)
{
    wipe(a->identity.primary);
    wipe(a->identity.secondary);
    a->has_identity = false;
    a->identity = (struct pdu_identity){0};
}

void *pdu_associate_alloc(struct pdu_associate *a, size_t bytes)
{
    return arena_alloc(&a->store, bytes);
}

bool pdu_associate_keep(struct pdu_associate *a, struct view bytes, struct view *view_out)
{
    *view_out = (struct view){NULL, 0};
    if (bytes.len == 0)
        return true;
    uint8_t *copy = pdu_associate_alloc(a, bytes.len);
    if (!copy)
        return false;
    memcpy(copy, bytes.at, bytes.len);
    *view_out = (struct view){copy, bytes.len};
    return true;
}

void pdu_title_write(uint8_t raw[16], const char *title)
{
    size_t len = strnlen(title, 16);
    memset(raw, ' ', 16);
    memcpy(raw, title, len);
}

const struct pdu_context *pdu_associate_context(const struct pdu_associate *a, uint8_t id)
{
    for (uint16_t i = 0; i < a->context_count; i++) {
        if (a->contexts[i].id == id)
            return &a->contexts[i];
    }
    return NULL;
}
