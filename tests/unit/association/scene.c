#include "scene.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "association/inside.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "pdu/write.h"

static struct scene *scene_of(struct association *a)
{
    return ((struct party *)a->owner)->owner;
}

/* --- the user in between ----------------------------------------------------------------------------------- */

static void on_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    struct scene *t = scene_of(a);
    t->in_memory += len;
    for (unsigned i = 0; i < t->legs; i++)
        assert_true(association_send_data(&t->to[i].a, b, at, len));
}

static enum association_bulk on_bulk(struct association *a, struct association_legs *legs_out)
{
    struct scene *t = scene_of(a);
    enum association_bulk how = ASSOCIATION_BULK_PASS;
    t->asked++;
    for (unsigned i = 0; i < t->legs; i++) {
        struct association *to = &t->to[i].a;
        if (to->has_ended)
            continue;
        enum association_bulk one = association_may_pass(to);
        legs_out->to[legs_out->count++] = to;
        how = one > how ? one : how;
    }
    return t->only_memory || legs_out->count == 0 ? ASSOCIATION_BULK_RECEIVE : how;
}

static void on_passed(struct association *a, size_t n)
{
    struct scene *t = scene_of(a);
    assert_false(a->has_ended);
    t->passed += n;
    if (t->on_passed)
        t->on_passed(t);
}

void scene_send_ends(struct scene *t)
{
    for (unsigned i = 0; i < t->legs; i++)
        assert_true(association_send_data_end(&t->to[i].a));
}

static void sender_hook(struct party *p, enum party_event e)
{
    struct scene *t = p->owner;
    struct dimse_command c = sample_store(7);
    for (unsigned i = 0; i < t->legs; i++) {
        struct association *to = &t->to[i].a;
        if (e == PARTY_COMMAND && association_may_send(to))
            assert_true(association_send_command(to, 1, &c));
        else if (e == PARTY_END && to->is_sending_data)
            association_abort(to, "the sender is lost");
    }
    if (e == PARTY_DATA_END && !t->holds_end)
        scene_send_ends(t);
}

static void leg_hook(struct party *p, enum party_event e)
{
    struct scene *t = p->owner;
    if (e == PARTY_SENT && t->on_sent)
        t->on_sent(t);
    if (e == PARTY_SENT || e == PARTY_END)
        association_look_again(&t->from.a);
}

/* --- the scene --------------------------------------------------------------------------------------------- */

void scene_open(struct scene *t, const uint32_t maxima[LEGS])
{
    party_accept_established(&t->from, &t->loop, LONG_LIMITS, &t->sender, 16384);
    t->user = *t->from.a.user;
    t->user.on_data = on_data;
    t->user.on_bulk = on_bulk;
    t->user.on_passed = on_passed;
    t->from.a.user = &t->user;
    t->from.owner = t;
    t->from.hook = sender_hook;
    for (t->legs = 0; t->legs < LEGS && maxima[t->legs] > 0; t->legs++) {
        struct party *to = &t->to[t->legs];
        party_connect(to, &t->loop, LONG_LIMITS, &t->sinks[t->legs]);
        wire_send_accept(&t->sinks[t->legs], maxima[t->legs], -1);
        LOOP_UNTIL(&t->loop, to->established);
        to->owner = t;
        to->hook = leg_hook;
    }
    t->is_open = true;
}

void scene_close(struct scene *t)
{
    t->is_open = false;
    t->on_passed = NULL;
    t->on_sent = NULL;
    party_close(&t->from);
    wire_close(&t->sender);
    for (unsigned i = 0; i < t->legs; i++) {
        party_close(&t->to[i]);
        assert_int_equal(t->to[i].ends, 1); /* told once, whatever happened */
        wire_close(&t->sinks[i]);
        t->drip[i] = 0;
    }
    assert_int_equal(t->from.ends, 1);
}

int scene_set_up(void **state)
{
    struct scene *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    loop_open(&t->loop, 32 << 20);
    *state = t;
    return 0;
}

