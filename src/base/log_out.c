#include "base/log_out.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"

/* What a pipe is to hold, if the system allows it: so much longer may its reader be away before lines are lost. */
enum { PIPE_BYTES = 1 << 20 };

enum how { OUT_WAITS, OUT_AT_ONCE, OUT_ASKED, OUT_SENT };

static struct {
    pthread_mutex_t lock; /* between asking and writing, and around what is torn */
    enum how how;
    int fd;
    bool is_own;  /* the descriptor */
    bool is_torn; /* the last line lacks its end */
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .how = OUT_WAITS, .fd = STDERR_FILENO};

static void forget(void)
{
    if (out.is_own)
        close(out.fd);
    out.fd = STDERR_FILENO;
    out.is_own = out.is_torn = false;
}

static void open_anew(bool is_pipe)
{
    int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    out.is_own = fd >= 0;
    out.fd = out.is_own ? fd : STDERR_FILENO;
    out.how = out.is_own ? OUT_AT_ONCE : OUT_ASKED;
    if (is_pipe && fcntl(out.fd, F_GETPIPE_SZ) < PIPE_BYTES)
        (void)fcntl(out.fd, F_SETPIPE_SZ, PIPE_BYTES);
}

void log_set_waiting(bool waits)
{
    struct stat st;
    pthread_mutex_lock(&out.lock);
    forget();
    if (waits || fstat(STDERR_FILENO, &st) != 0)
        out.how = OUT_WAITS;
    else if (S_ISSOCK(st.st_mode))
        out.how = OUT_SENT;
    else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
        open_anew(S_ISFIFO(st.st_mode));
    else
        out.how = OUT_AT_ONCE;
    pthread_mutex_unlock(&out.lock);
}

static bool takes_bytes(void)
{
    struct pollfd p = {.fd = out.fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static ssize_t write_once(const char *bytes, size_t len)
{
    if (out.how == OUT_SENT)
        return send(out.fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (out.how == OUT_ASKED && !takes_bytes())
        return -1;
    return write(out.fd, bytes, len);
}

static size_t write_some(const char *bytes, size_t len)
{
    ssize_t n = write_once(bytes, len); /* no signal of ours has a handler that could interrupt it */
    return n < 0 ? 0 : (size_t)n;
}

size_t log_out(const char *bytes, size_t len)
{
    size_t n = 0;
    hilum_assert(len > 0 && len <= LOG_OUT_MAX);
    pthread_mutex_lock(&out.lock);
    if (!out.is_torn || write_some("\n", 1) == 1) {
        n = write_some(bytes, len);
        out.is_torn = n > 0 && n < len && bytes[n - 1] != '\n';
    }
    pthread_mutex_unlock(&out.lock);
    return n;
}
