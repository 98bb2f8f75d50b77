/* HOST:PORT as a person writes it, and AE titles. Pure. */
#ifndef HILUM_COMMAND_TARGET_H
#define HILUM_COMMAND_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"

enum { TARGET_TEXT_BYTES = 272 };

struct target {
    char host[256]; /* without brackets */
    uint16_t port;
    char text[TARGET_TEXT_BYTES]; /* as it was written, for messages */
};

/* "pacs.local:104", "10.0.0.5:104", "[::1]:104". ERR_USAGE: *why_out is a fixed text that says what would be right. */
MUST_USE enum result target_parse(const char *text, struct target *out, const char **why_out);

/* An AE title: 1 to 16 characters of printable ASCII but the backslash, not all spaces (PS3.5 6.2, VR AE). */
bool target_title_is_valid(const char *title);

#endif
