/* Rules over data sets that stand in memory as a whole: what they see, what is made of them, and what fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "../script/loading.h"
#include "dicom/deflate.h"
#include "dicom/tag.h"
#include "dicom/uid.h"
#include "relay/ruled_data_set.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define WORKLIST     "1.2.840.10008.5.1.4.31"
#define REST         "\nlisten '127.0.0.1:11112' node 'n' { host = 'h', ae_title = 'N' }"

enum {
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    STEPS = DICOM_TAG(0x0040, 0x0100),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
};

/* A configuration, its rules, and one data set before them. */
struct scene {
    struct loaded loaded;
    struct rules *rules;
    struct ruled_set set;
    struct octets in, out;
    struct ruled_failure failure;
    bool is_changed;
};

static void begin(struct scene *s, const char *folder, const char *routes)
{
    char text[4000];
    struct problems problems;
    *s = (struct scene){.rules = NULL};
    snprintf(text, sizeof(text), "%s" REST, routes);
    s->loaded = load_text(folder, text);
    assert_fine(&s->loaded);
    assert_int_equal(script_rules_open(s->loaded.config, &s->rules, &problems), OK);
    problems_free(&problems);
    s->set = (struct ruled_set){.rules = s->rules,
                                .transfer_syntax = view_of(DICOM_EXPLICIT_VR_LE),
                                .sop_class = view_of(WORKLIST),
                                .calling = view_of("CT1"),
                                .called = view_of("HILUM"),
                                .remote = "10.1.2.3",
                                .listener = "main",
                                .peer = "",
                                .inflated_max = 1 << 20,
                                .charsets = dicom_charsets_new()};
    assert_non_null(s->set.charsets);
}

/* One route, `r`, for worklists. */
static void begin_route(struct scene *s, const char *folder, const char *keys)
{
    char text[2000];
    snprintf(text, sizeof(text), "route 'r' { to = 'n', when = { service = 'worklist' }, %s }", keys);
    begin(s, folder, text);
}

static void end(struct scene *s)
{
    ruled_set_end(&s->set);
    dicom_charsets_free(&s->set.charsets);
    script_rules_close(&s->rules);
    octets_free(&s->in);
    octets_free(&s->out);
    free_loaded(&s->loaded);
}

/* A request for a worklist: an odd length is kept, unless it is touched. */
static void fill(struct octets *o, struct dicom_encoding e, const char *id)
{
    struct octets item = {0}, items = {0};
    tree_element(o, e, MODALITY, "CS", "CT ", 3);
    if (id)
        tree_text(o, e, PATIENT_ID, "LO", id);
    tree_text(&item, e, MODALITY, "CS", "MR");
    tree_head(&items, e, 0xFFFEE000, NULL, (uint32_t)item.len);
    octets_append(&items, item.data, item.len);
    tree_element(o, e, STEPS, "SQ", items.data, items.len);
    octets_free(&item);
    octets_free(&items);
}

static void look_at(struct scene *s, const char *transfer_syntax)
{
    struct octets deflated = {0};
    bool is_deflated;
    struct view uid = view_of(transfer_syntax);
    dicom_encoding_of(uid, &is_deflated);
    if (is_deflated) {
        assert_int_equal(dicom_deflate_all((struct view){s->in.data, s->in.len}, &deflated), OK);
        octets_free(&s->in);
        s->in = deflated;
    }
    s->set.transfer_syntax = uid;
    s->set.data_set = (struct view){s->in.data, s->in.len};
}

static bool change(struct scene *s, size_t route, enum ruled_kind kind)
{
    s->failure = (struct ruled_failure){.why = "none"};
    return ruled_set_change(&s->set, &s->loaded.config->routes[route], kind, &s->out, &s->is_changed,
                            &s->failure);
}

static void assert_changes(struct scene *s, size_t route, enum ruled_kind kind)
{
    if (!change(s, route, kind))
        fail_msg("%s", s->failure.why);
}

static const char *const syntaxes[] = {DICOM_IMPLICIT_VR_LE, DICOM_EXPLICIT_VR_LE, DICOM_EXPLICIT_VR_BE,
                                       DICOM_DEFLATED_EXPLICIT_LE};

static struct dicom_encoding encoding_of(const char *transfer_syntax, bool *is_deflated)
{
    return dicom_encoding_of(view_of(transfer_syntax), is_deflated);
}

static void assert_out_is(const struct scene *s, const struct octets *expected, bool is_deflated)
{
    struct octets plain = {0};
    const char *why;
    struct view out = {s->out.data, s->out.len};
    if (is_deflated) {
        assert_int_equal(dicom_inflate_all(out, 1 << 20, &plain, &why), OK);
        out = (struct view){plain.data, plain.len};
    }
    assert_int_equal(out.len, expected->len);
    assert_memory_equal(out.at, expected->data, out.len);
    octets_free(&plain);
}

