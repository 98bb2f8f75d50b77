/*
 * The bytes of an association, as PS3.8 9.3 and PS3.7 D.3.3 lay them down: each item once, read and written, and read again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/bytes.h"
#include "pdu/associate.h"
#include "pdu/reader.h"
#include "pdu/write.h"

/* clang-format off */
static const uint8_t RQ[] = {
    0x01, 0x00, 0x00, 0x00, 0x01, 0xca, // A-ASSOCIATE-RQ, 458 bytes
    0x00, 0x01,                                                                     // protocol version: bit 0
    0x00, 0x00,                                                                     // reserved
    'H', 'I', 'L', 'U', 'M', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', // called AE title
    'C', 'T', '1', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', // calling AE title
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,                                 // reserved
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x10, 0x00, 0x00, 0x15, // 10: application context, 21 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '3', '.', '1', '.', '1', '.', '1',
    0x20, 0x00, 0x00, 0x2e, // 20: presentation context, 46 bytes
    0x01, 0x00, 0x00, 0x00, // context id 1, reserved
    0x30, 0x00, 0x00, 0x11, // 30: abstract syntax, 17 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '1',
    0x40, 0x00, 0x00, 0x11, // 40: transfer syntax, 17 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '2',
    0x20, 0x00, 0x00, 0x4d, // 20: presentation context, 77 bytes
    0x03, 0x00, 0x00, 0x00, // context id 3, reserved
    0x30, 0x00, 0x00, 0x19, // 30: abstract syntax, 25 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '2',
    0x40, 0x00, 0x00, 0x13, // 40: transfer syntax, 19 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '2', '.', '1',
    0x40, 0x00, 0x00, 0x11, // 40: transfer syntax, 17 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '2',
    0x50, 0x00, 0x00, 0xe6, // 50: user information, 230 bytes
    0x51, 0x00, 0x00, 0x04, // 51: maximum length, 4 bytes
    0x00, 0x02, 0x00, 0x00, // 131072
    0x52, 0x00, 0x00, 0x17, // 52: implementation class UID, 23 bytes
    '1', '.', '2', '.', '8', '2', '6', '.', '0', '.', '1', '.', '3', '6', '8', '0', '0', '4', '3', '.', '9', '.', '1',
    0x53, 0x00, 0x00, 0x04, // 53: asynchronous operations window, 4 bytes
    0x00, 0x08, 0x00, 0x01, // 8 invoked, 1 performed
    0x54, 0x00, 0x00, 0x1d, // 54: role selection, 29 bytes
    0x00, 0x19, // SOP class UID, 25 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '2',
    0x00, 0x01, // SCU no, SCP yes
    0x55, 0x00, 0x00, 0x07, // 55: implementation version name, 7 bytes
    'H', 'I', 'L', 'U', 'M', '_', '1',
    0x56, 0x00, 0x00, 0x21, // 56: SOP class extended negotiation, 33 bytes
    0x00, 0x19, // SOP class UID, 25 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '2',
    0x02, 0x00, 0x03, 0x00, 0x01, 0x00, // level 2, signature 3, coercion 1
    0x57, 0x00, 0x00, 0x53, // 57: SOP class common extended negotiation, 83 bytes
    0x00, 0x1d, // SOP class UID, 29 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '8', '8', '.', '4', '0',
    0x00, 0x11, // service class UID, 17 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '4', '.', '2',
    0x00, 0x1f, // related general SOP classes, 31 bytes
    0x00, 0x1d, // related SOP class, 29 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '8', '8', '.', '2', '2',
    0x58, 0x00, 0x00, 0x0f, // 58: user identity, 15 bytes
    0x02, 0x01, // type 2: name and passcode; response wanted
    0x00, 0x03, // primary field, 3 bytes
    'a', 'n', 'n',
    0x00, 0x06, // secondary field, 6 bytes
    's', 'e', 'c', 'r', 'e', 't',
};

