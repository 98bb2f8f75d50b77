#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "build.h"
#include "pdu/associate.h"
#include "pdu/write.h"
#include "trace.h"

static void assert_written(struct octets *out, const char *bytes, size_t len)
{
    assert_false(out->failed);
    assert_int_equal(out->len, len);
    assert_memory_equal(out->data, bytes, len);
    octets_free(out);
}

static void short_pdus_are_a_header_and_four_bytes(void **state)
{
    (void)state;
    struct octets out = {0};
    pdu_write_reject(
        &out, (struct pdu_reject){PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_LOCAL_LIMIT});
    assert_written(&out, "\3\0\0\0\0\4\0\2\3\2", 10);
    pdu_write_release_rq(&out);
    assert_written(&out, "\5\0\0\0\0\4\0\0\0\0", 10);
    pdu_write_release_rp(&out);
    assert_written(&out, "\6\0\0\0\0\4\0\0\0\0", 10);
    pdu_write_abort(&out, PDU_ABORT_PROVIDER, PDU_ABORT_INVALID_PARAMETER);
    assert_written(&out, "\7\0\0\0\0\4\0\0\2\6", 10);
}

static void pdus_are_appended_to_what_is_there(void **state)
{
    (void)state;
    struct octets out = {0};
    struct build b;
    struct pdu_associate a;
    struct pdu_fault fault;
    octets_u8(&out, 0xaa);
    pdu_write_release_rq(&out);
    build_full_ac(&b);
    assert_int_equal(pdu_associate_parse(b.bytes, b.len, true, &a, &fault), OK);
    pdu_associate_write(&a, &out);
    pdu_associate_free(&a);
    assert_int_equal(out.len, 1 + 10 + 6 + b.len);
    assert_memory_equal(out.data, "\xaa\5\0\0\0\0\4\0\0\0\0\2\0\0\0", 15);
    assert_int_equal(out.data[15] << 8 | out.data[16], b.len);
    assert_memory_equal(out.data + 17, b.bytes, b.len);
    octets_free(&out);
}

static void a_data_header_is_read_back_as_it_was_meant(void **state)
{
    (void)state;
    static const struct {
        uint32_t fragment_len;
        uint8_t id, control;
        const char *bytes;
    } cases[] = {
        {0, 1, PDV_LAST, "\4\0\0\0\0\6\0\0\0\2\1\2"},
        {2, 255, PDV_COMMAND, "\4\0\0\0\0\x8\0\0\0\4\xff\1"},
        {16378, 3, PDV_COMMAND | PDV_LAST, "\4\0\0\0\x40\0\0\0\x3f\xfc\3\3"},
        {0x00fffffa, 5, 0, "\4\0\1\0\0\0\0\xff\xff\xfc\5\0"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t header[PDU_DATA_HEADER_BYTES];
        pdu_write_data_header(header, cases[i].fragment_len, cases[i].id, cases[i].control);
        assert_memory_equal(header, cases[i].bytes, sizeof header);
    }
    uint8_t pdu[PDU_DATA_HEADER_BYTES + 2] = {0};
    char text[64];
    pdu_write_data_header(pdu, 2, 3, PDV_LAST);
    trace_reader(pdu, sizeof pdu, 1, text, sizeof text);
    assert_string_equal(text, "H4:8 D3/2:0000 E");
}

static void fragments_are_even_and_fit_the_peer(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        uint32_t peer, ours, fragment;
    } cases[] = {
        {"0 is no limit", 0, 131072, 131072},
        {"DCMTK", 16384, 131072, 16378},
        {"dcm4che", 16378, 131072, 16372},
        {"an odd maximum is rounded down", 16383, 131072, 16376},
        {"ours is smaller", 262144, 131072, 131072},
        {"just as much as ours", 131078, 131072, 131072},
        {"one less than ours", 131077, 131072, 131070},
        {"the greatest", UINT32_MAX, 131072, 131072},
        {"room for one pair of bytes", 8, 131072, 2},
        {"room for one byte", 7, 131072, 2},
        {"room for no byte", 6, 131072, 2},
        {"room for no PDV", 1, 131072, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t n = pdu_fragment_max(cases[i].peer, cases[i].ours);
        if (n != cases[i].fragment)
            fail_msg("%s: %u", cases[i].why, n);
    }
}

/* Whether writing ends in an assertion; in a process of its own. */
static bool writing_asserts(const struct pdu_associate *a)
{
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        struct octets out = {0};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        pdu_associate_write(a, &out);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void what_does_not_fit_its_length_field_is_our_own_mistake(void **state)
{
    (void)state;
    static uint8_t long_text[UINT16_MAX];
    struct pdu_associate a;
    struct octets out = {0};
    pdu_associate_init(&a, false);
    a.implementation_uid = (struct view){long_text, UINT16_MAX - 4}; /* 52 and its header fill 50 */
    pdu_associate_write(&a, &out);
    assert_false(out.failed);
    octets_free(&out);
    a.implementation_uid.len++;
    assert_true(writing_asserts(&a));
    a.implementation_uid.len = 0;
    a.contexts = pdu_associate_alloc(&a, sizeof *a.contexts);
    a.context_count = 1;
    assert_true(writing_asserts(&a)); /* context id 0 */
    a.contexts[0].id = 1;
    assert_false(writing_asserts(&a));
    pdu_associate_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_pdus_are_a_header_and_four_bytes),
        cmocka_unit_test(pdus_are_appended_to_what_is_there),
        cmocka_unit_test(a_data_header_is_read_back_as_it_was_meant),
        cmocka_unit_test(fragments_are_even_and_fit_the_peer),
        cmocka_unit_test(what_does_not_fit_its_length_field_is_our_own_mistake),
    };
    return cmocka_run_group_tests_name("pdu/write", tests, NULL, NULL);
}
