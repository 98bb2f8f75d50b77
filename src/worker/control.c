#include "worker/control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "io/disk.h"
#include "io/io.h"
#include "io/local.h"

enum {
    CLIENTS_MAX = 16,
    REQUEST_MAX = 512, /* with the line's end */
    CLIENT_MS = 5000,  /* for a request and the reading of its answer */
    RETRY_MS = 2000,   /* the socket is another's, or cannot be opened; no descriptors to accept with */
    MEMORY = 4 << 20
};

struct client {
    struct control *control;
    int fd; /* -1: the place is free */
    bool is_ending;
    struct io_op op; /* a receive, then sends */
    struct io_timer bound;
    char request[REQUEST_MAX + 1];
    size_t len;
    struct slices answer; /* what has still to go */
};

struct control {
    char path[CONFIG_CONTROL_BYTES];
    struct circuits *circuits;
    struct permits_registry *permits;
    pthread_mutex_t lock; /* of config */
    struct config *config;

    pthread_t thread;
    struct pool pool;
    struct io *io;
    struct io_message stop;
    bool is_stopping;
    int lock_fd, listen_fd; /* -1: the socket is not ours */
    bool has_told;          /* why it is not */
    struct io_op accept;
    struct io_timer retry;
    struct client clients[CLIENTS_MAX];
};

static void accept_more(struct control *c);

/* --- clients ------------------------------------------------------------------------------------------------------ */

/* Its operation is over. */
static void client_free(struct client *k)
{
    io_timer_stop(k->control->io, &k->bound);
    slices_clear(&k->answer);
    io_close(k->fd);
    k->fd = -1;
    accept_more(k->control);
}

static void client_end(struct client *k)
{
    k->is_ending = true;
    if (k->op.is_pending)
        io_cancel(k->control->io, &k->op);
    else
        client_free(k);
}

static void on_bound(struct io_timer *t)
{
    client_end(t->owner);
}

static void on_sent(struct io_op *op, enum io_error error, int64_t n)
{
    struct client *k = op->owner;
    if (error == IO_NONE)
        slices_consume(&k->answer, (size_t)n);
    if (error != IO_NONE || k->is_ending || k->answer.bytes == 0) {
        client_free(k);
        return;
    }
    io_send(k->control->io, &k->op, k->fd, &k->answer);
}

static bool queue_answer(struct client *k, const char *line)
{
    size_t len = strlen(line);
    struct buf *b = buf_scratch(&k->control->pool, len + 1);
    if (!b)
        return false;
    memcpy(b->data, line, len);
    b->data[len] = '\n';
    bool ok = slices_push(&k->answer, b, b->data, (uint32_t)len + 1);
    buf_unref(&b);
    return ok;
}

/* The request is whole. */
static void answer(struct client *k)
{
    struct control *c = k->control;
    pthread_mutex_lock(&c->lock);
    struct config *config = config_ref(c->config);
    pthread_mutex_unlock(&c->lock);
    char *line = control_answer(config, c->circuits, c->permits, k->request);
    config_unref(&config);
    bool ok = line && queue_answer(k, line);
    free(line);
    if (!ok) {
        client_end(k);
        return;
    }
    k->op = (struct io_op){.on_done = on_sent, .owner = k};
    io_send(c->io, &k->op, k->fd, &k->answer);
}

static void on_received(struct io_op *op, enum io_error error, int64_t n);

static void receive(struct client *k)
{
    k->op = (struct io_op){.on_done = on_received, .owner = k};
    io_receive(k->control->io, &k->op, k->fd, REQUEST_MAX);
}

/* What has come is a line, or can be none any more: one that is too long, or holds a NUL, is answered as an empty one. */
static void end_request(struct client *k, const char *end)
{
    size_t len = end ? (size_t)(end - k->request) : 0;
    if (len > 0 && k->request[len - 1] == '\r')
        len--;
    if (memchr(k->request, '\0', len))
        len = 0;
    k->request[len] = '\0';
}

static void on_received(struct io_op *op, enum io_error error, int64_t n)
{
    struct client *k = op->owner;
    struct buf *b;
    uint32_t len;
    while ((b = io_received(k->control->io, op, &len))) {
        size_t room = REQUEST_MAX - k->len;
        memcpy(k->request + k->len, b->data, len < room ? len : room);
        k->len += len < room ? len : room;
        buf_unref(&b);
    }
    if (error != IO_NONE || n == 0 || k->is_ending) {
        client_free(k);
        return;
    }
    const char *end = memchr(k->request, '\n', k->len);
    if (!end && k->len < REQUEST_MAX) {
        receive(k);
        return;
    }
    end_request(k, end);
    answer(k);
}

/* --- the socket --------------------------------------------------------------------------------------------------- */

static struct client *free_client(struct control *c)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd < 0)
            return &c->clients[i];
    return NULL;
}

static void begin_client(struct control *c, int fd)
{
    struct client *k = free_client(c);
    *k = (struct client){.control = c, .fd = fd, .bound = {.on_fire = on_bound, .owner = k}};
    io_timer_start(c->io, &k->bound, CLIENT_MS);
    receive(k);
}

static void on_accepted(struct io_op *op, enum io_error error, int64_t n)
{
    struct control *c = op->owner;
    if (error == IO_NONE && c->is_stopping)
        io_close((int)n);
    else if (error == IO_NONE)
        begin_client(c, (int)n);
    if (error == IO_NONE || error == IO_RESET)
        accept_more(c);
    else if (!c->is_stopping)
        io_timer_start(c->io, &c->retry, RETRY_MS);
}

