/* One association over a real connection: its ends, hold and resume, framing. */
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "both.h"

/* --- ends, inbound */

static void a_message_passes_and_a_release_ends_it(void **state)
{
    struct both *t = *state;
    struct dimse_command c = sample_store(7);
    accept_established(t, 16384);
    wire_send_command(&t->wire, 1, &c);
    wire_send_data(&t->wire, 1, 0, "ab", 2);
    wire_send_data(&t->wire, 1, PDV_LAST, "cd", 2);
    LOOP_UNTIL(&t->loop, t->party.data_ends);
    assert_int_equal(t->party.last.message_id, 7);
    assert_int_equal(t->party.last_context, 1);
    assert_memory_equal(t->party.data.data, "abcd", 4);
    wire_send_release_rq(&t->wire);
    expect_end(t, ASSOCIATION_RELEASED);
    assert_int_equal(wire_pdu(&t->wire, NULL), PDU_RELEASE_RP);
    assert_int_equal(t->party.gones, 0); /* Sta13: the peer closes the connection, not we */
    wire_close(&t->wire);
    LOOP_UNTIL(&t->loop, t->party.gones);
}

static void send_garbage(struct both *t)
{
    wire_send(&t->wire, "GET / HTTP/1.1\r\n\r\n", 18);
}

static void send_unknown_context(struct both *t)
{
    wire_send_data(&t->wire, 5, PDV_COMMAND | PDV_LAST, "ab", 2);
}

static void send_data_first(struct both *t)
{
    wire_send_data(&t->wire, 1, PDV_LAST, "ab", 2);
}

static void send_bad_command(struct both *t)
{
    wire_send_data(&t->wire, 1, PDV_COMMAND | PDV_LAST, "ab", 2);
}

static void send_long_command(struct both *t)
{
    static const uint8_t zeros[40000];
    wire_send_data(&t->wire, 1, PDV_COMMAND, zeros, sizeof(zeros));
    wire_send_data(&t->wire, 1, PDV_COMMAND, zeros, sizeof(zeros));
}

static void send_command_in_data(struct both *t)
{
    struct dimse_command c = sample_store(1);
    wire_send_command(&t->wire, 1, &c);
    wire_send_data(&t->wire, 1, 0, "ab", 2);
    wire_send_command(&t->wire, 1, &c);
}

static void send_other_context_in_data(struct both *t)
{
    struct dimse_command c = sample_store(1);
    wire_send_command(&t->wire, 1, &c);
    wire_send_data(&t->wire, 3, 0, "ab", 2);
}

static void send_data_unannounced(struct both *t)
{
    struct dimse_command c = sample_response(DIMSE_C_STORE_RSP, 1, 0, false);
    wire_send_command(&t->wire, 1, &c);
    wire_send_data(&t->wire, 1, PDV_LAST, "ab", 2);
}

static void send_request_again(struct both *t)
{
    wire_send_request(&t->wire, 16384);
}

static void send_data_after_release(struct both *t)
{
    t->party.thinks = true; /* does not answer the release yet: Sta8 */
    wire_send_release_rq(&t->wire);
    wire_send_data(&t->wire, 1, PDV_COMMAND, "ab", 2);
}

