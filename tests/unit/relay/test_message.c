/*
 * A message between a sender on a real connection and destinations that do as the test says: when they are done, inside which
 * call, and when they are gone. (These destinations stand in for the folder sink: the linker takes theirs.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../association/party.h"
#include "../script/loading.h"
#include "base/clock.h"
#include "relay/message.h"
#include "relay/relay.h"

enum { FAKES = 4 };

enum moment { AT_START, AT_DATA, AT_FINISH, BY_HAND };

/* What a destination is to do. */
struct script {
    enum moment ready_at, done_at;
    uint16_t status;
    const char *comment;
    bool keeps; /* takes what it is given and holds it: a disk that hangs */
    bool stays; /* is not gone before it is let go by hand */
};

struct fake {
    struct sink sink; /* first */
    struct script script;
    struct io_task gone;
    struct slices held;
    unsigned starts, datas, finishes, abandons, flows;
    uint64_t bytes;
    bool is_over, is_gone;
};

/* Of the test that runs: the sinks are made by the code under test, which knows no state of ours. */
static struct fake fakes[FAKES];
static struct io *fake_io;

struct folder_context *folder_context_new(struct io *io, struct pool *pool)
{
    (void)pool;
    fake_io = io;
    return malloc(1);
}

void folder_context_free(struct folder_context **c)
{
    free(*c);
    *c = NULL;
}

static void on_gone_task(struct io_task *task)
{
    struct fake *f = task->owner;
    f->is_gone = true;
    slices_clear(&f->held);
    f->sink.on_gone(&f->sink);
}

static void over(struct fake *f)
{
    assert_false(f->is_over);
    f->is_over = true;
    if (!f->script.stays)
        io_defer(fake_io, &f->gone);
}

static void done(struct fake *f)
{
    over(f);
    f->sink.on_done(&f->sink, f->script.status, f->script.comment);
}

static void reach(struct fake *f, enum moment now)
{
    if (f->script.ready_at == now && !f->sink.is_ready)
        f->sink.on_ready(&f->sink);
    if (f->script.done_at == now && !f->is_over)
        done(f);
}

static void fake_start(struct sink *s)
{
    struct fake *f = (struct fake *)s;
    f->starts++;
    reach(f, AT_START);
}

static void fake_data(struct sink *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct fake *f = (struct fake *)s;
    assert_false(f->is_over);
    assert_int_equal(f->finishes, 0);
    f->datas++;
    f->bytes += len;
    if (f->script.keeps)
        assert_true(slices_push(&f->held, b, at, len));
    reach(f, AT_DATA);
}

static void fake_finish(struct sink *s)
{
    struct fake *f = (struct fake *)s;
    assert_false(f->is_over);
    f->finishes++;
    reach(f, AT_FINISH);
}

static void fake_abandon(struct sink *s)
{
    struct fake *f = (struct fake *)s;
    f->abandons++;
    over(f);
}

static size_t fake_backlog(const struct sink *s)
{
    return ((const struct fake *)s)->held.bytes;
}

static void fake_flow(struct sink *s)
{
    ((struct fake *)s)->flows++;
}

static const struct sink_ops fake_ops = {.start = fake_start,
                                         .data = fake_data,
                                         .finish = fake_finish,
                                         .abandon = fake_abandon,
                                         .backlog = fake_backlog,
                                         .flow = fake_flow};

/* Node n of the configuration is destination n. */
struct sink *sink_folder_new(struct folder_context *c, const struct config_node *node,
                             const struct sink_message *m)
{
    struct fake *f = &fakes[node->index];
    struct script script = f->script;
    (void)c;
    *f = (struct fake){.script = script};
    f->sink = (struct sink){.ops = &fake_ops, .node = node, .message = m};
    f->gone = (struct io_task){.run = on_gone_task, .owner = f};
    return &f->sink;
}

/* --- the relay and its sender */

static const char CONFIG[] = "gateway { window = \"256KiB\", timeouts = { lag = \"200ms\", progress = "
                             "\"600ms\", response = \"400ms\" } }\n"
                             "listen \"127.0.0.1:11112\"\n"
                             "for _, n in ipairs { \"d0\", \"d1\", \"d2\", \"d3\" } do\n"
                             "  node(n) { folder = \"/nowhere/{SOPInstanceUID}\" }\n"
                             "  route(n) { to = { n }, when = { called = \"*\" .. n .. \"*\" } }\n"
                             "end\n";

struct bench {
    const char *folder;
    struct loop loop;
    struct relay relay;
    struct relay_totals totals;
    struct resolver *resolver;
    struct permits_registry *permits;
    struct loaded loaded;
    struct wire sender;
};

