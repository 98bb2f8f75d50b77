/*
 * PS3.8 Table 9-10 as data: a row an event, a column a state, as the standard prints it. An empty cell cannot occur,
 * or is our own mistake.
 */
#include <stdio.h>

#include "base/assert.h"
#include "ul/ul.h"

enum { STATES = UL_STA13 + 1, EVENTS = UL_EVT19 + 1 };

/* clang-format off */

/* Short names, so that the table can be read as one; NIL is an empty cell. */
enum {
    NIL = UL_NO_ACTION,
    AE1 = UL_AE1, AE2 = UL_AE2, AE3 = UL_AE3, AE4 = UL_AE4, AE5 = UL_AE5, AE6 = UL_AE6, AE7 = UL_AE7, AE8 = UL_AE8,
    DT1 = UL_DT1, DT2 = UL_DT2,
    AR1 = UL_AR1, AR2 = UL_AR2, AR3 = UL_AR3, AR4 = UL_AR4, AR5 = UL_AR5, AR6 = UL_AR6, AR7 = UL_AR7, AR8 = UL_AR8,
    AR9 = UL_AR9, AR10 = UL_AR10,
    AA1 = UL_AA1, AA2 = UL_AA2, AA3 = UL_AA3, AA4 = UL_AA4, AA5 = UL_AA5, AA6 = UL_AA6, AA7 = UL_AA7, AA8 = UL_AA8,
};

static const uint8_t TABLE[EVENTS][STATES - 1] = {
    /*            Sta1  Sta2  Sta3  Sta4  Sta5  Sta6  Sta7  Sta8  Sta9  Sta10 Sta11 Sta12 Sta13 */
    /* A-ASSOCIATE request (local user) */
    [UL_EVT1]  = {AE1,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL},
    /* transport connect confirmed */
    [UL_EVT2]  = {NIL,  NIL,  NIL,  AE2,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL},
    /* A-ASSOCIATE-AC received */
    [UL_EVT3]  = {NIL,  AA1,  AA8,  NIL,  AE3,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    /* A-ASSOCIATE-RJ received */
    [UL_EVT4]  = {NIL,  AA1,  AA8,  NIL,  AE4,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    /* transport connection indication */
    [UL_EVT5]  = {AE5,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL},
    /* A-ASSOCIATE-RQ received */
    [UL_EVT6]  = {NIL,  AE6,  AA8,  NIL,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA7},
    /* accept (local user) */
    [UL_EVT7]  = {NIL,  NIL,  AE7,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL},
    /* reject (local user) */
    [UL_EVT8]  = {NIL,  NIL,  AE8,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL},
    /* P-DATA request (local user) */
    [UL_EVT9]  = {NIL,  NIL,  NIL,  NIL,  NIL,  DT1,  NIL,  AR7,  NIL,  NIL,  NIL,  NIL,  NIL},
    /* P-DATA-TF received */
    [UL_EVT10] = {NIL,  AA1,  AA8,  NIL,  AA8,  DT2,  AR6,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    /* A-RELEASE request (local user) */
    [UL_EVT11] = {NIL,  NIL,  NIL,  NIL,  NIL,  AR1,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL},
    /* A-RELEASE-RQ received */
    [UL_EVT12] = {NIL,  AA1,  AA8,  NIL,  AA8,  AR2,  AR8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA6},
    /* A-RELEASE-RP received */
    [UL_EVT13] = {NIL,  AA1,  AA8,  NIL,  AA8,  AA8,  AR3,  AA8,  AA8,  AR10, AR3,  AA8,  AA6},
    /* A-RELEASE response (local user) */
    [UL_EVT14] = {NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  AR4,  AR9,  NIL,  NIL,  AR4,  NIL},
    /* A-ABORT request (local user) */
    [UL_EVT15] = {NIL,  NIL,  AA1,  AA2,  AA1,  AA1,  AA1,  AA1,  AA1,  AA1,  AA1,  AA1,  NIL},
    /* A-ABORT received */
    [UL_EVT16] = {NIL,  AA2,  AA3,  NIL,  AA3,  AA3,  AA3,  AA3,  AA3,  AA3,  AA3,  AA3,  AA2},
    /* transport connection closed */
    [UL_EVT17] = {NIL,  AA5,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AA4,  AR5},
    /* ARTIM expired */
    [UL_EVT18] = {NIL,  AA2,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  NIL,  AA2},
    /* unrecognised or invalid PDU */
    [UL_EVT19] = {NIL,  AA1,  AA8,  NIL,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA8,  AA7},
};
/* clang-format on */

enum ul_action ul_action_for(enum ul_state state, enum ul_event event)
{
    hilum_assert(state >= UL_STA1 && state <= UL_STA13 && event >= UL_EVT1 && event <= UL_EVT19);
    return TABLE[event][state - 1];
}

const char *ul_state_name(enum ul_state state)
{
    static const char *const NAMES[STATES] = {
        "none", "Sta1", "Sta2", "Sta3",  "Sta4",  "Sta5",  "Sta6",
        "Sta7", "Sta8", "Sta9", "Sta10", "Sta11", "Sta12", "Sta13",
    };
    hilum_assert((unsigned)state < STATES);
    return NAMES[state];
}

const char *ul_action_name(enum ul_action action)
{
    static const char *const NAMES[] = {
        "none",  "AE-1", "AE-2", "AE-3", "AE-4", "AE-5", "AE-6", "AE-7", "AE-8", "DT-1",
        "DT-2",  "AR-1", "AR-2", "AR-3", "AR-4", "AR-5", "AR-6", "AR-7", "AR-8", "AR-9",
        "AR-10", "AA-1", "AA-2", "AA-3", "AA-4", "AA-5", "AA-6", "AA-7", "AA-8",
    };
    hilum_assert((unsigned)action < sizeof NAMES / sizeof NAMES[0]);
    return NAMES[action];
}

void ul_transition_name(const struct ul_outcome *o, char out[32])
{
    if (o->event)
        snprintf(out, 32, "%s Evt%d %s", ul_state_name(o->from), (int)o->event, ul_action_name(o->action));
    else
        snprintf(out, 32, "%s", ul_state_name(o->from));
}
