#include "association/voice.h"

#include <stdlib.h>

#include "base/assert.h"

struct voice_message {
    struct voice_turn *turn; /* NULL: a whole message */
    uint8_t context_id;
    struct dimse_command command; /* views into `values` */
    struct octets values;
    struct slices data;
    STAILQ_ENTRY(voice_message) link;
};

void voice_init(struct voice *v, struct association *a)
{
    *v = (struct voice){.a = a};
    STAILQ_INIT(&v->waiting);
}

/* It has left the line. */
static void drop(struct voice_message *m)
{
    if (m->turn)
        m->turn->is_waiting = false;
    slices_clear(&m->data);
    octets_free(&m->values);
    free(m);
}

void voice_clear(struct voice *v)
{
    struct voice_message *m;
    while ((m = STAILQ_FIRST(&v->waiting))) {
        STAILQ_REMOVE_HEAD(&v->waiting, link);
        drop(m);
    }
}

/* A whole message. The data set is let go with it. */
static bool say(struct association *a, uint8_t context_id, const struct dimse_command *c, struct slices *data)
{
    bool ok = association_send_command(a, context_id, c);
    if (!dimse_has_data_set(c))
        return ok;
    for (; ok && data && data->count > 0; slices_consume(data, slices_at(data, 0)->len)) {
        const struct slice *s = slices_at(data, 0);
        ok = association_send_data(a, s->buf, s->at, s->len);
    }
    return ok && association_send_data_end(a);
}

static bool may_say(const struct voice *v)
{
    return STAILQ_EMPTY(&v->waiting) && association_may_send(v->a);
}

static struct voice_message *wait_in_line(struct voice *v)
{
    struct voice_message *m = calloc(1, sizeof(*m));
    if (m)
        STAILQ_INSERT_TAIL(&v->waiting, m, link);
    return m;
}

bool voice_say(struct voice *v, uint8_t context_id, const struct dimse_command *c, struct slices *data)
{
    if (v->a->has_ended || !v->a->is_established)
        return true;
    if (may_say(v))
        return say(v->a, context_id, c, data);
    struct voice_message *m = wait_in_line(v);
    if (!m || !dimse_copy(c, &m->values, &m->command))
        return false;
    m->context_id = context_id;
    if (data) {
        m->data = *data;
        *data = (struct slices){0};
    }
    return true;
}

bool voice_ask(struct voice *v, struct voice_turn *t)
{
    if (v->a->has_ended)
        return true;
    if (may_say(v)) {
        t->on_turn(t);
        return true;
    }
    struct voice_message *m = wait_in_line(v);
    if (!m)
        return false;
    m->turn = t;
    t->is_waiting = true;
    return true;
}

void voice_leave(struct voice *v, struct voice_turn *t)
{
    struct voice_message *m;
    STAILQ_FOREACH (m, &v->waiting, link)
        if (m->turn == t) {
            STAILQ_REMOVE(&v->waiting, m, voice_message, link);
            drop(m);
            return;
        }
}

bool voice_next(struct voice *v)
{
    bool ok = true;
    if (v->is_passing)
        return true;
    v->is_passing = true;
    struct voice_message *m;
    while (ok && (m = STAILQ_FIRST(&v->waiting)) && association_may_send(v->a)) {
        struct voice_turn *turn = m->turn;
        STAILQ_REMOVE_HEAD(&v->waiting, link);
        if (!turn)
            ok = say(v->a, m->context_id, &m->command, &m->data);
        drop(m);
        if (turn)
            turn->on_turn(turn);
    }
    v->is_passing = false;
    return ok;
}

size_t voice_backlog(const struct voice *v)
{
    const struct voice_message *m;
    size_t bytes = 0;
    STAILQ_FOREACH (m, &v->waiting, link)
        bytes += sizeof(*m) + m->values.cap + m->data.bytes;
    return bytes;
}
