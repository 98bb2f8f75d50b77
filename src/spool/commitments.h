/*
 * Storage commitments that are open, kept over restarts, and where instances went: what relay/commitment.c has of the spool. What a commitment says is its
 * own business: bytes here.
 *
 *   commitments.db      SQLite, a row a commitment: key, the process that has it (its generation), desk, bytes. Made with the first one. Each write is synced
 *   commitments-N.lock  held (flock) by generation N while it may have rows; free: the next process takes them
 *
 * A thread of its own writes, and looks into the index: beside it, as hilum queue does, so that a question about thousands of instances keeps no
 * delivery waiting. Any thread may call; answers come on io's.
 */
#ifndef HILUM_SPOOL_COMMITMENTS_H
#define HILUM_SPOOL_COMMITMENTS_H

#include "base/arena.h"
#include "spool/spool.h"

enum { SPOOL_COMMITMENT_KEY = 16 };

/* One write. Fill what is above the line; it and its bytes must stay until on_done. They are done in the order in which they are given. */
struct spool_commitment_write {
    struct io *io;
    void *owner;
    void (*on_done)(struct spool_commitment_write *w, bool is_durable);
    uint8_t key[SPOOL_COMMITMENT_KEY];
    uint16_t desk;
    struct view bytes; /* that it says from now on; empty: it is over, and forgotten */
    /* private */
    struct io_message message;
    struct spool_commitment_write *next;
    bool is_durable;
};
void spool_commitment_write(struct spool *s, struct spool_commitment_write *w);

/* Those that a process before has left open: handed out once, to who has `part` of `parts` by desk. */
struct spool_commitments {
    unsigned part, parts;
    struct io *io;
    void *owner;
    void (*on_commitment)(struct spool_commitments *c, const uint8_t key[SPOOL_COMMITMENT_KEY], uint16_t desk,
                          struct view bytes);
    void (*on_closed)(struct spool_commitments *c); /* the last callback */
    /* private */
    struct io_message closed_message;
    bool is_closing;
    struct spool_commitments *next;
};
void spool_commitments_open(struct spool *s, struct spool_commitments *c);
void spool_commitments_close(struct spool *s, struct spool_commitments *c);

/* An instance at a node, as the index knows it. */
struct spool_whereabout {
    size_t instance; /* index of the question's */
    enum spool_state state;
    const char *node, *route;
    const char *sent_instance; /* what it went out as, or will */
};

/*
 * Where instances have gone, or are on their way to, by the SOP Instance UID that they were received with, or sent as. Everything counts that was
 * acknowledged before it was asked; what was relayed, if that was NOTES_MS (notes.c) before. on_answer comes once; ERR_IO: the index
 * cannot be read, or does not come to where the log is.
 */
struct spool_whereabouts {
    struct io *io;
    void *owner;
    void (*on_answer)(struct spool_whereabouts *w);
    const char *const *instances; /* must stay until then, as the struct */
    size_t count;
    /* the answer: */
    enum result result;
    struct spool_whereabout *rows; /* by instance */
    size_t row_count;
    /* private */
    size_t row_cap;
    struct arena texts;
    struct io_message message;
    struct spool_whereabouts *next;
};
void spool_whereabouts_ask(struct spool *s, struct spool_whereabouts *w);
/* Of an answer. */
void spool_whereabouts_free(struct spool_whereabouts *w);

/* --- inside spool/ --------------------------------------------------------------------------------------------- */

struct commitments;
/* Nothing is opened yet but what is there. */
MUST_USE enum result commitments_open(const char *path, uint32_t generation, struct commitments **out,
                                      char *why, size_t why_cap);
/* What was given is written; questions that are open fail. Nulls the pointer. */
void commitments_close(struct commitments **c);

/* commitments_where.c: a question on its way. */
struct where;
/* NULL: it has been answered, by a failure. */
struct where *where_begin(const char *path, struct spool_whereabouts *w);
/* A part of the work. True: w->result says how it went. Not there yet: it waits for the index, or there is more to be looked at; *must_wait_out says
 * which. */
bool where_step(struct where *q, bool *must_wait_out);
struct spool_whereabouts *where_end(struct where **q);

#endif