/* Each is answered by A-ABORT of the provider with this reason (PS3.8 9.3.8), and ends as our finding of a fault. */
static void every_breach_of_the_protocol_ends_in_an_abort(void **state)
{
    static const struct {
        const char *what;
        void (*send)(struct both *t);
        uint8_t reason;
    } cases[] = {
        {"bytes that are no PDU", send_garbage, PDU_ABORT_UNRECOGNISED_PDU},
        {"a context never accepted", send_unknown_context, PDU_ABORT_INVALID_PARAMETER},
        {"data before any command", send_data_first, PDU_ABORT_UNEXPECTED_PARAMETER},
        {"a command set that is none", send_bad_command, PDU_ABORT_INVALID_PARAMETER},
        {"a command set without end", send_long_command, PDU_ABORT_INVALID_PARAMETER},
        {"a command inside a data set", send_command_in_data, PDU_ABORT_UNEXPECTED_PARAMETER},
        {"another context inside a message", send_other_context_in_data, PDU_ABORT_UNEXPECTED_PARAMETER},
        {"data that no command announced", send_data_unannounced, PDU_ABORT_UNEXPECTED_PARAMETER},
        {"a second request", send_request_again, PDU_ABORT_UNEXPECTED_PDU},
        {"data after the request for release", send_data_after_release, PDU_ABORT_UNEXPECTED_PDU},
    };
    struct both *t = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        print_message("  %s\n", cases[i].what);
        accept_established(t, 16384);
        cases[i].send(t);
        expect_end(t, ASSOCIATION_FAULT);
        expect_abort(t, PDU_ABORT_PROVIDER, cases[i].reason);
        assert_int_equal(t->party.gones, 0); /* the peer is given time to read it */
        wire_close(&t->wire);
        LOOP_UNTIL(&t->loop, t->party.gones);
        party_close(&t->party);
    }
    accept_established(t, 16384);
}

static void an_abort_of_the_peer_ends_it_at_once(void **state)
{
    struct both *t = *state;
    accept_established(t, 16384);
    wire_send_abort(&t->wire);
    expect_end(t, ASSOCIATION_ABORTED);
    assert_string_equal(t->party.why, "aborted by the peer (source 0, reason 0)");
    LOOP_UNTIL(&t->loop, t->party.gones); /* AA-3: we close, without waiting for the peer */
    wire_until_closed(&t->wire);
}

static void an_abort_of_the_peer_drops_what_is_queued_for_it(void **state)
{
    static const uint8_t big[8 << 20];
    struct both *t = *state;
    struct dimse_command c = sample_store(1);
    accept_established(t, 0);
    t->wire.is_deaf = true;
    assert_true(association_send_command(&t->party.a, 1, &c));
    assert_true(party_send_data(&t->party, big, sizeof(big)));
    LOOP_UNTIL(&t->loop, t->party.sents > 0);
    assert_true(association_backlog(&t->party.a) > 0);
    wire_send_abort(&t->wire);
    LOOP_UNTIL(&t->loop, t->party.gones); /* and not after ARTIM, a minute here */
    assert_int_equal(t->party.how, ASSOCIATION_ABORTED);
}

