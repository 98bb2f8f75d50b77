/* `tls` of listeners and nodes: its keys, its files, and what will soon be wrong with them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "script/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { DAY_SECONDS = 24 * 60 * 60, WARN_DAYS = 30 };

static void add_file(const struct item *item, void *user)
{
    const char **files = user;
    const char *text = field_text(item, "the path of a PEM file");
    for (size_t i = 0; text != NULL && i < TLS_PAIRS; i++) {
        if (files[i] == NULL) {
            files[i] = text;
            return;
        }
    }
    if (text != NULL) {
        check_error(item->check, item->at,
                    "%s is one too many; write two at most, one with a key of RSA and one of another type",
                    text);
    }
}

/* One, or a list. */
static void take_files(const struct item *item, void *member)
{
    field_each(item, "the path of a PEM file", "leave it out, or name one", add_file, member);
}

static void take_file_or_folder(const struct item *item, void *member)
{
    const char *text = field_text(item, "the path of a PEM file, or of a folder of such");
    if (text != NULL) {
        *(const char **)member = text;
    }
}

static bool is_of_environment(const struct script *s, const char *text)
{
    for (const struct environment *e = s->environment; e != NULL; e = e->next) {
        if (e->value != NULL && strcmp(e->value, text) == 0) {
            return true;
        }
    }
    return false;
}

static void take_password(const struct item *item, void *member)
{
    const char *text = field_text(item, "the key's password, as env \"NAME\"");
    if (text == NULL) {
        return;
    }
    *(const char **)member = text;
    if (!is_of_environment(item->check->script, text)) {
        check_warning(item->check, item->at,
                      "tls.key_password is written where everybody reads it who reads this file; write env "
                      "\"NAME\", and set that variable");
    }
}

static void take_profile(const struct item *item, void *member)
{
    static const char *const words[] = {[TLS_BCP195] = "bcp195", [TLS_BCP195_MODIFIED] = "bcp195-modified"};
    unsigned word = TLS_BCP195;
    field_word(item, words, COUNT(words), &word);
    *(enum tls_profile *)member = (enum tls_profile)word;
}

static void take_client(const struct item *item, void *member)
{
    static const char *const words[] = {
        [TLS_CLIENT_NONE] = "none", [TLS_CLIENT_REQUEST] = "request", [TLS_CLIENT_REQUIRE] = "require"};
    unsigned word = TLS_CLIENT_NONE;
    field_word(item, words, COUNT(words), &word);
    *(enum tls_client *)member = (enum tls_client)word;
}

static void take_name(const struct item *item, void *member)
{
    const char **name = member;
    if (item->value->kind == VALUE_BOOLEAN && !item->value->boolean) {
        *name = NULL;
    } else if (item->value->kind != VALUE_STRING) {
        field_wrong_type(item, "a host name or address that the node's certificate holds, or false");
    } else if (field_is_host(item)) {
        *name = item->value->text;
    }
}

#define KEYS_OF_BOTH                                                                                         \
    KEY("certificate", take_files, tls_options, certificate), KEY("key", take_files, tls_options, key),      \
        KEY("key_password", take_password, tls_options, key_password),                                       \
        KEY("ca", take_file_or_folder, tls_options, ca), KEY("crl", take_file_or_folder, tls_options, crl),  \
        KEY("profile", take_profile, tls_options, profile)

static const struct key listen_keys[] = {KEYS_OF_BOTH, KEY("client", take_client, tls_options, client)};
static const struct key node_keys[] = {KEYS_OF_BOTH, KEY("name", take_name, tls_options, name)};

/* --- what belongs together --------------------------------------------------------------------------------------- */

static bool has(const struct item *tls, const char *key)
{
    return value_field(tls->value, key) != NULL;
}

static void check_pair(const struct item *tls, const char *key, const char *needed, const char *how)
{
    if (has(tls, key) && !has(tls, needed)) {
        struct place at = {tls->at->declaration, tls->at, key, 0};
        check_error(tls->check, &at, "tls has a %s and no %s; add %s = %s", key, needed, needed, how);
    }
}

static size_t count_files(const char *const files[TLS_PAIRS])
{
    size_t count = 0;
    while (count < TLS_PAIRS && files[count] != NULL) {
        count++;
    }
    return count;
}

static void check_counts(const struct item *tls, const struct tls_options *o)
{
    size_t certificates = count_files(o->certificate), keys = count_files(o->key);
    if (certificates != keys && certificates > 0 && keys > 0) {
        struct place at = {tls->at->declaration, tls->at, "key", 0};
        check_error(
            tls->check, &at,
            "tls has %zu certificate%s and %zu key%s; name a key for each certificate, in the same order",
            certificates, certificates == 1 ? "" : "s", keys, keys == 1 ? "" : "s");
    }
}

