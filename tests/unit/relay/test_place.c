/* Which member a message goes to, by where its study is and by what is known of the members; and when that one fails. */

#include "../spool/test_spool.h"
#include "relay/balance.h"
#include "relay/circuit.h"
#include "relay/place.h"

enum { MEMBERS = 3, FOR_GOOD_MS = 3600000 };

struct world {
    struct fixture *base;
    struct relay relay;
    struct relay_totals totals;
    struct config_node nodes[MEMBERS];
    const struct config_node *members[MEMBERS];
    unsigned weights[MEMBERS];
    struct config_pool pool;
    unsigned placed; /* calls of on_placed */
};

static int set_up(void **state)
{
    static const char *const names[] = {"pacs1", "pacs2", "pacs3"};
    struct world *f = calloc(1, sizeof(*f));
    *state = f;
    void *base;
    fixture_set_up(&base);
    f->base = base;
    for (size_t i = 0; i < MEMBERS; i++) {
        f->nodes[i] = (struct config_node){.name = (char *)names[i],
                                           .host = (char *)names[i],
                                           .ae_title = (char *)names[i],
                                           .port = 104,
                                           .retry_first_ms = FOR_GOOD_MS,
                                           .retry_most_ms = FOR_GOOD_MS};
        f->members[i] = &f->nodes[i];
        f->weights[i] = 1;
    }
    f->pool = (struct config_pool){
        .members = f->members, .weights = f->weights, .member_count = MEMBERS, .as_node.name = "archive"};
    f->relay = (struct relay){.io = f->base->loop.io,
                              .circuits = circuits_new(),
                              .affinity = affinity_new(NULL),
                              .totals = &f->totals};
    return 0;
}

static int tear_down(void **state)
{
    struct world *f = *state;
    void *base = f->base;
    affinity_free(&f->relay.affinity);
    circuits_free(&f->relay.circuits);
    free(f);
    return fixture_tear_down(&base);
}

static void on_placed(struct place *p)
{
    struct world *f = p->owner;
    f->placed++;
}

/* Of the hash over all. */
static int hashed(const struct world *f, const char *study, uint64_t passed_over)
{
    struct balance b = {.pool = &f->pool, .key = view_of(study)};
    return balance_first(&b, CONFIG_BALANCE_STUDY, passed_over);
}

/* A study whose hash says this member. */
static const char *study_of(const struct world *f, int member, char out[32])
{
    unsigned i = 0;
    do
        snprintf(out, 32, "1.7.%u", i++);
    while (hashed(f, out, 0) != member);
    return out;
}

static void wait_for(struct world *f, struct place *p, enum place_found found)
{
    if (found == PLACE_SOON) {
        assert_true(place_is_busy(p));
        LOOP_UNTIL(&f->base->loop, !place_is_busy(p));
    }
}

static void begin(struct world *f, struct place *p, const char *study)
{
    *p = (struct place){
        .relay = &f->relay, .pool = &f->pool, .owner = f, .on_placed = on_placed, .is_kept = true};
    enum place_found found = place_begin(p, view_of(study), view_of("1.9"));
    assert_int_not_equal(found, PLACE_NONE);
    wait_for(f, p, found);
}

static int where(const struct place *p)
{
    return balance_member(p->pool, p->member->name);
}

/* Where such a message goes now. */
static int goes_to(struct world *f, const char *study)
{
    struct place p;
    begin(f, &p, study);
    place_end(&p);
    return where(&p);
}

static enum place_found go_on(struct world *f, struct place *p)
{
    enum place_found found = place_next(p);
    wait_for(f, p, found);
    return found;
}

static void open_circuit(struct world *f, int i)
{
    circuit_sign(f->relay.circuits, f->members[i], CIRCUIT_UNREACHABLE, "refused", clock_ms());
}

static void close_circuit(struct world *f, int i)
{
    circuit_sign(f->relay.circuits, f->members[i], CIRCUIT_SUCCESS, NULL, clock_ms());
}

