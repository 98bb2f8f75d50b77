#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../loop.h"
#include "base/clock.h"
#include "stream/stream.h"

/* A stream, its user, and the peer's end of the connection as a plain descriptor that never waits. */
struct side {
    struct loop loop;
    struct stream stream;
    struct slices kept; /* all that came and was not dropped */
    struct buf *last;
    uint64_t came, sent;
    unsigned buffers; /* how often another buffer than before was handed on */
    unsigned lost, closed, hung_up;
    enum io_error lost_error;
    bool drops, closes_at_once;
    size_t most; /* that a receive may take; 0: none */
    unsigned asked;
    int peer;
};

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

static void on_bytes(struct stream *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct side *side = s->owner;
    assert_int_equal(side->lost + side->closed, 0);
    assert_true(at >= b->data && at + len <= b->data + b->used);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(at[i], byte_at(side->came + i));
    side->came += len;
    side->buffers += b != side->last;
    side->last = b;
    if (!side->drops)
        assert_true(slices_push(&side->kept, b, at, len));
    if (side->closes_at_once)
        stream_close(s);
}

static void on_sent(struct stream *s, size_t n)
{
    ((struct side *)s->owner)->sent += n;
}

static void on_lost(struct stream *s, enum io_error error)
{
    struct side *side = s->owner;
    side->lost++;
    side->lost_error = error;
}

static void on_closed(struct stream *s)
{
    ((struct side *)s->owner)->closed++;
}

static void on_hung_up(struct stream *s)
{
    ((struct side *)s->owner)->hung_up++;
}

static size_t may_receive(struct stream *s)
{
    struct side *side = s->owner;
    side->asked++;
    return side->most;
}

static const struct stream_user user = {
    .on_bytes = on_bytes, .on_sent = on_sent, .on_lost = on_lost, .on_closed = on_closed};
static const struct stream_user portioning_user = {.on_bytes = on_bytes,
                                                   .on_sent = on_sent,
                                                   .may_receive = may_receive,
                                                   .on_lost = on_lost,
                                                   .on_hung_up = on_hung_up,
                                                   .on_closed = on_closed};

static void make_pair(int *one, int *two)
{
    loop_connect_pair(one, two);
    fcntl(*two, F_SETFL, O_NONBLOCK);
}

static void side_open_for(struct side *side, uint64_t memory, const struct stream_user *its_user)
{
    int fd;
    memset(side, 0, sizeof(*side));
    loop_open(&side->loop, memory);
    make_pair(&fd, &side->peer);
    assert_true(stream_open(&side->stream, side->loop.io, &side->loop.pool, fd, its_user, side));
}

static void side_open(struct side *side, uint64_t memory)
{
    side_open_for(side, memory, &user);
}

/* A side that decides how much each receive may take, at first nothing. */
static int set_up_portions(void **state)
{
    struct side *side = malloc(sizeof(*side));
    assert_non_null(side);
    side_open_for(side, 64 << 20, &portioning_user);
    *state = side;
    return 0;
}

static int set_up(void **state)
{
    struct side *side = malloc(sizeof(*side));
    assert_non_null(side);
    side_open(side, 64 << 20);
    *state = side;
    return 0;
}

static int tear_down(void **state)
{
    struct side *side = *state;
    stream_close(&side->stream);
    LOOP_UNTIL(&side->loop, side->closed);
    slices_clear(&side->kept);
    if (side->peer >= 0)
        close(side->peer);
    loop_turn(&side->loop);
    assert_int_equal(side->closed, 1);
    loop_close(&side->loop);
    free(side);
    return 0;
}

/* Writes what the peer's socket takes of `len` bytes that begin at position `from`; returns how many. */
static size_t peer_send(struct side *side, size_t from, size_t len)
{
    uint8_t bytes[4096];
    size_t total = 0;
    while (total < len) {
        size_t n = len - total < sizeof(bytes) ? len - total : sizeof(bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = byte_at(from + total + i);
        ssize_t sent = send(side->peer, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        total += (size_t)sent;
    }
    return total;
}

static size_t peer_receive(struct side *side, size_t from)
{
    static uint8_t bytes[256 << 10];
    ssize_t n = recv(side->peer, bytes, sizeof(bytes), 0);
    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], byte_at(from + (size_t)i));
    return n > 0 ? (size_t)n : 0;
}

