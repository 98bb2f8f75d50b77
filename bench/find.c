/* find: a client that queries, for benchmarks. docs/bench.md says what each option is for. One association, one query after another. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "base/assert.h"
#include "dicom/uid.h"
#include "dimse/command.h"
#include "dimse/status.h"
#include "figures.h"
#include "finding.h"
#include "net.h"
#include "pdu/write.h"
#include "ul/ul.h"

enum {
    BUFFER_BYTES = 64 << 10,
    ANNOUNCED_MAX_PDU = 64 << 10,
    CONTEXT_ID = 1,
    COMPLAINTS_MAX = 20,
    TITLE_CHARACTERS = 16,
};

static const char STUDY_ROOT_FIND[] = "1.2.840.10008.5.1.4.1.2.2.1";
static const char HELP[] = "usage: find HOST:PORT --answers N [OPTIONS]\n"
                           "\n"
                           "Queries at study level, one after another on one association, and prints one "
                           "JSON object: rates and times.\n"
                           "Every answer is looked at: its command set, and which one it is.\n"
                           "\n"
                           "  --answers N             that each query must have; each once, in any order\n"
                           "  --queries Q             10\n"
                           "  --warmup N              queries before them that are not counted: 1\n"
                           "  --calling AE            BENCH\n"
                           "  --called AE             ANY-SCP\n"
                           "  --congestion NAME       congestion control of its socket\n"
                           "  --cpu N                 runs on this CPU only\n"
                           "  --help                  this text\n";

struct options {
    const char *address, *calling, *called, *congestion;
    uint32_t answers;
    uint64_t queries, warmup;
    int cpu;
};

struct client {
    struct options options;
    int fd;
    struct ul ul;
    struct octets out, command, data;
    uint8_t *buffer, *seen; /* a byte for each answer of the present query */
    struct dimse_command response;
    bool has_command; /* complete: its data set is coming */
    bool is_ready, is_answered, is_released, has_failed;
    uint16_t message_id;
    uint64_t answers, answers_here; /* in all that counts; of the present query */
    uint64_t faults, begun_ns, first_ns;
    struct samples first, whole;
    char congestion[CONGESTION_BYTES];
};

static void fault(struct client *c, const char *why)
{
    if (++c->faults <= COMPLAINTS_MAX)
        fprintf(stderr, "find: query %u: %s\n", c->message_id, why);
}

static void fail(struct client *c, const char *why)
{
    fprintf(stderr, "find: %s\n", why);
    c->has_failed = true;
}

/* ---- out */

static void send_all(struct client *c)
{
    while (c->out.len && !c->has_failed) {
        ssize_t n = send(c->fd, c->out.data, c->out.len, MSG_NOSIGNAL);
        if (n > 0)
            octets_consume(&c->out, (size_t)n);
        else if (errno != EINTR)
            fail(c, strerror(errno));
    }
}

static void append_part(struct client *c, const struct octets *part, uint8_t control)
{
    uint8_t header[PDU_DATA_HEADER_BYTES];
    pdu_write_data_header(header, (uint32_t)part->len, CONTEXT_ID, control | PDV_LAST);
    octets_append(&c->out, header, sizeof header);
    octets_append(&c->out, part->data, part->len);
}

/* A study level query for everything: the answers' own elements, as keys that one does not have to match. */
static void ask(struct client *c)
{
    static const uint8_t KEYS[] = {
        0x08, 0, 0x20, 0, 0, 0, 0, 0,                                       /* Study Date */
        0x08, 0, 0x50, 0, 0, 0, 0, 0,                                       /* Accession Number */
        0x08, 0, 0x52, 0, 6, 0, 0, 0, 'S',  'T', 'U',  'D', 'Y', ' ',       /* Query/Retrieve Level */
        0x10, 0, 0x10, 0, 0, 0, 0, 0, 0x10, 0,   0x20, 0,   0,   0,   0, 0, /* Patient's Name, Patient ID */
        0x20, 0, 0x0D, 0, 0, 0, 0, 0,                                       /* Study Instance UID */
    };
    const struct dimse_command request = {.has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD |
                                                 DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_PRIORITY |
                                                 DIMSE_HAS_DATA_SET_TYPE,
                                          .field = DIMSE_C_FIND_RQ,
                                          .message_id = ++c->message_id,
                                          .data_set_type = DIMSE_DATA_SET,
                                          .affected_class = view_of(STUDY_ROOT_FIND)};
    struct octets command = {0}, keys = {0};
    dimse_write(&request, &command);
    octets_append(&keys, KEYS, sizeof KEYS);
    append_part(c, &command, PDV_COMMAND);
    append_part(c, &keys, 0);
    hilum_assert(!c->out.failed);
    octets_free(&command);
    octets_free(&keys);
    memset(c->seen, 0, c->options.answers);
    c->answers_here = c->first_ns = 0;
    c->is_answered = false;
    c->begun_ns = now_ns();
    send_all(c);
}

/* ---- in */

