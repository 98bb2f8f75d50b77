/*
 * Who may do what: what a listener and the callers of a configuration say of an association. Pure; user identity, which may need Lua,
 * is looked at elsewhere.
 */
#ifndef HILUM_CONFIG_ACCESS_H
#define HILUM_CONFIG_ACCESS_H

#include "base/bytes.h"
#include "config/config.h"

/* Who comes. */
struct access_approach {
    const uint8_t *address; /* 16 bytes, IPv4 mapped */
    const char *calling, *called;
    const char *peer; /* the subject of its certificate, RFC 4514; "": it has shown none */
};

enum access_verdict {
    ACCESS_ADMITTED,
    ACCESS_DENIED,             /* listen.deny has the address */
    ACCESS_NOT_ALLOWED,        /* listen.allow has it not */
    ACCESS_NOT_CALLED,         /* listen.ae_titles has not the title that is called */
    ACCESS_NOBODY,             /* no caller has the title that calls */
    ACCESS_CALLER_NOT_ALLOWED, /* the caller's allow has not the address */
    ACCESS_CALLER_CERTIFICATE, /* the caller's peer has not the certificate, or there is none */
};

/* What a listener says of an address alone: ADMITTED, DENIED or NOT_ALLOWED. */
enum access_verdict access_judge_address(const struct config_listen *l, const uint8_t address[16]);
/* ADMITTED: *caller_out is whose association it is; NULL: the configuration has no callers, and it may do everything. Else
 * *caller_out is the caller that it would have belonged to, if it is that one that refuses it, or NULL. */
enum access_verdict access_judge(const struct config *c, const struct config_listen *l,
                                 const struct access_approach *a, const struct config_caller **caller_out);
/* Why, for logs and people. Fixed. */
const char *access_verdict_text(enum access_verdict v);

/* What a request is refused with, in words. */
#define ACCESS_SERVICE_REFUSED "this caller may not use this service"
#define ACCESS_CLASS_REFUSED   "this caller may not use this SOP class"

/* Whether a caller (NULL: anybody) may use a SOP class or other abstract syntax; without padding. Verification it always may. */
bool access_allows_class(const struct config_caller *caller, struct view uid);
/* Of these services (bits, 1 << enum config_service) those that it may use; C-ECHO it always may. */
uint32_t access_services(const struct config_caller *caller, uint32_t services);

#endif
