/* The whole instance is here before its first byte goes out: `stream = false`, and a destination that waits for another one (message_sinks.c). What is
 * held is the message's, for all its stages. */
#include <stdlib.h>

#include "dimse/status.h"
#include "relay/stage.h"

struct gather {
    struct stage stage; /* first */
    struct gathered *from;
    uint64_t seen; /* bytes: what was gathered before the decision comes by when all of it is there already */
    bool is_open;  /* it has been let go */
    bool is_finished; /* all is here */
    void (*on_full)(struct stage *st);
};

static void fail(struct stage *st, const char *why)
{
    st->on_failed(st, DIMSE_STATUS_OUT_OF_RESOURCES, why);
}

static void pass_piece(void *owner, struct buf *b, uint8_t *at, uint32_t len)
{
    stage_pass_data(owner, b, at, len);
}

static bool pass_held(struct gather *g)
{
    if (gathered_each(g->from, pass_piece, &g->stage))
        return true;
    fail(&g->stage, "what was held cannot be read");
    return false;
}

void stage_gather_let_go(struct stage *st)
{
    struct gather *g = (struct gather *)st;
    g->is_open = true;
    st->held_max = 0;
    pass_held(g);
}

/* These bytes have been gathered already. */
static void data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len)
{
    struct gather *g = (struct gather *)st;
    if (g->is_open) {
        stage_pass_data(st, b, at, len);
        return;
    }
    g->seen += len;
    if (g->seen < gathered_bytes(g->from))
        return;
    if (g->on_full && gathered_bytes(g->from) >= st->held_max && gathered_is_in_memory(g->from))
        g->on_full(st);
    if (!g->is_open && gathered_bytes(g->from) > gathered_max(g->from))
        fail(st, gathered_max(g->from) >= st->held_max ? "larger than header_spool_max, cannot be held whole"
                                                       : "larger than header_max, cannot be held whole");
}

static void flow(struct stage *st)
{
    if (((struct gather *)st)->is_open) /* else not before the end */
        stage_pass_flow(st);
}

static void finish(struct stage *st)
{
    struct gather *g = (struct gather *)st;
    g->is_finished = true;
    if (g->is_open)
        stage_pass_finish(st);
    else
        stage_gather_moved(st);
}

static void gather_free(struct stage *st)
{
    free(st);
}

static const struct stage_ops gather_ops = {
    .data = data, .flow = flow, .finish = finish, .free = gather_free};

void stage_gather_moved(struct stage *first)
{
    struct gather *g = (struct gather *)first;
    const char *why;
    if (!first || first->ops != &gather_ops || g->is_open || !gathered_is_idle(g->from))
        return;
    if (gathered_state(g->from, &why) != OK) {
        fail(first, why);
    } else if (g->is_finished) {
        g->is_open = true;
        first->held_max = 0;
        if (pass_held(g)) {
            stage_pass_flow(first);
            stage_pass_finish(first);
        }
    }
}

struct stage *stage_gather_new(struct sink *sink, struct gathered *from, uint64_t held_max,
                               void (*on_full)(struct stage *st))
{
    struct gather *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->stage = (struct stage){.ops = &gather_ops, .sink = sink, .held_max = held_max};
    g->from = from;
    g->on_full = on_full;
    return &g->stage;
}
