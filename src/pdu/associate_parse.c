#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "pdu/associate.h"
#include "pdu/item.h"

struct parser {
    struct pdu_associate *a;
    struct pdu_fault *fault;
};

struct item {
    uint8_t type;
    uint8_t second; /* reserved, but a version in 57 */
    struct view value;
};

static enum result malformed(struct parser *p, const char *text)
{
    *p->fault = (struct pdu_fault){PDU_ABORT_INVALID_PARAMETER, text};
    return ERR_PROTO;
}

static enum result no_memory(struct parser *p)
{
    *p->fault = (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "no memory for an A-ASSOCIATE"};
    return ERR_MEMORY;
}

/* Cuts len bytes off the front. False, and nothing is cut, if fewer are left. */
static bool take(struct view *rest, size_t len, struct view *out)
{
    if (len > rest->len)
        return false;
    *out = (struct view){rest->at, len};
    rest->at += len;
    rest->len -= len;
    return true;
}

/* A u16 length and as many bytes. */
static bool take_counted(struct view *rest, struct view *out)
{
    struct view length;
    return take(rest, 2, &length) && take(rest, get_be16(length.at), out);
}

static bool take_item(struct view *rest, struct item *out)
{
    struct view head;
    if (!take(rest, ITEM_HEADER_BYTES, &head))
        return false;
    out->type = head.at[0];
    out->second = head.at[1];
    return take(rest, get_be16(head.at + 2), &out->value);
}

/* How many items of a type stand before the end or the first lie: enough memory for a walk that stops there too. */
static size_t count_items(struct view items, uint8_t type)
{
    size_t n = 0;
    struct item item;
    while (items.len && take_item(&items, &item))
        n += item.type == type;
    return n;
}

/* UIDs carry no padding in items (PS3.8 F.1), yet peers send it (quirk: NUL or space). */
static struct view trimmed(struct view uid)
{
    while (uid.len && (uid.at[uid.len - 1] == 0 || uid.at[uid.len - 1] == ' '))
        uid.len--;
    return uid;
}

/* 16 raw bytes to a title: it ends at the first NUL, and outer spaces do not count (PS3.8 9.3.2). */
static void read_title(char title[17], const uint8_t raw[16])
{
    size_t from = 0, to = strnlen((const char *)raw, 16);
    while (to && raw[to - 1] == ' ')
        to--;
    while (from < to && raw[from] == ' ')
        from++;
    memcpy(title, raw + from, to - from);
    title[to - from] = '\0';
}

static void parse_fixed(struct pdu_associate *a, const uint8_t *body)
{
    a->version = get_be16(body);
    memcpy(a->called_raw, body + 4, 16);
    memcpy(a->calling_raw, body + 20, 16);
    memcpy(a->reserved_raw, body + 36, 32);
    read_title(a->called, a->called_raw);
    read_title(a->calling, a->calling_raw);
}

/* The syntaxes of one context. An empty one names nothing and counts as absent. */
static enum result parse_syntaxes(struct parser *p, struct view items, struct pdu_context *context)
{
    struct view *transfer = NULL;
    size_t room = count_items(items, ITEM_TRANSFER_SYNTAX);
    if (p->a->is_ac && room > 1)
        room = 1;
    if (room) {
        transfer = pdu_associate_alloc(p->a, room * sizeof *transfer);
        if (!transfer)
            return no_memory(p);
    }
    context->transfer_syntaxes = transfer;
    while (items.len) {
        struct item item;
        if (!take_item(&items, &item))
            return malformed(p, "syntax sub-item reaches past its presentation context");
        struct view uid = trimmed(item.value);
        if (uid.len == 0)
            continue;
        if (item.type == ITEM_TRANSFER_SYNTAX && context->transfer_syntax_count < room)
            transfer[context->transfer_syntax_count++] = uid;
        else if (item.type == ITEM_ABSTRACT_SYNTAX && !p->a->is_ac && !context->abstract_syntax.len)
            context->abstract_syntax = uid;
    }
    return OK;
}

/* 20 and 21: u8 id, u8 reserved, u8 result (21 only), u8 reserved, sub-items (PS3.8 9.3.2.2, 9.3.3.2). */
static enum result parse_context(struct parser *p, struct view value)
{
    struct pdu_associate *a = p->a;
    struct view fixed;
    if (!take(&value, 4, &fixed))
        return malformed(p, "presentation context shorter than its fixed fields");
    struct pdu_context context = {.id = fixed.at[0], .result = a->is_ac ? fixed.at[2] : 0};
    if (context.id % 2 == 0)
        return malformed(p, "presentation context id is even");
    if (pdu_associate_context(a, context.id))
        return malformed(p, "presentation context id occurs twice");
    enum result r = parse_syntaxes(p, value, &context);
    if (r != OK)
        return r;
    bool is_usable = context.transfer_syntax_count > 0 && (a->is_ac || context.abstract_syntax.len > 0);
    bool is_rejected = a->is_ac && context.result != PDU_CONTEXT_ACCEPTED;
    if (!is_usable && !is_rejected)
        return malformed(p, "presentation context lacks a syntax");
    a->contexts[a->context_count++] = context;
    return OK;
}

