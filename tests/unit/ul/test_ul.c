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

#include "base/bytes.h"
#include "peer.h"

enum { BOTH_ROLES = 2 };

/*
 * PS3.8 Table 9-10, a row a state, as read from the standard; only for this test, and on purpose the other way round than
 * in the source. "." is an empty cell.
 */
#define CELLS 19
static const char *const TABLE[14][CELLS] = {
    /* Evt: 1  2  3  4  5   6  7  8  9  10   11 12 13 14  15 16 17 18 19 */
    [UL_STA1] = {"AE-1", ".", ".", ".", "AE-5", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".",
                 ".", "."},
    [UL_STA2] = {".", ".", "AA-1", "AA-1", ".", "AE-6", ".", ".", ".", "AA-1", ".", "AA-1", "AA-1", ".", ".",
                 "AA-2", "AA-5", "AA-2", "AA-1"},
    [UL_STA3] = {".", ".", "AA-8", "AA-8", ".", "AA-8", "AE-7", "AE-8", ".", "AA-8", ".", "AA-8", "AA-8", ".",
                 "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA4] = {".", "AE-2", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", ".", "AA-2", ".", "AA-4",
                 ".", "."},
    [UL_STA5] = {".", ".", "AE-3", "AE-4", ".", "AA-8", ".", ".", ".", "AA-8", ".", "AA-8", "AA-8", ".",
                 "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA6] = {".", ".", "AA-8", "AA-8", ".", "AA-8", ".", ".", "DT-1", "DT-2", "AR-1", "AR-2", "AA-8", ".",
                 "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA7] = {".", ".", "AA-8", "AA-8", ".", "AA-8", ".", ".", ".", "AR-6", ".", "AR-8", "AR-3", ".",
                 "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA8] = {".", ".", "AA-8", "AA-8", ".", "AA-8", ".", ".", "AR-7", "AA-8", ".", "AA-8", "AA-8", "AR-4",
                 "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA9] = {".", ".", "AA-8", "AA-8", ".", "AA-8", ".", ".", ".", "AA-8", ".", "AA-8", "AA-8", "AR-9",
                 "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA10] = {".", ".", "AA-8", "AA-8", ".", "AA-8", ".", ".", ".", "AA-8", ".", "AA-8", "AR-10", ".",
                  "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA11] = {".", ".", "AA-8", "AA-8", ".", "AA-8", ".", ".", ".", "AA-8", ".", "AA-8", "AR-3", ".",
                  "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA12] = {".", ".", "AA-8", "AA-8", ".", "AA-8", ".", ".", ".", "AA-8", ".", "AA-8", "AA-8", "AR-4",
                  "AA-1", "AA-3", "AA-4", ".", "AA-8"},
    [UL_STA13] = {".", ".", "AA-6", "AA-6", ".", "AA-7", ".", ".", ".", "AA-6", ".", "AA-6", "AA-6", ".", ".",
                  "AA-2", "AR-5", "AA-2", "AA-7"},
};

/* What goes out. */
static const uint8_t REJECT_BYTES[] = {0x03, 0, 0, 0, 0, 4, 0, 1, 1, 7}; /* permanent, user, called title */
static const uint8_t USER_ABORT_BYTES[] = {0x07, 0, 0, 0, 0, 4, 0, 0, 0, 0};
static const uint8_t UNEXPECTED_BYTES[] = {0x07, 0, 0, 0, 0, 4, 0, 0, 2, 2}; /* provider, unexpected PDU */
static const uint8_t UNRECOGNISED_BYTES[] = {0x07, 0, 0, 0, 0,
                                             4,    0, 0, 2, 1}; /* provider, unrecognised PDU */

enum sent { NOTHING, REQUEST, ACCEPT, REJECT, RELEASE_RQ, RELEASE_RP, USER_ABORT, PROVIDER_ABORT };

/* What each action must bring about (PS3.8 Tables 9-6 to 9-9), by hand. */
struct action_case {
    const char *action;
    enum sent sent;
    unsigned effects;
    enum ul_indication indication;
    enum ul_state next_requestor, next_acceptor;
};

