/* Sockets and addresses: the calls that do not wait. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/faults.h"
#include "io/io.h"

enum { BACKLOG = 4096, LISTEN_PAUSE_NS = 20000000 };

void io_address_bytes(const struct io_address *a, uint8_t out[16], uint16_t *port_out)
{
    memset(out, 0, 16);
    uint16_t port = 0;
    if (a->at.ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&a->at;
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &in->sin_addr, 4);
        port = ntohs(in->sin_port);
    } else if (a->at.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)&a->at;
        memcpy(out, &in6->sin6_addr, 16);
        port = ntohs(in6->sin6_port);
    }
    if (port_out)
        *port_out = port;
}

void io_address_text(const struct io_address *a, bool with_port, char out[64])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    uint8_t bytes[16];
    uint16_t port;
    char text[INET6_ADDRSTRLEN] = "?";
    io_address_bytes(a, bytes, &port);
    bool is_v4 = memcmp(bytes, mapped, 12) == 0;
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? bytes + 12 : bytes, text, sizeof(text));
    if (!with_port)
        snprintf(out, 64, "%s", text);
    else
        snprintf(out, 64, is_v4 ? "%s:%u" : "[%s]:%u", text, port);
}

static bool address_from_text(const char *address, uint16_t port, struct io_address *out)
{
    *out = (struct io_address){0};
    struct sockaddr_in *in = (struct sockaddr_in *)&out->at;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&out->at;
    if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        out->len = sizeof(*in);
        return true;
    }
    if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(port);
        out->len = sizeof(*in6);
        return true;
    }
    return false;
}

/* None of them is needed: without it things are slower, or a peer that is gone is noticed later. */
static void option(int fd, int level, int name, const void *value, socklen_t len)
{
    (void)IO_CALL(IO_CALL_OPTION, setsockopt(fd, level, name, value, len));
}

static int bind_to(const struct io_address *a, bool both_families, bool listens)
{
    int one = 1, zero = 0;
    int fd = IO_CALL(IO_CALL_SOCKET, socket(a->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return -1;
    option(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (a->at.ss_family == AF_INET6)
        option(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_families ? &zero : &one, sizeof(int));
    option(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* accepted sockets inherit it */
    if (IO_CALL(IO_CALL_BIND, bind(fd, (const struct sockaddr *)&a->at, a->len)) < 0 ||
        (listens && IO_CALL(IO_CALL_LISTEN, listen(fd, BACKLOG)) < 0)) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* Until it has the address, or `until_ms`. */
static int bind_in_time(const struct io_address *a, bool every, bool listens, uint64_t until_ms)
{
    int fd;
    while ((fd = bind_to(a, every, listens)) < 0 && errno == EADDRINUSE && clock_ms() < until_ms) {
        nanosleep(&(struct timespec){.tv_nsec = LISTEN_PAUSE_NS}, NULL);
        errno = EADDRINUSE;
    }
    return fd;
}

static enum result take_address(const char *address, uint16_t port, bool listens, uint64_t wait_ms,
                                int *fd_out, uint16_t *port_out, char *why, size_t why_cap)
{
    uint64_t until_ms = clock_ms() + wait_ms;
    struct io_address a;
    bool every = address[0] == '\0';
    if (!address_from_text(every ? "::" : address, port, &a)) {
        snprintf(why, why_cap, "%s is not a numeric address", address);
        return ERR_IO;
    }
    int fd = bind_in_time(&a, every, listens, until_ms);
    if (fd < 0 && every && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        address_from_text("0.0.0.0", port, &a);
        fd = bind_in_time(&a, false, listens, until_ms);
    }
    if (fd < 0) {
        snprintf(why, why_cap, "%s", strerror(errno));
        return ERR_IO;
    }
    struct io_address bound;
    uint8_t ignored[16];
    *port_out = port;
    if (io_local_address(fd, &bound))
        io_address_bytes(&bound, ignored, port_out);
    *fd_out = fd;
    return OK;
}

enum result io_listen(const char *address, uint16_t port, uint64_t wait_ms, int *fd_out, uint16_t *port_out,
                      char *why, size_t why_cap)
{
    return take_address(address, port, true, wait_ms, fd_out, port_out, why, why_cap);
}

enum result io_bind(const char *address, uint16_t port, uint64_t wait_ms, int *fd_out, uint16_t *port_out,
                    char *why, size_t why_cap)
{
    return take_address(address, port, false, wait_ms, fd_out, port_out, why, why_cap);
}

void io_listen_pause(int fd)
{
    shutdown(fd, SHUT_RDWR);
}

bool io_listen_resume(int fd)
{
    return IO_CALL(IO_CALL_LISTEN, listen(fd, BACKLOG)) == 0;
}

bool io_peer_address(int fd, struct io_address *out)
{
    *out = (struct io_address){.len = sizeof(out->at)};
    return IO_CALL(IO_CALL_NAME, getpeername(fd, (struct sockaddr *)&out->at, &out->len)) == 0;
}

bool io_local_address(int fd, struct io_address *out)
{
    *out = (struct io_address){.len = sizeof(out->at)};
    return IO_CALL(IO_CALL_NAME, getsockname(fd, (struct sockaddr *)&out->at, &out->len)) == 0;
}

void io_socket_configure(int fd, const struct io_socket_options *options)
{
    int one = 1;
    option(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    option(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    if (options && options->tcp_congestion)
        option(fd, IPPROTO_TCP, TCP_CONGESTION, options->tcp_congestion,
               (socklen_t)strlen(options->tcp_congestion));
}

int io_socket(const struct io_address *to, const struct io_socket_options *options)
{
    int fd = IO_CALL(IO_CALL_SOCKET, socket(to->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd >= 0)
        io_socket_configure(fd, options);
    return fd;
}

bool io_is_paced(int fd)
{
    char name[16] = "";
    socklen_t len = sizeof(name) - 1;
    return IO_CALL(IO_CALL_ASKED_OPTION, getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len)) == 0 &&
           strncmp(name, "bbr", 3) == 0;
}

void io_quick_ack(int fd)
{
    int one = 1;
    option(fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

void io_close(int fd)
{
    if (fd >= 0)
        close(fd);
}

void io_shutdown_send(int fd)
{
    shutdown(fd, SHUT_WR);
}
