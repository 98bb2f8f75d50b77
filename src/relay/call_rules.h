/* The rules of routes about a call: its functions as `when`, what `morph` makes of its data set. (call_morph_response is call.h's.) */
#ifndef HILUM_RELAY_CALL_RULES_H
#define HILUM_RELAY_CALL_RULES_H

#include "relay/call.h"
#include "relay/ruled_data_set.h"

/* One decision. Zero but for `call`. */
struct call_asking {
    struct call *call;
    struct ruled_set set; /* private: once a rule is asked */
    bool is_open;
    char remote[64];
};

/* route_facts.holds: `user` is the asking. False: a rule has failed, and the call has been answered. */
bool call_holds(void *user, const struct config_route *route, enum match *out);
/* What each destination gets. Once they stand. False: as above. */
MUST_USE bool call_make_editions(struct call_asking *a);
void call_asking_end(struct call_asking *a);

#endif
