#include "command/client.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/command.h"
#include "dicom/uid.h"

/* Memory of receive buffers: a client receives little. ABORT: what a peer is given to read an A-ABORT; LINGER: what
 * associations that have ended are given to leave. */
enum { POOL_BYTES = 4 << 20, ABORT_MS = 200, LINGER_MS = 300, CONNECT_MS = 10000 };

static bool complain(const struct client_options *o, int *exit_out, const char *what, const char *why)
{
    fprintf(stderr, "hilum %s: %s: %s\n(hilum %s --help lists the options)\n", o->command, what, why,
            o->command);
    *exit_out = COMMAND_WRONG_USAGE;
    return false;
}

static bool take_title(const struct client_options *o, const char **title_out, int *exit_out)
{
    if (!target_title_is_valid(optarg))
        return complain(o, exit_out, optarg, "an AE title has 1 to 16 characters, without backslash");
    *title_out = optarg;
    return true;
}

static bool take_option(int option, struct client_options *o, const char *help, int *exit_out)
{
    uint64_t size;
    switch (option) {
    case CLIENT_CALLED:
        return take_title(o, &o->called, exit_out);
    case CLIENT_CALLING:
        return take_title(o, &o->calling, exit_out);
    case CLIENT_JSON:
        o->json = true;
        return true;
    case CLIENT_QUIET:
        o->quiet = true;
        return true;
    case CLIENT_TIMEOUT:
        if (text_parse_duration(optarg, &o->timeout_ms) != OK || o->timeout_ms == 0)
            return complain(o, exit_out, optarg, "a time is a number with a unit, as in 500ms, 5s, 2m");
        return true;
    case CLIENT_MAX_PDU:
        if (text_parse_size(optarg, &size) != OK || size > UINT32_MAX || (size > 0 && size < 128))
            return complain(o, exit_out, optarg,
                            "a PDU length is a size from 128 on, as in 16KiB; 0 is no limit");
        o->max_pdu = (uint32_t)size;
        return true;
    case CLIENT_HELP:
        fputs(help, stdout);
        *exit_out = COMMAND_DONE;
        return false;
    default:
        return complain(o, exit_out, "wrong usage", "unknown option");
    }
}

static bool take_tls_option(const struct option *table, int option, struct client_options *o, int *exit_out)
{
    char name[32];
    const char *why;
    while (table->val != option)
        table++;
    snprintf(name, sizeof(name), "--%s", table->name);
    if (client_tls_take((enum client_option)option, table->name, optarg, &o->tls, &why))
        return true;
    return complain(o, exit_out, name, why);
}

/* getopt_long says why only in words of its own; ours name the command as it was called. */
static bool complain_of_option(const struct client_options *o, char **argv, int option, int *exit_out)
{
    return complain(o, exit_out, argv[optind - 1],
                    option == ':' ? "a value is missing" : "no such option, or a value where none belongs");
}

bool client_parse(int argc, char **argv, const struct option *table, const char *help,
                  struct client_options *o, int *exit_out)
{
    int option;
    const char *why;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":h", table, NULL)) != -1) {
        if (option == ':' || option == '?')
            return complain_of_option(o, argv, option, exit_out);
        bool is_tls = option >= CLIENT_TLS && option <= CLIENT_INSECURE;
        if (is_tls ? !take_tls_option(table, option, o, exit_out)
                   : !take_option(option == 'h' ? CLIENT_HELP : option, o, help, exit_out))
            return false;
    }
    if (optind == argc)
        return complain(o, exit_out, "HOST:PORT", "missing");
    if (target_parse(argv[optind], &o->target, &why) != OK)
        return complain(o, exit_out, argv[optind], why);
    o->paths = argv + optind + 1;
    o->path_count = argc - optind - 1;
    return client_tls_open(o, exit_out);
}

void client_options_free(struct client_options *o)
{
    tls_context_unref(&o->tls.context);
}

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

