/* A ring and its pool for tests, and waiting for conditions. */
#ifndef HILUM_TESTS_UNIT_LOOP_H
#define HILUM_TESTS_UNIT_LOOP_H

#include "io/io.h"
#include "mem/buf.h"

struct loop {
    struct pool pool;
    struct io *io;
    struct io_timer wake;
    unsigned wakes;
};

/* Fails the test where the system has no io_uring. */
void loop_open(struct loop *l, uint64_t memory_bytes);
/* Every buffer must be back but those that are posted. */
void loop_close(struct loop *l);
/* Two ends of a TCP connection over loopback, as the gateway sets its own. */
void loop_connect_pair(int *one, int *two);
/* One turn, that never waits for long. */
void loop_turn(struct loop *l);

/* Turns until the condition holds; fails the test after about 20 s. */
#define LOOP_UNTIL(l, condition)                                                                             \
    do {                                                                                                     \
        uint64_t until_ = clock_ms() + 20000;                                                                \
        while (!(condition)) {                                                                               \
            if (clock_ms() > until_)                                                                         \
                fail_msg("never came true: %s", #condition);                                                 \
            loop_turn(l);                                                                                    \
        }                                                                                                    \
    } while (0)

#endif
