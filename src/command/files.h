/*
 * The files to be sent: folders are walked (in order of name, links followed, hidden files too), each regular file's meta
 * information is read and its place in the plan found.
 *
 * What cannot be sent is told: files that are no DICOM files, and DICOM files that are no instances to be stored, such as
 * a DICOMDIR. In a folder such things are usual; named on the command line they are a mistake.
 */
#ifndef HILUM_COMMAND_FILES_H
#define HILUM_COMMAND_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command/plan.h"

enum file_state { FILE_WAITING, FILE_SENT, FILE_FAILED };

struct file {
    char *path;
    char instance[PLAN_UID_BYTES];
    uint8_t tries;
    enum file_state state;
    size_t context;  /* in the plan */
    uint64_t offset; /* where the data set begins */
    uint64_t bytes;  /* of the data set */
};

enum file_fault {
    FILE_NOT_DICOM, /* or nothing that can be stored */
    FILE_UNREADABLE,
};

struct files_user {
    /* is_named: the path stands on the command line itself. */
    void (*on_fault)(void *owner, const char *path, enum file_fault fault, const char *why, bool is_named);
    /* A file has been looked at; true stops the walk. */
    bool (*on_step)(void *owner);
};

struct files {
    const struct files_user *user;
    void *owner;
    struct plan plan;
    struct file *list;
    size_t count, cap;
    uint64_t bytes; /* of all data sets */
    uint8_t *head;  /* of the file being looked at */
};

/* Adds a file, or all files of a folder. ERR_MEMORY; ERR_CLOSED: on_step stopped it. */
MUST_USE enum result files_take(struct files *f, const char *path);
void files_free(struct files *f);

#endif
