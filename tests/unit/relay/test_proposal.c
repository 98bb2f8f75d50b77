/* What is proposed to nodes on behalf of a sender. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/uid.h"
#include "relay/proposal.h"
#include "relay/session.h"

#define CT   "1.2.840.10008.5.1.4.1.1.2"
#define MR   "1.2.840.10008.5.1.4.1.1.4"
#define JPEG "1.2.840.10008.1.2.4.50"

/* --- contexts */

static void is_context(const struct pdu_associate *request, unsigned i, const char *abstract,
                       const char *transfer)
{
    const struct pdu_context *c = &request->contexts[i];
    assert_int_equal(c->id, 2 * i + 1);
    assert_true(dicom_uid_is(c->abstract_syntax, abstract));
    assert_int_equal(c->transfer_syntax_count, 1);
    assert_true(dicom_uid_is(c->transfer_syntaxes[0], transfer));
}

/* The needed pair first; one transfer syntax a context, since a node chooses one; Implicit VR LE apart; each pair once. */
static void original_and_implicit_are_proposed_apart(void **state)
{
    struct association_context contexts[] = {
        {1, CT, JPEG}, {3, CT, DICOM_EXPLICIT_VR_LE}, {5, MR, DICOM_IMPLICIT_VR_LE}, {7, CT, JPEG}};
    struct session s = {.a = {.contexts = contexts, .context_count = 4}};
    struct pdu_associate request;
    (void)state;
    pdu_associate_init(&request, false);
    assert_true(proposal_fill(&request, &s, CT, DICOM_EXPLICIT_VR_LE));
    assert_int_equal(request.context_count, 4);
    is_context(&request, 0, CT, DICOM_EXPLICIT_VR_LE);
    is_context(&request, 1, CT, DICOM_IMPLICIT_VR_LE);
    is_context(&request, 2, CT, JPEG);
    is_context(&request, 3, MR, DICOM_IMPLICIT_VR_LE);
    pdu_associate_free(&request);
}

/* The sender is gone, and its contexts with it: what the message needs is proposed all the same. */
static void without_a_sender_the_needed_pair_is_proposed(void **state)
{
    struct session s = {.is_over = true};
    struct pdu_associate request;
    (void)state;
    pdu_associate_init(&request, false);
    assert_true(proposal_fill(&request, &s, MR, JPEG));
    assert_int_equal(request.context_count, 2);
    is_context(&request, 0, MR, JPEG);
    is_context(&request, 1, MR, DICOM_IMPLICIT_VR_LE);
    pdu_associate_free(&request);
}

/* 128 contexts, each of which would want a second one: ids are odd and end at 255, the needed pair is among them, and
 * what does not fit is left to another association. */
static void no_more_than_128_contexts_are_proposed(void **state)
{
    struct association_context contexts[PDU_CONTEXTS_MAX];
    static char uids[PDU_CONTEXTS_MAX][32];
    struct session s = {.a = {.contexts = contexts, .context_count = PDU_CONTEXTS_MAX}};
    struct pdu_associate request;
    bool used[256] = {0};
    (void)state;
    for (unsigned i = 0; i < PDU_CONTEXTS_MAX; i++) {
        snprintf(uids[i], sizeof(uids[i]), "1.2.3.%u", i);
        contexts[i] = (struct association_context){(uint8_t)(2 * i + 1), uids[i], JPEG};
    }
    pdu_associate_init(&request, false);
    assert_true(proposal_fill(&request, &s, uids[127], JPEG));
    assert_int_equal(request.context_count, PDU_CONTEXTS_MAX);
    is_context(&request, 0, uids[127], JPEG);
    is_context(&request, 1, uids[127], DICOM_IMPLICIT_VR_LE);
    is_context(&request, 2, uids[0], JPEG);
    for (unsigned i = 0; i < request.context_count; i++) {
        uint8_t id = request.contexts[i].id;
        assert_true(id % 2 == 1 && !used[id]);
        used[id] = true;
    }
    assert_false(
        proposal_add(&request, 255, view_of(CT), &(struct view){(const uint8_t *)JPEG, strlen(JPEG)}, 1));
    pdu_associate_free(&request);
}

