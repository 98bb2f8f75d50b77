/* One destination: what it says goes through as it comes. */
#include "dimse/status.h"
#include "relay/call.h"
#include "relay/call_move.h"

static void on_response(struct leg *l, const struct dimse_command *r, struct slices *data, bool is_final)
{
    struct call *c = l->owner;
    (void)is_final;
    if (call_morph_response(c, c->destinations[0].route, data))
        call_respond(c, r, data);
}

static void on_failed(struct leg *l, uint16_t status, const char *comment)
{
    call_fail(l->owner, status, comment);
}

/* The call's state is the move, of one through us. */
static bool begin_move(struct call *c)
{
    struct move *move;
    uint16_t status;
    char comment[65];
    bool ok = call_move_begin(c, 0, &c->destinations[0], &move, &status, comment);
    c->state = move;
    if (!ok)
        call_fail(c, status, comment);
    return ok;
}

static void end(struct call *c)
{
    struct move *move = c->state;
    c->state = NULL;
    call_move_end(c, &move);
}

static void begin(struct call *c)
{
    if (!call_make_legs(c, 1)) {
        call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    call_set_leg(c, 0, &c->destinations[0]);
    if (c->service == CONFIG_MOVE && !begin_move(c))
        return;
    c->legs[0].on_response = on_response;
    c->legs[0].on_failed = on_failed;
    leg_begin(&c->legs[0]);
}

const struct call_plan call_single = {.begin = begin, .end = end};