/* `to` names the destinations: "d0d2". */
static void bench_open(struct bench *b, const char *to)
{
    memset(fakes, 0, sizeof(fakes));
    loop_open(&b->loop, 16 << 20);
    b->loaded = load_text(b->folder, CONFIG);
    assert_fine(&b->loaded);
    assert_int_equal(resolver_new(&b->resolver), OK);
    assert_int_equal(permits_registry_new(&b->permits), OK);
    struct relay_options options = {.io = b->loop.io,
                                    .pool = &b->loop.pool,
                                    .resolver = b->resolver,
                                    .permits = b->permits,
                                    .totals = &b->totals,
                                    .silent_max = 10};
    assert_int_equal(relay_open(&b->relay, &options), OK);
    int fd;
    b->sender = (struct wire){.loop = &b->loop};
    wire_pair(&fd, &b->sender.fd);
    relay_accept(&b->relay, fd, b->loaded.config, &b->loaded.config->listens[0]);
    struct pdu_associate request = sample_request(16384, 4);
    struct octets bytes = {0};
    pdu_title_write(request.called_raw, to);
    pdu_associate_write(&request, &bytes);
    pdu_associate_free(&request);
    wire_send(&b->sender, bytes.data, bytes.len);
    octets_free(&bytes);
    assert_int_equal(wire_pdu(&b->sender, NULL), PDU_ASSOCIATE_AC);
}

static void bench_close(struct bench *b)
{
    wire_close(&b->sender);
    relay_stop(&b->relay);
    LOOP_UNTIL(&b->loop, relay_is_empty(&b->relay));
    assert_int_equal(b->totals.associations, 0);
    relay_close(&b->relay);
    resolver_free(&b->resolver);
    permits_registry_free(&b->permits);
    loop_close(&b->loop);
    free_loaded(&b->loaded);
}

static void send_command(struct bench *b, uint16_t id)
{
    struct dimse_command c = sample_store(id);
    wire_send_command(&b->sender, 1, &c);
}

static void send_data(struct bench *b, size_t len, bool is_last)
{
    static uint8_t bytes[1 << 16];
    do {
        size_t n = len < 16000 ? len : 16000;
        len -= n;
        wire_send_data(&b->sender, 1, is_last && len == 0 ? PDV_LAST : 0, bytes, n);
    } while (len > 0);
}

static void send_store(struct bench *b, size_t len)
{
    send_command(b, 1);
    send_data(b, len, true);
}

static void expect_answer(struct bench *b, uint16_t status, const char *comment)
{
    struct wire_message m;
    wire_read_message(&b->sender, &m);
    assert_int_equal(m.command.field, DIMSE_C_STORE_RSP);
    assert_int_equal(m.command.status, status);
    assert_int_equal(m.command.comment.len ? 1 : 0, comment ? 1 : 0);
    if (comment)
        assert_memory_equal(m.command.comment.at, comment, strlen(comment));
    wire_message_free(&m);
}

static bool is_answered(struct bench *b)
{
    wire_poll(&b->sender);
    return b->sender.came.len > 0;
}

static void turns(struct bench *b, uint64_t ms)
{
    uint64_t until = clock_ms() + ms;
    while (clock_ms() < until)
        loop_turn(&b->loop);
}

static void until_no_message(struct bench *b)
{
    LOOP_UNTIL(&b->loop, TAILQ_EMPTY(&b->relay.messages));
}

/* --- the answer */

/* Wherever a destination calls back from, the sender gets one answer, and nothing is used after it is gone. */
static void a_destination_may_be_done_at_every_moment(void **state)
{
    static const struct {
        enum moment moment;
        uint16_t status;
    } rows[] = {{AT_START, 0xA700},  {AT_DATA, 0xA700}, {AT_FINISH, 0x0000},
                {AT_FINISH, 0xB000}, {BY_HAND, 0xC001}, {BY_HAND, 0x0000}};
    struct bench *b = *state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t size = 100; size <= 1000000; size *= 100) {
            bench_open(b, "d0d1");
            fakes[0].script = (struct script){
                .ready_at = AT_START, .done_at = rows[i].moment, .status = rows[i].status, .comment = "said"};
            fakes[1].script = (struct script){.ready_at = AT_DATA, .done_at = AT_FINISH};
            send_store(b, size);
            if (rows[i].moment == BY_HAND) {
                LOOP_UNTIL(&b->loop, fakes[0].finishes);
                turns(b, 20);
                assert_false(is_answered(b));
                done(&fakes[0]);
            }
            expect_answer(b, rows[i].status, rows[i].status ? "said" : NULL);
            until_no_message(b);
            assert_int_equal(fakes[1].bytes, size);
            assert_int_equal(fakes[0].abandons + fakes[1].abandons, 0);
            bench_close(b);
        }
    }
}

