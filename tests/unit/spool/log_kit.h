/* A log in a temporary folder, and senders who know what they were told. */
#ifndef HILUM_TESTS_UNIT_SPOOL_LOG_KIT_H
#define HILUM_TESTS_UNIT_SPOOL_LOG_KIT_H

#include "../loop.h"
#include "spool/log.h"

struct kit {
    char spool[256], folder[SPOOL_PATH_MAX];
    struct log_writer *log;
    atomic_uint published; /* how often log_end has moved */
};

/* Setup and teardown of a test: *state is a kit without a writer. The teardown deletes the folder, and forgets faults. */
int kit_setup(void **state);
int kit_teardown(void **state);
void kit_open(struct kit *k, uint64_t max_bytes, uint64_t reserve);
void kit_close(struct kit *k);

/* One worker, on the thread that opens it. */
struct sender {
    struct kit *kit;
    struct loop loop;
    struct spool_draft *draft;
    unsigned pending;
    enum spool_error error; /* of the first write of the draft that failed */
};
void sender_open(struct sender *s, struct kit *k);
void sender_close(struct sender *s);
/* Bytes that follow from the number: what a message holds, and a walk has to find. */
void kit_fill(uint8_t *to, size_t len, unsigned number);
/* A piece of len bytes from memory that stays until it is done; in `parts` parts. */
enum spool_error sender_piece(struct sender *s, unsigned stream, const uint8_t *bytes, size_t len,
                              unsigned parts);
/* Commits the draft as message `number`, with a last piece unless len is 0. Frees the draft. */
enum spool_error sender_commit(struct sender *s, unsigned number, const uint8_t *bytes, size_t len);
/* A message of len bytes in pieces of `piece`, the last one with the commit. */
enum spool_error sender_store(struct sender *s, unsigned number, size_t len, size_t piece);

enum { KIT_MESSAGES = 4096 };
/* What a walk has found. */
struct found {
    unsigned times[KIT_MESSAGES];   /* a commit by its number */
    unsigned damaged[KIT_MESSAGES]; /* those of which log_verify knew better */
    unsigned commits, outcomes, segments, data, faults;
    uint64_t synced_segment, synced; /* the furthest that any record knows of */
};
/* Walks to `end`. Every commit that log_verify lets pass must hold the bytes of its number. */
void kit_walk(struct kit *k, struct log_position from, struct log_position end, struct found *out);
/* As a process would that finds the folder: log_find_end, then the walk. */
struct log_position kit_recover(struct kit *k, struct found *out);

#endif
