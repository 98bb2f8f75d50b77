#include "certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "certificate: %s failed\n", what);
    abort();
}

static void extend(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    must(e && X509_add_ext(x, e, -1) == 1, value);
    X509_EXTENSION_free(e);
}

static EVP_PKEY *make_key(const struct certificate_options *o)
{
    if (o->kind && o->rsa_bits) {
        EVP_PKEY *key = NULL;
        EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, o->kind, NULL);
        must(c && EVP_PKEY_keygen_init(c) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(c, o->rsa_bits) == 1 &&
                 EVP_PKEY_generate(c, &key) == 1,
             o->kind);
        EVP_PKEY_CTX_free(c);
        return key;
    }
    if (o->kind && o->kind[0] == 'E')
        return EVP_PKEY_Q_keygen(NULL, NULL, o->kind);
    return o->rsa_bits ? EVP_RSA_gen((unsigned)o->rsa_bits) : EVP_EC_gen(o->kind ? o->kind : "P-256");
}

struct certificate certificate_make(const struct certificate_options *o)
{
    static long serial = 1000;
    struct certificate c = {.x509 = X509_new()};
    char text[8000];
    c.key = make_key(o);
    must(c.key && c.x509, "key");
    const struct certificate *issuer = o->issuer ? o->issuer : &c;
    X509_set_version(c.x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.x509), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c.x509), o->from_s);
    X509_gmtime_adj(X509_getm_notAfter(c.x509), o->until_s ? o->until_s : 86400);
    X509_NAME *name = X509_get_subject_name(c.x509);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"Hospital", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)o->cn, -1, -1, 0);
    must(X509_set_issuer_name(c.x509, X509_get_subject_name(issuer->x509)) == 1, "issuer");
    X509_set_pubkey(c.x509, c.key);
    extend(c.x509, NID_basic_constraints, o->is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (o->is_ca)
        extend(c.x509, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (o->usage)
        extend(c.x509, NID_ext_key_usage, o->usage);
    if (o->dns) {
        snprintf(text, sizeof(text), "DNS:%s", o->dns);
        extend(c.x509, NID_subject_alt_name, text);
    }
    must(X509_sign(c.x509, issuer->key, EVP_sha256()) > 0, "signature");
    return c;
}

void certificate_free(struct certificate *c)
{
    X509_free(c->x509);
    EVP_PKEY_free(c->key);
    *c = (struct certificate){0};
}

static FILE *create(const char *folder, const char *name, const char *end)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s.%s", folder, name, end);
    FILE *f = fopen(path, "w");
    must(f, path);
    return f;
}

void certificate_write(const struct certificate *c, const char *folder, const char *name,
                       const char *password)
{
    FILE *f = create(folder, name, "pem");
    must(PEM_write_X509(f, c->x509) == 1, "writing");
    fclose(f);
    f = create(folder, name, "key");
    must(PEM_write_PrivateKey(f, c->key, password ? EVP_aes_128_cbc() : NULL, (const unsigned char *)password,
                              password ? (int)strlen(password) : 0, NULL, NULL) == 1,
         "writing");
    fclose(f);
}

void certificate_write_crl(const struct certificate *issuer, const struct certificate *revoked,
                           const char *folder, const char *name)
{
    certificate_write_crl_until(issuer, revoked, 86400, folder, name);
}

void certificate_write_crl_until(const struct certificate *issuer, const struct certificate *revoked,
                                 long until_s, const char *folder, const char *name)
{
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, until_s - 86400), *later = X509_gmtime_adj(NULL, until_s);
    must(list && now && later, "list");
    X509_CRL_set_version(list, 1);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(issuer->x509));
    X509_CRL_set1_lastUpdate(list, now);
    X509_CRL_set1_nextUpdate(list, later);
    if (revoked) {
        X509_REVOKED *one = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(one, X509_get_serialNumber(revoked->x509));
        X509_REVOKED_set_revocationDate(one, now);
        X509_CRL_add0_revoked(list, one);
    }
    must(X509_CRL_sign(list, issuer->key, EVP_sha256()) > 0, "signature");
    FILE *f = create(folder, name, "pem");
    must(PEM_write_X509_CRL(f, list) == 1, "writing");
    fclose(f);
    ASN1_TIME_free(now);
    ASN1_TIME_free(later);
    X509_CRL_free(list);
}
