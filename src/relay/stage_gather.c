/* The whole instance is here before its first byte goes out: `stream = false`, and a destination that waits for another one (message_sinks.c). */
#include <stdlib.h>

#include "dimse/status.h"
#include "relay/stage.h"

struct gather {
    struct stage stage; /* first */
    struct slices held;
    bool is_open; /* it has been let go */
    void (*on_full)(struct stage *st);
};

static void data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len)
{
    struct gather *g = (struct gather *)st;
    bool is_full = !g->is_open && g->held.bytes + len > st->held_max;
    if (is_full && g->on_full)
        g->on_full(st);
    if (g->is_open)
        stage_pass_data(st, b, at, len);
    else if (is_full)
        st->on_failed(st, DIMSE_STATUS_OUT_OF_RESOURCES, "larger than header_max, cannot be held whole");
    else if (!slices_push(&g->held, b, at, len))
        st->on_failed(st, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
}

static void flow(struct stage *st)
{
    if (((struct gather *)st)->is_open) /* else not before the end */
        stage_pass_flow(st);
}

static void pass_held(struct stage *st)
{
    struct gather *g = (struct gather *)st;
    while (g->held.count > 0) {
        struct slice first = *slices_at(&g->held, 0);
        stage_pass_data(st, first.buf, first.at, first.len); /* takes its own reference */
        slices_consume(&g->held, first.len);
    }
}

void stage_gather_let_go(struct stage *st)
{
    ((struct gather *)st)->is_open = true;
    st->held_max = 0;
    pass_held(st);
}

static void finish(struct stage *st)
{
    pass_held(st);
    stage_pass_flow(st);
    stage_pass_finish(st);
}

static void gather_free(struct stage *st)
{
    struct gather *g = (struct gather *)st;
    slices_clear(&g->held);
    free(g);
}

static const struct stage_ops gather_ops = {
    .data = data, .flow = flow, .finish = finish, .free = gather_free};

struct stage *stage_gather_new(struct sink *sink, uint64_t held_max, void (*on_full)(struct stage *st))
{
    struct gather *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->stage = (struct stage){.ops = &gather_ops, .sink = sink, .held_max = held_max};
    g->on_full = on_full;
    return &g->stage;
}
