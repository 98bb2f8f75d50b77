#include "relay/moves.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/text.h"
#include "relay/move_keys.h"
#include "relay/proposal.h"

/* Those of our own count: an association numbers its other requests from 1. */
enum { FIRST_ID = 0x8000, IDS = 0x8000 };

TAILQ_HEAD(move_list, move);

struct moves {
    pthread_mutex_t lock;
    struct move_list running, ended; /* the oldest first */
    unsigned running_count, ended_count;
    uint16_t next_id; /* less FIRST_ID */
    char **naming;    /* names of archives that have named an originator */
    size_t naming_count;
    atomic_uint count; /* of both: 0 is seen without the lock */
};

/* --- the registry ------------------------------------------------------------------------------------------------ */

enum result moves_new(struct moves **out)
{
    struct moves *m = calloc(1, sizeof(*m));
    if (!m)
        return ERR_MEMORY;
    pthread_mutex_init(&m->lock, NULL);
    TAILQ_INIT(&m->running);
    TAILQ_INIT(&m->ended);
    /* Not where the process before us began: what that one's archives send late is not ours. */
    m->next_id = (uint16_t)(clock_us() % IDS);
    *out = m;
    return OK;
}

static void move_free(struct move *v)
{
    config_unref(&v->config);
    move_keys_free(&v->keys);
    free(v);
}

void move_unref(struct move **move)
{
    struct move *v = *move;
    *move = NULL;
    if (v && atomic_fetch_sub(&v->references, 1) == 1)
        move_free(v);
}

static void drop_oldest(struct moves *m)
{
    struct move *v = TAILQ_FIRST(&m->ended);
    TAILQ_REMOVE(&m->ended, v, link);
    m->ended_count--;
    atomic_fetch_sub(&m->count, 1);
    move_unref(&v);
}

static void sweep(struct moves *m, uint64_t now_ms)
{
    const struct move *oldest;
    while ((oldest = TAILQ_FIRST(&m->ended)) && now_ms >= oldest->ended_ms + MOVES_GRACE_MS)
        drop_oldest(m);
}

void moves_free(struct moves **mp)
{
    struct moves *m = *mp;
    *mp = NULL;
    if (!m)
        return;
    TAILQ_CONCAT(&m->ended, &m->running, link);
    while (!TAILQ_EMPTY(&m->ended))
        drop_oldest(m);
    for (size_t n = 0; n < m->naming_count; n++)
        free(m->naming[n]);
    free(m->naming);
    pthread_mutex_destroy(&m->lock);
    free(m);
}

/* --- where to ------------------------------------------------------------------------------------------------------ */

static bool is_same_peer(const struct config_node *a, const struct config_node *b)
{
    return strcmp(a->host, b->host) == 0 && a->port == b->port && strcmp(a->ae_title, b->ae_title) == 0;
}

/* The node with this title, and among them that are `of` by node index; NULL: of all. *are_several_out: different peers have it. */
static const struct config_node *node_titled(const struct config *c, const char *title, const bool *of,
                                             bool *are_several_out)
{
    const struct config_node *found = NULL;
    *are_several_out = false;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct config_node *node = &c->nodes[i];
        if (node->is_folder || (of && !of[i]) || strcmp(node->ae_title, title) != 0)
            continue;
        *are_several_out = *are_several_out || (found && !is_same_peer(found, node));
        found = found ? found : node;
    }
    return found;
}

/* Whose instances go to whom does not hang on which of them is declared first: of several peers with the title it is the one that asks. */
static const struct config_node *destination_titled(const struct config *c, const char *title,
                                                    const bool *came_from, bool *are_several_out)
{
    const struct config_node *found = node_titled(c, title, NULL, are_several_out);
    if (!*are_several_out || !came_from)
        return found;
    const struct config_node *client = node_titled(c, title, came_from, are_several_out);
    *are_several_out = *are_several_out || !client;
    return client ? client : found;
}

/* The archive finds us by its own table: a sender's title that is passed on would lead it to the sender. */
static const char *title_of_ours(const struct config *c, const struct config_node *archive)
{
    return archive->calling == CONFIG_CALLING_TITLE ? archive->calling_title : c->ae_title;
}

static bool target_through_us(const struct config *config, const struct config_route *route,
                              const struct config_node *archive, const bool *came_from, const char *asked,
                              struct moves_target *out, char why_out[65])
{
    char title[17];
    bool are_several;
    out->node = destination_titled(config, asked, came_from, &are_several);
    text_printable(title, sizeof(title), asked, strlen(asked));
    if (!out->node)
        snprintf(why_out, 65, "no node of ours has the title %s", title);
    else if (are_several)
        snprintf(why_out, 65, "several nodes of ours have the title %s", title);
    else if (is_same_peer(out->node, archive) && !route->back_to_sender)
        snprintf(why_out, 65, "%s: it would come back to where it is", title);
    else
        return true;
    return false;
}