/* Those of a listener that asks no client for a certificate. */
static void warn_of_idle(const struct item *tls, const char *key)
{
    if (has(tls, key)) {
        struct place at = {tls->at->declaration, tls->at, key, 0};
        check_warning(tls->check, &at,
                      "tls.%s does nothing: no certificate is asked for; leave it out, or write client = "
                      "\"require\"",
                      key);
    }
}

static void check_listen_keys(const struct item *tls, struct tls_options *o)
{
    if (!has(tls, "certificate")) {
        check_error(tls->check, tls->at,
                    "tls of a listener needs a certificate; add certificate = \"/path/to/server.pem\", and "
                    "its key = \"/path/to/server.key\"");
    }
    if (!has(tls, "client")) {
        o->client = o->ca != NULL ? TLS_CLIENT_REQUIRE : TLS_CLIENT_NONE;
    }
    if (o->client != TLS_CLIENT_NONE && !has(tls, "ca")) {
        struct place at = {tls->at->declaration, tls->at, "client", 0};
        check_error(tls->check, &at,
                    "without a ca no client's certificate is good; add ca = \"/path/to/ca.pem\", or write "
                    "client = \"none\"");
    }
    if (o->client == TLS_CLIENT_NONE) {
        warn_of_idle(tls, "ca");
        warn_of_idle(tls, "crl");
    }
}

/* --- the files --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *option, *right;
} rights[] = {
    {"certificate",
     "it must be a PEM file: our certificate, with a key of RSA 2048 or P-256 and SHA-256 at least, and "
     "behind it those of the CAs between it and the root"},
    {"key", "it must be a PEM file with the private key of the certificate"},
    {"key_password", "write key_password = env \"NAME\", with the key's password in that variable"},
    {"ca", "it must be a PEM file of the CAs' certificates, or a folder of such"},
    {"crl", "it must be a PEM file of revocation lists, or a folder of such"},
};

static void refuse(const struct item *tls, const struct tls_failure *failure)
{
    struct place at = {tls->at->declaration, tls->at, failure->option, 0};
    for (size_t i = 0; failure->option != NULL && i < COUNT(rights); i++) {
        if (strcmp(rights[i].option, failure->option) == 0) {
            check_error(tls->check, &at, "tls.%s: %s; %s", failure->option, failure->text, rights[i].right);
            return;
        }
    }
    check_error(tls->check, tls->at, "tls: %s; give it other files", failure->text);
}

static void day_of(time_t when, char day[16])
{
    struct tm tm;
    if (gmtime_r(&when, &tm) == NULL || strftime(day, 16, "%Y-%m-%d", &tm) == 0) {
        day[0] = '\0';
    }
}

static void warn_of_dates(const struct item *tls, const char *file, const struct tls_own *own)
{
    time_t now = time(NULL), begins = own->begins, ends = own->ends;
    struct place at = {tls->at->declaration, tls->at, "certificate", 0};
    char day[16];
    day_of(begins > now ? begins : ends, day);
    if (begins > now) {
        check_warning(tls->check, &at,
                      "tls.certificate: %s is not valid before %s, and refused until then; use one that is, "
                      "or set the clock",
                      file, day);
    } else if (ends < now) {
        check_warning(tls->check, &at,
                      "tls.certificate: %s has expired on %s, and is refused; put a new one there and send "
                      "SIGHUP",
                      file, day);
    } else if (ends - now < (time_t)WARN_DAYS * DAY_SECONDS) {
        int days = (int)((ends - now) / DAY_SECONDS);
        check_warning(tls->check, &at,
                      "tls.certificate: %s expires on %s, in %d day%s; put a new one there in time and send "
                      "SIGHUP",
                      file, day, days, days == 1 ? "" : "s");
    }
}

/* A peer that looks at it refuses it. */
static void warn_of_usage(const struct item *tls, const struct tls_options *o, const char *file,
                          const struct tls_own *own)
{
    if (!own->suits) {
        struct place at = {tls->at->declaration, tls->at, "certificate", 0};
        check_warning(
            tls->check, &at,
            "tls.certificate: %s is not for %ss: its key usage lacks %sAuth, and whoever looks at that "
            "refuses it; have its CA make one with it",
            file, o->is_server ? "server" : "client", o->is_server ? "server" : "client");
    }
}

