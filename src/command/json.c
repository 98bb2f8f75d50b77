#include "command/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of the well-formed UTF-8 sequence at p, by the Unicode Standard's table 3-7; 0 if there is none. */
static size_t sequence(const unsigned char *p)
{
    static const struct {
        unsigned char first_low, first_high, second_low, second_high, len;
    } rows[] = {
        {0x00, 0x7F, 0x00, 0xFF, 1}, {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
        {0xE1, 0xEC, 0x80, 0xBF, 3}, {0xED, 0xED, 0x80, 0x9F, 3}, {0xEE, 0xEF, 0x80, 0xBF, 3},
        {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4}, {0xF4, 0xF4, 0x80, 0x8F, 4},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (p[0] < rows[i].first_low || p[0] > rows[i].first_high)
            continue;
        if (rows[i].len > 1 && (p[1] < rows[i].second_low || p[1] > rows[i].second_high))
            return 0;
        for (size_t at = 2; at < rows[i].len; at++)
            if (p[at] < 0x80 || p[at] > 0xBF) /* so does the NUL at the end */
                return 0;
        return rows[i].len;
    }
    return 0;
}

void json_print(struct octets *out, const char *format, ...)
{
    char text[128];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (n < 0 || (size_t)n >= sizeof(text))
        out->failed = true;
    else
        octets_append(out, text, (size_t)n);
}

void json_string(struct octets *out, const char *text)
{
    octets_u8(out, '"');
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        size_t n = sequence(p);
        if (n == 0)
            octets_append(out, "\xEF\xBF\xBD", 3);
        else if (*p == '"' || *p == '\\')
            json_print(out, "\\%c", *p);
        else if (*p < ' ' || *p == 0x7F)
            json_print(out, "\\u%04x", *p);
        else
            octets_append(out, p, n);
        p += n ? n : 1;
    }
    octets_u8(out, '"');
}
