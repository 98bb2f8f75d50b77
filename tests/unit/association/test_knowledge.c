#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "association/knowledge.h"

#define CT       "1.2.840.10008.5.1.4.1.1.2"
#define MR       "1.2.840.10008.5.1.4.1.1.4"
#define IMPLICIT "1.2.840.10008.1.2"
#define EXPLICIT "1.2.840.10008.1.2.1"
#define JPEG     "1.2.840.10008.1.2.4.70"

enum { NOW = 5000, KEPT_MS = 10 * 60 * 1000, UNKNOWN = KNOWLEDGE_UNKNOWN, REFUSED = KNOWLEDGE_REFUSED };

static const struct config_node node = {.host = "10.0.0.1", .port = 104, .ae_title = "PACS"};

static struct view text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

/* The texts up to NULL as views. */
static unsigned views(const char *const *texts, struct view out[8])
{
    unsigned n = 0;
    for (; texts[n]; n++)
        out[n] = text(texts[n]);
    return n;
}

static int choice_of(const struct knowledge *k, const struct config_node *to, const char *calling,
                     const char *abstract_syntax, const char *const *syntaxes, uint64_t now_ms,
                     uint8_t *result_out)
{
    struct view list[8];
    unsigned n = views(syntaxes, list);
    return knowledge_choice(k, to, calling, text(abstract_syntax), list, n, now_ms, result_out);
}

