/* Payload that passes from one association to others, and one of them ends, or says what does not belong there. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "association/inside.h"
#include "base/clock.h"
#include "pdu/write.h"
#include "scene.h"

/* --- ends of a destination --------------------------------------------------------------------------------- */

static void sink_closes(struct scene *t, unsigned leg)
{
    wire_close(&t->sinks[leg]);
}

static void reset(struct wire *w)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    wire_close(w);
}

static void sink_resets(struct scene *t, unsigned leg)
{
    reset(&t->sinks[leg]);
}

static void sink_aborts(struct scene *t, unsigned leg)
{
    wire_send_abort(&t->sinks[leg]);
}

static void sink_talks_nonsense(struct scene *t, unsigned leg)
{
    wire_send(&t->sinks[leg], "GET / HTTP/1.1\r\n\r\n", 18);
}

static void user_aborts(struct scene *t, unsigned leg)
{
    association_abort(&t->to[leg].a, "by choice");
}

static const struct {
    const char *what;
    void (*happens)(struct scene *t, unsigned leg);
    enum association_end how;
} leg_ends[] = {
    {"it closes", sink_closes, ASSOCIATION_LOST},
    {"it resets", sink_resets, ASSOCIATION_LOST},
    {"it aborts", sink_aborts, ASSOCIATION_ABORTED},
    {"it sends what is no PDU", sink_talks_nonsense, ASSOCIATION_FAULT},
    {"we abort it", user_aborts, ASSOCIATION_CLOSED},
};

enum { LEG_ENDS = sizeof(leg_ends) / sizeof(*leg_ends) };

/* In the middle of a fragment of every destination. */
static size_t amid(const struct scene *t)
{
    return t->script.len / 2 + 1001;
}

static void one_that_goes_does_not_disturb_the_others(void **state)
{
    struct scene *t = *state;
    for (unsigned i = 0; i < 6 * LEG_ENDS; i++) {
        unsigned leg = i % 3, kind = i / 6;
        bool is_stuck = i / 3 % 2;
        print_message("  %s: %u%s\n", leg_ends[kind].what, leg, is_stuck ? ", with bytes on the way" : "");
        OPEN(t, 64 * KIB, 40006, 1 << 20);
        scene_add_megabytes(t, 2);
        scene_begin_to_pass(t);
        if (is_stuck) {
            scene_make_slow(t, leg, 1);
            scene_send_until_stuck(t, leg);
        } else {
            scene_send_to(t, amid(t));
            TURN_UNTIL(t, scene_look(t, leg).content > MIB / 2);
        }
        leg_ends[kind].happens(t, leg);
        t->drip[leg] = 0;
        TURN_UNTIL(t, t->to[leg].ends);
        assert_int_equal(t->to[leg].how, leg_ends[kind].how);
        scene_send_rest(t);
        for (unsigned k = 0; k < 3; k++)
            if (k != leg)
                scene_expect_whole(t, k, MIB);
            else if (t->sinks[k].fd >= 0)
                scene_expect_cut(t, k);
        assert_int_equal(t->in_memory, LEAD + 2);
        scene_close(t);
    }
}

/* Nobody is left: what still comes is the user's. */
static void the_only_one_goes_and_the_sender_is_read_on(void **state)
{
    struct scene *t = *state;
    for (unsigned i = 0; i < LEG_ENDS; i++) {
        print_message("  %s\n", leg_ends[i].what);
        OPEN(t, 64 * KIB);
        scene_add_megabytes(t, 2);
        scene_begin_to_pass(t);
        scene_send_to(t, amid(t));
        TURN_UNTIL(t, scene_look(t, 0).content > MIB / 2);
        leg_ends[i].happens(t, 0);
        TURN_UNTIL(t, t->to[0].ends);
        assert_int_equal(t->to[0].how, leg_ends[i].how);
        scene_send_rest(t);
        TURN_UNTIL(t, t->from.data_ends);
        assert_in_range(t->in_memory + t->passed, t->total - 2,
                        t->total); /* two bytes may have been kept for it */
        assert_true(t->in_memory > MIB / 2);
        if (t->sinks[0].fd >= 0)
            scene_expect_cut(t, 0);
        scene_close(t);
    }
}

/* A pipe that has fewer slots than the one it is a copy of. */
static void one_whose_copy_has_no_room_goes_alone(void **state)
{
    struct scene *t = *state;
    OPEN(t, 64 * KIB, 64 * KIB);
    struct io_pipe *small = io_pipe_take(t->loop.io), *good = io_pipe_take(t->loop.io);
    assert_true(fcntl(small->write_end, F_SETPIPE_SZ, 4096) >= 4096);
    io_pipe_return(t->loop.io, &small);
    io_pipe_return(t->loop.io, &good); /* the last one back is the first one taken */
    scene_add_megabytes(t, 1);
    scene_begin_to_pass(t);
    scene_send_rest(t);
    scene_expect_whole(t, 0, 64 * KIB - 6);
    TURN_UNTIL(t, t->to[1].ends);
    assert_int_equal(t->to[1].how, ASSOCIATION_CLOSED);
    assert_string_equal(t->to[1].why, "the system has no room for a copy of the data");
    scene_expect_cut(t, 1);
}

