/* The faults of disk.h: which call shall fail, and how. (Inside io/disk*.c only.) */
#ifndef HILUM_IO_DISK_FAULTS_H
#define HILUM_IO_DISK_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>

enum disk_call {
    DISK_CALL_OPEN,
    DISK_CALL_WRITE,
    DISK_CALL_READ,
    DISK_CALL_FDATASYNC,
    DISK_CALL_FSYNC,
    DISK_CALL_TRUNCATE,
    DISK_CALL_ALLOCATE,
    DISK_CALL_PUNCH,
    DISK_CALL_LOCK,
    DISK_CALL_UNLINK,
    DISK_CALL_MKDIR,
    DISK_CALL_LIST,
    DISK_CALL_FREE,
    DISK_CALLS,
};

enum disk_fault {
    DISK_GOES_ON,
    DISK_FAILS /* errno is set */,
    DISK_SKIPPED,
    DISK_SHORT,
    DISK_TORN,
    DISK_LATE
};

extern atomic_bool disk_has_faults;

enum disk_fault disk_next_fault(enum disk_call call);

/* Asked once before each system call. */
static inline enum disk_fault disk_fault(enum disk_call call)
{
    if (!atomic_load_explicit(&disk_has_faults, memory_order_acquire))
        return DISK_GOES_ON;
    return disk_next_fault(call);
}

#endif
