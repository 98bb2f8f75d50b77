#include "tls/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "tls/inside.h"

enum { RECORD_BYTES = SSL3_RT_MAX_PLAIN_LENGTH };

struct tls {
    struct tls_context *context;
    struct pool *pool;
    SSL *ssl;
    struct tls_begun begun;
    const uint8_t *fed; /* not taken yet */
    size_t fed_len;
    struct slices sealed;
    struct buf *tail; /* that `sealed` ends in, with room behind it; NULL: none */
    bool is_open, is_over;
    char *peer;
    struct tls_shown *refused; /* NULL: nothing */
    char why[160];
};

/* --- what OpenSSL takes for a socket ----------------------------------------------------------------------- */

static int read_fed(BIO *bio, char *to, int len)
{
    struct tls *t = BIO_get_data(bio);
    size_t n = (size_t)len < t->fed_len ? (size_t)len : t->fed_len;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(to, t->fed, n);
    t->fed += n;
    t->fed_len -= n;
    return (int)n;
}

/* Room behind what is sealed already. Bulk fills receive buffers, which count; with none left a record finds a place of its own, one at a
 * time. */
static bool make_tail(struct tls *t, size_t len)
{
    buf_unref(&t->tail);
    if (len > BUF_SCRATCH_BYTES && !pool_is_short(t->pool))
        t->tail = buf_new(t->pool);
    if (!t->tail)
        t->tail = buf_scratch(t->pool, len > BUF_SCRATCH_BYTES ? len : BUF_SCRATCH_BYTES);
    return t->tail != NULL;
}

static int write_sealed(BIO *bio, const char *bytes, int len)
{
    struct tls *t = BIO_get_data(bio);
    size_t left = (size_t)len;
    while (left > 0) {
        size_t room = t->tail ? t->tail->size - t->tail->used : 0;
        if (room == 0 && !make_tail(t, left))
            return -1;
        room = t->tail->size - t->tail->used;
        size_t n = left < room ? left : room;
        uint8_t *at = t->tail->data + t->tail->used;
        memcpy(at, bytes + ((size_t)len - left), n);
        if (!slices_push(&t->sealed, t->tail, at, (uint32_t)n))
            return -1;
        t->tail->used += (uint32_t)n;
        left -= n;
    }
    return len;
}

static long control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "hilum");
    if (!method)
        return;
    BIO_meth_set_read(method, read_fed);
    BIO_meth_set_write(method, write_sealed);
    BIO_meth_set_ctrl(method, control);
}

static bool connect_bio(struct tls *t)
{
    pthread_once(&method_once, make_method);
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return false;
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return true;
}

/* --- its life ---------------------------------------------------------------------------------------------- */

static bool begin_client(struct tls *t)
{
    struct tls_context *c = t->context;
    SSL_set_connect_state(t->ssl);
    if (c->name && !c->name_is_address && SSL_set_tlsext_host_name(t->ssl, c->name) != 1)
        return false;
    tls_resume(c, t->ssl);
    return true;
}

struct tls *tls_new(struct tls_context *c, struct pool *pool)
{
    struct tls *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->context = tls_context_ref(c);
    t->pool = pool;
    t->ssl = SSL_new(c->ssl);
    bool ok = t->ssl && connect_bio(t) && SSL_set_app_data(t->ssl, &t->begun) == 1;
    if (ok && c->is_server)
        SSL_set_accept_state(t->ssl);
    else if (ok)
        ok = begin_client(t);
    if (!ok)
        tls_free(&t);
    ERR_clear_error();
    return t;
}

void tls_free(struct tls **tp)
{
    struct tls *t = *tp;
    *tp = NULL;
    if (!t)
        return;
    slices_clear(&t->sealed);
    buf_unref(&t->tail);
    /* Else OpenSSL forgets the session: who only hung up may resume it all the same. */
    if (t->ssl && t->is_open && t->why[0] == '\0')
        SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(t->ssl);
    tls_context_unref(&t->context);
    free(t->peer);
    free(t->refused);
    free(t);
}

/* --- what went wrong --------------------------------------------------------------------------------------- */

