#include "base/clock.h"

#include <stdio.h>
#include <time.h>

#include "base/assert.h"

uint64_t clock_us(void)
{
    struct timespec now;
    hilum_assert(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
    return clock_us() / 1000;
}

uint64_t clock_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void clock_date(char out[9])
{
    struct timespec now;
    struct tm local;
    hilum_assert(clock_gettime(CLOCK_REALTIME, &now) == 0);
    hilum_assert(localtime_r(&now.tv_sec, &local));
    hilum_assert(strftime(out, 9, "%Y%m%d", &local) == 8);
}