/* --- ends of the sender ------------------------------------------------------------------------------------ */

static void sender_closes(struct scene *t)
{
    wire_close(&t->sender);
}

static void sender_resets(struct scene *t)
{
    reset(&t->sender);
}

static void sender_is_aborted(struct scene *t)
{
    association_abort(&t->from.a, "by choice");
}

static const struct {
    const char *what;
    void (*happens)(struct scene *t);
    enum association_end how;
} sender_ends[] = {
    {"it closes", sender_closes, ASSOCIATION_LOST},
    {"it resets", sender_resets, ASSOCIATION_LOST},
    {"we abort it", sender_is_aborted, ASSOCIATION_CLOSED},
};

/* Our A-ABORT inside a fragment would be payload; between two it is said. */
static void a_sender_that_goes_leaves_nothing_that_looks_whole(void **state)
{
    static const struct {
        const char *where;
        size_t left; /* of the second PDV, not sent */
        bool is_inside;
    } places[] = {
        {"inside a PDV", 100 * KIB, true},
        {"where two bytes would be kept", 2, false},
        {"after one of the two", 1, false},
        {"between two PDUs", 0, false},
    };
    struct scene *t = *state;
    for (unsigned i = 0; i < 12; i++) {
        print_message("  %s %s\n", sender_ends[i / 4].what, places[i % 4].where);
        OPEN(t, 1 << 20, 40006);
        scene_add_megabytes(t, 1);
        scene_begin_to_pass(t);
        scene_send_apart(t, 2 * PDU_DATA_HEADER_BYTES + FIRST + 256 * KIB - places[i % 4].left);
        sender_ends[i / 4].happens(t);
        TURN_UNTIL(t, t->from.ends);
        assert_int_equal(t->from.how, sender_ends[i / 4].how);
        for (unsigned leg = 0; leg < 2; leg++) {
            struct seen s = scene_expect_cut(t, leg);
            assert_int_equal(s.is_cut, places[i % 4].is_inside);
            assert_int_equal(s.has_abort, !places[i % 4].is_inside);
            assert_int_equal(t->to[leg].how, ASSOCIATION_CLOSED);
        }
        assert_int_equal(t->from.data_ends, 0);
        scene_close(t);
    }
}

/* --- what comes behind a large PDV ------------------------------------------------------------------------- */

struct outcome {
    bool is_whole, is_aborted; /* the destination's */
    bool has_ended;            /* the sender's */
    enum association_end how;
    char why[96];
    struct octets told; /* to the sender */
};

/* A large PDV, then these bytes, sent from there on in pieces (0: at once). */
static struct outcome play(struct scene *t, const uint8_t *tail, size_t len, size_t piece)
{
    struct outcome o = {0};
    OPEN(t, 64 * KIB);
    scene_new_script(t);
    scene_add_pdv(t, FIRST, 0);
    scene_add_pdv(t, 100 * KIB, 0);
    octets_append(&t->script, tail, len);
    scene_begin(t);
    scene_send_to(t, t->script.len - len);
    for (size_t at = t->script.len - len; piece > 0 && at + piece < t->script.len; at += piece)
        scene_send_to(t, at + piece);
    scene_send_rest(t);
    TURN_UNTIL(t, t->from.ends || t->from.data_ends);
    TURN_UNTIL(t, t->to[0].ends || scene_look(t, 0).has_last);
    TURN_UNTIL(t, scene_look(t, 0).has_last || scene_look(t, 0).has_abort || t->sinks[0].is_closed);
    if (t->from.ends)
        LOOP_UNTIL(&t->loop, (wire_poll(&t->sender), t->sender.came.len > 0 || t->sender.is_closed));
    struct seen s = scene_look(t, 0);
    o.is_whole = s.has_last;
    o.is_aborted = s.has_abort;
    o.has_ended = t->from.ends > 0;
    o.how = t->from.how;
    snprintf(o.why, sizeof(o.why), "%s", t->from.why);
    octets_append(&o.told, t->sender.came.data, t->sender.came.len);
    assert_int_equal(t->passed > 0, !t->only_memory);
    scene_close(t);
    return o;
}

static void expect_same(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->is_whole, b->is_whole);
    assert_int_equal(a->is_aborted, b->is_aborted);
    assert_int_equal(a->has_ended, b->has_ended);
    assert_int_equal(a->how, b->how);
    assert_string_equal(a->why, b->why);
    assert_int_equal(a->told.len, b->told.len);
    if (a->told.len > 0)
        assert_memory_equal(a->told.data, b->told.data, a->told.len);
}

