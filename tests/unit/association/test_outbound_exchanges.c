/* Exchanges that end inside each other's callbacks, and nodes that say odd things: outbound associations, the node a plain socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "association/outbound.h"
#include "base/clock.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "party.h"
#include "pdu/pdu.h"

struct yard {
    struct loop loop;
    struct permits_registry *registry;
    struct outbound_pool *pool;
    struct config *config;
    struct config_node node;
    int listener;
    struct wire wire; /* the connection of this moment */
};

struct client {
    struct yard *yard;
    struct outbound_want want;
    struct outbound_exchange x;
    const struct association_context *context;
    unsigned ready, failed, responses, lost, sent;
    bool is_reused;
    enum outbound_failure kind;
    uint16_t status;
    char why[96];
    /* What it does to the other in its own callback. */
    struct client *other;
    bool abandons_on_sent, abandons_on_response, abandons_on_lost, finishes_on_ready;
    bool requests_on_lost, was_refused;
};

static bool build(struct outbound_want *w, struct pdu_associate *request)
{
    struct pdu_associate sample = sample_request(0, 4);
    (void)w;
    sample.max_length = request->max_length;
    *request = sample;
    return true;
}

static void on_ready(struct outbound_want *w, const struct association_context *context, bool is_reused)
{
    struct client *c = w->owner;
    c->ready++;
    c->context = context;
    c->is_reused = is_reused;
    if (c->finishes_on_ready)
        outbound_finish(&c->x);
}

static void on_failed(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    struct client *c = w->owner;
    c->failed++;
    c->kind = kind;
    snprintf(c->why, sizeof(c->why), "%s", why);
}

static void on_response(struct outbound_exchange *x, const struct dimse_command *answer)
{
    struct client *c = x->owner;
    c->responses++;
    c->status = answer->status;
    outbound_finish(x);
    if (c->abandons_on_response)
        outbound_abandon(&c->other->x, "by the other");
}

static void on_lost(struct outbound_exchange *x, const char *why)
{
    struct client *c = x->owner;
    struct dimse_command rq = sample_store(0);
    c->lost++;
    assert_null(x->outbound);
    snprintf(c->why, sizeof(c->why), "%s", why);
    if (c->abandons_on_lost)
        outbound_abandon(&c->other->x, "by the other");
    if (c->requests_on_lost)
        c->was_refused = !outbound_request(&c->other->x, c->other->context->id, &rq);
}

static void on_sent(struct outbound_exchange *x)
{
    struct client *c = x->owner;
    c->sent++;
    if (c->abandons_on_sent && c->other->x.outbound) {
        outbound_abandon(&c->other->x, "by the other");
        memset(&c->other->x, 0xee, sizeof(c->other->x)); /* its owner may free it now */
    }
}

static void client_init(struct client *c, struct yard *y, uint64_t user)
{
    *c = (struct client){.yard = y};
    c->x = (struct outbound_exchange){
        .owner = c, .on_response = on_response, .on_lost = on_lost, .on_sent = on_sent};
    c->want = (struct outbound_want){.owner = c,
                                     .config = y->config,
                                     .node = &y->node,
                                     .calling = "ME",
                                     .user = user,
                                     .abstract_syntax = SAMPLE_CLASS,
                                     .transfer_syntax = DICOM_IMPLICIT_VR_LE,
                                     .wait_ms = 15000,
                                     .build = build,
                                     .exchange = &c->x,
                                     .on_ready = on_ready,
                                     .on_failed = on_failed};
}

/* A new association: the node accepts it on y->wire, with this window. */
static void client_open(struct client *c, int window)
{
    struct yard *y = c->yard;
    outbound_acquire(y->pool, &c->want);
    wire_close(&y->wire);
    wire_accept(&y->wire, &y->loop, y->listener);
    assert_int_equal(wire_pdu(&y->wire, NULL), PDU_ASSOCIATE_RQ);
    wire_send_accept(&y->wire, 16384, window);
    LOOP_UNTIL(&y->loop, c->ready);
}

