#include "command/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR_MIN = 10, BAR_MAX = 24, COLUMNS_DEFAULT = 80, RATE_AFTER_MS = 500 };

struct unit {
    const char *name;
    double bytes;
};

static const struct unit *unit_for(uint64_t bytes)
{
    static const struct unit units[] = {
        {"B", 1}, {"KiB", 1024}, {"MiB", 1024.0 * 1024}, {"GiB", 1024.0 * 1024 * 1024}};
    size_t i = 0;
    while (i + 1 < sizeof(units) / sizeof(units[0]) && (double)bytes >= units[i + 1].bytes)
        i++;
    return &units[i];
}

static int decimals(const struct unit *u)
{
    return u->bytes > 1 ? 1 : 0;
}

void progress_bytes(uint64_t bytes, char out[32])
{
    const struct unit *u = unit_for(bytes);
    snprintf(out, 32, "%.*f %s", decimals(u), (double)bytes / u->bytes, u->name);
}

/* "0:03", "12:45", "1:02:45" */
static void duration(uint64_t seconds, char out[32])
{
    if (seconds >= 3600)
        snprintf(out, 32, "%" PRIu64 ":%02u:%02u", seconds / 3600, (unsigned)(seconds / 60 % 60),
                 (unsigned)(seconds % 60));
    else
        snprintf(out, 32, "%u:%02u", (unsigned)(seconds / 60), (unsigned)(seconds % 60));
}

struct line {
    char text[PROGRESS_LINE_BYTES];
    size_t len, room;
};

/* Whole parts only: half a number would lie. */
static void add_part(struct line *l, const char *part)
{
    size_t gap = l->len ? 2 : 0, len = strlen(part);
    if (l->len + gap + len > l->room) {
        l->room = l->len; /* nor anything after it */
        return;
    }
    memcpy(l->text + l->len, "  ", gap);
    memcpy(l->text + l->len + gap, part, len + 1);
    l->len += gap + len;
}

static void add_numbers(struct line *l, const struct progress_numbers *n)
{
    char part[96], rate_text[32], left[32];
    const struct unit *u = unit_for(n->bytes_total);
    snprintf(part, sizeof(part), "%" PRIu64 "/%" PRIu64 " files", n->files_done, n->files_total);
    add_part(l, part);
    snprintf(part, sizeof(part), "%.*f/%.*f %s", decimals(u), (double)n->bytes_done / u->bytes, decimals(u),
             (double)n->bytes_total / u->bytes, u->name);
    add_part(l, part);
    if (n->elapsed_ms < RATE_AFTER_MS || n->bytes_done == 0)
        return; /* too early to say */
    double rate = (double)n->bytes_done * 1000 / (double)n->elapsed_ms;
    progress_bytes((uint64_t)rate, rate_text);
    snprintf(part, sizeof(part), "%s/s", rate_text);
    add_part(l, part);
    uint64_t bytes_left = n->bytes_done < n->bytes_total ? n->bytes_total - n->bytes_done : 0;
    duration((uint64_t)((double)bytes_left / rate + 0.5), left);
    snprintf(part, sizeof(part), "%s left", left);
    add_part(l, part);
}

static size_t filled(const struct progress_numbers *n, size_t width)
{
    if (n->bytes_total == 0)
        return n->files_total ? (size_t)((double)width * (double)n->files_done / (double)n->files_total)
                              : width;
    if (n->bytes_done >= n->bytes_total)
        return width;
    return (size_t)((double)width * (double)n->bytes_done / (double)n->bytes_total);
}

void progress_line(const struct progress_numbers *n, unsigned columns, char out[PROGRESS_LINE_BYTES])
{
    struct line l = {.room = columns > 0 ? columns - 1
                                         : 0}; /* the last column would make some terminals scroll */
    if (l.room >= PROGRESS_LINE_BYTES)
        l.room = PROGRESS_LINE_BYTES - 1;
    add_numbers(&l, n);
    size_t free_room = l.room > l.len + 4 ? l.room - l.len - 4 : 0; /* brackets, gap */
    size_t width = free_room < BAR_MAX ? free_room : BAR_MAX;
    size_t at = 0;
    if (l.len > 0 && width >= BAR_MIN) {
        size_t done = filled(n, width);
        out[at++] = '[';
        memset(out + at, '#', done);
        memset(out + at + done, '-', width - done);
        at += width;
        memcpy(out + at, "]  ", 3);
        at += 3;
    }
    memcpy(out + at, l.text, l.len + 1);
}

void progress_init(struct progress *p, bool is_quiet)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool is_dumb = !term || strcmp(term, "dumb") == 0;
    *p = (struct progress){.is_wanted =
                               !is_quiet && isatty(STDERR_FILENO) && !is_dumb && !(no_color && *no_color)};
}

static void show(struct progress *p, const char *line)
{
    fprintf(stderr, "\r\x1b[K%s", line); /* to the start of the line, which is emptied */
    fflush(stderr);
    p->is_shown = true;
}

void progress_draw(struct progress *p, const struct progress_numbers *n)
{
    char line[PROGRESS_LINE_BYTES];
    struct winsize window;
    if (!p->is_wanted)
        return;
    bool is_known = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0;
    progress_line(n, is_known ? window.ws_col : COLUMNS_DEFAULT, line);
    show(p, line);
}

void progress_draw_looking(struct progress *p, uint64_t files)
{
    char line[64];
    if (!p->is_wanted)
        return;
    snprintf(line, sizeof(line), "looking at files: %" PRIu64, files);
    show(p, line);
}

void progress_clear(struct progress *p)
{
    if (!p->is_shown)
        return;
    fputs("\r\x1b[K", stderr);
    fflush(stderr);
    p->is_shown = false;
}
