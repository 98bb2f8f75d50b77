/*
 * A sender, destinations, and a user in between that passes payload from the one to the others, as relay/ does: for
 * tests of what does not come to memory. Connections are real, on one loop; sender and sinks are played by hand.
 */
#ifndef HILUM_TESTS_SCENE_H
#define HILUM_TESTS_SCENE_H

#include "party.h"

enum {
    KIB = 1 << 10,
    MIB = 1 << 20,
    LEGS = ASSOCIATION_LEGS_MAX,
    LEAD = KIB,      /* so much of the first PDV comes to memory; the rest passes */
    FIRST = 64 * KIB /* a first PDV of which enough is left then */
};

struct scene {
    struct loop loop;
    bool is_open;
    struct party from, to[LEGS];
    struct wire sender, sinks[LEGS];
    size_t drip[LEGS]; /* bytes that a sink takes a turn; 0: all */
    unsigned legs;
    struct association_user user;       /* of `from`: a party's, and what passes */
    bool only_memory;                   /* nothing passes */
    bool holds_end;                     /* destinations are not told of the end */
    void (*on_passed)(struct scene *t); /* these two: NULL, or what a test does there */
    void (*on_sent)(struct scene *t);
    void (*act)(struct scene *t); /* the test's own */
    size_t in_memory, passed;     /* payload, by its way */
    size_t asked;                 /* on_bulk */

    struct octets script, content; /* the data set: as the sender's PDUs, and what they carry */
    size_t total;                  /* of the content; an odd one is followed by the NUL that pads it */
    size_t sent;                   /* of the script */
    uint64_t before;               /* bytes that came from the sender before it */
};

/* For cmocka: *state is a scene that is not open; at the end it is closed. */
int scene_set_up(void **state);
int scene_tear_down(void **state);
/* A sender, and a destination for each maximum length (PDU length field; 0 ends the list), all agreed. */
void scene_open(struct scene *t, const uint32_t maxima[LEGS]);
#define OPEN(t, ...) scene_open(t, (const uint32_t[LEGS]){__VA_ARGS__})
/* Every end has been told once, and not more. */
void scene_close(struct scene *t);

/* --- what the sender says: the script is written first, then sent */

void scene_new_script(struct scene *t);
/* A P-DATA-TF of so many PDVs, with the content's next bytes. `last` is the control of its last PDV. */
void scene_add_pdu(struct scene *t, const size_t *sizes, unsigned count, uint8_t last);
void scene_add_pdv(struct scene *t, size_t size, uint8_t control);
/* A new script of one small and 4 x count large PDVs, the last one of them last. */
void scene_add_megabytes(struct scene *t, unsigned count);

/* The command, and as much of the data set as has to come to memory before payload may pass. */
void scene_begin(struct scene *t);
/* The same, until it does pass. */
void scene_begin_to_pass(struct scene *t);
/* The script up to there, while the sinks read. */
void scene_send_to(struct scene *t, size_t until);
/* The same, and waits until it has been read, so that what is sent next comes apart from it. */
void scene_send_apart(struct scene *t, size_t until);
void scene_send_rest(struct scene *t);
/* The user tells the destinations that it is all: by itself, unless holds_end. */
void scene_send_ends(struct scene *t);

/* --- what the destinations see */

/* A turn of the loop, and what has come is read. */
void scene_turn(struct scene *t);
#define TURN_UNTIL(t, condition)                                                                             \
    do {                                                                                                     \
        uint64_t limit_ = clock_ms() + 20000;                                                                \
        while (!(condition)) {                                                                               \
            if (clock_ms() > limit_)                                                                         \
                fail_msg("never came true: %s", #condition);                                                 \
            scene_turn(t);                                                                                   \
        }                                                                                                    \
    } while (0)

/* Little room on the way to that one, and it takes so many bytes a turn. */
void scene_make_slow(struct scene *t, unsigned leg, size_t drip);
/* Sends until what passes waits for that one. */
void scene_send_until_stuck(struct scene *t, unsigned leg);

struct seen {
    size_t content;     /* bytes of the data set */
    unsigned fragments; /* of it, whole or not */
    size_t longest;     /* as they announce themselves */
    bool has_last;      /* the last fragment, all of it */
    bool is_cut;        /* the bytes end inside a PDU */
    bool has_abort;     /* behind all */
};
/* Fails where it is not the front of what was sent, framed as it has to be. */
struct seen scene_look(const struct scene *t, unsigned leg);
/* It comes whole, in fragments of that length at most. */
struct seen scene_expect_whole(struct scene *t, unsigned leg, size_t fragment_max);
/* It ends, and cannot be taken for whole. Where a fragment is cut off, nothing stands behind it. */
struct seen scene_expect_cut(struct scene *t, unsigned leg);

#endif
