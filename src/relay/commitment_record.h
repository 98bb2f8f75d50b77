/*
 * One storage commitment as it is kept: who asked for what, what nodes have reported so far, and at last what is to be told. As bytes it goes into the spool.
 * Pure, but for memory.
 *
 *    0  "HLCOMMIT", u8 version 2, u8 1: it is decided
 *   10  u64 begun, u16 desk, 16 bytes remote, 16 secret; texts calling, called, remote, listener, node, transaction
 *       u32 items, each: texts class, instance; u16 reason
 *       u16 answers, each: text node; for each item a u16
 *
 *   text: u16 length, bytes. Little endian.
 */
#ifndef HILUM_RELAY_COMMITMENT_RECORD_H
#define HILUM_RELAY_COMMITMENT_RECORD_H

#include "relay/commitment_list.h"

enum { COMMITMENT_KEY = 16, COMMITMENT_UNASKED = 0xFFFF, COMMITMENT_NAME_MAX = 256 };

/* What a node has reported: by item a reason, COMMITMENT_COMMITTED, or COMMITMENT_UNASKED. */
struct commitment_answer {
    char *node;
    uint16_t *of;
};

struct commitment_record {
    uint16_t desk;      /* whose it is; in the UIDs that nodes are asked with, too */
    uint64_t begun_ms;  /* wall clock */
    uint8_t remote[16]; /* the requester's address, and as text */
    uint8_t secret[16]; /* random: nobody can make up a UID that a node is asked with */
    char calling[17], called[17], remote_text[64], listener[COMMITMENT_NAME_MAX];
    char node[COMMITMENT_NAME_MAX]; /* that the requester is, by title and address; empty: none, or unknown */
    bool is_decided;                /* the items' reasons are what is to be told */
    struct commitment_list list;
    struct commitment_answer *answers;
    size_t answer_count;
};

/* One requester has one of a Transaction UID. */
void commitment_key(const struct commitment_record *r, uint8_t out[COMMITMENT_KEY]);
/* The Transaction UID that a node is asked with: always the same of this commitment and node. */
void commitment_uid(const struct commitment_record *r, const char *node, char out[COMMITMENT_UID_MAX + 1]);
/* The desk that made such a UID. False: it is none of ours. */
bool commitment_uid_desk(const char *uid, uint16_t *desk_out);

/* The answer of a node, made if it is not there: all unasked. NULL without memory. */
struct commitment_answer *commitment_answer_of(struct commitment_record *r, const char *node);
const struct commitment_answer *commitment_answer_find(const struct commitment_record *r, const char *node);

void commitment_record_write(const struct commitment_record *r, struct octets *o);
/* ERR_PROTO: it is none. commitment_record_free in any case. */
MUST_USE enum result commitment_record_read(struct commitment_record *out, struct view bytes);
void commitment_record_free(struct commitment_record *r);

#endif