static int choice(const struct knowledge *k, const char *const *syntaxes)
{
    return choice_of(k, &node, "ME", CT, syntaxes, NOW, NULL);
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

/* One context, proposed with a list, answered with a result and a transfer syntax (NULL: none). */
static void learn(struct knowledge *k, const char *const *syntaxes, uint8_t result, const char *answer,
                  uint64_t now_ms)
{
    struct view list[8], chosen = text(answer ? answer : "");
    struct pdu_context asked = {.id = 1, .abstract_syntax = text(CT), .transfer_syntaxes = list};
    struct pdu_context got = {
        .id = 1, .result = result, .transfer_syntaxes = &chosen, .transfer_syntax_count = answer ? 1 : 0};
    struct pdu_associate request = {.contexts = &asked, .context_count = 1};
    struct pdu_associate reply = {.contexts = &got, .context_count = 1};
    asked.transfer_syntax_count = (uint16_t)views(syntaxes, list);
    knowledge_learn(k, &node, "ME", &request, &reply, now_ms);
}

static int setup(void **state)
{
    *state = knowledge_new();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    knowledge_free((struct knowledge **)state);
    return *state ? -1 : 0;
}

static void what_was_never_proposed_is_unknown(void **state)
{
    uint8_t result = 77;
    assert_int_equal(choice(*state, LIST(IMPLICIT)), UNKNOWN);
    assert_int_equal(choice_of(*state, &node, "ME", CT, LIST(IMPLICIT), NOW, &result), UNKNOWN);
    assert_int_equal(result, 77); /* only a refusal has one */
}

static void a_choice_is_known_by_its_place_in_the_list(void **state)
{
    struct knowledge *k = *state;
    learn(k, LIST(JPEG, EXPLICIT, IMPLICIT), 0, EXPLICIT, NOW);
    assert_int_equal(choice(k, LIST(JPEG, EXPLICIT, IMPLICIT)), 1);
}

static void the_chosen_syntax_is_taken_alone_and_the_others_stay_unknown(void **state)
{
    struct knowledge *k = *state;
    learn(k, LIST(JPEG, EXPLICIT, IMPLICIT), 0, IMPLICIT, NOW);
    assert_int_equal(choice(k, LIST(IMPLICIT)), 0);
    assert_int_equal(choice(k, LIST(JPEG)), UNKNOWN);
    assert_int_equal(choice(k, LIST(EXPLICIT)), UNKNOWN);
    /* Another list, or another order, is another question. */
    assert_int_equal(choice(k, LIST(EXPLICIT, JPEG, IMPLICIT)), UNKNOWN);
    assert_int_equal(choice(k, LIST(JPEG, IMPLICIT)), UNKNOWN);
}

static void a_refusal_refuses_the_list_and_each_of_it_alone_with_its_reason(void **state)
{
    struct knowledge *k = *state;
    static const char *const lists[][3] = {{JPEG, EXPLICIT}, {JPEG}, {EXPLICIT}};
    learn(k, LIST(JPEG, EXPLICIT), PDU_CONTEXT_TRANSFER_SYNTAXES, NULL, NOW);
    for (unsigned i = 0; i < 3; i++) {
        uint8_t result = 0;
        assert_int_equal(choice_of(k, &node, "ME", CT, lists[i], NOW, &result), REFUSED);
        assert_int_equal(result, PDU_CONTEXT_TRANSFER_SYNTAXES);
    }
    assert_int_equal(choice(k, LIST(IMPLICIT)), UNKNOWN);
    assert_int_equal(choice(k, LIST(EXPLICIT, JPEG)), UNKNOWN);
}

/* An accepted context without a transfer syntax, or with one that was never proposed, cannot be used (quirk of peers). */
static void an_acceptance_that_cannot_be_used_is_a_refusal(void **state)
{
    struct knowledge *k = *state;
    learn(k, LIST(JPEG), 0, NULL, NOW);
    assert_int_equal(choice(k, LIST(JPEG)), REFUSED);
    learn(k, LIST(EXPLICIT, IMPLICIT), 0, JPEG, NOW);
    assert_int_equal(choice(k, LIST(EXPLICIT, IMPLICIT)), REFUSED);
    assert_int_equal(choice(k, LIST(EXPLICIT)), UNKNOWN); /* it might be taken another time */
}

static void the_newest_answer_counts(void **state)
{
    struct knowledge *k = *state;
    learn(k, LIST(JPEG, EXPLICIT), 0, JPEG, NOW);
    learn(k, LIST(JPEG, EXPLICIT), 0, EXPLICIT, NOW);
    assert_int_equal(choice(k, LIST(JPEG, EXPLICIT)), 1);
    learn(k, LIST(JPEG, EXPLICIT), PDU_CONTEXT_ABSTRACT_SYNTAX, NULL, NOW);
    assert_int_equal(choice(k, LIST(JPEG, EXPLICIT)), REFUSED);
    learn(k, LIST(JPEG, EXPLICIT), 0, EXPLICIT, NOW);
    assert_int_equal(choice(k, LIST(JPEG, EXPLICIT)), 1);
    assert_int_equal(choice(k, LIST(EXPLICIT)), 0);
}

static void padding_of_the_answer_does_not_matter(void **state)
{
    struct view list[] = {text(JPEG), text(EXPLICIT)},
                padded = {(const uint8_t *)EXPLICIT "\0", sizeof(EXPLICIT)};
    struct pdu_context asked = {
        .id = 1, .abstract_syntax = text(CT), .transfer_syntaxes = list, .transfer_syntax_count = 2};
    struct pdu_context got = {.id = 1, .transfer_syntaxes = &padded, .transfer_syntax_count = 1};
    struct pdu_associate request = {.contexts = &asked, .context_count = 1};
    struct pdu_associate reply = {.contexts = &got, .context_count = 1};
    knowledge_learn(*state, &node, "ME", &request, &reply, NOW);
    assert_int_equal(choice(*state, LIST(JPEG, EXPLICIT)), 1);
}

/* The peer answers contexts that nobody proposed: nothing is learnt, nothing is touched. */
static void an_answer_to_no_question_teaches_nothing(void **state)
{
    struct view list[] = {text(JPEG)};
    struct pdu_context asked = {
        .id = 1, .abstract_syntax = text(CT), .transfer_syntaxes = list, .transfer_syntax_count = 1};
    struct pdu_context got = {.id = 3, .transfer_syntaxes = list, .transfer_syntax_count = 1};
    struct pdu_associate request = {.contexts = &asked, .context_count = 1};
    struct pdu_associate reply = {.contexts = &got, .context_count = 1};
    knowledge_learn(*state, &node, "ME", &request, &reply, NOW);
    assert_int_equal(choice(*state, LIST(JPEG)), UNKNOWN);
}

static void knowledge_holds_for_one_node_one_title_one_class(void **state)
{
    struct knowledge *k = *state;
    static const struct {
        struct config_node node;
        const char *calling, *abstract_syntax;
        int want;
        const char *reason;
    } cases[] = {
        {{.host = "10.0.0.1", .port = 104, .ae_title = "PACS"}, "ME", CT, 0, "as learnt"},
        {{.host = "10.0.0.1", .port = 104, .ae_title = "PACS", .name = "two"},
         "ME",
         CT,
         0,
         "a name is not the node"},
        {{.host = "10.0.0.2", .port = 104, .ae_title = "PACS"}, "ME", CT, UNKNOWN, "host"},
        {{.host = "10.0.0.1", .port = 105, .ae_title = "PACS"}, "ME", CT, UNKNOWN, "port"},
        {{.host = "10.0.0.1", .port = 104, .ae_title = "PAC"},
         "SME",
         CT,
         UNKNOWN,
         "fields do not run together"},
        {{.host = "10.0.0.1", .port = 104, .ae_title = "OTHER"}, "ME", CT, UNKNOWN, "title"},
        {{.host = "10.0.0.1", .port = 104, .ae_title = "PACS"}, "YOU", CT, UNKNOWN, "calling title"},
        {{.host = "10.0.0.1", .port = 104, .ae_title = "PACS"}, "ME", MR, UNKNOWN, "abstract syntax"},
    };
    learn(k, LIST(JPEG), 0, JPEG, NOW);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int got =
            choice_of(k, &cases[i].node, cases[i].calling, cases[i].abstract_syntax, LIST(JPEG), NOW, NULL);
        if (got != cases[i].want)
            fail_msg("%s: %d", cases[i].reason, got);
    }
}