/* --- roles, extended negotiation, identity, window */

struct extras {
    const char *why;
    struct pdu_role roles[2];
    uint16_t role_count;
    struct pdu_extended extended[2];
    uint16_t extended_count;
    const char *identity;
    bool has_window;
};

#define UID(text)                                                                                            \
    {                                                                                                        \
        (const uint8_t *)(text), sizeof(text) - 1                                                            \
    }
#define BYTES(text) UID(text)

static uint64_t profile_of(struct extras e)
{
    struct session s = {0};
    struct pdu_associate request = {.roles = e.roles,
                                    .role_count = e.role_count,
                                    .extended = e.extended,
                                    .extended_count = e.extended_count,
                                    .has_async = e.has_window,
                                    .async_invoked = 8};
    if (e.identity) {
        request.has_identity = true;
        request.identity = (struct pdu_identity){.type = 1, .primary = view_of(e.identity)};
    }
    assert_true(proposal_keep_extras(&s, &request));
    uint64_t profile = s.source.profile;
    if (s.extras)
        pdu_associate_free(s.extras);
    free(s.extras);
    return profile;
}

/* An association is reused only with the same profile, so whatever a node may answer differently to makes another one. */
static void every_difference_in_roles_or_extended_negotiation_is_another_profile(void **state)
{
    static const struct extras rows[] = {
        {.why = "nothing"},
        {.why = "a role", .roles = {{UID(CT), true, false}}, .role_count = 1},
        {.why = "the other role", .roles = {{UID(CT), false, true}}, .role_count = 1},
        {.why = "both roles", .roles = {{UID(CT), true, true}}, .role_count = 1},
        {.why = "another class", .roles = {{UID(MR), true, false}}, .role_count = 1},
        {.why = "two", .roles = {{UID(CT), true, false}, {UID(MR), true, false}}, .role_count = 2},
        {.why = "extended", .extended = {{UID(CT), BYTES("\1\2")}}, .extended_count = 1},
        {.why = "other bytes", .extended = {{UID(CT), BYTES("\1\3")}}, .extended_count = 1},
        {.why = "fewer bytes", .extended = {{UID(CT), BYTES("\1")}}, .extended_count = 1},
        {.why = "of another class", .extended = {{UID(MR), BYTES("\1\2")}}, .extended_count = 1},
        {.why = "cut elsewhere", .extended = {{UID("1.2"), BYTES("34")}}, .extended_count = 1},
        {.why = "and here", .extended = {{UID("1.23"), BYTES("4")}}, .extended_count = 1},
        {.why = "role and extended",
         .roles = {{UID(CT), true, false}},
         .role_count = 1,
         .extended = {{UID(CT), BYTES("\1\2")}},
         .extended_count = 1},
    };
    enum { COUNT = sizeof(rows) / sizeof(rows[0]) };
    (void)state;
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned j = 0; j < COUNT; j++)
            if ((profile_of(rows[i]) == profile_of(rows[j])) != (i == j))
                fail_msg("%s / %s", rows[i].why, rows[j].why);
    /* These keep associations apart by other means: a private one, and a window that is used as it was granted. */
    assert_int_equal(profile_of((struct extras){.identity = "user"}), profile_of(rows[0]));
    assert_int_equal(profile_of((struct extras){.has_window = true}), profile_of(rows[0]));
}

