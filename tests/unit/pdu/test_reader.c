#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "pdu/reader.h"
#include "trace.h"

struct stream_case {
    const char *why;
    const char *bytes; /* as a string, so that it may hold NULs: len counts */
    size_t len;
    const char *trace;
};

#define BYTES(s) (s), sizeof(s) - 1

static void expect_traces(const struct stream_case *cases, size_t count)
{
    static const size_t chunks[] = {0, 1, 2, 3, 5, 7, 11};
    char text[1024];
    for (size_t i = 0; i < count; i++) {
        for (size_t c = 0; c < sizeof chunks / sizeof chunks[0]; c++) {
            trace_reader((const uint8_t *)cases[i].bytes, cases[i].len, chunks[c], text, sizeof text);
            if (strcmp(text, cases[i].trace) != 0)
                fail_msg("%s, in inputs of %zu: got '%s', expected '%s'", cases[i].why, chunks[c], text,
                         cases[i].trace);
        }
    }
}

static void well_formed_streams_are_cut_into_their_parts(void **state)
{
    (void)state;
    static const struct stream_case cases[] = {
        {"release request", BYTES("\5\0\0\0\0\4\0\0\0\0"), "H5:4 B5:00000000"},
        {"release response", BYTES("\6\0\0\0\0\4\0\0\0\0"), "H6:4 B6:00000000"},
        {"rejection", BYTES("\3\0\0\0\0\4\0\1\2\3"), "H3:4 B3:00010203"},
        {"abort", BYTES("\7\0\0\0\0\4\0\0\2\6"), "H7:4 B7:00000206"},
        {"reserved bytes are never tested", BYTES("\7\xff\0\0\0\4\xff\xff\0\0"), "H7:4 B7:ffff0000"},
        {"one PDV", BYTES("\4\0\0\0\0\10\0\0\0\4\1\2\xaa\xbb"), "H4:8 D1/2:aabb E"},
        {"largest context id", BYTES("\4\0\0\0\0\10\0\0\0\4\xff\0\xaa\xbb"), "H4:8 D255/0:aabb E"},
        {"command and data in one PDU (quirk of dcm4che)",
         BYTES("\4\0\0\0\0\20\0\0\0\4\1\3\x11\x12\0\0\0\4\1\2\x21\x22"), "H4:16 D1/3:1112 D1/2:2122 E"},
        {"the higher bits of the control byte mean nothing", BYTES("\4\0\0\0\0\7\0\0\0\3\1\xfe\xaa"),
         "H4:7 D1/2:aa E"},
        {"an empty PDV alone", BYTES("\4\0\0\0\0\6\0\0\0\2\3\2"), "H4:6 D3/2: E"},
        {"an empty PDV between two others",
         BYTES("\4\0\0\0\0\24\0\0\0\3\1\0\xaa\0\0\0\2\1\0\0\0\0\3\1\2\xbb"), "H4:20 D1/0:aa D1/0: D1/2:bb E"},
        {"an odd fragment", BYTES("\4\0\0\0\0\11\0\0\0\5\1\0\1\2\3"), "H4:9 D1/0:010203 E"},
        {"PDU after PDU",
         BYTES("\4\0\0\0\0\7\0\0\0\3\1\0\xaa\4\0\0\0\0\7\0\0\0\3\1\2\xbb\5\0\0\0\0\4\0\0\0\0"),
         "H4:7 D1/0:aa E H4:7 D1/2:bb E H5:4 B5:00000000"},
        {"bytes that end inside a header", BYTES("\5\0\0"), ""},
        {"bytes that end inside a body", BYTES("\5\0\0\0\0\4\0"), "H5:4"},
        {"bytes that end inside a PDV", BYTES("\4\0\0\0\0\10\0\0\0\4\1\2\xaa"), "H4:8 D1/2:aa..."},
    };
    expect_traces(cases, sizeof cases / sizeof cases[0]);
}

