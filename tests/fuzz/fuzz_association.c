/*
 * Whole associations through a worker's relay, with its ring, on real sockets: senders and nodes do what a script says (play.h), time passes when it says.
 * Whatever they do: everything they leave behind goes, buffers, sessions, associations, messages, once they are gone and time has passed; and no sender is
 * told of a success that no node has said.
 *
 *   steps: u8, bits 4-5 whose: 0 and 1 a sender's (its number in bits 6-7), 2 a node's, 3 time; bits 0-3 what; some are followed by their bytes
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/engine.h"
#include "play.h"
#include "relay/affinity.h"
#include "relay/circuit.h"
#include "relay/holdings.h"
#include "relay/moves.h"
#include "relay/rates.h"
#include "script/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    MEMORY = 12 << 20,
    ROUNDS_MAX = 60,
    QUIET_ROUNDS = 3,
    STEPS_MAX = 60,
    END_ROUNDS_MAX = 4000,
    DAY_MS = 86400000
};

static struct play play;
static struct holdings
    *holdings; /* of all inputs, since it is large: what it knows of one is too old in the next */
static struct dicom_charsets *charsets; /* for nobody: what they load stays loaded */

/* --- time: ours (the linker takes these) ---------------------------------------------------------------------------- */

static uint64_t now_ms = 1000000;

uint64_t clock_ms(void)
{
    return now_ms;
}

uint64_t clock_us(void)
{
    return now_ms * 1000;
}

uint64_t clock_wall_ms(void)
{
    return UINT64_C(1700000000000) + now_ms;
}

void clock_date(char out[9])
{
    memcpy(out, "20260101", 9);
}

/* All that is logged is looked at, where nobody has to read it. */
static void choose_log(void)
{
    struct stat err, null;
    const bool is_dropped =
        fstat(STDERR_FILENO, &err) == 0 && stat("/dev/null", &null) == 0 && err.st_rdev == null.st_rdev;
    log_configure(is_dropped ? LOG_DEBUG : LOG_ERROR, LOG_LOGFMT);
}

/* --- what stays from input to input ---------------------------------------------------------------------------------- */

static const char CONFIGURATION[] =
    "gateway { ae_title = 'HILUM', uid_key = 'sixteen bytes or more', spool = false, zero_copy = true, "
    "tcp_congestion = 'reno',\n"
    "  header_max = '64KiB', "
    "replay_max = '64KiB',\n"
    "  timeouts = { response = '20s', idle = '30s' } }\n"
    "listen { port = 11112, address = '127.0.0.1', name = 'main' }\n"
    "caller 'modalities' { calling = 'MOD*', max_associations = 3,\n"
    "  identity = function(user) return not user or user.name ~= 'nobody' end }\n"
    "caller 'b' { calling = 'B' }\n"
    "caller 'a' { calling = 'A', services = { 'store', 'find' }, identity = 'drop', rate = { instances = 5, "
    "bytes = '100KiB' } }\n"
    "node 'a' { host = '127.0.0.1', port = %u, ae_title = 'A' }\n"
    "node 'b' { host = '127.0.0.1', port = %u, ae_title = 'B', max_associations = 1,\n"
    "  rate = { instances = 9 }, as = { move = 'through "
    "us' } }\n"
    "node 'away' { host = '127.0.0.1', port = 9, ae_title = 'AWAY' }\n"
    "pool 'both' { members = { 'a', 'b' }, balance = 'study' }\n"
    "pool 'turns' { members = { 'away', 'a', 'b' }, balance = 'failover' }\n"
    "route 'fan' { when = { called = 'FAN' }, to = { 'a', 'b' }, on_failure = 'fail', final = true }\n"
    "route 'pool' { when = { called = 'POOL' }, to = 'both', on_failure = 'fail', final = true }\n"
    "route 'turns' { when = { called = 'TURNS' }, to = 'turns', on_failure = 'fail', final = true }\n"
    "route 'whole' { when = { called = 'WHOLE' }, to = 'a', stream = false, on_failure = 'fail', final = "
    "true }\n"
    "route 'morph' { when = { called = 'MORPH' }, to = 'b', on_failure = 'fail', final = true,\n"
    "  morph = function(ds) ds.PatientID = 'F' .. (ds.PatientID or '') ds:remove_private() end }\n"
    "route 'asks' { when = { called = 'ASKS', Modality = 'CT' }, to = 'a', on_failure = 'fail', final = true "
    "}\n"
    "local function ruled(ds) ds.PatientID = 'R' .. (ds.PatientID or '') ds.StudyInstanceUID = "
    "uid.map(ds.StudyInstanceUID or '1') end\n"
    "route 'ruled' { when = { called = 'RULED' }, to = { 'a', 'b' }, on_failure = 'fail', final = true, "
    "morph = ruled, trace = true }\n"
    "route 'ruled find' { when = { service = 'find', called = 'RULED' }, to = { 'a', 'b' }, final = true, "
    "morph = ruled, morph_response = ruled }\n"
    "route 'ruled get' { when = { service = 'get', called = 'RULED' }, to = 'a', final = true, morph = "
    "ruled, morph_response = ruled }\n"
    "route 'ruled move' { when = { service = 'move', called = 'RULED' }, to = 'b', final = true, morph = "
    "ruled, morph_response = ruled }\n"
    "route 'ruled mpps' { when = { service = 'mpps', called = 'RULED' }, to = 'a', on_failure = 'fail', "
    "final = true, morph = ruled }\n"
    "route 'rest' { to = 'a', on_failure = 'fail' }\n"
    "route 'find' { when = { service = 'find' }, to = { 'a', 'b' } }\n"
    "route 'worklist' { when = { service = 'worklist' }, to = { 'a' } }\n"
    "route 'move' { when = { service = 'move' }, to = { 'a', 'b' } }\n"
    "route 'get' { when = { service = 'get' }, to = { 'a', 'b' } }\n"
    "route 'mpps' { when = { service = 'mpps' }, to = 'a', on_failure = 'fail' }\n"
    "route 'ups' { when = { service = 'ups' }, to = { 'a', 'b' } }\n"
    "route 'print' { when = { service = 'print' }, to = 'a' }\n"
    "route 'other' { when = { service = 'other' }, to = 'b' }\n";