/* --- receiving --------------------------------------------------------------------------------------------- */

static void bytes_are_handed_on_as_they_come(void **state)
{
    struct side *side = *state;
    enum { LEN = 5000001 };
    size_t sent = 0;
    side->drops = true;
    while (sent < LEN) {
        sent += peer_send(side, sent, LEN - sent);
        uint64_t before = side->came;
        LOOP_UNTIL(&side->loop, side->came > before);
    }
    LOOP_UNTIL(&side->loop, side->came == LEN);
    assert_int_equal(side->stream.received_bytes, LEN);
    assert_int_equal(side->stream.budget->held, 0); /* at rest it holds nothing */
}

static void a_thousand_segments_of_one_byte_pin_few_buffers(void **state)
{
    struct side *side = *state;
    enum { SEGMENTS = 1000 };
    for (size_t i = 0; i < SEGMENTS; i++) { /* each in a receive of its own, and all are kept */
        assert_int_equal(peer_send(side, i, 1), 1);
        LOOP_UNTIL(&side->loop, side->came == i + 1);
    }
    assert_int_equal(side->kept.bytes, SEGMENTS);
    assert_true(side->stream.budget->held <= 2);
    assert_true(side->kept.count <= 2); /* joined again: they lie one behind the other */
    slices_clear(&side->kept);
    assert_int_equal(side->stream.budget->held, 0); /* the stream itself holds none */
}

/* Segments of different sizes around the limits of joining; everything is kept. */
static void segments_of_any_size_pin_less_than_four_times_their_bytes(void **state)
{
    struct side *side = *state;
    static const size_t sizes[] = {1, 100, 16383, 16384, 3, 16385, 40000, 5, 16000, 65536, 7};
    size_t from = 0;
    stream_set_limit(&side->stream, 1000);
    for (unsigned round = 0; round < 11 * 20; round++) {
        size_t n = sizes[round % 11];
        while (n > 0) {
            size_t sent = peer_send(side, from, n);
            from += sent;
            n -= sent;
            LOOP_UNTIL(&side->loop, side->came == from);
        }
    }
    assert_int_equal(side->kept.bytes, from);
    assert_true((uint64_t)side->stream.budget->held * BUF_BYTES < 4 * from + 2 * BUF_BYTES);
}

/* Middling segments are not worth a copy while few are held; gathered in number they fill their buffers. */
static void many_middling_segments_fill_their_buffers(void **state)
{
    struct side *side = *state;
    enum { SEGMENTS = 100, LEN = 20000, ALONE = 8, EACH = BUF_BYTES / LEN };
    stream_set_limit(&side->stream, 1000);
    for (size_t i = 0; i < SEGMENTS; i++) {
        for (size_t sent = 0; sent < LEN;)
            sent += peer_send(side, i * LEN + sent, LEN - sent);
        LOOP_UNTIL(&side->loop, side->came == (i + 1) * LEN);
    }
    assert_int_equal(side->kept.bytes, SEGMENTS * LEN);
    assert_true(side->stream.budget->held <= ALONE + SEGMENTS / EACH + 1);
}

static void receiving_pauses_at_the_limit_and_goes_on(void **state)
{
    struct side *side = *state;
    size_t sent = 0;
    stream_set_limit(&side->stream, 1); /* fewer than the least is the least */
    assert_int_equal(side->stream.limit, STREAM_LIMIT_MIN);
    while (!stream_is_full(&side->stream)) {
        sent += peer_send(side, sent, 100000);
        loop_turn(&side->loop);
    }
    for (unsigned i = 0; i < 5; i++) { /* more lies there, and stays there */
        sent += peer_send(side, sent, 100000);
        loop_turn(&side->loop);
    }
    assert_int_equal(side->stream.budget->held, STREAM_LIMIT_MIN);
    uint64_t came = side->came;
    assert_true(came <= STREAM_LIMIT_MIN * BUF_BYTES);
    assert_true(sent > came);

    slices_consume(&side->kept, side->kept.bytes / 2); /* some come back */
    LOOP_UNTIL(&side->loop, side->came > came);
    assert_true(side->stream.budget->held <= STREAM_LIMIT_MIN);
    side->drops = true;
    slices_clear(&side->kept);
    LOOP_UNTIL(&side->loop, side->came == sent);
}