static const uint8_t AC[] = {
    0x02, 0x00, 0x00, 0x00, 0x01, 0x23, // A-ASSOCIATE-AC, 291 bytes
    0x00, 0x01,                                                                     // protocol version: bit 0
    0x00, 0x00,                                                                     // reserved
    'H', 'I', 'L', 'U', 'M', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', // called AE title
    'C', 'T', '1', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', // calling AE title
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,                                 // reserved
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x10, 0x00, 0x00, 0x15, // 10: application context, 21 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '3', '.', '1', '.', '1', '.', '1',
    0x21, 0x00, 0x00, 0x19, // 21: presentation context, 25 bytes
    0x01, 0x00, 0x00, 0x00, // context id 1, reserved, result 0: accepted, reserved
    0x40, 0x00, 0x00, 0x11, // 40: transfer syntax, 17 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '2',
    0x21, 0x00, 0x00, 0x19, // 21: presentation context, 25 bytes
    0x03, 0x00, 0x04, 0x00, // context id 3, reserved, result 4: no transfer syntax, reserved
    0x40, 0x00, 0x00, 0x11, // 40: transfer syntax, 17 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '2',
    0x50, 0x00, 0x00, 0x88, // 50: user information, 136 bytes
    0x51, 0x00, 0x00, 0x04, // 51: maximum length, 4 bytes
    0x00, 0x02, 0x00, 0x00, // 131072
    0x52, 0x00, 0x00, 0x17, // 52: implementation class UID, 23 bytes
    '1', '.', '2', '.', '8', '2', '6', '.', '0', '.', '1', '.', '3', '6', '8', '0', '0', '4', '3', '.', '9', '.', '1',
    0x53, 0x00, 0x00, 0x04, // 53: asynchronous operations window, 4 bytes
    0x00, 0x04, 0x00, 0x01, // 4 invoked, 1 performed
    0x54, 0x00, 0x00, 0x1d, // 54: role selection, 29 bytes
    0x00, 0x19, // SOP class UID, 25 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '2',
    0x00, 0x01, // SCU no, SCP yes
    0x55, 0x00, 0x00, 0x07, // 55: implementation version name, 7 bytes
    'H', 'I', 'L', 'U', 'M', '_', '1',
    0x56, 0x00, 0x00, 0x21, // 56: SOP class extended negotiation, 33 bytes
    0x00, 0x19, // SOP class UID, 25 bytes
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '1', '.', '2',
    0x02, 0x00, 0x03, 0x00, 0x01, 0x00, // level 2, signature 3, coercion 1
    0x59, 0x00, 0x00, 0x08, // 59: user identity response, 8 bytes
    0x00, 0x06, // server response, 6 bytes
    't', 'i', 'c', 'k', 'e', 't',
};
/* clang-format on */

static const uint8_t RJ[] = {
    0x03, 0x00, 0x00, 0x00, 0x00, 0x04, // A-ASSOCIATE-RJ, 4 bytes
    0x00,                               // reserved
    0x01,                               // result: permanent
    0x01,                               // source: user
    0x07,                               // reason: called AE title not recognised
};

static const uint8_t P_DATA[] = {
    0x04, 0x00, 0x00, 0x00, 0x00, 0x12, // P-DATA-TF, 18 bytes
    0x00, 0x00, 0x00, 0x06,             // PDV, 6 bytes
    0x01,                               // context id 1
    0x03,                               // command, last fragment
    0xc0, 0x01, 0xc0, 0x02,             // fragment
    0x00, 0x00, 0x00, 0x04,             // PDV, 4 bytes
    0x01,                               // context id 1
    0x02,                               // data, last fragment
    0xda, 0x7a,                         // fragment
};

static const uint8_t RELEASE_RQ[] = {0x05, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00};
static const uint8_t RELEASE_RP[] = {0x06, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00};

static const uint8_t ABORT[] = {
    0x07, 0x00, 0x00, 0x00, 0x00, 0x04, // A-ABORT, 4 bytes
    0x00, 0x00,                         // reserved
    0x02,                               // source: provider
    0x05,                               // reason: unexpected parameter
};

