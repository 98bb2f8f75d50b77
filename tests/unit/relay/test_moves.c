/* C-MOVEs through us: where archives are told to move to, and to which move what they send belongs. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/uid.h"
#include "relay/moves.h"

enum { PACS, OLD, TWIN, VIEWER, SHELF, DISK, NODES };
enum { RETRIEVE, OTHER, ROUTES };

static struct config_move moves_of_pacs[] = {
    {(char *)"WS1", (char *)"WS_ONE"}, {(char *)"RAD*", (char *)"RADIOLOGY"}, {(char *)"*", NULL}};

/* PACS and TWIN have one title at two hosts; OLD knows us by another title. */
struct scene {
    struct config_node nodes[NODES];
    struct config_route routes[ROUTES];
    struct config config;
    struct moves *moves;
    struct pool pool;
};

static struct config_node node(size_t index, const char *name, const char *host, const char *title)
{
    return (struct config_node){.name = (char *)name,
                                .index = index,
                                .host = (char *)host,
                                .port = 104,
                                .ae_title = (char *)title,
                                .is_folder = host == NULL};
}

static void set_scene(struct scene *s)
{
    memset(s, 0, sizeof(*s));
    s->nodes[PACS] = node(PACS, "pacs", "10.0.0.1", "ARCHIVE");
    s->nodes[PACS].moves = moves_of_pacs;
    s->nodes[PACS].move_count = 3;
    s->nodes[OLD] = node(OLD, "old", "10.0.0.2", "OLD");
    s->nodes[OLD].calling = CONFIG_CALLING_TITLE;
    s->nodes[OLD].calling_title = (char *)"GATE";
    s->nodes[OLD].moves = &moves_of_pacs[2];
    s->nodes[OLD].move_count = 1;
    s->nodes[TWIN] = node(TWIN, "twin", "10.0.0.3", "ARCHIVE");
    s->nodes[VIEWER] = node(VIEWER, "viewer", "10.0.0.4", "VIEWER");
    s->nodes[SHELF] = node(SHELF, "shelf", "10.0.0.5", "SHELF");
    s->nodes[DISK] = node(DISK, "disk", NULL, NULL);
    s->routes[RETRIEVE] = (struct config_route){.name = (char *)"retrieve", .service = CONFIG_MOVE};
    s->routes[OTHER] = (struct config_route){.name = (char *)"other", .service = CONFIG_MOVE};
    s->config = (struct config){.references = 1,
                                .ae_title = (char *)"HILUM",
                                .nodes = s->nodes,
                                .node_count = NODES,
                                .routes = s->routes,
                                .route_count = ROUTES};
    assert_int_equal(moves_new(&s->moves), OK);
    pool_init(&s->pool, 1 << 20);
}

/* Nothing holds the configuration any more. */
static void end_scene(struct scene *s)
{
    moves_free(&s->moves);
    assert_int_equal(atomic_load(&s->config.references), 1);
    pool_free(&s->pool);
}

/* --- where archives are told to move to */

static void the_table_of_titles_decides_where_an_archive_moves_to(void **state)
{
    static const struct {
        int archive;
        const char *asked, *title;
        int node; /* -1: none */
        const char *why;
    } cases[] = {
        {PACS, "WS1", "WS_ONE", -1, "another title"},
        {PACS, " WS1 ", "WS_ONE", -1, "padded"},
        {PACS, "RAD7", "RADIOLOGY", -1, "by a pattern"},
        {PACS, "VIEWER", "HILUM", VIEWER, "through us"},
        {OLD, "VIEWER", "GATE", VIEWER, "through us, who are GATE there"},
        {TWIN, "VIEWER", "VIEWER", -1, "no table: as it is"},
        {TWIN, "NOBODY", "NOBODY", -1, "no table: whoever that is, the archive knows"},
    };
    struct scene s;
    struct moves_target t;
    char why[65];
    (void)state;
    set_scene(&s);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (!moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[cases[i].archive], NULL,
                          view_of(cases[i].asked), &t, why))
            fail_msg("%s: %s", cases[i].why, why);
        assert_int_equal(t.title.len, strlen(cases[i].title));
        assert_memory_equal(t.title.at, cases[i].title, t.title.len);
        assert_ptr_equal(t.node, cases[i].node < 0 ? NULL : &s.nodes[cases[i].node]);
    }
    end_scene(&s);
}

