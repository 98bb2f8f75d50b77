/*
 * Completions, timers, sockets, files: what the rest of the program sees of the operating system. Engine: io_uring
 * (liburing), nobody else includes it, and errno ends here.
 *
 * A `struct io` belongs to one thread; only io_post may be called from others. An operation is a `struct io_op` inside
 * its owner; from submission to its callback the kernel is an owner of everything it names, so the owner of a pending op
 * must not be freed. Callbacks run from io_run, never from inside the submitting call.
 */
#ifndef HILUM_IO_IO_H
#define HILUM_IO_IO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/result.h"
#include "mem/buf.h"

struct io;

/* Why an operation failed, as far as a caller decides by it. */
enum io_error {
    IO_NONE,
    IO_CANCELLED,  /* by io_cancel */
    IO_NO_BUFFERS, /* receive: the pool is used up; see io_wait_buffers */
    IO_RESET,      /* the connection is broken */
    IO_REFUSED,    /* connect: nobody listens, or unreachable */
    IO_EXISTS,
    IO_NOT_FOUND,
    IO_UNSUPPORTED, /* the file system or kernel cannot do this operation */
    IO_NO_SPACE,
    IO_OTHER,
};

struct io_op;
/* n: bytes, a descriptor, or 0; meaningful when error is IO_NONE. */
typedef void (*io_done)(struct io_op *op, enum io_error error, int64_t n);

struct io_op {
    io_done on_done;
    void *owner;
    bool is_pending;
    /* private to io/ */
    uint8_t kind;
    bool is_drained; /* a receive has taken all that had come */
    int system_error;
    struct io *io;
    void *frame;
    struct io_op *next;
};

/* "Connection refused", for logs and Error Comments; of the op's last failure. */
const char *io_op_error_text(const struct io_op *op);
const char *io_error_name(enum io_error e);

struct io_options {
    struct pool *pool;
    unsigned pipes_max; /* 0: IO_PIPES_MAX */
};

/* ERR_IO: why says what the system refused. The environment variable HILUM_IO_FEATURES masks what a test wants to
 * be without: "6.1" what newer kernels bring (bundled receives), "no-rename-new" what not every file system has. */
MUST_USE enum result io_new(const struct io_options *options, struct io **io_out, char *why, size_t why_cap);
void io_free(struct io **io);

/* The engine in words for a log line: "io_uring, bundles". */
const char *io_describe(const struct io *io);

/* Binds the ring to the calling thread; call first there. */
MUST_USE enum result io_adopt(struct io *io);
/* One turn: submits, waits for completions, timers or messages, and calls back. Returns after one batch. */
void io_run(struct io *io);

/* Time of this turn, monotonic ms: read once a turn. */
uint64_t io_now(const struct io *io);

/* --- work put off to the end of the turn ------------------------------------------------------------------ */

struct io_task {
    void (*run)(struct io_task *task);
    void *owner;
    bool is_queued;
    TAILQ_ENTRY(io_task) link;
};
/* Runs once, soon, from io_run; a task already queued stays queued once. */
void io_defer(struct io *io, struct io_task *task);
void io_defer_cancel(struct io *io, struct io_task *task);

/* --- timers ------------------------------------------------------------------------------------------------ */

/* A hashed wheel, 16 ms ticks: arming and stopping cost nothing, firing may be up to two ticks late, never early. */
struct io_timer {
    void (*on_fire)(struct io_timer *timer);
    void *owner;
    uint64_t due_ms;
    bool is_armed;
    LIST_ENTRY(io_timer) link;
};
/* (Re)arms. */
void io_timer_start(struct io *io, struct io_timer *timer, uint64_t ms);
void io_timer_stop(struct io *io, struct io_timer *timer);

/* --- messages between threads ------------------------------------------------------------------------------ */

struct io_message {
    void (*on_message)(struct io_message *m); /* runs on the target's thread; owns the message then */
    struct io_message *next;
};
/* From any thread. */
void io_post(struct io *to, struct io_message *m);

/* --- sockets ----------------------------------------------------------------------------------------------- */

struct io_address {
    struct sockaddr_storage at;
    socklen_t len;
};

struct io_socket_options {
    const char *tcp_congestion; /* NULL: the system's */
};

/* 16 bytes, IPv4 mapped, and the port. */
void io_address_bytes(const struct io_address *a, uint8_t out[16], uint16_t *port_out);
/* "10.0.0.1" or "fe80::1", and with a port "10.0.0.1:104", "[::1]:104". */
void io_address_text(const struct io_address *a, bool with_port, char out[64]);

