#include "base/rate.h"

static const uint64_t NS_PER_S = 1000000000, NS_PER_MS = 1000000;

/* Rounded up: nothing is for nothing. Right for rates up to 17 GB/s, and for less than that at once beyond. */
static uint64_t price_ns(uint64_t n, uint64_t per_second)
{
    return n / per_second * NS_PER_S + (n % per_second * NS_PER_S + per_second - 1) / per_second;
}

/* What was paid for more than a second ago cannot be saved up. */
static uint64_t push_on(uint64_t paid_ns, uint64_t now_ns, uint64_t price)
{
    uint64_t oldest = now_ns > NS_PER_S ? now_ns - NS_PER_S : 0;
    return (paid_ns > oldest ? paid_ns : oldest) + price;
}

bool rate_try(struct rate *r, uint64_t n, uint64_t per_second, uint64_t now_ms, uint64_t most_ms,
              uint64_t *wait_ms_out)
{
    *wait_ms_out = 0;
    if (per_second == 0)
        return true;
    uint64_t now_ns = now_ms * NS_PER_MS, price = price_ns(n, per_second), then, wait_ms;
    uint64_t paid = atomic_load_explicit(&r->paid_ns, memory_order_relaxed);
    do {
        then = push_on(paid, now_ns, price);
        wait_ms = then > now_ns ? (then - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
        if (wait_ms > most_ms)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&r->paid_ns, &paid, then, memory_order_relaxed,
                                                    memory_order_relaxed));
    *wait_ms_out = wait_ms;
    return true;
}

uint64_t rate_take(struct rate *r, uint64_t n, uint64_t per_second, uint64_t now_ms)
{
    uint64_t wait_ms;
    bool is_taken = rate_try(r, n, per_second, now_ms, UINT64_MAX, &wait_ms);
    return is_taken ? wait_ms : 0;
}
