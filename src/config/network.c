/* Addresses and CIDR blocks, both families in one form: IPv4 stands as ::ffff:a.b.c.d (RFC 4291 2.5.5.2). */
#include <arpa/inet.h>
#include <string.h>

#include "config/config.h"

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* Decimal without sign, space or more than three digits, at most `max`. */
static bool parse_bits(const char *text, unsigned max, unsigned *bits_out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 3 || strspn(text, "0123456789") != len) {
        return false;
    }
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    *bits_out = bits;
    return bits <= max;
}

static void clear_host_bits(struct config_network *n)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned first = i * 8;
        unsigned kept = n->bits <= first ? 0 : n->bits - first;
        if (kept < 8) {
            n->address[i] &= (uint8_t)(0xff00u >> kept);
        }
    }
}

enum result config_network_parse(const char *text, struct config_network *out)
{
    char address[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    if (len >= sizeof(address)) {
        return ERR_USAGE;
    }
    memcpy(address, text, len);
    address[len] = '\0';

    struct config_network n = {.bits = 128};
    unsigned family_bits = 128;
    if (inet_pton(AF_INET, address, n.address + 12) == 1) {
        memcpy(n.address, mapped_prefix, sizeof(mapped_prefix));
        family_bits = 32;
    } else if (inet_pton(AF_INET6, address, n.address) != 1) {
        return ERR_USAGE;
    }
    if (text[len] == '/') {
        unsigned bits;
        if (!parse_bits(text + len + 1, family_bits, &bits)) {
            return ERR_USAGE;
        }
        n.bits = 128 - family_bits + bits;
    }
    clear_host_bits(&n);
    *out = n;
    return OK;
}

bool config_network_holds(const struct config_network *n, const uint8_t address[16])
{
    unsigned whole = n->bits / 8;
    if (memcmp(n->address, address, whole) != 0) {
        return false;
    }
    unsigned rest = n->bits % 8;
    if (rest == 0) {
        return true;
    }
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return (n->address[whole] & mask) == (address[whole] & mask);
}
