/*
 * The load generator: lanes side by side, each of which sends its share of instances over one association after another. One
 * thread, one epoll set. Private to load*.c.
 *
 * A lane first sends its instances that are not counted; when all lanes have, and stand, the counted part begins for all.
 */
#ifndef HILUM_BENCH_LOAD_H
#define HILUM_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "figures.h"
#include "framing.h"
#include "instance.h"
#include "net.h"
#include "secure.h"
#include "ul/ul.h"

enum {
    LOAD_BUFFER_BYTES = 64 << 10,
    LOAD_TITLES_MAX = 1024,
    LOAD_WINDOW_MAX = 256,
    LOAD_STATUSES = 1 << 16,
    LOAD_CONTEXT_ID = 1, /* the one presentation context of each association */
};

struct load_options {
    const char *address;
    uint64_t size;
    uint64_t count;      /* 0: until the time is over */
    uint64_t seconds_ns; /* 0: until all are sent */
    uint32_t pdu;
    uint32_t associations;
    uint64_t per_association; /* 0: all of a lane's share */
    uint16_t window;
    uint64_t think_ns;
    const char *calling;
    const char *titles[LOAD_TITLES_MAX];
    uint32_t title_count;
    bool is_implicit, has_nagle, is_by_title;
    const char *congestion;
    uint32_t idle; /* 0: it sends */
    uint64_t warmup;
    const char *seed;
    int cpu;                   /* -1: not pinned */
    struct secure_options tls; /* plain without `ca` */
};

enum load_phase {
    LOAD_WARMING,  /* instances are not counted */
    LOAD_COUNTING, /* they are */
    LOAD_STOPPING, /* nothing new is begun; what is under way may end */
};

/* Of all lanes, or of those with one called title. */
struct outcome {
    uint64_t instances, bytes; /* answered 0000 or Bxxx */
    uint64_t first_ns, last_ns;
};

TAILQ_HEAD(lanes, lane);

struct load {
    struct load_options options;
    struct address to;
    struct instance instance;
    uint64_t seed;
    uint8_t *block;          /* FRAMING_BLOCK_BYTES: the pixels of all */
    uint8_t *buffer;         /* LOAD_BUFFER_BYTES for reading, shared: nothing of it outlives a read */
    struct secure_side *tls; /* NULL: plain */
    int epoll;
    enum load_phase phase;
    struct lane *lanes;
    uint32_t lane_count;
    uint32_t standing; /* lanes that have done their warm-up and stand, or have ended */
    uint32_t ended;
    uint32_t connecting;
    struct lanes ready;    /* have something to do */
    struct lanes thinking; /* rising by when they are due */
    struct lanes unopened; /* have still to connect for the first time */

    struct outcome all;
    struct outcome *titles; /* title_count */
    uint64_t *statuses;     /* LOAD_STATUSES counters */
    struct samples latency, associate;
    uint64_t failures, faults;
    uint64_t opened;       /* connections, so far */
    uint64_t associated;   /* associations that were accepted */
    uint32_t fragment_max; /* the longest that was used */
    char congestion[CONGESTION_BYTES];
    struct cpu cpu_start, cpu;
};

/* A request whose answer has not come. */
struct request {
    bool is_used, is_counted;
    uint16_t message_id;
    uint64_t number;   /* in its SOP Instance UID */
    uint64_t start_ns; /* its first byte was handed to the kernel */
};

enum lane_state {
    LANE_CLOSED,     /* no connection; opens one at its turn */
    LANE_CONNECTING, /* TCP */
    LANE_ASKING,     /* A-ASSOCIATE-RQ is out */
    LANE_OPEN,
    LANE_RELEASING,
    LANE_ENDED, /* its share is done, or it failed */
};

struct lane {
    TAILQ_ENTRY(lane) ready_next, thinking_next, unopened_next;
    struct load *load;
    uint32_t index, title;
    enum lane_state state;
    int fd;
    struct secure *tls; /* NULL: plain, or not connected */
    struct ul ul;
    struct octets out; /* control PDUs not sent yet */
    bool is_ready, is_thinking, is_writable;
    bool is_standing; /* is in load->standing */
    bool has_failed;
    uint64_t left;        /* counted instances still to begin */
    uint64_t warmup_left; /* likewise of those before */
    uint64_t begun_here;  /* on this association */
    uint64_t connections; /* so far */
    uint64_t opened_ns;   /* connect() of this association */
    uint64_t think_due_ns;

    /* The message that is being sent. */
    bool is_sending;
    struct part command, data;
    uint64_t sent;
    struct octets command_bytes;
    size_t message_id_at, instance_uid_at;
    uint8_t *head; /* of its data sets: a copy of instance.head with its own UIDs */
    uint64_t number;
    uint16_t message_id;

    struct request *requests; /* options.window of them */
    uint16_t window, outstanding;
    uint32_t fragment;
    struct octets answer; /* command set on its way in */
};

/* lane.c: the association. */
void lane_init(struct lane *l, struct load *load, uint32_t index, uint64_t share);
void lane_free(struct lane *l);
void lane_on_event(struct lane *l, uint32_t events);
/* Does what it can do now. */
void lane_turn(struct lane *l);
/* Puts it among those that lane_turn is called for. */
void lane_wake(struct lane *l);
/* Ends it at once: A-ABORT if the connection takes it. Not a failure. */
void lane_cut(struct lane *l);
/* Something went against the protocol: told and counted; the association ends by A-ABORT and the lane with it. */
void lane_fault(struct lane *l, const char *why);
/* The connection is lost or refused: told and counted; the lane ends. */
void lane_fail(struct lane *l, const char *why);
/* Sends so many pieces, as sendmsg(2), sealed where there is TLS; and what errno means then. */
ssize_t lane_put(struct lane *l, struct iovec *list, size_t count);
const char *lane_why(const struct lane *l);
/* Nothing is to be begun on this association any more. */
bool lane_is_done_here(const struct lane *l);

/* lane_send.c: requests. */
void requests_begin(struct lane *l);
/* Sends on; false: nothing more can be done now. */
bool requests_send(struct lane *l);
void requests_free(struct lane *l);

/* lane_answer.c: what comes back. */
void answers_on_data(struct lane *l, const struct pdu_event *piece);

/* load_run.c */
void load_run(struct load *load);
/* A lane stands at the start line. One that has ended is no longer waited for, so it counts here too. */
void load_on_standing(struct load *load);
void load_on_ended(struct load *load);

/* load_result.c: the JSON; the exit status that goes with it. */
int load_report(struct load *load);

#endif
