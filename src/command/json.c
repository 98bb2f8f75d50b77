#include "command/json.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { REAL_DIGITS = 9 }; /* times in milliseconds and their thousandths, without binary noise */

json_t *command_json_text(const char *text)
{
    json_t *json = json_string(text);
    if (json)
        return json;
    size_t cap = strlen(text) + 1;
    char *printable = malloc(cap);
    if (!printable)
        return NULL;
    text_printable(printable, cap, text, cap - 1);
    json = json_string(printable);
    free(printable);
    return json;
}

char *command_json_line(json_t *json)
{
    char *line =
        json ? json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(REAL_DIGITS)) : NULL;
    json_decref(json);
    return line;
}