bool moves_target(const struct config *config, const struct config_route *route,
                  const struct config_node *archive, const bool *came_from, struct view asked,
                  struct moves_target *out, char why_out[65])
{
    struct view title = move_keys_trim(asked);
    char text[17];
    *out = (struct moves_target){0};
    if (title.len == 0 || title.len > 16) {
        snprintf(why_out, 65, "no title to move to");
        return false;
    }
    text_copy(text, sizeof(text), (const char *)title.at, title.len);
    for (size_t i = 0; i < archive->move_count; i++) {
        const struct config_move *m = &archive->moves[i];
        if (!text_glob(m->title, text, title.len))
            continue;
        out->title = view_of(m->as ? m->as : title_of_ours(config, archive));
        return m->as || target_through_us(config, route, archive, came_from, text, out, why_out);
    }
    out->title = title;
    return true;
}

/* --- beginning and end --------------------------------------------------------------------------------------------- */

static struct move *move_new(const struct moves_order *o)
{
    const char *calling = proposal_calling(o->config, o->client, o->archive);
    struct move *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->config = config_ref(o->config);
    v->route = o->route;
    v->archive = o->archive;
    v->destination = o->destination;
    v->client_id = o->client_id;
    text_copy(v->calling, sizeof(v->calling), calling, strlen(calling));
    text_copy(v->client, sizeof(v->client), o->client, strlen(o->client));
    atomic_init(&v->references, 2); /* the registry's, and that of who began it */
    if (o->identifier && !move_keys_take(&v->keys, o->identifier, o->transfer_syntax)) {
        move_free(v);
        return NULL;
    }
    return v;
}

static bool has_id(const struct move_list *list, uint16_t id)
{
    const struct move *v;
    TAILQ_FOREACH (v, list, link)
        if (v->message_id == id)
            return true;
    return false;
}

/* There are far more than moves. */
static uint16_t new_id(struct moves *m)
{
    uint16_t id;
    do {
        id = (uint16_t)(FIRST_ID + m->next_id);
        m->next_id = (uint16_t)((m->next_id + 1) % IDS);
    } while (has_id(&m->running, id) || has_id(&m->ended, id));
    return id;
}

enum result moves_begin(struct moves *m, const struct moves_order *order, uint64_t now_ms, struct move **out)
{
    struct move *v = move_new(order);
    if (!v)
        return ERR_MEMORY;
    pthread_mutex_lock(&m->lock);
    sweep(m, now_ms);
    bool has_room = m->running_count < MOVES_MAX;
    if (has_room) {
        v->message_id = new_id(m);
        TAILQ_INSERT_TAIL(&m->running, v, link);
        m->running_count++;
        atomic_fetch_add(&m->count, 1);
    }
    pthread_mutex_unlock(&m->lock);
    if (!has_room) {
        move_free(v);
        return ERR_LIMIT;
    }
    *out = v;
    return OK;
}

void moves_end(struct moves *m, struct move **move, uint64_t now_ms)
{
    struct move *v = *move;
    if (!v)
        return;
    pthread_mutex_lock(&m->lock);
    sweep(m, now_ms);
    TAILQ_REMOVE(&m->running, v, link);
    m->running_count--;
    v->ended_ms = now_ms;
    TAILQ_INSERT_TAIL(&m->ended, v, link);
    if (++m->ended_count > MOVES_MAX)
        drop_oldest(m);
    pthread_mutex_unlock(&m->lock);
    move_unref(move);
}

/* --- what comes ----------------------------------------------------------------------------------------------------- */

/* Some node is known, by address and title, to be the sender: then it is no other. */
static bool is_from(const struct move *v, const struct moves_instance *i)
{
    const struct config_node *archive = config_node_named(i->config, v->archive->name);
    bool is_known = false;
    if (strcmp(v->archive->ae_title, i->calling) != 0)
        return false;
    for (size_t n = 0; i->came_from && n < i->config->node_count; n++)
        is_known = is_known || i->came_from[n];
    return !is_known || !archive || i->came_from[archive->index];
}

static bool is_title(struct view title, const char *text)
{
    return title.len == strlen(text) && memcmp(title.at, text, title.len) == 0;
}

static bool is_named(const struct move *v, const struct moves_instance *i)
{
    return v->message_id == i->originator_id && is_from(v, i) &&
           (is_title(i->originator_title, v->calling) || is_title(i->originator_title, v->archive->ae_title));
}

