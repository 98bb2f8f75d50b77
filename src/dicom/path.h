/*
 * Names of attributes as configurations write them: a keyword or a tag, in items of sequences where it stands in some.
 *
 *   Modality        0008,0060        RequestAttributesSequence[1].ScheduledProcedureStepID        0040,0275[2].0040,0009
 *
 * Items count from 1. Private elements go by number only ("0029,1010"): a block's place is the creator's choice. (PS3.5 7.8)
 */
#ifndef HILUM_DICOM_PATH_H
#define HILUM_DICOM_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"

enum {
    DICOM_PATH_DEPTH_MAX = 8,                                  /* sequences above the attribute */
    DICOM_PATH_TEXT_MAX = DICOM_PATH_DEPTH_MAX * (9 + 12) + 10 /* of dicom_path_print, with its NUL */
};

struct dicom_path {
    struct dicom_path_step {
        uint32_t tag;  /* of a sequence */
        uint32_t item; /* from 1 */
    } steps[DICOM_PATH_DEPTH_MAX];
    unsigned depth; /* of steps: 0 for an attribute of the data set itself */
    uint32_t tag;   /* of the attribute */
};

struct dicom_path_fault {
    const char *why;         /* fixed text, which follows on the part: "is no keyword of the dictionary" */
    struct view part;        /* of the text: what is wrong */
    bool is_unknown_keyword; /* a suggestion may help */
};

/* OK, or ERR_USAGE with *fault_out. Only the form is looked at: whether a step is a sequence is for the caller to judge. */
MUST_USE enum result dicom_path_parse(struct view text, struct dicom_path *out,
                                      struct dicom_path_fault *fault_out);

bool dicom_path_equal(const struct dicom_path *a, const struct dicom_path *b);

/* The tag at the data set's own level: the attribute's, or that of the outermost sequence. */
static inline uint32_t dicom_path_first(const struct dicom_path *path)
{
    return path->depth > 0 ? path->steps[0].tag : path->tag;
}

/* By numbers: "0040,0275[2].0040,0009". */
void dicom_path_print(const struct dicom_path *path, char text[DICOM_PATH_TEXT_MAX]);

#endif