static void a_title_that_is_passed_on_would_lead_the_archive_past_us(void **state)
{
    struct scene s;
    struct moves_target t;
    char why[65];
    (void)state;
    set_scene(&s);
    s.nodes[OLD].calling = CONFIG_CALLING_PASS;
    assert_true(
        moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[OLD], NULL, view_of("VIEWER"), &t, why));
    assert_memory_equal(t.title.at, "HILUM", t.title.len);
    end_scene(&s);
}

static void a_destination_that_is_none_is_refused_and_named(void **state)
{
    struct scene s;
    struct moves_target t;
    char why[65];
    (void)state;
    set_scene(&s);
    assert_false(
        moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], NULL, view_of("NOWHERE"), &t, why));
    assert_string_equal(why, "no node of ours has the title NOWHERE");
    assert_false(moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], NULL, view_of("  "), &t, why));
    assert_false(moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], NULL,
                              view_of("LONGER_THAN_SIXTEEN"), &t, why));
    end_scene(&s);
}

static void of_several_nodes_with_a_title_it_is_the_one_that_asks(void **state)
{
    struct scene s;
    struct moves_target t;
    char why[65];
    bool came_from[NODES] = {false};
    (void)state;
    set_scene(&s);
    s.nodes[SHELF].ae_title = (char *)"VIEWER";
    assert_false(
        moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], NULL, view_of("VIEWER"), &t, why));
    assert_string_equal(why, "several nodes of ours have the title VIEWER");
    assert_false(
        moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], came_from, view_of("VIEWER"), &t, why));
    came_from[SHELF] = true;
    assert_true(
        moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], came_from, view_of("VIEWER"), &t, why));
    assert_ptr_equal(t.node, &s.nodes[SHELF]);
    came_from[VIEWER] = true;
    assert_false(
        moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], came_from, view_of("VIEWER"), &t, why));
    s.nodes[SHELF].host = s.nodes[VIEWER].host; /* declared twice */
    assert_true(
        moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[PACS], NULL, view_of("VIEWER"), &t, why));
    end_scene(&s);
}

static void nothing_goes_back_to_the_archive_unless_the_route_says_so(void **state)
{
    struct scene s;
    struct moves_target t;
    char why[65];
    (void)state;
    set_scene(&s);
    assert_false(moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[OLD], NULL, view_of("OLD"), &t, why));
    assert_string_equal(why, "OLD: it would come back to where it is");
    s.routes[RETRIEVE].back_to_sender = true;
    assert_true(moves_target(&s.config, &s.routes[RETRIEVE], &s.nodes[OLD], NULL, view_of("OLD"), &t, why));
    assert_ptr_equal(t.node, &s.nodes[OLD]);
    end_scene(&s);
}

/* --- to which move an instance belongs */

/* An identifier in Implicit VR Little Endian: level, and one key. */
static void identify(struct scene *s, struct slices *out, const char *level, uint16_t group, uint16_t number,
                     const char *value)
{
    struct buf *b = buf_new(&s->pool);
    uint8_t *p = b->data;
    const struct {
        uint16_t group, number;
        const char *value;
    } elements[2] = {{0x0008, 0x0052, level}, {group, number, value}};
    bool swapped = group == 0x0008 && number < 0x0052;
    *out = (struct slices){0};
    for (unsigned i = 0; i < 2; i++) {
        unsigned n = swapped ? 1 - i : i;
        size_t len = strlen(elements[n].value), even = (len + 1) & ~(size_t)1;
        put_le16(p, elements[n].group);
        put_le16(p + 2, elements[n].number);
        put_le32(p + 4, (uint32_t)even);
        p[8 + even - 1] = ' ';
        memcpy(p + 8, elements[n].value, len);
        p += 8 + even;
    }
    assert_true(slices_push(out, b, b->data, (uint32_t)(p - b->data)));
    buf_unref(&b);
}

