/* Rows of the queue as JSON. */
#ifndef HILUM_COMMAND_QUEUE_PRINT_H
#define HILUM_COMMAND_QUEUE_PRINT_H

#include <jansson.h>

#include "spool/index.h"

/* "2026-03-01T10:00:00.123Z"; null for 0. */
json_t *queue_time_json(uint64_t wall_ms);
/* "A700"; null without one. */
json_t *queue_status_json(bool has_status, uint16_t status);
json_t *queue_id_json(spool_id id);
/* null for an empty text. */
json_t *queue_text_json(const char *text);
/* An entry. NULL without memory, as all of these. */
json_t *queue_row_json(const struct index_row *row);

#endif