static void a_user_who_wants_no_bytes_gets_none_until_he_does(void **state)
{
    struct side *side = *state;
    side->drops = true;
    assert_int_equal(peer_send(side, 0, 10), 10);
    LOOP_UNTIL(&side->loop, side->came == 10);
    stream_set_reading(&side->stream, false);
    assert_int_equal(peer_send(side, 10, 10), 10); /* what was asked for already may come */
    LOOP_UNTIL(&side->loop, side->came == 20);
    assert_int_equal(peer_send(side, 20, 10), 10);
    unsigned wakes = side->loop.wakes;
    LOOP_UNTIL(&side->loop, side->loop.wakes > wakes + 1);
    assert_int_equal(side->came, 20);
    stream_set_reading(&side->stream, true);
    LOOP_UNTIL(&side->loop, side->came == 30);
}

/* A pool for two, both wanted by three: nobody starves, and bytes that wait are not lost. */
static void streams_share_a_small_pool(void **state)
{
    (void)state;
    struct side *first = malloc(sizeof(*first));
    assert_non_null(first);
    side_open(first, 2 * BUF_BYTES);
    struct side others[2];
    for (unsigned i = 0; i < 2; i++) {
        int fd;
        memset(&others[i], 0, sizeof(others[i]));
        make_pair(&fd, &others[i].peer);
        assert_true(stream_open(&others[i].stream, first->loop.io, &first->loop.pool, fd, &user, &others[i]));
    }
    struct side *all[] = {first, &others[0], &others[1]};
    for (unsigned i = 0; i < 3; i++) /* all keep what they get */
        assert_int_equal(peer_send(all[i], 0, 100), 100);
    LOOP_UNTIL(&first->loop, pool_available(&first->loop.pool) == 0);
    unsigned wakes = first->loop.wakes;
    LOOP_UNTIL(&first->loop, first->loop.wakes > wakes + 1);
    unsigned served = 0;
    for (unsigned i = 0; i < 3; i++)
        served += all[i]->came == 100;
    assert_int_equal(served, 2);
    for (unsigned i = 0; i < 3; i++) {
        all[i]->drops = true;
        slices_clear(&all[i]->kept);
    }
    LOOP_UNTIL(&first->loop, all[0]->came == 100 && all[1]->came == 100 && all[2]->came == 100);
    for (unsigned i = 0; i < 2; i++) {
        stream_close(&others[i].stream);
        LOOP_UNTIL(&first->loop, others[i].closed);
        close(others[i].peer);
    }
    void *last = first;
    tear_down(&last);
}

/* --- sending ----------------------------------------------------------------------------------------------- */

static void peer_resets(struct side *side)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(side->peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(side->peer);
    side->peer = -1;
}

static void note_short(void *arg)
{
    ++*(unsigned *)arg;
}

/* Everything of the pool is out, but what is posted in the ring. */
static void use_up(struct side *side, struct slices *held)
{
    struct buf *b;
    while ((b = buf_new(&side->loop.pool))) {
        assert_true(slices_push(held, b, b->data, 1));
        buf_unref(&b);
    }
}

/* A pool that is used up is told so by who waits for it, and he is served when buffers come back. */
static void who_has_to_wait_for_the_pool_tells_it(void **state)
{
    struct side *side = *state;
    struct slices held = {0};
    unsigned told = 0;
    side->loop.pool.on_short = note_short;
    side->loop.pool.on_short_arg = &told;
    use_up(side, &held);
    size_t sent = peer_send(side, 0, 1 << 20); /* more than what is posted */
    LOOP_UNTIL(&side->loop, told);
    assert_true(side->came < sent);
    side->drops = true;
    slices_clear(&side->kept);
    slices_clear(&held);
    LOOP_UNTIL(&side->loop, side->came == sent);
}