static void on_pending(struct client *c)
{
    uint32_t number;
    if (!c->first_ns)
        c->first_ns = now_ns();
    c->answers_here++;
    if (!finding_number(c->data.data, c->data.len, &number) || number >= c->options.answers)
        fault(c, "an answer that is not one of the sink's");
    else if (c->seen[number]++)
        fault(c, "an answer that has come before");
}

static void on_final(struct client *c)
{
    const uint64_t now = now_ns();
    c->is_answered = true;
    if (c->response.status != DIMSE_STATUS_SUCCESS)
        fault(c, "its last response is not success");
    if (c->answers_here != c->options.answers)
        fault(c, "not as many answers as there have to be");
    if (c->message_id <= c->options.warmup)
        return;
    c->answers += c->answers_here;
    samples_add(&c->whole, now - c->begun_ns);
    samples_add(&c->first, (c->first_ns ? c->first_ns : now) - c->begun_ns);
}

static void on_response(struct client *c)
{
    if (c->is_answered)
        fault(c, "a response after the last one");
    else if (dimse_status_class(c->response.status) == DIMSE_PENDING)
        on_pending(c);
    else
        on_final(c);
    octets_clear(&c->command);
    octets_clear(&c->data);
    c->has_command = false;
}

static void on_command(struct client *c)
{
    const char *why;
    if (dimse_parse(c->command.data, c->command.len, &c->response, &why) != OK)
        fail(c, why);
    else if (c->response.field != DIMSE_C_FIND_RSP || c->response.responded_id != c->message_id)
        fail(c, "a response to something else");
    else if (dimse_has_data_set(&c->response))
        c->has_command = true;
    else
        on_response(c);
}

static void on_data(struct client *c, const struct pdu_event *e)
{
    const bool is_command = e->control & PDV_COMMAND, is_end = e->is_pdv_end && e->control & PDV_LAST;
    if (e->context_id != CONTEXT_ID || is_command == c->has_command) {
        fail(c, "a PDV that has no place there");
        return;
    }
    octets_append(is_command ? &c->command : &c->data, e->piece, e->piece_len);
    if (is_end && is_command)
        on_command(c);
    else if (is_end)
        on_response(c);
}

static void on_accepted(struct client *c)
{
    const struct pdu_context *context = pdu_associate_context(&c->ul.accept, CONTEXT_ID);
    if (!context || context->result != PDU_CONTEXT_ACCEPTED)
        fail(c, "the presentation context was not accepted");
    c->is_ready = true;
}

static void on_indication(struct client *c, const struct ul_outcome *o)
{
    switch (o->indication) {
    case UL_ACCEPTED:
        on_accepted(c);
        break;
    case UL_DATA:
        on_data(c, &o->data);
        break;
    case UL_RELEASED:
        c->is_released = true;
        break;
    case UL_NOTHING:
    case UL_DATA_END:
        break;
    default:
        fail(c, o->fault.text ? o->fault.text : "rejected, aborted or released");
    }
}

static void take(struct client *c, const uint8_t *bytes, size_t len)
{
    struct ul_outcome o;
    do {
        size_t consumed;
        o = ul_receive(&c->ul, bytes, len, &consumed, &c->out);
        bytes += consumed;
        len -= consumed;
        on_indication(c, &o);
    } while (!c->has_failed && (len || o.indication != UL_NOTHING));
}

/* Reads until *is_there, or until something fails. */
static void await(struct client *c, const bool *is_there)
{
    while (!*is_there && !c->has_failed) {
        ssize_t n = recv(c->fd, c->buffer, BUFFER_BYTES, 0);
        if (n > 0)
            take(c, c->buffer, (size_t)n);
        else if (n == 0)
            fail(c, "connection closed");
        else if (errno != EINTR)
            fail(c, strerror(errno));
    }
}

/* ---- the association */

static void request(struct client *c)
{
    static struct view syntax;
    struct pdu_associate rq;
    pdu_associate_init(&rq, false);
    rq.application_context = view_of(DICOM_APPLICATION_CONTEXT);
    rq.max_length = ANNOUNCED_MAX_PDU;
    rq.has_max_length = true;
    rq.implementation_uid = view_of(HILUM_IMPLEMENTATION_UID);
    rq.implementation_version = view_of(HILUM_IMPLEMENTATION_VERSION);
    pdu_title_write(rq.called_raw, c->options.called);
    pdu_title_write(rq.calling_raw, c->options.calling);
    rq.contexts = pdu_associate_alloc(&rq, sizeof *rq.contexts);
    hilum_assert(rq.contexts);
    syntax = view_of(DICOM_IMPLICIT_VR_LE);
    rq.context_count = 1;
    *rq.contexts = (struct pdu_context){.id = CONTEXT_ID,
                                        .abstract_syntax = view_of(STUDY_ROOT_FIND),
                                        .transfer_syntaxes = &syntax,
                                        .transfer_syntax_count = 1};
    ul_request_take(&c->ul, &rq);
}