static struct move *named_in(const struct move_list *list, const struct moves_instance *i)
{
    struct move *v;
    TAILQ_FOREACH (v, list, link)
        if (is_named(v, i))
            return v;
    return NULL;
}

/* The archive names originators: what comes without one is something that it sends by itself. */
static bool has_named(const struct moves *m, const struct move *v)
{
    for (size_t n = 0; n < m->naming_count; n++)
        if (strcmp(m->naming[n], v->archive->name) == 0)
            return true;
    return false;
}

/* Without memory it is learned the next time. */
static void learn_naming(struct moves *m, const struct move *v)
{
    if (has_named(m, v))
        return;
    char **naming = realloc(m->naming, (m->naming_count + 1) * sizeof(*naming));
    if (!naming)
        return;
    m->naming = naming;
    naming[m->naming_count] = strdup(v->archive->name);
    m->naming_count += naming[m->naming_count] != NULL;
}

/* Sent for one of them or for the other, it goes the same way. */
static bool are_alike(const struct move *a, const struct move *b)
{
    return strcmp(a->destination->name, b->destination->name) == 0 &&
           strcmp(a->route->name, b->route->name) == 0;
}

/* The oldest that asked for it. */
static enum moves_found asked_in(const struct moves *m, const struct move_list *list,
                                 const struct moves_instance *i, struct move **out)
{
    enum moves_found found = MOVES_NONE;
    struct move *v;
    TAILQ_FOREACH (v, list, link) {
        if (!v->keys.values || !is_from(v, i) || has_named(m, v))
            continue;
        if (v->keys.level != MOVE_IMAGE && !i->is_read)
            return MOVES_UNREAD;
        if (!move_keys_have(&v->keys, i->keys[v->keys.level]))
            continue;
        if (found == MOVES_ONE && !are_alike(*out, v))
            return MOVES_SEVERAL;
        *out = found == MOVES_ONE ? *out : v;
        found = MOVES_ONE;
    }
    return found;
}

static enum moves_found find(struct moves *m, const struct moves_instance *i, struct move **out)
{
    if (i->has_originator) {
        *out = named_in(&m->running, i);
        *out = *out ? *out : named_in(&m->ended, i);
        if (*out)
            learn_naming(m, *out);
        return *out ? MOVES_ONE : MOVES_NONE;
    }
    enum moves_found found = asked_in(m, &m->running, i, out);
    return found == MOVES_NONE ? asked_in(m, &m->ended, i, out) : found;
}

enum moves_found moves_find(struct moves *m, const struct moves_instance *i, uint64_t now_ms,
                            struct move **out)
{
    *out = NULL;
    if (!m || atomic_load(&m->count) == 0)
        return MOVES_NONE;
    pthread_mutex_lock(&m->lock);
    sweep(m, now_ms);
    enum moves_found found = find(m, i, out);
    if (found == MOVES_ONE)
        atomic_fetch_add(&(*out)->references, 1);
    else
        *out = NULL;
    pthread_mutex_unlock(&m->lock);
    return found;
}

bool move_in(const struct move *v, const struct config *config, const struct config_node **destination_out,
             const struct config_route **route_out)
{
    *destination_out = v->destination;
    *route_out = v->route;
    if (config == v->config)
        return true;
    const struct config_node *node = config_node_named(config, v->destination->name);
    *destination_out = node;
    for (size_t i = 0; node && !node->is_folder && i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        *route_out = route;
        if (strcmp(route->name, v->route->name) == 0)
            return route->service == CONFIG_MOVE && route->has_morph_response == v->route->has_morph_response;
    }
    return false;
}

static bool has_node(const struct config_node *const *list, size_t count, const struct config_node *node)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == node)
            return true;
    return false;
}

static size_t add_destinations(const struct move_list *list, const struct config *config, const char *calling,
                               const struct config_node **out, size_t count)
{
    const struct config_route *route;
    const struct config_node *node;
    const struct move *v;
    TAILQ_FOREACH (v, list, link)
        if (strcmp(v->archive->ae_title, calling) == 0 && move_in(v, config, &node, &route) &&
            !has_node(out, count, node))
            out[count++] = node;
    return count;
}

size_t moves_destinations(struct moves *m, const struct config *config, const char *calling, uint64_t now_ms,
                          const struct config_node **out)
{
    size_t count = 0;
    if (!m || atomic_load(&m->count) == 0)
        return 0;
    pthread_mutex_lock(&m->lock);
    sweep(m, now_ms);
    count = add_destinations(&m->running, config, calling, out, count);
    count = add_destinations(&m->ended, config, calling, out, count);
    pthread_mutex_unlock(&m->lock);
    return count;
}