static void client_join(struct client *c)
{
    outbound_acquire(c->yard->pool, &c->want);
    LOOP_UNTIL(&c->yard->loop, c->ready);
    assert_true(c->is_reused);
}

static void client_request(struct client *c)
{
    struct dimse_command rq = sample_store(0);
    assert_true(outbound_request(&c->x, c->context->id, &rq));
}

static void client_send(struct client *c)
{
    client_request(c);
    assert_true(association_send_data_end(&c->x.outbound->a));
    outbound_sent_all(&c->x);
}

static void read_message(struct yard *y)
{
    struct wire_message m;
    wire_read_message(&y->wire, &m);
    wire_message_free(&m);
}

static void node_answers(struct yard *y, uint16_t id, uint16_t status)
{
    struct dimse_command c = sample_response(DIMSE_C_STORE_RSP, id, status, false);
    wire_send_command(&y->wire, 1, &c);
}

/* True once the node sees our A-ABORT. */
static bool is_aborted(struct yard *y)
{
    static const uint8_t begins[] = {PDU_ABORT, 0, 0, 0, 0, 4};
    wire_poll(&y->wire);
    return y->wire.came.len >= 10 &&
           memcmp(y->wire.came.data + y->wire.came.len - 10, begins, sizeof(begins)) == 0;
}

static void turns(struct yard *y)
{
    unsigned from = y->loop.wakes;
    LOOP_UNTIL(&y->loop, y->loop.wakes > from + 2);
}

static int set_up(void **state)
{
    struct yard *y = calloc(1, sizeof(*y));
    assert_non_null(y);
    loop_open(&y->loop, 16 << 20);
    assert_int_equal(permits_registry_new(&y->registry), OK);
    struct outbound_options options = {.io = y->loop.io, .pool = &y->loop.pool, .permits = y->registry};
    y->pool = outbound_pool_new(&options);
    assert_non_null(y->pool);
    y->config = config_new();
    y->wire.fd = -1;
    y->node = (struct config_node){
        .name = (char *)"node", .host = (char *)"127.0.0.1", .ae_title = (char *)"NODE", .max_pdu = 16384};
    y->listener = wire_listen(&y->node.port);
    *state = y;
    return 0;
}

static int tear_down(void **state)
{
    struct yard *y = *state;
    outbound_pool_close(y->pool);
    outbound_pool_close(y->pool);
    wire_close(&y->wire);
    LOOP_UNTIL(&y->loop, outbound_pool_is_empty(y->pool));
    outbound_pool_free(&y->pool);
    assert_int_equal(atomic_load(&y->config->references), 1);
    config_unref(&y->config);
    permits_registry_free(&y->registry);
    close(y->listener);
    loop_close(&y->loop);
    free(y);
    return 0;
}

/* Two requests of one sender are on one association, whole and not answered. */
static void two_under_way(struct yard *y, struct client *one, struct client *two)
{
    client_init(one, y, 1);
    client_init(two, y, 1);
    one->other = two;
    two->other = one;
    client_open(one, 4);
    client_send(one);
    client_join(two);
    client_send(two);
    read_message(y);
    read_message(y);
}

/* --- inside each other's callbacks */

static void an_exchange_may_give_up_the_next_while_both_are_told_of_progress(void **state)
{
    struct yard *y = *state;
    struct client one, two;
    two_under_way(y, &one, &two);
    one.abandons_on_sent = true;
    struct client three;
    client_init(&three, y, 1);
    client_join(&three);
    client_send(&three); /* moves bytes: all three are told, the first gives up the second */
    LOOP_UNTIL(&y->loop, three.sent);
    assert_int_equal(one.sent > 0, 1);
    node_answers(y, 1, 0);
    node_answers(y, 3, 0);
    LOOP_UNTIL(&y->loop, one.responses && three.responses);
    LOOP_UNTIL(&y->loop, is_aborted(y)); /* the second's request was under way */
}

