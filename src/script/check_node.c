#include <stdlib.h>
#include <string.h>

#include "config/pattern.h"
#include "script/check.h"
#include "script/check_attribute.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void take_host(const struct item *item, void *member)
{
    if (field_is_host(item)) {
        field_set_text(item->check, member, item->value->text);
    }
}

static void take_port(const struct item *item, void *member)
{
    int64_t port;
    if (field_integer(item, 1, 65535, &port)) {
        *(uint16_t *)member = (uint16_t)port;
    }
}

static void take_calling(const struct item *item, void *node)
{
    struct config_node *n = node;
    const char *text = field_text(item, "\"own\", \"pass\" or an AE title");
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "own") == 0) {
        n->calling = CONFIG_CALLING_OWN;
    } else if (strcmp(text, "pass") == 0) {
        n->calling = CONFIG_CALLING_PASS;
    } else if (field_is_title(item, text)) {
        n->calling = CONFIG_CALLING_TITLE;
        field_set_text(item->check, &n->calling_title, text);
    }
}

/* What the pattern of a folder asks of the data set. */
static void take_attributes(const struct item *item, struct config_node *n)
{
    static const struct attribute_words words = {"field {", "} in folder", "{0008,0060}"};
    const char *p = item->value->text;
    struct view name;
    while (pattern_next_attribute(&p, &name)) {
        char *text = strndup((const char *)name.at, name.len);
        size_t index;
        if (text == NULL) {
            item->check->failed = true;
            return;
        }
        if (check_attribute_name(item, text, &words, &index)) {
            n->folder_attributes[n->folder_attribute_count++] = index;
        }
        free(text);
    }
}

static void take_folder(const struct item *item, void *node)
{
    struct config_node *n = node;
    char why[320];
    const char *text = field_text(item, "a path, as \"/data/{SOPInstanceUID}.dcm\"");
    if (text == NULL) {
        return;
    }
    if (pattern_check(text, why, sizeof(why)) != OK) {
        check_error(item->check, item->at, "folder = \"%s\": %s", text, why);
        return;
    }
    field_set_text(item->check, &n->folder, text);
    take_attributes(item, n);
}

static void take_weight(const struct item *item, void *member)
{
    int64_t n;
    if (field_integer(item, 1, 100, &n)) {
        *(unsigned *)member = (unsigned)n;
    }
}

static const struct key node_keys[] = {
    KEY("host", take_host, config_node, host),
    KEY("port", take_port, config_node, port),
    KEY("ae_title", take_title, config_node, ae_title),
    {"calling", take_calling, 0},
    KEY("max_associations", take_associations, config_node, max_associations),
    KEY("rate", take_rate, config_node, rate),
    KEY("max_pdu", take_max_pdu, config_node, max_pdu),
    KEY("tcp_congestion", take_congestion, config_node, tcp_congestion),
    KEY("lag", take_duration, config_node, lag_ms),
    {"folder", take_folder, 0},
    KEY("expire", take_duration_or_0, config_node, expire_ms),
    {"retry", take_node_retry, 0},
    KEY("deliveries", take_deliveries, config_node, deliveries),
    KEY("weight", take_weight, config_node, weight),
    KEY("health", take_duration_or_0, config_node, health_ms),
    {"as", take_as, 0},
    {"tls", take_node_tls, 0},
    {"allow", take_later, 0},
    {"admin", take_later, 0},
};

/* A folder has no association: every key of one on it is a misunderstanding. */
static void refuse_remote_keys(struct check *c, const struct declaration *d, const struct place *root)
{
    static const char *const remote[] = {
        "host",   "port", "ae_title", "calling", "max_associations", "max_pdu", "tcp_congestion", "weight",
        "health", "as",   "rate",     "tls"};
    for (size_t i = 0; i < COUNT(remote); i++) {
        if (value_field(&d->value, remote[i]) != NULL) {
            struct place at = {d, root, remote[i], 0};
            check_error(
                c, &at,
                "%s has no meaning for a folder; a node is either a folder or a remote AE with a host",
                remote[i]);
        }
    }
}

static void require_remote_keys(struct check *c, const struct declaration *d, const struct place *root)
{
    if (value_field(&d->value, "host") == NULL) {
        check_error(c, root,
                    "there is neither a host nor a folder; add host = \"10.1.0.5\", or folder = "
                    "\"/data/{SOPInstanceUID}.dcm\"");
    }
    if (value_field(&d->value, "ae_title") == NULL) {
        check_error(c, root, "there is no ae_title; add ae_title = \"...\", the title the node is called by");
    }
}

void check_node(struct check *c, const struct declaration *d, struct config_node *out)
{
    struct place at;
    struct item item = check_item(c, d, &at);
    out->line = d->line;
    out->port = 104;
    out->max_pdu = c->config->max_pdu;
    out->lag_ms = c->config->timeouts.lag;
    out->expire_ms = c->config->expire_ms;
    out->retry_first_ms = c->config->retry_first_ms;
    out->retry_most_ms = c->config->retry_most_ms;
    out->deliveries = 2;
    out->weight = 1;
    fields_take(&item, "a node", node_keys, COUNT(node_keys), out);
    if (d->value.kind != VALUE_TABLE) {
        return;
    }
    out->is_folder = value_field(&d->value, "folder") != NULL;
    if (out->is_folder) {
        refuse_remote_keys(c, d, &at);
        return;
    }
    require_remote_keys(c, d, &at);
    check_node_queue(c, d, &at, out);
    if (out->tcp_congestion == NULL && c->config->tcp_congestion != NULL) {
        field_set_text(c, &out->tcp_congestion, c->config->tcp_congestion);
    }
}
