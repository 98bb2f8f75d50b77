/* stream = false: the whole instance is here before its first byte goes out. */
#include <stdlib.h>

#include "dimse/status.h"
#include "relay/stage.h"

struct gather {
    struct stage stage; /* first */
    struct slices held;
};

static void data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len)
{
    struct gather *g = (struct gather *)st;
    if (g->held.bytes + len > st->held_max)
        st->on_failed(st, DIMSE_STATUS_OUT_OF_RESOURCES, "larger than header_max, cannot be held whole");
    else if (!slices_push(&g->held, b, at, len))
        st->on_failed(st, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
}

static void flow(struct stage *st)
{
    (void)st; /* not before the end */
}

static void finish(struct stage *st)
{
    struct gather *g = (struct gather *)st;
    while (g->held.count > 0) {
        struct slice first = *slices_at(&g->held, 0);
        stage_pass_data(st, first.buf, first.at, first.len); /* takes its own reference */
        slices_consume(&g->held, first.len);
    }
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

struct stage *stage_gather_new(struct sink *sink, uint64_t held_max)
{
    struct gather *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->stage = (struct stage){.ops = &gather_ops, .sink = sink, .held_max = held_max};
    return &g->stage;
}
