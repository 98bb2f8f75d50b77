#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "build.h"
#include "pdu/associate.h"

/* From a block that is exactly as long as the body. */
static enum result parse(const uint8_t *bytes, size_t len, bool is_ac, struct pdu_associate *out,
                         struct pdu_fault *fault)
{
    uint8_t *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    enum result r = pdu_associate_parse(exact, len, is_ac, out, fault);
    free(exact);
    return r;
}

static void assert_text(struct view v, const char *text)
{
    assert_int_equal(v.len, strlen(text));
    assert_memory_equal(v.at, text, v.len);
}

static void assert_common_sub_items(const struct pdu_associate *a)
{
    assert_true(a->has_max_length);
    assert_int_equal(a->max_length, 16384);
    assert_text(a->implementation_uid, "1.2.3.4");
    assert_true(a->has_async);
    assert_int_equal(a->async_invoked, 5);
    assert_int_equal(a->async_performed, 7);
    assert_int_equal(a->role_count, 1);
    assert_text(a->roles[0].uid, "1.2.840.10008.5.1.4.1.1.2");
    assert_false(a->roles[0].scu);
    assert_true(a->roles[0].scp);
    assert_text(a->implementation_version, "HILUM_1");
    assert_int_equal(a->extended_count, 1);
    assert_text(a->extended[0].uid, "1.2.840.10008.5.1.4.1.2.2.1");
    assert_int_equal(a->extended[0].info.len, 3);
    assert_memory_equal(a->extended[0].info.at, "\1\0\1", 3);
}

static void a_request_with_every_item_is_read(void **state)
{
    (void)state;
    struct build b;
    struct pdu_associate a;
    struct pdu_fault fault;
    build_full_rq(&b);
    assert_int_equal(parse(b.bytes, b.len, false, &a, &fault), OK);
    assert_false(a.is_ac);
    assert_int_equal(a.version, 1);
    assert_string_equal(a.called, "HILUM");
    assert_string_equal(a.calling, "CT1");
    assert_text(a.application_context, "1.2.840.10008.3.1.1.1");
    assert_int_equal(a.context_count, 2);
    assert_int_equal(a.contexts[0].id, 1);
    assert_text(a.contexts[0].abstract_syntax, "1.2.840.10008.1.1");
    assert_text(a.contexts[0].transfer_syntaxes[0], "1.2.840.10008.1.2");
    assert_ptr_equal(pdu_associate_context(&a, 255), &a.contexts[1]);
    assert_null(pdu_associate_context(&a, 3));
    assert_common_sub_items(&a);
    assert_int_equal(a.common_count, 1);
    assert_text(a.common[0].sop_class, "1.2.840.10008.5.1.4.1.1.88.40");
    assert_text(a.common[0].service_class, "1.2.840.10008.4.2");
    assert_int_equal(a.common[0].related_count, 2);
    assert_text(a.common[0].related[1], "1.2.840.10008.5.1.4.1.1.88.33");
    assert_true(a.has_identity && a.identity.wants_response);
    assert_int_equal(a.identity.type, 2);
    assert_text(a.identity.primary, "ann");
    assert_text(a.identity.secondary, "secret");
    assert_false(a.has_identity_response);
    pdu_associate_free(&a);
    assert_null(a.store.blocks);
}

static void an_accept_with_every_item_is_read(void **state)
{
    (void)state;
    struct build b;
    struct pdu_associate a;
    struct pdu_fault fault;
    build_full_ac(&b);
    assert_int_equal(parse(b.bytes, b.len, true, &a, &fault), OK);
    assert_true(a.is_ac);
    assert_int_equal(a.context_count, 2);
    assert_int_equal(a.contexts[0].result, PDU_CONTEXT_ACCEPTED);
    assert_text(a.contexts[0].transfer_syntaxes[0], "1.2.840.10008.1.2");
    assert_int_equal(a.contexts[1].result, PDU_CONTEXT_ABSTRACT_SYNTAX);
    assert_int_equal(a.contexts[1].transfer_syntax_count, 0); /* a rejected context may lack it */
    assert_common_sub_items(&a);
    assert_false(a.has_identity);
    assert_true(a.has_identity_response);
    assert_text(a.identity_response, "ticket");
    pdu_associate_free(&a);
}

