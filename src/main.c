/* The command line: finds the command, nothing else. Exit status 2 is wrong usage, here and in every command. */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/version.h"
#include "command/command.h"

enum { WRONG_USAGE = 2, NAME_MAX_BYTES = 15 };

struct command {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name; NULL: a later version has it */
    const char *arguments;
    const char *help;
};

static const struct command commands[] = {
    {"run", command_run, "CONFIG", "start the gateway"},
    {"check", command_check, "CONFIG", "parse and validate a configuration"},
    {"explain", command_explain, "CONFIG FILE...", "a dry run: where files would go, what would change"},
    {"echo", command_echo, "HOST:PORT", "ask a node whether it answers (C-ECHO)"},
    {"send", command_send, "HOST:PORT PATH...", "send files and folders (C-STORE)"},
    {"queue", command_queue, "CONFIG [list|...]", "look into the durable queue, and act on it"},
    {"node", command_node, "CONFIG [list|...]", "the running gateway's nodes; drain and resume"},
    {"conformance", NULL, NULL, NULL},
    {"convert", NULL, NULL, NULL},
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *to)
{
    fputs("hilum " HILUM_VERSION ", a DICOM routing gateway\n\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (commands[i].run)
            fprintf(to, "  hilum %-7s %-19s %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    }
    fputs("\n  hilum COMMAND --help   the options of a command\n"
          "  hilum --version        the version\n"
          "\nExit status: 0 done, 1 the work failed, 2 wrong usage.\n",
          to);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to add, drop or change to make one word of the other (Levenshtein). `b` is at most NAME_MAX_BYTES long. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_BYTES + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t changed = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            row[j + 1] = least(changed, least(row[j], diagonal) + 1);
        }
    }
    return row[width];
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* The command whose name is nearest; NULL if nothing of it would stay. */
static const struct command *nearest(const char *name)
{
    const struct command *best = &commands[0];
    for (size_t i = 1; i < COMMAND_COUNT; i++) {
        if (distance(name, commands[i].name) < distance(name, best->name))
            best = &commands[i];
    }
    return distance(name, best->name) < strlen(best->name) ? best : NULL;
}

static int unknown(const char *name)
{
    const struct command *meant = nearest(name);
    fprintf(stderr, "hilum: there is no command \"%s\"", name);
    if (meant)
        fprintf(stderr, "; did you mean \"%s\"?", meant->name);
    fputs("\nhilum --help lists them\n", stderr);
    return WRONG_USAGE;
}

/* What is written names patients: nothing of it is for others, whoever makes the file (SQLite has modes of its own). And a limit on the size of files
 * is an error like a full disk, not the end. */
static void set_manners(void)
{
    enum { NOT_FOR_OTHERS = 027 };
    umask(umask(NOT_FOR_OTHERS) | NOT_FOR_OTHERS);
    signal(SIGXFSZ, SIG_IGN);
}

int main(int argc, char **argv)
{
    set_manners();
    if (argc < 2) {
        print_help(stderr);
        return WRONG_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        print_help(stdout);
        return 0;
    }
    if (strcmp(name, "--version") == 0) {
        puts("hilum " HILUM_VERSION);
        return 0;
    }
    const struct command *command = find(name);
    if (!command)
        return unknown(name);
    if (!command->run) {
        fprintf(stderr, "hilum: \"%s\" is not available in this version\n", name);
        return WRONG_USAGE;
    }
    return command->run(argc - 1, argv + 1);
}
