/*
 * What the commands that speak to one node share: their options, the ring they run on, Ctrl-C, the association request.
 *
 * One thread: signals are blocked and read through the ring, so that they come between callbacks like everything else.
 */
#ifndef HILUM_COMMAND_CLIENT_H
#define HILUM_COMMAND_CLIENT_H

#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/signalfd.h>

#include "association/association.h"
#include "command/target.h"
#include "io/io.h"
#include "mem/buf.h"

/* --tls, and what goes with it. */
struct client_tls {
    bool is_wanted;
    const char
        *needs_it; /* an option, without dashes, that was given and means nothing without --tls; NULL: none */
    struct tls_options options;
    struct tls_context *context; /* NULL: plain */
};

struct client_options {
    const char *command; /* "echo": messages begin with it */
    struct target target;
    const char *called, *calling;
    bool json, quiet;
    uint64_t timeout_ms;
    uint32_t max_pdu; /* 0: unlimited */
    struct client_tls tls;
    char **paths; /* what follows HOST:PORT */
    int path_count;
};

/* For the option tables of the commands (getopt_long's val). */
enum client_option {
    CLIENT_CALLED = 1,
    CLIENT_CALLING,
    CLIENT_JSON,
    CLIENT_QUIET,
    CLIENT_TIMEOUT,
    CLIENT_MAX_PDU,
    CLIENT_TLS,
    CLIENT_CA,
    CLIENT_CERTIFICATE,
    CLIENT_KEY,
    CLIENT_NAME,
    CLIENT_PROFILE,
    CLIENT_INSECURE,
    CLIENT_HELP,
};

/* Those of TLS (client_tls.c): for the table of options, and for the help, up to the width of the others. */
#define CLIENT_TLS_OPTIONS                                                                                   \
    {"tls", no_argument, NULL, CLIENT_TLS}, {"ca", required_argument, NULL, CLIENT_CA},                      \
        {"certificate", required_argument, NULL, CLIENT_CERTIFICATE},                                        \
        {"key", required_argument, NULL, CLIENT_KEY}, {"name", required_argument, NULL, CLIENT_NAME},        \
        {"profile", required_argument, NULL, CLIENT_PROFILE},                                                \
    {                                                                                                        \
        "insecure", no_argument, NULL, CLIENT_INSECURE                                                       \
    }
#define CLIENT_TLS_HELP                                                                                      \
    "  --tls           speaks TLS, with these:\n"                                                            \
    "    --ca PATH           whom to trust, a PEM file or a folder (the system's)\n"                         \
    "    --certificate FILE  ours, if the node wants one, and its --key FILE;\n"                             \
    "                        the key's password is HILUM_KEY_PASSWORD in the environment\n"                  \
    "    --name NAME         whom the node's certificate must name (HOST)\n"                                 \
    "    --profile NAME      bcp195, or bcp195-modified (bcp195)\n"                                          \
    "    --insecure          takes any certificate\n"

/* Reads the command line over the defaults in *o; target and paths are set. Returns false when there is nothing more to do:
 * *exit_out then is the exit status, and whatever there was to say has been said. After true: client_options_free. */
bool client_parse(int argc, char **argv, const struct option *table, const char *help,
                  struct client_options *o, int *exit_out);
void client_options_free(struct client_options *o);

/* An option of TLS, `name` without its dashes, and fixed; false: *why_out says why not. */
bool client_tls_take(enum client_option option, const char *name, const char *value, struct client_tls *t,
                     const char **why_out);
/* Once all are taken: makes the context, if there is to be one. As client_parse. */
bool client_tls_open(struct client_options *o, int *exit_out);

struct client {
    const struct client_options *options;
    struct pool pool;
    struct io *io;
    struct resolver *resolver;
    void (*on_interrupt)(
        struct client *c); /* SIGINT, SIGTERM, SIGHUP; a second one ends the process at once */
    void *owner;
    bool is_interrupted;
    unsigned associations; /* that are not gone yet */
    /* private */
    int signal_fd;
    struct signalfd_siginfo signal;
    struct io_op signal_op;
};

/* From here on signals wait for the ring. */
void client_block_signals(void);
/* True once one has come; for work before client_open. */
bool client_was_signalled(void);

/* ERR_IO, ERR_MEMORY: said on stderr. */
MUST_USE enum result client_open(struct client *c, const struct client_options *o);
/* Runs until *is_done, then for a moment more, so that associations end in order. */
void client_run(struct client *c, const bool *is_done);
/* Frees the ring, unless something on it is still under way: the end of the process then takes it. */
void client_close(struct client *c);

/* A request with titles, limits and our implementation, without contexts. False without memory. */
bool client_request(const struct client *c, unsigned context_count, struct pdu_associate *out);
/* One proposed context; the texts must outlive the request. False without memory. */
bool client_context(struct pdu_associate *request, uint8_t id, const char *abstract_syntax,
                    const char *const *transfer_syntaxes, uint16_t count);

/* An association to the node, filled in but not connected; freed by itself when it is gone (user->on_gone is client_on_gone).
 * NULL without memory. */
struct association *client_association(struct client *c, const struct association_user *user, void *owner);
void client_on_gone(struct association *a);
/* Why an association ended, from on_end: with what TLS, or its lack, lets suppose where the connection just broke. */
const char *client_why(const struct association *a, enum association_end how, const char *why);
/* association_close, from on_end; a peer that was sent an A-ABORT has but a moment to read it. */
void client_leave(struct association *a);

#endif