/* As long as there is a place. */
static void accept_more(struct control *c)
{
    if (!c->is_stopping && c->listen_fd >= 0 && !c->accept.is_pending && !c->retry.is_armed && free_client(c))
        io_accept(c->io, &c->accept, c->listen_fd);
}

/* False: another gateway has it, or the system refused. */
static bool take_lock(struct control *c, char *why, size_t why_cap)
{
    char path[CONFIG_CONTROL_BYTES + 8];
    bool is_ours = false;
    int fd;
    snprintf(path, sizeof(path), "%s.lock", c->path);
    if (disk_open(path, DISK_CREATE, &fd) != IO_NONE) {
        snprintf(why, why_cap, "%s: %s", path, disk_error_text());
        return false;
    }
    if (disk_lock(fd, &is_ours) != IO_NONE)
        snprintf(why, why_cap, "%s: %s", path, disk_error_text());
    else if (!is_ours)
        snprintf(why, why_cap, "another gateway has it");
    if (is_ours)
        c->lock_fd = fd;
    else
        disk_close(fd);
    return is_ours;
}

/* Why it cannot is said once. */
static bool open_socket(struct control *c)
{
    char why[256] = "";
    if (c->lock_fd < 0 && !take_lock(c, why, sizeof(why)))
        c->lock_fd = -1;
    else if (local_listen(c->path, &c->listen_fd, why, sizeof(why)) == OK)
        return true;
    if (!c->has_told)
        LOG(LOG_WARN, "no control socket", LOG_STR("path", c->path), LOG_STR("cause", why));
    c->has_told = true;
    return false;
}

static void on_retry(struct io_timer *t)
{
    struct control *c = t->owner;
    if (c->listen_fd >= 0 || open_socket(c))
        accept_more(c);
    else
        io_timer_start(c->io, t, RETRY_MS);
}

/* --- the thread --------------------------------------------------------------------------------------------------- */

static bool is_over(const struct control *c)
{
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0)
            return false;
    return c->is_stopping && !c->accept.is_pending;
}

static void on_stop(struct io_message *m)
{
    struct control *c = (struct control *)((char *)m - offsetof(struct control, stop));
    c->is_stopping = true;
    io_timer_stop(c->io, &c->retry);
    if (c->accept.is_pending)
        io_cancel(c->io, &c->accept);
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        if (c->clients[i].fd >= 0)
            client_end(&c->clients[i]);
}

static void *control_main(void *arg)
{
    struct control *c = arg;
    if (io_adopt(c->io) != OK) {
        LOG(LOG_WARN, "no control socket", LOG_STR("cause", "its thread cannot use its ring"));
        return NULL;
    }
    on_retry(&c->retry);
    while (!is_over(c))
        io_run(c->io);
    return NULL;
}

static void control_free(struct control *c)
{
    if (c->listen_fd >= 0)
        local_unlink(c->path);
    io_close(c->listen_fd);
    disk_close(c->lock_fd);
    io_free(&c->io);
    pool_free(&c->pool);
    config_unref(&c->config);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

static struct control *control_new(const char *path, struct config *config)
{
    struct control *c = calloc(1, sizeof(*c));
    char why[256] = "out of memory";
    if (!c)
        return NULL;
    snprintf(c->path, sizeof(c->path), "%s", path);
    c->config = config_ref(config);
    c->lock_fd = c->listen_fd = -1;
    c->accept = (struct io_op){.on_done = on_accepted, .owner = c};
    c->retry = (struct io_timer){.on_fire = on_retry, .owner = c};
    c->stop = (struct io_message){.on_message = on_stop};
    for (unsigned i = 0; i < CLIENTS_MAX; i++)
        c->clients[i].fd = -1;
    pthread_mutex_init(&c->lock, NULL);
    pool_init(&c->pool, MEMORY);
    struct io_options options = {.pool = &c->pool};
    if (io_new(&options, &c->io, why, sizeof(why)) == OK)
        return c;
    LOG(LOG_WARN, "no control socket", LOG_STR("path", path), LOG_STR("cause", why));
    control_free(c);
    return NULL;
}

struct control *control_start(struct config *config, struct circuits *circuits,
                              struct permits_registry *permits)
{
    char path[CONFIG_CONTROL_BYTES];
    const char *why;
    if (!config_control_path(config, path, &why)) {
        bool is_wanted = !config->control.is_off && !config->spool.is_off;
        LOG(is_wanted ? LOG_WARN : LOG_DEBUG, "no control socket", LOG_STR("cause", why));
        return NULL;
    }
    struct control *c = control_new(path, config);
    if (!c)
        return NULL;
    c->circuits = circuits;
    c->permits = permits;
    open_socket(c); /* now, so that it is there when the gateway listens */
    if (pthread_create(&c->thread, NULL, control_main, c) == 0)
        return c;
    LOG(LOG_WARN, "no control socket", LOG_STR("path", path), LOG_STR("cause", "no thread for it"));
    control_free(c);
    return NULL;
}

void control_configure(struct control *c, struct config *config)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    struct config *before = c->config;
    c->config = config_ref(config);
    pthread_mutex_unlock(&c->lock);
    config_unref(&before);
}

void control_stop(struct control **cp)
{
    struct control *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    io_post(c->io, &c->stop);
    pthread_join(c->thread, NULL);
    control_free(c);
}
