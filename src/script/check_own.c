/* Nodes that are our own listeners: what is sent there would come back for ever. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "script/check.h"

static void map_v4(const struct in_addr *from, uint8_t to[16])
{
    memset(to, 0, 10);
    to[10] = to[11] = 0xff;
    memcpy(to + 12, from, 4);
}

static bool interface_has(const struct ifaddrs *i, const uint8_t address[16])
{
    uint8_t own[16];
    if (i->ifa_addr == NULL) {
        return false;
    }
    if (i->ifa_addr->sa_family == AF_INET) {
        map_v4(&((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr, own);
    } else if (i->ifa_addr->sa_family == AF_INET6) {
        memcpy(own, &((const struct sockaddr_in6 *)(const void *)i->ifa_addr)->sin6_addr, 16);
    } else {
        return false;
    }
    return memcmp(own, address, 16) == 0;
}

/* Loopback, "this host" (0.0.0.0, ::), or an address of an interface. */
static bool is_own_address(const struct ifaddrs *interfaces, const uint8_t address[16])
{
    static const char *const always[] = {"127.0.0.0/8", "::1", "0.0.0.0", "::"};
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        struct config_network n;
        if (config_network_parse(always[i], &n) == OK && config_network_holds(&n, address)) {
            return true;
        }
    }
    for (const struct ifaddrs *i = interfaces; i != NULL; i = i->ifa_next) {
        if (interface_has(i, address)) {
            return true;
        }
    }
    return false;
}

/* With or without domain, as far as both have one. */
static bool is_own_name(const char *host)
{
    char own[256] = "";
    if (gethostname(own, sizeof(own) - 1) != 0 || own[0] == '\0') {
        return false;
    }
    if (strcasecmp(host, own) == 0) {
        return true;
    }
    size_t own_label = strcspn(own, ".");
    bool one_is_bare = own[own_label] == '\0' || strchr(host, '.') == NULL;
    return one_is_bare && strcspn(host, ".") == own_label && strncasecmp(host, own, own_label) == 0;
}

static bool listener_hears(const struct config_listen *l, const struct ifaddrs *interfaces, const char *host)
{
    uint8_t address[16];
    struct in_addr short_form; /* "127.1": the resolver takes it */
    bool is_numeric = check_address(host, address);
    if (!is_numeric && inet_aton(host, &short_form) != 0) {
        map_v4(&short_form, address);
        is_numeric = true;
    }
    if (is_numeric) {
        static const uint8_t any_v4[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        static const uint8_t any_v6[16] = {0};
        bool is_any = memcmp(address, any_v4, 16) == 0 || memcmp(address, any_v6, 16) == 0;
        return is_own_address(interfaces, address) && check_hears(l->address, is_any ? NULL : address);
    }
    if (strcasecmp(host, "localhost") == 0) {
        return (check_address("127.0.0.1", address) && check_hears(l->address, address)) ||
               (check_address("::1", address) && check_hears(l->address, address));
    }
    return is_own_name(host);
}

void check_own_listeners(struct check *c)
{
    struct ifaddrs *interfaces = NULL;
    if (getifaddrs(&interfaces) != 0) {
        interfaces = NULL; /* loopback and names are known all the same */
    }
    for (size_t i = 0; i < c->config->node_count; i++) {
        const struct config_node *n = &c->config->nodes[i];
        for (size_t j = 0; j < c->config->listen_count && n->host != NULL && !n->is_folder; j++) {
            const struct config_listen *l = &c->config->listens[j];
            if (l->port != n->port || !listener_hears(l, interfaces, n->host)) {
                continue;
            }
            const struct declaration *d = check_declaration(c, DECLARE_NODE, i);
            struct place root = {d, NULL, NULL, 0};
            struct place host = {d, &root, "host", 0};
            check_error(c, &host,
                        "\"%s\" port %u is our own listener (line %d), so that instances would go in "
                        "circles; give the "
                        "host and port of the other system",
                        n->host, n->port, l->line);
            break;
        }
    }
    if (interfaces != NULL) {
        freeifaddrs(interfaces);
    }
}
