/* hilum queue: finds the queue of a configuration, and opens its index as the verb needs it. */
#include "command/queue.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/command.h"
#include "command/json.h"
#include "script/load.h"
#include "spool/look.h"

static const char help[] =
    "hilum queue CONFIG [list|show ID|retry|drop|export]   look into the durable queue, and act on it\n\n"
    "  list               what is there, after a summary by node; this is the default\n"
    "  show ID            all of one entry, and what has been tried\n"
    "  retry [ID...]      queued again, at once; without a choice, all that waits or has failed\n"
    "    --to NODE          for another node of CONFIG\n"
    "  drop [ID...]       given up, for good; asks before\n"
    "    --yes              does not ask\n"
    "  export [ID...]     written as files of Part 10, as they would go out\n"
    "    --out DIR          into this folder, as ID.dcm\n\n"
    "Which ones, without IDs:\n"
    "  --node NAME        of this node\n"
    "  --state STATE,...  held queued waiting failed (these are `live`), delivered dropped expired relayed;\n"
    "                     or `all`. Without it what is live, and with list --instance all\n"
    "  --study UID        of this study\n"
    "  --instance UID     this instance, by the UID it came with or went out with\n"
    "  --older TIME       queued longer ago than that: 30s, 10m, 2h, 7d\n"
    "  --all              every one of them; list: ended ones too\n"
    "  --limit N          so many at most; list: 100 if nothing is said; 0: all\n"
    "  --after ID         list: those behind this one\n\n"
    "  --json             the result as a JSON object\n"
    "  --help             this text\n\n"
    "Works beside a running gateway and without one.\n"
    "Exit status: 0 done, 1 it failed, 2 wrong usage\n";

enum { WHY_BYTES = SPOOL_PATH_MAX + 256, BEHIND_MS = 1000 };

void queue_say(const char *what, const char *why)
{
    fprintf(stderr, "hilum queue: %s: %s\n", what, why);
}

void queue_fail(struct queue *q, const char *what, const char *why)
{
    queue_say(what, why);
    q->has_failed = true;
    if (!q->failures)
        q->failures = json_array();
    json_array_append_new(q->failures, json_pack("{s:o, s:o}", "what", command_json_text(what), "reason",
                                                 command_json_text(why)));
}

json_t *queue_failures(const struct queue *q)
{
    return q->failures ? json_incref(q->failures) : json_array();
}

/* --- the configuration ------------------------------------------------------------------------------------------- */

/* Its errors only: warnings are for check. */
static void tell_errors(const struct problems *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (!p->items[i].is_warning)
            fprintf(stderr, "%s\n", p->items[i].text);
}

static enum result open_config(struct queue *q)
{
    struct problems problems = {0};
    enum result r = script_load(q->o.config, &q->config, &problems);
    if (r != OK)
        tell_errors(&problems);
    problems_free(&problems);
    if (r == OK && q->config->spool.is_off) {
        queue_say(q->o.config, "there is no queue: gateway.spool is false");
        return ERR_IO;
    }
    return r;
}

static void complain_node(const struct queue *q, const char *option, const char *name, const char *why)
{
    fprintf(stderr, "hilum queue: %s %s: %s; the nodes are", option, name, why);
    for (size_t i = 0; i < q->config->node_count; i++)
        fprintf(stderr, "%s \"%s\"", i > 0 ? "," : "", q->config->nodes[i].name);
    fputc('\n', stderr);
}

/* A node that is in neither would be an empty list, and a wrong name never found. */
static enum result judge_nodes(struct queue *q)
{
    const char *node = q->o.node, *to = q->o.to;
    struct queue_rows rows = {0};
    enum result r = OK;
    if (to && !config_node_named(q->config, to)) {
        complain_node(q, "--to", to, "the configuration has no such node");
        return ERR_USAGE;
    }
    if (!node || config_node_named(q->config, node))
        return OK;
    r = index_list(q->index, &(struct index_filter){.node = node, .max = 1}, queue_rows_take, &rows);
    if (r == OK && rows.count == 0) {
        complain_node(q, "--node", node, "neither the configuration nor the queue has such a node");
        r = ERR_USAGE;
    }
    queue_rows_free(&rows);
    return r;
}

/* --- the spool --------------------------------------------------------------------------------------------------- */

/* What root would make there, the gateway could not open again. */
static bool may_open(const char *path)
{
    struct stat s;
    char why[96];
    if (stat(path, &s) != 0 || s.st_uid == geteuid())
        return true;
    snprintf(why, sizeof(why), "no gateway runs, and this belongs to user %u: run it as that user",
             (unsigned)s.st_uid);
    queue_say(path, why);
    return false;
}

