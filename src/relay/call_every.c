/*
 * A normalized request for several destinations: all get it, side by side. The first in file order answers: its response goes to the sender, unless another's
 * status is worse, which goes in its place.
 */
#include <stdlib.h>
#include <string.h>

#include "dimse/status.h"
#include "relay/call.h"

/* What is kept until the last one has answered. */
struct every {
    unsigned open;
    bool has_any;
    unsigned leg; /* whose it is */
    struct dimse_command response;
    struct octets values;
    struct slices data;
    char comment[65];
};

static void let_go(struct every *e)
{
    octets_free(&e->values);
    slices_clear(&e->data);
}

static int badness(uint16_t status)
{
    switch (dimse_status_class(status)) {
    case DIMSE_SUCCESS:
        return 0;
    case DIMSE_WARNING:
        return 1;
    default:
        return 2;
    }
}

static bool is_better(const struct every *e, unsigned leg, uint16_t status)
{
    int was = badness(e->response.status), is = badness(status);
    return !e->has_any || is > was || (is == was && leg < e->leg);
}

static void answer(struct call *c)
{
    struct every *e = c->state;
    if (call_morph_response(c, c->destinations[e->leg].route, &e->data))
        call_respond(c, &e->response, &e->data);
}

static void one_less(struct call *c)
{
    struct every *e = c->state;
    if (--e->open == 0)
        answer(c);
}

static void on_response(struct leg *l, const struct dimse_command *r, struct slices *data, bool is_final)
{
    struct call *c = l->owner;
    struct every *e = c->state;
    unsigned leg = (unsigned)(l - c->legs);
    if (!is_final)
        return;
    if (is_better(e, leg, r->status)) {
        let_go(e);
        e->has_any = dimse_copy(r, &e->values, &e->response);
        if (!e->has_any) {
            call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
            return;
        }
        e->leg = leg;
        e->data = *data;
        *data = (struct slices){0};
    }
    one_less(c);
}

static void on_failed(struct leg *l, uint16_t status, const char *comment)
{
    struct call *c = l->owner;
    struct every *e = c->state;
    unsigned leg = (unsigned)(l - c->legs);
    if (is_better(e, leg, status)) {
        let_go(e);
        strncpy(e->comment, comment, sizeof(e->comment) - 1);
        e->has_any = true;
        e->leg = leg;
        e->response = (struct dimse_command){.has = DIMSE_HAS_STATUS | DIMSE_HAS_COMMENT,
                                             .status = call_status(c, status),
                                             .comment = view_of(e->comment)};
    }
    one_less(c);
}

static void begin(struct call *c)
{
    struct every *e = calloc(1, sizeof(*e));
    c->state = e;
    if (!e || !call_make_legs(c, (unsigned)c->destination_count)) {
        call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    e->open = c->leg_count;
    for (unsigned i = 0; i < c->leg_count; i++) {
        call_set_leg(c, i, &c->destinations[i]);
        c->legs[i].on_response = on_response;
        c->legs[i].on_failed = on_failed;
        leg_begin(&c->legs[i]);
    }
}

static void end(struct call *c)
{
    if (c->state)
        let_go(c->state);
    free(c->state);
    c->state = NULL;
}

const struct call_plan call_every = {.begin = begin, .end = end};