/* Success of the first three means nothing while the fourth is silent. */
static void there_is_no_answer_before_all_are_done(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0d1d2d3");
    for (unsigned i = 0; i < FAKES; i++)
        fakes[i].script = (struct script){.done_at = BY_HAND, .stays = i == 0};
    send_store(b, 1000);
    LOOP_UNTIL(&b->loop, fakes[3].finishes);
    for (unsigned i = 0; i < FAKES; i++) {
        turns(b, 20);
        assert_false(is_answered(b));
        done(&fakes[i]);
    }
    expect_answer(b, 0, NULL);
    turns(b, 20);
    assert_false(TAILQ_EMPTY(&b->relay.messages)); /* the first one still looks at it */
    io_defer(fake_io, &fakes[0].gone);
    until_no_message(b);
    bench_close(b);
}

/* All have failed: the rest is read, so that the sender can hear of it, and given to nobody. */
static void the_rest_of_an_instance_that_has_failed_is_read_and_dropped(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0");
    fakes[0].script = (struct script){.done_at = AT_DATA, .status = 0xA700, .comment = "full"};
    send_store(b, 3000000);
    expect_answer(b, 0xA700, "full");
    assert_int_equal(fakes[0].datas, 1);
    assert_int_equal(fakes[0].finishes, 0);
    bench_close(b);
}

/* --- the sender is lost */

static void a_sender_lost_in_mid_instance_has_it_abandoned_everywhere(void **state)
{
    static const size_t sizes[] = {0, 100, 60000, 200000};
    struct bench *b = *state;
    for (unsigned i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        bench_open(b, "d0d1d2");
        fakes[0].script = (struct script){.ready_at = AT_START, .done_at = BY_HAND};
        fakes[1].script = (struct script){.ready_at = BY_HAND, .done_at = BY_HAND, .keeps = true};
        fakes[2].script = (struct script){.done_at = AT_DATA, .status = 0xA700};
        send_command(b, 1);
        if (sizes[i / 2])
            send_data(b, sizes[i / 2], false);
        LOOP_UNTIL(&b->loop, fakes[0].starts && fakes[0].bytes == sizes[i / 2]);
        if (i % 2)
            wire_send_abort(&b->sender);
        else
            wire_close(&b->sender);
        until_no_message(b);
        assert_int_equal(fakes[0].abandons, 1);
        assert_int_equal(fakes[1].abandons, 1);
        assert_int_equal(fakes[2].abandons, sizes[i / 2] ? 0 : 1); /* it was done before */
        for (unsigned f = 0; f < 3; f++)
            assert_int_equal(fakes[f].finishes, 0);
        bench_close(b);
    }
}

static void a_sender_lost_after_the_last_fragment_has_it_completed(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0d1");
    fakes[0].script = fakes[1].script = (struct script){.done_at = BY_HAND};
    send_store(b, 100000);
    LOOP_UNTIL(&b->loop, fakes[1].finishes);
    wire_close(&b->sender);
    LOOP_UNTIL(&b->loop, TAILQ_EMPTY(&b->relay.sessions));
    done(&fakes[0]);
    turns(b, 20);
    assert_false(TAILQ_EMPTY(&b->relay.messages));
    done(&fakes[1]);
    until_no_message(b);
    assert_int_equal(fakes[0].abandons + fakes[1].abandons, 0);
    bench_close(b);
}

/* --- what bounds a wait */

/* A disk that hangs after the last byte: `response`. What it says later is not heard. */
static void a_folder_that_does_not_end_fails_after_response(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0d1");
    fakes[0].script = (struct script){.done_at = AT_FINISH};
    fakes[1].script = (struct script){.done_at = BY_HAND, .stays = true};
    uint64_t start = clock_ms();
    send_store(b, 1000);
    expect_answer(b, 0xA700, "d1: not stored in time");
    assert_true(clock_ms() - start >= 400 - 40);
    assert_int_equal(fakes[1].abandons, 1);
    io_defer(fake_io, &fakes[1].gone);
    until_no_message(b);
    bench_close(b);
}

/* A disk that hangs in mid-instance, alone: `progress`. The window is full and the sender waits; then it goes on and hears it. */
static void a_folder_that_takes_nothing_fails_after_progress(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0");
    fakes[0].script = (struct script){.done_at = BY_HAND, .keeps = true};
    uint64_t start = clock_ms();
    send_store(b, 3000000);
    expect_answer(b, 0xA700, "d0: takes no data");
    assert_true(clock_ms() - start >= 600 - 40);
    assert_in_range(fakes[0].bytes, 64 << 10, 512 << 10); /* the window is 256 KiB */
    until_no_message(b);
    bench_close(b);
}

