/* Accepted presentation contexts: id to abstract and transfer syntax. */
#include <stdlib.h>
#include <string.h>

#include "association/inside.h"
#include "dicom/uid.h"

/* The registry's own text if it knows the UID; else a copy at *store, which advances. */
static const char *keep_uid(struct view uid, char **store)
{
    const struct dicom_uid *known = dicom_uid_find((const char *)uid.at, uid.len);
    if (known)
        return known->uid;
    char *text = *store;
    memcpy(text, uid.at, uid.len);
    text[uid.len] = '\0';
    *store += uid.len + 1;
    return text;
}

static bool is_proposed(const struct pdu_context *proposed, struct view transfer_syntax)
{
    for (unsigned i = 0; i < proposed->transfer_syntax_count; i++)
        if (dicom_uid_equal(proposed->transfer_syntaxes[i], transfer_syntax))
            return true;
    return false;
}

bool association_map_contexts(struct association *a, const struct pdu_associate *request,
                              const struct pdu_associate *answer)
{
    size_t store_bytes = 1, count = 0;
    for (unsigned i = 0; i < answer->context_count; i++) {
        const struct pdu_context *got = &answer->contexts[i];
        const struct pdu_context *asked = pdu_associate_context(request, got->id);
        if (got->result == PDU_CONTEXT_ACCEPTED && asked && got->transfer_syntax_count > 0) {
            store_bytes += asked->abstract_syntax.len + got->transfer_syntaxes[0].len + 2;
            count++;
        }
    }
    char *store = malloc(store_bytes);
    struct association_context *contexts = calloc(count ? count : 1, sizeof(*contexts));
    if (!store || !contexts) {
        free(store);
        free(contexts);
        return false;
    }
    a->uid_store = store;
    a->contexts = contexts;
    for (unsigned i = 0; i < answer->context_count; i++) {
        const struct pdu_context *got = &answer->contexts[i];
        const struct pdu_context *asked = pdu_associate_context(request, got->id);
        if (got->result != PDU_CONTEXT_ACCEPTED || !asked || got->transfer_syntax_count == 0)
            continue;
        if (!is_proposed(asked, got->transfer_syntaxes[0])) /* a peer's mistake: not usable */
            continue;
        a->contexts[a->context_count++] =
            (struct association_context){.id = got->id,
                                         .abstract_syntax = keep_uid(asked->abstract_syntax, &store),
                                         .transfer_syntax = keep_uid(got->transfer_syntaxes[0], &store)};
    }
    return true;
}

void association_free_contexts(struct association *a)
{
    free(a->contexts);
    free(a->uid_store);
    a->contexts = NULL;
    a->uid_store = NULL;
    a->context_count = 0;
}

const struct association_context *association_context(const struct association *a, uint8_t id)
{
    for (unsigned i = 0; i < a->context_count; i++)
        if (a->contexts[i].id == id)
            return &a->contexts[i];
    return NULL;
}

static bool same(const char *x, const char *y)
{
    return x == y || strcmp(x, y) == 0;
}

const struct association_context *association_find(const struct association *a, const char *abstract_syntax,
                                                   const char *transfer_syntax)
{
    for (unsigned i = 0; i < a->context_count; i++)
        if (same(a->contexts[i].abstract_syntax, abstract_syntax) &&
            same(a->contexts[i].transfer_syntax, transfer_syntax))
            return &a->contexts[i];
    return NULL;
}
