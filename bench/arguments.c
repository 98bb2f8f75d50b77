#include "arguments.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { STATUS_DIGITS = 4 };

_Noreturn void arguments_refuse(const char *program, const char *option, const char *why)
{
    fprintf(stderr, "%s: %s: %s\n(%s --help lists the options)\n", program, option, why, program);
    exit(EXIT_USAGE);
}

static _Noreturn void refuse_range(const char *program, const char *option, uint64_t least, uint64_t most)
{
    char why[80];
    snprintf(why, sizeof why, "from %llu to %llu", (unsigned long long)least, (unsigned long long)most);
    arguments_refuse(program, option, why);
}

uint64_t arguments_number(const char *program, const char *option, const char *text, uint64_t least,
                          uint64_t most)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        arguments_refuse(program, option, "a whole number belongs here");
    if (value < least || value > most)
        refuse_range(program, option, least, most);
    return value;
}

uint64_t arguments_size(const char *program, const char *option, const char *text, uint64_t least,
                        uint64_t most)
{
    uint64_t value;
    if (text_parse_size(text, &value) != OK)
        arguments_refuse(program, option, "a size belongs here, as in 8KiB, 32MiB, 1GiB or 4096");
    if (value < least || value > most)
        refuse_range(program, option, least, most);
    return value;
}

uint64_t arguments_seconds(const char *program, const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value <= 0 || value > 1e6)
        arguments_refuse(program, option, "seconds above zero belong here, as in 5 or 0.5");
    return (uint64_t)(value * 1e9);
}

uint16_t arguments_status(const char *program, const char *option, const char *text)
{
    if (strlen(text) != STATUS_DIGITS || strspn(text, "0123456789abcdefABCDEF") != STATUS_DIGITS)
        arguments_refuse(program, option, "a status has four hexadecimal digits, as in A700");
    return (uint16_t)strtoul(text, NULL, 16);
}