/* What is read and written again is the same, byte for byte: the golden bytes stand in rising item order. */
static void check_associate(const uint8_t *pdu, size_t len, bool is_ac)
{
    struct pdu_associate a, again;
    struct pdu_fault fault;
    struct octets out = {0};
    assert_int_equal(get_be32(pdu + 2), len - PDU_HEADER_BYTES);
    assert_int_equal(pdu_associate_parse(pdu + PDU_HEADER_BYTES, len - PDU_HEADER_BYTES, is_ac, &a, &fault),
                     OK);
    pdu_associate_write(&a, &out);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, pdu, len);
    assert_int_equal(
        pdu_associate_parse(out.data + PDU_HEADER_BYTES, out.len - PDU_HEADER_BYTES, is_ac, &again, &fault),
        OK);
    octets_clear(&out);
    pdu_associate_write(&again, &out);
    assert_int_equal(out.len, len);
    assert_memory_equal(out.data, pdu, len);
    pdu_associate_free(&a);
    pdu_associate_free(&again);
    octets_free(&out);
}

static void associate_request_is_read_and_written_the_same(void **state)
{
    (void)state;
    check_associate(RQ, sizeof RQ, false);
}

static void associate_accept_is_read_and_written_the_same(void **state)
{
    (void)state;
    check_associate(AC, sizeof AC, true);
}

static struct view text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

/* The same request put together by hand: every field goes to its own place. */
static void associate_request_is_written_from_its_fields(void **state)
{
    (void)state;
    struct view implicit[] = {text("1.2.840.10008.1.2")};
    struct view both[] = {text("1.2.840.10008.1.2.1"), text("1.2.840.10008.1.2")};
    struct view related[] = {text("1.2.840.10008.5.1.4.1.1.88.22")};
    struct pdu_context contexts[] = {
        {.id = 1,
         .abstract_syntax = text("1.2.840.10008.1.1"),
         .transfer_syntaxes = implicit,
         .transfer_syntax_count = 1},
        {.id = 3,
         .abstract_syntax = text("1.2.840.10008.5.1.4.1.1.2"),
         .transfer_syntaxes = both,
         .transfer_syntax_count = 2},
    };
    struct pdu_role roles[] = {{text("1.2.840.10008.5.1.4.1.1.2"), false, true}};
    struct pdu_extended extended[] = {
        {text("1.2.840.10008.5.1.4.1.1.2"), {(const uint8_t *)"\2\0\3\0\1\0", 6}}};
    struct pdu_common_extended common[] = {
        {text("1.2.840.10008.5.1.4.1.1.88.40"), text("1.2.840.10008.4.2"), related, 1}};
    struct pdu_associate a;
    struct octets out = {0};
    pdu_associate_init(&a, false);
    pdu_title_write(a.called_raw, "HILUM");
    pdu_title_write(a.calling_raw, "CT1");
    a.application_context = text("1.2.840.10008.3.1.1.1");
    a.contexts = contexts;
    a.context_count = 2;
    a.has_max_length = true;
    a.max_length = 131072;
    a.implementation_uid = text("1.2.826.0.1.3680043.9.1");
    a.implementation_version = text("HILUM_1");
    a.has_async = true;
    a.async_invoked = 8;
    a.async_performed = 1;
    a.roles = roles;
    a.extended = extended;
    a.common = common;
    a.role_count = a.extended_count = a.common_count = 1;
    a.has_identity = true;
    a.identity = (struct pdu_identity){2, true, text("ann"), text("secret")};
    pdu_associate_write(&a, &out);
    assert_int_equal(out.len, sizeof RQ);
    assert_memory_equal(out.data, RQ, sizeof RQ);
    octets_free(&out);
    pdu_associate_free(&a);
}

static void associate_accept_says_what_its_bytes_say(void **state)
{
    (void)state;
    struct pdu_associate a;
    struct pdu_fault fault;
    assert_int_equal(pdu_associate_parse(AC + 6, sizeof AC - 6, true, &a, &fault), OK);
    assert_string_equal(a.called, "HILUM");
    assert_string_equal(a.calling, "CT1");
    assert_int_equal(a.context_count, 2);
    assert_int_equal(pdu_associate_context(&a, 1)->result, PDU_CONTEXT_ACCEPTED);
    assert_int_equal(pdu_associate_context(&a, 3)->result, PDU_CONTEXT_TRANSFER_SYNTAXES);
    assert_int_equal(a.max_length, 131072);
    assert_int_equal(a.async_invoked, 4);
    assert_int_equal(a.async_performed, 1);
    assert_true(a.roles[0].scp && !a.roles[0].scu);
    assert_int_equal(a.identity_response.len, 6);
    assert_memory_equal(a.identity_response.at, "ticket", 6);
    pdu_associate_free(&a);
}

