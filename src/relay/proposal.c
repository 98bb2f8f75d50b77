#include "relay/proposal.h"

#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "dicom/uid.h"
#include "relay/session.h"

/* User information beside what we write ourselves must leave room in item 50 (u16 length). */
enum { EXTRAS_MAX_BYTES = 60000 };

const char *proposal_calling(const struct config *config, const char *calling, const struct config_node *node)
{
    switch (node->calling) {
    case CONFIG_CALLING_PASS:
        return calling[0] ? calling : config->ae_title;
    case CONFIG_CALLING_TITLE:
        return node->calling_title;
    case CONFIG_CALLING_OWN:
        break;
    }
    return config->ae_title;
}

/* Copies the user-information items that a request of ours carries on for a sender. */
static bool copy_extras(struct pdu_associate *to, const struct pdu_associate *from)
{
    bool ok = true;
    to->roles = pdu_associate_alloc(to, from->role_count * sizeof(*to->roles) + 1);
    to->extended = pdu_associate_alloc(to, from->extended_count * sizeof(*to->extended) + 1);
    to->common = pdu_associate_alloc(to, from->common_count * sizeof(*to->common) + 1);
    if (!to->roles || !to->extended || !to->common)
        return false;
    for (unsigned i = 0; i < from->role_count; i++) {
        to->roles[i] = from->roles[i];
        ok = ok && pdu_associate_keep(to, from->roles[i].uid, &to->roles[i].uid);
    }
    for (unsigned i = 0; i < from->extended_count; i++) {
        ok = ok && pdu_associate_keep(to, from->extended[i].uid, &to->extended[i].uid);
        ok = ok && pdu_associate_keep(to, from->extended[i].info, &to->extended[i].info);
    }
    for (unsigned i = 0; i < from->common_count; i++) {
        const struct pdu_common_extended *c = &from->common[i];
        struct view *related = pdu_associate_alloc(to, c->related_count * sizeof(*related) + 1);
        ok = ok && related && pdu_associate_keep(to, c->sop_class, &to->common[i].sop_class) &&
             pdu_associate_keep(to, c->service_class, &to->common[i].service_class);
        for (unsigned r = 0; ok && r < c->related_count; r++)
            ok = pdu_associate_keep(to, c->related[r], &related[r]);
        to->common[i].related = related;
        to->common[i].related_count = c->related_count;
    }
    to->role_count = from->role_count;
    to->extended_count = from->extended_count;
    to->common_count = from->common_count;
    to->has_identity = from->has_identity;
    to->identity = from->identity;
    if (from->has_identity)
        ok = ok && pdu_associate_keep(to, from->identity.primary, &to->identity.primary) &&
             pdu_associate_keep(to, from->identity.secondary, &to->identity.secondary);
    return ok;
}

static size_t extras_bytes(const struct pdu_associate *a)
{
    size_t bytes = a->identity.primary.len + a->identity.secondary.len + 16;
    for (unsigned i = 0; i < a->role_count; i++)
        bytes += a->roles[i].uid.len + 8;
    for (unsigned i = 0; i < a->extended_count; i++)
        bytes += a->extended[i].uid.len + a->extended[i].info.len + 8;
    for (unsigned i = 0; i < a->common_count; i++) {
        bytes += a->common[i].sop_class.len + a->common[i].service_class.len + 16;
        for (unsigned r = 0; r < a->common[i].related_count; r++)
            bytes += a->common[i].related[r].len + 2;
    }
    return bytes;
}

static void hash(XXH64_state_t *state, struct view v)
{
    uint32_t len = (uint32_t)v.len;
    XXH64_update(state, &len, sizeof(len));
    if (v.len > 0)
        XXH64_update(state, v.at, v.len);
}

static uint64_t profile_of(const struct pdu_associate *a)
{
    XXH64_state_t state;
    XXH64_reset(&state, a->role_count * 1000003ULL + a->extended_count);
    for (unsigned i = 0; i < a->role_count; i++) {
        uint8_t roles[2] = {a->roles[i].scu, a->roles[i].scp};
        hash(&state, a->roles[i].uid);
        XXH64_update(&state, roles, sizeof(roles));
    }
    for (unsigned i = 0; i < a->extended_count; i++) {
        hash(&state, a->extended[i].uid);
        hash(&state, a->extended[i].info);
    }
    for (unsigned i = 0; i < a->common_count; i++) {
        hash(&state, a->common[i].sop_class);
        hash(&state, a->common[i].service_class);
        for (unsigned r = 0; r < a->common[i].related_count; r++)
            hash(&state, a->common[i].related[r]);
    }
    return XXH64_digest(&state);
}

