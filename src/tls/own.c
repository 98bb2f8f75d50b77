/* Our own certificates and their keys: PEM files, and the keys that are of any use. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "tls/inside.h"

/* --- kinds of keys ----------------------------------------------------------------------------------------- */

enum { RSA_BITS = 2048, EC_BITS = 256 };

bool tls_key_is_weak(const EVP_PKEY *key)
{
    int type = key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
    if (type == EVP_PKEY_EC)
        return EVP_PKEY_get_bits(key) < EC_BITS;
    return (type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS || type == EVP_PKEY_DSA) &&
           EVP_PKEY_get_bits(key) < RSA_BITS;
}

/* "RSA of 2040 bits", "secp256k1", "ED448". */
static void name_key(const EVP_PKEY *key, char *name, size_t cap)
{
    const char *type = EVP_PKEY_get0_type_name(key);
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, name, cap, NULL) == 1)
        return;
    if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
        snprintf(name, cap, "%s of %d bits", type, EVP_PKEY_get_bits(key));
    else
        snprintf(name, cap, "%s", type ? type : "an unknown kind");
}

/* There is a signature in tls_profile_set's list that it makes. */
static bool is_of_use(const EVP_PKEY *key)
{
    static const char *const curves[] = {"prime256v1", "secp384r1", "secp521r1"};
    char curve[64];
    int is_spelled_out = 0;
    int type = EVP_PKEY_get_base_id(key);
    if (type != EVP_PKEY_EC)
        return type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS || type == EVP_PKEY_ED25519;
    if (EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL) != 1 ||
        (EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_spelled_out) == 1 &&
         is_spelled_out))
        return false;
    for (unsigned i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (strcmp(curve, curves[i]) == 0)
            return true;
    return false;
}

/* --- a certificate ----------------------------------------------------------------------------------------- */

static bool check_own(X509 *certificate, const char *path, struct tls_failure *f)
{
    const EVP_PKEY *key = X509_get0_pubkey(certificate);
    char name[96];
    if (key && is_of_use(key) && !tls_key_is_weak(key))
        return true;
    if (key)
        name_key(key, name, sizeof(name));
    return tls_fail(f, "certificate",
                    "the key of %s is %s; RSA from 2048 bits, P-256, P-384, P-521 and Ed25519 will do", path,
                    key ? name : "unknown");
}

/* Those behind ours in its file. */
static bool check_chain(SSL_CTX *ssl, const char *path, struct tls_failure *f)
{
    STACK_OF(X509) *chain = NULL;
    char name[96];
    SSL_CTX_get0_chain_certs(ssl, &chain);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const EVP_PKEY *key = X509_get0_pubkey(sk_X509_value(chain, i));
        if (!tls_key_is_weak(key))
            continue;
        name_key(key, name, sizeof(name));
        return tls_fail(f, "certificate",
                        "a CA in %s has a key of %s; RSA from 2048 bits and curves from 256 will do", path,
                        name);
    }
    return true;
}

time_t tls_seconds(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

static bool take_certificate(struct tls_context *c, const char *path, struct tls_own *own,
                             struct tls_failure *f)
{
    char text[128];
    if (SSL_CTX_use_certificate_chain_file(c->ssl, path) != 1) {
        const char *why = tls_error_text(text, sizeof(text));
        bool is_empty = strcmp(why, "no start line") == 0;
        return tls_fail(f, "certificate",
                        is_empty ? "%s holds no certificate in PEM" : "%s cannot be used: %s", path, why);
    }
    X509 *certificate = SSL_CTX_get0_certificate(c->ssl);
    own->begins = tls_seconds(X509_get0_notBefore(certificate));
    own->ends = tls_seconds(X509_get0_notAfter(certificate));
    own->suits = X509_check_purpose(certificate,
                                    c->is_server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT, 0) == 1;
    return check_own(certificate, path, f) && check_chain(c->ssl, path, f);
}

/* --- its key ----------------------------------------------------------------------------------------------- */

int tls_tell_password(char *buf, int size, int is_writing, void *user)
{
    struct tls_password *p = user;
    (void)is_writing;
    p->was_asked = true;
    int len = p->text ? (int)strlen(p->text) : 0;
    if (len > size)
        return -1;
    memcpy(buf, p->text ? p->text : "", (size_t)len);
    return len;
}

static bool take_key(SSL_CTX *ssl, const char *path, const char *certificate, const char *key_password,
                     struct tls_failure *f)
{
    char text[128];
    struct tls_password password = {.text = key_password};
    BIO *file = BIO_new_file(path, "r");
    if (!file)
        return tls_fail(f, "key", "%s cannot be read: %s", path, tls_error_text(text, sizeof(text)));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, tls_tell_password, &password);
    BIO_free(file);
    if (!key && password.was_asked)
        return tls_fail(f, "key_password", key_password ? "it does not open %s" : "%s is encrypted", path);
    if (!key)
        return tls_fail(f, "key", "%s holds no private key in PEM", path);
    /* The pair is compared here: SSL_CTX_use_PrivateKey compares a key with certificates of its own type alone. */
    bool is_taken = X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) == 1 &&
                    SSL_CTX_use_PrivateKey(ssl, key) == 1;
    EVP_PKEY_free(key);
    return is_taken || tls_fail(f, "key", "%s is not the key of %s: %s", path, certificate,
                                tls_error_text(text, sizeof(text)));
}

/* --- all of them ------------------------------------------------------------------------------------------- */

/* OpenSSL holds one of a type: the second would take the place of the first. */
static bool is_another_type(SSL_CTX *ssl, const struct tls_options *o, unsigned n, int types[TLS_PAIRS],
                            struct tls_failure *f)
{
    types[n] = EVP_PKEY_get_base_id(X509_get0_pubkey(SSL_CTX_get0_certificate(ssl)));
    for (unsigned i = 0; i < n; i++)
        if (types[i] == types[n])
            return tls_fail(
                f, "certificate",
                "%s and %s have keys of the same type; a second one is for peers that do not know the "
                "first's: RSA beside P-256",
                o->certificate[i], o->certificate[n]);
    return true;
}

bool tls_identify(struct tls_context *c, const struct tls_options *o, struct tls_failure *f)
{
    int types[TLS_PAIRS];
    if (!o->certificate[0])
        return !o->is_server || tls_fail(f, "certificate", "a listener needs a certificate and its key");
    for (unsigned i = 0; i < TLS_PAIRS && o->certificate[i]; i++)
        if (!take_certificate(c, o->certificate[i], &c->own[i], f) ||
            !is_another_type(c->ssl, o, i, types, f) ||
            !take_key(c->ssl, o->key[i], o->certificate[i], o->key_password, f))
            return false;
    return true;
}

const struct tls_own *tls_context_own(const struct tls_context *c, unsigned which)
{
    return &c->own[which];
}