static void a_study_goes_by_its_hash_and_stays(void **state)
{
    struct world *f = *state;
    struct place p;
    int first = hashed(f, "1.2", 0);
    begin(f, &p, "1.2");
    assert_int_equal(where(&p), first);
    assert_true(p.is_new && p.may_try && p.is_safe);
    place_end(&p);
    begin(f, &p, "1.2");
    assert_int_equal(where(&p), first);
    assert_false(p.is_new);
    place_end(&p);
    begin(f, &p, ""); /* by its instance's UID */
    assert_int_equal(where(&p), hashed(f, "1.9", 0));
    place_end(&p);
}

static void a_study_that_has_moved_stays_where_it_is(void **state)
{
    struct world *f = *state;
    int first = goes_to(f, "1.2"), second = hashed(f, "1.2", 1 << first);
    open_circuit(f, first);
    assert_int_equal(goes_to(f, "1.2"), second);
    close_circuit(f, first);
    assert_int_equal(goes_to(f, "1.2"), second);
    open_circuit(f, second);
    assert_int_equal(goes_to(f, "1.2"), first);
}

static void a_pool_that_waits_keeps_studies_where_they_began(void **state)
{
    struct world *f = *state;
    struct place p;
    f->pool.waits = true;
    int first = goes_to(f, "1.2");
    open_circuit(f, first);
    begin(f, &p, "1.2");
    assert_int_equal(where(&p), first);
    assert_false(p.may_try);
    place_end(&p);
    char uid[32]; /* a new one of the same member goes elsewhere all the same */
    const char *study = study_of(f, first, uid);
    assert_int_equal(goes_to(f, study), hashed(f, study, 1 << first));
}

/* A crash may have lost that it began where the hash says: another member would not know it. */
static void what_stays_and_nobody_remembers_waits_where_the_hash_says(void **state)
{
    struct world *f = *state;
    int first = hashed(f, "1.2", 0);
    struct place p = {.relay = &f->relay,
                      .pool = &f->pool,
                      .owner = f,
                      .on_placed = on_placed,
                      .is_kept = true,
                      .stays = true};
    open_circuit(f, first);
    wait_for(f, &p, place_begin(&p, view_of(""), view_of("1.2")));
    assert_int_equal(where(&p), first);
    assert_false(p.may_try);
    place_end(&p);
}

/* By an operator. */
static void a_drained_member_keeps_the_studies_that_it_has(void **state)
{
    struct world *f = *state;
    int first = goes_to(f, "1.2");
    circuit_drain(f->relay.circuits, f->members[first], true);
    assert_int_equal(goes_to(f, "1.2"), first);
    for (unsigned i = 0; i < 100; i++) {
        char study[32];
        snprintf(study, sizeof(study), "1.3.%u", i);
        assert_int_equal(goes_to(f, study), hashed(f, study, 1 << first));
    }
    open_circuit(f, first); /* and it is no shelter for others */
    assert_int_not_equal(goes_to(f, "1.2"), first);
    circuit_drain(f->relay.circuits, f->members[first], false);
    close_circuit(f, first);
    unsigned back = 0;
    for (unsigned i = 0; i < 100; i++) {
        char study[32];
        snprintf(study, sizeof(study), "1.4.%u", i);
        back += goes_to(f, study) == first;
    }
    assert_in_range(back, 15, 55);
}

static void where_none_may_be_tried_it_is_the_studys_own(void **state)
{
    struct world *f = *state;
    struct place p;
    int own = goes_to(f, "1.2");
    for (int i = 0; i < MEMBERS; i++)
        open_circuit(f, i);
    begin(f, &p, "1.2");
    assert_int_equal(where(&p), own);
    assert_false(p.may_try);
    place_end(&p);
    begin(f, &p, "1.5");
    assert_int_equal(where(&p), hashed(f, "1.5", 0));
    assert_false(p.may_try);
    assert_int_equal(go_on(f, &p), PLACE_NONE);
    place_end(&p);
    circuit_drain(f->relay.circuits, f->members[hashed(f, "1.6", 0)], true);
    assert_int_equal(goes_to(f, "1.6"), hashed(f, "1.6", 1 << hashed(f, "1.6", 0)));
}

