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

char *report_words(const struct report *r, uint64_t elapsed_ms)
{
    char bytes[32], rate[32], *text = NULL;
    size_t len;
    FILE *out = must(open_memstream(&text, &len));
    uint64_t unanswered = without_status(r);
    progress_bytes(r->bytes, bytes);
    progress_bytes(elapsed_ms ? r->bytes * 1000 / elapsed_ms : r->bytes, rate);
    fprintf(out, "%" PRIu64 " of %" PRIu64 " files sent to %s: %s in %.1f s, %s/s\n", r->sent,
            r->sent + r->failed, r->peer, bytes, (double)elapsed_ms / 1000, rate);
    for (size_t i = 0; i < r->status_count; i++)
        fprintf(out, "%8" PRIu64 "  %04X %s\n", r->statuses[i].count, r->statuses[i].status,
                dimse_status_text(r->statuses[i].status));
    if (unanswered > 0)
        fprintf(out, "%8" PRIu64 "  failed without a status\n", unanswered);
    if (r->not_dicom > 0)
        fprintf(out, "%8" PRIu64 "  passed over: not DICOM\n", r->not_dicom);
    fclose(out);
    return must(text);
}

static json_t *failure_json(const struct report_failure *f)
{
    json_t *status = f->status < 0 ? json_null() : json_sprintf("%04X", (unsigned)f->status);
    return json_pack("{s:o, s:o, s:o, s:o}", "file", command_json_text(f->path), "status", status, "reason",
                     command_json_text(f->reason), "comment", command_json_text(f->comment));
}

static json_t *statuses_json(const struct report *r)
{
    json_t *statuses = must(json_object());
    for (size_t i = 0; i < r->status_count; i++) {
        char code[8];
        snprintf(code, sizeof(code), "%04X", r->statuses[i].status);
        json_object_set_new(statuses, code, json_integer((json_int_t)r->statuses[i].count));
    }
    return statuses;
}

char *report_json(const struct report *r, uint64_t elapsed_ms)
{
    json_int_t files = (json_int_t)r->sent + (json_int_t)r->failed;
    json_t *failures = must(json_array());
    for (size_t i = 0; i < r->failure_count; i++)
        json_array_append_new(failures, must(failure_json(&r->failures[i])));
    json_t *json =
        json_pack("{s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o}", "peer", command_json_text(r->peer),
                  "files", files, "sent", (json_int_t)r->sent, "failed", (json_int_t)r->failed, "not_dicom",
                  (json_int_t)r->not_dicom, "bytes", (json_int_t)r->bytes, "seconds",
                  (double)elapsed_ms / 1000, "statuses", statuses_json(r), "failures", failures);
    return must(command_json_line(json));
}

bool report_print(struct report *r, uint64_t elapsed_ms)
{
    progress_clear(r->progress);
    if (r->is_quiet && !r->is_json)
        return true;
    char *text = r->is_json ? report_json(r, elapsed_ms) : report_words(r, elapsed_ms);
    bool is_written = printf("%s%s", text, r->is_json ? "\n" : "") >= 0 && fflush(stdout) == 0;
    free(text);
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
