#include "net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { BACKLOG = 4096, HOST_BYTES = 256, SOURCES = 16 };

_Noreturn void net_fail(const char *program, const char *what, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n", program, what, why ? why : strerror(errno));
    exit(EXIT_FAILURE);
}

bool net_resolve(const char *text, struct address *out)
{
    char host[HOST_BYTES];
    const char *colon = strrchr(text, ':');
    if (!colon || colon == text || !colon[1] || (size_t)(colon - text) >= sizeof host)
        return false;
    size_t len = (size_t)(colon - text);
    bool is_bracketed = text[0] == '[' && colon[-1] == ']';
    memcpy(host, is_bracketed ? text + 1 : text, len);
    host[is_bracketed ? len - 2 : len] = '\0';
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return false;
    memcpy(&out->at, found->ai_addr, found->ai_addrlen);
    out->len = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool set_congestion(int fd, const char *name)
{
    return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, (socklen_t)strlen(name)) == 0;
}

int net_listen(const char *program, uint16_t port, const char *congestion, uint16_t *port_out)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof at;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        net_fail(program, "socket", NULL);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (congestion && !set_congestion(fd, congestion))
        net_fail(program, congestion, NULL);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, BACKLOG) != 0)
        net_fail(program, "cannot listen", NULL);
    getsockname(fd, (struct sockaddr *)&at, &len);
    *port_out = ntohs(at.sin_port);
    return fd;
}

int net_socket(const struct address *to, const char *congestion, bool leave_nagle)
{
    int fd = socket(to->at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (!leave_nagle)
        net_no_delay(fd);
    if (congestion)
        set_congestion(fd, congestion); /* it was tried at the start */
    return fd;
}

void net_spread_source(int fd, const struct address *to, uint64_t n)
{
    struct sockaddr_in from;
    const int on = 1;
    if (to->at.ss_family != AF_INET)
        return;
    memcpy(&from, &to->at, sizeof from);
    if (ntohl(from.sin_addr.s_addr) >> IN_CLASSA_NSHIFT != IN_LOOPBACKNET)
        return;
    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(n % SOURCES));
    from.sin_port = 0;
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    (void)bind(fd, (const struct sockaddr *)&from, sizeof from);
}

bool net_has_congestion(const char *name)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 && set_congestion(fd, name);
    if (fd >= 0)
        close(fd);
    return has;
}

void net_congestion_of(int fd, char out[CONGESTION_BYTES])
{
    socklen_t len = CONGESTION_BYTES - 1;
    memset(out, 0, CONGESTION_BYTES);
    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out, &len) != 0)
        out[0] = '\0';
}

void net_no_delay(int fd)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void net_quick_ack(int fd)
{
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

void net_raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void net_pin(const char *program, int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        net_fail(program, "--cpu", NULL);
}

int net_signals(const char *program)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        net_fail(program, "signalfd", NULL);
    return fd;
}

int net_next_signal(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

bool net_watch(int epoll, int fd, uint32_t events, void *data)
{
    struct epoll_event e = {.events = events, .data.ptr = data};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0;
}
