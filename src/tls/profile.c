/*
 * What the secure transport connection profiles of PS3.15 allow: B.12 (BCP 195, that is RFC 9325) and B.13 (modified BCP 195), whose
 * closed list is this one as far as OpenSSL has it. No DHE in either: RFC 9325 4.1 advises against it, and B.13 leaves it open.
 */
#include "tls/inside.h"

static const char *const suites_13[] = {
    [TLS_BCP195] = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256",
    [TLS_BCP195_MODIFIED] = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:"
                            "TLS_AES_128_CCM_SHA256:TLS_AES_128_CCM_8_SHA256",
};

static const char *const suites_12[] = {
    [TLS_BCP195] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                   "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                   "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
    [TLS_BCP195_MODIFIED] = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                            "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                            "ECDHE-ECDSA-AES256-CCM:ECDHE-ECDSA-AES256-CCM8:"
                            "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:"
                            "ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES128-CCM8",
};

static const char groups[] = "X25519:P-256:P-384:P-521";

static const char signatures[] =
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512:ed25519:"
    "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pss_rsae_sha512:"
    "rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:"
    "rsa_pkcs1_sha256:rsa_pkcs1_sha384:rsa_pkcs1_sha512";

bool tls_profile_set(SSL_CTX *ssl, enum tls_profile profile)
{
    SSL_CTX_set_security_level(ssl, 2); /* 112 bits: RSA from 2048, no SHA-1 in certificates */
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ssl, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_ciphersuites(ssl, suites_13[profile]) == 1 &&
           SSL_CTX_set_cipher_list(ssl, suites_12[profile]) == 1 &&
           SSL_CTX_set1_groups_list(ssl, groups) == 1 && SSL_CTX_set1_sigalgs_list(ssl, signatures) == 1;
}
