/* `tls` of listeners and nodes, with certificates that the test makes: what is taken, what is refused and where, what is warned of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../certificate.h"
#include "loading.h"

enum { DAY = 24 * 60 * 60 };

#define PASSWORD "open sesame"

/* The texts of cases stand in for the folder by a @. */
static void expand(char *out, size_t cap, const char *folder, const char *text)
{
    size_t len = 0;
    for (const char *p = text; *p != '\0' && len < cap; p++) {
        const char one[2] = {*p, '\0'};
        len += (size_t)snprintf(out + len, cap - len, "%s", *p == '@' ? folder : one);
    }
    assert_true(len < cap);
}

static void make_one(const char *folder, const char *name, const struct certificate_options *options,
                     const char *password)
{
    struct certificate c = certificate_make(options);
    certificate_write(&c, folder, name, password);
    certificate_free(&c);
}

static void append(const char *folder, const char *from, const char *to)
{
    char path[256], bytes[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, from);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(bytes, 1, sizeof(bytes), f);
    fclose(f);
    snprintf(path, sizeof(path), "%s/%s", folder, to);
    f = fopen(path, "a");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    fclose(f);
}

static int make_certificates(void **state)
{
    if (make_folder(state) != 0) {
        return -1;
    }
    const char *folder = *state;
    const mode_t before = umask(077);
    struct certificate ca =
        certificate_make(&(struct certificate_options){.cn = "CA", .is_ca = true, .until_s = 400L * DAY});
    certificate_write(&ca, folder, "ca", NULL);
    certificate_write_crl(&ca, NULL, folder, "crl");
    certificate_write_crl_until(&ca, NULL, -DAY, folder, "crl-late");
    append(folder, "crl-late.pem", "crl-both.pem");
    append(folder, "crl.pem", "crl-both.pem");
    struct certificate_options o = {.cn = "gateway", .issuer = &ca, .until_s = 40L * DAY + DAY / 2};
    make_one(folder, "good", &o, NULL);
    make_one(folder, "other", &o, NULL);
    make_one(folder, "secret", &o, PASSWORD);
    make_one(folder, "open", &o, NULL);
    o.until_s = 10L * DAY + DAY / 2;
    make_one(folder, "soon", &o, NULL);
    o.from_s = -2 * DAY;
    o.until_s = -DAY;
    make_one(folder, "late", &o, NULL);
    o.from_s = DAY;
    o.until_s = 40L * DAY;
    make_one(folder, "early", &o, NULL);
    o = (struct certificate_options){.cn = "weak", .issuer = &ca, .until_s = 40L * DAY, .rsa_bits = 1024};
    make_one(folder, "weak", &o, NULL);
    o.rsa_bits = 2048;
    make_one(folder, "rsa", &o, NULL);
    o.rsa_bits = 0;
    o.kind = "secp256k1";
    make_one(folder, "odd", &o, NULL);
    o.kind = NULL;
    o.usage = "clientAuth";
    make_one(folder, "for-clients", &o, NULL);
    o.usage = "serverAuth";
    make_one(folder, "for-servers", &o, NULL);
    o = (struct certificate_options){.cn = "Old CA", .is_ca = true, .from_s = -2 * DAY, .until_s = -DAY};
    make_one(folder, "ca-late", &o, NULL);
    append(folder, "ca.pem", "ca-late.pem");
    append(folder, "ca-late.pem", "ca-both.pem");
    o.from_s = 0;
    o.until_s = DAY;
    make_one(folder, "ca-newer", &o, NULL);
    append(folder, "ca-newer.pem", "ca-both.pem");
    certificate_free(&ca);
    umask(before);
    char path[256];
    snprintf(path, sizeof(path), "%s/open.key", folder);
    return chmod(path, 0644);
}

static struct loaded load_case(const char *folder, const char *text)
{
    char whole[2000], expanded[4000];
    snprintf(whole, sizeof(whole), "%s\nroute 'r' { to = 'a' }\n%s%s", text,
             strstr(text, "listen") ? "" : "listen '127.0.0.1:11112'\n",
             strstr(text, "node") ? "" : "node 'a' { host = 'pacs.local', ae_title = 'A' }\n");
    expand(expanded, sizeof(expanded), folder, whole);
    return load_text(folder, expanded);
}

