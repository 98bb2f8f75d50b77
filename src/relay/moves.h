/*
 * C-MOVEs through us (PS3.4 C.4.2, PS3.7 9.1.4): the archive moves to us, and what it sends for that goes to the node that the client asked for, and
 * nowhere else, with the client's title and message id as Move Originator (0000,1030 and 1031).
 *
 * The registry of those in progress is the process's: an archive's association may come to any worker. Bounded; any thread, under a lock which is
 * taken for a C-STORE only while there is such a move. A move stays for MOVES_GRACE_MS after its end, for what an archive sends late: one that was
 * cancelled, or that lost its C-MOVE's association.
 */
#ifndef HILUM_RELAY_MOVES_H
#define HILUM_RELAY_MOVES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"
#include "base/result.h"
#include "config/config.h"
#include "mem/buf.h"
#include "relay/move_keys.h"

enum {
    MOVES_MAX = 1024,          /* in progress; and as many that are over */
    MOVES_GRACE_MS = 60 * 1000 /* after the end */
};

struct moves;

/* One C-MOVE-RQ to one archive. Does not change from moves_begin on, but for what is private. */
struct move {
    struct config *config; /* a reference */
    const struct config_route *route;
    const struct config_node *archive, *destination;
    char calling[17]; /* the title that the archive knows us by */
    char client[17];  /* who asked for it, and the message id of that request */
    uint16_t client_id;
    uint16_t message_id; /* of the C-MOVE-RQ to the archive: no other move there has it (leg.message_id) */

    /* private */
    atomic_uint references;
    struct move_keys keys;
    /* under the registry's lock */
    uint64_t ended_ms; /* 0: in progress */
    TAILQ_ENTRY(move) link;
};

MUST_USE enum result moves_new(struct moves **out);
/* No move is in use any more. NULL is nothing to free. */
void moves_free(struct moves **m);

/* --- for who sends the C-MOVE-RQ --------------------------------------------------------------------------------- */

/* Where an archive is told to move to. */
struct moves_target {
    struct view
        title; /* Move Destination (0000,0600) of the request to it; of the configuration's, or `asked` */
    const struct config_node *node; /* not NULL: it moves to us, and we send there (moves_begin) */
};

/* Of the title that the client asks for, by the archive's table `move` (config_node.moves). Of several nodes of ours with that title the one that the
 * client is (came_from: session.came_from), or none. False: the answer is A801 with *why_out as its Error Comment; of several archives, it cannot be
 * asked of this one. */
MUST_USE bool moves_target(const struct config *config, const struct config_route *route,
                           const struct config_node *archive, const bool *came_from, struct view asked,
                           struct moves_target *out, char why_out[65]);

struct moves_order {
    struct config *config;            /* a reference is taken */
    const struct config_route *route; /* its morph_response is for what is moved */
    const struct config_node *archive, *destination;
    const char *client; /* the client's title (session.calling) */
    uint16_t client_id; /* message id of its C-MOVE-RQ */
    /* The identifier as the archive gets it: for archives that leave out the Move Originator. NULL: unknown. */
    const struct slices *identifier;
    const char *transfer_syntax; /* of the identifier */
};

/*
 * Before the request is sent; what comes is expected from now on. The request's message id has to be (*out)->message_id.
 * ERR_LIMIT: too many are in progress. ERR_MEMORY. Then the request is answered by A700.
 */
MUST_USE enum result moves_begin(struct moves *m, const struct moves_order *order, uint64_t now_ms,
                                 struct move **out);
/* Its final response is in, or it is given up. Nulls it; NULL is nothing to end. */
void moves_end(struct moves *m, struct move **move, uint64_t now_ms);

/* --- for what archives send; no registry (NULL) knows of no moves --------------------------------------------------- */

/* A C-STORE-RQ that came. Texts are trimmed. */
struct moves_instance {
    const struct config *config;   /* of its association */
    const bool *came_from;         /* session.came_from */
    const char *calling;           /* of its association */
    bool has_originator;           /* both of: */
    struct view originator_title;  /* 0000,1030 */
    uint16_t originator_id;        /* 0000,1031 */
    struct view keys[MOVE_LEVELS]; /* of the image level what the command says; else of the data set: */
    bool is_read;                  /* these are known */
};

enum moves_found {
    MOVES_NONE,    /* it belongs to no move */
    MOVES_ONE,     /* to *out, of which a reference is given */
    MOVES_UNREAD,  /* it names no originator, and what tells is in its data set */
    MOVES_SEVERAL, /* it names no originator, and moves to different destinations asked for it */
};

/*
 * The sender is known by its title, and where that is the title of several nodes, by its address.
 * Who names an originator is believed: our title there, or its own (quirk 27), and the message id. Otherwise what was asked for tells, but of an archive
 * that has named one before: that sends it by itself.
 */
MUST_USE enum moves_found moves_find(struct moves *m, const struct moves_instance *i, uint64_t now_ms,
                                     struct move **out);
void move_unref(struct move **move);

/* Its destination and its route as this configuration has them: that of an association which began before or after a reload. False: it has not got
 * them, or has another route of that name. */
MUST_USE bool move_in(const struct move *move, const struct config *config,
                      const struct config_node **destination_out, const struct config_route **route_out);

/* The destinations of moves from archives of this title, as `config` has them, each once. out has room for config->node_count. */
size_t moves_destinations(struct moves *m, const struct config *config, const char *calling, uint64_t now_ms,
                          const struct config_node **out);

#endif
