/* One association of ours and its peer, for tests of the association alone. */
#ifndef HILUM_TESTS_BOTH_H
#define HILUM_TESTS_BOTH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "party.h"
#include "pdu/write.h"

struct both {
    struct loop loop;
    struct party party;
    struct wire wire;
};

static inline int set_up(void **state)
{
    struct both *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    loop_open(&t->loop, 16 << 20);
    t->wire.fd = -1;
    *state = t;
    return 0;
}

static inline int tear_down(void **state)
{
    struct both *t = *state;
    party_close(&t->party);
    wire_close(&t->wire);
    loop_turn(&t->loop);
    loop_close(&t->loop);
    free(t);
    return 0;
}

static inline void expect_end(struct both *t, enum association_end how)
{
    LOOP_UNTIL(&t->loop, t->party.ends);
    if (t->party.how != how)
        fail_msg("it ended as \"%s\" (%s), not as \"%s\"", association_end_name(t->party.how), t->party.why,
                 association_end_name(how));
}

/* The peer sees an A-ABORT (PS3.8 9.3.8: reserved, reserved, source, reason), what came before it is passed over. */
static inline void expect_abort(struct both *t, uint8_t source, uint8_t reason)
{
    struct octets body = {0};
    while (wire_pdu(&t->wire, &body) != PDU_ABORT)
        ;
    assert_int_equal(body.data[2], source);
    assert_int_equal(body.data[3], reason);
    octets_free(&body);
}

static inline void accept_established(struct both *t, uint32_t peer_max_length)
{
    party_accept_established(&t->party, &t->loop, LONG_LIMITS, &t->wire, peer_max_length);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
