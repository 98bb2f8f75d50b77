/*
 * The functions of a configuration, `when`, `morph`, `morph_response` and `on_study` of its routes and `identity` of its callers, in a Lua
 * state of one worker.
 *
 * Opening evaluates again what the configuration was made of: the text of its file and modules and the environment it asked
 * for, as they were, whatever stands on the disk by now. The functions are matched by the order of declarations. Then globals
 * and libraries become read-only; what functions hold in upvalues is this state's own.
 *
 * One thread at a time uses a struct rules; any thread may open or close it. A call blocks that thread until the function returns
 * or its budget is spent. A failed call leaves the state fit for the next.
 */
#ifndef HILUM_SCRIPT_RULES_H
#define HILUM_SCRIPT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"
#include "config/config.h"
#include "script/load.h"

struct lua_State;
struct rules;

/* What `assoc` shows, trimmed; an empty view is an empty string in Lua. Borrowed while a call lasts. */
struct rules_assoc {
    struct view calling, called;
    struct view remote; /* the sender's address as text */
    struct view listener;
    struct view peer;    /* the subject of its certificate; empty: nil in Lua, it has shown none */
    struct view service; /* as config_service_name says */
    struct view sop_class, sop_instance, transfer_syntax; /* UIDs */
};

struct rules_call {
    /* One of them, of the configuration that the rules were opened for; it has such a function. */
    const struct config_route *route;
    const struct config_caller *caller;
    const struct rules_assoc *assoc;
    /* Pushes one value: `ds`. It may raise Lua's errors, which are long jumps: it owns nothing meanwhile. NULL: nil. */
    void (*push)(struct lua_State *lua, void *arg);
    void *arg;
};

/*
 * Takes a reference to the configuration. Without any function in it Lua is not entered at all.
 * OK; *problems_out is empty. ERR_USAGE: evaluated again, the text failed or declared something else than before, as
 * *problems_out says: a start must stop. ERR_MEMORY. The caller frees *problems_out in every case.
 */
MUST_USE enum result script_rules_open(struct config *config, struct rules **out,
                                       struct problems *problems_out);
/* Nulls it; NULL is nothing to close. */
void script_rules_close(struct rules **r);

/*
 * OK: *holds_out says whether the function returned anything but nil and false. Otherwise the message must fail, and
 * rules_error says why:
 * ERR_USAGE   the function raised an error
 * ERR_LIMIT   it ran past rule_instructions or rule_memory, which it cannot catch
 * ERR_MEMORY  the system has none
 */
MUST_USE enum result rules_when(struct rules *r, const struct rules_call *call, bool *holds_out);
/* The same without an answer. What the function changed in the data set until it failed is not undone. */
MUST_USE enum result rules_morph(struct rules *r, const struct rules_call *call);
/* Likewise, of what comes back. */
MUST_USE enum result rules_morph_response(struct rules *r, const struct rules_call *call);

/* A user identity (PS3.7 D.3.3.7), as it came: secrets, which nothing here writes anywhere. Borrowed while a call lasts. */
struct rules_user {
    uint8_t type; /* 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT */
    struct view primary, secondary;
};
/* Calls the caller's identity; user NULL: the request brings none. OK: *admits_out says whether it returned true. ERR_USAGE also if it returned
 * anything but true, false and nil. Otherwise as rules_when; *admits_out is false then. */
MUST_USE enum result rules_identity(struct rules *r, const struct config_caller *caller,
                                    const struct rules_assoc *assoc, const struct rules_user *user,
                                    bool *admits_out);

/* A group of instances that has been quiet, as they were received. Borrowed while a call lasts. */
struct rules_study_series {
    const char *uid;
    uint64_t instances;
};
struct rules_study_instance {
    const char *sop_class, *sop_instance, *series;
};
struct rules_study {
    const char *uid, *patient, *calling, *called;
    uint64_t since_ms, instances, bytes; /* since_ms: wall clock */
    const struct rules_study_series *series;
    size_t series_count;
    const struct rules_study_instance *listed; /* of them, the first ones */
    size_t listed_count;
};
/* Calls the route's on_study. OK: adds_out, of which there is one for each of the configuration's nodes, says which ones it names. ERR_USAGE also if
 * it returned something else, or names a node that is none. Otherwise as rules_when; adds_out says nothing then. */
MUST_USE enum result rules_on_study(struct rules *r, const struct config_route *route,
                                    const struct rules_study *study, bool *adds_out);

/* Of the last call that failed: "FILE:LINE: route "NAME": morph: what is wrong", or caller "NAME": identity. Ours; until the next call. */
const char *rules_error(const struct rules *r);
/* The same for a log that does not name patients: what a rule says by error and assert, and what is quoted in the words of a library, is
 * left out. What Lua itself says names variables and types, no values: it is the same. */
const char *rules_error_bare(const struct rules *r);

/* How many calls there were into Lua. */
uint64_t rules_calls(const struct rules *r);

#endif