static void every_prefix_of_a_body_is_malformed(void **state)
{
    (void)state;
    struct build b;
    struct pdu_associate a;
    struct pdu_fault fault;
    for (int is_ac = 0; is_ac < 2; is_ac++) {
        is_ac ? build_full_ac(&b) : build_full_rq(&b);
        for (size_t len = 0; len < b.len; len++) {
            assert_int_equal(parse(b.bytes, len, is_ac, &a, &fault), ERR_PROTO);
            assert_int_equal(fault.reason, PDU_ABORT_INVALID_PARAMETER);
            assert_non_null(fault.text);
            assert_null(a.store.blocks);
        }
    }
}

/* Lies that the bytes cannot show: what they say is another well-formed body. */
static bool is_invisible(const char *what, uint16_t truth, uint16_t lie)
{
    if (strcmp(what, "56 uid") == 0)
        return lie <=
               truth + 3; /* uid and application information share what is there: a cut elsewhere is a cut */
    if (strcmp(what, "57 list") == 0)
        return lie == 0; /* what follows the list is reserved, and not looked at */
    if (strcmp(what, "50") == 0)
        return lie == 0; /* then its sub-items stand among the items, well-formed and unknown */
    return false;
}

static void no_length_in_a_body_can_lie(void **state)
{
    (void)state;
    struct build b;
    struct pdu_associate a;
    struct pdu_fault fault;
    int told = 0;
    for (int is_ac = 0; is_ac < 2; is_ac++) {
        is_ac ? build_full_ac(&b) : build_full_rq(&b);
        for (size_t f = 0; f < b.field_count; f++) {
            uint8_t *at = b.bytes + b.fields[f].at;
            const uint16_t truth = get_be16(at);
            const uint16_t lies[] = {0,      1,     (uint16_t)(truth - 1), (uint16_t)(truth + 1), 0x7fff,
                                     0x8000, 0xffff};
            for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
                enum result want = is_invisible(b.fields[f].what, truth, lies[i]) ? OK : ERR_PROTO;
                put_be16(at, lies[i]);
                enum result r = parse(b.bytes, b.len, is_ac, &a, &fault);
                if (r == OK)
                    pdu_associate_free(&a);
                if (r != want)
                    fail_msg("%s: %u instead of %u is %s", b.fields[f].what, lies[i], truth, result_name(r));
                told++;
            }
            put_be16(at, truth);
        }
    }
    assert_int_equal(told, (25 + 15) * 7); /* length fields in the two bodies */
}

/* Each body lacks or has too much of one thing. */
static void no_application_context(struct build *b)
{
    build_context_rq(b, 1, "1.2", "1.3");
    build_user_information(b);
}

static void no_user_information(struct build *b)
{
    build_application_context(b);
    build_context_rq(b, 1, "1.2", "1.3");
}

static void no_abstract_syntax(struct build *b)
{
    build_application_context(b);
    build_context_rq(b, 1, NULL, "1.3");
    build_user_information(b);
}

static void empty_abstract_syntax(struct build *b)
{
    build_application_context(b);
    build_context_rq(b, 1, "", "1.3");
    build_user_information(b);
}

static void no_transfer_syntax(struct build *b)
{
    build_application_context(b);
    build_context_rq(b, 1, "1.2", NULL);
    build_user_information(b);
}

static void even_context_id(struct build *b)
{
    build_application_context(b);
    build_context_rq(b, 2, "1.2", "1.3");
    build_user_information(b);
}

static void zero_context_id(struct build *b)
{
    build_application_context(b);
    build_context_rq(b, 0, "1.2", "1.3");
    build_user_information(b);
}

static void same_context_id_twice(struct build *b)
{
    build_application_context(b);
    build_context_rq(b, 1, "1.2", "1.3");
    build_context_rq(b, 3, "1.2", "1.3");
    build_context_rq(b, 1, "1.2", "1.3");
    build_user_information(b);
}

static void context_without_fixed_fields(struct build *b)
{
    build_application_context(b);
    build_item(b, 0x20, "20", "\1");
    build_user_information(b);
}

static void contexts_129(struct build *b)
{
    build_application_context(b);
    for (int i = 0; i < 129; i++)
        build_context_rq(b, (uint8_t)(2 * i + 1), "1.2", "1.3");
    build_user_information(b);
}

static void trailing_bytes(struct build *b)
{
    no_user_information(b);
    build_user_information(b);
    build_bytes(b, "\0\0\0", 3);
}

