/*
 * The seam for tests: what the system answers to any call of this folder can be replaced by an error or by a short count.
 *
 * HILUM_IO_FAULTS says which: a list of CALL:NUMBER:WHAT, comma between. Unset, the seam costs a load and a branch that never is taken a call.
 *
 *   CALL    a submission to the ring: accept connect poll receive send mailbox (the read of the eventfd), and, of files, ring-open ring-write
 *             ring-read ring-fdatasync ring-fsync ring-rename ring-link ring-unlink ring-mkdir ring-close;
 *           a call that does not wait: splice-in splice-out tee pipe-write send-now receive-now (pass.c; the last two of local.c, too), pipe
 *             socket bind listen option (set) asked-option name (getpeername, getsockname) connect-now eventfd;
 *           the ring itself: setup, register, enter (left out if it fails, as the kernel does for these errors);
 *           resolve (getaddrinfo);
 *           disk.h: open write read fdatasync fsync truncate allocate punch lock unlink mkdir list free stat
 *   NUMBER  which of them, counted over the process from 1: "3"; "3-7"; "3+", that and all later ones
 *   WHAT    an errno by its name: it fails so, and does nothing (ring-close: it closes, and fails);
 *           short, short=BYTES (what moves bytes): only half of them, or so many, are asked for;
 *           end (what receives): as if the peer had ended;
 *           skip (disk.h): it does nothing and says it did; torn (write): half of its bytes are written, then EIO;
 *           late (write): all of them, then ENOSPC; kill: the process dies there, as by kill -9
 *
 * "fdatasync:3:EIO,send:5+:short=1". "@FILE" instead is read from a file of one page at least, which may change while the process runs: all
 * counts begin anew when its first number does.
 *
 *   0  u32  the edition: odd while the list changes, then two more than before
 *   4  u32  how many faults there were since then, written here
 *   8  ...  the list, and a NUL
 */
#ifndef HILUM_IO_FAULTS_H
#define HILUM_IO_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum io_call {
    IO_CALL_ACCEPT,
    IO_CALL_CONNECT,
    IO_CALL_POLL,
    IO_CALL_RECEIVE,
    IO_CALL_SEND,
    IO_CALL_MAILBOX,
    IO_CALL_RING_OPEN,
    IO_CALL_RING_WRITE,
    IO_CALL_RING_READ,
    IO_CALL_RING_FDATASYNC,
    IO_CALL_RING_FSYNC,
    IO_CALL_RING_RENAME,
    IO_CALL_RING_LINK,
    IO_CALL_RING_UNLINK,
    IO_CALL_RING_MKDIR,
    IO_CALL_RING_CLOSE,

    IO_CALL_SPLICE_IN,
    IO_CALL_SPLICE_OUT,
    IO_CALL_TEE,
    IO_CALL_PIPE_WRITE,
    IO_CALL_SEND_NOW,
    IO_CALL_RECEIVE_NOW,
    IO_CALL_PIPE,
    IO_CALL_SOCKET,
    IO_CALL_BIND,
    IO_CALL_LISTEN,
    IO_CALL_OPTION,
    IO_CALL_ASKED_OPTION,
    IO_CALL_NAME,
    IO_CALL_CONNECT_NOW,
    IO_CALL_EVENTFD,
    IO_CALL_SETUP,
    IO_CALL_REGISTER,
    IO_CALL_ENTER,
    IO_CALL_RESOLVE,

    IO_CALL_OPEN,
    IO_CALL_WRITE,
    IO_CALL_READ,
    IO_CALL_FDATASYNC,
    IO_CALL_FSYNC,
    IO_CALL_TRUNCATE,
    IO_CALL_ALLOCATE,
    IO_CALL_PUNCH,
    IO_CALL_LOCK,
    IO_CALL_UNLINK,
    IO_CALL_MKDIR,
    IO_CALL_LIST,
    IO_CALL_FREE,
    IO_CALL_STAT,
    IO_CALLS,
};

enum io_fault {
    IO_GOES_ON,
    IO_FAILS, /* errno is set */
    IO_ENDS,
    IO_SHORT, /* *len_io is less, 1 at least */
    IO_SKIPPED,
    IO_TORN,
    IO_LATE
};

extern atomic_bool io_has_faults;

enum io_fault io_next_fault(enum io_call call, size_t *len_io);

/* Asked once before each call. len_io: the bytes that it asks for, NULL if it moves none. (Inside io/ only.) */
static inline enum io_fault io_fault(enum io_call call, size_t *len_io)
{
    if (__builtin_expect(!atomic_load_explicit(&io_has_faults, memory_order_acquire), 1))
        return IO_GOES_ON;
    return io_next_fault(call, len_io);
}

/* For calls that answer -1 with an errno, and do not move bytes. */
#define IO_CALL(which, call) (io_fault((which), NULL) == IO_FAILS ? -1 : (call))

/* For calls that move at most `len` bytes, a size_t variable that `call` names. */
#define IO_MOVE(which, len, call)                                                                            \
    __extension__({                                                                                          \
        enum io_fault fault_ = io_fault((which), &(len));                                                    \
        fault_ == IO_FAILS ? -1 : fault_ == IO_ENDS ? 0 : (call);                                            \
    })

/* Tests: what HILUM_IO_FAULTS says from now on, counted anew; NULL or "": nothing fails. No call may be under way. False: it cannot be read. */
bool io_set_faults(const char *text);

#endif