/* Listens; address "" is every address (IPv6 with IPv4, or IPv4 alone where there is no IPv6). *port_out is the real port. ERR_IO
 * with why. A port that is in use is waited for, up to wait_ms, and the thread with it: sockets of a killed process go some time after it. */
MUST_USE enum result io_listen(const char *address, uint16_t port, uint64_t wait_ms, int *fd_out,
                               uint16_t *port_out, char *why, size_t why_cap);

/* The same, but for listening: who connects is refused until io_listen_resume. For ports that only root may take. */
MUST_USE enum result io_bind(const char *address, uint16_t port, uint64_t wait_ms, int *fd_out,
                             uint16_t *port_out, char *why, size_t why_cap);

/* Stops listening without letting go of the address: others may listen on the port at other addresses meanwhile. Who waits to
 * be accepted is reset; a pending accept fails with IO_UNSUPPORTED. */
void io_listen_pause(int fd);
/* False if somebody else listens there by now. */
bool io_listen_resume(int fd);

/* One connection a submission; n is the descriptor, already TCP_NODELAY and close-on-exec. */
void io_accept(struct io *io, struct io_op *op, int listen_fd);
/* The peer's address of an accepted descriptor. */
bool io_peer_address(int fd, struct io_address *out);
bool io_local_address(int fd, struct io_address *out);
void io_socket_configure(int fd, const struct io_socket_options *options);

/* A TCP socket for io_connect, TCP_NODELAY. -1 without descriptors. */
int io_socket(const struct io_address *to, const struct io_socket_options *options);
/* `to` must live until the callback. */
void io_connect(struct io *io, struct io_op *op, int fd, const struct io_address *to);

/* True if the kernel sends at a rate of its own (bbr), by timers. */
bool io_is_paced(int fd);

/* Acknowledges what was received at once, instead of waiting up to 40 ms (delayed ACK): against peers with Nagle's
 * algorithm (quirk 15). The kernel forgets it, so it is renewed after each small read. */
void io_quick_ack(int fd);

/*
 * Receives up to max_bytes into buffers of the pool; n is 0 at the end of the stream. The buffers are taken by
 * io_received from inside the callback. With bundles one receive may fill several, if max_bytes is room for that (kernels 6.10
 * to 6.15 may go beyond it there).
 */
void io_receive(struct io *io, struct io_op *op, int fd, size_t max_bytes);
/* The next filled buffer of the receive that is calling back: its reference passes to the caller, *len_out bytes are in it from
 * data[0], `used` is set. NULL when all are taken; those not taken go back. */
struct buf *io_received(struct io *io, struct io_op *op, uint32_t *len_out);

/* IO_NO_BUFFERS: the waiters are called in turn as buffers come back, at least one a buffer. */
struct io_waiter {
    void (*on_buffers)(struct io_waiter *w);
    void *owner;
    bool is_waiting;
    TAILQ_ENTRY(io_waiter) link;
};
void io_wait_buffers(struct io *io, struct io_waiter *w);
void io_wait_buffers_cancel(struct io *io, struct io_waiter *w);
/* Somebody waits. */
bool io_is_awaited(const struct io *io);

/* Sends the front of a queue, at most IO_SEND_SLICES slices; n may be short of it. The queue must stay as it
 * is at its front until then: the caller consumes n afterwards. */
enum { IO_SEND_SLICES = 256 };
void io_send(struct io *io, struct io_op *op, int fd, const struct slices *queue);

/* Asks a pending operation to end; its callback still comes, with IO_CANCELLED or its real result. */
void io_cancel(struct io *io, struct io_op *op);

/* Completes when the descriptor can be read from, or written to; n is 0. Also at the end of a stream and when it is broken. IO_HUNG_UP: only then, however
 * much of what came before is unread. */
enum io_readiness { IO_READABLE, IO_WRITABLE, IO_HUNG_UP };
void io_poll(struct io *io, struct io_op *op, int fd, enum io_readiness readiness);

/* Closes a descriptor that no operation uses. -1 is let be. */
void io_close(int fd);
/* FIN to the peer, receiving goes on. */
void io_shutdown_send(int fd);

/* --- bytes that pass by -------------------------------------------------------------------------------------- */
/*
 * Between sockets through a pipe, without coming to our memory (splice, tee): direct calls that do not wait, since io_uring
 * would give each to a thread. The sockets must be non-blocking meanwhile (io_set_nonblocking); no operation that
 * is submitted while they are would wait either. SIGPIPE must be ignored: splice into a broken connection raises it.
 */
