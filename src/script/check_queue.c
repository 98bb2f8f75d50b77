/* What declarations say of the durable queue: where it is, how long it tries, what a route gives to it and when. */
#include <stdio.h>
#include <string.h>

#include "script/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define SPOOL_FORMS "a folder, { path = \"/var/lib/hilum\", max_bytes = \"100GiB\" }, or false"

/* --- spool --------------------------------------------------------------------------------------------------- */

/* Less could not hold what one sender may have on its way. */
static void take_max_bytes(const struct item *item, void *member)
{
    uint64_t bytes;
    if (!field_size(item, 0, &bytes)) {
        return;
    }
    if (bytes == 0 || field_size(item, 1 << 20, &bytes)) {
        *(uint64_t *)member = bytes;
    }
}

static void take_reserve(const struct item *item, void *member)
{
    field_size(item, 0, member);
}

void take_spool(const struct item *item, void *member)
{
    static const struct key keys[] = {
        KEY("path", take_text, config_spool, path),
        KEY("max_bytes", take_max_bytes, config_spool, max_bytes),
        KEY("reserve", take_reserve, config_spool, reserve),
    };
    struct config_spool *spool = member;
    if (item->value->kind == VALUE_TABLE) {
        fields_take(item, "spool", keys, COUNT(keys), spool);
    } else if (item->value->kind == VALUE_BOOLEAN && !item->value->boolean) {
        spool->is_off = true;
    } else {
        const char *text = field_text(item, SPOOL_FORMS);
        if (text != NULL) {
            field_set_text(item->check, &spool->path, text);
        }
    }
}

/* --- retry --------------------------------------------------------------------------------------------------- */

struct retry {
    uint64_t first_ms, most_ms;
};

static void take_retry(const struct item *item, uint64_t *first_ms, uint64_t *most_ms)
{
    static const struct key keys[] = {
        KEY("first", take_duration, retry, first_ms),
        KEY("most", take_duration, retry, most_ms),
    };
    struct retry r = {*first_ms, *most_ms};
    fields_take(item, "retry", keys, COUNT(keys), &r);
    if (r.first_ms > r.most_ms) {
        bool is_most = value_field(item->value, "most") != NULL;
        struct place at = {item->at->declaration, item->at, is_most ? "most" : "first", 0};
        check_error(item->check, &at,
                    "the first wait (%llu ms) is longer than the longest (%llu ms); write them as "
                    "retry = { first = \"5s\", most = \"10m\" }",
                    (unsigned long long)r.first_ms, (unsigned long long)r.most_ms);
        return;
    }
    *first_ms = r.first_ms;
    *most_ms = r.most_ms;
}

void take_gateway_retry(const struct item *item, void *config)
{
    struct config *c = config;
    take_retry(item, &c->retry_first_ms, &c->retry_most_ms);
}

void take_node_retry(const struct item *item, void *node)
{
    struct config_node *n = node;
    take_retry(item, &n->retry_first_ms, &n->retry_most_ms);
}

/* --- the gateway ----------------------------------------------------------------------------------------------- */

/* `journal = true` where there is no folder for it. */
static void refuse_journal(struct check *c, const struct declaration *d, const struct place *root)
{
    const struct value *journal = value_field(&d->value, "journal");
    if (journal != NULL && journal->kind == VALUE_BOOLEAN && journal->boolean) {
        struct place at = {d, root, "journal", 0};
        check_error(c, &at,
                    "there is no folder for a journal, since the gateway says spool = false; give it one, or "
                    "leave journal out");
    }
}

void check_gateway_queue(struct check *c, const struct declaration *d, const struct place *root)
{
    if (c->config->spool.is_off) {
        refuse_journal(c, d, root);
        c->config->journal = false;
    }
}

/* --- nodes ----------------------------------------------------------------------------------------------------- */

void take_deliveries(const struct item *item, void *member)
{
    int64_t n;
    if (field_integer(item, 1, 1000, &n)) {
        *(unsigned *)member = (unsigned)n;
    }
}

void check_node_queue(struct check *c, const struct declaration *d, const struct place *root,
                      struct config_node *n)
{
    if (n->max_associations == 0 || n->deliveries <= n->max_associations) {
        return;
    }
    if (value_field(&d->value, "deliveries") == NULL) {
        n->deliveries = n->max_associations;
        return;
    }
    struct place at = {d, root, "deliveries", 0};
    check_error(c, &at, "deliveries is %u, and max_associations allows %u in all; it must be from 1 to %u",
                n->deliveries, n->max_associations, n->max_associations);
}