static void an_answer_may_give_up_another_exchange(void **state)
{
    struct yard *y = *state;
    struct client one, two;
    two_under_way(y, &one, &two);
    one.abandons_on_response = true;
    node_answers(y, 1, 0);
    LOOP_UNTIL(&y->loop, one.responses && is_aborted(y));
    assert_int_equal(two.responses + two.lost, 0);
}

static void a_loss_may_give_up_another_exchange(void **state)
{
    struct yard *y = *state;
    struct client one, two, three;
    two_under_way(y, &one, &two);
    client_init(&three, y, 1);
    client_join(&three);
    client_request(&three); /* half-sent, and another is left: the worst case for the doom timer */
    one.other = &three;
    one.abandons_on_lost = true;
    wire_send_abort(&y->wire);
    LOOP_UNTIL(&y->loop, one.lost && two.lost);
    assert_int_equal(three.lost, 0);
    LOOP_UNTIL(&y->loop, outbound_pool_is_empty(y->pool));
    turns(y);
}

static void who_is_about_to_be_lost_cannot_request(void **state)
{
    struct yard *y = *state;
    struct client one, two;
    client_init(&one, y, 1);
    client_init(&two, y, 1);
    one.other = &two;
    one.requests_on_lost = true;
    client_open(&one, 4);
    client_send(&one);
    client_join(&two); /* attached, not requested yet */
    wire_send_abort(&y->wire);
    LOOP_UNTIL(&y->loop, one.lost && two.lost);
    assert_true(one.was_refused);
}

static void an_exchange_may_be_over_as_soon_as_it_is_ready(void **state)
{
    struct yard *y = *state;
    struct client one, two;
    client_init(&one, y, 1);
    one.finishes_on_ready = true;
    client_open(&one, 1);
    client_init(&two, y, 2);
    two.finishes_on_ready = true;
    client_join(&two);
    assert_false(outbound_pool_is_empty(y->pool));
}

/* --- giving up among others */

/* The association lives on for the other's answer; the answer to what was given up is nobody's, and no fault. */
static void a_message_given_up_does_not_fail_the_senders_others(void **state)
{
    struct yard *y = *state;
    struct client one, two;
    two_under_way(y, &one, &two);
    outbound_abandon(&one.x, "no response in time");
    turns(y);
    assert_false(is_aborted(y));
    node_answers(y, 1, 0); /* late */
    node_answers(y, 2, DIMSE_STATUS_OUT_OF_RESOURCES);
    LOOP_UNTIL(&y->loop, two.responses);
    assert_int_equal(two.status, DIMSE_STATUS_OUT_OF_RESOURCES);
    assert_int_equal(one.responses + one.lost + two.lost, 0);
    LOOP_UNTIL(&y->loop, is_aborted(y));
}

/* --- message ids */

static void a_message_id_is_neither_0_nor_one_that_waits(void **state)
{
    struct yard *y = *state;
    struct client one, two, three;
    client_init(&one, y, 1);
    client_init(&two, y, 1);
    client_init(&three, y, 1);
    client_open(&one, 4);
    client_send(&one);
    assert_int_equal(one.x.message_id, 1);
    one.x.outbound->next_id = 65535; /* 65533 messages later */
    client_join(&two);
    client_send(&two);
    assert_int_equal(two.x.message_id, 65535);
    client_join(&three);
    client_send(&three);
    assert_int_equal(three.x.message_id, 2); /* 0 is none, 1 waits */
    outbound_abandon(&one.x, "the test is over");
    outbound_abandon(&two.x, "the test is over");
    outbound_abandon(&three.x, "the test is over");
}

/* --- limits */

