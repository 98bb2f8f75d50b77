#include "command/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "command/json.h"
#include "dimse/status.h"

void report_say(struct report *r, const char *format, ...)
{
    va_list arguments;
    progress_clear(r->progress);
    va_start(arguments, format);
    fputs("hilum send: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* A report that loses failures would be worse than none: without memory for a few words the program ends. */
static void *must(void *memory)
{
    hilum_assert(memory);
    return memory;
}

static void count_status(struct report *r, uint16_t status)
{
    size_t at = 0;
    while (at < r->status_count && r->statuses[at].status < status)
        at++;
    if (at == r->status_count || r->statuses[at].status != status) {
        r->statuses = must(realloc(r->statuses, (r->status_count + 1) * sizeof(*r->statuses)));
        memmove(r->statuses + at + 1, r->statuses + at, (r->status_count - at) * sizeof(*r->statuses));
        r->statuses[at] = (struct report_status){.status = status};
        r->status_count++;
    }
    r->statuses[at].count++;
}

static void keep_failure(struct report *r, const char *path, int status, const char *reason,
                         const char *comment)
{
    if (r->failure_count == r->failure_cap) {
        r->failure_cap = r->failure_cap * 2 + 16;
        r->failures = must(realloc(r->failures, r->failure_cap * sizeof(*r->failures)));
    }
    r->failures[r->failure_count++] = (struct report_failure){.path = must(strdup(path)),
                                                              .reason = must(strdup(reason)),
                                                              .comment = must(strdup(comment)),
                                                              .status = status};
    r->failed++;
}

void report_response(struct report *r, const char *path, uint64_t bytes, uint16_t status, const char *comment)
{
    count_status(r, status);
    if (dimse_store_severity(status) <= 1) {
        r->sent++;
        r->bytes += bytes;
        return;
    }
    const char *text = dimse_status_text(status);
    keep_failure(r, path, status, text, comment);
    report_say(r, "%s: %04X %s%s%s", path, status, text, *comment ? ": " : "", comment);
}

void report_failure(struct report *r, const char *path, const char *reason)
{
    keep_failure(r, path, -1, reason, "");
    report_say(r, "%s: %s", path, reason);
}

void report_unsent(struct report *r, const char *path, const char *reason)
{
    keep_failure(r, path, -1, reason, "");
}

void report_passed_over(struct report *r, const char *path, const char *why)
{
    r->not_dicom++;
    if (!r->is_quiet)
        report_say(r, "%s: not sent: %s", path, why);
}

static uint64_t without_status(const struct report *r)
{
    uint64_t n = 0;
    for (size_t i = 0; i < r->failure_count; i++)
        n += r->failures[i].status < 0;
    return n;
}

void report_words(const struct report *r, uint64_t elapsed_ms, struct octets *out)
{
    char bytes[32], rate[32];
    uint64_t unanswered = without_status(r);
    progress_bytes(r->bytes, bytes);
    progress_bytes(elapsed_ms ? r->bytes * 1000 / elapsed_ms : r->bytes, rate);
    json_print(out, "%" PRIu64 " of %" PRIu64 " files sent to ", r->sent, r->sent + r->failed);
    octets_append(out, r->peer, strlen(r->peer));
    json_print(out, ": %s in %.1f s, %s/s\n", bytes, (double)elapsed_ms / 1000, rate);
    for (size_t i = 0; i < r->status_count; i++)
        json_print(out, "%8" PRIu64 "  %04X %s\n", r->statuses[i].count, r->statuses[i].status,
                   dimse_status_text(r->statuses[i].status));
    if (unanswered > 0)
        json_print(out, "%8" PRIu64 "  failed without a status\n", unanswered);
    if (r->not_dicom > 0)
        json_print(out, "%8" PRIu64 "  passed over: not DICOM\n", r->not_dicom);
}

static void add_failure(struct octets *out, const struct report_failure *f)
{
    json_print(out, "{\"file\":");
    json_string(out, f->path);
    if (f->status < 0)
        json_print(out, ",\"status\":null,\"reason\":");
    else
        json_print(out, ",\"status\":\"%04X\",\"reason\":", (unsigned)f->status);
    json_string(out, f->reason);
    json_print(out, ",\"comment\":");
    json_string(out, f->comment);
    json_print(out, "}");
}

void report_json(const struct report *r, uint64_t elapsed_ms, struct octets *out)
{
    json_print(out, "{\"peer\":");
    json_string(out, r->peer);
    json_print(out, ",\"files\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"failed\":%" PRIu64, r->sent + r->failed,
               r->sent, r->failed);
    json_print(out, ",\"not_dicom\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"seconds\":%.3f,\"statuses\":{",
               r->not_dicom, r->bytes, (double)elapsed_ms / 1000);
    for (size_t i = 0; i < r->status_count; i++)
        json_print(out, "%s\"%04X\":%" PRIu64, i ? "," : "", r->statuses[i].status, r->statuses[i].count);
    json_print(out, "},\"failures\":[");
    for (size_t i = 0; i < r->failure_count; i++) {
        if (i > 0)
            octets_u8(out, ',');
        add_failure(out, &r->failures[i]);
    }
    json_print(out, "]}\n");
}

bool report_print(struct report *r, uint64_t elapsed_ms)
{
    struct octets out = {0};
    progress_clear(r->progress);
    if (r->is_json)
        report_json(r, elapsed_ms, &out);
    else if (!r->is_quiet)
        report_words(r, elapsed_ms, &out);
    bool is_written = !out.failed;
    if (out.len > 0)
        is_written = is_written && fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    octets_free(&out);
    return is_written;
}

void report_free(struct report *r)
{
    for (size_t i = 0; i < r->failure_count; i++) {
        free(r->failures[i].path);
        free(r->failures[i].reason);
        free(r->failures[i].comment);
    }
    free(r->failures);
    free(r->statuses);
    r->failures = NULL;
    r->statuses = NULL;
    r->failure_count = r->failure_cap = r->status_count = 0;
}