struct asking {
    int archive, destination;
    uint16_t client_id;
    const char *level; /* NULL: there is no identifier */
    uint16_t group, number;
    const char *value;
    uint64_t now_ms;
};

static struct move *begin(struct scene *s, const struct asking *a)
{
    struct slices identifier = {0};
    struct move *move = NULL;
    struct moves_order order = {.config = &s->config,
                                .route = &s->routes[RETRIEVE],
                                .archive = &s->nodes[a->archive],
                                .destination = &s->nodes[a->destination],
                                .client = "CLIENT",
                                .client_id = a->client_id,
                                .transfer_syntax = DICOM_IMPLICIT_VR_LE};
    if (a->level) {
        identify(s, &identifier, a->level, a->group, a->number, a->value);
        order.identifier = &identifier;
    }
    assert_int_equal(moves_begin(s->moves, &order, a->now_ms, &move), OK);
    slices_clear(&identifier);
    return move;
}

static struct moves_instance named(const struct scene *s, const char *calling, const char *title, uint16_t id)
{
    return (struct moves_instance){.config = &s->config,
                                   .calling = calling,
                                   .has_originator = true,
                                   .originator_title = view_of(title),
                                   .originator_id = id,
                                   .keys = {[MOVE_IMAGE] = view_of("1.2.3.1.1")}};
}

static struct moves_instance unnamed(const struct scene *s, const char *calling, const char *study)
{
    return (struct moves_instance){.config = &s->config,
                                   .calling = calling,
                                   .keys = {[MOVE_PATIENT] = view_of("P1"),
                                            [MOVE_STUDY] = view_of(study),
                                            [MOVE_SERIES] = view_of("1.2.3.1"),
                                            [MOVE_IMAGE] = view_of("1.2.3.1.1")},
                                   .is_read = true};
}

static void finds(struct scene *s, const struct moves_instance *i, uint64_t now_ms,
                  const struct move *expected)
{
    struct move *found;
    enum moves_found how = moves_find(s->moves, i, now_ms, &found);
    assert_int_equal(how, expected ? MOVES_ONE : MOVES_NONE);
    assert_ptr_equal(found, expected);
    move_unref(&found);
}

static void finds_none(struct scene *s, const struct moves_instance *i, enum moves_found how)
{
    struct move *found;
    assert_int_equal(moves_find(s->moves, i, 0, &found), how);
    assert_null(found);
}

#define STUDY "STUDY", 0x0020, 0x000D

static void the_originator_tells_of_two_moves_from_one_archive(void **state)
{
    struct scene s;
    struct moves_instance i;
    (void)state;
    set_scene(&s);
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, NULL, 0, 0, NULL, 0});
    struct move *b = begin(&s, &(struct asking){PACS, SHELF, 7, NULL, 0, 0, NULL, 0});
    assert_int_not_equal(a->message_id, b->message_id);
    assert_string_equal(a->client, "CLIENT");
    assert_int_equal(a->client_id, 7);
    i = named(&s, "ARCHIVE", "HILUM", a->message_id);
    finds(&s, &i, 0, a);
    i = named(&s, "ARCHIVE", "HILUM", b->message_id);
    finds(&s, &i, 0, b);
    i = named(&s, "ARCHIVE", "ARCHIVE", b->message_id); /* quirk 27 */
    finds(&s, &i, 0, b);
    moves_end(s.moves, &a, 0);
    moves_end(s.moves, &b, 0);
    end_scene(&s);
}