int scene_tear_down(void **state)
{
    struct scene *t = *state;
    if (t->is_open)
        scene_close(t);
    loop_turn(&t->loop);
    loop_close(&t->loop);
    octets_free(&t->script);
    octets_free(&t->content);
    free(t);
    return 0;
}

/* --- what the sender says ---------------------------------------------------------------------------------- */

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

void scene_new_script(struct scene *t)
{
    octets_clear(&t->script);
    octets_clear(&t->content);
    t->sent = t->in_memory = t->passed = t->asked = 0;
    for (unsigned i = 0; i < t->legs; i++)
        octets_clear(&t->sinks[i].came);
}

void scene_add_pdu(struct scene *t, const size_t *sizes, unsigned count, uint8_t last)
{
    size_t length = 0;
    for (unsigned i = 0; i < count; i++)
        length += PDU_PDV_HEADER_BYTES + sizes[i];
    octets_u8(&t->script, PDU_P_DATA_TF);
    octets_u8(&t->script, 0);
    octets_be32(&t->script, (uint32_t)length);
    for (unsigned i = 0; i < count; i++) {
        octets_be32(&t->script, (uint32_t)sizes[i] + 2);
        octets_u8(&t->script, 1);
        octets_u8(&t->script, i + 1 == count ? last : 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            octets_u8(&t->script, byte_at(t->content.len));
            octets_u8(&t->content, byte_at(t->content.len));
        }
    }
}

void scene_add_pdv(struct scene *t, size_t size, uint8_t control)
{
    scene_add_pdu(t, &size, 1, control);
}

/* What has come to a destination; of one that drips, a little. */
static void read_sink(struct scene *t, unsigned i)
{
    uint8_t bytes[16 * KIB];
    struct wire *w = &t->sinks[i];
    if (t->drip[i] == 0) {
        wire_poll(w);
        return;
    }
    ssize_t n = read(w->fd, bytes, t->drip[i] < sizeof(bytes) ? t->drip[i] : sizeof(bytes));
    if (n > 0)
        octets_append(&w->came, bytes, (size_t)n);
}

/* Between turns sockets wait by themselves: what is submitted to the ring counts on it. */
static void expect_blocking(const struct association *a)
{
    if (a->stream_open && a->stream.fd >= 0)
        assert_int_equal(fcntl(a->stream.fd, F_GETFL) & O_NONBLOCK, 0);
}

void scene_turn(struct scene *t)
{
    loop_turn(&t->loop);
    expect_blocking(&t->from.a);
    for (unsigned i = 0; i < t->legs; i++) {
        expect_blocking(&t->to[i].a);
        read_sink(t, i);
    }
}