static void knowledge_is_forgotten_after_its_time(void **state)
{
    struct knowledge *k = *state;
    learn(k, LIST(JPEG, EXPLICIT), 0, EXPLICIT, NOW);
    const char *const *both = LIST(JPEG, EXPLICIT);
    assert_int_equal(choice_of(k, &node, "ME", CT, both, NOW + KEPT_MS - 1, NULL), 1);
    assert_int_equal(choice_of(k, &node, "ME", CT, both, NOW + KEPT_MS, NULL), UNKNOWN);
    learn(k, both, 0, JPEG, NOW + KEPT_MS); /* learnt again, kept again */
    assert_int_equal(choice_of(k, &node, "ME", CT, both, NOW + 2 * KEPT_MS - 1, NULL), 0);
}

/* The largest request there is: every context with a list of its own, accepted and refused ones in turn. */
static void a_request_of_128_contexts_is_learnt_without_loss(void **state)
{
    enum { CONTEXTS = PDU_CONTEXTS_MAX, SYNTAXES = 3 };
    static char classes[CONTEXTS][32];
    struct view list[SYNTAXES] = {text(JPEG), text(EXPLICIT), text(IMPLICIT)};
    struct pdu_context asked[CONTEXTS], got[CONTEXTS];
    for (unsigned i = 0; i < CONTEXTS; i++) {
        snprintf(classes[i], sizeof(classes[i]), "1.2.3.%u", i);
        asked[i] = (struct pdu_context){.id = (uint8_t)(2 * i + 1),
                                        .abstract_syntax = text(classes[i]),
                                        .transfer_syntaxes = list,
                                        .transfer_syntax_count = SYNTAXES};
        got[i] = (struct pdu_context){.id = asked[i].id,
                                      .result = i % 4 == 3 ? PDU_CONTEXT_ABSTRACT_SYNTAX : 0,
                                      .transfer_syntaxes = &list[i % 4 % SYNTAXES],
                                      .transfer_syntax_count = 1};
    }
    struct pdu_associate request = {.contexts = asked, .context_count = CONTEXTS};
    struct pdu_associate reply = {.contexts = got, .context_count = CONTEXTS};
    knowledge_learn(*state, &node, "ME", &request, &reply, NOW);
    for (unsigned i = 0; i < CONTEXTS; i++) {
        bool refused = i % 4 == 3;
        int want = refused ? REFUSED : (int)(i % 4 % SYNTAXES);
        assert_int_equal(knowledge_choice(*state, &node, "ME", text(classes[i]), list, SYNTAXES, NOW, NULL),
                         want);
        for (unsigned t = 0; t < SYNTAXES; t++) {
            int alone = refused ? REFUSED : (int)t == want ? 0 : UNKNOWN;
            assert_int_equal(knowledge_choice(*state, &node, "ME", text(classes[i]), &list[t], 1, NOW, NULL),
                             alone);
        }
    }
}

/* Far more than fits: nothing wrong is ever told, and what came last is there. */
static void a_full_table_forgets_the_oldest_and_never_lies(void **state)
{
    enum { QUESTIONS = 100000, LAST = 100 };
    struct view one = text(JPEG), two[2] = {text(JPEG), text(EXPLICIT)};
    unsigned known = 0;
    char class[32];
    for (unsigned i = 0; i < QUESTIONS; i++) {
        snprintf(class, sizeof(class), "1.2.3.%u", i);
        struct pdu_context asked = {
            .id = 1, .abstract_syntax = text(class), .transfer_syntaxes = two, .transfer_syntax_count = 2};
        struct pdu_context got = {.id = 1, .transfer_syntaxes = &two[i % 2], .transfer_syntax_count = 1};
        struct pdu_associate request = {.contexts = &asked, .context_count = 1};
        struct pdu_associate reply = {.contexts = &got, .context_count = 1};
        knowledge_learn(*state, &node, "ME", &request, &reply, NOW + i);
    }
    for (unsigned i = 0; i < QUESTIONS; i++) {
        snprintf(class, sizeof(class), "1.2.3.%u", i);
        int got = knowledge_choice(*state, &node, "ME", text(class), two, 2, NOW + QUESTIONS, NULL);
        assert_true(got == UNKNOWN || got == (int)(i % 2));
        assert_true(got != UNKNOWN || i < QUESTIONS - LAST);
        known += got != UNKNOWN;
        got = knowledge_choice(*state, &node, "ME", text(class), &one, 1, NOW + QUESTIONS, NULL);
        assert_true(got == UNKNOWN || (got == 0 && i % 2 == 0));
    }
    assert_true(known > 4000 && known < 16384); /* half of the places at most: each answer fills two */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_never_proposed_is_unknown),
        TEST(a_choice_is_known_by_its_place_in_the_list),
        TEST(the_chosen_syntax_is_taken_alone_and_the_others_stay_unknown),
        TEST(a_refusal_refuses_the_list_and_each_of_it_alone_with_its_reason),
        TEST(an_acceptance_that_cannot_be_used_is_a_refusal),
        TEST(the_newest_answer_counts),
        TEST(padding_of_the_answer_does_not_matter),
        TEST(an_answer_to_no_question_teaches_nothing),
        TEST(knowledge_holds_for_one_node_one_title_one_class),
        TEST(knowledge_is_forgotten_after_its_time),
        TEST(a_request_of_128_contexts_is_learnt_without_loss),
        TEST(a_full_table_forgets_the_oldest_and_never_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
