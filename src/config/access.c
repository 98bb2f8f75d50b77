#include "config/access.h"

#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "dicom/uid.h"

static bool any_network(const struct config_network *networks, size_t count, const uint8_t address[16])
{
    for (size_t i = 0; i < count; i++) {
        if (config_network_holds(&networks[i], address)) {
            return true;
        }
    }
    return false;
}

static bool any_glob(char *const *globs, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (text_glob(globs[i], text, strlen(text))) {
            return true;
        }
    }
    return false;
}

static bool any_title(char *const *titles, size_t count, const char *title)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(titles[i], title) == 0) {
            return true;
        }
    }
    return false;
}

enum access_verdict access_judge_address(const struct config_listen *l, const uint8_t address[16])
{
    if (any_network(l->deny, l->deny_count, address)) {
        return ACCESS_DENIED;
    }
    if (l->allow_count > 0 && !any_network(l->allow, l->allow_count, address)) {
        return ACCESS_NOT_ALLOWED;
    }
    return ACCESS_ADMITTED;
}

static enum access_verdict judge_listener(const struct config_listen *l, const struct access_approach *a)
{
    enum access_verdict v = access_judge_address(l, a->address);
    if (v != ACCESS_ADMITTED) {
        return v;
    }
    if (l->ae_title_count > 0 && !any_title(l->ae_titles, l->ae_title_count, a->called)) {
        return ACCESS_NOT_CALLED;
    }
    return ACCESS_ADMITTED;
}

static const struct config_caller *find_caller(const struct config *c, const char *calling)
{
    for (size_t i = 0; i < c->caller_count; i++) {
        if (any_glob(c->callers[i].titles, c->callers[i].title_count, calling)) {
            return &c->callers[i];
        }
    }
    return NULL;
}

/* A glob as "*" matches the empty subject too, and says that there is a certificate. */
static enum access_verdict judge_caller(const struct config_caller *caller, const struct access_approach *a)
{
    if (caller->allow_count > 0 && !any_network(caller->allow, caller->allow_count, a->address)) {
        return ACCESS_CALLER_NOT_ALLOWED;
    }
    if (caller->peer_count > 0 &&
        (a->peer[0] == '\0' || !any_glob(caller->peers, caller->peer_count, a->peer))) {
        return ACCESS_CALLER_CERTIFICATE;
    }
    return ACCESS_ADMITTED;
}

enum access_verdict access_judge(const struct config *c, const struct config_listen *l,
                                 const struct access_approach *a, const struct config_caller **caller_out)
{
    *caller_out = NULL;
    enum access_verdict v = judge_listener(l, a);
    if (v != ACCESS_ADMITTED || c->caller_count == 0) {
        return v;
    }
    *caller_out = find_caller(c, a->calling);
    return *caller_out == NULL ? ACCESS_NOBODY : judge_caller(*caller_out, a);
}

const char *access_verdict_text(enum access_verdict v)
{
    static const char *const texts[] = {
        [ACCESS_ADMITTED] = "let in",
        [ACCESS_DENIED] = "address denied",
        [ACCESS_NOT_ALLOWED] = "address not allowed",
        [ACCESS_NOT_CALLED] = "called AE title not ours",
        [ACCESS_NOBODY] = "calling AE title of no caller",
        [ACCESS_CALLER_NOT_ALLOWED] = "address not allowed for this caller",
        [ACCESS_CALLER_CERTIFICATE] = "certificate not that of this caller",
    };
    hilum_assert((size_t)v < sizeof(texts) / sizeof(texts[0]));
    return texts[v];
}

bool access_allows_class(const struct config_caller *caller, struct view uid)
{
    if (caller == NULL || caller->sop_class_count == 0 || dicom_uid_is(uid, DICOM_VERIFICATION)) {
        return true;
    }
    for (size_t i = 0; i < caller->sop_class_count; i++) {
        if (text_glob(caller->sop_classes[i], (const char *)uid.at, uid.len)) {
            return true;
        }
    }
    return false;
}

uint32_t access_services(const struct config_caller *caller, uint32_t services)
{
    return caller == NULL ? services : services & (caller->services | UINT32_C(1) << CONFIG_ECHO);
}
