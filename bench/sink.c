/* sink: a destination for benchmarks. docs/bench.md says what each option is for. */
#include "sink.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arguments.h"
#include "net.h"

enum { EVENTS_AT_ONCE = 256, DEFAULT_MAX_PDU = 1 << 20, DEFAULT_WINDOW = 16 };
static const uint64_t SLOW_TURN_NS = 5000000;

static const char HELP[] =
    "usage: sink --port P [OPTIONS]\n"
    "\n"
    "Takes any instance on 127.0.0.1:P (0: any port), checks it and throws it away. Prints one JSON object a "
    "line: first\n"
    "{\"event\":\"listening\",\"port\":N}; at SIGUSR1 what has come so far; at SIGTERM or when its stdin "
    "ends the totals.\n"
    "\n"
    "  --max-pdu BYTES         maximum length that it announces: 1MiB; 0 is no limit\n"
    "  --window W              asynchronous operations that it grants: 16\n"
    "  --answer-after MS       each answer this much later\n"
    "  --bytes-per-second N    reads no faster, each association\n"
    "  --stall-after BYTES     reads no more once an association has brought this much of data sets\n"
    "  --reject                rejects every association, as a matter that may pass\n"
    "  --refuse STATUS         answers every instance with this status, as A700\n"
    "  --nagle                 as DCMTK: Nagle's algorithm on, header and body of each PDU written apart, "
    "late acknowledgements\n"
    "  --answers N             answers each query by so many pending responses, each sent by itself: 0, "
    "queries are refused\n"
    "  --answer-work US        microseconds of the processor that each of them takes before it is sent: 0\n"
    "  --tls-certificate FILE  speaks TLS, as whom this says, and --tls-key FILE\n"
    "  --congestion NAME       congestion control of its sockets\n"
    "  --cpu N                 runs on this CPU only\n"
    "  --no-read-check         does not compare data sets with their commands and lengths\n"
    "  --help                  this text\n";

static void take_option(int option, struct sink_options *o)
{
    switch (option) {
    case 'p':
        o->port = (uint16_t)arguments_number("sink", "--port", optarg, 0, UINT16_MAX);
        break;
    case 'm':
        o->max_pdu = (uint32_t)arguments_size("sink", "--max-pdu", optarg, 0, UINT32_MAX);
        if (o->max_pdu && o->max_pdu < 128)
            arguments_refuse("sink", "--max-pdu", "0, or 128 and more");
        break;
    case 'a':
        o->late_ns = arguments_number("sink", "--answer-after", optarg, 0, 3600000) * 1000000;
        break;
    case 'b':
        o->bytes_per_second = arguments_size("sink", "--bytes-per-second", optarg, 1, UINT64_C(1) << 40);
        break;
    case 's':
        o->stall_after = arguments_size("sink", "--stall-after", optarg, 0, UINT64_MAX);
        o->has_stall = true;
        break;
    case 'R':
        o->is_rejecting = true;
        break;
    case 'r':
        o->status = arguments_status("sink", "--refuse", optarg);
        break;
    case 'n':
        o->has_nagle = true;
        break;
    case 'c':
        if (!net_has_congestion(optarg))
            arguments_refuse("sink", "--congestion",
                             "this system does not have it, or does not let us use it");
        o->congestion = optarg;
        break;
    case 'u':
        o->cpu = (int)arguments_number("sink", "--cpu", optarg, 0, 1023);
        break;
    case 'w':
        o->window = (uint16_t)arguments_number("sink", "--window", optarg, 1, UINT16_MAX);
        break;
    case 'k':
        o->is_unchecked = true;
        break;
    case 'A':
        o->answers = (uint32_t)arguments_number("sink", "--answers", optarg, 0, FINDING_MOST);
        break;
    case 'W':
        o->work_ns = arguments_number("sink", "--answer-work", optarg, 0, 1000000) * 1000;
        break;
    case 'X':
        o->tls.certificate = optarg;
        break;
    case 'K':
        o->tls.key = optarg;
        break;
    case 'h':
        fputs(HELP, stdout);
        exit(EXIT_SUCCESS);
    default:
        exit(EXIT_USAGE); /* getopt_long has said why */
    }
}

/* Plain bytes come from records, whose lengths are the sender's. */
static void check_tls(const struct sink_options *o)
{
    if (!o->tls.certificate != !o->tls.key)
        arguments_refuse("sink", "--tls-certificate", "and --tls-key belong together");
    if (o->tls.certificate && (o->bytes_per_second || o->has_stall || o->has_nagle))
        arguments_refuse("sink", "--tls-certificate",
                         "not with --bytes-per-second, --stall-after or --nagle");
}

