/* Chains of stages. */
#include "relay/stage.h"

void stage_data(struct stage *first, struct sink *sink, struct buf *b, uint8_t *at, uint32_t len)
{
    if (sink->is_done)
        return;
    if (first)
        first->ops->data(first, b, at, len);
    else
        sink->ops->data(sink, b, at, len);
}

void stage_flow(struct stage *first, struct sink *sink)
{
    if (sink->is_done)
        return;
    if (first) {
        first->ops->flow(first);
        return;
    }
    if (sink->is_flowing)
        return;
    sink->is_flowing = true;
    if (sink->ops->flow)
        sink->ops->flow(sink);
}

void stage_finish(struct stage *first, struct sink *sink)
{
    if (sink->is_done)
        return;
    if (first)
        first->ops->finish(first);
    else
        sink->ops->finish(sink);
}

void stage_pass_data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len)
{
    stage_data(st->next, st->sink, b, at, len);
}

void stage_pass_flow(struct stage *st)
{
    stage_flow(st->next, st->sink);
}

void stage_pass_finish(struct stage *st)
{
    stage_finish(st->next, st->sink);
}

uint64_t stage_holds(const struct stage *first)
{
    uint64_t most = 0;
    for (const struct stage *st = first; st; st = st->next)
        most = st->held_max > most ? st->held_max : most;
    return most;
}

bool stage_put_first(struct stage **first, struct stage *st,
                     void (*on_failed)(struct stage *st, uint16_t status, const char *what))
{
    if (!st)
        return false;
    st->on_failed = on_failed;
    st->next = *first;
    *first = st;
    return true;
}

void stage_free(struct stage **first)
{
    while (*first) {
        struct stage *st = *first;
        *first = st->next;
        st->ops->free(st);
    }
}
