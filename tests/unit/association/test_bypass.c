/* Payload that passes from one association to others: what the destinations see, however the sender cuts it. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "association/inside.h"
#include "base/clock.h"
#include "pdu/write.h"
#include "scene.h"

/* --- content ----------------------------------------------------------------------------------------------- */

/* The sender's PDVs behind the first, which leads in. Maxima above and below what the sender sends, one of them odd. */
static void every_cut_of_the_data_set_arrives_as_it_was(void **state)
{
    static const struct {
        const char *what;
        size_t sizes[6];
        unsigned count;
        bool in_one_pdu;
    } cases[] = {
        {"one PDV more", {MIB}, 1, false},
        {"several", {64 * KIB, 128 * KIB, 40 * KIB, 300 * KIB}, 4, false},
        {"several in one PDU", {64 * KIB, 128 * KIB, 40 * KIB, 300 * KIB}, 4, true},
        {"about the least that passes", {32766, 32768, 32770, 32772, 32774, 40000}, 6, false},
        {"odd ones", {50001, 50001, 65537, 70000, 32771, 40001}, 6, false},
        {"odd ones in one PDU", {50001, 50001, 65537, 70000, 32771, 40001}, 6, true},
        {"small ones between", {100, 64 * KIB, 2, 64 * KIB, 1, 64 * KIB}, 6, false},
        {"small ones between in one PDU", {100, 64 * KIB, 2, 64 * KIB, 4, 64 * KIB}, 6, true},
        {"empty ones between", {0, 64 * KIB, 0, 0, 64 * KIB, 40 * KIB}, 6, false},
        {"empty ones between in one PDU", {0, 64 * KIB, 0, 0, 64 * KIB, 40 * KIB}, 6, true},
        {"a last one of two bytes", {64 * KIB, 2}, 2, false},
        {"an empty last one", {64 * KIB, 0}, 2, false},
        {"two empty last ones", {64 * KIB, 0, 0}, 3, false},
        {"an empty last one in the same PDU", {64 * KIB, 0}, 2, true},
        {"an empty last one behind an odd one", {65 * KIB + 1, 40001, 0}, 3, false},
    };
    static const uint32_t maxima[] = {40006, 64 * KIB, 100001, 1 << 20};
    struct scene *t = *state;
    for (unsigned m = 0; m < sizeof(maxima) / sizeof(*maxima); m++) {
        OPEN(t, maxima[m]);
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
            print_message("  %s, maximum %u\n", cases[i].what, maxima[m]);
            scene_new_script(t);
            scene_add_pdv(t, FIRST, 0);
            for (unsigned k = 0; k < cases[i].count && !cases[i].in_one_pdu; k++)
                scene_add_pdv(t, cases[i].sizes[k], k + 1 == cases[i].count ? PDV_LAST : 0);
            if (cases[i].in_one_pdu)
                scene_add_pdu(t, cases[i].sizes, cases[i].count, PDV_LAST);
            scene_begin_to_pass(t);
            scene_send_rest(t);
            scene_expect_whole(t, 0, maxima[m] - 6);
            assert_true(t->passed >= FIRST - LEAD - 2);
        }
        scene_close(t);
    }
}

static void a_sender_that_sends_byte_by_byte(void **state)
{
    struct scene *t = *state;
    OPEN(t, 40006);
    scene_new_script(t);
    scene_add_pdv(t, FIRST, 0);
    scene_add_pdv(t, 33 * KIB, 0);
    scene_add_pdv(t, 33 * KIB, PDV_LAST);
    scene_begin_to_pass(t);
    while (t->sent < t->script.len)
        scene_send_to(t, t->sent + 1);
    scene_expect_whole(t, 0, 40000);
    assert_int_equal(t->in_memory, LEAD + 2); /* all else passed, also the bytes that were kept in between */
}