static void unknown_pdu_types_are_unrecognised(void **state)
{
    (void)state;
    static const struct stream_case cases[] = {
        {"type 0", BYTES("\0\0\0\0\0\4\0\0\0\0"), "F1"},
        {"the first type past the last", BYTES("\10\0\0\0\0\4\0\0\0\0"), "F1"},
        {"an HTTP probe", BYTES("GET / HTTP/1.1\r\n\r\n"), "F1"},
        {"a TLS client hello", BYTES("\x16\3\1\2\0\1\0\1\xfc\3\3"), "F1"},
        {"type 255 after a good PDU", BYTES("\5\0\0\0\0\4\0\0\0\0\xff\0\0\0\0\0"), "H5:4 B5:00000000 F1"},
    };
    expect_traces(cases, sizeof cases / sizeof cases[0]);
}

static void no_pdu_length_can_lie(void **state)
{
    (void)state;
    static const struct stream_case cases[] = {
        {"release request of 0", BYTES("\5\0\0\0\0\0"), "F6"},
        {"release request of 3", BYTES("\5\0\0\0\0\3\0\0\0"), "F6"},
        {"release request of 5", BYTES("\5\0\0\0\0\5\0\0\0\0\0"), "F6"},
        {"release response of 5", BYTES("\6\0\0\0\0\5\0\0\0\0\0"), "F6"},
        {"rejection of 65540", BYTES("\3\0\0\1\0\4\0\1\1\1"), "F6"},
        {"abort of 4 GiB", BYTES("\7\0\xff\xff\xff\xff\0\0\0\0"), "F6"},
        {"associate request shorter than its fixed part", BYTES("\1\0\0\0\0\x43"), "F6"},
        {"associate request as short as its fixed part", BYTES("\1\0\0\0\0\x44"), "H1:68"},
        {"associate request of the greatest length", BYTES("\1\0\0\20\0\0"), "H1:1048576"},
        {"associate request one longer", BYTES("\1\0\0\20\0\1"), "F6"},
        {"associate request of 4 GiB", BYTES("\1\0\xff\xff\xff\xff"), "F6"},
        {"associate accept of 4 GiB", BYTES("\2\0\xff\xff\xff\xff"), "F6"},
        {"P-DATA of 0", BYTES("\4\0\0\0\0\0"), "F6"},
        {"P-DATA of 1", BYTES("\4\0\0\0\0\1\0"), "F6"},
        {"P-DATA of 5", BYTES("\4\0\0\0\0\5\0\0\0\1\1"), "F6"},
        {"P-DATA of 4 GiB streams, so it is let through", BYTES("\4\0\xff\xff\xff\xff\0\0\0\4\1\0\1"),
         "H4:4294967295 D1/0:01..."},
    };
    expect_traces(cases, sizeof cases / sizeof cases[0]);
}

static void pdv_header_rejects_every_lying_length(void **state)
{
    (void)state;
    static const struct stream_case cases[] = {
        {"length 0", BYTES("\4\0\0\0\0\10\0\0\0\0\1\2\xaa\xbb"), "H4:8 F6"},
        {"length 1 has no room for the control byte", BYTES("\4\0\0\0\0\10\0\0\0\1\1\2\xaa\xbb"), "H4:8 F6"},
        {"one more than the PDU has", BYTES("\4\0\0\0\0\10\0\0\0\5\1\2\xaa\xbb"), "H4:8 F6"},
        {"the highest bit set", BYTES("\4\0\0\0\0\10\x80\0\0\4\1\2\xaa\xbb"), "H4:8 F6"},
        {"the greatest length, which wraps when 4 is added",
         BYTES("\4\0\0\0\0\10\xff\xff\xff\xff\1\2\xaa\xbb"), "H4:8 F6"},
        {"one less leaves a byte over", BYTES("\4\0\0\0\0\10\0\0\0\3\1\2\xaa\xbb\5"), "H4:8 D1/2:aa F6"},
        {"five bytes left over", BYTES("\4\0\0\0\0\14\0\0\0\3\1\2\xaa\0\0\0\2\1"), "H4:12 D1/2:aa F6"},
        {"the second PDV reaches past the PDU", BYTES("\4\0\0\0\0\16\0\0\0\3\1\2\xaa\0\0\0\4\1\2\xbb"),
         "H4:14 D1/2:aa F6"},
        {"context id 0", BYTES("\4\0\0\0\0\10\0\0\0\4\0\2\xaa\xbb"), "H4:8 F6"},
        {"an even context id", BYTES("\4\0\0\0\0\10\0\0\0\4\2\2\xaa\xbb"), "H4:8 F6"},
        {"an even context id on an empty PDV", BYTES("\4\0\0\0\0\6\0\0\0\2\xfe\2"), "H4:6 F6"},
    };
    expect_traces(cases, sizeof cases / sizeof cases[0]);
}

