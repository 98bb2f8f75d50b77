/* The inside of struct guard, for the files of this folder. */
#ifndef HILUM_GUARD_INSIDE_H
#define HILUM_GUARD_INSIDE_H

#include "guard/guard.h"

struct guard_path {
    char *at; /* without links */
    enum guard_access access;
};

struct guard {
    struct guard_path *paths;
    size_t path_count;
    bool has_failed; /* a path was lost for want of memory */
    bool has_become;
    int landlock_abi; /* in force; 0: it is not */
    enum guard_seccomp seccomp;
};

/* For these paths. OK also where the kernel has no Landlock: landlock_abi stays 0. ERR_IO with why. */
MUST_USE enum result guard_landlock(struct guard *g, char *why, size_t why_cap);
/* ERR_IO with why. */
MUST_USE enum result guard_seccomp(enum guard_seccomp how, char *why, size_t why_cap);
MUST_USE enum result guard_seccomp_seal(enum guard_seccomp how, char *why, size_t why_cap);

#endif
