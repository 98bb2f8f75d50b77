#include "relay/probe.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/command.h"
#include "relay/health.h"
#include "relay/proposal.h"

enum {
    LOOK_MS = 500,   /* whether a pause is over */
    FIRST_MS = 1000, /* the first probes are spread over so much */
    ANSWER_MIN_MS =
        5000 /* an answer may take that long, however short the interval; at most timeouts.response */
};

struct probe {
    struct probes *probes;
    const struct config_node *node;
    uint64_t user; /* as the outbound pool knows it */
    uint64_t due_ms;
    bool is_asking, is_trial;
    struct outbound_want want;
    struct outbound_exchange exchange;
    struct io_timer look, answer;
};

struct probes {
    struct relay *relay;
    unsigned workers;
    uint32_t random;
    struct config *config; /* NULL: none yet, or stopped */
    struct probe *of;
    size_t count;
};

static struct io *io_of(const struct probe *p)
{
    return p->probes->relay->io;
}

/* Give or take an eighth, so that many nodes are not all asked at once. */
static uint64_t jitter(struct probes *all, uint64_t ms)
{
    all->random = all->random * 1664525U + 1013904223U;
    return ms - ms / 8 + (all->random >> 8) % (ms / 4 + 1);
}

static void look_later(struct probe *p)
{
    uint64_t now = io_now(io_of(p));
    uint64_t left = p->due_ms > now ? p->due_ms - now : 0;
    io_timer_start(io_of(p), &p->look, left < LOOK_MS ? left : LOOK_MS);
}

/* --- its end ----------------------------------------------------------------------------------------------------- */

/* Its association is released, or, where an answer is still to come, aborted. */
static void give_up(struct probe *p)
{
    struct relay *r = p->probes->relay;
    io_timer_stop(r->io, &p->look);
    io_timer_stop(r->io, &p->answer);
    outbound_cancel(&p->want);
    outbound_abandon(&p->exchange, "no answer to a probe");
    outbound_forget_user(r->outbound, p->user);
    health_end_trial(r, p->node, &p->is_trial);
    p->is_asking = false;
}

static void over(struct probe *p)
{
    give_up(p);
    p->due_ms = io_now(io_of(p)) + jitter(p->probes, p->node->health_ms);
    look_later(p);
}

static void sign(struct probe *p, enum circuit_sign what, const char *why)
{
    health_sign(p->probes->relay, p->node, what, why);
    over(p);
}