static const struct action_case ACTIONS[] = {
    {"AE-1", NOTHING, UL_CONNECT, UL_NOTHING, UL_STA4, UL_STA4},
    {"AE-2", REQUEST, UL_SEND, UL_NOTHING, UL_STA5, UL_STA5},
    {"AE-3", NOTHING, 0, UL_ACCEPTED, UL_STA6, UL_STA6},
    {"AE-4", NOTHING, UL_CLOSE, UL_REJECTED, UL_STA1, UL_STA1},
    {"AE-5", NOTHING, UL_START_ARTIM, UL_NOTHING, UL_STA2, UL_STA2},
    {"AE-6", NOTHING, UL_STOP_ARTIM, UL_ASSOCIATE, UL_STA3,
     UL_STA3}, /* the second outcome has its own test */
    {"AE-7", ACCEPT, UL_SEND, UL_NOTHING, UL_STA6, UL_STA6},
    {"AE-8", REJECT, UL_SEND | UL_START_ARTIM, UL_NOTHING, UL_STA13, UL_STA13},
    {"DT-1", NOTHING, 0, UL_NOTHING, UL_STA6, UL_STA6},
    {"DT-2", NOTHING, 0, UL_NOTHING, UL_STA6, UL_STA6}, /* and the data, see expect_data */
    {"AR-1", RELEASE_RQ, UL_SEND, UL_NOTHING, UL_STA7, UL_STA7},
    {"AR-2", NOTHING, 0, UL_RELEASE, UL_STA8, UL_STA8},
    {"AR-3", NOTHING, UL_CLOSE, UL_RELEASED, UL_STA1, UL_STA1},
    {"AR-4", RELEASE_RP, UL_SEND | UL_START_ARTIM, UL_NOTHING, UL_STA13, UL_STA13},
    {"AR-5", NOTHING, UL_STOP_ARTIM, UL_NOTHING, UL_STA1, UL_STA1},
    {"AR-6", NOTHING, 0, UL_NOTHING, UL_STA7, UL_STA7}, /* and the data */
    {"AR-7", NOTHING, 0, UL_NOTHING, UL_STA8, UL_STA8},
    {"AR-8", NOTHING, 0, UL_RELEASE_COLLISION, UL_STA9, UL_STA10},
    {"AR-9", RELEASE_RP, UL_SEND, UL_NOTHING, UL_STA11, UL_STA11},
    {"AR-10", NOTHING, 0, UL_RELEASED, UL_STA12, UL_STA12},
    {"AA-1", USER_ABORT, UL_SEND | UL_START_ARTIM, UL_FAULT, UL_STA13, UL_STA13}, /* Evt15: no indication */
    {"AA-2", NOTHING, UL_STOP_ARTIM | UL_CLOSE, UL_NOTHING, UL_STA1, UL_STA1},
    {"AA-3", NOTHING, UL_CLOSE, UL_ABORTED, UL_STA1, UL_STA1},
    {"AA-4", NOTHING, 0, UL_CONNECTION_LOST, UL_STA1, UL_STA1},
    {"AA-5", NOTHING, UL_STOP_ARTIM, UL_NOTHING, UL_STA1, UL_STA1},
    {"AA-6", NOTHING, 0, UL_NOTHING, UL_STA13, UL_STA13},
    {"AA-7", PROVIDER_ABORT, UL_SEND, UL_FAULT, UL_STA13, UL_STA13},
    {"AA-8", PROVIDER_ABORT, UL_SEND | UL_START_ARTIM, UL_PROVIDER_ABORTED, UL_STA13, UL_STA13},
};

static const struct action_case *action_case(const char *action)
{
    for (size_t i = 0; i < sizeof ACTIONS / sizeof ACTIONS[0]; i++) {
        if (strcmp(ACTIONS[i].action, action) == 0)
            return &ACTIONS[i];
    }
    fail_msg("no expectation for %s", action);
    return NULL;
}

