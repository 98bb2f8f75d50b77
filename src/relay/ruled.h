/*
 * A message before the rules of its routes: what a function as `when` says of it, what a morph makes of it. The gateway asks them about what
 * comes (message_route.c), `hilum explain` about what a file holds.
 */
#ifndef HILUM_RELAY_RULED_H
#define HILUM_RELAY_RULED_H

#include "relay/edition.h"
#include "relay/hold.h"
#include "script/rules.h"

/* All of it is borrowed until ruled_end. */
struct ruled {
    struct rules *rules;     /* NULL: they could not be opened */
    const struct hold *hold; /* its header is known */
    const struct sink_message *message;
    const char *remote, *listener, *peer; /* of `assoc`; the address without its port */
    struct dicom_charsets *charsets;
    struct pool *pool;
    bool is_response; /* morphs are the routes' morph_response */
    /* private: what functions look at, cut when the first of them is asked */
    struct dicom_document document;
    struct dicom_text text;
    bool is_open;
    size_t counted; /* of what is held, and counts: so many bytes stand for the headers of editions already */
};

/* Why there is no answer. */
struct ruled_failure {
    bool is_rule;       /* the rule itself has failed; else the data set or memory: */
    enum result result; /* ERR_PROTO: it cannot be read; ERR_LIMIT; ERR_MEMORY, of a rule too */
    const char *why;    /* of a rule until the next one is called; else fixed */
    const char *bare;   /* the same for a log that does not name patients (rules_error_bare) */
    uint32_t tag;
};

/* The status that a message fails by then, and its comment. `word`: the function that was asked, "when", "morph" or "morph_response". */
uint16_t ruled_status(const struct ruled_failure *f, const struct config_route *route, const char *word,
                      char comment[65]);

/* All are false. `why` is fixed text. */
bool ruled_fail(struct ruled_failure *f, enum result r, const char *why, uint32_t tag);
bool ruled_fail_rule(struct ruled_failure *f, enum result r, const char *why);
/* Likewise, of a rule that was just called. */
bool ruled_fail_call(struct ruled_failure *f, enum result r, const struct rules *rules);
/* What the tree over so many bytes may take, in bytes, with all that rules change in it. */
size_t ruled_tree_room(size_t len);

/* Asks a route's function. False: *failure_out says why not. */
MUST_USE bool ruled_when(struct ruled *r, const struct config_route *route, bool *holds_out,
                         struct ruled_failure *failure_out);
/* Runs a route's morph: *e is that route's edition, with its attributes for folders. What its header exceeds what is held by counts against the
 * hold's pool. False as above, also where that has no room; e is to be freed all the same. */
MUST_USE bool ruled_morph(struct ruled *r, const struct config_route *route, struct edition *e,
                          struct ruled_failure *failure_out);
void ruled_end(struct ruled *r);

#endif
