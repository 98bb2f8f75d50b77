/* One entry of the queue on its way to its node. Inside delivery only. */
#ifndef HILUM_RELAY_DELIVERY_LANE_H
#define HILUM_RELAY_DELIVERY_LANE_H

#include "relay/edition.h"
#include "relay/sink.h"
#include "relay/source.h"
#include "relay/stage.h"
#include "spool/reader.h"

/* How a try ended. */
enum lane_end {
    LANE_DELIVERED,
    LANE_REFUSED,     /* for good: it makes no sense to send it again, as it is */
    LANE_AWAY,        /* the node's fault, before anything of the entry was sent */
    LANE_TURNED_AWAY, /* likewise, but it is there: it would not have this association (sink.h, fault) */
    LANE_OURS,        /* our own: memory, the disk, a limit. Nothing was sent */
    LANE_TROUBLE,     /* on the way: A7xx, a broken connection, no answer */
    LANE_DAMAGED,     /* what the log holds is not what was written */
    LANE_ABANDONED,   /* by us: nothing is known */
};

/* Pairs of syntaxes, the newest first: an association for one instance is good for what comes with it, or after it. */
enum { LANE_PAIRS_MAX = 32 };
struct lane_pairs {
    struct lane_pair {
        char abstract_syntax[65], transfer_syntax[65];
    } of[LANE_PAIRS_MAX];
    unsigned count;
};

struct lane {
    struct source source; /* the first: what the sink sees of us */
    void *owner;
    /* Once a start: how it went; status and comment of the answer, or of our judgement. The lane is free again after lane_gone. */
    void (*on_end)(struct lane *l, enum lane_end how, uint16_t status, const char *comment);
    void (*on_gone)(struct lane *l);

    int64_t group,
        order;          /* of the entry, or of the last one: its associations are for nothing else; 0: none */
    bool may_have_more; /* of the group: its owner's */
    uint64_t user;      /* as the outbound pool knows the lane, without a group */
    const struct config_node *node;
    struct spool_entry *entry; /* NULL: the lane is free */
    bool has_ended;
    enum sink_fault fault; /* of LANE_TURNED_AWAY */
    bool is_quoted;        /* as struct sink's, of the comment that it ended with */
    uint64_t started_ms;
    char id[SPOOL_ID_TEXT];
    struct sink_message facts;
    const struct lane_pairs *pairs; /* that its node is known to take: its owner's */
    struct dimse_command command;
    struct edition edition;    /* if the entry has one */
    struct hold *hold;         /* of a folder that is named by attributes, until they are known */
    struct gathered *gathered; /* of hold */
    struct sink *sink;         /* NULL: not made yet, or gone */
    struct stage *chain;

    struct spool_reader reader;
    struct buf *buffer; /* being read into */
    struct io_waiter waiter;
    struct io_timer watch;
    struct io_task gone;
    bool has_all; /* read to the end, and passed on */
};

/* Once, before the first start; fill owner and callbacks before. False without memory. */
bool lane_init(struct lane *l, struct relay *r);
/* Sends it; the node is of this configuration, of which a reference is taken until it is gone. Takes *entry. */
void lane_start_take(struct lane *l, struct config *config, const struct config_node *node,
                     struct spool_entry **entry);
/* Nothing more comes of its group: what is open for it is released. The lane is free. */
void lane_leave_group(struct lane *l);
/* What it has open and does not use is released: another lane waits for an answer, and the node may have room for one alone. */
void lane_rest(struct lane *l);
/* It has not sent anything of its entry yet. */
bool lane_is_waiting(const struct lane *l);
/* Gives it up: on_end with LANE_ABANDONED, unless it has ended. */
void lane_stop(struct lane *l);
void lane_free(struct lane *l);

#endif