static void a_peer_that_closes_is_lost(void **state)
{
    struct both *t = *state;
    party_accept(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    wire_close(&t->wire);
    expect_end(t, ASSOCIATION_LOST);
    party_close(&t->party);

    accept_established(t, 16384);
    struct dimse_command c = sample_store(1);
    wire_send_command(&t->wire, 1, &c);
    wire_send_data(&t->wire, 1, 0, "ab", 2);
    LOOP_UNTIL(&t->loop, t->party.data.len == 2);
    wire_close(&t->wire);
    expect_end(t, ASSOCIATION_LOST);
    assert_int_equal(t->party.data_ends, 0);
}

static void our_own_abort_is_of_the_user(void **state)
{
    struct both *t = *state;
    accept_established(t, 16384);
    association_abort(&t->party.a, "by choice");
    assert_int_equal(t->party.how, ASSOCIATION_CLOSED);
    assert_string_equal(t->party.why, "by choice");
    expect_abort(t, PDU_ABORT_USER, PDU_ABORT_UNSPECIFIED);
}

static void reject_it(struct party *p, enum party_event e)
{
    if (e == PARTY_REQUEST)
        association_reject(&p->a,
                           (struct pdu_reject){PDU_REJECT_PERMANENT, PDU_REJECT_USER, PDU_REJECT_CALLED_AE});
}

static void a_rejected_request_is_told_why(void **state)
{
    struct both *t = *state;
    struct octets body = {0};
    party_accept(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    t->party.hook = reject_it;
    wire_send_request(&t->wire, 16384);
    assert_int_equal(wire_pdu(&t->wire, &body), PDU_ASSOCIATE_RJ);
    assert_memory_equal(body.data, ((uint8_t[]){0, 1, 1, 7}), 4); /* permanent, user, called AE title */
    octets_free(&body);
    assert_int_equal(t->party.how, ASSOCIATION_CLOSED);
    assert_int_equal(t->party.gones, 0);
    wire_close(&t->wire);
    LOOP_UNTIL(&t->loop, t->party.gones);
}

/* What follows a request in the same segment waits for its answer, and is then read. */
static void bytes_behind_a_request_wait_for_the_answer(void **state)
{
    struct both *t = *state;
    struct dimse_command c = sample_echo(3);
    party_accept(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    t->party.thinks = true;
    wire_send_request(&t->wire, 16384);
    wire_send_command(&t->wire, 1, &c);
    LOOP_UNTIL(&t->loop, t->party.requests && t->party.a.unread.bytes > 0);
    assert_int_equal(t->party.commands, 0);
    struct pdu_associate answer = sample_accept(65536, -1);
    association_answer_take(&t->party.a, &answer);
    assert_int_equal(t->party.commands, 1);
    assert_int_equal(t->party.last.message_id, 3);
}

/* --- ends, outbound */

static void an_association_of_ours_is_released(void **state)
{
    struct both *t = *state;
    party_connect_established(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    association_release(&t->party.a);
    assert_int_equal(wire_pdu(&t->wire, NULL), PDU_RELEASE_RQ);
    wire_send_release_rp(&t->wire);
    expect_end(t, ASSOCIATION_RELEASED);
    LOOP_UNTIL(&t->loop, t->party.gones); /* AR-3: we close */
    wire_until_closed(&t->wire);
}

static void a_release_collision_ends_in_order_on_both_sides(void **state)
{
    struct both *t = *state;
    party_connect_established(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    association_release(&t->party.a);
    wire_send_release_rq(&t->wire); /* Sta9: as requestor we answer first (PS3.8 9.2.3 AR-8, AR-9) */
    assert_int_equal(wire_pdu(&t->wire, NULL), PDU_RELEASE_RQ);
    assert_int_equal(wire_pdu(&t->wire, NULL), PDU_RELEASE_RP);
    assert_int_equal(t->party.ends, 0); /* Sta11 */
    wire_send_release_rp(&t->wire);
    expect_end(t, ASSOCIATION_RELEASED);
    LOOP_UNTIL(&t->loop, t->party.gones);
}

/* RP and our close in one turn: the peer must still get the bytes of ours that are queued. */
static void the_last_answer_of_a_collision_is_not_dropped(void **state)
{
    struct both *t = *state;
    party_connect_established(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    association_release(&t->party.a);
    assert_int_equal(wire_pdu(&t->wire, NULL), PDU_RELEASE_RQ);
    struct octets both = {0};
    pdu_write_release_rq(&both);
    pdu_write_release_rp(&both);
    wire_send(&t->wire, both.data, both.len);
    octets_free(&both);
    expect_end(t, ASSOCIATION_RELEASED);
    assert_int_equal(wire_pdu(&t->wire, NULL), PDU_RELEASE_RP);
    LOOP_UNTIL(&t->loop, t->party.gones);
}

static void a_node_may_reject_abort_or_go(void **state)
{
    struct both *t = *state;
    party_connect(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    wire_send_reject(&t->wire, PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_LOCAL_LIMIT);
    expect_end(t, ASSOCIATION_REJECTED);
    assert_string_equal(t->party.why, "rejected: local limit exceeded");
    LOOP_UNTIL(&t->loop, t->party.gones);
    wire_close(&t->wire);
    party_close(&t->party);

    party_connect(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    wire_send_abort(&t->wire);
    expect_end(t, ASSOCIATION_ABORTED);
    wire_close(&t->wire);
    party_close(&t->party);

    party_connect(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    wire_close(&t->wire);
    expect_end(t, ASSOCIATION_LOST);
}

static void nobody_at_the_port_is_no_connection(void **state)
{
    struct both *t = *state;
    uint16_t port;
    struct pdu_associate request = sample_request(16384, -1);
    close(wire_listen(&port));
    party_init(&t->party, &t->loop, LONG_LIMITS);
    association_connect_take(&t->party.a, "127.0.0.1", port, &request);
    assert_int_equal(t->party.ends, 0); /* never from inside the call */
    expect_end(t, ASSOCIATION_NO_CONNECTION);
    assert_string_equal(t->party.why, "Connection refused");
}

/* A listener whose queue is full drops the SYN: nothing answers. */
static void a_connection_that_is_never_made_ends_in_time(void **state)
{
    struct both *t = *state;
    struct sockaddr_in at;
    socklen_t len = sizeof(at);
    uint16_t port;
    int fill[8];
    int listener = wire_listen(&port);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    for (unsigned i = 0; i < 8; i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(fill[i], (struct sockaddr *)&at, sizeof(at));
    }
    struct association_limits limits = LONG_LIMITS;
    limits.connect = 100;
    struct pdu_associate request = sample_request(16384, -1);
    party_init(&t->party, &t->loop, limits);
    association_connect_take(&t->party.a, "127.0.0.1", port, &request);
    expect_end(t, ASSOCIATION_NO_CONNECTION);
    assert_string_equal(t->party.why, "no connection in time");
    LOOP_UNTIL(&t->loop, t->party.gones);
    for (unsigned i = 0; i < 8; i++)
        close(fill[i]);
    close(listener);
}

static void a_window_is_never_wider_than_proposed(void **state)
{
    static const struct {
        int proposed, answered;
        unsigned window;
    } cases[] = {
        {-1, -1, 1},    /* nothing said: synchronous (PS3.7 D.3.3.3) */
        {-1, 8, 1},     /* an answer to what was not asked */
        {8, -1, 1},     /* not answered */
        {8, 4, 4},      /* narrowed */
        {4, 8, 4},      /* widened, which it must not be */
        {4, 0, 4},      /* likewise: 0 is no limit */
        {0, 8, 8},      /* */
        {0, 0, 0xffff}, /* no limit */
    };
    struct both *t = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint16_t port;
        int listener = wire_listen(&port);
        struct pdu_associate request = sample_request(16384, cases[i].proposed);
        party_init(&t->party, &t->loop, LONG_LIMITS);
        association_connect_take(&t->party.a, "127.0.0.1", port, &request);
        wire_accept(&t->wire, &t->loop, listener);
        close(listener);
        wire_send_accept(&t->wire, 16384, cases[i].answered);
        LOOP_UNTIL(&t->loop, t->party.established);
        assert_int_equal(t->party.a.window, cases[i].window);
        wire_close(&t->wire);
        LOOP_UNTIL(&t->loop, t->party.gones);
        party_close(&t->party);
    }
    accept_established(t, 16384);
}

/* --- hold and resume */

static void hold_it(struct party *p, enum party_event e)
{
    if (e == PARTY_COMMAND)
        association_hold(&p->a);
}

static void a_held_association_reads_no_further_message(void **state)
{
    struct both *t = *state;
    accept_established(t, 16384);
    t->party.hook = hold_it;
    for (uint16_t i = 1; i <= 3; i++) {
        struct dimse_command c = sample_echo(i);
        wire_send_command(&t->wire, 1, &c);
    }
    LOOP_UNTIL(&t->loop, t->party.commands == 1 && t->party.a.unread.bytes > 0);
    loop_turn(&t->loop);
    assert_int_equal(t->party.last.message_id, 1);
    association_resume(&t->party.a);
    LOOP_UNTIL(&t->loop, t->party.commands == 2);
    t->party.hook = NULL;
    association_resume(&t->party.a);
    LOOP_UNTIL(&t->loop, t->party.commands == 3);
    assert_int_equal(t->party.last.message_id, 3);
}

static void resume_it(struct party *p, enum party_event e)
{
    if (e == PARTY_COMMAND) {
        association_hold(&p->a);
        association_resume(&p->a); /* inside the callback: must not read on from inside itself */
    }
}

static void hold_and_resume_inside_a_callback_keep_the_order(void **state)
{
    struct both *t = *state;
    accept_established(t, 16384);
    t->party.hook = resume_it;
    for (uint16_t i = 1; i <= 3; i++) {
        struct dimse_command c = sample_echo(i);
        wire_send_command(&t->wire, 1, &c);
    }
    LOOP_UNTIL(&t->loop, t->party.commands == 3);
    assert_int_equal(t->party.last.message_id, 3);
}

/* Held with as much unread as it may hold, then aborted: all of that is read away, or the peer's close behind it would
 * be seen only when ARTIM ends, a minute here. */
static void an_aborted_association_lets_go_what_it_held(void **state)
{
    static const uint8_t big[32 << 20];
    struct both *t = *state;
    struct dimse_command c = sample_store(1);
    accept_established(t, 16384);
    stream_set_limit(&t->party.a.stream, STREAM_LIMIT_MIN);
    t->party.hook = hold_it;
    wire_send_command(&t->wire, 1, &c);
    LOOP_UNTIL(&t->loop, t->party.commands);
    struct octets pdu = {0};
    uint8_t header[PDU_DATA_HEADER_BYTES];
    pdu_write_data_header(header, sizeof(big), 1, PDV_LAST);
    octets_append(&pdu, header, sizeof(header));
    octets_append(&pdu, big, sizeof(big));
    size_t sent = 0;
    LOOP_UNTIL(&t->loop, ({
        ssize_t n = send(t->wire.fd, pdu.data + sent, pdu.len - sent, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        sent == pdu.len || (n < 0 && stream_is_full(&t->party.a.stream));
    }));
    assert_true(t->party.a.unread.bytes > 0);
    association_abort(&t->party.a, "by choice");
    association_hold(&t->party.a); /* as a user may who does not know yet */
    LOOP_UNTIL(&t->loop, t->party.a.unread.bytes == 0);
    wire_send(&t->wire, pdu.data + sent, pdu.len - sent);
    octets_free(&pdu);
    expect_abort(t, PDU_ABORT_USER, PDU_ABORT_UNSPECIFIED);
    assert_int_equal(t->party.data.len, 0);
    wire_close(&t->wire);
    LOOP_UNTIL(&t->loop, t->party.gones);
}

/* --- callbacks that end it */

struct ender {
    enum party_event at;
    void (*end)(struct association *a);
};

static void end_by_abort(struct association *a)
{
    association_abort(a, "from inside");
}

static void end_by_fault(struct association *a)
{
    association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "from inside"});
}

static void end_by_close(struct association *a)
{
    if (!a->is_closing)
        association_close(a);
}

static void end_there(struct party *p, enum party_event e)
{
    const struct ender *ender = p->owner;
    if (e == ender->at)
        ender->end(&p->a);
    if (e == PARTY_COMMAND && association_may_send(&p->a)) {
        struct dimse_command c = sample_response(DIMSE_C_STORE_RSP, 1, 0, false);
        assert_true(association_send_command(&p->a, 1, &c));
    }
}

static void play_all(struct both *t)
{
    struct dimse_command c = sample_store(1);
    struct octets o = {0};
    dimse_write(&c, &o);
    wire_send_request(&t->wire, 16384);
    wire_send_data(&t->wire, 1, PDV_COMMAND | PDV_LAST, o.data, o.len);
    wire_send_data(&t->wire, 1, 0, "abcd", 4);
    wire_send_data(&t->wire, 1, PDV_LAST, "ef", 2);
    octets_free(&o);
    LOOP_UNTIL(&t->loop, t->party.a.has_ended || t->party.data_ends);
    wire_send_release_rq(&t->wire);
    LOOP_UNTIL(&t->loop, t->party.a.has_ended);
    wire_close(&t->wire);
}

/* Nothing is told after the end, the end is told once, and nothing of it is touched after it is gone (ASan). */
static void every_callback_may_end_the_association(void **state)
{
    static void (*const ends[])(struct association * a) = {end_by_abort, end_by_fault, end_by_close};
    struct both *t = *state;
    for (int at = PARTY_REQUEST; at <= PARTY_END; at++) {
        if (at == PARTY_ESTABLISHED)
            continue; /* outbound only: below */
        for (unsigned i = 0; i < 3; i++) {
            struct ender ender = {(enum party_event)at, ends[i]};
            party_accept(&t->party, &t->loop, LONG_LIMITS, &t->wire);
            t->party.owner = &ender;
            t->party.hook = end_there;
            play_all(t);
            assert_true(t->party.ends <= 1);
            party_close(&t->party);
        }
    }
    for (unsigned i = 0; i < 3; i++) {
        struct ender ender = {PARTY_ESTABLISHED, ends[i]};
        party_connect(&t->party, &t->loop, LONG_LIMITS, &t->wire);
        t->party.owner = &ender;
        t->party.hook = end_there;
        wire_send_accept(&t->wire, 16384, -1);
        LOOP_UNTIL(&t->loop, t->party.a.has_ended);
        wire_close(&t->wire);
        party_close(&t->party);
    }
    accept_established(t, 16384);
}

/* --- framing */

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

static void check_message(struct both *t, const uint8_t *bytes, size_t len, uint32_t longest)
{
    struct wire_message m;
    wire_read_message(&t->wire, &m);
    assert_true(m.longest <= longest);
    assert_int_equal(m.odd_fragments, 0);
    assert_int_equal(m.empty_fragments, len == 0 ? 1 : 0);
    assert_int_equal(m.mixed_pdus, 0); /* quirk 24 */
    assert_int_equal(m.command.message_id, 9);
    assert_int_equal(m.data.len, len + (len & 1));
    assert_memory_equal(m.data.data ? m.data.data : (const uint8_t *)"", bytes, len);
    if (len & 1)
        assert_int_equal(m.data.data[len], 0); /* quirk 25 */
    wire_message_free(&m);
}

static void fragments_are_even_and_fit_whatever_the_peer_announces(void **state)
{
    static const struct {
        uint32_t announced, longest;
    } maxima[] = {
        {0, (1 << 20) + 6}, /* no limit: ours */
        {8, 8},             /* the least that there is; less is refused */
        {9, 8},             /* odd: one byte less */
        {10, 10},
        {128, 128},
        {129, 128},
        {16383, 16382},
        {16384, 16384},
        {65537, 65536},
        {UINT32_MAX, (1 << 20) + 6},
    };
    static const size_t lengths[] = {0, 1, 2, 3, 4, 121, 122, 123, 4095, 4096, 4097, 16378, 16379, 70001};
    struct both *t = *state;
    uint8_t *bytes = malloc(70001);
    assert_non_null(bytes);
    for (size_t i = 0; i < 70001; i++)
        bytes[i] = byte_at(i);
    for (size_t m = 0; m < sizeof(maxima) / sizeof(*maxima); m++) {
        accept_established(t, maxima[m].announced);
        for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
            struct dimse_command c = sample_store(9);
            if (maxima[m].longest < 16 && lengths[i] > 5000)
                continue; /* slow, and nothing new */
            assert_true(association_send_command(&t->party.a, 1, &c));
            assert_true(party_send_data(&t->party, bytes, lengths[i] / 3));
            loop_turn(&t->loop);
            assert_true(party_send_data(&t->party, bytes + lengths[i] / 3, lengths[i] - lengths[i] / 3));
            assert_true(association_send_data_end(&t->party.a));
            check_message(t, bytes, lengths[i], maxima[m].longest);
        }
        wire_close(&t->wire);
        LOOP_UNTIL(&t->loop, t->party.gones);
        party_close(&t->party);
    }
    free(bytes);
    accept_established(t, 16384);
}

/* A destination that waits gets what is here, unless it is too little to be worth a PDU. */
static void a_part_is_sent_when_nothing_else_is(void **state)
{
    static const uint8_t part[8192];
    struct both *t = *state;
    struct dimse_command c = sample_store(9);
    accept_established(t, 0);
    assert_true(association_send_command(&t->party.a, 1, &c));
    LOOP_UNTIL(&t->loop, association_backlog(&t->party.a) == 0);
    assert_true(party_send_data(&t->party, part, 4096));
    for (unsigned i = 0; i < 5; i++)
        loop_turn(&t->loop);
    assert_int_equal(t->party.a.data.bytes, 4096);
    assert_true(party_send_data(&t->party, part, 4096));
    LOOP_UNTIL(&t->loop,
               t->party.a.data.bytes == 2); /* one byte stays for the last fragment, and a fragment is even */
    assert_true(association_send_data_end(&t->party.a));
    check_message(t, part, 8192, 8192 + 6);
}

/* A request of 200 KiB of items that nobody knows, but for its last bytes; then those. */
static void what_is_gathered_counts_until_it_is_answered(void **state)
{
    struct both *t = *state;
    struct octets request = {0};
    struct pdu_associate a = sample_request(16384, -1);
    struct pool *pool = &t->loop.pool;
    uint64_t taken = pool->taken;
    uint8_t *more = calloc(1, 200 << 10);
    party_accept(&t->party, &t->loop, LONG_LIMITS, &t->wire);
    t->party.thinks = true;
    pdu_associate_write(&a, &request);
    pdu_associate_free(&a);
    uint32_t length = (uint32_t)request.len - 6 + 4 * 50004;
    put_be32(request.data + 2, length);
    wire_send(&t->wire, request.data, request.len);
    for (unsigned i = 0; i < 4; i++) {
        more[0] = 0x7E;
        put_be16(more + 2, 50000);
        wire_send(&t->wire, more, i < 3 ? 50004 : 50000);
    }
    LOOP_UNTIL(&t->loop, pool->taken - taken > 150 << 10);
    wire_send(&t->wire, more + 4, 4);
    LOOP_UNTIL(&t->loop, t->party.requests);
    assert_true(pool->taken - taken > 150 << 10);
    association_reject(&t->party.a, (struct pdu_reject){PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION,
                                                        PDU_REJECT_CONGESTION});
    assert_int_equal(pool->taken, taken);
    octets_free(&request);
    free(more);
}

static void an_association_at_rest_is_small(void **state)
{
    struct both *t = *state;
    struct dimse_command c = sample_store(1), answer = sample_response(DIMSE_C_STORE_RSP, 1, 0, false);
    accept_established(t, 16384);
    wire_send_command(&t->wire, 1, &c);
    wire_send_data(&t->wire, 1, PDV_LAST, "abcd", 4);
    LOOP_UNTIL(&t->loop, t->party.data_ends);
    assert_true(association_send_command(&t->party.a, 1, &answer));
    struct wire_message m;
    wire_read_message(&t->wire, &m);
    wire_message_free(&m);
    LOOP_UNTIL(&t->loop, !t->party.a.scratch);
    struct association *a = &t->party.a;
    assert_null(a->unread.items);
    assert_null(a->data.items);
    assert_null(a->stream.sending.items);
    assert_null(a->command.data);
    assert_null(a->control.data);
    assert_null(a->ul.reader.body.data);
    assert_null(a->ul.request.store.blocks);
    assert_null(a->ul.accept.store.blocks);
    assert_int_equal(a->stream.budget->held, 0);
    assert_true(sizeof(struct association) <= 2048);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_passes_and_a_release_ends_it),
        TEST(every_breach_of_the_protocol_ends_in_an_abort),
        TEST(an_abort_of_the_peer_ends_it_at_once),
        TEST(an_abort_of_the_peer_drops_what_is_queued_for_it),
        TEST(a_peer_that_closes_is_lost),
        TEST(our_own_abort_is_of_the_user),
        TEST(a_rejected_request_is_told_why),
        TEST(bytes_behind_a_request_wait_for_the_answer),
        TEST(an_association_of_ours_is_released),
        TEST(a_release_collision_ends_in_order_on_both_sides),
        TEST(the_last_answer_of_a_collision_is_not_dropped),
        TEST(a_node_may_reject_abort_or_go),
        TEST(nobody_at_the_port_is_no_connection),
        TEST(a_connection_that_is_never_made_ends_in_time),
        TEST(a_window_is_never_wider_than_proposed),
        TEST(a_held_association_reads_no_further_message),
        TEST(hold_and_resume_inside_a_callback_keep_the_order),
        TEST(an_aborted_association_lets_go_what_it_held),
        TEST(every_callback_may_end_the_association),
        TEST(fragments_are_even_and_fit_whatever_the_peer_announces),
        TEST(a_part_is_sent_when_nothing_else_is),
        TEST(what_is_gathered_counts_until_it_is_answered),
        TEST(an_association_at_rest_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