/* Those who hold the pool may be waiting for just what comes here. */
static void a_lean_stream_needs_nothing_of_a_pool_that_is_used_up(void **state)
{
    struct side *side = *state;
    struct slices held = {0};
    unsigned told = 0;
    side->loop.pool.on_short = note_short;
    side->loop.pool.on_short_arg = &told;
    side->stream.is_lean = side->drops = true;
    loop_turn(&side->loop);
    use_up(side, &held);
    size_t sent = 0;
    for (unsigned i = 0; i < 100; i++) {
        size_t n = peer_send(side, sent, 5000);
        sent += n;
        LOOP_UNTIL(&side->loop, side->came == sent);
        use_up(side, &held); /* also what the ring gives back */
    }
    assert_int_equal(told, 0);
    assert_int_equal(side->loop.pool.in_use, side->loop.pool.cap);
    peer_resets(side); /* and a loss is told all the same */
    LOOP_UNTIL(&side->loop, side->lost);
    slices_clear(&held);
}

static void bytes_are_sent_in_order_whoever_holds_them(void **state)
{
    struct side *side = *state;
    enum { LEN = 6000000 };
    size_t queued = 0, came = 0;
    while (queued < LEN) {
        size_t n = queued % 9001 + 1;
        struct buf *b = buf_scratch(&side->loop.pool, n);
        assert_non_null(b);
        for (size_t i = 0; i < n; i++)
            b->data[i] = byte_at(queued + i);
        if (queued % 2)
            assert_true(stream_send(&side->stream, b, b->data, (uint32_t)n));
        else
            assert_true(stream_send_bytes(&side->stream, b->data, n));
        buf_unref(&b);
        queued += n;
    }
    assert_int_equal(side->sent, 0); /* not from inside */
    while (came < queued) {
        loop_turn(&side->loop);
        came += peer_receive(side, came);
    }
    LOOP_UNTIL(&side->loop, side->sent == queued);
    assert_int_equal(side->stream.sending.bytes, 0);
    assert_int_equal(side->stream.sent_bytes, queued);
    assert_int_equal(peer_receive(side, came), 0);
}

/* --- past the stream --------------------------------------------------------------------------------------- */

static void turn_twice(struct side *side)
{
    unsigned wakes = side->loop.wakes;
    LOOP_UNTIL(&side->loop, side->loop.wakes > wakes + 1);
}

static void nothing_is_received_before_the_user_is_ready(void **state)
{
    struct side *side = *state;
    assert_int_equal(side->asked, 1); /* by stream_open */
    assert_int_equal(peer_send(side, 0, 1000), 1000);
    turn_twice(side);
    assert_int_equal(side->came, 0);
    assert_false(side->stream.receive_op.is_pending);
    stream_look_again(&side->stream); /* and it is still not */
    turn_twice(side);
    assert_int_equal(side->asked, 2);
    assert_false(side->stream.receive_op.is_pending);
    side->most = SIZE_MAX;
    stream_look_again(&side->stream);
    LOOP_UNTIL(&side->loop, side->came == 1000);
}

/* What is not asked for stays in the socket, for whoever takes it from there. */
static void a_receive_takes_no_more_than_the_user_allows(void **state)
{
    struct side *side = *state;
    static const size_t portions[] = {1, 12, 14, 4096, 65535, 65536, 65537, 131072, 200000, 1};
    size_t sent = 0, expected = 0;
    side->drops = true;
    for (unsigned i = 0; i < sizeof(portions) / sizeof(portions[0]); i++) {
        while (sent < expected + portions[i] + 100000)
            sent += peer_send(side, sent, expected + portions[i] + 100000 - sent);
        unsigned asked = side->asked;
        side->most = portions[i];
        stream_look_again(&side->stream);
        LOOP_UNTIL(&side->loop, side->asked > asked);
        side->most = 0;
        uint64_t before = side->came;
        LOOP_UNTIL(&side->loop, side->came > before);
        turn_twice(side);
        assert_in_range(side->came, before + 1, before + portions[i]);
        assert_false(side->stream.receive_op.is_pending);
        expected = side->came;
    }
}

