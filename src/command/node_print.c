#include "command/node_print.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "command/progress.h"
#include "command/queue.h"

enum { COLUMNS = 9, RIGHT = 1 << 5 | 1 << 6 | 1 << 7, TEXT_BYTES = 512 };

static const char *text_of(json_t *node, const char *key)
{
    const char *text = json_string_value(json_object_get(node, key));
    return text ? text : "";
}

static uint64_t number_of(json_t *node, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(node, key));
    return n > 0 ? (uint64_t)n : 0;
}

static bool is_true(json_t *node, const char *key)
{
    return json_is_true(json_object_get(node, key));
}

static void join(char *to, size_t cap, const char *with, const char *text)
{
    size_t len = strlen(to);
    if (text[0] != '\0')
        snprintf(to + len, cap - len, "%s%s", len > 0 ? with : "", text);
}

/* "away 12m", "there". */
static void put_state(struct queue_table *t, json_t *node)
{
    char state[48], span[24] = "";
    bool has_span = json_is_integer(json_object_get(node, "for_ms"));
    if (has_span)
        queue_span(number_of(node, "for_ms"), span);
    snprintf(state, sizeof(state), "%s%s%s", text_of(node, "state"), has_span ? " " : "", span);
    queue_table_put(t, "%s", state);
}

static void put_note(struct queue_table *t, json_t *node)
{
    char note[TEXT_BYTES] = "", next[64] = "", span[24];
    if (is_true(node, "drained"))
        join(note, sizeof(note), "; ", "drained");
    join(note, sizeof(note), "; ", text_of(node, "cause"));
    if (json_is_integer(json_object_get(node, "retry_in_ms"))) {
        queue_span(number_of(node, "retry_in_ms"), span);
        snprintf(next, sizeof(next), "next try in %s", span);
    }
    join(note, sizeof(note), "; ", next);
    queue_table_put(t, "%s", note);
}

static void pools_of(json_t *node, char pools[TEXT_BYTES])
{
    json_t *list = json_object_get(node, "pools");
    pools[0] = '\0';
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        join(pools, TEXT_BYTES, ", ", name ? name : "?");
    }
}

static void put_ae(struct queue_table *t, json_t *node)
{
    char bytes[32] = "", pools[TEXT_BYTES];
    uint64_t most = number_of(node, "max_associations");
    const char *host = text_of(node, "host");
    queue_table_put(t, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, (unsigned)number_of(node, "port"));
    queue_table_put(t, "%s", text_of(node, "ae_title"));
    pools_of(node, pools);
    queue_table_put(t, "%s", pools);
    put_state(t, node);
    queue_table_put(t, "%u", (unsigned)number_of(node, "failures"));
    if (most > 0)
        queue_table_put(t, "%u/%u", (unsigned)number_of(node, "associations"), (unsigned)most);
    else
        queue_table_put(t, "%u", (unsigned)number_of(node, "associations"));
    progress_bytes(number_of(node, "bytes_on_the_way"), bytes);
    queue_table_put(t, "%s", bytes);
    put_note(t, node);
}

static void put_folder(struct queue_table *t, json_t *node)
{
    static const char *const rest[] = {"", "", "there", "", "", "", ""};
    queue_table_put(t, "%s", text_of(node, "folder"));
    for (size_t i = 0; i < sizeof(rest) / sizeof(rest[0]); i++)
        queue_table_put(t, "%s", rest[i]);
}

bool node_print_list(json_t *answer)
{
    static const char *const head[COLUMNS] = {"node",     "address",      "title",      "pools", "state",
                                              "failures", "associations", "on its way", ""};
    struct queue_table t = {.columns = COLUMNS, .right = RIGHT};
    json_t *nodes = json_object_get(answer, "nodes");
    for (unsigned n = 0; n < COLUMNS; n++)
        queue_table_put(&t, "%s", head[n]);
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        json_t *node = json_array_get(nodes, i);
        queue_table_put(&t, "%s", text_of(node, "name"));
        if (strcmp(text_of(node, "kind"), "folder") == 0)
            put_folder(&t, node);
        else
            put_ae(&t, node);
    }
    bool ok = queue_table_print(&t, stdout);
    queue_table_free(&t);
    return ok;
}

bool node_print_change(json_t *answer, const char *name, bool is_drained)
{
    char pools[TEXT_BYTES];
    const char *note = text_of(answer, "note");
    pools_of(json_object_get(answer, "node"), pools);
    if (note[0] != '\0')
        fprintf(stderr, "hilum node: %s: %s\n", name, note);
    if (pools[0] == '\0')
        return printf("%s is %s\n", name, is_drained ? "drained" : "not drained") >= 0;
    return printf(is_drained ? "%s is drained: no new study from %s\n" : "%s takes new studies from %s\n",
                  name, pools) >= 0;
}
