/* hilum send: what the command line says, the files, and the result. The associations are sender.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "command/client.h"
#include "command/command.h"
#include "command/files.h"
#include "command/report.h"
#include "command/sender.h"

static const char help[] =
    "hilum send HOST:PORT PATH...   sends files, and folders with all that is in them (C-STORE)\n\n"
    "  --called AE     the node's title (ANY-SCP)\n"
    "  --calling AE    our title (HILUM)\n"
    "  --max-pdu SIZE  the longest PDU, either way (1MiB); 0: no limit\n"
    "  --timeout TIME  how long to wait for an answer (60s)\n"
    "  --quiet         only what fails: no progress bar, no summary\n"
    "  --json          the result as a JSON object\n"
    "  --help          this text\n" CLIENT_TLS_HELP "\n"
    "HOST is a name, an IPv4 address, or an IPv6 address in brackets: [::1]:104\n"
    "Files in folders that are not DICOM are passed over; one named here fails.\n"
    "Exit status: 0 all sent, 1 something failed, 2 wrong usage\n";

static const struct option option_table[] = {
    {"called", required_argument, NULL, CLIENT_CALLED},
    {"calling", required_argument, NULL, CLIENT_CALLING},
    {"max-pdu", required_argument, NULL, CLIENT_MAX_PDU},
    {"timeout", required_argument, NULL, CLIENT_TIMEOUT},
    {"quiet", no_argument, NULL, CLIENT_QUIET},
    {"json", no_argument, NULL, CLIENT_JSON},
    CLIENT_TLS_OPTIONS,
    {"help", no_argument, NULL, CLIENT_HELP},
    {0},
};

enum { LOOKING_MS = 100 };

struct looking {
    struct files files;
    struct report *report;
    uint64_t shown_ms, seen;
    bool is_interrupted;
};

static void on_fault(void *owner, const char *path, enum file_fault fault, const char *why, bool is_named)
{
    struct looking *l = owner;
    if (fault == FILE_NOT_DICOM && !is_named)
        report_passed_over(l->report, path, why);
    else
        report_failure(l->report, path, why);
}

static bool on_step(void *owner)
{
    struct looking *l = owner;
    uint64_t now = clock_ms();
    l->seen++;
    if (l->shown_ms == 0)
        l->shown_ms = now;
    if (now - l->shown_ms >= LOOKING_MS) {
        progress_draw_looking(l->report->progress, l->seen);
        l->shown_ms = now;
    }
    l->is_interrupted = l->is_interrupted || client_was_signalled();
    return l->is_interrupted;
}

static const struct files_user files_user = {.on_fault = on_fault, .on_step = on_step};

static enum result look(struct looking *l, const struct client_options *o)
{
    enum result r = OK;
    for (int i = 0; r == OK && i < o->path_count; i++)
        r = files_take(&l->files, o->paths[i]);
    if (r == ERR_CLOSED)
        report_say(l->report, "interrupted");
    else if (r != OK)
        report_say(l->report, "out of memory");
    else if (l->files.count == 0)
        report_say(l->report, "there is nothing to send");
    return r;
}

static int send_all(const struct client_options *o, struct report *report)
{
    struct looking l = {.report = report};
    uint64_t elapsed_ms = 0;
    l.files.user = &files_user;
    l.files.owner = &l;
    client_block_signals();
    enum result r = look(&l, o);
    if (r == OK && l.files.count > 0)
        r = sender_run(o, &l.files, report, &elapsed_ms);
    bool is_printed = report_print(report, elapsed_ms);
    files_free(&l.files);
    return r == OK && is_printed && report->failed == 0 ? COMMAND_DONE : COMMAND_FAILED;
}

int command_send(int argc, char **argv)
{
    struct client_options o = {
        .command = "send", .called = "ANY-SCP", .calling = "HILUM", .timeout_ms = 60000, .max_pdu = 1 << 20};
    struct progress progress;
    int status;
    if (!client_parse(argc, argv, option_table, help, &o, &status))
        return status;
    if (o.path_count == 0) {
        fputs("hilum send: no PATH is given\n(hilum send --help lists the options)\n", stderr);
        client_options_free(&o);
        return COMMAND_WRONG_USAGE;
    }
    progress_init(&progress, o.quiet);
    struct report report = {
        .peer = o.target.text, .progress = &progress, .is_quiet = o.quiet, .is_json = o.json};
    status = send_all(&o, &report);
    report_free(&report);
    client_options_free(&o);
    return status;
}
