/* One end of an association under test: it keeps all that it is told, and does what the test wants then. */
#ifndef HILUM_TESTS_PARTY_H
#define HILUM_TESTS_PARTY_H

#include "../loop.h"
#include "association/association.h"

/* The presentation contexts that every request of these tests proposes, and every answer accepts. */
enum {
    PARTY_ECHO = 1,
    PARTY_STORE = 3,
    PARTY_FIND = 5,
    PARTY_GET = 7,
    PARTY_COMMITMENT = 9,
    PARTY_PRIVATE = 11, /* UIDs that the registry does not know */
    PARTY_CONTEXTS = 6,
};

enum party_event {
    PARTY_REQUESTED,
    PARTY_ESTABLISHED,
    PARTY_COMMAND,
    PARTY_DATA,
    PARTY_DATA_END,
    PARTY_RELEASE,
    PARTY_SENT,
    PARTY_END,
    PARTY_GONE,
    PARTY_EVENTS
};

struct party_message {
    uint8_t context_id;
    struct dimse_command c; /* its views point into text */
    uint8_t *text;
    struct octets data;
    bool has_ended; /* the data set is whole, or there is none */
};

enum { PARTY_MESSAGES = 64 };

struct party {
    struct association a;
    struct loop *loop;
    struct resolver *resolver;
    struct party_message messages[PARTY_MESSAGES];
    unsigned count;
    unsigned seen[PARTY_EVENTS];
    enum association_end how;
    char why[96];
    uint32_t max_length; /* what it announces: P-DATA-TF that it takes */
    uint16_t invoked, performed;
    bool has_window;
    /* What it does of itself. */
    bool waits_with_answer, waits_with_release, stays_open;
    void (*act)(struct party *p, enum party_event event); /* NULL: nothing. Called last in the callback */
    void *owner;
};

/* Fills in everything; limits are long ones. */
void party_init(struct party *p, struct loop *l, struct resolver *resolver);
void party_accept(struct party *p, int fd);
void party_connect(struct party *p, uint16_t port);
/* The answer that accepts what was proposed. */
void party_answer(struct party *p);
/* Waits until it is gone; ends it without a word if it has not ended. */
void party_free(struct party *p);

/* Sends a whole message, its data set in slices of `slice` bytes (0: one). False: without memory. */
bool party_send(struct party *p, uint8_t context_id, const struct dimse_command *c, const uint8_t *data,
                size_t len, size_t slice);
bool party_send_bytes(struct party *p, const uint8_t *data, size_t len);

/* Every element is there or not as wanted, with the value wanted, and nothing else. */
void party_check_command(const struct dimse_command *got, const struct dimse_command *want);

/* What a request of these tests proposes; free it. */
struct pdu_associate party_request(const struct party *p);
struct view party_text(const char *s);
/* The content of data set number `seed`. */
uint8_t party_byte(unsigned seed, size_t i);
uint8_t *party_data(unsigned seed, size_t len);
void party_check_data(const struct octets *got, unsigned seed, size_t len);

/* A listener on a free loopback port, and the next connection to it as a descriptor that never waits. */
int party_listen(uint16_t *port_out);
int party_accepted(struct loop *l, int listener);
/* Both ends, established. */
void party_pair(struct party *requestor, struct party *acceptor);

#endif
