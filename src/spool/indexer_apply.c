/* Records of the log, one by one, into the index. */
#include "base/log.h"
#include "spool/indexer_inside.h"

/* Its checksum was right: somebody wrote it so. */
static enum result senseless(const struct record *r, uint32_t generation)
{
    LOG(LOG_ERROR, "a record of the spool makes no sense and is left out", LOG_INT("generation", generation),
        LOG_INT("segment", r->segment), LOG_INT("offset", r->offset), LOG_INT("type", r->type));
    return OK;
}

static void wake_by(uint64_t *at, uint64_t wall_ms)
{
    if (wall_ms < *at)
        *at = wall_ms;
}

static enum result apply_commit(struct indexer *ix, uint32_t generation, const struct record *r,
                                struct view payload, const struct indexer_judge *judge)
{
    struct record_commit c;
    const char *damage = NULL;
    enum result result = record_commit_read(payload, &c);
    if (result == ERR_PROTO)
        return senseless(r, generation);
    if (result != OK)
        return result;
    if (!judge || judge->on_commit(judge->owner, r, &c, &damage))
        result = index_take_commit(ix->index, &c, r->segment, damage);
    if (result == OK && c.field != RECORD_C_STORE && ix->log && generation == ix->held[0].number)
        lines_read(ix->lines, r->draft);
    for (size_t n = 0; result == OK && n < c.entry_count; n++) {
        const struct record_entry *e = &c.entries[n];
        if (e->hold_ms > 0)
            wake_by(e->asks ? &ix->study_wall_ms : &ix->wake_wall_ms, c.received_ms + e->hold_ms);
        else
            indexer_node_is_due(ix, (const char *)e->node.at, e->node.len);
    }
    record_commit_free(&c);
    return result;
}

static enum result apply_outcomes(struct indexer *ix, uint32_t generation, const struct record *r,
                                  struct view rest)
{
    while (rest.len > 0) {
        struct spool_outcome o;
        char comment[INDEXER_COMMENT];
        if (record_outcome_read(&rest, &o, comment) != OK)
            return senseless(r, generation);
        enum result result = index_take_outcome(ix->index, &o);
        if (result != OK)
            return result;
        indexer_returned(ix, o.id);
        if (o.state == SPOOL_WAITING)
            wake_by(&ix->wake_wall_ms, o.due_ms);
        else if (o.state == SPOOL_QUEUED || index_line_has_moved(ix->index))
            indexer_node_is_due(ix, NULL, 0);
    }
    return OK;
}

static enum result apply_relayed(struct indexer *ix, uint32_t generation, const struct record *r,
                                 struct view payload)
{
    enum result result = index_take_sheet(ix->index, payload);
    return result == ERR_PROTO ? senseless(r, generation) : result;
}

static enum result apply_orders(struct indexer *ix, uint32_t generation, const struct record *r,
                                struct view rest)
{
    while (rest.len > 0) {
        struct record_order order;
        if (record_order_read(&rest, &order) != OK)
            return senseless(r, generation);
        enum result result = index_take_order(ix->index, &order);
        if (result != OK)
            return result;
        LOG(LOG_INFO,
            order.drop ? "an entry of the queue is dropped" : "an entry of the queue is tried again",
            LOG_INT("generation", order.id >> SPOOL_ID_BITS),
            LOG_INT("number", order.id & (((spool_id)1 << SPOOL_ID_BITS) - 1)),
            LOG_TEXT("to", order.to.at, order.to.len));
    }
    indexer_node_is_due(ix, NULL, 0);
    if (generation != ix->held[0].number || ix->orders_count == 0)
        return OK;
    ix->orders_are_read = true;
    return index_orders_done(ix->index, ix->orders, ix->orders_count);
}

static enum result apply_release(struct indexer *ix, uint32_t generation, const struct record *r,
                                 struct view payload)
{
    struct record_release release;
    if (record_release_read(payload, &release) != OK)
        return senseless(r, generation);
    enum result result =
        index_take_release(ix->index, &release, (struct record_place){generation, r->segment});
    if (result != OK)
        return result;
    indexer_released(ix, &release);
    indexer_node_is_due(ix, NULL, 0);
    return OK;
}

static enum result apply_claims(struct indexer *ix, uint32_t generation, const struct record *r,
                                struct view rest)
{
    while (rest.len > 0) {
        struct record_claim claim;
        if (record_claim_read(&rest, &claim) != OK)
            return senseless(r, generation);
        enum result result = index_take_claim(ix->index, &claim, generation == ix->held[0].number);
        if (result != OK)
            return result;
    }
    return OK;
}

enum result indexer_apply(struct indexer *ix, uint32_t generation, const struct record *r,
                          struct view payload, const struct indexer_judge *judge)
{
    switch (r->type) {
    case RECORD_SEGMENT:
        return index_take_segment(ix->index, (struct record_place){generation, r->segment});
    case RECORD_COMMIT:
        return apply_commit(ix, generation, r, payload, judge);
    case RECORD_OUTCOME:
        return apply_outcomes(ix, generation, r, payload);
    case RECORD_RELAYED:
        return apply_relayed(ix, generation, r, payload);
    case RECORD_ORDER:
        return apply_orders(ix, generation, r, payload);
    case RECORD_RELEASE:
        return apply_release(ix, generation, r, payload);
    case RECORD_CLAIM:
        return apply_claims(ix, generation, r, payload);
    case RECORD_DATA:
        break;
    }
    return OK;
}
