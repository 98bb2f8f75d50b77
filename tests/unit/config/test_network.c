#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* An address as the engine has it: 16 bytes, IPv4 mapped. */
static void address_of(const char *text, uint8_t out[16])
{
    memset(out, 0, 16);
    if (inet_pton(AF_INET6, text, out) == 1) {
        return;
    }
    out[10] = out[11] = 0xff;
    assert_int_equal(inet_pton(AF_INET, text, out + 12), 1);
}

static void a_block_holds_what_shares_its_prefix(void **state)
{
    (void)state;
    static const struct {
        const char *block, *address;
        bool holds;
        const char *why;
    } cases[] = {
        {"10.1.0.5", "10.1.0.5", true, "an address is a block of itself"},
        {"10.1.0.5", "10.1.0.4", false, "the last bit differs"},
        {"10.0.0.0/8", "10.255.255.255", true, "the end of the block"},
        {"10.0.0.0/8", "11.0.0.0", false, "just behind the block"},
        {"10.1.2.3/8", "10.9.9.9", true, "host bits of the block do not count"},
        {"192.168.4.0/23", "192.168.5.255", true, "a prefix within a byte"},
        {"192.168.4.0/23", "192.168.6.0", false, "just behind it"},
        {"192.168.4.0/23", "192.168.3.255", false, "just before it"},
        {"192.168.4.6/31", "192.168.4.7", true, "the narrowest pair"},
        {"0.0.0.0/0", "203.0.113.9", true, "all of IPv4"},
        {"0.0.0.0/0", "2001:db8::1", false, "and nothing of IPv6"},
        {"::/0", "2001:db8::1", true, "all of IPv6"},
        {"::/0", "10.0.0.1", true, "and IPv4, which stands mapped in it"},
        {"::1", "::1", true, "loopback"},
        {"::1", "127.0.0.1", false, "which is another than IPv4's"},
        {"2001:db8::/32", "2001:db8:ffff::1", true, "an IPv6 block"},
        {"2001:db8::/32", "2001:db9::1", false, "just behind it"},
        {"2001:db8::/33", "2001:db8:8000::", false,
         "the first bit behind the prefix counts for nothing else"},
        {"fe80::/10", "febf::1", true, "a prefix within a byte"},
        {"fe80::/10", "fec0::1", false, "just behind it"},
        {"::ffff:10.0.0.0/104", "10.7.7.7", true, "a mapped block is the IPv4 block"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_network n;
        uint8_t address[16];
        address_of(cases[i].address, address);
        if (config_network_parse(cases[i].block, &n) != OK) {
            fail_msg("%s is refused", cases[i].block);
        }
        if (config_network_holds(&n, address) != cases[i].holds) {
            fail_msg("%s and %s: %s", cases[i].block, cases[i].address, cases[i].why);
        }
    }
}

/* Two ways to write one block are one struct. */
static void bits_past_the_prefix_are_cleared(void **state)
{
    (void)state;
    static const struct {
        const char *written, *cleared;
    } cases[] = {
        {"10.1.2.3/8", "10.0.0.0"},
        {"192.168.5.255/23", "192.168.4.0"},
        {"10.0.0.255/31", "10.0.0.254"},
        {"10.0.0.255/25", "10.0.0.128"},
        {"10.0.0.255", "10.0.0.255"},
        {"2001:db8:ffff::1/33", "2001:db8:8000::"},
        {"ffff::1/0", "::"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_network n;
        uint8_t cleared[16];
        address_of(cases[i].cleared, cleared);
        assert_int_equal(config_network_parse(cases[i].written, &n), OK);
        assert_memory_equal(n.address, cleared, 16);
    }
}

static void what_is_no_block_is_refused_and_leaves_the_struct_alone(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "localhost",
        "10.1.0",
        "10.1.0.256",
        "10.1.*",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/ 8",
        "10.0.0.0/0008",
        "10.0.0.0/8/8",
        "::1/129",
        "[::1]",
        "2001:db8::g",
        " 10.0.0.1",
        "10.0.0.1 ",
        "/8",
        "10.0.0.0/8x",
        "fe80::1%lo",
        "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0001", /* longer than any address */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_network n = {.bits = 77};
        if (config_network_parse(cases[i], &n) != ERR_USAGE || n.bits != 77) {
            fail_msg("\"%s\" is taken", cases[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_holds_what_shares_its_prefix),
        cmocka_unit_test(bits_past_the_prefix_are_cleared),
        cmocka_unit_test(what_is_no_block_is_refused_and_leaves_the_struct_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
