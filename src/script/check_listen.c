#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "script/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define PORT_OR_ADDRESS "\"11112\", \"127.0.0.1:11112\" or \"[::1]:11112\""

bool check_address(const char *text, uint8_t address_out[16])
{
    struct config_network n;
    if (strchr(text, '/') != NULL || config_network_parse(text, &n) != OK) {
        return false;
    }
    memcpy(address_out, n.address, sizeof(n.address));
    return true;
}

static void take_port(const struct item *item, void *member)
{
    int64_t port;
    if (field_integer(item, 0, 65535, &port)) {
        *(uint16_t *)member = (uint16_t)port;
    }
}

static void take_address(const struct item *item, void *member)
{
    uint8_t address[16];
    if (item->value->kind == VALUE_STRING && item->value->len == 0) {
        return; /* every address, as without the key */
    }
    const char *text = field_text(item, "a numeric address, as \"127.0.0.1\"");
    if (text == NULL) {
        return;
    }
    if (!check_address(text, address)) {
        check_error(item->check, item->at,
                    "address = \"%s\" is not a numeric address; write one as \"127.0.0.1\" or \"::1\", or "
                    "leave it out "
                    "for every address",
                    text);
        return;
    }
    field_set_text(item->check, member, text);
}

static void take_allow(const struct item *item, void *listen)
{
    struct config_listen *l = listen;
    check_networks(item, "it would let nobody in; leave allow out to let everyone in", &l->allow,
                   &l->allow_count);
}

static void take_deny(const struct item *item, void *listen)
{
    struct config_listen *l = listen;
    check_networks(item, "it denies nobody; leave deny out", &l->deny, &l->deny_count);
}

static void take_called_title(const struct item *item, void *member)
{
    char **title = member;
    take_title(item, title);
    if (*title != NULL && strpbrk(*title, "*?") != NULL) {
        check_warning(item->check, item->at,
                      "\"%s\" lets in who calls just that, `*` and `?` as they stand; write out each title",
                      *title);
    }
}

static void take_titles(const struct item *item, void *listen)
{
    static const struct text_list titles = {
        "an AE title", "no called title would be right; leave ae_titles out to let all in",
        take_called_title};
    struct config_listen *l = listen;
    check_texts(item, &titles, &l->ae_titles, &l->ae_title_count);
}

static const struct key listen_keys[] = {
    KEY("port", take_port, config_listen, port),
    KEY("address", take_address, config_listen, address),
    KEY("name", take_text, config_listen, name),
    {"ae_titles", take_titles, 0},
    {"allow", take_allow, 0},
    {"deny", take_deny, 0},
    KEY("max_pdu", take_max_pdu, config_listen, max_pdu),
    KEY("tcp_congestion", take_congestion, config_listen, tcp_congestion),
    {"tls", take_listen_tls, 0},
};

/* Digits alone, at most 65535. */
static bool parse_port(const char *text, uint16_t *out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len) {
        return false;
    }
    long port = strtol(text, NULL, 10);
    *out = (uint16_t)port;
    return port <= 65535;
}

/* "PORT", "ADDRESS:PORT", "[ADDRESS]:PORT"; an address with colons needs its brackets. */
static bool parse_listen(const char *text, char *address, size_t cap, uint16_t *port_out)
{
    uint8_t parsed[16];
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        address[0] = '\0';
        return parse_port(text, port_out);
    }
    const char *from = text;
    size_t len = (size_t)(colon - text);
    bool has_brackets = len >= 2 && text[0] == '[' && colon[-1] == ']';
    if (has_brackets) {
        from++;
        len -= 2;
    }
    if (len == 0 || len >= cap) {
        return false;
    }
    memcpy(address, from, len);
    address[len] = '\0';
    bool is_v6 = strchr(address, ':') != NULL;
    return is_v6 == has_brackets && check_address(address, parsed) && parse_port(colon + 1, port_out);
}

