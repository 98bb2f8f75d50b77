#include "base/result.h"

const char *result_name(enum result r)
{
    switch (r) {
    case OK:
        return "ok";
    case NEED_MORE:
        return "need more";
    case ERR_PROTO:
        return "protocol error";
    case ERR_LIMIT:
        return "limit exceeded";
    case ERR_MEMORY:
        return "out of memory";
    case ERR_IO:
        return "input/output error";
    case ERR_USAGE:
        return "usage error";
    case ERR_CLOSED:
        return "closed";
    }
    return "unknown result";
}
