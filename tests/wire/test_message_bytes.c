/*
 * Messages as bytes, in both roles: a C-FIND with its pending response and its cancellation, as they stand on the wire
 * (PS3.8 9.3.5, PS3.7 9.3.2). The message model itself is in test_message_model.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "../unit/association/party.h"
#include "base/clock.h"

#define STUDY_ROOT_FIND "1.2.840.10008.5.1.4.1.2.2.1"

enum { PENDING = 0xff00 };

static struct view text(const char *t)
{
    return (struct view){(const uint8_t *)t, strlen(t)};
}

static struct dimse_command pending_response(void)
{
    struct dimse_command c = sample_response(DIMSE_C_FIND_RSP, 5, PENDING, true);
    c.affected_class = text(STUDY_ROOT_FIND);
    return c;
}

static struct dimse_command cancel(uint16_t id)
{
    return (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE,
                                  .field = DIMSE_C_CANCEL_RQ,
                                  .responded_id = id,
                                  .data_set_type = DIMSE_NO_DATA_SET};
}

/* clang-format off */
static const uint8_t FIND_RQ[] = {
    0x04, 0x00, 0x00, 0x00, 0x00, 0x6e, // P-DATA-TF, 110 bytes: two PDVs in one PDU, as dcm4che sends them
    0x00, 0x00, 0x00, 0x5a,             // PDV, 90 bytes
    0x01, 0x03,                         // context 1; command, last
    0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x4c, 0x00, 0x00, 0x00, // (0000,0000) group length 76
    0x00, 0x00, 0x02, 0x00, 0x1c, 0x00, 0x00, 0x00,                         // (0000,0002) affected SOP class, 28
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '2', '.', '2', '.', '1', 0x00,
    0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x20, 0x00, // (0000,0100) command field: C-FIND-RQ
    0x00, 0x00, 0x10, 0x01, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, // (0000,0110) message id 5
    0x00, 0x00, 0x00, 0x07, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, // (0000,0700) priority: medium
    0x00, 0x00, 0x00, 0x08, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, // (0000,0800) data set: follows
    0x00, 0x00, 0x00, 0x0c,             // PDV, 12 bytes
    0x01, 0x02,                         // context 1; data, last
    0x10, 0x00, 0x10, 0x00, 0x02, 0x00, 0x00, 0x00, '*', ' ', // (0010,0010) patient's name: any
};

static const uint8_t FIND_RSP[] = {
    0x04, 0x00, 0x00, 0x00, 0x00, 0x5e, // P-DATA-TF, 94 bytes
    0x00, 0x00, 0x00, 0x5a,             // PDV, 90 bytes
    0x01, 0x03,                         // context 1; command, last
    0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x4c, 0x00, 0x00, 0x00, // (0000,0000) group length 76
    0x00, 0x00, 0x02, 0x00, 0x1c, 0x00, 0x00, 0x00,                         // (0000,0002) affected SOP class, 28
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '2', '.', '2', '.', '1', 0x00,
    0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x20, 0x80, // (0000,0100) command field: C-FIND-RSP
    0x00, 0x00, 0x20, 0x01, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, // (0000,0120) message id being responded to: 5
    0x00, 0x00, 0x00, 0x08, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, // (0000,0800) data set: follows
    0x00, 0x00, 0x00, 0x09, 0x02, 0x00, 0x00, 0x00, 0x00, 0xff, // (0000,0900) status: pending
    0x04, 0x00, 0x00, 0x00, 0x00, 0x10, // P-DATA-TF, 16 bytes: the data set in a PDU of its own (DCMTK 3.6.7 needs it so)
    0x00, 0x00, 0x00, 0x0c,             // PDV, 12 bytes
    0x01, 0x02,                         // context 1; data, last
    0x10, 0x00, 0x10, 0x00, 0x02, 0x00, 0x00, 0x00, 'A', 0x00, // (0010,0010), sent with its odd byte missing: padded by NUL
};