enum io_passing {
    IO_PASSED,     /* *n_out bytes, at least one */
    IO_MUST_WAIT,  /* io_poll tells when */
    IO_PASS_END,   /* the end of the stream */
    IO_PASS_ERROR, /* the connection is broken */
};

struct io_pipe {
    int read_end, write_end;
    size_t bytes, capacity; /* in it, and what it takes at most; it may be full earlier */
    struct io_pipe *next;
};

/* Empty, 1 MiB where the system allows it, 64 KiB at least. NULL: the system has none of that size, half of the descriptors
 * are used, or as many are as it may have. */
enum { IO_PIPES_MAX = 128 };
struct io_pipe *io_pipe_take(struct io *io);
/* Kept for the next one if it is empty. Nulls the pointer. */
void io_pipe_return(struct io *io, struct io_pipe **p);

void io_set_nonblocking(int fd, bool is_nonblocking);
/* Before sockets are made so: what is submitted from now on has room, and does not have to go while they are. */
void io_make_room(struct io *io);
/* From a socket into a pipe, up to max bytes. */
enum io_passing io_pass_in(struct io_pipe *p, int fd, size_t max, size_t *n_out);
/* The same for a little, by a copy, into an empty pipe: past a byte of urgent data splice never comes, a receive steps over it. */
enum io_passing io_copy_in(struct io_pipe *p, int fd, size_t max, size_t *n_out);
/* From a pipe into a socket; `more` follows at once. */
enum io_passing io_pass_out(struct io_pipe *p, int fd, size_t max, bool more, size_t *n_out);
/* What is in `from`, into the empty pipe `to` as well. False if not all of it fits. */
bool io_pass_copy(struct io_pipe *from, struct io_pipe *to);
/* A few bytes from memory, or into it, in their place between others. */
enum io_passing io_send_now(int fd, const void *bytes, size_t len, bool more, size_t *n_out);
enum io_passing io_receive_now(int fd, void *to, size_t len, size_t *n_out);

/* --- files ------------------------------------------------------------------------------------------------- */
/* Paths and buffers must live until the callback. */

enum {
    IO_OPEN_READ = 1,
    IO_OPEN_CREATE_NEW = 2, /* write, O_EXCL, 0640 */
    IO_OPEN_DIRECTORY = 4,
    IO_OPEN_UNNAMED =
        8 /* read and write: a file without a name in this folder, gone when it is closed. Else alone */
};
void io_open(struct io *io, struct io_op *op, const char *path, unsigned how);
/* The front of a queue at an offset of the file, as io_send. n may be short. */
void io_write(struct io *io, struct io_op *op, int fd, const struct slices *queue, uint64_t offset);
void io_read(struct io *io, struct io_op *op, int fd, void *to, size_t len, uint64_t offset);
void io_fdatasync(struct io *io, struct io_op *op, int fd);
void io_fsync(struct io *io, struct io_op *op, int fd);
/* Fails with IO_EXISTS rather than replace; IO_UNSUPPORTED where the file system lacks RENAME_NOREPLACE. */
void io_rename_new(struct io *io, struct io_op *op, const char *from, const char *to);
/* Hard link; IO_EXISTS if `to` is there. */
void io_link(struct io *io, struct io_op *op, const char *from, const char *to);
void io_unlink(struct io *io, struct io_op *op, const char *path);
/* Mode 0750. */
void io_mkdir(struct io *io, struct io_op *op, const char *path);
void io_close_file(struct io *io, struct io_op *op, int fd);

/* --- names ------------------------------------------------------------------------------------------------- */

enum { IO_RESOLVE_MAX = 8 };
struct io_resolve {
    void (*on_done)(struct io_resolve *r); /* count 0: failed, why says so */
    void *owner;
    struct io_address addresses[IO_RESOLVE_MAX];
    unsigned count;
    const char *why;
    bool is_pending;
    /* private */
    struct io_message message;
    struct io_task task;
    struct io *io;
    char host[256];
    uint16_t port;
    struct io_resolve *next;
};

struct resolver;
/* One thread that calls getaddrinfo for everybody; answers are kept 30 s. */
MUST_USE enum result resolver_new(struct resolver **out);
void resolver_free(struct resolver **r);
/* Always calls back, later, on io's thread. Numeric hosts do not visit the resolver's thread. Cannot be cancelled: the
 * owner waits for the callback. */
void io_resolve(struct io *io, struct resolver *r, struct io_resolve *q, const char *host, uint16_t port);

#endif
