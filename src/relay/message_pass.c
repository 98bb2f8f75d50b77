/* Whether the payload of a message may go by memory: its destinations' and their routes' say. */
#include "relay/keep.h"
#include "relay/message.h"

/* What can be said before the destinations are asked. */
static bool is_allowed(const struct message *m)
{
    unsigned live = 0;
    if (m->keep && keep_is_whole(m->keep) && (m->keep->is_needed || m->keep->options.journals))
        return false;
    for (unsigned i = 0; i < m->sink_count; i++) {
        const struct sink *s = m->sinks[i];
        if (!s || s->is_done)
            continue;
        if (m->stages[i] || !s->ops->passes_to || s->zero_copy == CONFIG_ZERO_COPY_NEVER)
            return false;
        live++;
    }
    return live > 0 && live <= ASSOCIATION_LEGS_MAX;
}

/* So much more comes to memory before it may pass: what is held back at first, and what is kept for a second try. */
static size_t receive_max(const struct message *m)
{
    uint64_t until = m->is_flowing ? m->session->config->replay_max : MESSAGE_FLOW_BYTES;
    return until > m->received + BUF_BYTES ? until - m->received : BUF_BYTES;
}

enum association_bulk message_bulk(struct message *m, struct association_legs *legs_out)
{
    enum association_bulk how = ASSOCIATION_BULK_PASS;
    if (m->hold) { /* it may pass once it is decided */
        legs_out->receive_max = BUF_BYTES;
        return ASSOCIATION_BULK_LATER;
    }
    if (!is_allowed(m))
        return ASSOCIATION_BULK_RECEIVE;
    legs_out->receive_max = receive_max(m);
    if (!m->is_flowing)
        return ASSOCIATION_BULK_LATER;
    if (m->keep && keep_is_whole(m->keep)) /* until it is given up */
        how = ASSOCIATION_BULK_LATER;
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (!s || s->is_done)
            continue;
        enum association_bulk one = s->ops->passes_to(s, &legs_out->to[legs_out->count++]);
        if (one > how)
            how = one;
    }
    return how;
}

void message_passed(struct message *m, size_t n)
{
    m->received += n;
    for (unsigned i = 0; i < m->sink_count;
         i++) /* none had anything left to take: a stall is counted from here */
        if (m->sinks[i])
            m->sinks[i]->progress_ms = io_now(m->session->relay->io);
}
