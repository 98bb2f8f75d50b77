#include "relay/access.h"

#include "base/log.h"
#include "config/access.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/refusals.h"
#include "relay/session.h"
#include "route/service.h"

/* --- its connection ---------------------------------------------------------------------------------------------- */

bool access_admit_connection(struct relay *r, int fd, const struct config_listen *listen)
{
    struct io_address address;
    uint8_t bytes[16];
    char remote[64];
    if (!listen->tls)
        return true;                    /* it hears why in the answer to its request */
    if (!io_peer_address(fd, &address)) /* already gone */
        return false;
    io_address_bytes(&address, bytes, NULL);
    enum access_verdict v = access_judge_address(listen, bytes);
    if (v == ACCESS_ADMITTED)
        return true;
    io_address_text(&address, false, remote);
    struct refusal refusal = {
        .cause = access_verdict_text(v), .listener = listen->name, .remote = remote, .title = ""};
    if (refusals_note(&r->totals->refusals, io_now(r->io), &refusal))
        LOG(LOG_WARN, "connection refused", LOG_STR("remote", remote), LOG_STR("listener", listen->name),
            LOG_STR("cause", refusal.cause));
    return false;
}

/* --- its request ------------------------------------------------------------------------------------------------- */

static void refuse(struct access_refusal *out, uint8_t reason, const char *cause, const char *title)
{
    *out = (struct access_refusal){
        .reject = {PDU_REJECT_PERMANENT, PDU_REJECT_USER, reason}, .cause = cause, .title = title};
}

/* For what it says of its user. (PS3.7 D.3.3.7.3) */
static void refuse_user(const struct session *s, struct access_refusal *out, const char *cause)
{
    refuse(out, PDU_REJECT_NO_REASON, cause, s->calling);
    out->reject.source = PDU_REJECT_ACSE;
}

bool access_admit(struct session *s, struct access_refusal *out)
{
    struct access_approach a = {
        .address = s->remote, .calling = s->calling, .called = s->called, .peer = s->peer};
    enum access_verdict v = access_judge(s->config, s->listen, &a, &s->caller);
    bool is_called = v == ACCESS_NOT_CALLED;
    if (v != ACCESS_ADMITTED)
        refuse(out, is_called ? PDU_REJECT_CALLED_AE : PDU_REJECT_CALLING_AE, access_verdict_text(v),
               is_called ? s->called : s->calling);
    return v == ACCESS_ADMITTED;
}

/* The function says yes. Whatever keeps it from saying so is a no. */
static bool is_let_in(struct session *s, const struct pdu_identity *identity, struct access_refusal *out)
{
    char remote[64];
    struct rules_assoc assoc = {.calling = view_of(s->calling),
                                .called = view_of(s->called),
                                .listener = view_of(s->listen->name),
                                .peer = view_of(s->peer)};
    struct rules_user user = {0};
    bool is_admitted = false;
    io_address_text(&s->a.peer, false, remote);
    assoc.remote = view_of(remote);
    if (identity)
        user = (struct rules_user){identity->type, identity->primary, identity->secondary};
    refuse_user(s, out, "user identity not accepted");
    out->is_ours = true;
    if (!s->rules->rules)
        out->cause = "the rules of this worker could not be opened";
    else if (rules_identity(s->rules->rules, s->caller, &assoc, identity ? &user : NULL, &is_admitted) == OK)
        out->is_ours = false;
    else
        out->cause = rules_error_bare(s->rules->rules); /* what the rule says may hold a passcode */
    return is_admitted;
}

/* What is no identity, though there is an item of that name; NULL: it is one. Types: name, with passcode, Kerberos, SAML, JWT. (PS3.7 D.3.3.7.1) */
static const char *identity_fault(const struct pdu_associate *request)
{
    if (!request->has_identity)
        return "no user identity";
    if (request->identity.type < 1 || request->identity.type > 5)
        return "user identity of an unknown type";
    return request->identity.primary.len == 0 ? "user identity is empty" : NULL;
}

