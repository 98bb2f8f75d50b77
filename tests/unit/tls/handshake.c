#include "handshake.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char *handshake_path(const struct world *w, const char *name)
{
    static char paths[64][160];
    static unsigned next;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof(paths[0]), "%s/%s", w->folder, name);
    return path;
}

int handshake_set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    strcpy(w->folder, "/tmp/hilum-tls-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    w->ca = certificate_make(&(struct certificate_options){.cn = "CA", .is_ca = true});
    w->other_ca = certificate_make(&(struct certificate_options){.cn = "Other CA", .is_ca = true});
    w->server = certificate_make(
        &(struct certificate_options){.cn = "gateway", .issuer = &w->ca, .dns = "gateway.local"});
    w->client = certificate_make(&(struct certificate_options){.cn = "ct1", .issuer = &w->ca});
    certificate_write(&w->ca, w->folder, "ca", NULL);
    certificate_write(&w->other_ca, w->folder, "other", NULL);
    certificate_write(&w->server, w->folder, "server", NULL);
    certificate_write(&w->client, w->folder, "client", NULL);
    pool_init(&w->pool, 64 << 20);
    w->portion = SIZE_MAX;
    *state = w;
    return 0;
}

void handshake_hang_up(struct world *w)
{
    tls_free(&w->s);
    tls_free(&w->c);
}

int handshake_tear_down(void **state)
{
    struct world *w = *state;
    handshake_hang_up(w);
    tls_context_unref(&w->server_context);
    tls_context_unref(&w->client_context);
    assert_int_equal(w->pool.in_use, 0);
    pool_free(&w->pool);
    certificate_free(&w->ca);
    certificate_free(&w->other_ca);
    certificate_free(&w->server);
    certificate_free(&w->client);
    DIR *d = opendir(w->folder);
    for (struct dirent *e; (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(w->folder);
    free(w);
    return 0;
}

struct tls_options handshake_server(const struct world *w)
{
    return (struct tls_options){.is_server = true,
                                .certificate = {handshake_path(w, "server.pem")},
                                .key = {handshake_path(w, "server.key")},
                                .ca = handshake_path(w, "ca.pem"),
                                .client = TLS_CLIENT_REQUIRE};
}

struct tls_options handshake_client(const struct world *w)
{
    return (struct tls_options){.certificate = {handshake_path(w, "client.pem")},
                                .key = {handshake_path(w, "client.key")},
                                .ca = handshake_path(w, "ca.pem"),
                                .name = "gateway.local"};
}

void handshake_configure(struct world *w, const struct tls_options *server, const struct tls_options *client)
{
    struct tls_failure f;
    tls_context_unref(&w->server_context);
    tls_context_unref(&w->client_context);
    enum result r = tls_context_new(server, &w->server_context, &f);
    if (r != OK)
        fail_msg("%s", f.text);
    r = tls_context_new(client, &w->client_context, &f);
    if (r != OK)
        fail_msg("%s", f.text);
}

/* What one has sealed goes to the other; plain bytes go to `to`. */
enum result handshake_pass(struct world *w, struct tls *from, struct tls *into, uint8_t *to, size_t cap,
                           size_t *n_out)
{
    enum result r = NEED_MORE;
    *n_out = 0;
    while (tls_sealed(from)->count > 0 && r == NEED_MORE) {
        const struct slice *one = slices_at(tls_sealed(from), 0);
        size_t len = one->len < w->portion ? one->len : w->portion, n;
        tls_feed(into, one->at, len);
        while ((r = tls_open(into, to + *n_out, cap - *n_out, &n)) == OK)
            *n_out += n;
        tls_sent(from, len);
    }
    return r;
}

void handshake_meet(struct world *w)
{
    handshake_hang_up(w);
    w->s = tls_new(w->server_context, &w->pool);
    w->c = tls_new(w->client_context, &w->pool);
    assert_true(w->s && w->c);
    tls_begin(w->c);
}

enum result handshake_go_on(struct world *w)
{
    uint8_t nothing[16];
    size_t n;
    for (;;) {
        enum result r = handshake_pass(w, w->c, w->s, nothing, sizeof(nothing), &n);
        if (r != NEED_MORE)
            return r;
        if (tls_sealed(w->s)->count == 0)
            return OK;
        r = handshake_pass(w, w->s, w->c, nothing, sizeof(nothing), &n);
        if (r != NEED_MORE)
            return r;
        if (tls_sealed(w->c)->count == 0)
            return OK;
    }
}

enum result handshake_make(struct world *w)
{
    handshake_meet(w);
    return handshake_go_on(w);
}
