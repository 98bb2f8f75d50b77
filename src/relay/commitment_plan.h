/*
 * Which nodes are asked about which instances of a storage commitment, under which UIDs, and what follows from their answers. Pure.
 *
 * An instance is committed if everything that stands for it is:
 *   a claim         a node has got it, by the ledger. Or nothing is known of it: then `to` of the commitment's own route, else those of the routes for
 *                   storage that certainly take it
 *   one of several  where no route certainly does, of those that may, all of `to` of one of them; of a pool one member
 * and something does.
 */
#ifndef HILUM_RELAY_COMMITMENT_PLAN_H
#define HILUM_RELAY_COMMITMENT_PLAN_H

#include "config/config.h"
#include "relay/commitment_record.h"
#include "spool/commitments.h"

struct commitment_claim {
    uint32_t item;
    uint32_t knot;    /* that it is of; 0: it has to be committed */
    const char *sent; /* SOP Instance UID that the node knows it by */
    uint16_t answer;  /* COMMITMENT_UNASKED until it has come */
};

/* Some claims and knots of an item; they are made after it. One without any counts for nothing. */
struct commitment_knot {
    uint32_t item, parent; /* 0: it has to be committed */
    bool is_one;           /* if one of them is committed; else if all are */
};

struct commitment_ask {
    const char *node; /* its name */
    struct commitment_claim *claims;
    size_t count, cap;
};

struct commitment_plan {
    struct arena texts;
    struct commitment_ask *asks;
    size_t ask_count;
    struct commitment_knot *knots; /* from 1 */
    uint32_t knot_count, knot_cap;
    uint16_t *reasons; /* by item: it has failed whatever is answered; else COMMITMENT_COMMITTED */
    bool *is_known;    /* by item: something stands for it */
    size_t queued;     /* what is on its way still: the plan can be carried out when there is none */
};

/*
 * rows: of the ledger, by item. gives_up: what is on its way counts as failed, and the plan can be carried out.
 * Answers that the record has are filled in. commitment_plan_free in any case. ERR_MEMORY.
 */
MUST_USE enum result commitment_plan_make(struct commitment_plan *p, const struct config *config,
                                          const struct commitment_record *r,
                                          const struct spool_whereabout *rows, size_t row_count,
                                          bool gives_up);
void commitment_plan_free(struct commitment_plan *p);

/* All that is asked of this node has been answered. */
bool commitment_ask_is_answered(const struct commitment_ask *a);
/* What a node has reported, which is put in order for it: an instance in none of its lists has failed (0112). It takes no memory, for the node has its answer by
 * then and does not say it again. */
void commitment_ask_take(struct commitment_ask *a, struct commitment_list *report);
/* What is not answered has failed for this reason. */
void commitment_ask_fail(struct commitment_ask *a, uint16_t reason);
/* Into the record. False without memory. */
MUST_USE bool commitment_ask_keep(const struct commitment_ask *a, struct commitment_record *r);

/* Fills the reasons of the record's items. All is answered. */
MUST_USE enum result commitment_plan_decide(const struct commitment_plan *p, struct commitment_record *r);

#endif