/* The two bytes that are kept, and the header behind them: of a PDU of its own, or of a PDV in the same. */
static void headers_may_come_in_any_two_parts(void **state)
{
    static const size_t sizes[] = {FIRST, 40 * KIB, 34 * KIB};
    struct scene *t = *state;
    OPEN(t, 64 * KIB);
    for (unsigned in_one_pdu = 0; in_one_pdu < 2; in_one_pdu++) {
        size_t header = in_one_pdu ? PDU_PDV_HEADER_BYTES : PDU_DATA_HEADER_BYTES;
        for (size_t part = 0; part <= 2 + header; part++) {
            print_message("  %zu of %zu bytes\n", part, 2 + header);
            scene_new_script(t);
            for (unsigned k = 0; k < 3 && !in_one_pdu; k++)
                scene_add_pdv(t, sizes[k], k == 2 ? PDV_LAST : 0);
            if (in_one_pdu)
                scene_add_pdu(t, sizes, 3, PDV_LAST);
            scene_begin_to_pass(t);
            size_t next = PDU_DATA_HEADER_BYTES + FIRST; /* header */
            scene_send_apart(t, next - 2 + part);
            next += header + sizes[1];
            scene_send_apart(t, next - 2 + part);
            scene_send_rest(t);
            scene_expect_whole(t, 0, 64 * KIB - 6);
            assert_int_equal(t->in_memory, LEAD + 2);
        }
    }
}

/* The end of a PDV is a fragment of its own: it does not wait for the next to fill it. */
static void fragments_are_as_long_as_the_destination_takes(void **state)
{
    struct scene *t = *state;
    OPEN(t, 40 * KIB + 6);
    scene_new_script(t);
    for (unsigned k = 0; k < 4; k++)
        scene_add_pdv(t, 64 * KIB, k == 3 ? PDV_LAST : 0);
    scene_begin_to_pass(t);
    scene_send_rest(t);
    struct seen s = scene_expect_whole(t, 0, 40 * KIB);
    assert_int_equal(s.longest, 40 * KIB);
    assert_int_equal(s.fragments,
                     1 + 4 * 2 + 1); /* of memory; of each PDV; the last bytes of all, of memory */
}

/* --- the last bytes ---------------------------------------------------------------------------------------- */

/* Whatever has come: the user has not said that it is all. */
static void the_last_fragment_waits_for_the_user(void **state)
{
    struct scene *t = *state;
    OPEN(t, 64 * KIB);
    t->holds_end = true;
    scene_new_script(t);
    scene_add_pdv(t, FIRST, 0);
    scene_add_pdv(t, 200 * KIB, PDV_LAST);
    scene_begin_to_pass(t);
    scene_send_rest(t);
    TURN_UNTIL(t, t->from.data_ends);
    TURN_UNTIL(t, scene_look(t, 0).content == t->content.len - 2);
    assert_false(scene_look(t, 0).has_last);
    assert_int_equal(t->in_memory, LEAD + 2);
    assert_null(t->to[0].a.leg);
    scene_send_ends(t);
    scene_expect_whole(t, 0, 64 * KIB - 6);
}

/* All payload is here, and nothing says yet that no more comes: two bytes stay, or the last fragment would be empty. */
static void two_bytes_wait_for_what_the_next_header_says(void **state)
{
    static const struct {
        const char *what;
        size_t next;
        size_t in_memory;
    } cases[] = {
        {"the last, which is empty", 0, LEAD + 2},
        {"another large one", 40 * KIB, LEAD + 2},
        {"a small one", 100, LEAD + 2 + 100},
    };
    struct scene *t = *state;
    OPEN(t, 1 << 20);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        print_message("  %s\n", cases[i].what);
        scene_new_script(t);
        scene_add_pdv(t, FIRST, 0);
        scene_add_pdv(t, cases[i].next, PDV_LAST);
        scene_begin_to_pass(t);
        scene_send_apart(t, PDU_DATA_HEADER_BYTES + FIRST);
        TURN_UNTIL(t, scene_look(t, 0).content == FIRST - 2);
        assert_int_equal(t->passed, FIRST - LEAD - 2);
        assert_non_null(t->to[0].a.leg);
        scene_send_rest(t);
        scene_expect_whole(t, 0, MIB);
        assert_int_equal(t->in_memory, cases[i].in_memory);
    }
}