static void memory_follows_what_came_and_not_what_was_announced(void **state)
{
    (void)state;
    static const uint8_t greatest[6] = {PDU_ASSOCIATE_RQ, 0, 0x00, 0x10, 0x00, 0x00};
    static const uint8_t huge[6] = {PDU_ASSOCIATE_RQ, 0, 0xff, 0xff, 0xff, 0xff};
    static const uint8_t some[100] = {0};
    struct pdu_reader r;
    struct pdu_event e;
    pdu_reader_init(&r);
    pdu_reader_next(&r, greatest, sizeof greatest, &e);
    assert_int_equal(e.kind, PDU_EVENT_HEADER);
    assert_int_equal(r.body.cap, 0);
    assert_int_equal(pdu_reader_next(&r, some, sizeof some, &e), sizeof some);
    assert_int_equal(e.kind, PDU_EVENT_NONE);
    assert_in_range(r.body.cap, sizeof some, 1024);
    pdu_reader_free(&r);

    assert_int_equal(pdu_reader_next(&r, huge, sizeof huge, &e), sizeof huge);
    assert_int_equal(e.kind, PDU_EVENT_FAULT);
    assert_int_equal(r.body.cap, 0);
    pdu_reader_free(&r);
}

static void a_body_is_not_kept_past_the_next_call(void **state)
{
    (void)state;
    static const uint8_t release[10] = {PDU_RELEASE_RQ, 0, 0, 0, 0, 4};
    struct pdu_reader r;
    struct pdu_event e;
    pdu_reader_init(&r);
    pdu_reader_next(&r, release, 6, &e);
    pdu_reader_next(&r, release + 6, 4, &e);
    assert_int_equal(e.kind, PDU_EVENT_BODY);
    assert_int_equal(e.body_len, 4);
    pdu_reader_next(&r, NULL, 0, &e);
    assert_int_equal(e.kind, PDU_EVENT_NONE);
    assert_null(r.body.data);
    pdu_reader_free(&r);
}

static void a_fault_is_reported_again_and_swallows_everything(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x99, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    struct pdu_reader r;
    struct pdu_event e;
    pdu_reader_init(&r);
    assert_int_equal(pdu_reader_next(&r, bytes, sizeof bytes, &e), 6);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(e.kind, PDU_EVENT_FAULT);
        assert_int_equal(e.type, 0x99);
        assert_int_equal(e.fault.reason, PDU_ABORT_UNRECOGNISED_PDU);
        assert_non_null(e.fault.text);
        assert_int_equal(pdu_reader_next(&r, bytes + 6, sizeof bytes - 6, &e), sizeof bytes - 6);
    }
    pdu_reader_skip(&r);
    pdu_reader_next(&r, bytes + 6, 10, &e);
    assert_int_equal(e.kind, PDU_EVENT_FAULT);
    pdu_reader_free(&r);
}

