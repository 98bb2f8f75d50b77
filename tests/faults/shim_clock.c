/*
 * Clocks that jump. What the program is told is ahead by what the test says. Waits until a time that it has been told are set back again, for the kernel
 * knows nothing of it.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>
#include <time.h>

#include "shim.h"

enum { NS = 1000000000 };

static struct timespec moved(const struct timespec *t, int64_t ns)
{
    int64_t all = (int64_t)t->tv_sec * NS + t->tv_nsec + ns;
    if (all < 0)
        all = 0;
    return (struct timespec){.tv_sec = (time_t)(all / NS), .tv_nsec = (long)(all % NS)};
}

static int64_t ahead(clockid_t clock)
{
    if (!shim)
        return 0;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        return atomic_load(&shim->wall_ns);
    if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME)
        return atomic_load(&shim->monotonic_ns);
    return 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static __typeof__(&clock_gettime) real;
    if (!real)
        real = REAL(clock_gettime);
    int error = real(clock, out);
    int64_t ns = ahead(clock);
    if (error == 0 && ns)
        *out = moved(out, ns);
    return error;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    *out = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* All of the program's conditions wait by CLOCK_MONOTONIC. */
int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
    static __typeof__(&pthread_cond_timedwait) real;
    if (!real)
        real = REAL(pthread_cond_timedwait);
    struct timespec t = moved(until, -ahead(CLOCK_MONOTONIC));
    return real(c, m, &t);
}

int pthread_cond_clockwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m, clockid_t clock,
                           const struct timespec *restrict until)
{
    static __typeof__(&pthread_cond_clockwait) real;
    if (!real)
        real = REAL(pthread_cond_clockwait);
    struct timespec t = moved(until, -ahead(clock));
    return real(c, m, clock, &t);
}

int sem_clockwait(sem_t *restrict s, clockid_t clock, const struct timespec *restrict until)
{
    static __typeof__(&sem_clockwait) real;
    if (!real)
        real = REAL(sem_clockwait);
    struct timespec t = moved(until, -ahead(clock));
    return real(s, clock, &t);
}
