/*
 * The commands of the command line, one a file. Each is given its own name as argv[0], then its options and arguments,
 * and returns the exit status: 0 done, 1 the work failed, 2 wrong usage. `--help` prints the command's help on stdout
 * and is 0; results go to stdout, human words to stderr.
 */
#ifndef HILUM_COMMAND_COMMAND_H
#define HILUM_COMMAND_COMMAND_H

enum command_exit { COMMAND_DONE = 0, COMMAND_FAILED = 1, COMMAND_WRONG_USAGE = 2 };

/* run CONFIG: the gateway, in the foreground, until SIGTERM. */
int command_run(int argc, char **argv);
/* check CONFIG: each problem of the configuration as FILE:LINE on stdout. */
int command_check(int argc, char **argv);
/* explain CONFIG FILE...: what would become of files, without sending any. */
int command_explain(int argc, char **argv);
/* queue CONFIG [list|show|retry|drop|export]: the durable queue, beside a gateway or without one. */
int command_queue(int argc, char **argv);
/* node CONFIG [list|drain|resume]: the nodes, as the running gateway sees them. */
int command_node(int argc, char **argv);
/* echo HOST:PORT: C-ECHO. */
int command_echo(int argc, char **argv);
/* send HOST:PORT PATH...: C-STORE of files and folders. */
int command_send(int argc, char **argv);

#endif