static void a_user_who_watches_hears_of_the_end_before_what_is_unread(void **state)
{
    struct side *side = *state;
    stream_watch(&side->stream);
    assert_int_equal(peer_send(side, 0, 100), 100);
    turn_twice(side);
    assert_int_equal(side->hung_up, 0);
    close(side->peer);
    side->peer = -1;
    LOOP_UNTIL(&side->loop, side->hung_up == 1);
    assert_int_equal(side->came + side->lost, 0);
    stream_watch(&side->stream); /* it has come already */
    LOOP_UNTIL(&side->loop, side->hung_up == 2);
    stream_watch(&side->stream);
    stream_close(&side->stream);
    LOOP_UNTIL(&side->loop, side->closed == 1);
    assert_int_equal(side->hung_up, 2);
}

/* Bytes that the user moves itself count like others: for time-outs, and in the log. */
static void what_the_user_moves_itself_is_counted(void **state)
{
    struct side *side = *state;
    uint64_t start = side->stream.received_ms;
    uint8_t bytes[1000];
    assert_int_equal(peer_send(side, 0, 1000), 1000);
    while (io_now(side->loop.io) < start + 20)
        loop_turn(&side->loop);
    assert_int_equal(recv(side->stream.fd, bytes, 300, 0), 300);
    stream_count_received(&side->stream, 300);
    assert_int_equal(side->stream.received_bytes, 300);
    assert_int_equal(side->stream.received_ms, io_now(side->loop.io));
    assert_int_equal(side->stream.sent_ms, start);
    stream_count_sent(&side->stream, 70);
    assert_int_equal(side->stream.sent_bytes, 70);
    assert_int_equal(side->stream.sent_ms, io_now(side->loop.io));
    side->came = 300; /* where the next byte stands */
    side->most = SIZE_MAX;
    stream_look_again(&side->stream);
    LOOP_UNTIL(&side->loop, side->came == 1000);
    assert_int_equal(side->stream.received_bytes, 1000);
}

static void a_break_that_the_user_finds_is_a_loss_like_any_other(void **state)
{
    static const enum io_error how[] = {IO_RESET, IO_NONE};
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        void *fresh;
        set_up_portions(&fresh);
        struct side *side = fresh;
        stream_break(&side->stream, how[i]);
        stream_break(&side->stream, IO_RESET);
        assert_int_equal(side->lost, 1);
        assert_int_equal(side->lost_error, how[i]);
        side->most = SIZE_MAX;
        stream_look_again(&side->stream); /* it is over: nothing is received, nothing sent */
        assert_int_equal(peer_send(side, 0, 10), 10);
        assert_true(stream_send_bytes(&side->stream, "x", 1));
        turn_twice(side);
        assert_int_equal(side->came, 0);
        assert_int_equal(peer_receive(side, 0), 0);
        tear_down(&fresh);
    }
}

static void after_a_close_of_ours_a_break_is_no_news(void **state)
{
    struct side *side = *state;
    stream_close(&side->stream);
    stream_break(&side->stream, IO_RESET);
    stream_look_again(&side->stream);
    LOOP_UNTIL(&side->loop, side->closed);
    assert_int_equal(side->lost, 0);
    assert_int_equal(side->asked, 1);
}

/* --- ends -------------------------------------------------------------------------------------------------- */

static void the_end_of_the_peer_is_told_once_after_its_last_byte(void **state)
{
    struct side *side = *state;
    assert_int_equal(peer_send(side, 0, 1000), 1000);
    close(side->peer);
    side->peer = -1;
    LOOP_UNTIL(&side->loop, side->lost);
    assert_int_equal(side->came, 1000);
    assert_int_equal(side->lost_error, IO_NONE);
    assert_true(stream_send_bytes(&side->stream, "x", 1)); /* nobody will read it */
    stream_set_reading(&side->stream, true);
    loop_turn(&side->loop);
    assert_int_equal(side->lost, 1);
}

static void a_reset_is_told_once(void **state)
{
    struct side *side = *state;
    peer_resets(side);
    LOOP_UNTIL(&side->loop, side->lost);
    assert_int_equal(side->lost_error, IO_RESET);
    loop_turn(&side->loop);
    assert_int_equal(side->lost, 1);
}

