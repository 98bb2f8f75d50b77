/* Sockets, the clock and the process, as load and sink need them. What fails for good is told on stderr and ends the program. */
#ifndef HILUM_BENCH_NET_H
#define HILUM_BENCH_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <time.h>

struct address {
    struct sockaddr_storage at;
    socklen_t len;
};

enum { CONGESTION_BYTES = 16 }; /* TCP_CA_NAME_MAX */

/* Monotonic. */
static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* "load: what: why" and exit 1; `why` may be NULL for errno's text. */
_Noreturn void net_fail(const char *program, const char *what, const char *why);

/* HOST:PORT or [HOST]:PORT. False if it is not of that form or the host has no address. */
bool net_resolve(const char *text, struct address *out);

/* Listens on 127.0.0.1, all sockets with this congestion control (NULL: the system's). port 0 is any; *port_out. */
int net_listen(const char *program, uint16_t port, const char *congestion, uint16_t *port_out);

/* A non-blocking socket for an address, with the options; -1 and errno. */
int net_socket(const struct address *to, const char *congestion, bool leave_nagle);

/*
 * Lets connection number n come from one of several loopback addresses, if it goes to one. From a single address, ports would run
 * out where tens of thousands of connections stand or have just ended. Best effort: else it comes from where it would.
 */
void net_spread_source(int fd, const struct address *to, uint64_t n);

/* True if the system has this congestion control and lets us use it. */
bool net_has_congestion(const char *name);
void net_congestion_of(int fd, char out[CONGESTION_BYTES]);
void net_no_delay(int fd);
/* Acknowledges what has come, at once. */
void net_quick_ack(int fd);

void net_raise_descriptors(void);
void net_pin(const char *program, int cpu);

/* SIGTERM and SIGINT, and SIGUSR1, as a descriptor to read. */
int net_signals(const char *program);
/* The next signal, 0 if there is none. */
int net_next_signal(int fd);

/* Adds a descriptor to an epoll set. False: the system cannot wait for it (a file, /dev/null). */
bool net_watch(int epoll, int fd, uint32_t events, void *data);

#endif
