/* One end of an association under test: it keeps all that it is told, and does what the test wants then. */
#ifndef HILUM_TESTS_SPEAKER_H
#define HILUM_TESTS_SPEAKER_H

#include "../unit/loop.h"
#include "association/association.h"

/* The presentation contexts that every request of these tests proposes, and every answer accepts. */
enum {
    SPEAKER_ECHO = 1,
    SPEAKER_STORE = 3,
    SPEAKER_FIND = 5,
    SPEAKER_GET = 7,
    SPEAKER_COMMITMENT = 9,
    SPEAKER_PRIVATE = 11, /* UIDs that the registry does not know */
    SPEAKER_CONTEXTS = 6,
};

enum speaker_event {
    SPEAKER_REQUESTED,
    SPEAKER_ESTABLISHED,
    SPEAKER_COMMAND,
    SPEAKER_DATA,
    SPEAKER_DATA_END,
    SPEAKER_RELEASE,
    SPEAKER_SENT,
    SPEAKER_END,
    SPEAKER_GONE,
    SPEAKER_EVENTS
};

struct speaker_message {
    uint8_t context_id;
    struct dimse_command c; /* its views point into text */
    uint8_t *text;
    struct octets data;
    bool has_ended; /* the data set is whole, or there is none */
};

enum { SPEAKER_MESSAGES = 64 };

struct speaker {
    struct association a;
    struct loop *loop;
    struct resolver *resolver;
    struct speaker_message messages[SPEAKER_MESSAGES];
    unsigned count;
    unsigned seen[SPEAKER_EVENTS];
    enum association_end how;
    char why[96];
    uint32_t max_length; /* what it announces: P-DATA-TF that it takes */
    uint16_t invoked, performed;
    bool has_window;
    /* What it does of itself. */
    bool waits_with_answer, waits_with_release, stays_open;
    void (*act)(struct speaker *p, enum speaker_event event); /* NULL: nothing. Called last in the callback */
    void *owner;
};

/* Fills in everything; limits are long ones. */
void speaker_init(struct speaker *p, struct loop *l, struct resolver *resolver);
void speaker_accept(struct speaker *p, int fd);
void speaker_connect(struct speaker *p, uint16_t port);
/* The answer that accepts what was proposed. */
void speaker_answer(struct speaker *p);
/* Waits until it is gone; ends it without a word if it has not ended. */
void speaker_free(struct speaker *p);

/* Sends a whole message, its data set in slices of `slice` bytes (0: one). False: without memory. */
bool speaker_send(struct speaker *p, uint8_t context_id, const struct dimse_command *c, const uint8_t *data,
                  size_t len, size_t slice);
bool speaker_send_bytes(struct speaker *p, const uint8_t *data, size_t len);

/* Every element is there or not as wanted, with the value wanted, and nothing else. */
void speaker_check_command(const struct dimse_command *got, const struct dimse_command *want);

/* What a request of these tests proposes; free it. */
struct pdu_associate speaker_request(const struct speaker *p);
struct view speaker_text(const char *s);
/* The content of data set number `seed`. */
uint8_t speaker_byte(unsigned seed, size_t i);
uint8_t *speaker_data(unsigned seed, size_t len);
void speaker_check_data(const struct octets *got, unsigned seed, size_t len);

/* A listener on a free loopback port, and the next connection to it as a descriptor that never waits. */
int speaker_listen(uint16_t *port_out);
int speaker_accepted(struct loop *l, int listener);
/* Both ends, established. */
void speaker_pair(struct speaker *requestor, struct speaker *acceptor);

#endif
