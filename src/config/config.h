/*
 * A checked configuration as plain structs: what every floor above is given. Made by script/ from the Lua file,
 * immutable afterwards, shared by all threads, ended by its last reference (a running association keeps the
 * configuration it began with over a reload).
 */
#ifndef HILUM_CONFIG_CONFIG_H
#define HILUM_CONFIG_CONFIG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "base/result.h"
#include "config/pattern.h"
#include "dicom/path.h"
#include "guard/guard.h"
#include "tls/tls.h"

/* What a message is for: of its SOP class and command (route/service.h). */
enum config_service {
    CONFIG_STORE,
    CONFIG_ECHO,
    CONFIG_FIND, /* C-FIND of any information model but the worklist's and UPS */
    CONFIG_MOVE,
    CONFIG_GET,
    CONFIG_WORKLIST,
    CONFIG_MPPS,
    CONFIG_COMMIT, /* storage commitment */
    CONFIG_UPS,
    CONFIG_AVAILABILITY, /* instance availability notification */
    CONFIG_PRINT,
    CONFIG_OTHER, /* every other normalized service */
    CONFIG_SERVICES
};

/* A fact that a condition looks at. */
enum config_fact {
    CONFIG_FACT_CALLING, /* calling AE title, exact case, without outer spaces */
    CONFIG_FACT_CALLED,
    CONFIG_FACT_REMOTE,    /* the sender's address: an address or a CIDR block */
    CONFIG_FACT_LISTENER,  /* config_listen.name */
    CONFIG_FACT_PEER,      /* the subject of the sender's certificate, RFC 4514; "" is: it has shown none */
    CONFIG_FACT_SOP_CLASS, /* UID */
    CONFIG_FACT_SOP_INSTANCE, /* UID; known with the command set, not yet at negotiation */
    CONFIG_FACT_ATTRIBUTE, /* of the data set: config.attributes[attribute]; known when that much of it is here */
};

/* An IPv4 or IPv6 block. IPv4 is kept as ::ffff:a.b.c.d, so bits counts from 0 to 128. */
struct config_network {
    uint8_t address[16];
    unsigned bits;
};

/* Compared by value; `real` is the nearest double in any case. */
struct config_number {
    bool is_integer;
    int64_t integer;
    double real;
};

struct config_value {
    char *glob; /* all facts but remote: `*` and `?`, owned; of an attribute "" is: not there, or empty */
    struct config_network network; /* remote */
    struct config_number number;   /* attribute, where glob is NULL */
};

/* Holds if any value matches; with `negate`, if none does. */
struct config_condition {
    enum config_fact fact;
    size_t attribute; /* CONFIG_FACT_ATTRIBUTE: index in config.attributes */
    bool negate;
    struct config_value *values;
    size_t value_count;
};

/* TLS of a listener or node: src/tls/tls.h. */
struct config_tls {
    enum tls_profile profile;
    char *certificate[TLS_PAIRS],
        *key[TLS_PAIRS]; /* as in struct tls_options; NULL: not given. No password is kept */
    char *ca, *crl;
    enum tls_client client;      /* of a listener */
    char *name;                  /* of a node: its host, unless it says otherwise; NULL: not looked at */
    struct tls_context *context; /* made of these; never NULL */
};

/* At most so much in a second, over all workers; a second's worth may come at once. 0: no limit. */
struct config_rate {
    uint64_t instances; /* messages of any service */
    uint64_t bytes;     /* of data sets */
};

/* What becomes of the user identity (PS3.7 D.3.3.7) that a caller's requests bring, or lack. */
enum config_identity {
    CONFIG_IDENTITY_PASS,    /* passed on, nothing of it is looked at */
    CONFIG_IDENTITY_REQUIRE, /* there must be one; it is passed on */
    CONFIG_IDENTITY_DROP,    /* not passed on */
    CONFIG_IDENTITY_CHECK,   /* a Lua function is asked, also where there is none; not passed on */
};