void client_block_signals(void)
{
    sigset_t set = stop_signals();
    hilum_assert(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
}

bool client_was_signalled(void)
{
    sigset_t set = stop_signals();
    struct timespec at_once = {0};
    return sigtimedwait(&set, NULL, &at_once) > 0;
}

static void on_signal(struct io_op *op, enum io_error error, int64_t n)
{
    struct client *c = op->owner;
    if (error != IO_NONE || n == 0)
        return;
    if (c->is_interrupted)
        _exit(COMMAND_FAILED);
    c->is_interrupted = true;
    io_read(c->io, &c->signal_op, c->signal_fd, &c->signal, sizeof(c->signal), 0);
    c->on_interrupt(c);
}

static enum result failed(const struct client_options *o, const char *why, enum result r)
{
    fprintf(stderr, "hilum %s: %s\n", o->command, why);
    return r;
}

enum result client_open(struct client *c, const struct client_options *o)
{
    char why[256] = "out of memory";
    sigset_t set = stop_signals();
    c->options = o;
    c->signal_fd = -1;
    pool_init(&c->pool, POOL_BYTES);
    enum result r = io_new(&(struct io_options){.pool = &c->pool}, &c->io, why, sizeof(why));
    if (r != OK)
        return failed(o, why, r);
    r = io_adopt(c->io);
    if (r != OK)
        return failed(o, "the ring cannot be enabled", r);
    r = resolver_new(&c->resolver);
    if (r != OK)
        return failed(o, "no thread for name lookup", r);
    c->signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    if (c->signal_fd < 0)
        return failed(o, "no descriptor for signals", ERR_IO);
    c->signal_op = (struct io_op){.on_done = on_signal, .owner = c};
    io_read(c->io, &c->signal_op, c->signal_fd, &c->signal, sizeof(c->signal), 0);
    return OK;
}

static void on_linger(struct io_timer *t)
{
    *(bool *)t->owner = true;
}

void client_run(struct client *c, const bool *is_done)
{
    bool is_late = false;
    struct io_timer linger = {.on_fire = on_linger, .owner = &is_late};
    while (!*is_done)
        io_run(c->io);
    io_timer_start(c->io, &linger, LINGER_MS);
    while (c->associations > 0 && !is_late)
        io_run(c->io);
    io_timer_stop(c->io, &linger);
}

void client_close(struct client *c)
{
    if (c->associations > 0) /* a name lookup cannot be cancelled, a silent peer is not waited for */
        return;
    if (c->io && c->signal_op.is_pending) {
        io_cancel(c->io, &c->signal_op);
        while (c->signal_op.is_pending)
            io_run(c->io);
    }
    io_close(c->signal_fd);
    resolver_free(&c->resolver);
    io_free(&c->io);
    pool_free(&c->pool);
}

bool client_request(const struct client *c, unsigned context_count, struct pdu_associate *out)
{
    const struct client_options *o = c->options;
    pdu_associate_init(out, false);
    pdu_title_write(out->called_raw, o->called);
    pdu_title_write(out->calling_raw, o->calling);
    association_introduce(out, o->max_pdu);
    out->contexts = pdu_associate_alloc(out, context_count * sizeof(*out->contexts));
    return out->contexts != NULL;
}

bool client_context(struct pdu_associate *request, uint8_t id, const char *abstract_syntax,
                    const char *const *transfer_syntaxes, uint16_t count)
{
    struct view *syntaxes = pdu_associate_alloc(request, count * sizeof(*syntaxes));
    if (!syntaxes)
        return false;
    for (unsigned i = 0; i < count; i++)
        syntaxes[i] = view_of(transfer_syntaxes[i]);
    request->contexts[request->context_count++] =
        (struct pdu_context){.id = id,
                             .abstract_syntax = view_of(abstract_syntax),
                             .transfer_syntaxes = syntaxes,
                             .transfer_syntax_count = count};
    return true;
}

/* The client of an association stands behind it, for the user's owner is the command's. */
struct owned {
    struct association a; /* first */
    struct client *client;
};

struct association *client_association(struct client *c, const struct association_user *user, void *owner)
{
    struct owned *it = calloc(1, sizeof(*it));
    if (!it)
        return NULL;
    uint64_t ms = c->options->timeout_ms;
    it->client = c;
    it->a.user = user;
    it->a.owner = owner;
    it->a.io = c->io;
    it->a.pool = &c->pool;
    it->a.resolver = c->resolver;
    it->a.tls = c->options->tls.context;
    it->a.limits = (struct association_limits){
        .connect = ms < CONNECT_MS ? ms : CONNECT_MS, .association = ms, .progress = ms, .idle = 0};
    snprintf(it->a.id, sizeof(it->a.id), "%s", c->options->command);
    association_init(&it->a);
    c->associations++;
    return &it->a;
}

void client_leave(struct association *a)
{
    a->limits.association = ABORT_MS; /* the ARTIM timer, which an abort starts after on_end */
    association_close(a);
}

void client_on_gone(struct association *a)
{
    struct owned *it = (struct owned *)a;
    it->client->associations--;
    free(it);
}
