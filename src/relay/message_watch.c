/*
 * One timer a message looks for destinations that hold it up. A node that is the only one is bounded by its association; what that
 * cannot know is found here: who lags behind others, who waits for memory that never comes, disks that hang.
 */
#include "dimse/status.h"
#include "relay/health.h"
#include "relay/message_route.h"

static uint64_t lag_of(const struct message *m, const struct sink *s)
{
    return s->node->is_folder ? m->session->config->timeouts.lag : s->node->lag_ms;
}

static uint64_t watch_period(const struct message *m)
{
    const struct config_timeouts *t = &m->session->config->timeouts;
    uint64_t least = t->lag < t->progress ? t->lag : t->progress;
    least = least < t->response ? least : t->response;
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->sinks[i] && lag_of(m, m->sinks[i]) < least)
            least = lag_of(m, m->sinks[i]);
    return least / 4 + 1;
}

/* A node alone is watched over by its association. */
static bool needs_watch(const struct message *m)
{
    for (unsigned i = 0; i < m->sink_count; i++)
        if (stage_holds(m->stages[i]) > 0 || (m->sinks[i] && m->sinks[i]->node->is_folder))
            return true;
    return m->sink_count > 1 || m->hold;
}

/* Waiting for an association has its own bound, `response`, and what has not begun to flow waits for us: the clock of `lag`
 * does not run. */
static bool lags(const struct message *m, struct sink *s, uint64_t now)
{
    if (!s || s->is_done)
        return false;
    if (!s->is_started || !s->is_flowing || (s->ops->is_in_line && s->ops->is_in_line(s)))
        s->progress_ms = now; /* it has not been given anything to take */
    return s->ops->backlog(s) > 0 && now - s->progress_ms >= lag_of(m, s);
}

/* A slow destination of a fan-out holds the others back for `lag` at most. */
static void fail_laggards(struct message *m, uint64_t now)
{
    static const char takes_nothing[] = "takes no data while others wait";
    bool others_wait = false;
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *one = m->sinks[i];
        if (one && !one->is_done && one->ops->backlog(one) == 0)
            others_wait = true;
    }
    const struct association *a = &m->session->a; /* slowed, it is the sender that is waited for */
    bool may_fail = others_wait && association_is_held_up(a) && !a->is_slowed;
    for (unsigned i = 0; i < m->sink_count; i++)
        if (lags(m, m->sinks[i], now) && may_fail) {
            health_sign(m->session->relay, m->sinks[i]->node, CIRCUIT_TROUBLE, takes_nothing);
            message_fail_sink(m->sinks[i], DIMSE_STATUS_OUT_OF_RESOURCES, takes_nothing);
        }
}

/* Instances that are gathered and want the rest of the pool, each the part that another holds, would wait for ever. */
static void fail_gathered(struct message *m, uint64_t now)
{
    struct relay *r = m->session->relay;
    const struct stream *stream = &m->session->a.stream;
    uint64_t since = stream->received_ms > r->gave_up_ms ? stream->received_ms : r->gave_up_ms;
    bool is_starved = stream_is_starved(stream) && now - since >= m->session->config->timeouts.lag;
    if (m->hold && is_starved) {
        r->gave_up_ms = now;
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "no memory in time to hold what routes ask for");
        return;
    }
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (!s || s->is_done || stage_holds(m->stages[i]) == 0 || !is_starved)
            continue;
        r->gave_up_ms = now; /* one at a time: what it held may be enough for the others */
        message_fail_sink(s, DIMSE_STATUS_OUT_OF_RESOURCES, "no memory in time to hold it whole");
        stage_free(&m->stages[i]); /* now, so that the next one in this state is not failed as well */
        message_leave_gathered(m);
    }
}

/* A disk that takes nothing of what is gathered has no time-out of its own either. */
static void fail_unwritten(struct message *m, uint64_t now)
{
    static const char what[] = "queue: takes no data";
    uint64_t since = m->gathered ? gathered_writing_since(m->gathered) : 0;
    if (since == 0 || now - since < m->session->config->timeouts.progress)
        return;
    if (m->hold)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, what);
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->sinks[i] && !m->sinks[i]->is_done && stage_holds(m->stages[i]) > 0)
            message_fail_sink(m->sinks[i], DIMSE_STATUS_OUT_OF_RESOURCES, what);
    message_leave_gathered(m);
    message_queue_moved(m);
}

/* A disk has no time-outs of its own: it counts as failed like a node that takes or answers nothing. What it does later than that
 * is known to nobody. */
static void fail_hung(struct message *m, uint64_t now)
{
    const struct config_timeouts *t = &m->session->config->timeouts;
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (!s || s->is_done || !s->node->is_folder)
            continue;
        uint64_t idle_ms = now - s->progress_ms;
        if (m->is_complete && idle_ms >= t->response)
            message_fail_sink(s, DIMSE_STATUS_OUT_OF_RESOURCES, "not stored in time");
        else if (!m->is_complete && s->ops->backlog(s) > 0 && idle_ms >= t->progress)
            message_fail_sink(s, DIMSE_STATUS_OUT_OF_RESOURCES, "takes no data");
    }
}

static void on_watch(struct io_timer *t)
{
    struct message *m = t->owner;
    uint64_t now = io_now(m->session->relay->io);
    if (!m->is_complete) {
        fail_laggards(m, now);
        fail_gathered(m, now);
    }
    fail_unwritten(m, now);
    fail_hung(m, now);
    if (!m->is_answered)
        io_timer_start(m->session->relay->io, t, watch_period(m));
}

void message_watch(struct message *m)
{
    m->watch = (struct io_timer){.on_fire = on_watch, .owner = m};
    if (needs_watch(m))
        io_timer_start(m->session->relay->io, &m->watch, watch_period(m));
}