/* --- several destinations ---------------------------------------------------------------------------------- */

static void each_of_two_three_and_four_gets_all(void **state)
{
    static const uint32_t maxima[][LEGS] = {
        {40006, 1 << 20}, {64 * KIB, 50001, 40006}, {1 << 20, 64 * KIB, 100001, 40006}};
    struct scene *t = *state;
    for (unsigned m = 0; m < 3; m++) {
        scene_open(t, maxima[m]);
        scene_add_megabytes(t, 2);
        scene_begin_to_pass(t);
        scene_send_rest(t);
        for (unsigned i = 0; i < t->legs; i++)
            scene_expect_whole(t, i, maxima[m][i] - 6);
        assert_int_equal(t->in_memory, LEAD + 2);
        scene_close(t);
    }
}

static void one_that_reads_slowly_changes_nothing_for_the_others(void **state)
{
    static const uint32_t maxima[LEGS] = {64 * KIB, 40006, 1 << 20};
    struct scene *t = *state;
    for (unsigned slow = 0; slow < 3; slow++) {
        scene_open(t, maxima);
        scene_add_megabytes(t, 1);
        scene_make_slow(t, slow, 100);
        scene_begin_to_pass(t);
        scene_send_until_stuck(t, slow);
        assert_true(association_backlog(&t->to[slow].a) > 0);
        for (unsigned i = 0; i < 3; i++) /* they have got all that has come so far */
            TURN_UNTIL(t, i == slow || association_passing(&t->to[i].a) == 0);
        t->drip[slow] = 0;
        scene_send_rest(t);
        for (unsigned i = 0; i < 3; i++)
            scene_expect_whole(t, i, maxima[i] - 6);
        assert_int_equal(t->in_memory, LEAD + 2);
        scene_close(t);
    }
}

/* --- pipes ------------------------------------------------------------------------------------------------- */

/* A fan-out needs one for each: with one too few nothing passes, and nothing is lost. */
static void without_pipes_all_goes_through_memory(void **state)
{
    struct scene *t = *state;
    static struct io_pipe *pipes[IO_PIPES_MAX];
    for (unsigned left = 0; left < 2; left++) {
        OPEN(t, 64 * KIB, 40006);
        for (unsigned i = left; i < IO_PIPES_MAX; i++)
            assert_non_null(pipes[i] = io_pipe_take(t->loop.io));
        scene_add_megabytes(t, 1);
        scene_begin(t);
        scene_send_rest(t);
        scene_expect_whole(t, 0, 64 * KIB - 6);
        scene_expect_whole(t, 1, 40000);
        assert_int_equal(t->passed, 0);
        assert_true(t->asked > 0);
        if (left == 1) { /* it was of no use, and came back */
            assert_non_null(pipes[0] = io_pipe_take(t->loop.io));
            io_pipe_return(t->loop.io, &pipes[0]);
        }
        for (unsigned i = left; i < IO_PIPES_MAX; i++)
            io_pipe_return(t->loop.io, &pipes[i]);

        scene_add_megabytes(t, 1);
        scene_begin_to_pass(t);
        scene_send_rest(t);
        scene_expect_whole(t, 0, 64 * KIB - 6);
        scene_expect_whole(t, 1, 40000);
        scene_close(t);
    }
}
int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_set_up, scene_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_cut_of_the_data_set_arrives_as_it_was),
        TEST(a_sender_that_sends_byte_by_byte),
        TEST(headers_may_come_in_any_two_parts),
        TEST(fragments_are_as_long_as_the_destination_takes),
        TEST(the_last_fragment_waits_for_the_user),
        TEST(two_bytes_wait_for_what_the_next_header_says),
        TEST(each_of_two_three_and_four_gets_all),
        TEST(one_that_reads_slowly_changes_nothing_for_the_others),
        TEST(without_pipes_all_goes_through_memory),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does: splice into a broken connection raises it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
