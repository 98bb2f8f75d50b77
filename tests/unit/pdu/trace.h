/* A PDU reader's events as text, so that a whole stream can be compared in one line. */
#ifndef HILUM_TESTS_TRACE_H
#define HILUM_TESTS_TRACE_H

#include <stddef.h>
#include <stdint.h>

/*
 * Feeds `bytes` in inputs of `chunk` bytes each (0: all at once), every input a block of its own, and writes the events:
 *
 *   H<type>:<length>            header
 *   B<type>:<hex>               body
 *   D<context>/<control>:<hex>  one whole PDV, its pieces put together again
 *   E                           end of a P-DATA-TF
 *   F<reason>                   fault; the trace ends there
 *   ...                         the bytes end inside a PDV
 */
void trace_reader(const uint8_t *bytes, size_t len, size_t chunk, char *text, size_t text_size);

#endif
