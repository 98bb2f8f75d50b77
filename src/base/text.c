#include "base/text.h"

#include <string.h>

#include "base/assert.h"

/*
 * Only the last star is ever taken back: what an earlier star swallowed cannot matter, since the shortest match of
 * what stood between the two leaves the most text for the rest.
 */
static bool glob(const char *pattern, const char *text, size_t len,
                 size_t (*step)(const char *text, size_t len))
{
    const char *p = pattern;
    const char *after_star = NULL;
    size_t at = 0;
    size_t star_end = 0; /* the text that the last star has swallowed ends here */
    while (at < len) {
        if (*p == '*') {
            after_star = ++p;
            star_end = at;
        } else if (*p == '?') {
            p++;
            at += step(text + at, len - at);
        } else if (*p != '\0' && *p == text[at]) {
            p++;
            at++;
        } else if (after_star) {
            p = after_star;
            star_end += step(text + star_end, len - star_end);
            at = star_end;
        } else {
            return false;
        }
    }
    while (*p == '*') {
        p++;
    }
    return *p == '\0';
}

static size_t one_byte(const char *text, size_t len)
{
    (void)text, (void)len;
    return 1;
}

static size_t one_character(const char *text, size_t len)
{
    size_t n = 1;
    while (n < len && ((unsigned char)text[n] & 0xC0) == 0x80) {
        n++;
    }
    return n;
}

bool text_glob(const char *pattern, const char *text, size_t len)
{
    return glob(pattern, text, len, one_byte);
}

bool text_glob_utf8(const char *pattern, const char *text, size_t len)
{
    return glob(pattern, text, len, one_character);
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"", 1},          {"B", 1},     {"KiB", 1 << 10},    {"MiB", 1 << 20},
    {"GiB", 1 << 30}, {"kB", 1000}, {"MB", 1000 * 1000}, {"GB", 1000 * 1000 * 1000},
};

static const struct unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000},
};

/* The digits at the front of `text`; *rest_out is what follows. */
static enum result parse_digits(const char *text, uint64_t *value_out, const char **rest_out)
{
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value)) {
            return ERR_USAGE;
        }
    }
    *value_out = value;
    *rest_out = p;
    return p == text ? ERR_USAGE : OK;
}

static enum result scale(uint64_t value, const char *name, const struct unit *units, size_t count,
                         uint64_t *out)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, name) == 0) {
            uint64_t scaled;
            if (__builtin_mul_overflow(value, units[i].factor, &scaled)) {
                return ERR_USAGE;
            }
            *out = scaled;
            return OK;
        }
    }
    return ERR_USAGE;
}

enum result text_parse_size(const char *text, uint64_t *bytes_out)
{
    uint64_t value;
    const char *unit;
    enum result r = parse_digits(text, &value, &unit);
    if (r != OK) {
        return r;
    }
    return scale(value, unit, size_units, sizeof(size_units) / sizeof(size_units[0]), bytes_out);
}

enum result text_parse_duration(const char *text, uint64_t *ms_out)
{
    if (strcmp(text, "0") == 0) {
        *ms_out = 0; /* nothing is nothing in any unit */
        return OK;
    }
    uint64_t value;
    const char *unit;
    enum result r = parse_digits(text, &value, &unit);
    if (r != OK) {
        return r;
    }
    return scale(value, unit, duration_units, sizeof(duration_units) / sizeof(duration_units[0]), ms_out);
}

bool text_copy(char *to, size_t cap, const char *from, size_t len)
{
    hilum_assert(cap > 0);
    size_t n = len < cap ? len : cap - 1;
    if (n > 0) {
        memcpy(to, from, n);
    }
    to[n] = '\0';
    return n == len;
}

size_t text_trim_end(const char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\0')) {
        len--;
    }
    return len;
}

void text_printable(char *to, size_t cap, const char *from, size_t len)
{
    hilum_assert(cap > 0);
    size_t n = len < cap ? len : cap - 1;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        bool is_safe = c >= ' ' && c <= '~' && c != '"' && c != '\\';
        to[i] = is_safe ? c : '?';
    }
    to[n] = '\0';
}
