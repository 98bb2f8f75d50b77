/* PEM files: our certificate and key, whom we trust, what was revoked. */
#include <dirent.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tls/inside.h"

const char *tls_error_text(char *text, size_t cap)
{
    unsigned long error = ERR_get_error();
    const char *reason = ERR_reason_error_string(error);
    if (ERR_SYSTEM_ERROR(error))
        reason = strerror(ERR_GET_REASON(error));
    snprintf(text, cap, "%s", reason ? reason : "OpenSSL does not say why");
    ERR_clear_error();
    return text;
}

__attribute__((format(printf, 3, 4))) static bool fail(struct tls_failure *f, const char *option,
                                                       const char *format, ...)
{
    va_list list;
    f->option = option;
    va_start(list, format);
    vsnprintf(f->text, sizeof(f->text), format, list);
    va_end(list);
    ERR_clear_error();
    return false;
}

/* --- our own ----------------------------------------------------------------------------------------------- */

struct password {
    const char *text;
    bool was_asked;
};

static int tell_password(char *buf, int size, int is_writing, void *user)
{
    struct password *p = user;
    (void)is_writing;
    p->was_asked = true;
    int len = p->text ? (int)strlen(p->text) : 0;
    if (len > size)
        return -1;
    memcpy(buf, p->text ? p->text : "", (size_t)len);
    return len;
}

static time_t seconds(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

static bool take_key(SSL_CTX *ssl, const struct tls_options *o, struct tls_failure *f)
{
    char text[128];
    struct password password = {.text = o->key_password};
    BIO *file = BIO_new_file(o->key, "r");
    if (!file)
        return fail(f, "key", "%s cannot be read: %s", o->key, tls_error_text(text, sizeof(text)));
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, tell_password, &password);
    BIO_free(file);
    if (!key && password.was_asked)
        return fail(f, "key_password", o->key_password ? "it does not open %s" : "%s is encrypted", o->key);
    if (!key)
        return fail(f, "key", "%s holds no private key in PEM", o->key);
    /* The pair is compared here: SSL_CTX_use_PrivateKey compares a key with certificates of its own type alone. */
    bool is_taken = X509_check_private_key(SSL_CTX_get0_certificate(ssl), key) == 1 &&
                    SSL_CTX_use_PrivateKey(ssl, key) == 1;
    EVP_PKEY_free(key);
    return is_taken || fail(f, "key", "%s is not the key of %s: %s", o->key, o->certificate,
                            tls_error_text(text, sizeof(text)));
}

bool tls_identify(struct tls_context *c, const struct tls_options *o, struct tls_failure *f)
{
    char text[128];
    if (!o->certificate)
        return !o->is_server || fail(f, "certificate", "a listener needs a certificate and its key");
    if (SSL_CTX_use_certificate_chain_file(c->ssl, o->certificate) != 1) {
        const char *why = tls_error_text(text, sizeof(text));
        bool is_empty = strcmp(why, "no start line") == 0;
        return fail(f, "certificate", is_empty ? "%s holds no certificate in PEM" : "%s cannot be used: %s",
                    o->certificate, why);
    }
    const X509 *certificate = SSL_CTX_get0_certificate(c->ssl);
    c->begins = seconds(X509_get0_notBefore(certificate));
    c->ends = seconds(X509_get0_notAfter(certificate));
    return take_key(c->ssl, o, f);
}

/* --- others ------------------------------------------------------------------------------------------------ */

/* What a file is read for. */
struct reading {
    const char *option, *what;
    X509_STORE *store;
    STACK_OF(X509_NAME) * names; /* of the certificates; NULL: not wanted */
    size_t count;
};

static bool take_certificate(struct reading *r, const X509_INFO *info)
{
    if (!info->x509)
        return true;
    r->count++;
    return X509_STORE_add_cert(r->store, info->x509) == 1 &&
           (!r->names || sk_X509_NAME_push(r->names, X509_NAME_dup(X509_get_subject_name(info->x509))) > 0);
}

static bool take_crl(struct reading *r, const X509_INFO *info)
{
    if (!info->crl)
        return true;
    r->count++;
    return X509_STORE_add_crl(r->store, info->crl) == 1;
}

typedef bool (*take_info)(struct reading *r, const X509_INFO *info);

static bool take_file(struct reading *r, const char *path, take_info take, struct tls_failure *f)
{
    char text[128];
    BIO *file = BIO_new_file(path, "r");
    if (!file)
        return fail(f, r->option, "%s cannot be read: %s", path, tls_error_text(text, sizeof(text)));
    struct password none = {0};
    STACK_OF(X509_INFO) *infos = PEM_X509_INFO_read_bio(file, NULL, tell_password, &none);
    BIO_free(file);
    if (!infos)
        return fail(f, r->option, "%s is no PEM file: %s", path, tls_error_text(text, sizeof(text)));
    bool ok = true;
    for (int i = 0; ok && i < sk_X509_INFO_num(infos); i++)
        ok = take(r, sk_X509_INFO_value(infos, i));
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    return ok || fail(f, r->option, "%s cannot be used: %s", path, tls_error_text(text, sizeof(text)));
}

