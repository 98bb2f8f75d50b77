#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

/* No stdio stream and no allocation: whatever broke may have broken those too. */
_Noreturn void hilum_assert_failed(const char *file, int line, const char *text)
{
    char message[512];
    int len = snprintf(message, sizeof(message), "hilum: %s:%d: assertion failed: %s\n", file, line, text);
    if (len >= (int)sizeof(message)) {
        len = (int)sizeof(message) - 1;
        message[len - 1] = '\n';
    }
    log_flush(); /* what led to it */
    if (len > 0) {
        log_plain(message, (size_t)len);
    }
    abort();
}
