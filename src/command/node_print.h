/* Answers of the control socket as people read them. False: they cannot be written. */
#ifndef HILUM_COMMAND_NODE_PRINT_H
#define HILUM_COMMAND_NODE_PRINT_H

#include <jansson.h>
#include <stdbool.h>

bool node_print_list(json_t *answer);
/* Of drain and resume. */
bool node_print_change(json_t *answer, const char *name, bool is_drained);

#endif