static enum result open_index(struct queue *q, bool is_read_only)
{
    char path[SPOOL_PATH_MAX], why[WHY_BYTES] = "";
    if (!look_index_path(q->config->spool.path, path)) {
        queue_say(q->config->spool.path, "the path is too long");
        return ERR_IO;
    }
    enum result r = index_open(path, is_read_only, &q->index, why, sizeof(why));
    if (r == OK || r == ERR_MEMORY)
        return r;
    fprintf(stderr, "hilum queue: %s\n", why);
    return ERR_IO;
}

enum result queue_spool_open(struct queue *q)
{
    const struct config_spool *s = &q->config->spool;
    struct spool_options options = {.path = s->path,
                                    .max_bytes = s->max_bytes,
                                    .reserve = s->reserve,
                                    .history_ms = q->config->history_ms};
    char why[WHY_BYTES] = "";
    enum result r = may_open(s->path) ? spool_open(&options, &q->spool, why, sizeof(why)) : ERR_IO;
    if (r != OK && r != ERR_MEMORY && why[0] != '\0')
        fprintf(stderr, "hilum queue: %s\n", why);
    return r == OK || r == ERR_MEMORY ? r : ERR_IO;
}

void queue_spool_close(struct queue *q)
{
    if (q->spool)
        spool_close(&q->spool);
}

/* A gateway that was killed has left in its log what the index has not: whoever opens the spool reads it. */
static enum result catch_up(struct queue *q)
{
    char path[SPOOL_PATH_MAX], why[WHY_BYTES] = "";
    struct index *i = NULL;
    bool is_behind = true;
    if (look_index_path(q->config->spool.path, path) && index_open(path, true, &i, why, sizeof(why)) == OK &&
        look_is_behind(q->config->spool.path, i, &is_behind) != OK)
        is_behind = true;
    index_close(&i);
    return is_behind ? queue_spool_open(q) : OK;
}

static enum result open_spool(struct queue *q)
{
    const char *path = q->config->spool.path;
    char why[WHY_BYTES] = "";
    enum result r = look_at_folder(path, why, sizeof(why));
    if (r == OK)
        r = look_is_in_use(path, &q->is_in_use, why, sizeof(why));
    if (r != OK) {
        fprintf(stderr, "hilum queue: %s\n", why);
        return ERR_IO;
    }
    if (!q->is_in_use)
        r = catch_up(q);
    queue_spool_close(q);
    if (r == OK)
        r = open_index(q, q->o.verb != QUEUE_RETRY && q->o.verb != QUEUE_DROP);
    if (r == OK && q->is_in_use) /* what was acknowledged a moment ago is to be seen */
        r = look_wait(path, q->index, BEHIND_MS);
    return r;
}

/* --- the command ------------------------------------------------------------------------------------------------- */

static enum result do_verb(struct queue *q)
{
    switch (q->o.verb) {
    case QUEUE_LIST:
        return queue_list(q);
    case QUEUE_SHOW:
        return queue_show(q);
    case QUEUE_RETRY:
    case QUEUE_DROP:
        return queue_act(q);
    case QUEUE_EXPORT:
        return queue_export(q);
    }
    return ERR_USAGE;
}

static int run(struct queue *q)
{
    enum result r = open_config(q);
    int failed = COMMAND_FAILED;
    if (r == OK)
        log_configure(LOG_WARN, q->config->log_format);
    if (r == OK)
        r = open_spool(q);
    if (r == OK) {
        q->now_ms = clock_wall_ms();
        r = judge_nodes(q);
        failed = r == ERR_USAGE ? COMMAND_WRONG_USAGE : COMMAND_FAILED;
    }
    if (r == OK)
        r = do_verb(q);
    if (r == ERR_MEMORY)
        fputs("hilum queue: no memory\n", stderr);
    if (r == OK && (fflush(stdout) != 0 || ferror(stdout))) {
        fputs("hilum queue: the result cannot be written\n", stderr);
        r = ERR_IO;
    }
    queue_spool_close(q);
    index_close(&q->index);
    json_decref(q->failures);
    config_unref(&q->config);
    return r == OK && !q->has_failed ? COMMAND_DONE : failed;
}

int command_queue(int argc, char **argv)
{
    struct queue q = {0};
    int status = COMMAND_WRONG_USAGE;
    if (queue_options_parse(argc, argv, &q.o)) {
        if (q.o.help)
            fputs(help, stdout);
        status = q.o.help ? COMMAND_DONE : run(&q);
    }
    queue_options_free(&q.o);
    return status;
}