static void what_is_set_is_changed_and_the_rest_stays_byte_for_byte(void **state)
{
    for (size_t i = 0; i < COUNT(syntaxes); i++) {
        struct scene s;
        struct octets expected = {0};
        bool is_deflated;
        struct dicom_encoding e = encoding_of(syntaxes[i], &is_deflated);
        begin_route(&s, *state,
                    "morph = function (ds, assoc) ds.PatientID = 'S7-' .. ds.PatientID\n"
                    "  assert(assoc.service == 'worklist' and ds.sop_class == assoc.sop_class) end,\n"
                    "morph_response = function (ds) ds.PatientID = 'R' end");
        fill(&s.in, e, "4711");
        look_at(&s, syntaxes[i]);
        assert_changes(&s, 0, RULED_MORPH);
        assert_true(s.is_changed);
        fill(&expected, e, "S7-4711 ");
        assert_out_is(&s, &expected, is_deflated);
        /* The second rule sees what came, and not what the first has made of it. */
        octets_clear(&s.out);
        octets_clear(&expected);
        assert_changes(&s, 0, RULED_MORPH_RESPONSE);
        fill(&expected, e, "R ");
        assert_out_is(&s, &expected, is_deflated);
        octets_free(&expected);
        end(&s);
    }
}

static void what_a_rule_leaves_alone_is_no_change(void **state)
{
    for (size_t i = 0; i < COUNT(syntaxes); i++) {
        struct scene s;
        bool is_deflated;
        struct dicom_encoding e = encoding_of(syntaxes[i], &is_deflated);
        begin_route(&s, *state, "morph_response = function (ds) ds.PatientID = ds.PatientID end");
        fill(&s.in, e, "4711");
        look_at(&s, syntaxes[i]);
        s.is_changed = true;
        assert_changes(&s, 0, RULED_MORPH_RESPONSE);
        assert_false(s.is_changed);
        assert_int_equal(s.out.len, 0);
        end(&s);
    }
}

/* Also items of sequences, and a character set that cannot hold what is set. */
static void what_stands_deeper_is_changed_too(void **state)
{
    struct scene s;
    begin_route(&s, *state,
                "morph = function (ds) ds.ScheduledProcedureStepSequence[1].Modality = 'PT'\n"
                "  ds.PatientName = 'M\xC3\xBCller' end");
    fill(&s.in, tree_explicit, "4711");
    look_at(&s, DICOM_EXPLICIT_VR_LE);
    assert_changes(&s, 0, RULED_MORPH);
    assert_true(s.is_changed);
    struct dicom_document d;
    assert_int_equal(
        dicom_document_parse(&d, (struct view){s.out.data, s.out.len}, tree_explicit, 0, 1 << 20), OK);
    struct dicom_data_set *item;
    struct dicom_element *steps = dicom_data_set_find(dicom_document_root(&d), STEPS);
    assert_int_equal(dicom_element_item(steps, 0, &item), OK);
    assert_memory_equal(dicom_data_set_find(item, MODALITY)->value.at, "PT", 2);
    struct view name = dicom_data_set_find(dicom_document_root(&d), PATIENT_NAME)->value;
    assert_int_equal(name.len, 8);
    assert_memory_equal(name.at, "M\xC3\xBCller ", 8);
    dicom_document_free(&d);
    end(&s);
}

/* A request without a data set is one that has nothing in it; and one of which nothing is left is no bytes, deflated too. */
static void an_empty_data_set_is_one_too(void **state)
{
    for (size_t i = 0; i < COUNT(syntaxes); i++) {
        struct scene s;
        struct octets expected = {0};
        bool is_deflated, holds = false;
        struct dicom_encoding e = encoding_of(syntaxes[i], &is_deflated);
        begin(&s, *state,
              "route 'r' { to = 'n', on_failure = 'fail', when = { service = 'mpps', function (ds) return "
              "ds.PatientID == nil end "
              "},\n"
              "  morph = function (ds) ds.PatientID = 'X' end,\n"
              "  morph_response = function (ds) ds.PatientID = nil end }");
        s.set.transfer_syntax = view_of(syntaxes[i]);
        assert_true(ruled_set_when(&s.set, &s.loaded.config->routes[0], &holds, &s.failure));
        assert_true(holds);
        assert_changes(&s, 0, RULED_MORPH_RESPONSE);
        assert_false(s.is_changed);
        assert_changes(&s, 0, RULED_MORPH);
        assert_true(s.is_changed);
        tree_text(&expected, e, PATIENT_ID, "LO", "X ");
        assert_out_is(&s, &expected, is_deflated);
        ruled_set_end(&s.set);
        octets_free(&s.in);
        s.in = s.out;
        s.out = (struct octets){0};
        s.set.data_set = (struct view){s.in.data, s.in.len};
        assert_changes(&s, 0, RULED_MORPH_RESPONSE);
        assert_true(s.is_changed);
        assert_int_equal(s.out.len, 0);
        octets_free(&expected);
        end(&s);
    }
}

