/* Times, states and columns, as people read them. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command/explain.h"
#include "command/queue.h"

void queue_span(uint64_t ms, char out[24])
{
    uint64_t s = ms / 1000;
    if (s < 60)
        snprintf(out, 24, "%" PRIu64 "s", s);
    else if (s < 3600)
        snprintf(out, 24, "%" PRIu64 "m", s / 60);
    else if (s < 86400)
        snprintf(out, 24, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    else
        snprintf(out, 24, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
}

void queue_time(uint64_t wall_ms, char out[24])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    if (!localtime_r(&seconds, &tm) || strftime(out, 24, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(out, 24, "?");
}

void queue_time_utc(uint64_t wall_ms, char out[32])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm = {0};
    size_t len = gmtime_r(&seconds, &tm) ? strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm) : 0;
    snprintf(out + len, 32 - len, ".%03uZ", (unsigned)(wall_ms % 1000));
}

static unsigned state_bits(const char *text, size_t len)
{
    if (len == 4 && memcmp(text, "live", 4) == 0)
        return QUEUE_LIVE;
    if (len == 3 && memcmp(text, "all", 3) == 0)
        return QUEUE_ALL;
    for (int state = SPOOL_HELD; state <= SPOOL_RELAYED; state++) {
        const char *name = spool_state_name((enum spool_state)state);
        if (strlen(name) == len && memcmp(text, name, len) == 0)
            return 1U << state;
    }
    return 0;
}

unsigned queue_states_parse(const char *text)
{
    unsigned all = 0;
    for (;;) {
        size_t len = strcspn(text, ",");
        unsigned bits = state_bits(text, len);
        if (bits == 0)
            return 0;
        all |= bits;
        if (text[len] == '\0')
            return all;
        text += len + 1;
    }
}

/* --- columns ---------------------------------------------------------------------------------------------------- */

static void put_cell(struct queue_table *t, char *text_take)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 64;
        char **cells = realloc(t->cells, cap * sizeof(*cells));
        if (!cells) {
            free(text_take);
            t->failed = true;
            return;
        }
        t->cells = cells;
        t->cap = cap;
    }
    t->cells[t->count++] = text_take;
}

/* What peers wrote may hold anything: nothing leaves that a terminal would obey. */
static char *harmless(const char *text)
{
    char *out = NULL;
    size_t len;
    FILE *to = open_memstream(&out, &len);
    if (!to)
        return NULL;
    explain_put(to, text, strlen(text), SIZE_MAX);
    if (fclose(to) != 0) {
        free(out);
        return NULL;
    }
    return out;
}

static void put_text(struct queue_table *t, const char *text)
{
    char *cell = harmless(text);
    t->failed = t->failed || !cell;
    if (!t->failed)
        put_cell(t, cell);
    else
        free(cell);
}

void queue_table_put(struct queue_table *t, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0) {
        t->failed = true;
        return;
    }
    put_text(t, text);
    free(text);
}

void queue_table_line(struct queue_table *t, const char *text)
{
    if (t->failed)
        return;
    put_cell(t, NULL);
    put_text(t, text);
    for (unsigned n = 2; n < t->columns && !t->failed; n++)
        put_cell(t, NULL);
}

/* Characters of UTF-8. */
static size_t width_of(const char *cell)
{
    size_t width = 0;
    for (; cell && *cell; cell++)
        width += ((unsigned char)*cell & 0xC0) != 0x80;
    return width;
}

static size_t column_width(const struct queue_table *t, unsigned column)
{
    size_t width = 0;
    for (size_t at = 0; at + t->columns <= t->count; at += t->columns) {
        size_t cell = t->cells[at] ? width_of(t->cells[at + column]) : 0;
        width = cell > width ? cell : width;
    }
    return width;
}

static void print_row(const struct queue_table *t, char *const *row, const size_t *widths, FILE *to)
{
    if (!row[0]) {
        fprintf(to, "%s\n", row[1]);
        return;
    }
    size_t owed = 0; /* spaces, printed before the next text: none stand at the end of a line */
    for (unsigned c = 0; c < t->columns; c++) {
        size_t pad = widths[c] - width_of(row[c]);
        bool is_right = t->right >> c & 1;
        if (row[c][0] != '\0')
            fprintf(to, "%*s%s", (int)(owed + (is_right ? pad : 0)), "", row[c]);
        owed = (row[c][0] != '\0' ? is_right ? 0 : pad : owed + widths[c]) + 2;
    }
    fputc('\n', to);
}

bool queue_table_print(struct queue_table *t, FILE *to)
{
    size_t *widths = calloc(t->columns, sizeof(*widths));
    if (!widths || t->failed) {
        free(widths);
        return false;
    }
    for (unsigned c = 0; c < t->columns; c++)
        widths[c] = column_width(t, c);
    for (size_t at = 0; at + t->columns <= t->count; at += t->columns)
        print_row(t, t->cells + at, widths, to);
    free(widths);
    queue_table_free(t);
    return !ferror(to);
}

void queue_table_free(struct queue_table *t)
{
    while (t->count > 0)
        free(t->cells[--t->count]);
    free(t->cells);
    t->cells = NULL;
    t->cap = 0;
}
