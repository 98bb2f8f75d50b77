/* Unix stream sockets between processes of one machine, named by a path. listen is for io_accept; ask may block, for commands. */
#ifndef HILUM_IO_LOCAL_H
#define HILUM_IO_LOCAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/octets.h"
#include "base/result.h"

/*
 * Listens there; only this user may connect (mode 0600, from its first moment on). A socket that is there already is taken away: the caller knows that
 * nobody listens on it. ERR_IO with why: the path is too long, holds something that is no socket, or the system refused.
 */
MUST_USE enum result local_listen(const char *path, int *fd_out, char *why, size_t why_cap);
/* Takes the name away, if it is a socket's. */
void local_unlink(const char *path);

/*
 * Connects, sends the request, and reads until the other side closes, max_bytes at most; all of it within timeout_ms.
 *
 * OK          *answer is complete
 * ERR_CLOSED  nobody listens there, or whoever did is gone without an answer
 * ERR_LIMIT   the answer is longer than that
 * ERR_IO      with why: refused, or not in time
 */
MUST_USE enum result local_ask(const char *path, const char *request, uint64_t timeout_ms, size_t max_bytes,
                               struct octets *answer, char *why, size_t why_cap);

#endif
