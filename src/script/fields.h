/* Turning the fields of a declaration's table into members of a struct, by a table of keys; and saying what is wrong. */
#ifndef HILUM_SCRIPT_FIELDS_H
#define HILUM_SCRIPT_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"
#include "script/locate.h"
#include "script/script.h"

/* One check of one configuration. */
struct check {
    struct script *script;
    struct config *config;
    bool failed; /* no memory */
};

/* "what is wrong; what would be right". The declaration's name is put in front. */
void check_error(struct check *c, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void check_warning(struct check *c, const struct place *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A value and where it stands. */
struct item {
    struct check *check;
    const struct place *at;
    const struct value *value;
};

/* What takes a value: checks it and writes the member. A value that is refused leaves the member as it was. */
struct key {
    const char *name;
    void (*take)(const struct item *item, void *member);
    size_t offset; /* of the member in the target */
};

#define KEY(name, take, type, member)                                                                        \
    {                                                                                                        \
        name, take, offsetof(struct type, member)                                                            \
    }

/* Takes every field of item's table, which is a `what` ("a node"). Other keys, and list items, are errors. */
void fields_take(const struct item *item, const char *what, const struct key *keys, size_t count,
                 void *target);

/* "port", "timeouts.connect", "to[2]": the place within its declaration. */
void field_name(const struct place *at, char *name, size_t cap);

/* An error: "NAME is KIND; it must be EXPECTED". */
void field_wrong_type(const struct item *item, const char *expected);
/* The text of a string without NULs and not empty; NULL after an error. `expected` as above. */
const char *field_text(const struct item *item, const char *expected);
/* The same, or a number as its digits. */
const char *field_text_or_number(const struct item *item, char digits[32], const char *expected);
/* An integer in range; false after an error. */
bool field_integer(const struct item *item, int64_t min, int64_t max, int64_t *out);
/* One of a few words, its number in *out; after an error *out is as it was. */
void field_word(const struct item *item, const char *const *words, size_t count, unsigned *out);
/* Bytes, written with a unit; false after an error. */
bool field_size(const struct item *item, uint64_t min, uint64_t *out);
/* Replaces the text that the member owns. */
void field_set_text(struct check *c, char **member, const char *text);

/*
 * Calls `take` for the value itself or, where it is a list, for each item. An empty list is an error: `empty` says
 * what would be right.
 */
void field_each(const struct item *item, const char *expected, const char *empty,
                void (*take)(const struct item *item, void *user), void *user);
/* How many calls that will be. */
size_t field_count(const struct value *v);

/* An AE title (PS3.5 6.2: at most 16, no backslash, no control characters, not blank), without outer spaces. */
bool field_is_title(const struct item *item, const char *text);

/* The value is a host name or a numeric address without brackets; false after an error. */
bool field_is_host(const struct item *item);

/* Takes for `struct key`; what each member must be stands behind it. */
void take_title(const struct item *item, void *member); /* char * */
/* The same with `*` and `?`: titles are compared without outer spaces and have 16 characters, so that what cannot match is a mistake. */
void take_title_glob(const struct item *item, void *member); /* char * */
void take_text(const struct item *item, void *member);       /* char * */
void take_boolean(const struct item *item, void *member);    /* bool */
void take_duration(const struct item *item, void *member);   /* uint64_t; 0 is refused */
void take_zero_copy(const struct item *item, void *member);  /* enum config_zero_copy */
void take_duration_or_0(const struct item *item, void *member);
void take_max_pdu(const struct item *item, void *member);      /* uint32_t */
void take_congestion(const struct item *item, void *member);   /* char * */
void take_associations(const struct item *item, void *member); /* unsigned, at least 1 */
/* What a later version brings. */
void take_later(const struct item *item, void *member);

#endif
