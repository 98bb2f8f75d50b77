/* JSON text, as far as the commands write it. */
#ifndef HILUM_COMMAND_JSON_H
#define HILUM_COMMAND_JSON_H

#include "base/octets.h"

/* Appends text as a JSON string, quotes included. Control characters are escaped; bytes that are no UTF-8, as file names may
 * hold, each become U+FFFD. */
void json_string(struct octets *out, const char *text);

/* Appends what printf would print; for numbers and our own literals. */
__attribute__((format(printf, 2, 3))) void json_print(struct octets *out, const char *format, ...);

#endif