/* A sender whose requests overlap never lets the association rest; who waits in line gets it all the same. */
static void overlapping_requests_do_not_pass_those_in_line(void **state)
{
    struct yard *y = *state;
    struct client one, two, waits;
    y->node.max_associations = 1;
    client_init(&one, y, 1);
    client_init(&waits, y, 2);
    client_init(&two, y, 1);
    client_open(&one, 4);
    client_send(&one);
    read_message(y);
    outbound_acquire(y->pool, &waits.want);
    turns(y);
    outbound_acquire(y->pool, &two.want);
    turns(y);
    assert_int_equal(waits.ready + two.ready, 0);
    node_answers(y, 1, 0);
    LOOP_UNTIL(&y->loop, waits.ready);
    assert_int_equal(two.ready, 0);
    client_send(&waits);
    read_message(y);
    node_answers(y, 2, 0);
    LOOP_UNTIL(&y->loop, waits.responses && two.ready);
    outbound_abandon(&two.x, "the test is over");
}

/* Idle here but of another kind, while the node turns us away for now: it makes room. */
static void a_node_without_room_is_given_back_what_becomes_idle(void **state)
{
    struct yard *y = *state;
    struct client busy, other;
    struct wire first;
    y->config->timeouts.linger = 60000; /* so that nothing but the waiter ends it */
    client_init(&busy, y, 1);
    client_init(&other, y, 2);
    other.want.calling = "OTHER";
    client_open(&busy, 1);
    client_send(&busy);
    read_message(y);
    first = y->wire;
    y->wire = (struct wire){.loop = &y->loop, .fd = -1};
    outbound_acquire(y->pool, &other.want);
    wire_accept(&y->wire, &y->loop, y->listener);
    assert_int_equal(wire_pdu(&y->wire, NULL), PDU_ASSOCIATE_RQ);
    wire_send_reject(&y->wire, PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_LOCAL_LIMIT);
    LOOP_UNTIL(&y->loop, other.want.is_waiting);
    struct dimse_command answer = sample_response(DIMSE_C_STORE_RSP, 1, 0, false);
    wire_send_command(&first, 1, &answer);
    assert_int_equal(wire_pdu(&first, NULL), PDU_RELEASE_RQ);
    wire_send_release_rp(&first);
    wire_until_closed(&first);
    wire_close(&first);
    wire_close(&y->wire);
    wire_accept(&y->wire, &y->loop, y->listener);
    assert_int_equal(wire_pdu(&y->wire, NULL), PDU_ASSOCIATE_RQ);
    wire_send_accept(&y->wire, 16384, -1);
    LOOP_UNTIL(&y->loop, other.ready);
    outbound_abandon(&other.x, "the test is over");
}

static void who_waits_at_the_stop_fails_at_once(void **state)
{
    struct yard *y = *state;
    struct client one, two;
    y->node.max_associations = 1;
    client_init(&one, y, 1);
    client_init(&two, y, 2);
    client_open(&one, 1);
    client_send(&one);
    outbound_acquire(y->pool, &two.want);
    turns(y);
    outbound_pool_close(y->pool);
    assert_int_equal(two.failed, 1);
    assert_int_equal(two.kind, OUTBOUND_UNREACHABLE);
    assert_int_equal(one.lost, 1);
}

/* --- a negotiation's association, later */

static void an_association_that_rested_counts_as_reused(void **state)
{
    struct yard *y = *state;
    for (unsigned rests = 0; rests < 2; rests++) {
        struct client asks, uses;
        client_init(&asks, y, 1);
        asks.want.abstract_syntax = asks.want.transfer_syntax = NULL;
        asks.want.exchange = NULL;
        asks.want.calling = rests ? "RESTS" : "AT ONCE";
        client_open(&asks, 1);
        if (rests) {
            uint64_t until = clock_ms() + 1100;
            LOOP_UNTIL(&y->loop, clock_ms() > until);
        }
        client_init(&uses, y, 1);
        uses.want.calling = asks.want.calling;
        outbound_acquire(y->pool, &uses.want);
        LOOP_UNTIL(&y->loop, uses.ready);
        assert_int_equal(uses.is_reused, rests);
        outbound_abandon(&uses.x, "the test is over");
    }
}

/* --- what nodes say */