static void accepted_without_transfer_syntax(struct build *b)
{
    build_application_context(b);
    build_context_ac(b, 1, 0, NULL);
    build_user_information(b);
}

static void what_a_body_must_have_is_missed(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        void (*make)(struct build *b);
        bool is_ac;
    } cases[] = {
        {"no application context", no_application_context, false},
        {"no user information", no_user_information, false},
        {"no abstract syntax", no_abstract_syntax, false},
        {"an abstract syntax of no characters names nothing", empty_abstract_syntax, false},
        {"no transfer syntax", no_transfer_syntax, false},
        {"even context id", even_context_id, false},
        {"context id 0", zero_context_id, false},
        {"context id twice", same_context_id_twice, false},
        {"context shorter than its fixed fields", context_without_fixed_fields, false},
        {"129 contexts", contexts_129, false},
        {"bytes after the last item", trailing_bytes, false},
        {"an accepted context needs a transfer syntax", accepted_without_transfer_syntax, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct build b;
        struct pdu_associate a;
        struct pdu_fault fault;
        build_fixed(&b);
        cases[i].make(&b);
        if (parse(b.bytes, b.len, cases[i].is_ac, &a, &fault) != ERR_PROTO)
            fail_msg("accepted: %s", cases[i].why);
        assert_int_equal(fault.reason, PDU_ABORT_INVALID_PARAMETER);
    }
}

static void contexts_up_to_128_are_read(void **state)
{
    (void)state;
    struct build b;
    struct pdu_associate a;
    struct pdu_fault fault;
    build_fixed(&b);
    build_application_context(&b);
    for (int i = 127; i >= 0; i--) /* in any order */
        build_context_rq(&b, (uint8_t)(2 * i + 1), "1.2", "1.3");
    build_user_information(&b);
    assert_int_equal(parse(b.bytes, b.len, false, &a, &fault), OK);
    assert_int_equal(a.context_count, 128);
    for (int id = 1; id < 256; id += 2)
        assert_int_equal(pdu_associate_context(&a, (uint8_t)id)->id, id);
    pdu_associate_free(&a);
}

/* What real peers send, and what the standard says to pass over. */
static void harmless_oddities_are_no_faults(void **state)
{
    (void)state;
    struct build b;
    struct pdu_associate a;
    struct pdu_fault fault;
    build_fixed(&b);
    size_t user = build_begin(&b, 0x50, "50"); /* 50 before 10 */
    build_item(&b, 0x5a, "5a", "unknown");
    build_item(&b, 0x55, "55", "FIRST");
    build_item(&b, 0x55, "55", "SECOND");
    build_item(&b, 0x52, "52", "1.2.3 ");
    build_item(&b, 0x59, "59", "of an AC, not of an RQ");
    size_t later = build_begin(&b, 0x57, "57");
    b.bytes[later + 1] = 1; /* a version of 57 that is not known */
    build_bytes(&b, "?", 1);
    build_end(&b, later);
    build_end(&b, user);
    build_item(&b, 0x99, "99", "an unknown item");
    build_item(&b, 0x21, "21", "\1");              /* of an AC, not of an RQ */
    build_context_rq(&b, 7, "1.2.840 ", "1.3 \0"); /* padded */
    build_item(&b, 0x50, "50", "\x51");            /* a second 50 is not looked into */
    build_application_context(&b);
    memset(b.bytes + 4, ' ', 32); /* blank titles */
    b.bytes[1] = 2;               /* a version without bit 0: for the user to reject */
    assert_int_equal(parse(b.bytes, b.len, false, &a, &fault), OK);
    assert_int_equal(a.version, 2);
    assert_string_equal(a.called, "");
    assert_string_equal(a.calling, "");
    assert_text(a.implementation_version, "FIRST");
    assert_text(a.implementation_uid, "1.2.3");
    assert_false(a.has_max_length);
    assert_int_equal(a.max_length, 0);
    assert_int_equal(a.common_count, 0);
    assert_int_equal(a.context_count, 1);
    assert_text(a.contexts[0].abstract_syntax, "1.2.840");
    assert_text(a.contexts[0].transfer_syntaxes[0], "1.3");
    pdu_associate_free(&a);
}