static const uint8_t CANCEL_RQ[] = {
    0x04, 0x00, 0x00, 0x00, 0x00, 0x30, // P-DATA-TF, 48 bytes
    0x00, 0x00, 0x00, 0x2c,             // PDV, 44 bytes
    0x01, 0x03,                         // context 1; command, last
    0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x00, // (0000,0000) group length 30
    0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0xff, 0x0f, // (0000,0100) command field: C-CANCEL-RQ
    0x00, 0x00, 0x20, 0x01, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, // (0000,0120) message id being responded to: 5
    0x00, 0x00, 0x00, 0x08, 0x02, 0x00, 0x00, 0x00, 0x01, 0x01, // (0000,0800) data set: none
};
/* clang-format on */

static void expect_bytes(struct wire *w, const uint8_t *bytes, size_t len)
{
    LOOP_UNTIL(w->loop, (wire_poll(w), w->came.len >= len));
    assert_int_equal(w->came.len, len);
    assert_memory_equal(w->came.data, bytes, len);
    octets_clear(&w->came);
}

static void a_find_is_these_bytes_in_and_these_bytes_out(void **state)
{
    struct loop l;
    struct party p;
    struct wire w;
    struct dimse_command c = pending_response();
    (void)state;
    loop_open(&l, 16 << 20);
    party_accept_established(&p, &l, LONG_LIMITS, &w, 16384);
    wire_send(&w, FIND_RQ, sizeof(FIND_RQ));
    LOOP_UNTIL(&l, p.data_ends);
    assert_int_equal(p.last.field, DIMSE_C_FIND_RQ);
    assert_int_equal(p.last.message_id, 5);
    assert_int_equal(p.data.len, 10);
    assert_memory_equal(p.data.data, FIND_RQ + sizeof(FIND_RQ) - 10, 10);

    assert_true(association_send_command(&p.a, 1, &c));
    assert_true(party_send_data(&p, FIND_RSP + sizeof(FIND_RSP) - 10, 9));
    assert_true(association_send_data_end(&p.a));
    expect_bytes(&w, FIND_RSP, sizeof(FIND_RSP));

    wire_send(&w, CANCEL_RQ, sizeof(CANCEL_RQ));
    LOOP_UNTIL(&l, p.commands == 2);
    assert_int_equal(p.last.field, DIMSE_C_CANCEL_RQ);
    assert_int_equal(p.last.responded_id, 5);
    wire_close(&w);
    party_close(&p);
    loop_close(&l);
}

/* The other role: the same bytes leave as our request, and are read as the node's response. */
static void and_the_same_bytes_the_other_way_round(void **state)
{
    struct loop l;
    struct party p;
    struct wire w;
    struct dimse_command c = cancel(5);
    (void)state;
    loop_open(&l, 16 << 20);
    party_connect_established(&p, &l, LONG_LIMITS, &w);
    assert_true(association_send_command(&p.a, 1, &c));
    expect_bytes(&w, CANCEL_RQ, sizeof(CANCEL_RQ));
    for (size_t i = 0; i < sizeof(FIND_RSP); i++) { /* byte by byte */
        wire_send(&w, FIND_RSP + i, 1);
        loop_turn(&l);
    }
    LOOP_UNTIL(&l, p.data_ends);
    assert_int_equal(p.last.field, DIMSE_C_FIND_RSP);
    assert_int_equal(p.last.responded_id, 5);
    assert_int_equal(p.last.status, PENDING);
    assert_int_equal(p.data.len, 10);
    wire_send(&w, FIND_RQ, sizeof(FIND_RQ)); /* a request against the direction */
    LOOP_UNTIL(&l, p.data_ends == 2);
    assert_int_equal(p.last.field, DIMSE_C_FIND_RQ);
    wire_close(&w);
    party_close(&p);
    loop_close(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_find_is_these_bytes_in_and_these_bytes_out),
        cmocka_unit_test(and_the_same_bytes_the_other_way_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