static void pieces_are_borrowed_from_the_input_and_count_what_follows(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {4, 0, 0, 0, 0, 10, 0, 0, 0, 6, 1, 2, 0xa, 0xb, 0xc, 0xd};
    struct pdu_reader r;
    struct pdu_event e;
    pdu_reader_init(&r);
    size_t used = pdu_reader_next(&r, bytes, 13, &e);
    assert_int_equal(e.kind, PDU_EVENT_HEADER);
    used += pdu_reader_next(&r, bytes + used, 13 - used, &e);
    assert_int_equal(e.kind, PDU_EVENT_FRAGMENT);
    assert_ptr_equal(e.piece, bytes + 12);
    assert_int_equal(e.piece_len, 1);
    assert_int_equal(e.pdv_left, 3);
    assert_false(e.is_pdv_end);
    assert_int_equal(used, 13);
    used += pdu_reader_next(&r, bytes + used, sizeof bytes - used, &e);
    assert_ptr_equal(e.piece, bytes + 13);
    assert_int_equal(e.piece_len, 3);
    assert_true(e.is_pdv_end);
    assert_int_equal(pdu_reader_next(&r, NULL, 0, &e), 0);
    assert_int_equal(e.kind, PDU_EVENT_DATA_END); /* the end needs no bytes */
    pdu_reader_next(&r, NULL, 0, &e);
    assert_int_equal(e.kind, PDU_EVENT_NONE);
    pdu_reader_free(&r);
}

/* Every PDU type is skipped from its header on; what follows is read as if nothing had been. */
static void a_skipped_pdu_is_passed_over_whatever_it_holds(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {
        [PDU_ASSOCIATE_RQ] = 70, [PDU_ASSOCIATE_AC] = 300, [PDU_ASSOCIATE_RJ] = 4, [PDU_P_DATA_TF] = 77,
        [PDU_RELEASE_RQ] = 4,    [PDU_RELEASE_RP] = 4,     [PDU_ABORT] = 4,
    };
    for (uint8_t type = PDU_ASSOCIATE_RQ; type <= PDU_ABORT; type++) {
        for (size_t chunk = 1; chunk < 80; chunk += 13) {
            uint8_t bytes[6 + 300 + 10];
            size_t len = 6 + lengths[type] + 10, at = 0;
            memset(bytes, 0xee, sizeof bytes); /* no PDU, item or PDV looks like that */
            bytes[0] = type;
            put_be32(bytes + 2, lengths[type]);
            memcpy(bytes + 6 + lengths[type], "\7\0\0\0\0\4\0\0\0\0", 10);
            struct pdu_reader r;
            struct pdu_event e = {0};
            pdu_reader_init(&r);
            at += pdu_reader_next(&r, bytes, 6, &e);
            assert_int_equal(e.kind, PDU_EVENT_HEADER);
            pdu_reader_skip(&r);
            while (at < len) {
                at += pdu_reader_next(&r, bytes + at, chunk < len - at ? chunk : len - at, &e);
                assert_true(e.kind == PDU_EVENT_NONE || at >= len - 4);
            }
            if (e.kind == PDU_EVENT_HEADER)
                pdu_reader_next(&r, bytes + at, len - at, &e);
            assert_int_equal(e.kind, PDU_EVENT_BODY);
            assert_int_equal(e.type, PDU_ABORT);
            pdu_reader_free(&r);
        }
    }
}