/* A PDV is 6 bytes and a fragment, which is even: to who takes less nothing can be sent. */
static void a_maximum_length_without_room_for_a_fragment_is_a_fault(void **state)
{
    (void)state;
    for (uint32_t length = 0; length <= 9; length++) {
        for (int is_ac = 0; is_ac < 2; is_ac++) {
            struct pdu_associate ours = {.is_ac = is_ac, .max_length = length, .has_max_length = true}, a;
            struct pdu_fault fault = {0};
            struct octets out = {0};
            pdu_associate_write(&ours, &out);
            bool is_fault = length > 0 && length < 8;
            enum result r = parse(out.data + PDU_HEADER_BYTES, out.len - PDU_HEADER_BYTES, is_ac, &a, &fault);
            assert_int_equal(r, is_fault ? ERR_PROTO : OK);
            if (is_fault) {
                assert_int_equal(fault.reason, PDU_ABORT_INVALID_PARAMETER);
                assert_string_equal(fault.text, "maximum length that is too small for a PDV");
            } else {
                assert_int_equal(a.max_length, length);
                pdu_associate_free(&a);
            }
            octets_free(&out);
        }
    }
}

static void titles_are_read_without_their_padding(void **state)
{
    (void)state;
    static const struct {
        const char *raw; /* 16 bytes */
        const char *title;
    } cases[] = {
        {"HILUM           ", "HILUM"},
        {"  HILUM         ", "HILUM"},
        {"HILUM\0\0\0\0\0\0\0\0\0\0", "HILUM"},
        {"HILUM  \0\0\0\0\0\0\0\0", "HILUM"},
        {"A TITLE IN WORDS", "A TITLE IN WORDS"},
        {"\0garbage after  ", ""},
        {"                ", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct build b;
        struct pdu_associate a;
        struct pdu_fault fault;
        build_full_rq(&b);
        memcpy(b.bytes + 4, cases[i].raw, 16);
        assert_int_equal(parse(b.bytes, b.len, false, &a, &fault), OK);
        assert_string_equal(a.called, cases[i].title);
        assert_memory_equal(a.called_raw, cases[i].raw, 16);
        pdu_associate_free(&a);
    }
}

static void titles_are_written_with_spaces(void **state)
{
    (void)state;
    uint8_t raw[16];
    pdu_title_write(raw, "CT1");
    assert_memory_equal(raw, "CT1             ", 16);
    pdu_title_write(raw, "");
    assert_memory_equal(raw, "                ", 16);
    pdu_title_write(raw, "SIXTEEN LETTERS!");
    assert_memory_equal(raw, "SIXTEEN LETTERS!", 16);
    pdu_title_write(raw, "SIXTEEN LETTERS! AND MORE");
    assert_memory_equal(raw, "SIXTEEN LETTERS!", 16);
}

static void memory_of_an_associate_is_zeroed_aligned_and_its_own(void **state)
{
    (void)state;
    struct pdu_associate a;
    struct view kept;
    pdu_associate_init(&a, false);
    for (size_t size = 1; size < 5000; size += 97) {
        uint8_t *p = pdu_associate_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, size);
    }
    assert_true(pdu_associate_keep(&a, (struct view){(const uint8_t *)"abc", 3}, &kept));
    assert_text(kept, "abc");
    assert_true(pdu_associate_keep(&a, (struct view){NULL, 0}, &kept));
    assert_int_equal(kept.len, 0);
    assert_null(pdu_associate_alloc(&a, SIZE_MAX));
    assert_false(pdu_associate_keep(&a, (struct view){(const uint8_t *)"abc", SIZE_MAX}, &kept));
    assert_int_equal(kept.len, 0);
    pdu_associate_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_with_every_item_is_read),
        cmocka_unit_test(an_accept_with_every_item_is_read),
        cmocka_unit_test(every_prefix_of_a_body_is_malformed),
        cmocka_unit_test(no_length_in_a_body_can_lie),
        cmocka_unit_test(what_a_body_must_have_is_missed),
        cmocka_unit_test(contexts_up_to_128_are_read),
        cmocka_unit_test(harmless_oddities_are_no_faults),
        cmocka_unit_test(a_maximum_length_without_room_for_a_fragment_is_a_fault),
        cmocka_unit_test(titles_are_read_without_their_padding),
        cmocka_unit_test(titles_are_written_with_spaces),
        cmocka_unit_test(memory_of_an_associate_is_zeroed_aligned_and_its_own),
    };
    return cmocka_run_group_tests_name("pdu/associate", tests, NULL, NULL);
}
