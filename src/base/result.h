/* The one result type. Values travel through `_out` parameters; "need more" is not an error. */
#ifndef HILUM_BASE_RESULT_H
#define HILUM_BASE_RESULT_H

enum result {
    OK = 0,
    NEED_MORE,  /* more input is needed; nothing is wrong */
    ERR_PROTO,  /* the peer broke the protocol */
    ERR_LIMIT,  /* one of our limits would be exceeded */
    ERR_MEMORY, /* no memory, or the cap on it is reached */
    ERR_IO,     /* the system refused; the cause was logged or is in an `_out` */
    ERR_USAGE,  /* the caller's (a person's) input is wrong */
    ERR_CLOSED, /* the other side is gone */
};

#define MUST_USE __attribute__((warn_unused_result))

/* The name of a result, for logs. Never NULL. */
const char *result_name(enum result r);

#endif
