/* PEM files of others: whom we trust, what was revoked; and what is verified. */
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

bool tls_fail(struct tls_failure *f, const char *option, const char *format, ...)
{
    va_list list;
    f->option = option;
    va_start(list, format);
    vsnprintf(f->text, sizeof(f->text), format, list);
    va_end(list);
    ERR_clear_error();
    return false;
}

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
        return tls_fail(f, r->option, "%s cannot be read: %s", path, tls_error_text(text, sizeof(text)));
    struct tls_password none = {0};
    STACK_OF(X509_INFO) *infos = PEM_X509_INFO_read_bio(file, NULL, tls_tell_password, &none);
    BIO_free(file);
    if (!infos)
        return tls_fail(f, r->option, "%s is no PEM file: %s", path, tls_error_text(text, sizeof(text)));
    bool ok = true;
    for (int i = 0; ok && i < sk_X509_INFO_num(infos); i++)
        ok = take(r, sk_X509_INFO_value(infos, i));
    sk_X509_INFO_pop_free(infos, X509_INFO_free);
    return ok || tls_fail(f, r->option, "%s cannot be used: %s", path, tls_error_text(text, sizeof(text)));
}

/* Every file of a folder, but hidden ones; links too, for folders made by c_rehash have each file twice. */
static bool take_folder(struct reading *r, const char *path, take_info take, struct tls_failure *f)
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    bool ok = count >= 0 || tls_fail(f, r->option, "the folder %s cannot be read", path);
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
        return tls_fail(f, r->option, "%s holds no %s in PEM", path, r->what);
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

static void write_name(const X509_NAME *name, char *out, size_t cap)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *at = NULL;
    long len =
        text && X509_NAME_print_ex(text, name, 0, XN_FLAG_RFC2253) >= 0 ? BIO_get_mem_data(text, &at) : 0;
    snprintf(out, cap, "%.*s", (int)len, at ? at : "");
    BIO_free(text);
}

bool tls_context_has_old_list(const struct tls_context *c, char *issuer, size_t cap)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(c->ssl));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509_CRL *one = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(all, i));
        if (!one || !is_old(one) || has_newer(all, one))
            continue;
        write_name(X509_CRL_get_issuer(one), issuer, cap);
        return true;
    }
    return false;
}

static bool has_expired(const X509 *certificate)
{
    return X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0;
}

static bool has_successor(STACK_OF(X509_OBJECT) * all, const X509 *old)
{
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *one = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (one && !has_expired(one) &&
            X509_NAME_cmp(X509_get_subject_name(one), X509_get_subject_name(old)) == 0)
            return true;
    }
    return false;
}

bool tls_context_has_old_ca(const struct tls_context *c, char *subject, size_t cap)
{
    STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(c->ssl));
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *one = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (!one || !has_expired(one) || has_successor(all, one))
            continue;
        write_name(X509_get_subject_name(one), subject, cap);
        return true;
    }
    return false;
}

/* Of the certificate itself a list must say something; of those who signed it, where there is one. Each of the chain has a key that is strong
 * enough: OpenSSL counts in bits of security, of which RSA of 2000 bits has as many as RSA of 2048. */
static int judge(int is_good, X509_STORE_CTX *x)
{
    const X509 *certificate = X509_STORE_CTX_get_current_cert(x);
    if (is_good && certificate && tls_key_is_weak(X509_get0_pubkey(certificate))) {
        bool is_ca = X509_STORE_CTX_get_error_depth(x) > 0;
        X509_STORE_CTX_set_error(x, is_ca ? X509_V_ERR_CA_KEY_TOO_SMALL : X509_V_ERR_EE_KEY_TOO_SMALL);
        return 0;
    }
    if (!is_good && X509_STORE_CTX_get_error(x) == X509_V_ERR_UNABLE_TO_GET_CRL &&
        X509_STORE_CTX_get_error_depth(x) > 0) {
        X509_STORE_CTX_set_error(x, X509_V_OK);
        return 1;
    }
    return is_good;
}

static int on_verify(int is_good, X509_STORE_CTX *x)
{
    int verdict = judge(is_good, x);
    if (!verdict)
        tls_refuse(X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx()),
                   X509_STORE_CTX_get0_cert(x));
    return verdict;
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
        return o->ca ? false : tls_fail(f, "ca", "the system's certificates cannot be read");
    if (o->is_server && asks && !o->ca)
        return tls_fail(f, "ca", "without it no certificate of a client can be good");
    if (!o->crl)
        return true;
    struct reading r = {.option = "crl", .what = "revocation list", .store = SSL_CTX_get_cert_store(ssl)};
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return take_path(&r, o->crl, take_crl, f);
}