static void a_pdu_can_be_skipped_from_any_byte_of_it(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {4, 0, 0, 0, 0, 16, 0, 0, 0, 4, 1, 3, 1, 2, 0, 0,
                                    0, 4, 1, 2, 3, 4,  7, 0, 0, 0, 0, 4, 0, 0, 2, 6};
    for (size_t cut = 6; cut <= 22; cut++) {
        struct pdu_reader r;
        struct pdu_event e = {0};
        pdu_reader_init(&r);
        for (size_t at = 0; at < cut;)
            at += pdu_reader_next(&r, bytes + at, cut - at, &e);
        pdu_reader_skip(&r);
        size_t at = cut + pdu_reader_next(&r, bytes + cut, sizeof bytes - cut, &e);
        assert_int_equal(e.kind, PDU_EVENT_HEADER);
        assert_int_equal(e.type, PDU_ABORT);
        pdu_reader_next(&r, bytes + at, sizeof bytes - at, &e);
        assert_int_equal(e.kind, PDU_EVENT_BODY);
        pdu_reader_free(&r);
    }
}

/* Whoever reads just as much gets no payload; and so a reader can be led over a stream by headers alone. */
static void what_is_left_of_headers_is_known_at_every_byte(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {4, 0, 0, 0, 0, 18, 0, 0, 0, 5, 1, 0, 7, 7, 7, /* three bytes, ... */
                                    0, 0, 0, 5, 1, 2,  8, 8, 8,           /* three more in the same PDU, */
                                    4, 0, 0, 0, 0, 6,  0, 0, 0, 2, 1, 2}; /* and nothing in the next */
    static const uint8_t left[] = {12, 11, 10, 9, 8, 7,  6,  5,  4, 3, 2, 1, 0, 0, 0, 6, 5, 4, 3,
                                   2,  1,  0,  0, 0, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 12};
    struct pdu_reader r;
    struct pdu_event e;
    pdu_reader_init(&r);
    for (size_t at = 0; at < sizeof bytes; at++) {
        if (pdu_reader_header_left(&r) != left[at])
            fail_msg("before byte %zu %zu are left, not %u", at, pdu_reader_header_left(&r), left[at]);
        size_t used = pdu_reader_next(&r, bytes + at, 1, &e); /* the end of a PDU consumes nothing */
        while (used == 0)
            used = pdu_reader_next(&r, bytes + at, 1, &e);
    }
    assert_int_equal(pdu_reader_header_left(&r), left[sizeof bytes]);
    pdu_reader_free(&r);
}