static void what_comes_behind_a_large_one_is_read_as_from_memory(void **state)
{
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})
    const struct {
        const char *what;
        const uint8_t *bytes;
        size_t len;
        bool is_whole; /* the message is */
    } cases[] = {
        /* type, reserved, length (4), item length (4), context, control: 1 command, 2 last */
        {"an empty last PDV", BYTES(4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 2), true},
        {"an empty PDV, then an empty last one", BYTES(4, 0, 0, 0, 0, 12, 0, 0, 0, 2, 1, 0, 0, 0, 0, 2, 1, 2),
         true},
        {"an A-ABORT", BYTES(7, 0, 0, 0, 0, 4, 0, 0, 2, 1), false},
        {"an empty PDV, then an A-ABORT",
         BYTES(4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 0, 7, 0, 0, 0, 0, 4, 0, 0, 0, 0), false},
        {"a request for release", BYTES(5, 0, 0, 0, 0, 4, 0, 0, 0, 0), false},
        {"a command fragment", BYTES(4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 1, 3, 0, 0), false},
        {"an empty command fragment", BYTES(4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 3), false},
        {"another context", BYTES(4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 3, 0, 'a', 'b'), false},
        {"another context, empty and last", BYTES(4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 3, 2), false},
        {"an even context", BYTES(4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 2, 0, 'a', 'b'), false},
        {"another context, and large", BYTES(4, 0, 0, 1, 0, 6, 0, 1, 0, 2, 3, 0, 'a', 'b'), false},
        {"a large command fragment", BYTES(4, 0, 0, 1, 0, 6, 0, 1, 0, 2, 1, 1, 'a', 'b'), false},
        {"a PDV past its PDU", BYTES(4, 0, 0, 0, 0, 8, 0, 1, 0, 2, 1, 0, 'a', 'b'), false},
        {"a PDV of length 1", BYTES(4, 0, 0, 0, 0, 8, 0, 0, 0, 1, 1, 0, 'a', 'b'), false},
        {"a PDU too short for a PDV", BYTES(4, 0, 0, 0, 0, 5, 0, 0, 0, 1, 1), false},
        {"an association request", BYTES(1, 0, 0, 0, 0, 68, 0, 1, 0, 0, 'A', 'R', 'C', 'H'), false},
        {"a type that is none", BYTES(8, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0), false},
        {"garbage", (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18, false},
    };
#undef BYTES
    struct scene *t = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        print_message("  %s\n", cases[i].what);
        t->only_memory = true;
        struct outcome memory = play(t, cases[i].bytes, cases[i].len, 0);
        assert_int_equal(memory.is_whole, cases[i].is_whole);
        t->only_memory = false;
        for (size_t piece = 0; piece < 8; piece++) {
            struct outcome o = play(t, cases[i].bytes, cases[i].len, piece);
            expect_same(&o, &memory);
            octets_free(&o.told);
        }
        octets_free(&memory.told);
    }
}

/* --- callbacks that end it --------------------------------------------------------------------------------- */

static void abort_sender(struct scene *t)
{
    association_abort(&t->from.a, "from inside");
}

static void close_sender(struct scene *t)
{
    if (!t->from.a.is_closing)
        association_close(&t->from.a);
    t->from.ends += t->from.ends == 0; /* no word comes of an end by choice */
}

static void abort_first(struct scene *t)
{
    association_abort(&t->to[0].a, "from inside");
}

static void abort_all(struct scene *t)
{
    for (unsigned i = 0; i < t->legs; i++)
        association_abort(&t->to[i].a, "from inside");
}

static void act_once_it_passes(struct scene *t)
{
    if (t->passed >= 100 * KIB)
        t->act(t);
}

/* Nothing is told after the end, and nothing of it is touched after it is gone (ASan). */
static void every_callback_may_end_any_of_them(void **state)
{
    static void (*const acts[])(struct scene * t) = {abort_sender, close_sender, abort_first, abort_all};
    struct scene *t = *state;
    for (unsigned i = 0; i < 8; i++) {
        OPEN(t, 64 * KIB, 40006);
        scene_add_megabytes(t, 1);
        t->act = acts[i / 2];
        t->on_passed = i % 2 ? act_once_it_passes : NULL;
        t->on_sent = i % 2 ? NULL : act_once_it_passes;
        scene_begin_to_pass(t);
        scene_send_rest(t);
        if (t->act == abort_sender || t->act == close_sender)
            TURN_UNTIL(t, t->from.a.has_ended);
        else
            TURN_UNTIL(t, t->from.data_ends && t->to[0].ends);
        if (t->act == abort_first)
            scene_expect_whole(t, 1, 40000);
        else if (t->act == abort_all)
            TURN_UNTIL(t, t->to[1].ends);
        scene_close(t);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, scene_set_up, scene_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_goes_does_not_disturb_the_others),
        TEST(the_only_one_goes_and_the_sender_is_read_on),
        TEST(one_whose_copy_has_no_room_goes_alone),
        TEST(a_sender_that_goes_leaves_nothing_that_looks_whole),
        TEST(what_comes_behind_a_large_one_is_read_as_from_memory),
        TEST(every_callback_may_end_any_of_them),
    };
    signal(SIGPIPE, SIG_IGN); /* as the program does: splice into a broken connection raises it */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