static void take_options(int argc, char **argv, struct sink_options *o)
{
    static const struct option TABLE[] = {
        {"port", required_argument, NULL, 'p'},
        {"max-pdu", required_argument, NULL, 'm'},
        {"answer-after", required_argument, NULL, 'a'},
        {"bytes-per-second", required_argument, NULL, 'b'},
        {"stall-after", required_argument, NULL, 's'},
        {"reject", no_argument, NULL, 'R'},
        {"refuse", required_argument, NULL, 'r'},
        {"nagle", no_argument, NULL, 'n'},
        {"congestion", required_argument, NULL, 'c'},
        {"cpu", required_argument, NULL, 'u'},
        {"window", required_argument, NULL, 'w'},
        {"no-read-check", no_argument, NULL, 'k'},
        {"answers", required_argument, NULL, 'A'},
        {"answer-work", required_argument, NULL, 'W'},
        {"tls-certificate", required_argument, NULL, 'X'},
        {"tls-key", required_argument, NULL, 'K'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    bool has_port = false;
    *o = (struct sink_options){
        .max_pdu = DEFAULT_MAX_PDU, .window = DEFAULT_WINDOW, .cpu = -1, .tls.is_server = true};
    while ((option = getopt_long(argc, argv, "", TABLE, NULL)) != -1) {
        take_option(option, o);
        has_port = has_port || option == 'p';
    }
    if (optind < argc)
        arguments_refuse("sink", argv[optind], "belongs to no option");
    if (!has_port)
        arguments_refuse("sink", "--port", "must be given");
    check_tls(o);
}

static void print_tally(const struct sink *s, const char *event)
{
    const struct tally *t = &s->tally;
    double seconds = t->last_ns > t->first_ns ? (double)(t->last_ns - t->first_ns) / 1e9 : 0;
    printf("{\"event\":\"%s\",\"instances\":%llu,\"bytes\":%llu,\"associations\":%llu,\"aborts\":%llu,"
           "\"faults\":%llu,\"queries\":%llu,\"answers\":%llu,\"cancels\":%llu,"
           "\"seconds\":%.6f,\"gb_per_s\":%.4f,",
           event, (unsigned long long)t->instances, (unsigned long long)t->bytes,
           (unsigned long long)t->associations, (unsigned long long)t->aborts, (unsigned long long)t->faults,
           (unsigned long long)t->queries, (unsigned long long)t->answers, (unsigned long long)t->cancels,
           seconds, figures_ratio((double)t->bytes / 1e9, seconds));
    secure_write(s->tls, stdout);
    cpu_write(cpu_now(), stdout);
    puts("}");
    fflush(stdout);
}

static void accept_all(struct sink *s, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        connection_accept(s, fd);
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        net_fail("sink", "accept", NULL);
}

/* Milliseconds until something is due, -1 for never. */
static int next_wait(const struct sink *s, uint64_t now)
{
    uint64_t due = UINT64_MAX;
    if (!TAILQ_EMPTY(&s->late))
        due = TAILQ_FIRST(&s->late)->due_ns;
    if (!TAILQ_EMPTY(&s->slow) && s->slow_due_ns < due)
        due = s->slow_due_ns;
    if (!TAILQ_EMPTY(&s->waiting) && TAILQ_FIRST(&s->waiting)->artim_due_ns < due)
        due = TAILQ_FIRST(&s->waiting)->artim_due_ns;
    if (due == UINT64_MAX)
        return -1;
    return due <= now ? 0 : (int)((due - now + 999999) / 1000000);
}

static void on_time(struct sink *s, uint64_t now)
{
    struct connection *c;
    answers_send_due(s, now);
    while ((c = TAILQ_FIRST(&s->waiting)) && c->artim_due_ns <= now)
        connection_free(c); /* its peer had its time */
    if (TAILQ_EMPTY(&s->slow) || s->slow_due_ns > now)
        return;
    const struct connection *last =
        TAILQ_LAST(&s->slow, connections); /* one that stops again stands behind it */
    bool is_last;
    do {
        c = TAILQ_FIRST(&s->slow);
        is_last = c == last;
        connection_read_on(c);
    } while (!is_last);
    s->slow_due_ns = now + SLOW_TURN_NS;
}

/* False: the end was asked for. */
static bool on_signals(const struct sink *s, int signals)
{
    int number;
    while ((number = net_next_signal(signals)) != 0) {
        if (number != SIGUSR1)
            return false;
        print_tally(s, "snapshot");
    }
    return true;
}

static bool has_ended(int fd)
{
    char bytes[64];
    ssize_t n = read(fd, bytes, sizeof bytes);
    return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

static void serve(struct sink *s, int listener, int signals)
{
    int in = STDIN_FILENO;
    net_watch(s->epoll, listener, EPOLLIN, &listener);
    net_watch(s->epoll, signals, EPOLLIN, &signals);
    net_watch(s->epoll, in, EPOLLIN, &in); /* what cannot be waited for, as /dev/null, never ends it */
    for (;;) {
        struct epoll_event events[EVENTS_AT_ONCE];
        int wait = next_wait(s, now_ns());
        int count = epoll_wait(s->epoll, events, EVENTS_AT_ONCE, wait);
        for (int i = 0; i < count; i++) {
            void *of = events[i].data.ptr;
            if (of == &listener)
                accept_all(s, listener);
            else if (of == &signals ? !on_signals(s, signals) : of == &in && has_ended(in))
                return;
            else if (of != &signals && of != &in)
                connection_on_event(of, events[i].events);
        }
        on_time(s, now_ns());
    }
}

int main(int argc, char **argv)
{
    struct sink s = {0};
    uint16_t port;
    take_options(argc, argv, &s.options);
    if (s.options.cpu >= 0)
        net_pin("sink", s.options.cpu);
    net_raise_descriptors();
    TAILQ_INIT(&s.open);
    TAILQ_INIT(&s.waiting);
    TAILQ_INIT(&s.slow);
    TAILQ_INIT(&s.late);
    finding_build(&s.finding);
    s.tls = s.options.tls.certificate ? secure_side_new("sink", &s.options.tls) : NULL;
    s.buffer = malloc(SINK_BUFFER_BYTES);
    s.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!s.buffer || s.epoll < 0)
        net_fail("sink", "start", NULL);
    int signals = net_signals("sink");
    int listener = net_listen("sink", s.options.port, s.options.congestion, &port);
    printf("{\"event\":\"listening\",\"port\":%u}\n", port);
    fflush(stdout);
    serve(&s, listener, signals);
    print_tally(&s, "end");
    struct connection *c;
    while ((c = TAILQ_FIRST(&s.open)))
        connection_free(c);
    secure_side_free(&s.tls);
    close(listener);
    close(signals);
    close(s.epoll);
    octets_free(&s.scratch);
    finding_free(&s.finding);
    free(s.buffer);
    return EXIT_SUCCESS;
}
