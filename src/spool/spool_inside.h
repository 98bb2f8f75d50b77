/* A spool's parts. (Inside spool.c, notes.c and commitments.c only.) */
#ifndef HILUM_SPOOL_SPOOL_INSIDE_H
#define HILUM_SPOOL_SPOOL_INSIDE_H

#include "spool/spool.h"

struct spool {
    char path[SPOOL_PATH_MAX];
    uint32_t generation; /* that is written here */
    struct log_writer *log;
    struct indexer *indexer;
    struct commitments *commitments;
};

#endif
