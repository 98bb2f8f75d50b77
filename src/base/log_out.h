/*
 * Where the log goes: stderr. A command waits for whoever reads it, as any program does. A gateway does not wait: what
 * stderr does not take at once is not written (log.h log_set_waiting).
 *
 *   a pipe, a terminal  are opened anew, without waiting: O_NONBLOCK of the description that we were given would be everybody's who
 *                       has it. Where that is not allowed (it is another user's), poll is asked first: a pipe that can be written
 *                       to takes PIPE_BUF bytes, as long as no other process fills it in between
 *   a socket            is told with each send (MSG_DONTWAIT)
 *   a file              takes what it is given
 */
#ifndef HILUM_BASE_LOG_OUT_H
#define HILUM_BASE_LOG_OUT_H

#include <stdbool.h>
#include <stddef.h>

enum { LOG_OUT_MAX = 4096 }; /* PIPE_BUF on Linux: a pipe takes so many bytes whole, or none */

/* At most LOG_OUT_MAX bytes. How many of them have been written; the rest is not going to be: what comes next begins a new line. */
size_t log_out(const char *bytes, size_t len);

#endif