/* Every file of a folder, but hidden ones; links too, for folders made by c_rehash have each file twice. */
static bool take_folder(struct reading *r, const char *path, take_info take, struct tls_failure *f)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    bool ok = count >= 0 || fail(f, r->option, "the folder %s cannot be read", path);
    for (int i = 0; i < count; i++) {
        char *one = NULL;
        struct stat st;
        if (ok && names[i]->d_name[0] != '.' && asprintf(&one, "%s/%s", path, names[i]->d_name) > 0 &&
            stat(one, &st) == 0 && S_ISREG(st.st_mode))
            ok = take_file(r, one, take, f);
        free(one);
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    return ok;
}

static bool take_path(struct reading *r, const char *path, take_info take, struct tls_failure *f)
{
    struct stat st;
    bool is_folder = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    bool ok = is_folder ? take_folder(r, path, take, f) : take_file(r, path, take, f);
    if (ok && r->count == 0)
        return fail(f, r->option, "%s holds no %s in PEM", path, r->what);
    return ok;
}

static bool is_old(const X509_CRL *list)
{
    const ASN1_TIME *until = X509_CRL_get0_nextUpdate(list);
    return until && X509_cmp_current_time(until) < 0;
}

static bool has_newer(STACK_OF(X509_OBJECT) * all, const X509_CRL *old)
{
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509_CRL *one = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        if (one && !is_old(one) && X509_NAME_cmp(X509_CRL_get_issuer(one), X509_CRL_get_issuer(old)) == 0)
            return true;
    }
    return false;
}

bool tls_context_has_old_list(const struct tls_context *c, char *issuer, size_t cap)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(c->ssl));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509_CRL *one = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        if (!one || !is_old(one) || has_newer(all, one))
            continue;
        BIO *text = BIO_new(BIO_s_mem());
        char *at = NULL;
        long len = text && X509_NAME_print_ex(text, X509_CRL_get_issuer(one), 0, XN_FLAG_RFC2253) >= 0
                       ? BIO_get_mem_data(text, &at)
                       : 0;
        snprintf(issuer, cap, "%.*s", (int)len, at ? at : "");
        BIO_free(text);
        return true;
    }
    return false;
}

/* Of the certificate itself a list must say something; of those who signed it, where there is one. */
static int on_verify(int is_good, X509_STORE_CTX *x)
{
    if (!is_good && X509_STORE_CTX_get_error(x) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        X509_STORE_CTX_get_error_depth(x) > 0) {
        X509_STORE_CTX_set_error(x, X509_V_OK);
        return 1;
    }
    return is_good;
}

static bool take_ca(SSL_CTX *ssl, const struct tls_options *o, struct tls_failure *f)
{
    struct reading r = {.option = "ca", .what = "certificate", .store = SSL_CTX_get_cert_store(ssl)};
    r.names = o->is_server ? sk_X509_NAME_new_null() : NULL;
    bool ok = take_path(&r, o->ca, take_certificate, f);
    if (ok && r.names)
        SSL_CTX_set_client_CA_list(ssl, r.names);
    else if (r.names)
        sk_X509_NAME_pop_free(r.names, X509_NAME_free);
    return ok;
}

bool tls_trust(SSL_CTX *ssl, const struct tls_options *o, struct tls_failure *f)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl);
    bool asks = o->is_server ? o->client != TLS_CLIENT_NONE : !o->is_blind;
    int mode = !asks                             ? SSL_VERIFY_NONE
               : !o->is_server                   ? SSL_VERIFY_PEER
               : o->client == TLS_CLIENT_REQUIRE ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                                 : SSL_VERIFY_PEER;
    SSL_CTX_set_verify(ssl, mode, on_verify);
    X509_VERIFY_PARAM_set_flags(param,
                                X509_V_FLAG_PARTIAL_CHAIN); /* a peer's own certificate may be trusted */
    if (o->ca ? !take_ca(ssl, o, f) : !o->is_server && asks && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return o->ca ? false : fail(f, "ca", "the system's certificates cannot be read");
    if (o->is_server && asks && !o->ca)
        return fail(f, "ca", "without it no certificate of a client can be good");
    if (!o->crl)
        return true;
    struct reading r = {.option = "crl", .what = "revocation list", .store = SSL_CTX_get_cert_store(ssl)};
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return take_path(&r, o->crl, take_crl, f);
}