static void extras_are_carried_into_a_request_of_ours(void **state)
{
    struct session s = {0};
    struct pdu_role role = {UID(CT), true, true};
    struct pdu_extended extended = {UID(MR), BYTES("\1\0\2")};
    struct pdu_associate in = {.roles = &role,
                               .role_count = 1,
                               .extended = &extended,
                               .extended_count = 1,
                               .has_identity = true,
                               .identity = {2, true, UID("name"), UID("word")},
                               .has_async = true,
                               .async_invoked = 3};
    struct pdu_associate out;
    (void)state;
    assert_true(proposal_keep_extras(&s, &in));
    pdu_associate_init(&out, false);
    assert_true(proposal_add_extras(&out, &s));
    pdu_associate_free(s.extras); /* copies: the sender's may go first */
    free(s.extras);
    assert_int_equal(out.role_count, 1);
    assert_true(dicom_uid_is(out.roles[0].uid, CT) && out.roles[0].scu && out.roles[0].scp);
    assert_int_equal(out.extended_count, 1);
    assert_int_equal(out.extended[0].info.len, 3);
    assert_memory_equal(out.extended[0].info.at, "\1\0\2", 3);
    assert_true(out.has_identity && out.identity.wants_response && out.identity.type == 2);
    assert_memory_equal(out.identity.secondary.at, "word", 4);
    assert_true(out.has_async);
    pdu_associate_free(&out);
}

/* Quirk 8: item 53 makes some peers hang up, so it is not there without need. */
static void no_window_is_proposed_unless_the_sender_asked_for_one(void **state)
{
    static const struct {
        bool has_async;
        uint16_t invoked;
        bool proposed;
    } rows[] = {{false, 0, false}, {true, 1, false}, {true, 2, true}, {true, 0, true}};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct session s = {0};
        struct pdu_associate in = {.has_async = rows[i].has_async, .async_invoked = rows[i].invoked};
        struct pdu_associate out;
        assert_true(proposal_keep_extras(&s, &in));
        pdu_associate_init(&out, false);
        assert_true(proposal_add_extras(&out, &s));
        assert_int_equal(out.has_async, rows[i].proposed);
        pdu_associate_free(&out);
        if (s.extras)
            pdu_associate_free(s.extras);
        free(s.extras);
    }
}

/* Item 50 has 16 bits for its length, and ours has more in it than the sender's. */
static void what_would_not_fit_beside_our_own_items_is_refused(void **state)
{
    static uint8_t much[65000];
    struct session s = {0};
    struct pdu_extended extended = {UID(CT), {much, sizeof(much)}};
    struct pdu_associate in = {.extended = &extended, .extended_count = 1};
    (void)state;
    assert_false(proposal_keep_extras(&s, &in));
    assert_null(s.extras);
}

/* --- titles */

static void a_node_sees_the_title_that_its_configuration_says(void **state)
{
    struct config config = {.ae_title = "HILUM"};
    struct session s = {.config = &config, .calling = "CT1"}, blank = {.config = &config};
    struct config_node own = {.calling = CONFIG_CALLING_OWN}, pass = {.calling = CONFIG_CALLING_PASS},
                       given = {.calling = CONFIG_CALLING_TITLE, .calling_title = "GATE7"};
    (void)state;
    assert_string_equal(proposal_calling(s.config, s.calling, &own), "HILUM");
    assert_string_equal(proposal_calling(s.config, s.calling, &pass), "CT1");
    assert_string_equal(proposal_calling(blank.config, blank.calling, &pass),
                        "HILUM"); /* quirk 5: a title may be blank, ours not */
    assert_string_equal(proposal_calling(s.config, s.calling, &given), "GATE7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(original_and_implicit_are_proposed_apart),
        cmocka_unit_test(without_a_sender_the_needed_pair_is_proposed),
        cmocka_unit_test(no_more_than_128_contexts_are_proposed),
        cmocka_unit_test(every_difference_in_roles_or_extended_negotiation_is_another_profile),
        cmocka_unit_test(extras_are_carried_into_a_request_of_ours),
        cmocka_unit_test(no_window_is_proposed_unless_the_sender_asked_for_one),
        cmocka_unit_test(what_would_not_fit_beside_our_own_items_is_refused),
        cmocka_unit_test(a_node_sees_the_title_that_its_configuration_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
