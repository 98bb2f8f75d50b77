/* Bodies of A-ASSOCIATE PDUs put together item by item; every length field is noted, so that a test can make it lie. */
#ifndef HILUM_TESTS_BUILD_H
#define HILUM_TESTS_BUILD_H

#include <stddef.h>
#include <stdint.h>

struct length_field {
    size_t at; /* of a u16 */
    const char *what;
};

struct build {
    uint8_t bytes[8192];
    size_t len;
    struct length_field fields[64];
    size_t field_count;
};

/* The 68 fixed bytes: version 1, called "HILUM", calling "CT1". */
void build_fixed(struct build *b);
void build_bytes(struct build *b, const void *bytes, size_t len);
/* u8 type, u8 0, u16 length; build_end fills the length in. */
size_t build_begin(struct build *b, uint8_t type, const char *what);
void build_end(struct build *b, size_t item);
/* A whole item holding text. */
void build_item(struct build *b, uint8_t type, const char *what, const char *text);
/* A u16 length and text. */
void build_counted(struct build *b, const char *what, const char *text);

/* 10, the DICOM application context. */
void build_application_context(struct build *b);
/* 20 with one abstract and one transfer syntax; either may be NULL: absent. */
void build_context_rq(struct build *b, uint8_t id, const char *abstract, const char *transfer);
/* 21; transfer may be NULL. */
void build_context_ac(struct build *b, uint8_t id, uint8_t result, const char *transfer);
/* 50 with 51 and 52. */
void build_user_information(struct build *b);

/* With every item and sub-item there is. */
void build_full_rq(struct build *b);
void build_full_ac(struct build *b);

#endif