static void what_names_another_originator_belongs_to_no_move(void **state)
{
    struct scene s;
    struct moves_instance i;
    (void)state;
    set_scene(&s);
    struct move *a = begin(&s, &(struct asking){OLD, VIEWER, 7, STUDY, "1.2.3", 0});
    const struct {
        const char *calling, *title;
        int off;
    } cases[] = {
        {"OLD", "GATE", 1},     /* another move's id */
        {"OLD", "HILUM", 0},    /* not the title that this archive knows us by */
        {"OLD", "SOMEBODY", 0}, /* somebody else's C-MOVE to us */
        {"ARCHIVE", "GATE", 0}, /* another archive */
        {"OLD", "", 0},
    };
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        i = named(&s, cases[n].calling, cases[n].title, (uint16_t)(a->message_id + cases[n].off));
        finds_none(&s, &i, MOVES_NONE);
    }
    i = named(&s, "OLD", "GATE", a->message_id);
    finds(&s, &i, 0, a);
    moves_end(s.moves, &a, 0);
    end_scene(&s);
}

/* Two archives of one title are told apart by address, where that is known; an address that is nobody's says nothing. */
static void an_archive_is_known_by_address_where_titles_are_alike(void **state)
{
    struct scene s;
    bool from[NODES] = {0};
    (void)state;
    set_scene(&s);
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, NULL, 0, 0, NULL, 0});
    struct moves_instance i = named(&s, "ARCHIVE", "HILUM", a->message_id);
    i.came_from = from;
    finds(&s, &i, 0, a);
    from[TWIN] = true;
    finds_none(&s, &i, MOVES_NONE);
    from[TWIN] = false;
    from[PACS] = true;
    finds(&s, &i, 0, a);
    moves_end(s.moves, &a, 0);
    end_scene(&s);
}

static void without_an_originator_what_was_asked_for_tells(void **state)
{
    static const struct {
        const char *level;
        uint16_t group, number;
        const char *value;
        bool is_unread_enough, belongs;
    } cases[] = {
        {"PATIENT", 0x0010, 0x0020, "P1", false, true},
        {"PATIENT", 0x0010, 0x0020, "P2", false, false},
        {"STUDY", 0x0020, 0x000D, "1.2.3", false, true},
        {"STUDY", 0x0020, 0x000D, "1.2.4\\1.2.3", false, true},
        {"STUDY", 0x0020, 0x000D, "1.2.34", false, false},
        {"STUDY", 0x0020, 0x000D, "1.2", false, false},
        {"SERIES", 0x0020, 0x000E, "1.2.3.1", false, true},
        {"IMAGE", 0x0008, 0x0018, "1.2.3.1.2\\1.2.3.1.1", true, true},
        {"IMAGE", 0x0008, 0x0018, "1.2.3.1.2", true, false},
    };
    struct scene s;
    (void)state;
    set_scene(&s);
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, cases[n].level, cases[n].group,
                                                    cases[n].number, cases[n].value, 0});
        struct moves_instance i = unnamed(&s, "ARCHIVE", "1.2.3");
        finds(&s, &i, 0, cases[n].belongs ? a : NULL);
        i.is_read = false;
        if (cases[n].is_unread_enough)
            finds(&s, &i, 0, cases[n].belongs ? a : NULL);
        else
            finds_none(&s, &i, MOVES_UNREAD);
        i.calling = "OLD";
        finds_none(&s, &i, MOVES_NONE);
        moves_end(s.moves, &a, 0);
        moves_free(&s.moves);
        assert_int_equal(moves_new(&s.moves), OK);
    }
    end_scene(&s);
}

