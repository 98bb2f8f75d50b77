/* What commitment.c and commitment_desk.c share. */
#ifndef HILUM_RELAY_COMMITMENT_INSIDE_H
#define HILUM_RELAY_COMMITMENT_INSIDE_H

#include <pthread.h>

#include "relay/commitment.h"
#include "relay/commitment_errand.h"
#include "relay/commitment_plan.h"
#include "relay/session.h"

enum { COMMITMENTS_MAX = 4096 /* that are open, of a desk */ };

struct commitment_open {
    uint8_t key[COMMITMENT_KEY];
    bool is_kept; /* durable, and not over: asked for again, its one result comes */
};

struct commitment_desks {
    unsigned count;
    struct commitments **of; /* by worker; as they were made */
    pthread_mutex_t lock;
    /* under the lock: all that are open, wherever */
    struct commitment_open *open;
    size_t open_count, open_cap;
};

struct commitments {
    struct relay *relay;
    struct commitment_desks *desks;
    struct config *config; /* NULL: not configured yet */
    struct spool_commitments feed;
    bool is_feeding, is_stopping;
    uint64_t user; /* of what is sent to nodes */
    unsigned count;
    TAILQ_HEAD(commitment_list_head, commitment) all;
};

/* One node that is asked. */
struct commitment_asking {
    struct commitment *of;
    struct commitment_ask *ask; /* of the plan */
    struct commitment_errand errand;
    struct io_timer timer; /* until it is asked again */
    uint64_t pause_ms;
    bool is_done;
    char uid[COMMITMENT_UID_MAX + 1];
};

struct commitment {
    struct commitments *desk;
    struct commitment_record record;
    uint8_t key[COMMITMENT_KEY];
    enum commitment_phase {
        COMMITMENT_KEEPING,  /* not durable yet */
        COMMITMENT_PLANNING, /* who has it; what is on its way is waited for */
        COMMITMENT_ASKING,
        COMMITMENT_TELLING,
        COMMITMENT_OVER, /* freed when nothing of it is under way */
    } phase;
    struct session *session; /* that it came on; a reference; NULL: it is over, or cannot be used */
    uint8_t context_id;
    bool is_explicit;        /* its transfer syntax, little endian in any case */
    struct reverse *reverse; /* it is being told there */
    struct call *call;       /* that is answered when it is durable; NULL: it is not there, or has been */
    struct spool_commitment_write write;
    struct octets bytes; /* that are written */
    bool is_writing, must_write, is_forgotten;
    struct spool_whereabouts where;
    const char **instances;
    bool is_looking;
    struct commitment_plan plan;
    struct commitment_asking *askings; /* of plan.asks, in their order; NULL before */
    struct commitment_errand telling;
    bool has_no_node; /* the requester is none of ours: that has been logged */
    struct io_timer timer;
    uint64_t pause_ms;
    TAILQ_ENTRY(commitment) link;
};

/* --- commitment.c --- */
/* Of a record that is taken. It is among the desk's. NULL without memory: the record is freed. */
struct commitment *commitment_new(struct commitments *d, struct commitment_record *record_take);
/* From the beginning: made durable first. */
void commitment_begin(struct commitment *t);
/* As a process before has left it. */
void commitment_resume(struct commitment *t);
/* Everything of it that is under way ends; the spool's answers may still come. */
void commitment_stop(struct commitment *t);
/* It may be freed: nothing of it is under way. */
bool commitment_is_idle(const struct commitment *t);
void commitment_free(struct commitment *t);
/* A node has reported on what it was asked. */
void commitment_reported(struct commitment_asking *a, struct commitment_list *report);

/* --- commitment_desk.c --- */
/* The requester is told that it will be done, or that it will not. */
void commitment_answer_request(struct commitment *t, bool is_kept);
void commitment_key_is_kept(struct commitment_desks *d, const uint8_t key[COMMITMENT_KEY], bool is_kept);
void commitment_forget_key(struct commitment_desks *d, const uint8_t key[COMMITMENT_KEY]);

#endif