static struct view bytes_of(enum sent sent, enum ul_event event)
{
    switch (sent) {
    case NOTHING:
        break;
    case REQUEST:
        return PEER_RQ; /* the user's request is the same as the peer's */
    case ACCEPT:
        return PEER_AC;
    case REJECT:
        return (struct view){REJECT_BYTES, sizeof REJECT_BYTES};
    case RELEASE_RQ:
        return PEER_RELEASE_RQ;
    case RELEASE_RP:
        return PEER_RELEASE_RP;
    case USER_ABORT:
        return (struct view){USER_ABORT_BYTES, sizeof USER_ABORT_BYTES};
    case PROVIDER_ABORT:
        return event == UL_EVT19 ? (struct view){UNRECOGNISED_BYTES, sizeof UNRECOGNISED_BYTES}
                                 : (struct view){UNEXPECTED_BYTES, sizeof UNEXPECTED_BYTES};
    }
    return (struct view){NULL, 0};
}

static bool is_from_peer(enum ul_event event)
{
    switch (event) {
    case UL_EVT3:
    case UL_EVT4:
    case UL_EVT6:
    case UL_EVT10:
    case UL_EVT12:
    case UL_EVT13:
    case UL_EVT16:
    case UL_EVT19:
        return true;
    default:
        return false;
    }
}

static struct view pdu_of(enum ul_event event)
{
    switch (event) {
    case UL_EVT3:
        return PEER_AC;
    case UL_EVT4:
        return PEER_RJ;
    case UL_EVT6:
        return PEER_RQ;
    case UL_EVT10:
        return PEER_DATA;
    case UL_EVT12:
        return PEER_RELEASE_RQ;
    case UL_EVT13:
        return PEER_RELEASE_RP;
    case UL_EVT16:
        return PEER_ABORT;
    default:
        return PEER_UNKNOWN;
    }
}

static struct seen local_event(struct ul *ul, enum ul_event event, struct octets *out)
{
    struct seen seen = {0};
    struct ul_outcome o;
    if (event == UL_EVT1) {
        struct pdu_associate rq = user_request();
        o = ul_request_take(ul, &rq);
    } else if (event == UL_EVT7) {
        struct pdu_associate ac = user_accept();
        o = ul_accept_take(ul, &ac, out);
    } else if (event == UL_EVT8) {
        o = ul_reject(ul, (struct pdu_reject){PDU_REJECT_PERMANENT, PDU_REJECT_USER, PDU_REJECT_CALLED_AE},
                      out);
    } else if (event == UL_EVT15) {
        o = ul_abort(ul, out);
    } else {
        o = ul_local(ul, event, out);
    }
    peer_note(&seen, &o);
    return seen;
}

/* In inputs of one byte if chunk is 1, at once if it is 0. */
static struct seen happen(struct ul *ul, enum ul_event event, size_t chunk, struct octets *out)
{
    return is_from_peer(event) ? peer_sends(ul, pdu_of(event), chunk, out) : local_event(ul, event, out);
}