static void associate(struct client *c)
{
    struct address to;
    if (!net_resolve(c->options.address, &to))
        arguments_refuse("find", c->options.address, "is no HOST:PORT that has an address");
    c->fd = net_socket(&to, c->options.congestion, false);
    if (c->fd < 0 || fcntl(c->fd, F_SETFL, 0) != 0 || connect(c->fd, (struct sockaddr *)&to.at, to.len) != 0)
        net_fail("find", "connect", NULL);
    net_congestion_of(c->fd, c->congestion);
    ul_init(&c->ul, true);
    request(c);
    ul_local(&c->ul, UL_EVT2, &c->out);
    send_all(c);
    await(c, &c->is_ready);
}

static int report(struct client *c, struct cpu cpu)
{
    double seconds = 0;
    for (size_t i = 0; i < c->whole.count; i++)
        seconds += (double)c->whole.ns[i] / 1e9;
    printf("{\"queries\":%zu,\"answers\":%" PRIu64 ",\"seconds\":%.6f,\"answers_per_s\":%.1f,\"query_us\":",
           c->whole.count, c->answers, seconds, figures_ratio((double)c->answers, seconds));
    samples_write(&c->whole, stdout);
    printf(",\"first_us\":");
    samples_write(&c->first, stdout);
    printf(",\"failures\":%d,\"faults\":%" PRIu64 ",", c->has_failed, c->faults);
    cpu_write(cpu, stdout);
    printf(",\"congestion\":");
    figures_write_text(c->congestion, stdout);
    printf("}\n");
    return c->has_failed || c->faults ? EXIT_FAILURE : EXIT_SUCCESS;
}

static const char *take_title(const char *option, const char *text)
{
    if (strlen(text) < 1 || strlen(text) > TITLE_CHARACTERS)
        arguments_refuse("find", option, "an AE title has 1 to 16 characters");
    return text;
}

static void take_option(int option, struct options *o)
{
    switch (option) {
    case 'a':
        o->answers = (uint32_t)arguments_number("find", "--answers", optarg, 1, FINDING_MOST);
        break;
    case 'q':
        o->queries = arguments_number("find", "--queries", optarg, 1, 30000);
        break;
    case 'w':
        o->warmup = arguments_number("find", "--warmup", optarg, 0, 30000);
        break;
    case 'C':
        o->calling = take_title("--calling", optarg);
        break;
    case 'c':
        o->called = take_title("--called", optarg);
        break;
    case 'g':
        if (!net_has_congestion(optarg))
            arguments_refuse("find", "--congestion",
                             "this system does not have it, or does not let us use it");
        o->congestion = optarg;
        break;
    case 'u':
        o->cpu = (int)arguments_number("find", "--cpu", optarg, 0, 1023);
        break;
    case 'h':
        fputs(HELP, stdout);
        exit(EXIT_SUCCESS);
    default:
        exit(EXIT_USAGE); /* getopt_long has said why */
    }
}

static void take_options(int argc, char **argv, struct options *o)
{
    static const struct option TABLE[] = {
        {"answers", required_argument, NULL, 'a'},
        {"queries", required_argument, NULL, 'q'},
        {"warmup", required_argument, NULL, 'w'},
        {"calling", required_argument, NULL, 'C'},
        {"called", required_argument, NULL, 'c'},
        {"congestion", required_argument, NULL, 'g'},
        {"cpu", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    *o = (struct options){.calling = "BENCH", .called = "ANY-SCP", .queries = 10, .warmup = 1, .cpu = -1};
    while ((option = getopt_long(argc, argv, "", TABLE, NULL)) != -1)
        take_option(option, o);
    if (optind + 1 != argc)
        arguments_refuse("find", "HOST:PORT", "must be given, once");
    if (!o->answers)
        arguments_refuse("find", "--answers", "must be given");
    o->address = argv[optind];
}

int main(int argc, char **argv)
{
    struct client c = {.fd = -1};
    take_options(argc, argv, &c.options);
    if (c.options.cpu >= 0)
        net_pin("find", c.options.cpu);
    c.buffer = malloc(BUFFER_BYTES);
    c.seen = malloc(c.options.answers);
    if (!c.buffer || !c.seen)
        net_fail("find", "start", NULL);
    associate(&c);
    struct cpu start = cpu_now();
    for (uint64_t i = 0; i < c.options.warmup + c.options.queries && !c.has_failed; i++) {
        if (i == c.options.warmup)
            start = cpu_now();
        ask(&c);
        await(&c, &c.is_answered);
    }
    struct cpu used = cpu_since(start);
    if (!c.has_failed) {
        ul_local(&c.ul, UL_EVT11, &c.out);
        send_all(&c);
        await(&c, &c.is_released);
    }
    int status = report(&c, used);
    close(c.fd);
    ul_free(&c.ul);
    octets_free(&c.out);
    octets_free(&c.command);
    octets_free(&c.data);
    samples_free(&c.first);
    samples_free(&c.whole);
    free(c.buffer);
    free(c.seen);
    return status;
}