static void a_release_of_the_node_loses_what_waits_for_an_answer(void **state)
{
    struct yard *y = *state;
    struct client one;
    client_init(&one, y, 1);
    client_open(&one, 1);
    client_send(&one);
    read_message(y);
    wire_send_release_rq(&y->wire); /* quirk 17 */
    LOOP_UNTIL(&y->loop, one.lost);
    assert_string_equal(one.why, "released");
    assert_int_equal(wire_pdu(&y->wire, NULL), PDU_RELEASE_RP);
}

static void a_request_of_the_node_is_answered(void **state)
{
    static const struct {
        struct dimse_command (*request)(uint16_t id);
        uint16_t field, status;
    } cases[] = {{sample_echo, DIMSE_C_ECHO_RSP, DIMSE_STATUS_SUCCESS},
                 {sample_store, DIMSE_C_STORE_RSP, DIMSE_STATUS_UNRECOGNISED_OPERATION}};
    struct yard *y = *state;
    struct client one;
    struct wire_message m;
    client_init(&one, y, 1);
    client_open(&one, 1);
    client_send(&one);
    read_message(y);
    for (unsigned i = 0; i < 2; i++) {
        struct dimse_command c = cases[i].request(9);
        wire_send_command(&y->wire, 1, &c);
        if (dimse_has_data_set(&c))
            wire_send_data(&y->wire, 1, PDV_LAST, "ab", 2);
        wire_read_message(&y->wire, &m);
        assert_int_equal(m.command.field, cases[i].field);
        assert_int_equal(m.command.responded_id, 9);
        assert_int_equal(m.command.status, cases[i].status);
        wire_message_free(&m);
    }
    node_answers(y, 1, 0); /* its own answer comes all the same */
    LOOP_UNTIL(&y->loop, one.responses);
}

/* Nobody else's message begins inside one of ours (PS3.8 E.1): the answer waits for its end. */
static void a_request_of_the_node_inside_our_message_is_answered_behind_it(void **state)
{
    struct yard *y = *state;
    struct client one;
    struct dimse_command c = sample_echo(9);
    struct wire_message m;
    client_init(&one, y, 1);
    client_open(&one, 1);
    client_request(&one);
    wire_send_command(&y->wire, 1, &c);
    LOOP_UNTIL(&y->loop, voice_backlog(&one.x.outbound->voice) > 0);
    assert_true(association_send_data_end(&one.x.outbound->a));
    outbound_sent_all(&one.x);
    read_message(y);
    wire_read_message(&y->wire, &m);
    assert_int_equal(m.command.field, DIMSE_C_ECHO_RSP);
    assert_int_equal(m.command.responded_id, 9);
    wire_message_free(&m);
    node_answers(y, 1, 0);
    LOOP_UNTIL(&y->loop, one.responses);
}

static void a_second_answer_is_a_fault(void **state)
{
    struct yard *y = *state;
    struct client one, two;
    two_under_way(y, &one, &two);
    node_answers(y, 1, 0);
    LOOP_UNTIL(&y->loop, one.responses);
    node_answers(y, 1, 0);
    LOOP_UNTIL(&y->loop, two.lost && is_aborted(y));
    assert_int_equal(one.responses, 1);
    assert_string_equal(two.why, "a response to no request");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_exchange_may_give_up_the_next_while_both_are_told_of_progress),
        TEST(an_answer_may_give_up_another_exchange),
        TEST(a_loss_may_give_up_another_exchange),
        TEST(who_is_about_to_be_lost_cannot_request),
        TEST(an_exchange_may_be_over_as_soon_as_it_is_ready),
        TEST(a_message_given_up_does_not_fail_the_senders_others),
        TEST(a_message_id_is_neither_0_nor_one_that_waits),
        TEST(overlapping_requests_do_not_pass_those_in_line),
        TEST(a_node_without_room_is_given_back_what_becomes_idle),
        TEST(who_waits_at_the_stop_fails_at_once),
        TEST(an_association_that_rested_counts_as_reused),
        TEST(a_release_of_the_node_loses_what_waits_for_an_answer),
        TEST(a_request_of_the_node_is_answered),
        TEST(a_request_of_the_node_inside_our_message_is_answered_behind_it),
        TEST(a_second_answer_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