/* "ssl/tls alert bad certificate" is what the peer has said. */
static void explain_alert(struct tls *t, const char *reason)
{
    const char *alert = strstr(reason, "alert ");
    if (alert)
        snprintf(t->why, sizeof(t->why), "TLS: the peer says: %s", alert + sizeof("alert ") - 1);
    else
        snprintf(t->why, sizeof(t->why), "TLS: %s", reason);
}

static void explain(struct tls *t)
{
    char text[128];
    unsigned long error = ERR_peek_error();
    int reason = ERR_GET_REASON(error);
    bool is_ssl = ERR_GET_LIB(error) == ERR_LIB_SSL;
    const char *verdict = X509_verify_cert_error_string(SSL_get_verify_result(t->ssl));
    const char *words = tls_error_text(text, sizeof(text));
    bool is_judged = t->refused && (SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER);
    if (is_judged || (is_ssl && reason == SSL_R_CERTIFICATE_VERIFY_FAILED))
        snprintf(t->why, sizeof(t->why), "TLS: the peer's certificate is refused: %s", verdict);
    else if (is_ssl && (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST))
        snprintf(t->why, sizeof(t->why), "TLS: what came is no TLS%s",
                 reason == SSL_R_HTTP_REQUEST ? ", but HTTP" : "");
    else
        explain_alert(t, words);
}

static enum result fail(struct tls *t, int returned)
{
    int error = SSL_get_error(t->ssl, returned);
    if (error == SSL_ERROR_WANT_READ)
        return NEED_MORE;
    t->is_over = true;
    if (error == SSL_ERROR_ZERO_RETURN)
        return ERR_CLOSED;
    explain(t);
    return ERR_PROTO;
}

/* --- the handshake ----------------------------------------------------------------------------------------- */