/* A peer that aborts says why, and goes: its last words are heard even when a send fails first. */
static void what_came_before_a_reset_is_handed_on_while_sending(void **state)
{
    struct side *side = *state;
    static uint8_t bytes[1 << 20];
    for (unsigned i = 0; i < 16; i++) /* more than the sockets take: a send is always pending */
        assert_true(stream_send_bytes(&side->stream, bytes, sizeof(bytes)));
    unsigned wakes = side->loop.wakes;
    LOOP_UNTIL(&side->loop, side->sent > 0 && side->loop.wakes > wakes + 1);
    assert_true(side->stream.send_op.is_pending);
    side->drops = true;
    size_t said = peer_send(side, 0, 20000);
    assert_int_equal(said, 20000);
    peer_resets(side);
    LOOP_UNTIL(&side->loop, side->lost);
    assert_int_equal(side->lost_error, IO_RESET);
    assert_int_equal(side->came, said);
}

static void a_stream_may_be_closed_with_operations_pending(void **state)
{
    struct side *side = *state;
    static uint8_t bytes[1 << 20];
    for (unsigned i = 0; i < 16; i++)
        assert_true(stream_send_bytes(&side->stream, bytes, sizeof(bytes)));
    LOOP_UNTIL(&side->loop, side->sent > 0);
    assert_true(side->stream.receive_op.is_pending);
    assert_true(side->stream.send_op.is_pending);
    assert_int_equal(peer_send(side, 0, 100), 100); /* comes too late */
    stream_close(&side->stream);
    assert_int_equal(side->closed, 0);
    assert_true(stream_send_bytes(&side->stream, "x", 1));
    stream_close(&side->stream);
    LOOP_UNTIL(&side->loop, side->closed);
    assert_int_equal(side->lost, 0); /* we know it */
    assert_int_equal(side->came, 0);
    assert_int_equal(side->stream.fd, -1);
    assert_int_equal(side->stream.sending.bytes, 0);
}

static void a_stream_may_be_closed_from_its_own_callback(void **state)
{
    struct side *side = *state;
    side->closes_at_once = true;
    assert_int_equal(peer_send(side, 0, 100), 100);
    LOOP_UNTIL(&side->loop, side->closed);
    assert_int_equal(side->came, 100);
    assert_int_equal(side->kept.bytes, 100); /* what was taken outlives the stream */
}

int main(void)
{
#define STREAM_TEST(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define PORTIONS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up_portions, tear_down)
    const struct CMUnitTest tests[] = {
        STREAM_TEST(bytes_are_handed_on_as_they_come),
        STREAM_TEST(a_thousand_segments_of_one_byte_pin_few_buffers),
        STREAM_TEST(segments_of_any_size_pin_less_than_four_times_their_bytes),
        STREAM_TEST(many_middling_segments_fill_their_buffers),
        STREAM_TEST(receiving_pauses_at_the_limit_and_goes_on),
        STREAM_TEST(a_user_who_wants_no_bytes_gets_none_until_he_does),
        cmocka_unit_test(streams_share_a_small_pool),
        STREAM_TEST(who_has_to_wait_for_the_pool_tells_it),
        STREAM_TEST(a_lean_stream_needs_nothing_of_a_pool_that_is_used_up),
        STREAM_TEST(bytes_are_sent_in_order_whoever_holds_them),
        PORTIONS_TEST(nothing_is_received_before_the_user_is_ready),
        PORTIONS_TEST(a_receive_takes_no_more_than_the_user_allows),
        PORTIONS_TEST(a_user_who_watches_hears_of_the_end_before_what_is_unread),
        PORTIONS_TEST(what_the_user_moves_itself_is_counted),
        cmocka_unit_test(a_break_that_the_user_finds_is_a_loss_like_any_other),
        PORTIONS_TEST(after_a_close_of_ours_a_break_is_no_news),
        STREAM_TEST(the_end_of_the_peer_is_told_once_after_its_last_byte),
        STREAM_TEST(a_reset_is_told_once),
        STREAM_TEST(what_came_before_a_reset_is_handed_on_while_sending),
        STREAM_TEST(a_stream_may_be_closed_with_operations_pending),
        STREAM_TEST(a_stream_may_be_closed_from_its_own_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
