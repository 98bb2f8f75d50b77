/*
 * Sends the files of a plan: its associations one after the other, on each its files in order, one C-STORE at a time.
 *
 * An association that is lost is replaced, and the file that was on its way tried once more; a node that cannot be reached,
 * or refuses the association, fails all that is left.
 */
#ifndef HILUM_COMMAND_SENDER_H
#define HILUM_COMMAND_SENDER_H

#include "command/client.h"
#include "command/files.h"
#include "command/report.h"

/* OK: each file is in the report. Else nothing was begun, and why was said. files must live as long as the process, if it is
 * interrupted: an association may still be looking up its name. */
MUST_USE enum result sender_run(const struct client_options *o, struct files *files, struct report *report,
                                uint64_t *elapsed_ms_out);

#endif