/* 54: uid, u8 SCU role, u8 SCP role (PS3.7 D.3.3.4). */
static enum result parse_role(struct parser *p, struct view value)
{
    struct pdu_role role = {0};
    struct view flags;
    if (!take_counted(&value, &role.uid) || !take(&value, 2, &flags) || value.len)
        return malformed(p, "role selection sub-item whose lengths disagree");
    hilum_assert(p->a->roles); /* make_user_arrays has walked the same items */
    role.uid = trimmed(role.uid);
    role.scu = flags.at[0] == 1;
    role.scp = flags.at[1] == 1;
    p->a->roles[p->a->role_count++] = role;
    return OK;
}

/* 56: uid, then what its service class defines (PS3.7 D.3.3.5). */
static enum result parse_extended(struct parser *p, struct view value)
{
    struct pdu_extended extended = {0};
    if (!take_counted(&value, &extended.uid))
        return malformed(p, "extended negotiation sub-item whose lengths disagree");
    hilum_assert(p->a->extended);
    extended.uid = trimmed(extended.uid);
    extended.info = value;
    p->a->extended[p->a->extended_count++] = extended;
    return OK;
}

static enum result parse_related(struct parser *p, struct view list, struct pdu_common_extended *common)
{
    size_t n = 0;
    struct view uid;
    for (struct view rest = list; rest.len; n++) {
        if (!take_counted(&rest, &uid))
            return malformed(p, "related general SOP class reaches past its list");
    }
    if (n == 0)
        return OK;
    struct view *related = pdu_associate_alloc(p->a, n * sizeof *related);
    if (!related)
        return no_memory(p);
    for (size_t i = 0; i < n && take_counted(&list, &uid); i++)
        related[i] = trimmed(uid);
    common->related = related;
    common->related_count = (uint16_t)n;
    return OK;
}

/* 57, version 0: SOP class, service class, list of related SOP classes (PS3.7 D.3.3.6). What follows the list is
 * reserved for later versions and not looked at. */
static enum result parse_common(struct parser *p, struct view value)
{
    struct pdu_common_extended common = {0};
    struct view list;
    if (!take_counted(&value, &common.sop_class) || !take_counted(&value, &common.service_class) ||
        !take_counted(&value, &list))
        return malformed(p, "common extended negotiation sub-item whose lengths disagree");
    common.sop_class = trimmed(common.sop_class);
    common.service_class = trimmed(common.service_class);
    enum result r = parse_related(p, list, &common);
    if (r != OK)
        return r;
    hilum_assert(p->a->common);
    p->a->common[p->a->common_count++] = common;
    return OK;
}

/* 58: u8 type, u8 response requested, primary field, secondary field (PS3.7 D.3.3.7). */
static enum result parse_identity(struct parser *p, struct view value)
{
    struct pdu_identity identity = {0};
    struct view fixed;
    if (!take(&value, 2, &fixed) || !take_counted(&value, &identity.primary) ||
        !take_counted(&value, &identity.secondary) || value.len)
        return malformed(p, "user identity sub-item whose lengths disagree");
    identity.type = fixed.at[0];
    identity.wants_response = fixed.at[1] == 1;
    if (!p->a->has_identity) {
        p->a->has_identity = true;
        p->a->identity = identity;
    }
    return OK;
}

static enum result parse_identity_response(struct parser *p, struct view value)
{
    struct view response;
    if (!take_counted(&value, &response) || value.len)
        return malformed(p, "user identity response whose lengths disagree");
    if (!p->a->has_identity_response) {
        p->a->has_identity_response = true;
        p->a->identity_response = response;
    }
    return OK;
}

static enum result parse_max_length(struct parser *p, struct view value)
{
    if (value.len != 4)
        return malformed(p, "maximum length sub-item whose length is not 4");
    if (!p->a->has_max_length) {
        p->a->has_max_length = true;
        p->a->max_length = get_be32(value.at);
        if (p->a->max_length > 0 && p->a->max_length < PDU_MAX_LENGTH_LEAST)
            return malformed(p, "maximum length that is too small for a PDV");
    }
    return OK;
}

static enum result parse_async(struct parser *p, struct view value)
{
    if (value.len != 4)
        return malformed(p, "asynchronous operations sub-item whose length is not 4");
    if (!p->a->has_async) {
        p->a->has_async = true;
        p->a->async_invoked = get_be16(value.at);
        p->a->async_performed = get_be16(value.at + 2);
    }
    return OK;
}

