/* The keys of a caller: who it is, where it comes from, and what it may do. */
#include <string.h>

#include "base/text.h"
#include "script/check.h"
#include "script/check_when.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const uint32_t ALL_SERVICES = (UINT32_C(1) << CONFIG_SERVICES) - 1;

static void take_calling(const struct item *item, void *caller)
{
    static const struct text_list titles = {
        "an AE title", "nobody would be this caller; write calling = \"*\" for every title", take_title_glob};
    struct config_caller *c = caller;
    check_texts(item, &titles, &c->titles, &c->title_count);
}

static void take_allow(const struct item *item, void *caller)
{
    struct config_caller *c = caller;
    check_networks(item, "it would let nobody in; leave allow out to let it come from anywhere", &c->allow,
                   &c->allow_count);
}

static void take_peer(const struct item *item, void *caller)
{
    static const struct text_list subjects = {"a certificate's subject",
                                              "no certificate would do; leave peer out to look at none",
                                              take_subject_glob};
    struct config_caller *c = caller;
    check_texts(item, &subjects, &c->peers, &c->peer_count);
}

static void add_service(const struct item *item, void *member)
{
    enum config_service service = CONFIG_SERVICES;
    check_service_name(item, &service);
    if (service != CONFIG_SERVICES) {
        *(uint32_t *)member |= UINT32_C(1) << service;
    }
}

static void take_services(const struct item *item, void *member)
{
    *(uint32_t *)member = UINT32_C(1) << CONFIG_ECHO;
    field_each(item, "the name of a service",
               "it could do nothing but C-ECHO; write services = \"echo\" if that is meant", add_service,
               member);
}

static void take_classes(const struct item *item, void *caller)
{
    static const struct text_list classes = {
        "a SOP class", "it could do nothing but C-ECHO; leave sop_classes out to allow all", take_class};
    struct config_caller *c = caller;
    check_texts(item, &classes, &c->sop_classes, &c->sop_class_count);
}

static void take_identity(const struct item *item, void *member)
{
    static const char *const words[] = {[CONFIG_IDENTITY_PASS] = "pass",
                                        [CONFIG_IDENTITY_REQUIRE] = "require",
                                        [CONFIG_IDENTITY_DROP] = "drop"};
    enum config_identity *identity = member;
    unsigned word = *identity;
    if (item->value->kind == VALUE_FUNCTION) {
        *identity = CONFIG_IDENTITY_CHECK;
    } else if (item->value->kind != VALUE_STRING) {
        field_wrong_type(item, "\"pass\", \"require\", \"drop\" or function (user, assoc) ... end");
    } else {
        field_word(item, words, COUNT(words), &word);
        *identity = (enum config_identity)word;
    }
}

static const struct key caller_keys[] = {
    {"calling", take_calling, 0},
    {"allow", take_allow, 0},
    {"peer", take_peer, 0},
    KEY("services", take_services, config_caller, services),
    {"sop_classes", take_classes, 0},
    KEY("identity", take_identity, config_caller, identity),
    KEY("max_associations", take_associations, config_caller, max_associations),
    KEY("rate", take_rate, config_caller, rate),
};

void check_caller(struct check *c, const struct declaration *d, struct config_caller *out)
{
    struct place at;
    struct item item = check_item(c, d, &at);
    out->line = d->line;
    out->services = ALL_SERVICES;
    fields_take(&item, "a caller", caller_keys, COUNT(caller_keys), out);
    if (d->value.kind == VALUE_TABLE && value_field(&d->value, "calling") == NULL) {
        check_error(c, &at,
                    "there is no calling, so that nobody is it; add calling = \"TITLE\", or \"*\" for every "
                    "title");
    }
}

/* --- what only shows among all of them -------------------------------------------------------------------------- */

/* Whatever the second matches the first matches as well. Read as text, a glob stands for all that it matches, but `?` holds one character and no `*`. */
static bool glob_covers(const char *first, const char *second)
{
    return text_glob(first, second, strlen(second)) &&
           (strchr(first, '?') == NULL || strchr(second, '*') == NULL);
}

static bool covers_title(const struct config_caller *first, const char *title)
{
    for (size_t i = 0; i < first->title_count; i++) {
        if (glob_covers(first->titles[i], title)) {
            return true;
        }
    }
    return false;
}

static bool covers(const struct config_caller *first, const struct config_caller *second)
{
    for (size_t i = 0; i < second->title_count; i++) {
        if (!covers_title(first, second->titles[i])) {
            return false;
        }
    }
    return true;
}

/* An association belongs to the first whose titles match. */
static void warn_of_covered(struct check *c, const struct config_caller *caller)
{
    struct place root = {.declaration = check_declaration(c, DECLARE_CALLER, caller->index)};
    struct place at = {root.declaration, &root, "calling", 0};
    for (size_t i = 0; i < caller->index; i++) {
        const struct config_caller *first = &c->config->callers[i];
        if (covers(first, caller)) {
            check_warning(c, &at,
                          "nobody is it: whoever has such a title is caller \"%s\" on line %d; move it above "
                          "that one, or give that one other titles",
                          first->name, first->line);
            return;
        }
    }
}

bool check_asks_for_certificates(const struct config *config)
{
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_tls *tls = config->listens[i].tls;
        if (tls != NULL && tls->client != TLS_CLIENT_NONE) {
            return true;
        }
    }
    return false;
}

void check_callers_whole(struct check *c)
{
    bool has_certificates = check_asks_for_certificates(c->config);
    for (size_t i = 0; i < c->config->caller_count; i++) {
        const struct config_caller *caller = &c->config->callers[i];
        warn_of_covered(c, caller);
        if (caller->peer_count > 0 && !has_certificates) {
            struct place root = {.declaration = check_declaration(c, DECLARE_CALLER, i)};
            struct place at = {root.declaration, &root, "peer", 0};
            check_warning(c, &at,
                          "it is never let in: no listener asks for certificates; give one tls = { ..., "
                          "client = \"require\" }");
        }
    }
}