bool access_identify(struct session *s, struct access_refusal *out)
{
    struct pdu_associate *request = &s->a.ul.request;
    enum config_identity how = s->caller ? s->caller->identity : CONFIG_IDENTITY_PASS;
    const char *fault = how == CONFIG_IDENTITY_REQUIRE ? identity_fault(request) : NULL;
    if (fault) {
        refuse_user(s, out, fault);
        return false;
    }
    if (how == CONFIG_IDENTITY_CHECK && !is_let_in(s, request->has_identity ? &request->identity : NULL, out))
        return false;
    /* For a name the answer is empty; what a ticket or token is answered with we cannot make. (PS3.7 D.3.3.7.2) */
    s->has_checked_identity = how == CONFIG_IDENTITY_CHECK && request->has_identity &&
                              request->identity.wants_response && request->identity.type <= 2;
    if (how == CONFIG_IDENTITY_CHECK || how == CONFIG_IDENTITY_DROP)
        pdu_associate_forget_identity(request);
    return true;
}

bool access_is_told(const struct session *s, const char *cause, const char *title)
{
    char remote[64];
    io_address_text(&s->a.peer, false, remote);
    struct refusal refusal = {.cause = cause, .listener = s->listen->name, .remote = remote, .title = title};
    return refusals_note(&s->relay->totals->refusals, io_now(s->relay->io), &refusal);
}

/* --- what it asks for -------------------------------------------------------------------------------------------- */

uint32_t access_services_of(const struct session *s, struct view abstract_syntax, uint32_t services)
{
    return access_allows_class(s->caller, abstract_syntax) ? access_services(s->caller, services) : 0;
}

/* What is stored, and what is asked of an archive, is of the command's class, whatever context it comes on; all else is of its context's, where a
 * class of print or of work may stand for others. */
static bool is_class_allowed(const struct session *s, const char *abstract_syntax,
                             const struct dimse_command *c)
{
    struct view context = view_of(abstract_syntax);
    /* Verification is there for C-ECHO alone. */
    if (s->caller->sop_class_count > 0 && dicom_uid_is(context, DICOM_VERIFICATION))
        return false;
    if (c->field >= DIMSE_N_EVENT_REPORT_RQ)
        return access_allows_class(s->caller, context);
    return access_allows_class(s->caller, context) &&
           access_allows_class(s->caller, dicom_uid_trim(c->affected_class)) &&
           (!(c->has & DIMSE_HAS_REQUESTED_CLASS) ||
            access_allows_class(s->caller, dicom_uid_trim(c->requested_class)));
}

/* A node may go by the class of the context, or by any that the command names, affected and requested: each has to be of a service that is allowed. Of
 * those in the command one that belongs to no service known says nothing. */
static bool is_service_allowed(const struct session *s, const char *abstract_syntax,
                               const struct dimse_command *c)
{
    const struct view named[] = {c->affected_class, c->requested_class};
    if (!access_services(s->caller, UINT32_C(1) << route_service(view_of(abstract_syntax), c->field)))
        return false;
    for (unsigned i = 0; i < 2; i++) {
        enum config_service service = route_service(named[i], c->field);
        if (named[i].len > 0 && service != CONFIG_OTHER &&
            !access_services(s->caller, UINT32_C(1) << service))
            return false;
    }
    return true;
}

uint16_t access_status(const struct session *s, const char *abstract_syntax, const struct dimse_command *c,
                       const char **comment_out)
{
    if (!s->caller || c->field == DIMSE_C_ECHO_RQ)
        return 0;
    if (!is_service_allowed(s, abstract_syntax, c)) {
        *comment_out = ACCESS_SERVICE_REFUSED;
        return DIMSE_STATUS_NOT_AUTHORISED;
    }
    if (!is_class_allowed(s, abstract_syntax, c)) {
        *comment_out = ACCESS_CLASS_REFUSED;
        return c->field >= DIMSE_N_EVENT_REPORT_RQ ? DIMSE_STATUS_NO_SUCH_CLASS
                                                   : DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED;
    }
    return 0;
}