static void on_answer_late(struct io_timer *t)
{
    struct probe *p = t->owner;
    if (p->exchange.outbound)
        sign(p, CIRCUIT_TROUBLE, "no answer to a probe");
    else
        sign(p, CIRCUIT_UNREACHABLE, "no association for a probe in time");
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static void on_response(struct outbound_exchange *x, const struct dimse_command *c)
{
    (void)c; /* whatever it says: it has answered */
    outbound_finish(x);
    sign(x->owner, CIRCUIT_SUCCESS, NULL);
}

static void on_lost(struct outbound_exchange *x, const char *why)
{
    sign(x->owner, CIRCUIT_TROUBLE, why);
}

static void on_ready(struct outbound_want *w, const struct association_context *context, bool is_reused)
{
    struct probe *p = w->owner;
    struct dimse_command c = {.has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD | DIMSE_HAS_DATA_SET_TYPE,
                              .field = DIMSE_C_ECHO_RQ,
                              .affected_class = view_of(DICOM_VERIFICATION),
                              .data_set_type = DIMSE_NO_DATA_SET};
    (void)is_reused;
    if (outbound_request(&p->exchange, context->id, &c)) /* else on_lost comes, or has come */
        outbound_sent_all(&p->exchange);
}

/* That it is there is all we ask: it may not take C-ECHO, nor have room. */
static bool is_there(const struct outbound_want *w, enum outbound_failure kind)
{
    if (kind == OUTBOUND_NOT_ACCEPTED)
        return true;
    return kind == OUTBOUND_REJECTED && (w->was_rejected ? !w->was_for_title : !w->was_turned_away);
}

static void on_failed(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    struct probe *p = w->owner;
    if (is_there(w, kind))
        health_sign(p->probes->relay, p->node, CIRCUIT_SUCCESS, NULL);
    else
        health_failed(p->probes->relay, w, kind, why);
    over(p);
}

static bool build(struct outbound_want *w, struct pdu_associate *request)
{
    return proposal_add_pair(request, w->abstract_syntax, w->transfer_syntax);
}

static void ask(struct probe *p)
{
    const struct config *config = p->probes->config;
    uint64_t most = p->node->health_ms > ANSWER_MIN_MS ? p->node->health_ms : ANSWER_MIN_MS;
    p->is_asking = true;
    p->exchange = (struct outbound_exchange){.owner = p, .on_response = on_response, .on_lost = on_lost};
    p->want = (struct outbound_want){.owner = p,
                                     .config = p->probes->config,
                                     .node = p->node,
                                     .calling = proposal_calling(config, "", p->node),
                                     .user = p->user,
                                     .is_private = true,
                                     .is_probe = true,
                                     .abstract_syntax = DICOM_VERIFICATION,
                                     .transfer_syntax = DICOM_IMPLICIT_VR_LE,
                                     .build = build,
                                     .exchange = &p->exchange,
                                     .on_ready = on_ready,
                                     .on_failed = on_failed};
    io_timer_start(io_of(p), &p->answer, most < config->timeouts.response ? most : config->timeouts.response);
    outbound_acquire(p->probes->relay->outbound, &p->want);
}

static void on_look(struct io_timer *t)
{
    struct probe *p = t->owner;
    uint64_t now = io_now(io_of(p));
    p->is_trial = circuit_may_probe(p->probes->relay->circuits, p->node, now);
    if (p->is_trial || now >= p->due_ms)
        ask(p);
    else
        look_later(p);
}

/* --- all of a worker --------------------------------------------------------------------------------------------- */

struct probes *probes_new(struct relay *r, unsigned workers)
{
    struct probes *all = calloc(1, sizeof(*all));
    if (!all)
        return NULL;
    all->relay = r;
    all->workers = workers;
    all->random = (uint32_t)clock_us();
    return all;
}

void probes_stop(struct probes *all)
{
    for (size_t i = 0; i < all->count; i++)
        give_up(&all->of[i]);
    free(all->of);
    all->of = NULL;
    all->count = 0;
    config_unref(&all->config);
}

static bool is_ours(const struct probes *all, const struct config_node *node)
{
    return !node->is_folder && node->health_ms > 0 && node->index % all->workers == all->relay->worker;
}

void probes_configure(struct probes *all, struct config *config)
{
    probes_stop(all);
    all->config = config_ref(config);
    all->of = calloc(config->node_count + 1, sizeof(*all->of));
    if (!all->of) {
        LOG(LOG_ERROR, "no memory to probe nodes", LOG_INT("nodes", config->node_count));
        return;
    }
    for (size_t i = 0; i < config->node_count; i++) {
        const struct config_node *node = &config->nodes[i];
        if (!is_ours(all, node))
            continue;
        struct probe *p = &all->of[all->count++];
        *p = (struct probe){.probes = all, .node = node, .user = ++all->relay->next_user};
        p->look = (struct io_timer){.on_fire = on_look, .owner = p};
        p->answer = (struct io_timer){.on_fire = on_answer_late, .owner = p};
        p->due_ms = io_now(io_of(p)) + jitter(all, FIRST_MS / 2);
        look_later(p);
    }
}

void probes_free(struct probes **pp)
{
    struct probes *all = *pp;
    *pp = NULL;
    if (!all)
        return;
    probes_stop(all);
    free(all);
}
