/* One destination: what it says goes through as it comes. */
#include "dimse/status.h"
#include "relay/call.h"

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

static void begin(struct call *c)
{
    if (!call_make_legs(c, 1)) {
        call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    call_set_leg(c, 0, &c->destinations[0]);
    c->legs[0].on_response = on_response;
    c->legs[0].on_failed = on_failed;
    leg_begin(&c->legs[0]);
}

const struct call_plan call_single = {.begin = begin};