/*
 * Who may do what. Where a configuration has callers, an association belongs to the first whose `titles` match its calling title, and is let
 * in only if that caller's networks and certificate match, too; one that belongs to nobody is rejected. Without callers everybody may do everything.
 */
struct config_caller {
    char *name;
    size_t index;  /* in config.callers */
    char **titles; /* calling titles, globs; at least one */
    size_t title_count;
    struct config_network *allow; /* where it may come from; empty: anywhere */
    size_t allow_count;
    char **peers; /* globs of the certificate's subject, RFC 4514; empty: any, or none */
    size_t peer_count;
    uint32_t
        services; /* bit 1 << enum config_service of those that it may use; C-ECHO is always among them */
    char **sop_classes; /* globs of the abstract syntaxes that it may use; empty: all of its services */
    size_t sop_class_count;
    enum config_identity identity;
    unsigned max_associations; /* at once, over all workers; 0: no limit of its own */
    struct config_rate rate;
    int line;
};

struct config_listen {
    char *name;    /* fact `listener`: key `name`, else the port as text */
    char *address; /* numeric; "" = every address, IPv6 and IPv4 */
    uint16_t port; /* 0: the system chooses (tests); logged when listening */
    uint32_t max_pdu;
    char *tcp_congestion;         /* its own, else the gateway's; NULL: the system's */
    struct config_tls *tls;       /* NULL: plain */
    struct config_network *allow; /* empty: everyone */
    size_t allow_count;
    struct config_network *deny; /* not these, whatever allow says */
    size_t deny_count;
    char **ae_titles; /* called titles that are let in; empty: all */
    size_t ae_title_count;
    int line; /* where it was declared */
};

/* Where a C-MOVE's destination is to be found for an archive: its title there, by the title that the client asks for. */
struct config_move {
    char *title; /* that is asked for; may hold `*` and `?` */
    char *as;    /* that the archive knows; NULL: it moves to us, and we send to the node of that title */
};

struct config_pool;

enum config_calling { CONFIG_CALLING_OWN, CONFIG_CALLING_PASS, CONFIG_CALLING_TITLE };

struct config_node {
    char *name;
    size_t index; /* in config.nodes; "node order" is this order */
    bool is_folder;
    /* AE */
    char *host;
    uint16_t port;
    char *ae_title;
    struct config_tls *tls;    /* NULL: plain */
    unsigned max_associations; /* 0 = no limit */
    struct config_rate rate;
    enum config_calling calling;
    char *calling_title;  /* CONFIG_CALLING_TITLE */
    uint32_t max_pdu;     /* that we announce to it */
    char *tcp_congestion; /* as config_listen.tcp_congestion */
    uint64_t lag_ms;
    /* what is queued for it, AE or folder */
    uint64_t expire_ms; /* then it is given up; 0: never */
    uint64_t retry_first_ms,
        retry_most_ms; /* the first wait after a failure, and the longest; both at least 1 */
    unsigned
        deliveries; /* associations (of a folder: files) at once; at least 1, at most max_associations if that is set */
    unsigned weight;    /* in its pools, against the other members; at least 1 */
    uint64_t health_ms; /* between C-ECHO probes; 0: none */
    struct config_move
        *moves; /* the first that matches counts, whole titles first; none: it goes on as it is */
    size_t move_count;
    /* NULL: it is a node. Else it stands for that pool in `to` and `copy`, and only name, index and line mean anything: it is not among
     * config.nodes, and its index is node_count + the pool's. */
    const struct config_pool *pool;
    /* folder */
    char *folder;                                     /* pattern, checked: config/pattern.h */
    size_t folder_attributes[PATTERN_ATTRIBUTES_MAX]; /* that it holds, in its order: config.attributes[] */
    size_t folder_attribute_count;
    int line;
};

enum config_balance {
    CONFIG_BALANCE_STUDY, /* a study's instances stay together; studies are spread by hash */
    CONFIG_BALANCE_LEAST, /* the fewest bytes outstanding */
    CONFIG_BALANCE_ROUND_ROBIN,
    CONFIG_BALANCE_FAILOVER, /* the first that is there */
};
#define CONFIG_BALANCES (CONFIG_BALANCE_FAILOVER + 1)