static void short_pdus_are_written_as_laid_down(void **state)
{
    (void)state;
    struct octets out = {0};
    pdu_write_reject(&out, (struct pdu_reject){PDU_REJECT_PERMANENT, PDU_REJECT_USER, PDU_REJECT_CALLED_AE});
    assert_int_equal(out.len, sizeof RJ);
    assert_memory_equal(out.data, RJ, sizeof RJ);
    octets_clear(&out);
    pdu_write_release_rq(&out);
    assert_memory_equal(out.data, RELEASE_RQ, sizeof RELEASE_RQ);
    octets_clear(&out);
    pdu_write_release_rp(&out);
    assert_memory_equal(out.data, RELEASE_RP, sizeof RELEASE_RP);
    octets_clear(&out);
    pdu_write_abort(&out, PDU_ABORT_PROVIDER, PDU_ABORT_UNEXPECTED_PARAMETER);
    assert_int_equal(out.len, sizeof ABORT);
    assert_memory_equal(out.data, ABORT, sizeof ABORT);
    octets_free(&out);
}

/* A whole association's bytes, one at a time: each PDU is reported once, with its type and its bytes. */
static void a_stream_of_all_pdus_is_read_byte_by_byte(void **state)
{
    (void)state;
    static const struct {
        const uint8_t *bytes;
        size_t len;
    } pdus[] = {
        {RQ, sizeof RQ},         {AC, sizeof AC},
        {P_DATA, sizeof P_DATA}, {RELEASE_RQ, sizeof RELEASE_RQ},
        {RJ, sizeof RJ},         {RELEASE_RP, sizeof RELEASE_RP},
        {ABORT, sizeof ABORT},
    };
    struct pdu_reader r;
    pdu_reader_init(&r);
    for (size_t p = 0; p < sizeof pdus / sizeof pdus[0]; p++) {
        int headers = 0, ends = 0, pdvs = 0;
        for (size_t at = 0; at < pdus[p].len; at++) {
            struct pdu_event e;
            size_t used = 0;
            do {
                used += pdu_reader_next(&r, pdus[p].bytes + at + used, 1 - used, &e);
                headers += e.kind == PDU_EVENT_HEADER;
                pdvs += e.kind == PDU_EVENT_FRAGMENT && e.is_pdv_end;
                ends += e.kind == PDU_EVENT_BODY || e.kind == PDU_EVENT_DATA_END;
                assert_int_not_equal(e.kind, PDU_EVENT_FAULT);
                if (e.kind == PDU_EVENT_BODY) {
                    assert_int_equal(e.type, pdus[p].bytes[0]);
                    assert_int_equal(e.body_len, pdus[p].len - PDU_HEADER_BYTES);
                    assert_memory_equal(e.body, pdus[p].bytes + PDU_HEADER_BYTES, e.body_len);
                }
            } while (used < 1 || e.kind != PDU_EVENT_NONE);
        }
        assert_int_equal(headers, 1);
        assert_int_equal(ends, 1);
        assert_int_equal(pdvs, pdus[p].bytes == P_DATA ? 2 : 0);
    }
    pdu_reader_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(associate_request_is_read_and_written_the_same),
        cmocka_unit_test(associate_accept_is_read_and_written_the_same),
        cmocka_unit_test(associate_request_is_written_from_its_fields),
        cmocka_unit_test(associate_accept_says_what_its_bytes_say),
        cmocka_unit_test(short_pdus_are_written_as_laid_down),
        cmocka_unit_test(a_stream_of_all_pdus_is_read_byte_by_byte),
    };
    return cmocka_run_group_tests_name("association bytes", tests, NULL, NULL);
}