static void functions_of_when_see_it_and_change_nothing(void **state)
{
    struct scene s;
    bool holds;
    begin(&s, *state,
          "local function route_for(id) return { to = 'n', when = { service = 'find',\n"
          "  function (ds, assoc) return ds.PatientID == id and assoc.service == 'find' end } } end\n"
          "route 'a' (route_for '1') route 'b' (route_for '4711')\n"
          "route 'c' { to = 'n', when = { service = 'find', function (ds) ds.PatientID = 'x' end } }\n"
          "route 'd' { to = 'n', when = { service = 'find', function (ds) error('own', 0) end } }\n");
    const struct config_route *routes = s.loaded.config->routes;
    fill(&s.in, tree_explicit, "4711");
    look_at(&s, DICOM_DEFLATED_EXPLICIT_LE);
    assert_true(ruled_set_when(&s.set, &routes[0], &holds, &s.failure));
    assert_false(holds);
    assert_true(ruled_set_when(&s.set, &routes[1], &holds, &s.failure));
    assert_true(holds);
    assert_false(ruled_set_when(&s.set, &routes[2], &holds, &s.failure));
    assert_true(s.failure.is_rule);
    assert_non_null(strstr(s.failure.why, "route \"c\": when: in when the data set is read-only"));
    assert_false(ruled_set_when(&s.set, &routes[3], &holds, &s.failure));
    assert_false(holds);
    assert_int_equal(s.failure.result, ERR_USAGE);
    assert_non_null(strstr(s.failure.why, "route \"d\": when: own"));
    end(&s);
}

/* It fails alone, says whose fault it is, and leaves what was there. */
static void what_fails_says_why(void **state)
{
    static const char broken[] = {0x10, 0x00, 0x20, 0x00, 'L', 'O', 0x40, 0x00, 'x', 'y'};
    static const struct {
        const char *body, *bytes; /* NULL: those of a worklist */
        size_t len;
        const char *transfer_syntax;
        size_t inflated_max;
        bool is_rule;
        enum result result;
        const char *why;
    } cases[] = {
        {"error('mine')", NULL, 0, DICOM_EXPLICIT_VR_LE, 100, true, ERR_USAGE,
         "site.lua:1: route \"r\": morph_response: mine"},
        {"ds.PatientID = 'changed' error('mine')", NULL, 0, DICOM_EXPLICIT_VR_LE, 100, true, ERR_USAGE,
         "mine"},
        {"while true do end", NULL, 0, DICOM_EXPLICIT_VR_LE, 100, true, ERR_LIMIT,
         "morph_response ran past the 10000000 instructions"},
        {"", broken, sizeof(broken), DICOM_EXPLICIT_VR_LE, 100, false, ERR_PROTO, ""},
        {"", broken, sizeof(broken), DICOM_DEFLATED_EXPLICIT_LE, 100, false, ERR_PROTO, "deflate"},
        {"", NULL, 0, DICOM_DEFLATED_EXPLICIT_LE, 20, false, ERR_LIMIT,
         "inflated, the data set is too large"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene s;
        char keys[200];
        snprintf(keys, sizeof(keys), "morph_response = function (ds) %s end", cases[i].body);
        begin_route(&s, *state, keys);
        s.set.inflated_max = cases[i].inflated_max;
        if (cases[i].bytes) {
            s.set.transfer_syntax = view_of(cases[i].transfer_syntax);
            s.set.data_set = (struct view){(const uint8_t *)cases[i].bytes, cases[i].len};
        } else {
            fill(&s.in, tree_explicit, "4711");
            look_at(&s, cases[i].transfer_syntax);
        }
        octets_append(&s.out, "before", 6);
        s.is_changed = true;
        assert_false(change(&s, 0, RULED_MORPH_RESPONSE));
        assert_false(s.is_changed);
        assert_int_equal(s.failure.is_rule, cases[i].is_rule);
        assert_int_equal(s.failure.result, cases[i].result);
        if (!strstr(s.failure.why, cases[i].why))
            fail_msg("case %zu: %s", i, s.failure.why);
        assert_int_equal(s.out.len, 6);
        end(&s);
    }
}

static void without_rules_everything_fails_for_want_of_memory(void **state)
{
    struct scene s;
    bool holds = true;
    begin_route(&s, *state, "morph = function () end");
    s.set.rules = NULL;
    assert_false(change(&s, 0, RULED_MORPH));
    assert_int_equal(s.failure.result, ERR_MEMORY);
    assert_false(ruled_set_when(&s.set, &s.loaded.config->routes[0], &holds, &s.failure));
    assert_false(holds);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_set_is_changed_and_the_rest_stays_byte_for_byte),
        cmocka_unit_test(what_a_rule_leaves_alone_is_no_change),
        cmocka_unit_test(what_stands_deeper_is_changed_too),
        cmocka_unit_test(an_empty_data_set_is_one_too),
        cmocka_unit_test(functions_of_when_see_it_and_change_nothing),
        cmocka_unit_test(what_fails_says_why),
        cmocka_unit_test(without_rules_everything_fails_for_want_of_memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