enum { CONFIG_POOL_MEMBERS_MAX = 64 };

/* Several nodes as one destination. */
struct config_pool {
    struct config_node as_node;         /* what `to` and `copy` name; its name is the pool's */
    const struct config_node **members; /* AEs, each once; in the order of the file */
    unsigned *weights;                  /* of members; at least 1 */
    size_t member_count;                /* at most CONFIG_POOL_MEMBERS_MAX */
    enum config_balance balance;
    bool waits; /* failover is "wait": what is for a member that is away is queued for it; else "next" */
    int line;
};

/* Whether payload may pass by memory, from socket to socket, where nothing has to read or keep it. */
enum config_zero_copy { CONFIG_ZERO_COPY_AUTO, CONFIG_ZERO_COPY_NEVER, CONFIG_ZERO_COPY_ALWAYS };

/* What has to be quiet before what a route copies goes out. */
enum config_hold { CONFIG_HOLD_NONE, CONFIG_HOLD_STUDY, CONFIG_HOLD_SERIES };

/* Whether storage commitment asks the destinations of a route. AUTO: those of `to` that are nodes. */
enum config_commit { CONFIG_COMMIT_AUTO, CONFIG_COMMIT_ALWAYS, CONFIG_COMMIT_NEVER };

struct config_route {
    char *name;
    enum config_service service;
    struct config_condition *conditions; /* every one must hold; none: always */
    size_t condition_count;
    const struct config_node *
        *to; /* each once, pools count as what they are; the sender's answer waits for these */
    size_t to_count;
    const struct config_node **
        copy; /* each once, none that `to` has; queued before the answer. Both are empty only for storage commitment */
    size_t copy_count;
    bool queues;  /* on_failure is "queue": of a `to` that fails for now; false where there is no spool */
    bool journal; /* what is past replay_max is written alongside; false where there is no spool */
    enum config_hold hold;
    uint64_t hold_quiet_ms; /* with a hold; at least 1 */
    bool is_final;
    bool stream;
    bool back_to_sender; /* an instance may go back to the node it came from */
    enum config_zero_copy zero_copy;
    bool has_when_function; /* where its conditions hold, a Lua function is asked besides: script/rules.h */
    bool has_morph;
    bool has_morph_response;    /* changes what comes back: responses, and what a C-MOVE or C-GET retrieves */
    bool has_on_study;          /* only with a hold */
    enum config_commit commits; /* of what it sends to nodes and pools of nodes in `to` or `copy` */
    bool trace;                 /* what the morph did is written into the data set */
    int line;
};

/* What conditions and folder patterns ask of the data set. */
struct config_attribute {
    struct dicom_path path;
    char *text; /* as it was first written, for people */
};

/* The durable queue's folder. */
struct config_spool {
    bool is_off;        /* there is no queue; the rest means nothing */
    char *path;         /* as written: relative to where Hilum was started */
    uint64_t max_bytes; /* 0: no limit of its own */
    uint64_t reserve;   /* bytes of the file system that are left to others */
};

/* The Unix socket by which a running gateway is asked and told things: the bytes that the system has for its path, the end's NUL included. */
enum { CONFIG_CONTROL_BYTES = 108 };
struct config_control {
    bool is_off; /* asked for: there is none */
    char *path;  /* as written; NULL: `control` in the spool's folder, if there is a spool */
};

struct config_timeouts { /* milliseconds */
    uint64_t connect, association, progress, response, idle, linger, lag, drain;
    uint64_t retrieve; /* a C-MOVE or C-GET that says nothing */
    uint64_t commit;   /* a storage commitment, in all */
};

/* What the configuration was made of: its functions are made again from the same text, whatever the files hold by then. */
struct config_source {
    char *module; /* as `require` was told; NULL: the configuration itself, which is the first */
    char *path;
    char *text;
    size_t len;
};

