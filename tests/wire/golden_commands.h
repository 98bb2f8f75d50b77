/*
 * One command set of every message type, byte by byte, with what it means. The bytes were written by another
 * implementation (pydicom).
 */
#ifndef TESTS_GOLDEN_COMMANDS_H
#define TESTS_GOLDEN_COMMANDS_H

#include <stddef.h>

#include "dimse/command.h"

struct golden {
    const char *name;
    const uint8_t *bytes;
    size_t len;
    struct dimse_command means;
};

extern const struct golden golden_commands[];
extern const size_t golden_commands_count;

#endif
