/* hilum echo: one association, one C-ECHO, and what the node says about itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "command/client.h"
#include "command/command.h"
#include "command/json.h"
#include "dicom/uid.h"
#include "dimse/status.h"

static const char help[] = "hilum echo HOST:PORT   asks a node whether it answers (C-ECHO)\n\n"
                           "  --called AE     the node's title (ANY-SCP)\n"
                           "  --calling AE    our title (HILUM)\n"
                           "  --timeout TIME  how long all of it may take (5s)\n"
                           "  --json          the result as a JSON object\n"
                           "  --help          this text\n" CLIENT_TLS_HELP "\n"
                           "HOST is a name, an IPv4 address, or an IPv6 address in brackets: [::1]:104\n"
                           "Exit status: 0 it answers, 1 it does not, 2 wrong usage\n";

static const struct option option_table[] = {
    {"called", required_argument, NULL, CLIENT_CALLED},
    {"calling", required_argument, NULL, CLIENT_CALLING},
    {"timeout", required_argument, NULL, CLIENT_TIMEOUT},
    {"json", no_argument, NULL, CLIENT_JSON},
    CLIENT_TLS_OPTIONS,
    {"help", no_argument, NULL, CLIENT_HELP},
    {0},
};

enum { CONTEXT_ID = 1, MESSAGE_ID = 1 };

enum phase { CONNECTING, ECHOING, ANSWERED };

struct echo {
    struct client client;
    struct association *a;
    enum phase phase;
    bool is_done;
    struct io_timer deadline;
    uint64_t start_us, established_us, answered_us;
    uint16_t status;
    uint32_t max_length;
    char implementation_uid[65], implementation_version[17];
    char tls_version[16], tls_suite[64], tls_peer[256]; /* empty: plain, or not that far */
    char why[128];                                      /* empty: it went well */
};

static void fail(struct echo *e, const char *why)
{
    if (!e->why[0])
        text_copy(e->why, sizeof(e->why), why, strlen(why));
}

static void keep_text(char *to, size_t cap, struct view text)
{
    text_printable(to, cap, (const char *)text.at, text_trim_end((const char *)text.at, text.len));
}

static void keep_tls(struct echo *e, const struct tls *t)
{
    const char *peer = tls_peer(t);
    snprintf(e->tls_version, sizeof(e->tls_version), "%s", tls_version(t));
    snprintf(e->tls_suite, sizeof(e->tls_suite), "%s", tls_suite(t));
    text_printable(e->tls_peer, sizeof(e->tls_peer), peer, strlen(peer));
}

static void on_established(struct association *a)
{
    struct echo *e = a->owner;
    static const struct view verification = {(const uint8_t *)DICOM_VERIFICATION,
                                             sizeof(DICOM_VERIFICATION) - 1};
    struct dimse_command request = {.has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID |
                                           DIMSE_HAS_DATA_SET_TYPE,
                                    .affected_class = verification,
                                    .field = DIMSE_C_ECHO_RQ,
                                    .message_id = MESSAGE_ID,
                                    .data_set_type = DIMSE_NO_DATA_SET};
    e->established_us = clock_us();
    e->max_length = a->ul.accept.max_length;
    if (a->stream.tls)
        keep_tls(e, a->stream.tls);
    keep_text(e->implementation_uid, sizeof(e->implementation_uid), a->ul.accept.implementation_uid);
    keep_text(e->implementation_version, sizeof(e->implementation_version),
              a->ul.accept.implementation_version);
    if (!association_context(a, CONTEXT_ID)) {
        fail(e, "the node does not accept the Verification SOP class");
        association_release(a);
        return;
    }
    e->phase = ECHOING;
    if (!association_send_command(a, CONTEXT_ID, &request))
        association_abort(a, "out of memory");
}

static void on_command(struct association *a, uint8_t context_id, const struct dimse_command *c)
{
    struct echo *e = a->owner;
    (void)context_id;
    if (e->phase != ECHOING || c->field != DIMSE_C_ECHO_RSP || c->responded_id != MESSAGE_ID ||
        dimse_has_data_set(c)) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNEXPECTED_PARAMETER, "unexpected message"});
        return;
    }
    e->answered_us = clock_us();
    e->status = c->status;
    e->phase = ANSWERED;
    if (dimse_status_class(c->status) != DIMSE_SUCCESS) {
        char why[96];
        snprintf(why, sizeof(why), "answered by status %04X (%s)", c->status, dimse_status_text(c->status));
        fail(e, why);
    }
    association_release(a);
}

static void on_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    (void)a, (void)b, (void)at, (void)len; /* no message with data gets past on_command */
}

static void on_data_end(struct association *a)
{
    (void)a;
}

static void on_end(struct association *a, enum association_end how, const char *why)
{
    struct echo *e = a->owner;
    why = client_why(a, how, why);
    if (how == ASSOCIATION_RELEASED && e->phase == ECHOING)
        fail(e, "released without an answer to the C-ECHO");
    else if (how != ASSOCIATION_RELEASED &&
             e->phase != ANSWERED) /* after the answer the end does not matter */
        fail(e, why);
    e->is_done = true;
    e->a = NULL;
    client_leave(a);
}