static void take_listen_text(const struct item *item, struct config_listen *out)
{
    char address[64];
    const char *text = field_text(item, PORT_OR_ADDRESS);
    if (text == NULL) {
        return;
    }
    if (!parse_listen(text, address, sizeof(address), &out->port)) {
        check_error(
            item->check, item->at,
            "\"%s\" is neither a port (0 to 65535) nor a numeric address and a port; write " PORT_OR_ADDRESS,
            text);
        return;
    }
    field_set_text(item->check, &out->address, address);
}

static void take_listen_table(const struct item *item, struct config_listen *out)
{
    fields_take(item, "listen", listen_keys, COUNT(listen_keys), out);
    if (value_field(item->value, "port") == NULL) {
        check_error(item->check, item->at, "there is no port; add port = 11112");
    }
}

static void fill_defaults(struct check *c, struct config_listen *out)
{
    char port[8];
    snprintf(port, sizeof(port), "%u", (unsigned)out->port);
    if (out->address == NULL) {
        field_set_text(c, &out->address, "");
    }
    if (out->name == NULL) {
        field_set_text(c, &out->name, port);
    }
    if (out->tcp_congestion == NULL && c->config->tcp_congestion != NULL) {
        field_set_text(c, &out->tcp_congestion, c->config->tcp_congestion);
    }
}

void check_listen(struct check *c, const struct declaration *d, struct config_listen *out)
{
    struct place at;
    struct item item = check_item(c, d, &at);
    out->line = d->line;
    out->max_pdu = c->config->max_pdu;
    if (!d->is_complete) {
        /* evaluation ended while it was read, and has said so */
    } else if (d->value.kind == VALUE_STRING) {
        take_listen_text(&item, out);
    } else if (d->value.kind == VALUE_TABLE) {
        take_listen_table(&item, out);
    } else {
        field_wrong_type(&item, PORT_OR_ADDRESS ", or a table");
    }
    fill_defaults(c, out);
}

/* Every address: "" and "::" take both families, "0.0.0.0" IPv4 alone. */
bool check_hears(const char *listen, const uint8_t *address)
{
    static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (listen[0] == '\0' || strcmp(listen, "::") == 0 || address == NULL) {
        return true;
    }
    if (strcmp(listen, "0.0.0.0") == 0) {
        return memcmp(address, v4_prefix, sizeof(v4_prefix)) == 0;
    }
    uint8_t own[16];
    return check_address(listen, own) && memcmp(own, address, sizeof(own)) == 0;
}

/* Nobody but this machine reaches it. */
static bool is_loopback(const char *address)
{
    static const char *const loopback[] = {"127.0.0.0/8", "::1"};
    uint8_t own[16];
    struct config_network n;
    if (!check_address(address, own)) {
        return false; /* "": every address */
    }
    for (size_t i = 0; i < COUNT(loopback); i++) {
        if (config_network_parse(loopback[i], &n) == OK && config_network_holds(&n, own)) {
            return true;
        }
    }
    return false;
}

/* No list, or one that holds every address, of IPv4 at least. */
static bool is_everywhere(const struct config_network *networks, size_t count)
{
    struct config_network all;
    hilum_assert(config_network_parse("0.0.0.0/0", &all) == OK);
    for (size_t i = 0; i < count; i++) {
        if (networks[i].bits <= all.bits && config_network_holds(&networks[i], all.address)) {
            return true;
        }
    }
    return count == 0;
}

static bool is_any_title(const char *glob)
{
    return strchr(glob, '*') != NULL && strspn(glob, "*?") == strlen(glob);
}

