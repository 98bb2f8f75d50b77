/*
 * What would become of one file, had a sender stored it: decided and morphed by the code that does so in the gateway, and kept here
 * as plain data for whoever prints it. Nothing is sent, written or looked up in the network.
 */
#ifndef HILUM_COMMAND_EXPLAIN_H
#define HILUM_COMMAND_EXPLAIN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "command/files.h"
#include "config/config.h"
#include "dicom/charset.h"
#include "dicom/compare.h"
#include "mem/buf.h"
#include "relay/edition.h"
#include "relay/hold.h"
#include "script/rules.h"

/* The association that is assumed. */
struct explain_sender {
    const char *calling, *called;
    uint8_t address[16];
    char remote[64];  /* the same as text */
    const char *peer; /* the subject of its certificate; "": none */
    const struct config_listen *listen;
    const struct config_caller
        *caller; /* that it would be, if it were let in; NULL: nobody, or there are none */
};

/* A value as text, UTF-8; text == NULL: there is none. */
struct explain_value {
    const char *text;
    size_t len;
    bool is_cut;    /* there is more of it */
    bool is_quoted; /* text; else numbers, or what it is in words: "12 bytes", "2 items" */
};

struct explain_change {
    enum dicom_change_kind kind;
    uint32_t tag;
    const char *path;                 /* "0040,0275[1].0040,0009", of an item "0040,0275[1]" */
    const char *name;                 /* the same by keywords, as far as there are any */
    const char *vr_before, *vr_after; /* NULL: it was not, is not there; both of an item */
    struct explain_value before, after;
    bool is_recoded; /* the same text, in another character set or padded in another way */
};

struct explain_destination {
    const struct config_node *node;
    bool is_copy;        /* of the route's copy, not of its to */
    const char *where;   /* "PACS1 at 10.1.0.5:104", or the file */
    const char *skipped; /* why it gets nothing by this route; NULL: it does */
};

enum explain_match { EXPLAIN_NO, EXPLAIN_YES, EXPLAIN_FAILED, EXPLAIN_NOT_ASKED };

struct explain_route {
    const struct config_route *route;
    enum explain_match match;
    const char
        *why; /* what does not hold, or has failed, or why it is not asked; NULL: it takes the message */
    struct explain_destination *to;
    size_t to_count;
    /* What its morph does; has_changes false: it has none, or was not run. */
    bool has_changes;
    struct explain_change *changes;
    size_t change_count, change_capacity;
    /* Behind pixel data, if they are there. */
    const char *dropped; /* "0029,1010, FFFC,FFFC, all private elements"; NULL: nothing */
};

struct explanation {
    const struct file *file;
    const char *sop_class, *transfer_syntax;
    struct explain_route *routes; /* as those of the configuration */
    uint16_t status;              /* that the sender would be refused with; 0: it goes out */
    const char *comment;
    bool has_failed; /* not by what routes say, but by a rule or the file itself */
    struct arena arena;
};

/* What all files share. */
struct explainer {
    struct config *config;
    struct rules *rules;
    struct dicom_charsets *charsets;
    struct pool pool;
    struct explain_sender sender;
    const char *why; /* of ERR_IO */
};

/* explain_file.c. OK: *out is filled; ERR_IO, *why: the file cannot be read; ERR_MEMORY. Free it in any case. */
MUST_USE enum result explain_file(struct explainer *x, const struct file *file,
                                  const struct plan_context *kind, struct explanation *out);
void explanation_free(struct explanation *e);

/* explain_change.c: what an edition has changed in the header that came. ERR_MEMORY; others: *why_out. */
MUST_USE enum result explain_changes(struct explainer *x, struct arena *arena, const struct hold *hold,
                                     const struct edition *edition, struct explain_route *out,
                                     const char **why_out);
/* explain_value.c: an element in words. Text comes from `text`, which is its document's. ERR_MEMORY. */
MUST_USE enum result explain_value(struct arena *arena, struct dicom_text *text, struct dicom_element *e,
                                   struct explain_value *out);

/* explain_words.c: on stdout; false if it cannot be written. */
bool explain_words(const struct explanation *e, const struct config *config);
/* explain_json.c: as a JSON object, to be freed; NULL without memory. */
char *explain_json(const struct explanation *e, const struct config *config);

/* For one line of a terminal: control characters and what would turn the line's direction become U+00B7; no more than so many characters. */
void explain_put(FILE *to, const char *text, size_t len, size_t characters_max);

#endif
