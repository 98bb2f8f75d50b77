/*
 * Spare room: a file of the spool's folder, SPARE_BYTES that hold nothing. On a disk that is full it is emptied, so that a process can start, the index can
 * be written and a segment can end and be given back; it is filled again when there is room. (Inside spool/ only.) Any thread that may block.
 *
 * Several processes may share it. That it is there is no promise: a disk that takes no space in advance has none.
 */
#ifndef HILUM_SPOOL_SPARE_H
#define HILUM_SPOOL_SPARE_H

#include "spool/spool.h"

enum { SPARE_BYTES = 4 << 20 };

/* Makes it, or makes it whole again, where there is room for twice as much. One that is empty gets half of what there is. */
void spare_fill(const char *spool_path);
/* Empties it. False: there was nothing in it. */
MUST_USE bool spare_use(const char *spool_path);

#endif
