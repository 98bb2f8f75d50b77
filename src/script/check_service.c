/* What a route of each service can have. */
#include "script/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define BIT(service)   (1U << (service))
#define ALL            (BIT(CONFIG_SERVICES) - 1)
#define BUT_ECHO       (ALL & ~BIT(CONFIG_ECHO))
#define QUEUED         (BIT(CONFIG_STORE) | BIT(CONFIG_MPPS))
#define ONLY_INSTANCES "it is for instances that are stored; leave it out"

static const struct {
    const char *key;
    unsigned services; /* that may have it */
    const char *instead;
} rules[] = {
    {"copy", QUEUED, "which waits for its answer; name the nodes in to"},
    {"hold", BIT(CONFIG_STORE), ONLY_INSTANCES},
    {"on_study", BIT(CONFIG_STORE), ONLY_INSTANCES},
    {"journal", BIT(CONFIG_STORE), ONLY_INSTANCES},
    {"stream", BIT(CONFIG_STORE), ONLY_INSTANCES},
    {"zero_copy", BIT(CONFIG_STORE), ONLY_INSTANCES},
    {"trace", BIT(CONFIG_STORE), ONLY_INSTANCES},
    {"commit", BIT(CONFIG_STORE), ONLY_INSTANCES},
    {"morph", BUT_ECHO, "which has no data set; leave it out"},
    {"morph_response", BUT_ECHO & ~BIT(CONFIG_STORE), "whose responses have no data set; leave it out"},
};

static void refuse_keys(struct check *c, const struct declaration *d, const struct place *root,
                        const struct config_route *r)
{
    for (size_t i = 0; i < COUNT(rules); i++) {
        if ((rules[i].services & BIT(r->service)) == 0 && value_field(&d->value, rules[i].key) != NULL) {
            struct place at = {d, root, rules[i].key, 0};
            check_error(c, &at, "%s means nothing for service = \"%s\", %s", rules[i].key,
                        config_service_name(r->service), rules[i].instead);
        }
    }
    if (r->queues && (QUEUED & BIT(r->service)) == 0) {
        struct place at = {d, root, "on_failure", 0};
        check_error(c, &at,
                    "on_failure = \"queue\" means nothing for service = \"%s\", which waits for its answer; "
                    "write \"fail\" or leave it out",
                    config_service_name(r->service));
    }
}

static void refuse_folders(struct check *c, const struct declaration *d, const struct place *root,
                           const char *key, const struct config_route *r,
                           const struct config_node *const *nodes, size_t count)
{
    struct place at = {d, root, key, 0};
    for (size_t i = 0; i < count; i++) {
        if (nodes[i]->is_folder) {
            check_error(c, &at,
                        "\"%s\" is a folder, which cannot answer service = \"%s\"; name remote AEs only",
                        nodes[i]->name, config_service_name(r->service));
        }
    }
}

static void require_destinations(struct check *c, const struct declaration *d, const struct place *root,
                                 const struct config_route *r)
{
    bool has_to = value_field(&d->value, "to") != NULL, has_copy = value_field(&d->value, "copy") != NULL;
    if ((QUEUED & BIT(r->service)) != 0) {
        if (!has_to && !has_copy) {
            check_error(c, root,
                        "there is neither to nor copy, so that it leads nowhere; add to = { \"NODE\" }, "
                        "or copy = { \"NODE\" }");
        }
    } else if (!has_to && !has_copy && r->service != CONFIG_COMMIT) {
        check_error(c, root, "there is no to, so that it leads nowhere; add to = { \"NODE\" }");
    } else if (!has_to && r->service == CONFIG_COMMIT && c->config->spool.is_off) {
        check_error(c, root,
                    "there is no to, and no queue that knows where instances went, since the gateway says "
                    "spool = false; add to = { \"NODE\" }");
    }
}

void check_service(struct check *c, const struct declaration *d, const struct place *root,
                   const struct config_route *r)
{
    require_destinations(c, d, root, r);
    refuse_keys(c, d, root, r);
    if (r->service != CONFIG_STORE) {
        refuse_folders(c, d, root, "to", r, r->to, r->to_count);
    }
    if (r->service == CONFIG_MPPS) {
        refuse_folders(c, d, root, "copy", r, r->copy, r->copy_count);
    }
}
