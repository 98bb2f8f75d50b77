/* Certificates made by the test: EC keys on P-256, unless it says otherwise. Whatever fails ends the program. */
#ifndef HILUM_TESTS_CERTIFICATE_H
#define HILUM_TESTS_CERTIFICATE_H

#include <openssl/x509.h>
#include <stdbool.h>

struct certificate {
    EVP_PKEY *key;
    X509 *x509;
};

struct certificate_options {
    const char *cn;
    const struct certificate *issuer; /* NULL: signs itself */
    const char *dns;                  /* subject alternative name; NULL: none */
    bool is_ca;
    int rsa_bits;         /* 0: EC */
    const char *kind;     /* "RSA-PSS", with rsa_bits; a curve; "ED25519", "ED448"; NULL: RSA or P-256 */
    const char *usage;    /* extended key usage; NULL: none */
    long from_s, until_s; /* from now; until_s 0: a day */
};

struct certificate certificate_make(const struct certificate_options *o);
void certificate_free(struct certificate *c);
/* PEM files in a folder: "NAME.pem" and "NAME.key"; password NULL: the key is not encrypted. */
void certificate_write(const struct certificate *c, const char *folder, const char *name,
                       const char *password);
/* A list of the issuer's, good for a day, that revokes one (NULL: none): "NAME.pem". */
void certificate_write_crl(const struct certificate *issuer, const struct certificate *revoked,
                           const char *folder, const char *name);
/* One that was made a day before it ends, in so many seconds from now. */
void certificate_write_crl_until(const struct certificate *issuer, const struct certificate *revoked,
                                 long until_s, const char *folder, const char *name);

#endif
