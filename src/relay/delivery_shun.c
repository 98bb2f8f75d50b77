/* What a node turns away while it takes others. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "relay/delivery_inside.h"
#include "relay/proposal.h"

static const char *calling_of(const struct delivery_queue *q, const struct spool_entry *e)
{
    return proposal_calling(q->config, e->calling, q->node);
}

static bool is_against(const struct delivery_shun *s, const char *calling, const struct spool_entry *e)
{
    return s->until_ms > 0 && strcmp(s->calling, calling) == 0 &&
           (s->abstract_syntax[0] == '\0' || strcmp(s->abstract_syntax, e->abstract_syntax) == 0);
}

/* The place of this one, or else the one that ends first. */
static struct delivery_shun *place_for(struct delivery_queue *q, const char *calling,
                                       const char *abstract_syntax)
{
    struct delivery_shun *found = &q->shuns[0];
    for (unsigned i = 0; i < DELIVERY_SHUNS_MAX; i++) {
        struct delivery_shun *s = &q->shuns[i];
        if (s->until_ms > 0 && strcmp(s->calling, calling) == 0 &&
            strcmp(s->abstract_syntax, abstract_syntax) == 0)
            return s;
        if (s->until_ms < found->until_ms)
            found = s;
    }
    *found = (struct delivery_shun){0};
    return found;
}

uint64_t delivery_shun(struct delivery_queue *q, const struct spool_entry *e, bool by_title,
                       const char *comment, bool *is_new_out)
{
    const struct config_node *n = q->node;
    const char *calling = calling_of(q, e), *abstract_syntax = by_title ? "" : e->abstract_syntax;
    struct delivery_shun *s = place_for(q, calling, abstract_syntax);
    *is_new_out = s->times == 0;
    uint64_t ms = delivery_wait_ms(q->delivery, n->retry_first_ms, s->times++, n->retry_most_ms);
    snprintf(s->calling, sizeof(s->calling), "%s", calling);
    snprintf(s->abstract_syntax, sizeof(s->abstract_syntax), "%s", abstract_syntax);
    snprintf(s->comment, sizeof(s->comment), "%s", comment ? comment : "");
    s->until_ms = clock_wall_ms() + ms;
    return ms;
}

const struct delivery_shun *delivery_is_shunned(const struct delivery_queue *q, const struct spool_entry *e)
{
    uint64_t now = clock_wall_ms();
    const char *calling = calling_of(q, e);
    for (unsigned i = 0; i < DELIVERY_SHUNS_MAX; i++)
        if (q->shuns[i].until_ms > now && is_against(&q->shuns[i], calling, e))
            return &q->shuns[i];
    return NULL;
}

void delivery_forget_shun(struct delivery_queue *q, const struct spool_entry *e)
{
    const char *calling = calling_of(q, e);
    for (unsigned i = 0; i < DELIVERY_SHUNS_MAX; i++)
        if (is_against(&q->shuns[i], calling, e))
            q->shuns[i] = (struct delivery_shun){0};
}
