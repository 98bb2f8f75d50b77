#include "base/assert.h"
#include "base/bytes.h"
#include "pdu/associate.h"
#include "pdu/item.h"

/* Starts an item whose length end_item fills in; returns where it starts. */
static size_t begin_item(struct octets *out, uint8_t type)
{
    size_t start = out->len;
    octets_u8(out, type);
    octets_u8(out, 0);
    octets_be16(out, 0);
    return start;
}

static void end_item(struct octets *out, size_t start)
{
    if (out->failed)
        return;
    size_t len = out->len - start - ITEM_HEADER_BYTES;
    hilum_assert(len <= UINT16_MAX);
    put_be16(out->data + start + 2, (uint16_t)len);
}

static void write_view(struct octets *out, struct view bytes)
{
    if (bytes.len)
        octets_append(out, bytes.at, bytes.len);
}

static void write_counted(struct octets *out, struct view bytes)
{
    hilum_assert(bytes.len <= UINT16_MAX);
    octets_be16(out, (uint16_t)bytes.len);
    write_view(out, bytes);
}

static void write_item(struct octets *out, uint8_t type, struct view value)
{
    size_t start = begin_item(out, type);
    write_view(out, value);
    end_item(out, start);
}

static void write_context(const struct pdu_associate *a, const struct pdu_context *context,
                          struct octets *out)
{
    hilum_assert(context->id % 2 == 1);
    size_t start = begin_item(out, a->is_ac ? ITEM_CONTEXT_AC : ITEM_CONTEXT_RQ);
    octets_u8(out, context->id);
    octets_u8(out, 0);
    octets_u8(out, a->is_ac ? context->result : 0);
    octets_u8(out, 0);
    if (!a->is_ac)
        write_item(out, ITEM_ABSTRACT_SYNTAX, context->abstract_syntax);
    for (uint16_t i = 0; i < context->transfer_syntax_count; i++)
        write_item(out, ITEM_TRANSFER_SYNTAX, context->transfer_syntaxes[i]);
    end_item(out, start);
}

static void write_max_length(const struct pdu_associate *a, struct octets *out)
{
    size_t start = begin_item(out, ITEM_MAX_LENGTH);
    octets_be32(out, a->max_length);
    end_item(out, start);
}

static void write_async(const struct pdu_associate *a, struct octets *out)
{
    size_t start = begin_item(out, ITEM_ASYNC_WINDOW);
    octets_be16(out, a->async_invoked);
    octets_be16(out, a->async_performed);
    end_item(out, start);
}

static void write_role(const struct pdu_role *role, struct octets *out)
{
    size_t start = begin_item(out, ITEM_ROLE);
    write_counted(out, role->uid);
    octets_u8(out, role->scu);
    octets_u8(out, role->scp);
    end_item(out, start);
}

static void write_extended(const struct pdu_extended *extended, struct octets *out)
{
    size_t start = begin_item(out, ITEM_EXTENDED);
    write_counted(out, extended->uid);
    write_view(out, extended->info);
    end_item(out, start);
}

static void write_common(const struct pdu_common_extended *common, struct octets *out)
{
    size_t start = begin_item(out, ITEM_COMMON_EXTENDED);
    write_counted(out, common->sop_class);
    write_counted(out, common->service_class);
    size_t related_len = 0;
    for (uint16_t i = 0; i < common->related_count; i++)
        related_len += 2 + common->related[i].len;
    hilum_assert(related_len <= UINT16_MAX);
    octets_be16(out, (uint16_t)related_len);
    for (uint16_t i = 0; i < common->related_count; i++)
        write_counted(out, common->related[i]);
    end_item(out, start);
}

static void write_identity(const struct pdu_identity *identity, struct octets *out)
{
    size_t start = begin_item(out, ITEM_IDENTITY_RQ);
    octets_u8(out, identity->type);
    octets_u8(out, identity->wants_response);
    write_counted(out, identity->primary);
    write_counted(out, identity->secondary);
    end_item(out, start);
}

static void write_identity_response(struct view response, struct octets *out)
{
    size_t start = begin_item(out, ITEM_IDENTITY_AC);
    write_counted(out, response);
    end_item(out, start);
}

static void write_user_information(const struct pdu_associate *a, struct octets *out)
{
    size_t start = begin_item(out, ITEM_USER_INFORMATION);
    if (a->has_max_length)
        write_max_length(a, out);
    if (a->implementation_uid.len)
        write_item(out, ITEM_IMPLEMENTATION_UID, a->implementation_uid);
    if (a->has_async)
        write_async(a, out);
    for (uint16_t i = 0; i < a->role_count; i++)
        write_role(&a->roles[i], out);
    if (a->implementation_version.len)
        write_item(out, ITEM_IMPLEMENTATION_VERSION, a->implementation_version);
    for (uint16_t i = 0; i < a->extended_count; i++)
        write_extended(&a->extended[i], out);
    for (uint16_t i = 0; !a->is_ac && i < a->common_count; i++)
        write_common(&a->common[i], out);
    if (!a->is_ac && a->has_identity)
        write_identity(&a->identity, out);
    if (a->is_ac && a->has_identity_response)
        write_identity_response(a->identity_response, out);
    end_item(out, start);
}

void pdu_associate_write(const struct pdu_associate *a, struct octets *out)
{
    size_t start = out->len;
    octets_u8(out, a->is_ac ? PDU_ASSOCIATE_AC : PDU_ASSOCIATE_RQ);
    octets_u8(out, 0);
    octets_be32(out, 0);
    octets_be16(out, a->version);
    octets_be16(out, 0);
    octets_append(out, a->called_raw, sizeof a->called_raw);
    octets_append(out, a->calling_raw, sizeof a->calling_raw);
    octets_append(out, a->reserved_raw, sizeof a->reserved_raw);
    write_item(out, ITEM_APPLICATION_CONTEXT, a->application_context);
    for (uint16_t i = 0; i < a->context_count; i++)
        write_context(a, &a->contexts[i], out);
    write_user_information(a, out);
    if (!out->failed)
        put_be32(out->data + start + 2, (uint32_t)(out->len - start - PDU_HEADER_BYTES));
}
