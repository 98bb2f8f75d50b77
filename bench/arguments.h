/* Values of the command lines of load and sink. A wrong one is told on stderr and ends the program with status 2. */
#ifndef HILUM_BENCH_ARGUMENTS_H
#define HILUM_BENCH_ARGUMENTS_H

#include <stdint.h>

enum { EXIT_USAGE = 2 };

/* "load: --size: ..." on stderr, a hint at --help, exit 2. */
_Noreturn void arguments_refuse(const char *program, const char *option, const char *why);

/* A whole number from `least` to `most`. */
uint64_t arguments_number(const char *program, const char *option, const char *text, uint64_t least,
                          uint64_t most);
/* A size as "8KiB", "32MiB", "4096", from `least` to `most` bytes. */
uint64_t arguments_size(const char *program, const char *option, const char *text, uint64_t least,
                        uint64_t most);
/* Seconds, with a fraction if there is one, above zero; in nanoseconds. */
uint64_t arguments_seconds(const char *program, const char *option, const char *text);
/* A DIMSE status: four hexadecimal digits. */
uint16_t arguments_status(const char *program, const char *option, const char *text);

#endif
