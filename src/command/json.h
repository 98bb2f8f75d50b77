/* What the commands share of JSON results. */
#ifndef HILUM_COMMAND_JSON_H
#define HILUM_COMMAND_JSON_H

#include <jansson.h>
#include <stdbool.h>

/* A JSON string; of a text that is no UTF-8, as file names may be, what cannot be shown becomes '?'. NULL without memory. */
json_t *command_json_text(const char *text);

/* One line, to be freed; takes json. NULL without memory, also for json NULL. */
char *command_json_line(json_t *json);

#endif
