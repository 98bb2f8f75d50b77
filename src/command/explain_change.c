/* From the header that came and the one that leaves to a list of what is different. */
#include <stdlib.h>
#include <string.h>

#include "command/explain.h"
#include "dicom/dictionary.h"
#include "dicom/tag.h"
#include "dicom/text.h"

enum { TREE_BYTES_MIN = 1 << 20, TREE_FACTOR = 64 }; /* all levels are cut, which a rule seldom asks for */

struct comparing {
    struct arena *arena;
    struct explain_route *out;
    struct dicom_document before, after;
    struct dicom_text text_before, text_after;
    enum result result; /* of taking changes */
};

/* --- names ------------------------------------------------------------------------------------------------- */

static void put_tag(struct octets *to, uint32_t tag)
{
    char text[16];
    snprintf(text, sizeof(text), "%04X,%04X", tag >> 16, tag & 0xFFFF);
    octets_append(to, text, strlen(text));
}

static void put_name(struct octets *to, uint32_t tag)
{
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    if (entry && entry->keyword[0])
        octets_append(to, entry->keyword, strlen(entry->keyword));
    else
        put_tag(to, tag);
}

static bool is_item(const struct dicom_change *c)
{
    return c->kind == DICOM_ITEM_ADDED || c->kind == DICOM_ITEM_REMOVED;
}

/* "A[1].B" by one of the functions above; NULL without memory. */
static const char *print_path(struct arena *arena, const struct dicom_change *c,
                              void (*put)(struct octets *to, uint32_t tag))
{
    struct octets text = {0};
    for (unsigned i = 0; i < c->depth; i++) {
        char item[16];
        put(&text, c->steps[i].tag);
        int len = snprintf(item, sizeof(item), "[%u]%s", c->steps[i].item,
                           i + 1 < c->depth || !is_item(c) ? "." : "");
        octets_append(&text, item, (size_t)len);
    }
    if (!is_item(c))
        put(&text, c->tag);
    const char *copy = text.failed ? NULL : arena_copy(arena, text.data, text.len);
    octets_free(&text);
    return copy;
}

/* --- changes ----------------------------------------------------------------------------------------------- */

static struct explain_change *add(struct comparing *c)
{
    struct explain_route *r = c->out;
    if (r->change_count == r->change_capacity) {
        size_t capacity = r->change_capacity * 2 + 16;
        struct explain_change *more = arena_alloc(c->arena, capacity * sizeof(*more));
        if (!more)
            return NULL;
        if (r->change_count > 0)
            memcpy(more, r->changes, r->change_count * sizeof(*more));
        r->changes = more;
        r->change_capacity = capacity;
    }
    return &r->changes[r->change_count++];
}

static enum result take_side(struct arena *arena, struct dicom_text *text, struct dicom_element *e,
                             const char **vr_out, struct explain_value *out)
{
    if (!e)
        return OK;
    *vr_out = dicom_vr_info(dicom_element_vr(e))->name;
    return explain_value(arena, text, e, out);
}

static bool is_same_text(const struct explain_change *c)
{
    const struct explain_value *a = &c->before, *b = &c->after;
    return a->is_quoted && b->is_quoted && !a->is_cut && !b->is_cut &&
           strcmp(c->vr_before, c->vr_after) == 0 && a->len == b->len &&
           memcmp(a->text, b->text, a->len) == 0;
}

static enum result take(struct comparing *c, const struct dicom_change *change)
{
    struct explain_change *one = add(c);
    if (!one)
        return ERR_MEMORY;
    *one = (struct explain_change){.kind = change->kind,
                                   .tag = change->tag,
                                   .path = print_path(c->arena, change, put_tag),
                                   .name = print_path(c->arena, change, put_name)};
    if (!one->path || !one->name)
        return ERR_MEMORY;
    enum result r = take_side(c->arena, &c->text_before, change->before, &one->vr_before, &one->before);
    if (r == OK)
        r = take_side(c->arena, &c->text_after, change->after, &one->vr_after, &one->after);
    one->is_recoded = r == OK && is_same_text(one);
    return r;
}

static void on_change(void *owner, const struct dicom_change *change)
{
    struct comparing *c = owner;
    if (c->result == OK)
        c->result = take(c, change);
}

static enum result parse(struct dicom_document *d, struct view bytes, const struct hold *hold,
                         const char **why_out)
{
    size_t room = bytes.len * TREE_FACTOR;
    enum result r = dicom_document_parse(d, bytes, hold->encoding, hold->behind,
                                         room > TREE_BYTES_MIN ? room : TREE_BYTES_MIN);
    if (r != OK)
        *why_out = d->why;
    return r;
}

static enum result compare(struct comparing *c, const char **why_out)
{
    struct dicom_comparison comparison = {.on_change = on_change, .owner = c};
    enum result r =
        dicom_compare(&comparison, dicom_document_root(&c->before), dicom_document_root(&c->after));
    if (r == OK)
        r = c->result;
    if (r != OK)
        *why_out = c->before.why ? c->before.why : c->after.why ? c->after.why : "out of memory";
    return r;
}

/* What goes from behind pixel data, where it is there, in words. Signatures over what was changed go in any case, and are not told. */
static enum result take_tail(struct arena *arena, const struct edition *edition, struct explain_route *out)
{
    struct octets text = {0};
    for (size_t i = 0; i < edition->tail.drop_count; i++) {
        if (edition->tail.drop[i] == DICOM_DIGITAL_SIGNATURES)
            continue;
        octets_append(&text, ", ", text.len > 0 ? 2 : 0);
        put_name(&text, edition->tail.drop[i]);
    }
    if (edition->tail.drops_private) {
        static const char all[] = "all private elements";
        octets_append(&text, ", ", text.len > 0 ? 2 : 0);
        octets_append(&text, all, sizeof(all) - 1);
    }
    bool is_ok = !text.failed;
    if (is_ok && text.len > 0)
        is_ok = (out->dropped = arena_copy(arena, text.data, text.len)) != NULL;
    octets_free(&text);
    return is_ok ? OK : ERR_MEMORY;
}

enum result explain_changes(struct explainer *x, struct arena *arena, const struct hold *hold,
                            const struct edition *edition, struct explain_route *out, const char **why_out)
{
    out->has_changes = true;
    if (!edition->is_changed)
        return OK;
    struct comparing c = {.arena = arena, .out = out};
    struct view after = {edition->header.at, edition->header.len};
    dicom_text_init(&c.text_before, x->charsets);
    dicom_text_init(&c.text_after, x->charsets);
    enum result r = parse(&c.before, hold->header, hold, why_out);
    if (r == OK)
        r = parse(&c.after, after, hold, why_out);
    if (r == OK)
        r = compare(&c, why_out);
    if (r == OK && hold->behind)
        r = take_tail(arena, edition, out);
    dicom_text_free(&c.text_before);
    dicom_text_free(&c.text_after);
    dicom_document_free(&c.before);
    dicom_document_free(&c.after);
    return r;
}