static void what_two_moves_asked_for_is_nobodys_unless_they_are_alike(void **state)
{
    struct scene s;
    (void)state;
    set_scene(&s);
    struct moves_instance i = unnamed(&s, "ARCHIVE", "1.2.3");
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, STUDY, "1.2.3", 0});
    struct move *b = begin(&s, &(struct asking){PACS, VIEWER, 8, STUDY, "1.2.3", 0});
    finds(&s, &i, 0, a); /* to one destination: the older */
    struct move *c = begin(&s, &(struct asking){PACS, SHELF, 9, STUDY, "1.2.3", 0});
    finds_none(&s, &i, MOVES_SEVERAL);
    moves_end(s.moves, &c, 0);
    finds(&s, &i, 0, a); /* one that is over counts only where none goes on */
    moves_end(s.moves, &a, 0);
    finds(&s, &i, 0, b);
    moves_end(s.moves, &b, 0);
    end_scene(&s);
}

/* What such an archive sends without one, a study that it forwards by itself, say, is something else. */
static void an_archive_that_names_the_originator_is_held_to_it(void **state)
{
    struct scene s;
    (void)state;
    set_scene(&s);
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, STUDY, "1.2.3", 0});
    struct moves_instance i = unnamed(&s, "ARCHIVE", "1.2.3");
    struct moves_instance with = named(&s, "ARCHIVE", "HILUM", a->message_id);
    finds(&s, &i, 0, a);
    finds(&s, &with, 0, a);
    finds_none(&s, &i, MOVES_NONE);
    moves_end(s.moves, &a, 0);
    /* In later moves as well, before the first that it sends for them. Another archive is another. */
    struct move *b = begin(&s, &(struct asking){PACS, VIEWER, 8, STUDY, "1.2.3", 3 * MOVES_GRACE_MS});
    struct move *c = begin(&s, &(struct asking){OLD, SHELF, 9, STUDY, "1.2.3", 3 * MOVES_GRACE_MS});
    struct moves_instance other = unnamed(&s, "OLD", "1.2.3");
    finds_none(&s, &i, MOVES_NONE);
    finds(&s, &other, 3 * MOVES_GRACE_MS, c);
    moves_end(s.moves, &b, 3 * MOVES_GRACE_MS);
    moves_end(s.moves, &c, 3 * MOVES_GRACE_MS);
    end_scene(&s);
}

static void a_move_is_remembered_for_a_while_after_its_end(void **state)
{
    struct scene s;
    (void)state;
    set_scene(&s);
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, STUDY, "1.2.3", 1000});
    struct moves_instance i = named(&s, "ARCHIVE", "HILUM", a->message_id);
    const struct move *same = a;
    finds(&s, &i, 500000, a); /* however long it takes */
    moves_end(s.moves, &a, 500000);
    assert_null(a);
    finds(&s, &i, 499999, same); /* by a worker whose clock has not been read since */
    finds(&s, &i, 500000 + MOVES_GRACE_MS - 1, same);
    finds(&s, &i, 500000 + MOVES_GRACE_MS, NULL);
    end_scene(&s);
}

static void what_was_found_outlives_the_registry_s_memory_of_it(void **state)
{
    struct scene s;
    struct move *found;
    (void)state;
    set_scene(&s);
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, STUDY, "1.2.3", 0});
    struct moves_instance i = named(&s, "ARCHIVE", "HILUM", a->message_id);
    assert_int_equal(moves_find(s.moves, &i, 0, &found), MOVES_ONE);
    moves_end(s.moves, &a, 0);
    finds(&s, &i, MOVES_GRACE_MS, NULL);
    assert_string_equal(found->client, "CLIENT");
    move_unref(&found);
    end_scene(&s);
}

/* --- bounds */