/* What `env` answered. */
struct config_environment {
    char *name;
    char *value; /* NULL: it was not set */
};

struct config {
    atomic_uint references;
    char *file;

    char *ae_title;
    unsigned workers;                                /* 0: one per available CPU */
    uint32_t max_pdu;                                /* 0 = unlimited */
    uint64_t memory, window, header_max, replay_max; /* bytes */
    bool is_memory_given;                            /* else it is no more than the system has room for */
    unsigned max_associations;
    uint64_t min_rate; /* bytes a second of who is in the middle of something, over each `progress`; 0: any */
    char *tcp_congestion;            /* NULL: the system's */
    enum config_zero_copy zero_copy; /* of routes that do not say */
    struct config_spool spool;
    struct config_control control;
    bool journal;                           /* of routes that do not say; false where there is no spool */
    uint64_t history_ms;                    /* how long ended deliveries are remembered; 0: not at all */
    uint64_t expire_ms;                     /* of nodes that do not say; as theirs */
    uint64_t retry_first_ms, retry_most_ms; /* the same */
    uint64_t header_spool_max;  /* bytes: the largest part before pixel data that is gathered in the spool */
    char *uid_key;              /* of uid.map and hash; NULL: there is none */
    uint64_t rule_instructions; /* of one call of a rule */
    uint64_t rule_memory;       /* bytes of a worker's rules, beyond what the configuration itself holds */
    char *user; /* "NAME" or "NAME:GROUP" that the gateway becomes; NULL: it stays who it is */
    enum guard_seccomp seccomp;
    bool landlock;
    struct config_timeouts timeouts;
    enum log_level log_level;
    enum log_format log_format;
    bool log_patient, log_hashes_uids; /* struct log_privacy */

    struct config_listen *listens;
    size_t listen_count;
    struct config_node *nodes;
    size_t node_count;
    struct config_pool *pools;
    size_t pool_count;
    struct config_caller *callers; /* in the order of the file, which is that of looking */
    size_t caller_count;
    size_t
        study_attribute; /* in `attributes`: StudyInstanceUID, where a pool balances by it; else SIZE_MAX */
    struct config_route *routes;
    size_t route_count;
    struct config_attribute *attributes; /* of all conditions and patterns, each path once */
    size_t attribute_count;

    struct config_source *sources; /* empty where no Lua file stands behind it */
    size_t source_count;
    struct config_environment *environment; /* each name once */
    size_t environment_count;
};

/* Both listen on the same address and port. */
bool config_listen_is_at(const struct config_listen *a, const struct config_listen *b);

/* NULL: there is none. Nodes that have no name yet, while it is made, are passed over. */
const struct config_node *config_node_named(const struct config *c, const char *name);

/* Likewise; NULL: there is none. */
const struct config_pool *config_pool_named(const struct config *c, const char *name);

/* "store", "find", ...: as `service` is written. */
const char *config_service_name(enum config_service service);

/* "study", "least", ...: as `balance` is written. */
const char *config_balance_name(enum config_balance balance);

/* Some route for storage or MPPS copies, or queues what fails, or one is for storage commitment: there is to be a spool. */
bool config_needs_spool(const struct config *c);

/* Where the control socket is. False: there is none, and why_out (a fixed text) says why. */
bool config_control_path(const struct config *c, char out[CONFIG_CONTROL_BYTES], const char **why_out);

/* Zeroed, one reference, the defaults of the product page filled in. NULL without memory. */
struct config *config_new(void);
struct config *config_ref(struct config *c);
/* Drops a reference and nulls the pointer; the last one frees everything. Any thread. */
void config_unref(struct config **c);

/* Reads "10.1.0.5", "10.0.0.0/8", "::1" or "2001:db8::/32"; bits past the prefix are cleared. ERR_USAGE if it is none. */
MUST_USE enum result config_network_parse(const char *text, struct config_network *out);
/* True if the block holds the address (16 bytes, IPv4 mapped). */
bool config_network_holds(const struct config_network *n, const uint8_t address[16]);

#endif
