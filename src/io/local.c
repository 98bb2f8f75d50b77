#include "io/local.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/faults.h"

enum { BACKLOG = 128, MODE = 0600 };

static enum result refused(char *why, size_t why_cap)
{
    snprintf(why, why_cap, "%s", strerror(errno));
    return ERR_IO;
}

static bool address_of(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    return (size_t)snprintf(out->sun_path, sizeof(out->sun_path), "%s", path) < sizeof(out->sun_path);
}

static enum result too_long(char *why, size_t why_cap)
{
    snprintf(why, why_cap, "the path is longer than %zu bytes",
             sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
    return ERR_IO;
}

/* --- listening --------------------------------------------------------------------------------------------------- */

void local_unlink(const char *path)
{
    struct stat s;
    if (lstat(path, &s) == 0 && S_ISSOCK(s.st_mode))
        unlink(path);
}

enum result local_listen(const char *path, int *fd_out, char *why, size_t why_cap)
{
    struct sockaddr_un at;
    if (!address_of(path, &at))
        return too_long(why, why_cap);
    int fd = IO_CALL(IO_CALL_SOCKET, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return refused(why, why_cap);
    local_unlink(path);
    /* The name gets the socket's mode (unix(7)): there is no moment in which others could connect. */
    if (fchmod(fd, MODE) == 0 &&
        IO_CALL(IO_CALL_BIND, bind(fd, (const struct sockaddr *)&at, sizeof(at))) == 0 &&
        IO_CALL(IO_CALL_LISTEN, listen(fd, BACKLOG)) == 0) {
        *fd_out = fd;
        return OK;
    }
    enum result r = refused(why, why_cap);
    close(fd);
    return r;
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

/* What is left bounds the next call. False: nothing is. */
static bool set_bound(int fd, uint64_t until_ms)
{
    uint64_t now = clock_ms();
    if (now >= until_ms) {
        errno = ETIMEDOUT;
        return false;
    }
    struct timeval left = {.tv_sec = (time_t)((until_ms - now) / 1000),
                           .tv_usec = (suseconds_t)((until_ms - now) % 1000 * 1000)};
    return IO_CALL(IO_CALL_OPTION, setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &left, sizeof(left))) == 0 &&
           IO_CALL(IO_CALL_OPTION, setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left))) == 0;
}

/* A call that its bound ended says EAGAIN. */
static void name_timeout(void)
{
    if (errno == EAGAIN || errno == EINPROGRESS)
        errno = ETIMEDOUT;
}

static bool send_all(int fd, const char *request, uint64_t until_ms)
{
    size_t len = strlen(request), sent = 0;
    while (sent < len && set_bound(fd, until_ms)) {
        size_t left = len - sent;
        ssize_t n = IO_MOVE(IO_CALL_SEND_NOW, left, send(fd, request + sent, left, MSG_NOSIGNAL));
        if (n < 0 && errno != EINTR)
            break;
        sent += n > 0 ? (size_t)n : 0;
    }
    return sent == len;
}

static enum result receive_all(int fd, uint64_t until_ms, size_t max_bytes, struct octets *answer)
{
    char bytes[4096];
    while (set_bound(fd, until_ms)) {
        size_t len = sizeof(bytes);
        ssize_t n = IO_MOVE(IO_CALL_RECEIVE_NOW, len, recv(fd, bytes, len, 0));
        if (n == 0)
            return answer->failed ? ERR_MEMORY : OK;
        if (n < 0 && errno != EINTR)
            return ERR_IO;
        if (n > 0)
            octets_append(answer, bytes, (size_t)n);
        if (answer->len > max_bytes)
            return ERR_LIMIT;
    }
    return ERR_IO;
}

/* An answer may have come before all was sent: to a request that is none. */
static enum result exchange(int fd, const char *request, uint64_t until_ms, size_t max_bytes,
                            struct octets *answer)
{
    if (!send_all(fd, request, until_ms) && errno != EPIPE)
        return ERR_IO;
    return receive_all(fd, until_ms, max_bytes, answer);
}

enum result local_ask(const char *path, const char *request, uint64_t timeout_ms, size_t max_bytes,
                      struct octets *answer, char *why, size_t why_cap)
{
    uint64_t until_ms = clock_ms() + timeout_ms;
    struct sockaddr_un at;
    enum result r;
    if (!address_of(path, &at))
        return too_long(why, why_cap);
    int fd = IO_CALL(IO_CALL_SOCKET, socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd < 0)
        return refused(why, why_cap);
    if (!set_bound(fd, until_ms) ||
        IO_CALL(IO_CALL_CONNECT_NOW, connect(fd, (const struct sockaddr *)&at, sizeof(at))) != 0)
        r = errno == ENOENT || errno == ECONNREFUSED ? ERR_CLOSED : ERR_IO;
    else
        r = exchange(fd, request, until_ms, max_bytes, answer);
    if ((r == OK && answer->len == 0) || (r == ERR_IO && errno == ECONNRESET))
        r = ERR_CLOSED; /* the kernel lets go of a ring's sockets some time after its process has ended */
    name_timeout();
    if (r == ERR_IO)
        r = refused(why, why_cap);
    close(fd);
    return r;
}