#define GOOD         "certificate = '@/good.pem', key = '@/good.key'"
#define LISTEN(keys) "listen { address = '127.0.0.1', port = 2762,\n tls = { " keys " } }"
#define NODE(keys)   "node 'a' { host = 'pacs.local', ae_title = 'A',\n tls = { " keys " } }"

static void assert_path(const char *folder, const char *got, const char *name)
{
    char path[256];
    if (name == NULL) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_string_equal(got, path);
}

static void a_listener_has_what_it_is_told(void **state)
{
    static const struct {
        const char *text;
        enum tls_client client;
        enum tls_profile profile;
        const char *ca, *crl;
    } cases[] = {
        {LISTEN(GOOD), TLS_CLIENT_NONE, TLS_BCP195, NULL, NULL},
        {LISTEN(GOOD ", ca = '@/ca.pem'"), TLS_CLIENT_REQUIRE, TLS_BCP195, "ca.pem", NULL},
        {LISTEN(GOOD ", ca = '@/ca.pem', client = 'request', crl = '@/crl.pem'"), TLS_CLIENT_REQUEST,
         TLS_BCP195, "ca.pem", "crl.pem"},
        {LISTEN(GOOD ", client = 'none', profile = 'bcp195-modified'"), TLS_CLIENT_NONE, TLS_BCP195_MODIFIED,
         NULL, NULL},
        {LISTEN(GOOD ", profile = 'bcp195'"), TLS_CLIENT_NONE, TLS_BCP195, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_case(*state, cases[i].text);
        assert_fine(&l);
        const struct config_tls *tls = l.config->listens[0].tls;
        assert_non_null(tls);
        assert_non_null(tls->context);
        assert_int_equal(tls->client, cases[i].client);
        assert_int_equal(tls->profile, cases[i].profile);
        assert_path(*state, tls->certificate[0], "good.pem");
        assert_path(*state, tls->key[0], "good.key");
        assert_path(*state, tls->ca, cases[i].ca);
        assert_path(*state, tls->crl, cases[i].crl);
        free_loaded(&l);
    }
}

static void a_node_is_called_by_its_host_unless_it_says_otherwise(void **state)
{
    static const struct {
        const char *text, *name;
    } cases[] = {
        {NODE(""), "pacs.local"},
        {NODE("name = 'archive.example.org'"), "archive.example.org"},
        {NODE("name = '10.1.0.5', ca = '@/ca.pem'"), "10.1.0.5"},
        {NODE("name = '2001:db8::5', ca = '@/ca.pem', crl = '@/crl.pem'"), "2001:db8::5"},
        {NODE("name = false, " GOOD), NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_case(*state, cases[i].text);
        assert_fine(&l);
        const struct config_tls *tls = l.config->nodes[0].tls;
        assert_non_null(tls);
        assert_non_null(tls->context);
        if (cases[i].name == NULL) {
            assert_null(tls->name);
        } else {
            assert_string_equal(tls->name, cases[i].name);
        }
        free_loaded(&l);
    }
}

static void a_key_is_opened_by_the_password_of_the_environment(void **state)
{
    setenv("HILUM_TEST_PASSWORD", PASSWORD, 1);
    struct loaded l = load_case(*state, LISTEN("certificate = '@/secret.pem', key = '@/secret.key', "
                                               "key_password = env 'HILUM_TEST_PASSWORD'"));
    unsetenv("HILUM_TEST_PASSWORD");
    assert_fine(&l);
    free_loaded(&l);
}

struct broken {
    const char *text;
    int line;
    const char *says[2];
};

/* One problem each, at its line, with these words; and none of them tells a password. */
static void assert_each(const char *folder, const struct broken *cases, size_t count, bool is_warning)
{
    for (size_t i = 0; i < count; i++) {
        struct loaded l = load_case(folder, cases[i].text);
        for (size_t p = 0; p < l.problems.count; p++) {
            assert_null(strstr(l.problems.items[p].text, PASSWORD));
            assert_null(strstr(l.problems.items[p].text, "open barley"));
        }
        if (l.problems.count != 1 || l.problems.items[0].is_warning != is_warning) {
            fail_msg("%zu problems, the first: %s: %s", l.problems.count,
                     l.problems.count > 0 ? l.problems.items[0].text : "none", cases[i].text);
        }
        assert_int_equal(l.result, is_warning ? OK : ERR_USAGE);
        const char *problem = problem_at(&l, 0, cases[i].line);
        if (problem == NULL) {
            fail_msg("not on line %d: %s", cases[i].line, l.problems.items[0].text);
        }
        for (size_t s = 0; s < 2 && cases[i].says[s] != NULL; s++) {
            char says[256];
            expand(says, sizeof(says), folder, cases[i].says[s]);
            if (strstr(problem, says) == NULL) {
                fail_msg("does not say \"%s\": %s", says, problem);
            }
        }
        free_loaded(&l);
    }
}

static void what_is_wrong_is_told_at_its_key_with_what_is_right(void **state)
{
    static const struct broken cases[] = {
        /* keys */
        {LISTEN(""), 2, {"tls of a listener needs a certificate", "add certificate = "}},
        {LISTEN("\n certificate = '@/good.pem'"), 3, {"a certificate and no key", "add key = "}},
        {NODE("\n key = '@/good.key'"), 3, {"a key and no certificate", "add certificate = "}},
        {NODE("\n key_password = env 'HOME'"), 3, {"a key_password and no key"}},
        {LISTEN(GOOD ",\n client = 'require'"), 3, {"without a ca", "add ca = "}},
        {LISTEN(GOOD ",\n client = 'request'"), 3, {"without a ca", "client = \"none\""}},
        {LISTEN(GOOD ",\n client = 'maybe'"), 3, {"\"maybe\"", "\"none\", \"request\", \"require\""}},
        {LISTEN(GOOD ",\n profile = 'tls1.0'"), 3, {"\"tls1.0\"", "\"bcp195\", \"bcp195-modified\""}},
        {LISTEN(GOOD ",\n name = 'gateway'"), 3, {"unknown key \"name\" in tls of a listener"}},
        {NODE("\n client = 'none'"), 3, {"unknown key \"client\" in tls of a node", "a listener's tls"}},
        {NODE("\n cert = '@/good.pem'"), 3, {"unknown key \"cert\""}},
        {NODE("\n ca = true"), 3, {"tls.ca is a boolean", "path of a PEM file"}},
        {NODE("\n name = true"), 3, {"tls.name is a boolean", "or false"}},
        {NODE("\n name = 'a b'"), 3, {"\"a b\" is neither a name nor an address"}},
        {NODE("\n name = '.org'"), 3, {"\".org\" is neither a name nor an address"}},
        {NODE("\n name = '[::1]'"), 3, {"\"[::1]\" is neither a name nor an address"}},
        {LISTEN(GOOD ",\n key_password = {}"), 3, {"tls.key_password is a table", "env \"NAME\""}},
        {"node 'a' { host = 'h', ae_title = 'A',\n tls = true }",
         2,
         {"tls is a boolean; it must be a table"}},
        {"node 'a' { host = 'h', ae_title = 'A',\n ca = 'x' }", 2, {"it is a key of tls"}},
        {"node 'a' { folder = '/d/{SOPInstanceUID}',\n tls = {} }", 2, {"no meaning for a folder"}},
        /* files */
        {LISTEN("key = '@/good.key',\n certificate = '@/nowhere.pem'"),
         3,
         {"@/nowhere.pem cannot be used: No such file", "it must be a PEM file"}},
        {LISTEN("key = '@/good.key',\n certificate = '@/good.key'"),
         3,
         {"@/good.key holds no certificate", "it must be a PEM file"}},
        {LISTEN("key = '@/weak.key',\n certificate = '@/weak.pem'"), 3, {"key too small", "RSA 2048"}},
        {LISTEN("certificate = '@/good.pem',\n key = '@/nowhere.key'"),
         3,
         {"tls.key: @/nowhere.key cannot be read: No such file"}},
        {LISTEN("certificate = '@/good.pem',\n key = '@/other.key'"),
         3,
         {"@/other.key is not the key of @/good.pem"}},
        {LISTEN("certificate = '@/good.pem',\n key = '@/rsa.key'"),
         3,
         {"@/rsa.key is not the key of @/good.pem"}},
        {LISTEN("key = '@/odd.key',\n certificate = '@/odd.pem'"),
         3,
         {"@/odd.pem is secp256k1; RSA from 2048"}},
        {LISTEN("certificate = { '@/good.pem', '@/rsa.pem' },\n key = '@/good.key'"),
         3,
         {"2 certificates and 1 key; name a key for each"}},
        {LISTEN("key = { '@/good.key', '@/other.key' },\n certificate = { '@/good.pem', '@/other.pem' }"),
         3,
         {"keys of the same type", "RSA beside P-256"}},
        {LISTEN("certificate = '@/good.pem',\n key = { '@/good.key', '@/rsa.key', '@/odd.key' }"),
         3,
         {"odd.key is one too many", "two at most"}},
        {LISTEN("key = '@/good.key',\n certificate = {}"), 3, {"tls.certificate is an empty list"}},
        {NODE("certificate = '@/rsa.pem',\n key = '@/good.key'"),
         3,
         {"@/good.key is not the key of @/rsa.pem"}},
        {LISTEN("certificate = '@/good.pem',\n key = '@/good.pem'"), 3, {"holds no private key"}},
        {LISTEN("certificate = '@/secret.pem', key = '@/secret.key'"),
         2,
         {"tls.key_password: @/secret.key is encrypted", "key_password = env \"NAME\""}},
        {NODE("\n ca = '@/nowhere'"), 3, {"tls.ca: @/nowhere cannot be read", "or a folder"}},
        {NODE("\n ca = '@/crl.pem'"), 3, {"@/crl.pem holds no certificate"}},
        {NODE("\n crl = '@/ca.pem'"), 3, {"@/ca.pem holds no revocation list"}},
    };
    assert_each(*state, cases, sizeof(cases) / sizeof(cases[0]), false);
}

static void a_password_that_is_wrong_is_refused_and_not_told(void **state)
{
    static const struct broken cases[] = {
        {LISTEN(
             "certificate = '@/secret.pem', key = '@/secret.key',\n key_password = env 'HILUM_TEST_OTHER'"),
         3,
         {"tls.key_password: it does not open @/secret.key"}},
    };
    setenv("HILUM_TEST_OTHER", "open barley", 1);
    assert_each(*state, cases, sizeof(cases) / sizeof(cases[0]), false);
    unsetenv("HILUM_TEST_OTHER");
}

static void what_will_soon_be_wrong_is_warned_of(void **state)
{
    static const struct broken cases[] = {
        {LISTEN("key = '@/late.key',\n certificate = '@/late.pem'"), 3, {"@/late.pem has expired on 20"}},
        {LISTEN("key = '@/soon.key',\n certificate = '@/soon.pem'"),
         3,
         {"@/soon.pem expires on 20", "in 10 days"}},
        {NODE("key = '@/early.key',\n certificate = '@/early.pem'"),
         3,
         {"@/early.pem is not valid before 20"}},
        {LISTEN("certificate = '@/open.pem',\n key = '@/open.key'"),
         3,
         {"every user of this machine may read @/open.key", "chmod 600"}},
        {LISTEN("certificate = '@/secret.pem', key = '@/secret.key',\n key_password = '" PASSWORD "'"),
         3,
         {"tls.key_password is written", "env \"NAME\""}},
        {LISTEN(GOOD ", client = 'none',\n ca = '@/ca.pem'"),
         3,
         {"tls.ca does nothing", "client = \"require\""}},
        {LISTEN(GOOD ",\n crl = '@/crl.pem'"), 3, {"tls.crl does nothing"}},
        {LISTEN(GOOD ", ca = '@/ca.pem',\n crl = '@/crl-late.pem'"),
         3,
         {"tls.crl: the list of \"CN=CA,O=Hospital\" in @/crl-late.pem is too old", "refused"}},
        {LISTEN("key = '@/for-clients.key',\n certificate = '@/for-clients.pem'"),
         3,
         {"@/for-clients.pem is not for servers", "lacks serverAuth"}},
        {NODE("key = '@/for-servers.key',\n certificate = '@/for-servers.pem'"),
         3,
         {"@/for-servers.pem is not for clients", "lacks clientAuth"}},
        {LISTEN("key = { '@/good.key', '@/rsa.key' },\n certificate = { '@/good.pem', '@/rsa.pem' },\n ca = "
                "'@/ca-late.pem'"),
         4,
         {"tls.ca: the certificate of \"CN=Old CA,O=Hospital\" in @/ca-late.pem has expired", "refused"}},
    };
    assert_each(*state, cases, sizeof(cases) / sizeof(cases[0]), true);
}

static void a_ca_that_has_a_newer_certificate_beside_it_is_not_warned_of(void **state)
{
    struct loaded l = load_case(*state, LISTEN(GOOD ", ca = '@/ca-both.pem'"));
    assert_fine(&l);
    free_loaded(&l);
}

static void a_listener_may_have_two_certificates(void **state)
{
    struct loaded l = load_case(
        *state, LISTEN("certificate = { '@/rsa.pem', '@/good.pem' }, key = { '@/rsa.key', '@/good.key' }"));
    assert_fine(&l);
    const struct config_tls *tls = l.config->listens[0].tls;
    assert_path(*state, tls->certificate[0], "rsa.pem");
    assert_path(*state, tls->certificate[1], "good.pem");
    assert_path(*state, tls->key[0], "rsa.key");
    assert_path(*state, tls->key[1], "good.key");
    free_loaded(&l);
}

/* Folders of lists keep old ones. */
static void a_list_that_has_a_newer_one_beside_it_is_not_warned_of(void **state)
{
    struct loaded l = load_case(*state, LISTEN(GOOD ", ca = '@/ca.pem', crl = '@/crl-both.pem'"));
    assert_int_equal(l.result, OK);
    assert_int_equal(l.problems.count, 0);
    free_loaded(&l);
}

/* A reload reads the file again: nothing of the configuration has changed but what its certificate is. */
static void what_is_loaded_again_has_the_certificate_of_now(void **state)
{
    char path[256], link[256];
    snprintf(link, sizeof(link), "%s/current.pem", (char *)*state);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), i == 0 ? "%s/good.pem" : "%s/soon.pem", (char *)*state);
        assert_int_equal(symlink(path, link), 0);
        snprintf(path, sizeof(path), "%s/current.key", (char *)*state);
        assert_int_equal(symlink(i == 0 ? "good.key" : "soon.key", path), 0);
        struct loaded l = load_case(*state, LISTEN("certificate = '@/current.pem', key = '@/current.key'"));
        assert_int_equal(l.result, OK);
        long days = (long)((tls_context_own(l.config->listens[0].tls->context, 0)->ends - time(NULL)) / DAY);
        assert_int_equal(days, i == 0 ? 40 : 10);
        free_loaded(&l);
        assert_int_equal(unlink(link) | unlink(path), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_has_what_it_is_told),
        cmocka_unit_test(a_node_is_called_by_its_host_unless_it_says_otherwise),
        cmocka_unit_test(a_key_is_opened_by_the_password_of_the_environment),
        cmocka_unit_test(what_is_wrong_is_told_at_its_key_with_what_is_right),
        cmocka_unit_test(a_password_that_is_wrong_is_refused_and_not_told),
        cmocka_unit_test(what_will_soon_be_wrong_is_warned_of),
        cmocka_unit_test(a_ca_that_has_a_newer_certificate_beside_it_is_not_warned_of),
        cmocka_unit_test(a_listener_may_have_two_certificates),
        cmocka_unit_test(a_list_that_has_a_newer_one_beside_it_is_not_warned_of),
        cmocka_unit_test(what_is_loaded_again_has_the_certificate_of_now),
    };
    return cmocka_run_group_tests(tests, make_certificates, remove_folder);
}