static const struct association_user user = {
    .on_established = on_established,
    .on_command = on_command,
    .on_data = on_data,
    .on_data_end = on_data_end,
    .on_end = on_end,
    .on_gone = client_on_gone,
};

static void give_up(struct echo *e, const char *why)
{
    if (e->phase != ANSWERED)
        fail(e, why);
    if (e->a)
        association_abort(e->a, why);
    e->is_done = true;
}

static void on_deadline(struct io_timer *t)
{
    struct echo *e = t->owner;
    give_up(e, e->phase == ECHOING ? "no answer to the C-ECHO" : "no answer in time");
}

static void on_interrupt(struct client *c)
{
    give_up(c->owner, "interrupted");
}

static bool start(struct echo *e)
{
    static const char *const syntaxes[] = {DICOM_EXPLICIT_VR_LE, DICOM_IMPLICIT_VR_LE};
    struct pdu_associate request;
    if (!client_request(&e->client, 1, &request) ||
        !client_context(&request, CONTEXT_ID, DICOM_VERIFICATION, syntaxes, 2) ||
        !(e->a = client_association(&e->client, &user, e))) {
        pdu_associate_free(&request);
        return false;
    }
    const struct client_options *o = e->client.options;
    e->deadline = (struct io_timer){.on_fire = on_deadline, .owner = e};
    e->start_us = clock_us();
    io_timer_start(e->client.io, &e->deadline, o->timeout_ms);
    association_connect_take(e->a, o->target.host, o->target.port, &request);
    return true;
}

static json_t *result_json(const struct echo *e)
{
    const struct client_options *o = e->client.options;
    json_t *json = json_pack("{s:b, s:o, s:s, s:s}", "ok", !e->why[0], "peer",
                             command_json_text(o->target.text), "called", o->called, "calling", o->calling);
    if (json && e->established_us)
        json_object_update_new(json,
                               json_pack("{s:s, s:s, s:I, s:f}", "implementation_class",
                                         e->implementation_uid, "implementation_version",
                                         e->implementation_version, "max_pdu", (json_int_t)e->max_length,
                                         "association_ms", (double)(e->established_us - e->start_us) / 1000));
    if (json && e->tls_version[0])
        json_object_update_new(json, json_pack("{s:s, s:s, s:o}", "tls_version", e->tls_version, "tls_suite",
                                               e->tls_suite, "tls_peer", command_json_text(e->tls_peer)));
    if (json && e->answered_us)
        json_object_update_new(json,
                               json_pack("{s:o, s:f}", "status", json_sprintf("%04X", e->status), "echo_ms",
                                         (double)(e->answered_us - e->established_us) / 1000));
    if (json && e->why[0])
        json_object_set_new(json, "error", command_json_text(e->why));
    return json;
}

static void print_json(const struct echo *e)
{
    char *line = command_json_line(result_json(e));
    if (line)
        puts(line);
    free(line);
}

static int print_result(const struct echo *e)
{
    const struct client_options *o = e->client.options;
    if (o->json)
        print_json(e);
    if (e->why[0]) {
        fprintf(stderr, "hilum echo: %s: %s\n", o->target.text, e->why);
        return COMMAND_FAILED;
    }
    if (!o->json)
        printf("%s answered in %.1f ms, after %.1f ms for the association\nimplementation %s%s%s\n",
               o->target.text, (double)(e->answered_us - e->established_us) / 1000,
               (double)(e->established_us - e->start_us) / 1000, e->implementation_version,
               e->implementation_version[0] ? ", " : "", e->implementation_uid);
    if (!o->json && e->tls_version[0])
        printf("%s, %s, certificate %s\n", e->tls_version, e->tls_suite, e->tls_peer);
    return COMMAND_DONE;
}

static int echo(const struct client_options *o)
{
    struct echo e = {.client = {.on_interrupt = on_interrupt, .owner = &e}};
    client_block_signals();
    if (client_open(&e.client, o) != OK)
        return COMMAND_FAILED;
    if (start(&e))
        client_run(&e.client, &e.is_done);
    else
        fail(&e, "out of memory");
    io_timer_stop(e.client.io, &e.deadline);
    int status = print_result(&e);
    client_close(&e.client);
    return status;
}

int command_echo(int argc, char **argv)
{
    struct client_options o = {
        .command = "echo", .called = "ANY-SCP", .calling = "HILUM", .timeout_ms = 5000, .max_pdu = 16384};
    int status;
    if (!client_parse(argc, argv, option_table, help, &o, &status))
        return status;
    if (o.path_count > 0) {
        fprintf(stderr, "hilum echo: %s: one HOST:PORT is enough\n", o.paths[0]);
        status = COMMAND_WRONG_USAGE;
    } else {
        status = echo(&o);
    }
    client_options_free(&o);
    return status;
}
