/* What the parts of explaining one file share: explain_file.c decides, explain_route.c tells. Nobody else includes it. */
#ifndef HILUM_COMMAND_EXPLAIN_ASKING_H
#define HILUM_COMMAND_EXPLAIN_ASKING_H

#include "command/explain.h"
#include "dimse/command.h"
#include "relay/ruled.h"
#include "route/route.h"

/* One file on its way. */
struct asking {
    struct explainer *x;
    struct explanation *e;
    int fd;
    uint64_t offset;           /* of what is read next */
    struct gathered *gathered; /* of hold */
    struct hold *hold;
    struct route_facts facts;
    struct route_decision decision;
    struct dimse_command command;
    struct sink_message message;
    struct ruled ruled; /* of what is held */
    struct edition
        *editions;      /* as decision.destinations; empty where a route morphs nothing, or has one already */
    enum result result; /* of what was called back */
};

/* Text in the explanation's memory; without any, "out of memory", and the result says so. */
__attribute__((format(printf, 2, 3))) const char *asking_print(struct asking *a, const char *format, ...);
/* The sender would be told this; the first one counts. */
void asking_refuse(struct asking *a, uint16_t status, const char *comment);
/* What a route's morph has made; NULL: it has none, or has not come to run. */
const struct edition *asking_edition(const struct asking *a, const struct config_route *route);

/* Of each route, whether it matches, why not, and where it would send: all that is known by now. */
void asking_tell(struct asking *a);

#endif