static void warn_of_authorities(const struct item *tls, const struct tls_options *o,
                                const struct tls_context *c)
{
    char subject[256];
    if (o->ca != NULL && tls_context_has_old_ca(c, subject, sizeof(subject))) {
        struct place at = {tls->at->declaration, tls->at, "ca", 0};
        check_warning(tls->check, &at,
                      "tls.ca: the certificate of \"%s\" in %s has expired, and whoever it vouches for is "
                      "refused; put a new one there, or take it away",
                      subject, o->ca);
    }
}

static void warn_of_lists(const struct item *tls, const struct tls_options *o, const struct tls_context *c)
{
    char issuer[256];
    if (o->crl != NULL && tls_context_has_old_list(c, issuer, sizeof(issuer))) {
        struct place at = {tls->at->declaration, tls->at, "crl", 0};
        check_warning(
            tls->check, &at,
            "tls.crl: the list of \"%s\" in %s is too old, and whoever that CA vouches for is refused; "
            "put a new one there and send SIGHUP",
            issuer, o->crl);
    }
}

static void warn_of_key(const struct item *tls, const char *file)
{
    struct stat st;
    if (stat(file, &st) == 0 && (st.st_mode & (S_IROTH | S_IWOTH)) != 0) {
        struct place at = {tls->at->declaration, tls->at, "key", 0};
        check_warning(tls->check, &at, "tls.key: every user of this machine may %s %s; chmod 600 it",
                      (st.st_mode & S_IROTH) != 0 ? "read" : "write", file);
    }
}

/* The password has served with the context. */
static struct config_tls *keep(struct check *c, const struct tls_options *o, struct tls_context *context)
{
    struct config_tls *kept = calloc(1, sizeof(*kept));
    if (kept == NULL) {
        c->failed = true;
        tls_context_unref(&context);
        return NULL;
    }
    *kept = (struct config_tls){.profile = o->profile, .client = o->client, .context = context};
    const struct {
        char **member;
        const char *text;
    } texts[] = {{&kept->certificate[0], o->certificate[0]},
                 {&kept->certificate[1], o->certificate[1]},
                 {&kept->key[0], o->key[0]},
                 {&kept->key[1], o->key[1]},
                 {&kept->ca, o->ca},
                 {&kept->crl, o->crl},
                 {&kept->name, o->name}};
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (texts[i].text != NULL) {
            field_set_text(c, texts[i].member, texts[i].text);
        }
    }
    return kept;
}

static void read_files(const struct item *tls, const struct tls_options *o, struct config_tls **out)
{
    struct tls_failure failure;
    struct tls_context *context;
    enum result r = tls_context_new(o, &context, &failure);
    if (r == ERR_USAGE) {
        refuse(tls, &failure);
    } else if (r != OK) {
        tls->check->failed = true;
    } else {
        for (size_t i = 0; i < count_files(o->certificate); i++) {
            warn_of_dates(tls, o->certificate[i], tls_context_own(context, (unsigned)i));
            warn_of_usage(tls, o, o->certificate[i], tls_context_own(context, (unsigned)i));
            warn_of_key(tls, o->key[i]);
        }
        warn_of_authorities(tls, o, context);
        warn_of_lists(tls, o, context);
        *out = keep(tls->check, o, context);
    }
}

static void take_tls(const struct item *tls, const struct key *keys, size_t key_count, struct tls_options *o,
                     struct config_tls **out)
{
    size_t errors = tls->check->script->report.errors;
    fields_take(tls, o->is_server ? "tls of a listener" : "tls of a node", keys, key_count, o);
    if (tls->value->kind != VALUE_TABLE) {
        return;
    }
    if (o->is_server) {
        check_listen_keys(tls, o);
    }
    check_pair(tls, "certificate", "key", "\"/path/to/its.key\"");
    check_pair(tls, "key", "certificate", "\"/path/to/its.pem\"");
    check_pair(tls, "key_password", "key", "\"/path/to/its.key\"");
    if (tls->check->script->report.errors == errors) {
        check_counts(tls, o);
    }
    if (tls->check->script->report.errors == errors) {
        read_files(tls, o, out);
    }
}

void take_listen_tls(const struct item *item, void *listen)
{
    struct config_listen *l = listen;
    struct tls_options o = {.is_server = true};
    take_tls(item, listen_keys, COUNT(listen_keys), &o, &l->tls);
}

/* Keys are taken in their order: the host is known. */
void take_node_tls(const struct item *item, void *node)
{
    struct config_node *n = node;
    struct tls_options o = {.name = n->host};
    take_tls(item, node_keys, COUNT(node_keys), &o, &n->tls);
}