/* No header is due in the middle of another PDU, of one that is skipped, or after a fault. */
static void no_header_is_left_elsewhere(void **state)
{
    (void)state;
    static const struct {
        const char *why, *bytes;
        size_t len;
        bool skips;
    } cases[] = {
        {"in a release request", BYTES("\5\0\0\0\0\4\0"), false},
        {"in an association request", BYTES("\1\0\0\0\0\x44\0"), false},
        {"in a PDU that is skipped", BYTES("\4\0\0\0\0\10\0\0\0\4\1\2"), true},
        {"after a fault", BYTES("\4\0\0\0\0\1\0"), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pdu_reader r;
        struct pdu_event e = {.kind = PDU_EVENT_HEADER};
        pdu_reader_init(&r);
        for (size_t at = 0; at < cases[i].len && e.kind != PDU_EVENT_FAULT;)
            at += pdu_reader_next(&r, (const uint8_t *)cases[i].bytes + at, cases[i].len - at, &e);
        if (cases[i].skips)
            pdu_reader_skip(&r);
        if (pdu_reader_header_left(&r) != 0)
            fail_msg("%s %zu bytes are left", cases[i].why, pdu_reader_header_left(&r));
        pdu_reader_free(&r);
    }
}

/* A stream of three PDVs in two PDUs, of whose payload some passes elsewhere, at every place and in every amount: what is reported is
 * the rest, and the headers are found. */
static void payload_that_passes_elsewhere_is_counted_and_not_reported(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {4,  0,  0, 0,  0, 20, 0, 0, 0,  6,  1,  0,  10, 11,
                                    12, 13, 0, 0,  0, 6,  1, 0, 20, 21, 22, 23, 4,  0,
                                    0,  0,  0, 10, 0, 0,  0, 6, 1,  2,  30, 31, 32, 33};
    static const size_t payload[] = {12, 22, 38}; /* where it begins */
    for (unsigned which = 0; which < 3; which++)
        for (uint32_t before = 0; before < 4; before++)
            for (uint32_t n = 1; n <= 4 - before; n++) {
                struct pdu_reader r;
                struct pdu_event e;
                unsigned reported = 0, ends = 0, pdus = 0;
                pdu_reader_init(&r);
                for (size_t at = 0; at < sizeof bytes || r.at == PDU_AT_DATA_END;) {
                    if (at == payload[which] + before) {
                        assert_int_equal(r.pdv_size, 4);
                        assert_int_equal(r.pdv_left, 4 - before);
                        pdu_reader_pass(&r, n);
                        assert_int_equal(r.pdv_left, 4 - before - n);
                        at += n;
                        continue;
                    }
                    at += pdu_reader_next(&r, bytes + at, at < sizeof bytes, &e);
                    assert_int_not_equal(e.kind, PDU_EVENT_FAULT);
                    reported += e.kind == PDU_EVENT_FRAGMENT && e.piece_len == 1;
                    ends += e.kind == PDU_EVENT_FRAGMENT && e.is_pdv_end;
                    pdus += e.kind == PDU_EVENT_DATA_END;
                }
                assert_int_equal(reported, 12 - n);
                assert_int_equal(ends, before + n == 4 ? 2 : 3);
                assert_int_equal(pdus, 2);
                assert_int_equal(r.at, PDU_AT_HEADER);
                pdu_reader_free(&r);
            }
}

/* The greatest PDU there can be: its lengths fill 32 bits, and what passes is counted in as many. */
static void a_PDV_of_4_GiB_passes(void **state)
{
    (void)state;
    static const uint8_t header[] = {4, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfb, 1, 2};
    static const uint8_t last[] = {9};
    struct pdu_reader r;
    struct pdu_event e;
    pdu_reader_init(&r);
    for (size_t at = 0; at < sizeof header;)
        at += pdu_reader_next(&r, header + at, sizeof header - at, &e);
    assert_int_equal(r.pdv_size, 0xfffffff9);
    pdu_reader_pass(&r, 0x80000000);
    pdu_reader_pass(&r, 0x7ffffff8);
    assert_int_equal(r.pdv_left, 1);
    assert_int_equal(pdu_reader_next(&r, last, 1, &e), 1);
    assert_true(e.kind == PDU_EVENT_FRAGMENT && e.is_pdv_end && e.control == PDV_LAST);
    assert_int_equal(pdu_reader_next(&r, NULL, 0, &e), 0);
    assert_int_equal(e.kind, PDU_EVENT_DATA_END);
    pdu_reader_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_streams_are_cut_into_their_parts),
        cmocka_unit_test(unknown_pdu_types_are_unrecognised),
        cmocka_unit_test(no_pdu_length_can_lie),
        cmocka_unit_test(pdv_header_rejects_every_lying_length),
        cmocka_unit_test(memory_follows_what_came_and_not_what_was_announced),
        cmocka_unit_test(a_body_is_not_kept_past_the_next_call),
        cmocka_unit_test(a_fault_is_reported_again_and_swallows_everything),
        cmocka_unit_test(pieces_are_borrowed_from_the_input_and_count_what_follows),
        cmocka_unit_test(a_skipped_pdu_is_passed_over_whatever_it_holds),
        cmocka_unit_test(a_pdu_can_be_skipped_from_any_byte_of_it),
        cmocka_unit_test(what_is_left_of_headers_is_known_at_every_byte),
        cmocka_unit_test(no_header_is_left_elsewhere),
        cmocka_unit_test(payload_that_passes_elsewhere_is_counted_and_not_reported),
        cmocka_unit_test(a_PDV_of_4_GiB_passes),
    };
    return cmocka_run_group_tests_name("pdu/reader", tests, NULL, NULL);
}
