/*
 * A-ASSOCIATE-RQ and -AC, whole: PS3.8 9.3.2, 9.3.3, and the user information sub-items of PS3.7 D.3.3 (51-59).
 *
 * One struct serves both PDUs, read and written. Every view points into memory that `store` owns (parsed) or that the
 * caller keeps alive (built by hand): nothing is copied per item. Arrays come from `store` too (pdu_associate_alloc).
 *
 * Body layout, after the 6-byte PDU header:
 *   0   u16      protocol version, bit 0 counts
 *   2   u16      reserved
 *   4   char16   called AE title   (an AC echoes the RQ's bytes)
 *   20  char16   calling AE title  (likewise)
 *   36  byte32   reserved          (likewise)
 *   68  items    10, 20.. (RQ) or 21.. (AC), 50; each u8 type, u8 reserved, u16 length
 */
#ifndef HILUM_PDU_ASSOCIATE_H
#define HILUM_PDU_ASSOCIATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"
#include "pdu/pdu.h"

/* Presentation context result in an AC (PS3.8 9.3.3.2). */
enum pdu_context_result {
    PDU_CONTEXT_ACCEPTED = 0,
    PDU_CONTEXT_USER_REJECTION = 1,
    PDU_CONTEXT_NO_REASON = 2,
    PDU_CONTEXT_ABSTRACT_SYNTAX = 3,
    PDU_CONTEXT_TRANSFER_SYNTAXES = 4,
};

struct pdu_context {
    uint8_t id;                           /* odd */
    uint8_t result;                       /* AC only */
    struct view abstract_syntax;          /* RQ only; UID without padding */
    const struct view *transfer_syntaxes; /* RQ: 1..n; AC: 0 or 1 (rejected contexts may lack it, quirk 6) */
    uint16_t transfer_syntax_count;
};

/* 54 SCP/SCU role selection (PS3.7 D.3.3.4) */
struct pdu_role {
    struct view uid;
    bool scu, scp;
};

/* 56 SOP class extended negotiation (PS3.7 D.3.3.5) */
struct pdu_extended {
    struct view uid;
    struct view info;
};

/* 57 SOP class common extended negotiation, RQ only (PS3.7 D.3.3.6) */
struct pdu_common_extended {
    struct view sop_class;
    struct view service_class;
    const struct view *related; /* related general SOP classes */
    uint16_t related_count;
};

/* 58 user identity, RQ (PS3.7 D.3.3.7). Values are secrets: never logged. */
struct pdu_identity {
    uint8_t type; /* 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT */
    bool wants_response;
    struct view primary, secondary;
};

struct pdu_associate {
    bool is_ac;
    uint16_t version;
    uint8_t called_raw[16], calling_raw[16], reserved_raw[32]; /* as on the wire; written as they stand */
    char called[17], calling[17]; /* without outer spaces and trailing NULs; filled by the parser */
    struct view application_context;

    struct pdu_context *contexts;
    uint16_t context_count;

    uint32_t
        max_length; /* 51: P-DATA-TF length the writer takes; 0 = no limit, also when the item is absent; 1 to 7 are a fault */
    bool has_max_length;
    struct view implementation_uid;          /* 52 */
    struct view implementation_version;      /* 55; empty: absent */
    bool has_async;                          /* 53 */
    uint16_t async_invoked, async_performed; /* 0 = unlimited */
    struct pdu_role *roles;
    uint16_t role_count;
    struct pdu_extended *extended;
    uint16_t extended_count;
    struct pdu_common_extended *common;
    uint16_t common_count;
    bool has_identity; /* 58 in an RQ */
    struct pdu_identity identity;
    bool has_identity_response; /* 59 in an AC */
    struct view identity_response;

    struct arena store; /* owned */
};

/* Zero state, version 1; every array NULL. */
void pdu_associate_init(struct pdu_associate *a, bool is_ac);
/* Frees `store` and zeroes the struct. */
/* Nothing of it is left behind in freed memory. */
void pdu_associate_free(struct pdu_associate *a);
/* Of one that was parsed: its user identity is gone, from memory too. */
void pdu_associate_forget_identity(struct pdu_associate *a);

/* Memory that lives as long as `a`. NULL without memory. Zeroed. */
void *pdu_associate_alloc(struct pdu_associate *a, size_t bytes);
/* Copies bytes into that memory. On failure the view is empty and false is returned. */
bool pdu_associate_keep(struct pdu_associate *a, struct view bytes, struct view *view_out);

/* Space-pads a title to 16 bytes for called_raw / calling_raw. Longer titles are cut. */
void pdu_title_write(uint8_t raw[16], const char *title);

/*
 * Parses the body of an A-ASSOCIATE-RQ or -AC (is_ac). The body is copied.
 *
 * OK          *out is filled; pdu_associate_free ends it.
 * ERR_PROTO   *fault_out says what; *out is freed. Lengths that lie, an even, duplicate or zero context id, more than
 *             128 contexts, a context without abstract or transfer syntax (RQ), an accepted one without transfer
 *             syntax (AC), missing application context or user information items. NOT faults: unknown items and
 *             sub-items (skipped, PS3.8 9.3.1), odd orders, a missing maximum length, missing implementation items,
 *             padding of UIDs by NUL or space, protocol version (the user rejects that), a blank title, a second
 *             51/52/53/55/58/59, or a second 10 or 50 (the first counts). An empty syntax counts as absent.
 * ERR_MEMORY  *out is freed.
 */
MUST_USE enum result pdu_associate_parse(const uint8_t *body, size_t len, bool is_ac,
                                         struct pdu_associate *out, struct pdu_fault *fault_out);

/* Appends the whole PDU, header included, items in rising type order; sub-items of 50 too. Lengths that do not fit
 * their fields are our own mistake and assert. */
void pdu_associate_write(const struct pdu_associate *a, struct octets *out);

/* The context with this id, or NULL. */
const struct pdu_context *pdu_associate_context(const struct pdu_associate *a, uint8_t id);

#endif