bool proposal_keep_extras(struct session *s, const struct pdu_associate *request)
{
    bool has_async = request->has_async && request->async_invoked != 1;
    if (request->role_count + request->extended_count + request->common_count == 0 &&
        !request->has_identity && !has_async)
        return true;
    if (extras_bytes(request) > EXTRAS_MAX_BYTES)
        return false;
    s->extras = calloc(1, sizeof(*s->extras));
    if (!s->extras)
        return false;
    pdu_associate_init(s->extras, false);
    s->extras->has_async = has_async;
    if (request->role_count + request->extended_count + request->common_count > 0)
        s->source.profile = profile_of(request);
    s->source.is_private = request->has_identity;
    return copy_extras(s->extras, request);
}

bool proposal_add_extras(struct pdu_associate *request, const struct session *s)
{
    if (!s->extras)
        return true;
    if (s->extras->has_async) { /* only when it is really used: quirk 8 */
        request->has_async = true;
        request->async_invoked = SESSION_WINDOW_MAX;
        request->async_performed = 1;
    }
    return copy_extras(request, s->extras);
}

bool proposal_add(struct pdu_associate *request, uint8_t id, struct view abstract_syntax,
                  const struct view *transfer_syntaxes, unsigned count)
{
    if (!request->contexts)
        request->contexts = pdu_associate_alloc(request, PDU_CONTEXTS_MAX * sizeof(*request->contexts));
    struct view *list = pdu_associate_alloc(request, count * sizeof(*list));
    if (!request->contexts || !list || request->context_count >= PDU_CONTEXTS_MAX)
        return false;
    struct pdu_context *c = &request->contexts[request->context_count];
    bool ok = pdu_associate_keep(request, abstract_syntax, &c->abstract_syntax);
    for (unsigned i = 0; ok && i < count; i++)
        ok = pdu_associate_keep(request, transfer_syntaxes[i], &list[i]);
    c->id = id;
    c->transfer_syntaxes = list;
    c->transfer_syntax_count = (uint16_t)count;
    request->context_count++;
    return ok;
}

static bool has_pair(const struct pdu_associate *request, const char *abstract_syntax,
                     const char *transfer_syntax)
{
    for (unsigned i = 0; i < request->context_count; i++)
        if (dicom_uid_is(request->contexts[i].abstract_syntax, abstract_syntax) &&
            dicom_uid_is(request->contexts[i].transfer_syntaxes[0], transfer_syntax))
            return true;
    return false;
}

bool proposal_add_pair(struct pdu_associate *request, const char *abstract_syntax,
                       const char *transfer_syntax)
{
    struct view transfer = view_of(transfer_syntax);
    if (request->context_count >= PDU_CONTEXTS_MAX || has_pair(request, abstract_syntax, transfer_syntax))
        return true;
    uint8_t id = (uint8_t)(2 * request->context_count + 1);
    return proposal_add(request, id, view_of(abstract_syntax), &transfer, 1);
}

/* What comes back on a context of this class goes on to the sender, who takes it in the transfer syntax that it has accepted alone: instances
 * where it is their SCP, and events (N-EVENT-REPORT) of every other service. */
static bool comes_back(const struct session *s, const char *abstract_syntax)
{
    if (!dicom_uid_is_storage(view_of(abstract_syntax)))
        return true;
    for (unsigned i = 0; s->extras && i < s->extras->role_count; i++)
        if (s->extras->roles[i].scp && dicom_uid_is(s->extras->roles[i].uid, abstract_syntax))
            return true;
    return false;
}

/* Each context of those classes that one side has, the other has too. */
static bool has_all(const struct session *s, const struct association *of, const struct association *in)
{
    for (unsigned i = 0; i < of->context_count; i++) {
        const struct association_context *c = &of->contexts[i];
        if (comes_back(s, c->abstract_syntax) &&
            !association_find(in, c->abstract_syntax, c->transfer_syntax))
            return false;
    }
    return true;
}

bool proposal_suits(const struct session *s, const struct association *a)
{
    return has_all(s, &s->a, a) && has_all(s, a, &s->a);
}

bool proposal_fill(struct pdu_associate *request, const struct session *s, const char *abstract_syntax,
                   const char *transfer_syntax)
{
    bool ok =
        proposal_add_pair(request, abstract_syntax, transfer_syntax) &&
        (comes_back(s, abstract_syntax) || proposal_add_pair(request, abstract_syntax, DICOM_IMPLICIT_VR_LE));
    for (unsigned i = 0; ok && i < s->a.context_count; i++)
        ok = proposal_add_pair(request, s->a.contexts[i].abstract_syntax, s->a.contexts[i].transfer_syntax);
    for (unsigned i = 0; ok && i < s->a.context_count; i++)
        ok = comes_back(s, s->a.contexts[i].abstract_syntax) ||
             proposal_add_pair(request, s->a.contexts[i].abstract_syntax, DICOM_IMPLICIT_VR_LE);
    return ok;
}