static void keep_first(struct view *to, struct view value)
{
    if (!to->len)
        *to = trimmed(value);
}

/* A sub-item that this PDU does not have is skipped like an unknown one (PS3.8 9.3.1). */
static enum result parse_user_item(struct parser *p, const struct item *item)
{
    switch (item->type) {
    case ITEM_MAX_LENGTH:
        return parse_max_length(p, item->value);
    case ITEM_IMPLEMENTATION_UID:
        keep_first(&p->a->implementation_uid, item->value);
        return OK;
    case ITEM_ASYNC_WINDOW:
        return parse_async(p, item->value);
    case ITEM_ROLE:
        return parse_role(p, item->value);
    case ITEM_IMPLEMENTATION_VERSION:
        keep_first(&p->a->implementation_version, item->value);
        return OK;
    case ITEM_EXTENDED:
        return parse_extended(p, item->value);
    case ITEM_COMMON_EXTENDED:
        return p->a->is_ac || item->second != 0 ? OK : parse_common(p, item->value);
    case ITEM_IDENTITY_RQ:
        return p->a->is_ac ? OK : parse_identity(p, item->value);
    case ITEM_IDENTITY_AC:
        return p->a->is_ac ? parse_identity_response(p, item->value) : OK;
    default:
        return OK;
    }
}

/* Memory for every repeatable sub-item that `items` can hold. */
static bool make_user_arrays(struct pdu_associate *a, struct view items)
{
    size_t roles = count_items(items, ITEM_ROLE);
    size_t extended = count_items(items, ITEM_EXTENDED);
    size_t common = count_items(items, ITEM_COMMON_EXTENDED);
    a->roles = roles ? pdu_associate_alloc(a, roles * sizeof *a->roles) : NULL;
    a->extended = extended ? pdu_associate_alloc(a, extended * sizeof *a->extended) : NULL;
    a->common = common ? pdu_associate_alloc(a, common * sizeof *a->common) : NULL;
    return (!roles || a->roles) && (!extended || a->extended) && (!common || a->common);
}

static enum result parse_user_information(struct parser *p, struct view items)
{
    if (!make_user_arrays(p->a, items))
        return no_memory(p);
    while (items.len) {
        struct item item;
        if (!take_item(&items, &item))
            return malformed(p, "user information sub-item reaches past its item");
        enum result r = parse_user_item(p, &item);
        if (r != OK)
            return r;
    }
    return OK;
}

static enum result make_contexts(struct parser *p, size_t count)
{
    if (count > PDU_CONTEXTS_MAX)
        return malformed(p, "more than 128 presentation contexts");
    if (count == 0)
        return OK;
    p->a->contexts = pdu_associate_alloc(p->a, count * sizeof *p->a->contexts);
    return p->a->contexts ? OK : no_memory(p);
}

/* Of the application context and of user information there is exactly one: the first counts. */
static enum result parse_items(struct parser *p, struct view items)
{
    const uint8_t context_type = p->a->is_ac ? ITEM_CONTEXT_AC : ITEM_CONTEXT_RQ;
    bool has_application_context = false, has_user_information = false;
    enum result r = make_contexts(p, count_items(items, context_type));
    while (r == OK && items.len) {
        struct item item;
        if (!take_item(&items, &item))
            return malformed(p, "item reaches past the end of the A-ASSOCIATE");
        if (item.type == context_type) {
            r = parse_context(p, item.value);
        } else if (item.type == ITEM_APPLICATION_CONTEXT && !has_application_context) {
            has_application_context = true;
            p->a->application_context = trimmed(item.value);
        } else if (item.type == ITEM_USER_INFORMATION && !has_user_information) {
            has_user_information = true;
            r = parse_user_information(p, item.value);
        }
    }
    if (r == OK && !has_application_context)
        return malformed(p, "no application context item");
    if (r == OK && !has_user_information)
        return malformed(p, "no user information item");
    return r;
}

enum result pdu_associate_parse(const uint8_t *body, size_t len, bool is_ac, struct pdu_associate *out,
                                struct pdu_fault *fault_out)
{
    struct parser p = {out, fault_out};
    struct view kept;
    enum result r;
    pdu_associate_init(out, is_ac);
    *fault_out = (struct pdu_fault){0, NULL};
    if (len < ASSOCIATE_FIXED_BYTES) {
        r = malformed(&p, "A-ASSOCIATE shorter than its fixed fields");
    } else if (!pdu_associate_keep(out, (struct view){body, len}, &kept)) {
        r = no_memory(&p);
    } else {
        parse_fixed(out, kept.at);
        r = parse_items(&p, (struct view){kept.at + ASSOCIATE_FIXED_BYTES, len - ASSOCIATE_FIXED_BYTES});
    }
    if (r != OK)
        pdu_associate_free(out);
    return r;
}