static void no_two_moves_share_a_message_id(void **state)
{
    struct scene s;
    static struct move *all[MOVES_MAX];
    static bool is_used[65536];
    struct move *one_more = NULL;
    (void)state;
    set_scene(&s);
    memset(is_used, 0, sizeof(is_used));
    struct move *first = begin(&s, &(struct asking){PACS, VIEWER, 7, NULL, 0, 0, NULL, 0});
    is_used[first->message_id] = true;
    for (unsigned round = 0; round < 40; round++) { /* more than there are ids */
        for (unsigned i = 1; i < MOVES_MAX; i++) {
            all[i] = begin(&s, &(struct asking){PACS, VIEWER, 7, NULL, 0, 0, NULL, 0});
            assert_false(is_used[all[i]->message_id]);
            assert_true(all[i]->message_id >= 0x8000);
            is_used[all[i]->message_id] = true;
        }
        struct moves_order order = {.config = &s.config,
                                    .route = &s.routes[RETRIEVE],
                                    .archive = &s.nodes[PACS],
                                    .destination = &s.nodes[VIEWER],
                                    .client = "CLIENT"};
        assert_int_equal(moves_begin(s.moves, &order, 0, &one_more), ERR_LIMIT);
        assert_null(one_more);
        for (unsigned i = 1; i < MOVES_MAX; i++) {
            is_used[all[i]->message_id] = false;
            moves_end(s.moves, &all[i], 0); /* at most MOVES_MAX of these are remembered */
        }
    }
    moves_end(s.moves, &first, 0);
    end_scene(&s);
}

/* --- configurations */

static void a_move_is_seen_by_the_configuration_that_came_with_a_reload(void **state)
{
    struct scene s;
    const struct config_node *to;
    const struct config_route *route;
    (void)state;
    set_scene(&s);
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, NULL, 0, 0, NULL, 0});
    assert_true(move_in(a, &s.config, &to, &route));
    assert_ptr_equal(to, &s.nodes[VIEWER]);
    assert_ptr_equal(route, &s.routes[RETRIEVE]);

    struct config_node nodes[] = {node(0, "viewer", "10.9.9.9", "VIEWER"),
                                  node(1, "pacs", "10.0.0.1", "ARCHIVE")};
    struct config_route routes[] = {{.name = (char *)"other", .service = CONFIG_MOVE},
                                    {.name = (char *)"retrieve", .service = CONFIG_MOVE}};
    struct config next = {
        .references = 1, .nodes = nodes, .node_count = 2, .routes = routes, .route_count = 2};
    assert_true(move_in(a, &next, &to, &route));
    assert_ptr_equal(to, &nodes[0]);
    assert_ptr_equal(route, &routes[1]);
    routes[1].has_morph_response = true; /* not what this one was asked by */
    assert_false(move_in(a, &next, &to, &route));
    routes[1] = (struct config_route){.name = (char *)"retrieve", .service = CONFIG_STORE};
    assert_false(move_in(a, &next, &to, &route));
    next.route_count = 1;
    assert_false(move_in(a, &next, &to, &route));
    next.node_count = 0;
    assert_false(move_in(a, &next, &to, &route));
    moves_end(s.moves, &a, 0);
    end_scene(&s);
}

static void negotiation_is_told_the_destinations_of_an_archive_s_moves(void **state)
{
    struct scene s;
    const struct config_node *list[NODES];
    (void)state;
    set_scene(&s);
    assert_int_equal(moves_destinations(s.moves, &s.config, "ARCHIVE", 0, list), 0);
    struct move *a = begin(&s, &(struct asking){PACS, VIEWER, 7, NULL, 0, 0, NULL, 0});
    struct move *b = begin(&s, &(struct asking){PACS, VIEWER, 8, NULL, 0, 0, NULL, 0});
    struct move *c = begin(&s, &(struct asking){PACS, SHELF, 9, NULL, 0, 0, NULL, 0});
    struct move *d = begin(&s, &(struct asking){OLD, OLD, 9, NULL, 0, 0, NULL, 0});
    assert_int_equal(moves_destinations(s.moves, &s.config, "ARCHIVE", 0, list), 2);
    assert_ptr_equal(list[0], &s.nodes[VIEWER]);
    assert_ptr_equal(list[1], &s.nodes[SHELF]);
    moves_end(s.moves, &c, 0);
    assert_int_equal(moves_destinations(s.moves, &s.config, "ARCHIVE", 0, list), 2);
    assert_int_equal(moves_destinations(s.moves, &s.config, "ARCHIVE", MOVES_GRACE_MS, list), 1);
    assert_int_equal(moves_destinations(s.moves, &s.config, "NOBODY", 0, list), 0);
    moves_end(s.moves, &a, 0);
    moves_end(s.moves, &b, 0);
    moves_end(s.moves, &d, 0);
    end_scene(&s);
}