/* Three messages of one study are under way when its member dies. The first to see it decides. */
static void messages_of_a_study_agree_on_the_next_member(void **state)
{
    struct world *f = *state;
    struct place p[3];
    for (int i = 0; i < 3; i++)
        begin(f, &p[i], "1.2");
    int first = where(&p[0]), second = hashed(f, "1.2", 1 << first);
    assert_int_equal(go_on(f, &p[0]), PLACE_SOON);
    assert_int_equal(where(&p[0]), second);
    open_circuit(f, second); /* which would look different to those behind it */
    close_circuit(f, second);
    assert_true(place_has_moved(&p[1]));
    assert_int_equal(go_on(f, &p[1]), PLACE_FOUND);
    assert_int_equal(where(&p[1]), second);
    enum place_found found[2] = {place_next(&p[0]), place_next(&p[2])}; /* in one turn */
    wait_for(f, &p[0], found[0]);
    wait_for(f, &p[2], found[1]);
    int last = hashed(f, "1.2", 1U << first | 1U << second);
    assert_int_equal(where(&p[0]), last);
    assert_int_equal(where(&p[2]), last);
    assert_int_equal(go_on(f, &p[0]), PLACE_NONE);
    assert_true(place_has_failed(&p[0]));
    assert_int_equal(goes_to(f, "1.2"), last);
    for (int i = 0; i < 3; i++)
        place_end(&p[i]);
}

/* From here on what has to last is written. */
static void open_spool(struct world *f)
{
    fixture_open(f->base);
    affinity_free(&f->relay.affinity);
    f->relay.affinity = affinity_new(f->base->spool);
}

/* Two that look at different moments, the second while the first is being written. */
static void who_asks_at_the_same_time_is_told_the_same(void **state)
{
    struct world *f = *state;
    struct place p[2];
    int own = hashed(f, "1.2", 0), next = hashed(f, "1.2", 1 << own);
    open_spool(f);
    for (int i = 0; i < 2; i++)
        p[i] = (struct place){
            .relay = &f->relay, .pool = &f->pool, .owner = f, .on_placed = on_placed, .is_kept = true};
    circuit_drain(f->relay.circuits, f->members[own], true);
    assert_int_equal(place_begin(&p[0], view_of("1.2"), view_of("1.9")), PLACE_SOON);
    circuit_drain(f->relay.circuits, f->members[own], false);
    assert_int_equal(place_begin(&p[1], view_of("1.2"), view_of("1.9")), PLACE_SOON);
    LOOP_UNTIL(&f->base->loop, !place_is_busy(&p[0]) && !place_is_busy(&p[1]));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(where(&p[i]), next);
        assert_true(p[i].is_safe && p[i].may_try);
        place_end(&p[i]);
    }
    assert_true(p[0].is_new);
    assert_false(p[1].is_new);
}

static void what_does_not_last_is_not_safe(void **state)
{
    struct world *f = *state;
    struct place p;
    open_spool(f);
    assert_int_equal(goes_to(f, "1.2"), hashed(f, "1.2", 0)); /* by its hash alone: it need not last */
    assert_true(io_set_faults("fdatasync:1:EIO,fdatasync:2:EIO,fdatasync:3:EIO"));
    open_circuit(f, hashed(f, "1.3", 0));
    begin(f, &p, "1.3");
    assert_false(p.is_safe);
    place_end(&p);
}