/* Nobody has to know or show anything to be this caller and do more than C-ECHO. */
static bool is_everybody(const struct config_caller *caller)
{
    bool has_any_title = false;
    for (size_t i = 0; i < caller->title_count; i++) {
        has_any_title = has_any_title || is_any_title(caller->titles[i]);
    }
    bool may_act = (caller->services & ~(UINT32_C(1) << CONFIG_ECHO)) != 0;
    bool is_asked = caller->peer_count > 0 || caller->identity == CONFIG_IDENTITY_REQUIRE ||
                    caller->identity == CONFIG_IDENTITY_CHECK;
    return has_any_title && may_act && !is_asked && is_everywhere(caller->allow, caller->allow_count);
}

static const struct config_caller *find_everybody(const struct config *c)
{
    for (size_t i = 0; i < c->caller_count; i++) {
        if (is_everybody(&c->callers[i])) {
            return &c->callers[i];
        }
    }
    return NULL;
}

/* The listener says nothing of who may come: not even a title has to be known. */
static bool is_open(const struct config_listen *l)
{
    bool wants_certificate = l->tls != NULL && l->tls->client == TLS_CLIENT_REQUIRE;
    return is_everywhere(l->allow, l->allow_count) && l->ae_title_count == 0 && !wants_certificate;
}

static void warn_of_exposure(struct check *c, size_t listen, const struct config_caller *everybody)
{
    const unsigned port = c->config->listens[listen].port;
    struct place at = {.declaration = check_declaration(c, DECLARE_LISTEN, listen)};
    if (everybody != NULL) {
        check_warning(
            c, &at,
            "anybody who reaches port %u may send: caller \"%s\" on line %d has every title and comes "
            "from anywhere; give it allow = { \"10.1.0.0/16\" }, peer or identity, or other titles",
            port, everybody->name, everybody->line);
    } else {
        check_warning(c, &at,
                      "anybody who reaches port %u may send, under any title; say who may: allow = { "
                      "\"10.1.0.0/16\" }, ae_titles, callers, or tls with client = \"require\"; or give it "
                      "address = \"127.0.0.1\", for this machine alone",
                      port);
    }
}

void check_exposure(struct check *c)
{
    const struct config_caller *everybody = find_everybody(c->config);
    if (c->config->caller_count > 0 && everybody == NULL) {
        return;
    }
    for (size_t i = 0; i < c->config->listen_count; i++) {
        const struct config_listen *l = &c->config->listens[i];
        if (is_open(l) && !is_loopback(l->address)) {
            warn_of_exposure(c, i, everybody);
        }
    }
}

static bool overlap(const struct config_listen *a, const struct config_listen *b)
{
    uint8_t address[16];
    if (a->address[0] == '\0' || b->address[0] == '\0') {
        return true;
    }
    return (check_address(b->address, address) && check_hears(a->address, address)) ||
           (check_address(a->address, address) && check_hears(b->address, address));
}

/* False, with an error, if the second cannot stand beside the first. */
static bool check_pair(struct check *c, size_t first, size_t second)
{
    const struct config_listen *a = &c->config->listens[first];
    const struct config_listen *b = &c->config->listens[second];
    bool same_port = a->port != 0 && a->port == b->port && overlap(a, b);
    bool same_name = strcmp(a->name, b->name) == 0 && (a->port != 0 || strcmp(a->name, "0") != 0);
    if (!same_port && !same_name) {
        return true;
    }
    const struct declaration *d = check_declaration(c, DECLARE_LISTEN, second);
    struct place root = {.declaration = d};
    struct place at = {d, &root, same_port ? "port" : "name", 0};
    if (same_port) {
        check_error(
            c, &at,
            "port %u is already listened on (line %d) on an address that overlaps; take another port, or "
            "different addresses",
            b->port, a->line);
    } else {
        check_error(c, &at, "the listener on line %d is named \"%s\" as well; give each a name = of its own",
                    a->line, a->name);
    }
    return false;
}

void check_listen_conflicts(struct check *c)
{
    for (size_t i = 0; i < c->config->listen_count; i++) {
        size_t j = 0;
        while (j < i && check_pair(c, j, i)) {
            j++;
        }
    }
}