/* Beside one that takes everything: `lag`. */
static void a_destination_that_takes_nothing_while_another_waits_fails_after_lag(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0d1");
    fakes[0].script = (struct script){.done_at = BY_HAND, .keeps = true};
    fakes[1].script = (struct script){.done_at = AT_FINISH};
    uint64_t start = clock_ms();
    send_store(b, 3000000);
    expect_answer(b, 0xA700, "d0: takes no data while others wait");
    assert_in_range(clock_ms() - start, 200 - 40, 600 - 40);
    assert_int_equal(fakes[1].bytes, 3000000);
    until_no_message(b);
    bench_close(b);
}

/* A slow sender is nobody's lag: what is held is not what stops it. */
static void a_sender_that_pauses_makes_no_destination_fail(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0d1");
    fakes[0].script = (struct script){.done_at = AT_FINISH, .keeps = true};
    fakes[1].script = (struct script){.done_at = AT_FINISH};
    send_command(b, 1);
    send_data(b, 100000, false);
    turns(b, 450); /* past lag */
    send_data(b, 1000, true);
    expect_answer(b, 0, NULL);
    bench_close(b);
}

/* --- beginning */

/* Limited nodes are taken in the order of the nodes, each when the one before is ready; the others at once. */
static void limited_destinations_start_one_after_the_other_in_node_order(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d3d2d1d0");
    for (unsigned i = 0; i < FAKES; i++) {
        fakes[i].script = (struct script){.ready_at = BY_HAND, .done_at = BY_HAND};
        b->loaded.config->nodes[i].max_associations = i == 1 ? 0 : 1;
    }
    send_command(b, 1);
    LOOP_UNTIL(&b->loop, fakes[0].starts && fakes[1].starts);
    assert_int_equal(fakes[2].starts + fakes[3].starts, 0);
    fakes[1].sink.on_ready(&fakes[1].sink); /* it has none to give */
    assert_int_equal(fakes[2].starts + fakes[3].starts, 0);
    fakes[0].sink.on_ready(&fakes[0].sink);
    assert_int_equal(fakes[2].starts, 1);
    assert_int_equal(fakes[3].starts, 0);
    fakes[2].script.status = 0xA700;
    done(&fakes[2]); /* a failure is no reason to wait either */
    assert_int_equal(fakes[3].starts, 1);
    wire_close(&b->sender);
    until_no_message(b);
    bench_close(b);
}

/* Smaller messages are whole before they leave; whoever needs memory is a reason to let them go before. */
static void data_flow_from_64_KiB_or_when_memory_is_short(void **state)
{
    struct bench *b = *state;
    bench_open(b, "d0");
    fakes[0].script = (struct script){.done_at = AT_FINISH};
    send_command(b, 1);
    send_data(b, 65000, false);
    LOOP_UNTIL(&b->loop, fakes[0].bytes == 65000);
    assert_int_equal(fakes[0].flows, 0);
    send_data(b, 536, false);
    LOOP_UNTIL(&b->loop, fakes[0].bytes == 65536);
    assert_int_equal(fakes[0].flows, 1);
    send_data(b, 10, true);
    expect_answer(b, 0, NULL);

    send_command(b, 2);
    send_data(b, 1000, false);
    LOOP_UNTIL(&b->loop, fakes[0].bytes == 1000);
    assert_int_equal(fakes[0].flows, 0);
    b->loop.pool.on_short(b->loop.pool.on_short_arg);
    LOOP_UNTIL(&b->loop, fakes[0].flows == 1);
    send_data(b, 10, true);
    expect_answer(b, 0, NULL);
    bench_close(b);
}

static int set_up(void **state)
{
    static struct bench bench;
    bench = (struct bench){.folder = *state};
    *state = &bench;
    return 0;
}

int main(void)
{
#define MESSAGE_TEST(test) cmocka_unit_test_setup(test, set_up)
    const struct CMUnitTest tests[] = {
        MESSAGE_TEST(a_destination_may_be_done_at_every_moment),
        MESSAGE_TEST(there_is_no_answer_before_all_are_done),
        MESSAGE_TEST(the_rest_of_an_instance_that_has_failed_is_read_and_dropped),
        MESSAGE_TEST(a_sender_lost_in_mid_instance_has_it_abandoned_everywhere),
        MESSAGE_TEST(a_sender_lost_after_the_last_fragment_has_it_completed),
        MESSAGE_TEST(a_folder_that_does_not_end_fails_after_response),
        MESSAGE_TEST(a_folder_that_takes_nothing_fails_after_progress),
        MESSAGE_TEST(a_destination_that_takes_nothing_while_another_waits_fails_after_lag),
        MESSAGE_TEST(a_sender_that_pauses_makes_no_destination_fail),
        MESSAGE_TEST(limited_destinations_start_one_after_the_other_in_node_order),
        MESSAGE_TEST(data_flow_from_64_KiB_or_when_memory_is_short),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