/* --- routes ---------------------------------------------------------------------------------------------------- */

void take_on_failure(const struct item *item, void *member)
{
    const char *text = field_text(item, "\"queue\" or \"fail\"");
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "queue") != 0 && strcmp(text, "fail") != 0) {
        check_error(item->check, item->at, "on_failure = \"%s\" is unknown; it must be \"queue\" or \"fail\"",
                    text);
        return;
    }
    *(bool *)member = strcmp(text, "queue") == 0;
}

static void take_by(const struct item *item, void *member)
{
    const char *text = field_text(item, "\"study\" or \"series\"");
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "study") != 0 && strcmp(text, "series") != 0) {
        check_error(item->check, item->at, "by = \"%s\" is unknown; it must be \"study\" or \"series\"",
                    text);
        return;
    }
    *(enum config_hold *)member = strcmp(text, "study") == 0 ? CONFIG_HOLD_STUDY : CONFIG_HOLD_SERIES;
}

void take_hold(const struct item *item, void *route)
{
    static const struct key keys[] = {
        KEY("quiet", take_duration, config_route, hold_quiet_ms),
        KEY("by", take_by, config_route, hold),
    };
    struct config_route *r = route;
    r->hold = CONFIG_HOLD_STUDY;
    fields_take(item, "hold", keys, COUNT(keys), r);
    if (item->value->kind == VALUE_TABLE && value_field(item->value, "quiet") == NULL) {
        check_error(item->check, item->at,
                    "there is no quiet, the time without a new instance after which all go; add quiet = "
                    "\"60s\"");
    }
}

/* There is none: the gateway says spool = false. */
static void refuse_queue(struct check *c, const struct declaration *d, const struct place *root,
                         const struct config_route *r)
{
    struct place copy = {d, root, "copy", 0}, on_failure = {d, root, "on_failure", 0};
    if (value_field(&d->value, "copy") != NULL) {
        check_error(c, &copy,
                    "copy needs the queue, and the gateway says spool = false; give it a folder, or name the "
                    "nodes in to");
    }
    if (r->queues && value_field(&d->value, "on_failure") != NULL) {
        check_error(c, &on_failure,
                    "on_failure = \"queue\" needs the queue, and the gateway says spool = false; write "
                    "\"fail\" or leave it out");
    }
}

static void check_hold(struct check *c, const struct declaration *d, const struct place *root,
                       const struct config_route *r)
{
    struct place hold = {d, root, "hold", 0}, on_study = {d, root, "on_study", 0};
    if (value_field(&d->value, "hold") != NULL && value_field(&d->value, "copy") == NULL) {
        check_error(c, &hold,
                    "hold is for what copy queues, and there is no copy; add copy = { \"NODE\" }, or leave "
                    "hold out");
    }
    if (r->has_on_study && value_field(&d->value, "hold") == NULL) {
        check_error(c, &on_study,
                    "on_study runs when what is held has been quiet, and there is no hold; add "
                    "hold = { quiet = \"60s\" }");
    }
}

void check_route_queue(struct check *c, const struct declaration *d, const struct place *root,
                       struct config_route *r)
{
    bool may_queue = r->service == CONFIG_STORE || r->service == CONFIG_MPPS;
    bool has_queue = may_queue && !c->config->spool.is_off;
    if (has_queue) {
        r->queues = r->queues || value_field(&d->value, "on_failure") == NULL;
    } else {
        if (may_queue) {
            refuse_queue(c, d, root, r);
        }
        r->queues = false;
        r->copy_count = 0;
    }
    if (r->service == CONFIG_STORE) {
        if (c->config->spool.is_off) {
            refuse_journal(c, d, root);
        }
        check_hold(c, d, root, r);
    }
    r->journal = r->journal && r->service == CONFIG_STORE && !c->config->spool.is_off;
    if (r->service == CONFIG_MPPS && r->has_morph_response && (r->queues || r->copy_count > 0)) {
        struct place at = {d, root, "morph_response", 0};
        check_warning(c, &at,
                      "morph_response is never called: what the queue may take over is answered without a "
                      "data set; write on_failure = \"fail\", without copy, or leave it out");
    }
    if (value_field(&d->value, "on_failure") != NULL && value_field(&d->value, "to") == NULL) {
        struct place at = {d, root, "on_failure", 0};
        check_warning(c, &at, "on_failure says what becomes of a to that fails, and there is no to");
    }
}