static void load(void)
{
    char path[64];
    struct problems problems;
    int fd = memfd_create("configuration", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    hilum_assert(fd >= 0 && dprintf(fd, CONFIGURATION, play.nodes[0].port, play.nodes[1].port) > 0);
    enum result r = script_load(path, &play.config, &problems);
    for (size_t i = 0; i < problems.count; i++)
        fprintf(stderr, "%s\n", problems.items[i].text);
    hilum_assert(r == OK);
    problems_free(&problems);
    close(fd);
}

static void on_now(struct io_task *task)
{
    io_defer(play.io, task); /* there is always something to do: no turn waits */
}

/* With the first input, not before: AFL++ forks in between, and a ring does not come along. */
static void open_world(void)
{
    char why[256] = "";
    struct io_options options = {.pool = &play.pool};
    choose_log();
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < NODES; i++)
        node_listen(&play.nodes[i]);
    load();
    pool_init(&play.pool, MEMORY);
    if (io_new(&options, &play.io, why, sizeof(why)) != OK) {
        fprintf(stderr, "%s\n", why);
        exit(1);
    }
    hilum_assert(io_adopt(play.io) == OK && resolver_new(&play.resolver) == OK);
    hilum_assert((holdings = holdings_new()) != NULL);
    hilum_assert((charsets = dicom_charsets_new()) != NULL);
    play.now = (struct io_task){.run = on_now};
    io_defer(play.io, &play.now);
}

/* --- one input --------------------------------------------------------------------------------------------------------- */

static void begin(struct play *p)
{
    struct relay_options options = {.io = p->io,
                                    .pool = &p->pool,
                                    .resolver = p->resolver,
                                    .totals = &p->totals,
                                    .affinity = affinity_new(NULL),
                                    .circuits = circuits_new(),
                                    .holdings = holdings,
                                    .rates = rates_new(),
                                    .workers = 1,
                                    .silent_max = 3};
    now_ms += DAY_MS;
    memset(&p->totals, 0, sizeof(p->totals));
    refusals_init(&p->totals.refusals, false);
    refusals_init(&p->totals.unreached, true);
    p->ledger = (struct ledger){0};
    p->last_move = 0;
    for (unsigned i = 0; i < NODES; i++)
        p->nodes[i].manner = (struct manner){0};
    for (unsigned i = 0; i < SENDERS; i++)
        p->senders[i].wire.fd = -1;
    for (unsigned i = 0; i < CALLS; i++)
        p->calls[i].wire.fd = -1;
    hilum_assert(options.affinity && options.circuits && options.rates);
    hilum_assert(permits_registry_new(&p->permits) == OK && moves_new(&options.moves) == OK);
    options.permits = p->permits;
    hilum_assert(relay_open(&p->relay, &options) == OK);
    relay_configure(&p->relay, p->config);
}

static void turn(struct play *p)
{
    p->moved = false;
    io_run(p->io);
    nodes_turn(p);
    senders_turn(p);
}

