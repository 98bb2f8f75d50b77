/*
 * Confines the process, so that whoever takes it over has little: a user without privileges, no way to new ones, those files
 * alone that it needs (Landlock), those system calls alone that it needs (seccomp).
 *
 *   guard_new, guard_become, guard_allow*, guard_confine     in this order, before there is a second thread: Landlock is of a thread
 *                                                            and those that it starts
 *   guard_seal                                               once all rings are made
 *
 * What is done through io_uring the kernel does without asking seccomp; Landlock and the user hold for it, each ring is restricted to
 * what src/io asks of it (io/ring.c), and the seal keeps others from being made. Under a sanitizer, which has needs of its own, and with HILUM_UNCONFINED
 * defined, Landlock and seccomp are left out. Not thread-safe; after guard_confine everything but guard_free only reads it.
 */
#ifndef HILUM_GUARD_GUARD_H
#define HILUM_GUARD_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/result.h"

enum guard_seccomp {
    GUARD_SECCOMP_OFF,
    GUARD_SECCOMP_LOG,     /* what is not on the list is done, and the kernel's audit log says so */
    GUARD_SECCOMP_ENFORCE, /* it fails with ENOSYS; what only an attacker calls ends the process */
};

enum guard_access {
    GUARD_READ,  /* files and folders below may be read */
    GUARD_WRITE, /* and made, written, renamed, deleted; sockets as well */
};

struct guard;
/* NULL without memory. */
struct guard *guard_new(void);
void guard_free(struct guard **g);

/*
 * Becomes "NAME" or "NAME:GROUP", with that user's further groups, and gives up every capability; sees that neither comes back.
 * ERR_IO with why: there is no such user, or we may not.
 */
MUST_USE enum result guard_become(struct guard *g, const char *user, char *why, size_t why_cap);
bool guard_is_root(void);

/* A file, or a folder with all below. What is not there is passed over. To be read, a folder that is a mount point is allowed with the one above, so
 * that it can be mounted anew. */
void guard_allow(struct guard *g, const char *path, enum guard_access access);
/* The same, with the one above whatever the access is. */
void guard_allow_mounts(struct guard *g, const char *path, enum guard_access access);
/* The folder that holds it, and the one that holds what it is a link to. Of what lies in "/" the file alone. */
void guard_allow_beside(struct guard *g, const char *path, enum guard_access access);

struct guard_options {
    enum guard_seccomp seccomp;
    bool landlock;   /* if the kernel has it */
    bool holds_keys; /* nobody of the same user is to look into our memory, and no core is dumped */
};
/* ERR_IO with why: something that was asked for cannot be had. ERR_MEMORY. */
MUST_USE enum result guard_confine(struct guard *g, const struct guard_options *o, char *why, size_t why_cap);

/* For all threads, from here on: no io_uring is made any more, and the filter is the last. ERR_IO with why. */
MUST_USE enum result guard_seal(const struct guard *g, char *why, size_t why_cap);

/* False: Landlock is in force and refuses it. The path may not be there yet. */
bool guard_allows(const struct guard *g, const char *path, enum guard_access access);
/* 0: it is not in force. */
int guard_landlock_abi(const struct guard *g);
/* Whether guard_become has been called, and privileges are gone. */
bool guard_has_become(const struct guard *g);
/* "enforce", "log", "off": what is in force. */
const char *guard_seccomp_name(const struct guard *g);

#endif