/* Its pause is over at once: whoever asks first tries. What is only queued does not. */
static void a_member_that_may_be_back_is_tried_by_one(void **state)
{
    struct world *f = *state;
    struct place queued = {.relay = &f->relay,
                           .pool = &f->pool,
                           .owner = f,
                           .on_placed = on_placed,
                           .is_kept = true,
                           .is_queued = true};
    struct place first, second;
    int own = goes_to(f, "1.2"), next = hashed(f, "1.2", 1 << own);
    char uid[32];
    const char *other = study_of(f, own, uid);
    assert_int_equal(goes_to(f, other), own);
    for (int i = 0; i < MEMBERS; i++)
        f->nodes[i].retry_first_ms = f->nodes[i].retry_most_ms = 1;
    open_circuit(f, own);
    struct circuit_view view = {.state = CIRCUIT_OPEN};
    while (view.state == CIRCUIT_OPEN) {
        loop_turn(&f->base->loop);
        circuit_look(f->relay.circuits, f->members[own], io_now(f->base->loop.io), &view);
    }
    wait_for(f, &queued, place_begin(&queued, view_of(other), view_of("1.9")));
    assert_int_not_equal(where(&queued), own);
    place_end(&queued);
    begin(f, &first, "1.2");
    assert_int_equal(where(&first), own);
    assert_true(first.is_trial);
    begin(f, &second, "1.2");
    assert_int_equal(where(&second), next);
    place_end(&first); /* nothing came of it: another may */
    assert_false(first.is_trial);
    close_circuit(f, next);
    place_end(&second);
    circuit_look(f->relay.circuits, f->members[own], io_now(f->base->loop.io), &view);
    assert_false(view.is_trying);
}

static void without_studies_the_next_in_turn_is_tried(void **state)
{
    struct world *f = *state;
    struct place p;
    f->pool.balance = CONFIG_BALANCE_ROUND_ROBIN;
    for (int turn = 0; turn < 6; turn++)
        assert_int_equal(goes_to(f, "1.2"), turn % MEMBERS);
    f->pool.balance = CONFIG_BALANCE_FAILOVER;
    begin(f, &p, "1.2");
    assert_int_equal(where(&p), 0);
    assert_int_equal(go_on(f, &p), PLACE_FOUND);
    assert_int_equal(where(&p), 1);
    assert_int_equal(go_on(f, &p), PLACE_FOUND);
    assert_int_equal(where(&p), 2);
    assert_int_equal(go_on(f, &p), PLACE_NONE);
    place_end(&p);
    f->pool.balance = CONFIG_BALANCE_LEAST;
    circuit_add_outstanding(f->relay.circuits, f->members[0], 2000);
    circuit_add_outstanding(f->relay.circuits, f->members[1], 3000);
    assert_int_equal(goes_to(f, "1.2"), 2);
    circuit_add_outstanding(f->relay.circuits, f->members[2], 2500);
    assert_int_equal(goes_to(f, "1.2"), 0);
    f->weights[1] = 3;
    assert_int_equal(goes_to(f, "1.2"), 1);
    assert_int_equal(f->placed, 0);
}

/* A reload has left out the member that has the study. */
static void a_member_that_is_no_more_in_the_pool_is_replaced(void **state)
{
    struct world *f = *state;
    char uid[32];
    const char *study = study_of(f, MEMBERS - 1, uid);
    assert_int_equal(goes_to(f, study), MEMBERS - 1);
    f->pool.member_count--;
    int now = hashed(f, study, 0);
    assert_int_equal(goes_to(f, study), now);
    f->pool.member_count++;
    assert_int_equal(goes_to(f, study), now); /* it stays there */
}

int main(void)
{
#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_study_goes_by_its_hash_and_stays),
        TEST(a_study_that_has_moved_stays_where_it_is),
        TEST(a_pool_that_waits_keeps_studies_where_they_began),
        TEST(what_stays_and_nobody_remembers_waits_where_the_hash_says),
        TEST(a_drained_member_keeps_the_studies_that_it_has),
        TEST(where_none_may_be_tried_it_is_the_studys_own),
        TEST(messages_of_a_study_agree_on_the_next_member),
        TEST(who_asks_at_the_same_time_is_told_the_same),
        TEST(what_does_not_last_is_not_safe),
        TEST(a_member_that_may_be_back_is_tried_by_one),
        TEST(without_studies_the_next_in_turn_is_tried),
        TEST(a_member_that_is_no_more_in_the_pool_is_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