/* --- threads */

enum { THREADS = 4, TURNS = 2000 };

struct crowd {
    struct scene *s;
    pthread_barrier_t barrier;
    atomic_uint wrong;
};

/* Begins, finds its own and not others', ends; all of them at once. */
static void *move_on(void *arg)
{
    struct crowd *c = arg;
    const struct config_node *list[NODES];
    pthread_barrier_wait(&c->barrier);
    for (unsigned i = 0; i < TURNS; i++) {
        struct moves_order order = {.config = &c->s->config,
                                    .route = &c->s->routes[RETRIEVE],
                                    .archive = &c->s->nodes[PACS],
                                    .destination = &c->s->nodes[VIEWER],
                                    .client = "CLIENT"};
        struct move *mine, *found;
        if (moves_begin(c->s->moves, &order, i, &mine) != OK) {
            atomic_fetch_add(&c->wrong, 1);
            return NULL;
        }
        struct moves_instance one = named(c->s, "ARCHIVE", "HILUM", mine->message_id);
        if (moves_find(c->s->moves, &one, i, &found) != MOVES_ONE || found != mine)
            atomic_fetch_add(&c->wrong, 1);
        if (moves_destinations(c->s->moves, &c->s->config, "ARCHIVE", i, list) != 1)
            atomic_fetch_add(&c->wrong, 1);
        moves_end(c->s->moves, &mine, i);
        move_unref(&found);
    }
    return NULL;
}

static void workers_use_it_side_by_side(void **state)
{
    struct scene s;
    struct crowd c = {.s = &s};
    pthread_t threads[THREADS];
    (void)state;
    set_scene(&s);
    pthread_barrier_init(&c.barrier, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, move_on, &c), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&c.barrier);
    assert_int_equal(atomic_load(&c.wrong), 0);
    end_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_titles_decides_where_an_archive_moves_to),
        cmocka_unit_test(a_title_that_is_passed_on_would_lead_the_archive_past_us),
        cmocka_unit_test(a_destination_that_is_none_is_refused_and_named),
        cmocka_unit_test(of_several_nodes_with_a_title_it_is_the_one_that_asks),
        cmocka_unit_test(nothing_goes_back_to_the_archive_unless_the_route_says_so),
        cmocka_unit_test(the_originator_tells_of_two_moves_from_one_archive),
        cmocka_unit_test(what_names_another_originator_belongs_to_no_move),
        cmocka_unit_test(an_archive_is_known_by_address_where_titles_are_alike),
        cmocka_unit_test(without_an_originator_what_was_asked_for_tells),
        cmocka_unit_test(what_two_moves_asked_for_is_nobodys_unless_they_are_alike),
        cmocka_unit_test(an_archive_that_names_the_originator_is_held_to_it),
        cmocka_unit_test(a_move_is_remembered_for_a_while_after_its_end),
        cmocka_unit_test(what_was_found_outlives_the_registry_s_memory_of_it),
        cmocka_unit_test(no_two_moves_share_a_message_id),
        cmocka_unit_test(a_move_is_seen_by_the_configuration_that_came_with_a_reload),
        cmocka_unit_test(negotiation_is_told_the_destinations_of_an_archive_s_moves),
        cmocka_unit_test(workers_use_it_side_by_side),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
