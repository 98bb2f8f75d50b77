/* Ids and states as people read them. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "spool/record.h"

void spool_id_text(spool_id id, char out[SPOOL_ID_TEXT])
{
    snprintf(out, SPOOL_ID_TEXT, "%llu.%llu", (unsigned long long)(id >> SPOOL_ID_BITS),
             (unsigned long long)(id & (((spool_id)1 << SPOOL_ID_BITS) - 1)));
}

/* Digits, no more than `max`. NULL: none, or too large. */
static const char *parse_number(const char *text, uint64_t max, uint64_t *out)
{
    const char *at = text;
    *out = 0;
    while (*at >= '0' && *at <= '9') {
        *out = *out * 10 + (uint64_t)(*at++ - '0');
        if (*out > max)
            return NULL;
    }
    return at == text ? NULL : at;
}

bool spool_id_parse(const char *text, spool_id *out)
{
    uint64_t generation, number;
    const char *at = parse_number(text, UINT64_MAX >> SPOOL_ID_BITS, &generation);
    if (!at || *at != '.')
        return false;
    at = parse_number(at + 1, ((spool_id)1 << SPOOL_ID_BITS) - 1, &number);
    if (!at || *at != '\0')
        return false;
    *out = generation << SPOOL_ID_BITS | number;
    return true;
}

const char *spool_state_name(enum spool_state state)
{
    static const char *const names[] = {"held",      "queued",  "waiting", "failed",
                                        "delivered", "dropped", "expired", "relayed"};
    hilum_assert((unsigned)state < sizeof(names) / sizeof(names[0]));
    return names[state];
}