void scene_send_to(struct scene *t, size_t until)
{
    uint64_t limit = clock_ms() + 20000;
    while (t->sent < until) {
        ssize_t n = send(t->sender.fd, t->script.data + t->sent, until - t->sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* we have closed: the test sees it elsewhere */
        t->sent += n > 0 ? (size_t)n : 0;
        if (clock_ms() > limit)
            fail_msg("nobody reads what the sender sends");
        scene_turn(t);
    }
}

void scene_send_apart(struct scene *t, size_t until)
{
    scene_send_to(t, until);
    TURN_UNTIL(t, t->from.a.stream.received_bytes == t->before + t->sent);
}

void scene_send_rest(struct scene *t)
{
    scene_send_to(t, t->script.len);
}

void scene_begin(struct scene *t)
{
    struct dimse_command c = sample_store(1);
    unsigned commands = t->from.commands;
    t->total = t->content.len;
    octets_fill(&t->content, 0, t->total & 1);
    wire_send_command(&t->sender, 1, &c);
    TURN_UNTIL(t, t->from.commands > commands);
    t->before = t->from.a.stream.received_bytes;
    scene_send_apart(t, PDU_DATA_HEADER_BYTES + LEAD);
}

void scene_begin_to_pass(struct scene *t)
{
    scene_begin(t);
    TURN_UNTIL(t, t->to[0].a.leg);
    assert_int_equal(t->in_memory, LEAD);
}

/* --- what the destinations see ----------------------------------------------------------------------------- */

/* One P-DATA-TF, of which `here` bytes are here: one PDV (quirk 24), even, not empty, the data set's next bytes. */
static void look_at_data(const struct scene *t, struct seen *s, const uint8_t *pdu, size_t here)
{
    size_t fragment = get_be32(pdu + 2) - PDU_PDV_HEADER_BYTES;
    uint8_t control = pdu[11];
    assert_int_equal(get_be32(pdu + 6), fragment + 2);
    assert_int_equal(pdu[10], 1);
    assert_false(s->has_last);
    if (control & PDV_COMMAND)
        return;
    assert_true(fragment > 0 && fragment % 2 == 0);
    size_t payload = here - PDU_DATA_HEADER_BYTES;
    assert_true(s->content + payload <= t->content.len);
    assert_memory_equal(pdu + PDU_DATA_HEADER_BYTES, t->content.data + s->content, payload);
    s->content += payload;
    s->fragments++;
    s->longest = fragment > s->longest ? fragment : s->longest;
    s->has_last = payload == fragment && (control & PDV_LAST);
}

struct seen scene_look(const struct scene *t, unsigned leg)
{
    const struct octets *came = &t->sinks[leg].came;
    struct seen s = {0};
    for (size_t at = 0; at < came->len;) {
        const uint8_t *pdu = came->data + at;
        size_t left = came->len - at;
        if (left < PDU_HEADER_BYTES) {
            s.is_cut = true;
            return s;
        }
        size_t len = PDU_HEADER_BYTES + get_be32(pdu + 2), here = len < left ? len : left;
        assert_false(s.has_abort);
        if (pdu[0] == PDU_ABORT)
            s.has_abort = true;
        else
            assert_int_equal(pdu[0], PDU_P_DATA_TF);
        s.is_cut = here < len;
        if (pdu[0] == PDU_P_DATA_TF && here >= PDU_DATA_HEADER_BYTES)
            look_at_data(t, &s, pdu, here);
        at += here;
    }
    return s;
}

struct seen scene_expect_whole(struct scene *t, unsigned leg, size_t fragment_max)
{
    TURN_UNTIL(t, scene_look(t, leg).has_last);
    struct seen s = scene_look(t, leg);
    assert_int_equal(s.content, t->content.len);
    assert_true(s.longest <= fragment_max);
    assert_int_equal(t->in_memory + t->passed, t->total);
    return s;
}

struct seen scene_expect_cut(struct scene *t, unsigned leg)
{
    TURN_UNTIL(t, t->sinks[leg].is_closed || scene_look(t, leg).has_abort);
    struct seen s = scene_look(t, leg);
    assert_false(s.has_last);
    assert_false(s.is_cut && s.has_abort);
    return s;
}

/* --- several destinations ---------------------------------------------------------------------------------- */

void scene_add_megabytes(struct scene *t, unsigned count)
{
    scene_new_script(t);
    scene_add_pdv(t, FIRST, 0);
    for (unsigned k = 0; k < 4 * count; k++)
        scene_add_pdv(t, 256 * KIB, k + 1 == 4 * count ? PDV_LAST : 0);
}

void scene_make_slow(struct scene *t, unsigned leg, size_t drip)
{
    int little = 32 * KIB;
    setsockopt(t->to[leg].a.stream.fd, SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
    setsockopt(t->sinks[leg].fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
    t->drip[leg] = drip;
}

void scene_send_until_stuck(struct scene *t, unsigned leg)
{
    uint64_t limit = clock_ms() + 20000;
    while (association_passing(&t->to[leg].a) == 0) {
        assert_true(t->sent < t->script.len && clock_ms() < limit);
        scene_send_to(t, t->sent + 1000);
    }
}