void play_settle(struct play *p)
{
    unsigned quiet = 0;
    for (unsigned i = 0; i < ROUNDS_MAX && quiet < QUIET_ROUNDS; i++) {
        turn(p);
        quiet = p->moved ? 0 : quiet + 1;
    }
}

static void wait_ms(struct play *p, uint64_t ms)
{
    const unsigned parts = ms > 100 ? 4 : 1; /* timers that timers start */
    for (unsigned i = 0; i < parts; i++) {
        now_ms += ms / parts;
        play_settle(p);
    }
}

static void node_step(struct play *p, uint8_t what, struct input *in)
{
    const unsigned node = what >> 6 & 1;
    struct octets o = {0};
    switch (what & 7) {
    case 1:
        node_asks(p, what >> 6, in);
        break;
    case 0:
        p->nodes[node].manner = (struct manner){input_u8(in), input_u8(in), input_u8(in)};
        break;
    case 2:
    case 3:
        node_answer_one(p, what >> 6, input_u8(in));
        break;
    case 4:
        node_dies(p, node);
        break;
    case 5: {
        const uint8_t type = input_u8(in);
        play_pdu(&o, type, input_bytes(in, input_u8(in)));
        node_says(p, what >> 6, &o);
        break;
    }
    case 6: {
        struct view v = input_bytes(in, input_u8(in));
        play_pdv(&o, input_u8(in), what >> 3 & 1 ? PDV_COMMAND | PDV_LAST : PDV_LAST, v.at, v.len);
        node_says(p, what >> 6, &o);
        break;
    }
    default: {
        struct view v = input_bytes(in, input_u8(in));
        if (v.len > 0)
            octets_append(&o, v.at, v.len);
        node_says(p, what >> 6, &o);
    }
    }
    octets_free(&o);
}

static void step(struct play *p, uint8_t what, struct input *in)
{
    static const uint64_t waits[] = {1, 20, 100, 1000, 6000, 21000, 61000, 3600000};
    switch (what >> 4 & 3) {
    case 2:
        node_step(p, what, in);
        break;
    case 3:
        wait_ms(p, waits[what & 7]);
        break;
    default:
        sender_step(p, what, in);
    }
    play_settle(p);
}

static bool is_at_rest(const struct play *p)
{
    return TAILQ_EMPTY(&p->relay.sessions) && TAILQ_EMPTY(&p->relay.messages) && p->relay.calls == 0;
}

/* What the kernel does later than at once, on a machine that is busy, comes in the end. */
static void turn_to_end(struct play *p, unsigned i, uint64_t ms)
{
    now_ms += i < 20 ? 1 : ms;
    if (i % 50 == 49)
        usleep(1000);
    turn(p);
}

/* All senders are gone: what they began goes with them, in bounded time. */
static void come_to_rest(struct play *p)
{
    senders_close(p);
    for (unsigned i = 0; i < END_ROUNDS_MAX && !is_at_rest(p); i++)
        turn_to_end(p, i, 500);
    hilum_assert(is_at_rest(p));
    hilum_assert(p->relay.silent.count == 0 && p->relay.silent_tls.count == 0 &&
                 atomic_load(&p->totals.associations) == 0);
}

static void end(struct play *p)
{
    nodes_close(p);
    relay_stop(&p->relay);
    for (unsigned i = 0; i < END_ROUNDS_MAX && !relay_is_empty(&p->relay); i++) {
        if (i % 100 == 99)
            relay_stop(&p->relay); /* as the worker does */
        turn_to_end(p, i, 100);
    }
    hilum_assert(relay_is_empty(&p->relay));
    struct affinity *affinity = p->relay.affinity;
    struct circuits *circuits = p->relay.circuits;
    struct moves *moves = p->relay.moves;
    struct rates *rates = p->relay.rates;
    relay_leave(&p->relay);
    relay_close(&p->relay);
    nodes_close(p);
    affinity_free(&affinity);
    circuits_free(&circuits);
    moves_free(&moves);
    rates_free(&rates);
    refusals_tell(&p->totals.refusals, clock_ms(), true);
    refusals_free(&p->totals.refusals);
    refusals_free(&p->totals.unreached);
    permits_registry_free(&p->permits);
    io_run(p->io); /* buffers that came back are posted again */
    hilum_assert(p->pool.in_use == p->io->posted_count && p->pool.taken == 0);
    hilum_assert(atomic_load(&p->config->references) == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    if (!play.io)
        open_world();
    begin(&play);
    for (unsigned i = 0; i < STEPS_MAX && in.left > 0; i++)
        step(&play, input_u8(&in), &in);
    come_to_rest(&play);
    end(&play);
    return 0;
}