/* NULL: out of memory. */
static char *subject_of(const X509 *certificate)
{
    BIO *text = BIO_new(BIO_s_mem());
    char *at, *subject = NULL;
    if (text && X509_NAME_print_ex(text, X509_get_subject_name(certificate), 0,
                                   XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
        long len = BIO_get_mem_data(text, &at);
        subject = strndup(at, (size_t)len);
    }
    BIO_free(text);
    return subject;
}

static void remember_peer(struct tls *t)
{
    X509 *certificate = SSL_get1_peer_certificate(t->ssl);
    if (certificate)
        t->peer = subject_of(certificate);
    X509_free(certificate);
}

/* RFC 5280 4.1.2.2: 20 bytes at most. */
static void write_serial(const X509 *certificate, char *to, size_t cap)
{
    enum { BYTES_MAX = 20 };
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    const uint8_t *bytes = ASN1_STRING_get0_data(serial);
    int len = ASN1_STRING_length(serial);
    size_t used = 0;
    for (int i = 0; i < len && i < BYTES_MAX && used + 2 < cap; i++)
        used += (size_t)snprintf(to + used, cap - used, "%02X", bytes[i]);
    if (len > BYTES_MAX)
        text_copy(to + used, cap - used, "...", 3);
}

void tls_refuse(SSL *ssl, const X509 *certificate)
{
    struct tls *t = BIO_get_data(SSL_get_rbio(ssl));
    char *subject = subject_of(certificate);
    if (!t->refused)
        t->refused = calloc(1, sizeof(*t->refused));
    if (t->refused) {
        text_copy(t->refused->subject, sizeof(t->refused->subject), subject ? subject : "",
                  subject ? strlen(subject) : 0);
        write_serial(certificate, t->refused->serial, sizeof(t->refused->serial));
    }
    free(subject);
}

static enum result shake(struct tls *t)
{
    int returned = SSL_do_handshake(t->ssl);
    if (returned != 1)
        return fail(t, returned);
    t->is_open = true;
    remember_peer(t);
    return OK;
}

void tls_begin(struct tls *t)
{
    ERR_clear_error();
    (void)shake(t);
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

void tls_feed(struct tls *t, const uint8_t *bytes, size_t len)
{
    hilum_assert(t->fed_len == 0);
    t->fed = bytes;
    t->fed_len = len;
}

static enum result open_some(struct tls *t, uint8_t *to, size_t room, size_t *n_out)
{
    enum result r = t->is_open ? OK : shake(t);
    if (r != OK)
        return r;
    int returned = SSL_read_ex(t->ssl, to, room, n_out);
    return returned == 1 ? OK : fail(t, returned);
}

enum result tls_open(struct tls *t, uint8_t *to, size_t room, size_t *n_out)
{
    *n_out = 0;
    if (t->is_over) {
        t->fed_len = 0;
        return t->why[0] ? ERR_PROTO : ERR_CLOSED;
    }
    ERR_clear_error();
    enum result r = open_some(t, to, room, n_out);
    if (r != OK && r != NEED_MORE)
        t->fed_len = 0;
    return r;
}

/* The next bytes of a queue as one run: where they lie, if they are enough for records, else put together in `room`. */
static const uint8_t *next_run(const struct slices *queue, uint32_t *index, size_t *offset, size_t most,
                               uint8_t room[RECORD_BYTES], size_t *len_out)
{
    const struct slice *s = slices_at(queue, *index);
    size_t here = s->len - *offset;
    if (here >= RECORD_BYTES || here >= most) {
        size_t len = here < most ? here : most;
        if (len > RECORD_BYTES)
            len -= len % RECORD_BYTES;
        const uint8_t *at = s->at + *offset;
        *offset += len;
        *len_out = len;
        return at;
    }
    size_t len = 0, wanted = most < RECORD_BYTES ? most : RECORD_BYTES;
    while (len < wanted) {
        s = slices_at(queue, *index);
        here = s->len - *offset;
        if (here == 0) {
            ++*index;
            *offset = 0;
            continue;
        }
        size_t n = here < wanted - len ? here : wanted - len;
        memcpy(room + len, s->at + *offset, n);
        *offset += n;
        len += n;
    }
    *len_out = len;
    return room;
}

enum result tls_seal(struct tls *t, const struct slices *queue, size_t offset, size_t max, size_t *n_out)
{
    static _Thread_local uint8_t room[RECORD_BYTES];
    uint32_t index = 0;
    *n_out = 0;
    if (!t->is_open || t->is_over)
        return OK;
    ERR_clear_error();
    size_t left = queue->bytes - offset;
    left = left < max ? left : max;
    while (left > 0) {
        size_t len, written;
        while (offset >= slices_at(queue, index)->len) {
            offset -= slices_at(queue, index)->len;
            index++;
        }
        const uint8_t *at = next_run(queue, &index, &offset, left, room, &len);
        if (SSL_write_ex(t->ssl, at, len, &written) != 1) {
            t->is_over = true;
            explain(t);
            return ERR_MEMORY;
        }
        left -= len;
        *n_out += len;
    }
    return OK;
}

void tls_end(struct tls *t)
{
    if (!t->is_open || t->is_over)
        return;
    ERR_clear_error();
    (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

const struct slices *tls_sealed(const struct tls *t)
{
    return &t->sealed;
}

void tls_sent(struct tls *t, size_t n)
{
    slices_consume(&t->sealed, n);
    if (t->sealed.count == 0)
        buf_unref(&t->tail);
}

/* --- what it is -------------------------------------------------------------------------------------------- */

bool tls_is_open(const struct tls *t)
{
    return t->is_open;
}

bool tls_is_amid(const struct tls *t)
{
    return !t->is_over && SSL_has_pending(t->ssl) == 1;
}

const char *tls_why(const struct tls *t)
{
    return t->why;
}

const struct tls_shown *tls_refused(const struct tls *t)
{
    return t->why[0] ? t->refused : NULL;
}

const char *tls_peer(const struct tls *t)
{
    return t->peer ? t->peer : "";
}

bool tls_peer_is_named(const struct tls *t, const char *name)
{
    X509 *certificate = t->is_open ? SSL_get0_peer_certificate(t->ssl) : NULL;
    return certificate &&
           (X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1 ||
            X509_check_ip_asc(certificate, name, 0) == 1);
}

const char *tls_version(const struct tls *t)
{
    return t->is_open ? SSL_get_version(t->ssl) : "";
}

const char *tls_suite(const struct tls *t)
{
    return t->is_open ? SSL_get_cipher_name(t->ssl) : "";
}

const char *tls_group(const struct tls *t)
{
    int group = t->is_open ? (int)SSL_get_negotiated_group(t->ssl) : NID_undef;
    const char *name = group == NID_undef ? NULL : OBJ_nid2sn(group);
    return name ? name : "";
}

bool tls_is_resumed(const struct tls *t)
{
    return t->is_open && SSL_session_reused(t->ssl) == 1;
}