/* Whether it ends in an assertion; in a process of its own. */
static bool asserts(struct ul *ul, enum ul_event event)
{
    pid_t child = fork();
    assert_int_not_equal(child, -1);
    if (child == 0) {
        struct octets out = {0};
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        happen(ul, event, 0, &out);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

#define EXPECT(cond)                                                                                         \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            fail_msg("Sta%d Evt%d %s as %s, chunk %zu: not so: %s", (int)from, (int)event, cell,             \
                     is_requestor ? "requestor" : "acceptor", chunk, #cond);                                 \
    } while (0)

/* DT-2 and AR-6 pass the payload on and say where PDV and PDU end; no other action does. */
static bool has_data(const struct seen *seen, bool is_expected)
{
    if (!is_expected)
        return seen->payload_len == 0 && seen->pdv_ends == 0 && seen->data_ends == 0;
    return seen->payload_len == PEER_PAYLOAD.len && seen->pdv_ends == 1 && seen->data_ends == 1 &&
           memcmp(seen->payload, PEER_PAYLOAD.at, PEER_PAYLOAD.len) == 0;
}

static bool is_sent(const struct octets *out, struct view bytes)
{
    return out->len == bytes.len && (bytes.len == 0 || memcmp(out->data, bytes.at, bytes.len) == 0);
}

static void check_filled(enum ul_state from, enum ul_event event, const char *cell, bool is_requestor,
                         size_t chunk)
{
    const struct action_case *want = action_case(cell);
    const enum ul_indication indication =
        event == UL_EVT15 && want->indication == UL_FAULT ? UL_NOTHING : want->indication;
    struct ul ul;
    struct octets out = {0};
    peer_reach(&ul, from, is_requestor);
    struct seen seen = happen(&ul, event, chunk, &out);
    EXPECT(seen.events == 1);
    EXPECT(seen.last.from == from && seen.last.event == event);
    EXPECT(strcmp(ul_action_name(seen.last.action), cell) == 0);
    EXPECT(ul.state == (is_requestor ? want->next_requestor : want->next_acceptor));
    EXPECT(seen.effects == want->effects);
    EXPECT(seen.indications == (indication != UL_NOTHING) && seen.indication == indication);
    EXPECT(is_sent(&out, bytes_of(want->sent, event)));
    EXPECT(has_data(&seen, strcmp(cell, "DT-2") == 0 || strcmp(cell, "AR-6") == 0));
    if (event == UL_EVT16)
        EXPECT(seen.last.abort_source == 2 && seen.last.abort_reason == 5);
    if (strcmp(cell, "AE-4") == 0)
        EXPECT(ul.reject.result == 2 && ul.reject.source == 3 && ul.reject.reason == 1);
    if (strcmp(cell, "AE-6") == 0)
        EXPECT(strcmp(ul.request.calling, "CT1") == 0 && ul.request.context_count == 1);
    if (strcmp(cell, "AE-3") == 0)
        EXPECT(ul.accept.context_count == 1 && ul.accept.max_length == 16384);
    octets_free(&out);
    ul_free(&ul);
}

/* Late local events that change nothing: the transport and the timer always may be late, the user's abort may come when
 * nothing is left to abort. */
static bool is_harmless(enum ul_state from, enum ul_event event)
{
    return event == UL_EVT17 || event == UL_EVT18 ||
           (event == UL_EVT15 && (from == UL_STA1 || from == UL_STA13)) ||
           (is_from_peer(event) && from == UL_STA1);
}

static void check_empty(enum ul_state from, enum ul_event event, const char *cell, bool is_requestor,
                        size_t chunk)
{
    struct ul ul;
    struct octets out = {0};
    peer_reach(&ul, from, is_requestor);
    if (is_harmless(from, event)) {
        struct seen seen = happen(&ul, event, chunk, &out);
        EXPECT(seen.events == 0 && seen.effects == 0 && seen.indications == 0);
        EXPECT(has_data(&seen, false));
        EXPECT(out.len == 0 && ul.state == from);
    } else {
        EXPECT(chunk == 1 || asserts(&ul, event));
    }
    octets_free(&out);
    ul_free(&ul);
}

static void check_cell(enum ul_state from, enum ul_event event, bool is_requestor)
{
    const char *cell = TABLE[from][event - 1];
    /* Only a requestor asks for a connection, only an acceptor is asked for one. */
    const bool is_other_role = (event == UL_EVT1 && !is_requestor) || (event == UL_EVT5 && is_requestor);
    if (from == UL_STA2 && event == UL_EVT15)
        cell = "AA-1"; /* ours, beside the table */
    for (size_t chunk = 0; chunk <= 1; chunk++) {
        if (strcmp(cell, ".") == 0 || is_other_role)
            check_empty(from, event, cell, is_requestor, chunk);
        else
            check_filled(from, event, cell, is_requestor, chunk);
    }
}

static void every_cell_of_table_9_10_does_what_its_action_says(void **state)
{
    (void)state;
    struct ul ul;
    int reached = 0;
    for (int s = UL_STA1; s <= UL_STA13; s++) {
        for (int role = 0; role < BOTH_ROLES; role++) {
            if (!peer_reach(&ul, (enum ul_state)s, role))
                continue;
            ul_free(&ul);
            reached++;
            for (int e = UL_EVT1; e <= UL_EVT19; e++)
                check_cell((enum ul_state)s, (enum ul_event)e, role);
        }
    }
    assert_int_equal(reached, 4 + 4 + 5 * 2); /* four states of each role, five of both */
}

/* A copy of the peer's request with one byte changed. */
static struct view changed_request(uint8_t copy[256], size_t at, uint8_t value)
{
    memcpy(copy, PEER_RQ.at, PEER_RQ.len);
    copy[at] = value;
    return (struct view){copy, PEER_RQ.len};
}

static void a_request_that_the_provider_cannot_take_is_rejected(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        size_t at;
        uint8_t value;
        uint8_t reject[3]; /* all 0: accepted */
    } cases[] = {
        {"protocol version 0", 7, 0, {1, 2, 2}},
        {"version 2 alone: bit 0 decides", 7, 2, {1, 2, 2}},
        {"versions 1 and 2", 7, 3, {0, 0, 0}},
        {"another application context", 6 + 68 + 4 + 20, '2', {1, 1, 2}},
        {"an application context with something before its end", 6 + 68 + 4 + 1, '0', {1, 1, 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ul ul;
        struct octets out = {0};
        uint8_t copy[256];
        const uint8_t *reject = cases[i].reject;
        peer_reach(&ul, UL_STA2, false);
        struct seen seen = peer_sends(&ul, changed_request(copy, cases[i].at, cases[i].value), i % 2, &out);
        assert_int_equal(seen.events, 1);
        assert_int_equal(seen.last.action, UL_AE6);
        assert_int_equal(seen.indication, reject[0] ? UL_REFUSED : UL_ASSOCIATE);
        assert_int_equal(ul.state, reject[0] ? UL_STA13 : UL_STA3);
        if (reject[0]) {
            const uint8_t bytes[] = {3, 0, 0, 0, 0, 4, 0, reject[0], reject[1], reject[2]};
            assert_int_equal(out.len, sizeof bytes);
            assert_memory_equal(out.data, bytes, sizeof bytes);
            assert_int_equal(seen.effects, UL_SEND | UL_START_ARTIM);
            assert_int_equal(ul.reject.reason, reject[2]);
        }
        octets_free(&out);
        ul_free(&ul);
    }
}

static void a_request_cut_off_anywhere_is_only_waited_for(void **state)
{
    (void)state;
    for (size_t len = 0; len < PEER_RQ.len; len++) {
        struct ul ul;
        struct octets out = {0};
        peer_reach(&ul, UL_STA2, false);
        struct seen seen = peer_sends(&ul, (struct view){PEER_RQ.at, len}, len % 3, &out);
        assert_int_equal(seen.events + seen.indications, 0);
        assert_int_equal(out.len, 0);
        assert_int_equal(ul.state, UL_STA2);
        assert_int_equal(ul_local(&ul, UL_EVT18, &out).effects, UL_STOP_ARTIM | UL_CLOSE);
        ul_free(&ul);
    }
}

static void a_malformed_negotiation_is_an_invalid_pdu(void **state)
{
    (void)state;
    struct ul ul;
    struct octets out = {0};
    uint8_t copy[256];
    peer_reach(&ul, UL_STA2, false);
    struct seen seen = peer_sends(&ul, changed_request(copy, 6 + 68 + 25 + 4, 2), 1, &out); /* context id 2 */
    assert_int_equal(seen.last.event, UL_EVT19);
    assert_int_equal(seen.last.action, UL_AA1);
    assert_int_equal(seen.indication, UL_FAULT);
    assert_int_equal(seen.last.fault.reason, PDU_ABORT_INVALID_PARAMETER);
    assert_memory_equal(out.data, USER_ABORT_BYTES, sizeof USER_ABORT_BYTES);
    octets_clear(&out);
    ul_free(&ul);

    peer_reach(&ul, UL_STA5, true);
    memcpy(copy, PEER_AC.at, PEER_AC.len);
    copy[6 + 68 + 25 + 3]++; /* the length of item 21 */
    seen = peer_sends(&ul, (struct view){copy, PEER_AC.len}, 1, &out);
    assert_int_equal(seen.last.event, UL_EVT19);
    assert_int_equal(seen.last.action, UL_AA8);
    assert_memory_equal(out.data, ((const uint8_t[]){7, 0, 0, 0, 0, 4, 0, 0, 2, 6}), 10);
    octets_free(&out);
    ul_free(&ul);
}

static void after_a_fault_a_peer_gets_one_abort_and_no_more(void **state)
{
    (void)state;
    for (int s = UL_STA2; s <= UL_STA13; s++) {
        for (int role = 0; role < BOTH_ROLES; role++) {
            struct ul ul;
            struct octets out = {0};
            if (s == UL_STA4 || !peer_reach(&ul, (enum ul_state)s, role))
                continue;
            struct seen seen = peer_sends(&ul, PEER_UNKNOWN, 0, &out);
            assert_int_equal(seen.events, 1);
            assert_int_equal(out.len, 10);
            seen = peer_sends(&ul, PEER_UNKNOWN, 1, &out);
            assert_int_equal(seen.events + seen.indications, 0);
            seen = peer_sends(&ul, PEER_RQ, 0, &out);
            assert_int_equal(seen.events + seen.indications, 0);
            assert_int_equal(out.len, 10);
            assert_int_equal(ul.state, UL_STA13);
            octets_free(&out);
            ul_free(&ul);
        }
    }
}

static void in_sta13_each_request_is_answered_once_and_other_pdus_are_skipped(void **state)
{
    (void)state;
    struct ul ul;
    struct octets out = {0};
    peer_reach(&ul, UL_STA13, false);
    peer_sends(&ul, PEER_RQ, 1, &out);
    assert_int_equal(out.len, 10);
    assert_int_equal(peer_sends(&ul, PEER_DATA, 1, &out).last.action, UL_AA6);
    assert_int_equal(peer_sends(&ul, PEER_AC, 1, &out).last.action, UL_AA6);
    assert_int_equal(out.len, 10);
    peer_sends(&ul, PEER_RQ, 0, &out);
    assert_int_equal(out.len, 20);
    assert_int_equal(ul.reader.body.cap, 0);
    assert_int_equal(peer_sends(&ul, PEER_ABORT, 1, &out).last.action, UL_AA2);
    assert_int_equal(ul.state, UL_STA1);
    octets_free(&out);
    ul_free(&ul);
}

static void a_refused_pdu_is_refused_at_its_header_and_never_gathered(void **state)
{
    (void)state;
    static const uint8_t header[6] = {PDU_ASSOCIATE_RQ, 0, 0, 0x0f, 0xff, 0xff};
    struct ul ul;
    struct octets out = {0};
    peer_reach(&ul, UL_STA6, false);
    struct seen seen = peer_sends(&ul, (struct view){header, sizeof header}, 0, &out);
    assert_int_equal(seen.last.action, UL_AA8);
    assert_int_equal(out.len, 10);
    peer_sends(&ul, PEER_AC, 0, &out); /* part of the body, whatever it looks like */
    assert_int_equal(out.len, 10);
    assert_int_equal(ul.reader.body.cap, 0);
    octets_free(&out);
    ul_free(&ul);
}

/* From each byte of a P-DATA-TF on: the rest is not reported, the next PDU is understood. */
static void an_abort_in_mid_pdu_silences_the_rest_of_it(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= PEER_DATA.len; cut++) {
        struct ul ul;
        struct octets out = {0};
        peer_reach(&ul, UL_STA6, true);
        peer_sends(&ul, (struct view){PEER_DATA.at, cut}, 0, &out);
        ul_abort(&ul, &out);
        assert_int_equal(ul.state, UL_STA13);
        struct seen seen = peer_sends(&ul, (struct view){PEER_DATA.at + cut, PEER_DATA.len - cut}, 1, &out);
        assert_true(has_data(&seen, false));
        assert_int_equal(peer_sends(&ul, PEER_ABORT, 1, &out).last.action, UL_AA2);
        octets_free(&out);
        ul_free(&ul);
    }
}

static void a_release_in_mid_pdu_lets_its_pieces_go_on(void **state)
{
    (void)state;
    struct ul ul;
    struct octets out = {0};
    peer_reach(&ul, UL_STA6, true);
    peer_sends(&ul, (struct view){PEER_DATA.at, 13}, 0, &out);
    ul_local(&ul, UL_EVT11, &out);
    struct seen seen = peer_sends(&ul, (struct view){PEER_DATA.at + 13, PEER_DATA.len - 13}, 1, &out);
    assert_int_equal(seen.payload_len, 3);
    assert_int_equal(seen.data_ends, 1);
    assert_int_equal(ul.state, UL_STA7);
    octets_free(&out);
    ul_free(&ul);
}

static void a_state_that_changes_between_header_and_body_counts_at_the_body(void **state)
{
    (void)state;
    struct ul ul;
    struct octets out = {0};
    peer_reach(&ul, UL_STA6, true);
    assert_int_equal(peer_sends(&ul, (struct view){PEER_RELEASE_RQ.at, 8}, 0, &out).events, 0);
    ul_local(&ul, UL_EVT11, &out);
    struct seen seen = peer_sends(&ul, (struct view){PEER_RELEASE_RQ.at + 8, 2}, 0, &out);
    assert_int_equal(seen.last.action, UL_AR8);
    assert_int_equal(ul.state, UL_STA9);
    octets_free(&out);
    ul_free(&ul);
}

static void a_whole_association_in_one_input_is_taken_apart(void **state)
{
    (void)state;
    uint8_t bytes[64];
    memcpy(bytes, PEER_DATA.at, PEER_DATA.len);
    memcpy(bytes + PEER_DATA.len, PEER_DATA.at, PEER_DATA.len);
    memcpy(bytes + 2 * PEER_DATA.len, PEER_RELEASE_RQ.at, PEER_RELEASE_RQ.len);
    struct view all = {bytes, 2 * PEER_DATA.len + PEER_RELEASE_RQ.len};
    for (size_t chunk = 0; chunk < all.len; chunk++) {
        struct ul ul;
        struct octets out = {0};
        peer_reach(&ul, UL_STA6, false);
        struct seen seen = peer_sends(&ul, all, chunk, &out);
        assert_int_equal(seen.events, 3);
        assert_int_equal(seen.payload_len, 2 * PEER_PAYLOAD.len);
        assert_int_equal(seen.data_ends, 2);
        assert_int_equal(seen.indication, UL_RELEASE);
        octets_free(&out);
        ul_free(&ul);
    }
}

static void a_fault_found_above_aborts_with_its_own_reason(void **state)
{
    (void)state;
    const struct pdu_fault fault = {PDU_ABORT_UNEXPECTED_PARAMETER, "a context never accepted"};
    for (int s = UL_STA1; s <= UL_STA13; s++) {
        for (int role = 0; role < BOTH_ROLES; role++) {
            struct ul ul;
            struct octets out = {0};
            if (!peer_reach(&ul, (enum ul_state)s, role))
                continue;
            struct ul_outcome o = ul_fault(&ul, fault, &out);
            if (s == UL_STA1 || s == UL_STA13) { /* over already */
                assert_int_equal(o.event, 0);
                assert_int_equal(out.len, 0);
                assert_int_equal(ul.state, s);
            } else if (s == UL_STA4) { /* nobody to tell */
                assert_int_equal(o.effects, UL_STOP_ARTIM | UL_CLOSE);
                assert_int_equal(out.len, 0);
                assert_int_equal(ul.state, UL_STA1);
            } else {
                static const uint8_t bytes[] = {7, 0, 0, 0, 0, 4, 0, 0, 2, 5};
                assert_int_equal(o.indication, s == UL_STA2 ? UL_FAULT : UL_PROVIDER_ABORTED);
                assert_string_equal(o.fault.text, fault.text);
                assert_int_equal(out.len, sizeof bytes);
                assert_memory_equal(out.data, s == UL_STA2 ? USER_ABORT_BYTES : bytes, sizeof bytes);
                assert_int_equal(ul.state, UL_STA13);
            }
            octets_free(&out);
            ul_free(&ul);
        }
    }
}

static void data_may_be_sent_in_sta6_and_sta8_only(void **state)
{
    (void)state;
    for (int s = UL_STA1; s <= UL_STA13; s++) {
        struct ul ul;
        if (!peer_reach(&ul, (enum ul_state)s, true))
            peer_reach(&ul, (enum ul_state)s, false);
        assert_int_equal(ul_may_send_data(&ul), s == UL_STA6 || s == UL_STA8);
        ul_free(&ul);
    }
}

static void an_established_association_at_rest_holds_no_memory(void **state)
{
    (void)state;
    for (int role = 0; role < BOTH_ROLES; role++) {
        struct ul ul;
        peer_reach(&ul, UL_STA6, role);
        ul_forget_negotiation(&ul);
        assert_null(ul.request.store.blocks);
        assert_null(ul.accept.store.blocks);
        assert_null(ul.reader.body.data);
        ul_free(&ul);
    }
}

static void both_ends_of_hilum_understand_each_other(void **state)
{
    (void)state;
    struct ul caller, called;
    struct octets to_called = {0}, to_caller = {0};
    struct pdu_associate rq = user_request(), ac = user_accept();
    ul_init(&caller, true);
    ul_init(&called, false);
    ul_request_take(&caller, &rq);
    assert_null(rq.store.blocks);
    ul_local(&called, UL_EVT5, NULL);
    ul_local(&caller, UL_EVT2, &to_called);
    assert_int_equal(
        peer_sends(&called, (struct view){to_called.data, to_called.len}, 1, &to_caller).indication,
        UL_ASSOCIATE);
    ul_accept_take(&called, &ac, &to_caller);
    assert_int_equal(
        peer_sends(&caller, (struct view){to_caller.data, to_caller.len}, 1, &to_called).indication,
        UL_ACCEPTED);
    assert_string_equal(caller.accept.calling, "CT1");
    octets_clear(&to_called);
    octets_clear(&to_caller);
    ul_local(&caller, UL_EVT11, &to_called);
    ul_local(&called, UL_EVT11, &to_caller); /* release collision */
    assert_int_equal(
        peer_sends(&caller, (struct view){to_caller.data, to_caller.len}, 0, &to_called).indication,
        UL_RELEASE_COLLISION);
    ul_local(&caller, UL_EVT14, &to_called);
    octets_clear(&to_caller);
    struct seen seen = peer_sends(&called, (struct view){to_called.data, to_called.len}, 0, &to_caller);
    assert_int_equal(seen.indications, 2); /* collision, then released */
    assert_int_equal(seen.indication, UL_RELEASED);
    ul_local(&called, UL_EVT14, &to_caller);
    seen = peer_sends(&caller, (struct view){to_caller.data, to_caller.len}, 0, &to_called);
    assert_int_equal(seen.indication, UL_RELEASED);
    assert_int_equal(seen.effects, UL_CLOSE);
    assert_int_equal(ul_local(&called, UL_EVT17, NULL).effects, UL_STOP_ARTIM);
    assert_int_equal(caller.state + called.state, UL_STA1 + UL_STA1);
    octets_free(&to_called);
    octets_free(&to_caller);
    ul_free(&caller);
    ul_free(&called);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_of_table_9_10_does_what_its_action_says),
        cmocka_unit_test(a_request_that_the_provider_cannot_take_is_rejected),
        cmocka_unit_test(a_request_cut_off_anywhere_is_only_waited_for),
        cmocka_unit_test(a_malformed_negotiation_is_an_invalid_pdu),
        cmocka_unit_test(after_a_fault_a_peer_gets_one_abort_and_no_more),
        cmocka_unit_test(in_sta13_each_request_is_answered_once_and_other_pdus_are_skipped),
        cmocka_unit_test(a_refused_pdu_is_refused_at_its_header_and_never_gathered),
        cmocka_unit_test(an_abort_in_mid_pdu_silences_the_rest_of_it),
        cmocka_unit_test(a_release_in_mid_pdu_lets_its_pieces_go_on),
        cmocka_unit_test(a_state_that_changes_between_header_and_body_counts_at_the_body),
        cmocka_unit_test(a_whole_association_in_one_input_is_taken_apart),
        cmocka_unit_test(a_fault_found_above_aborts_with_its_own_reason),
        cmocka_unit_test(data_may_be_sent_in_sta6_and_sta8_only),
        cmocka_unit_test(an_established_association_at_rest_holds_no_memory),
        cmocka_unit_test(both_ends_of_hilum_understand_each_other),
    };
    return cmocka_run_group_tests_name("ul", tests, NULL, NULL);
}
