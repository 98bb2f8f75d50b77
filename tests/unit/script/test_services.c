/* `service` and `level` of routes: what each service may have, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loading.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define REST                                                                                                 \
    "\nnode 'n' { host = 'h', ae_title = 'N' } node 'disk' { folder = '/{SOPInstanceUID}' } "                \
    "pool 'p' { members = 'n', balance = 'least' } listen '127.0.0.1:11112'"

static void assert_loads(const char *folder, const char *route, struct loaded *out)
{
    char text[2000];
    snprintf(text, sizeof(text), "%s" REST, route);
    *out = load_text(folder, text);
    assert_fine(out);
}

static void every_service_has_its_name(void **state)
{
    static const char *const names[] = {"store", "echo",   "find", "move",         "get",   "worklist",
                                        "mpps",  "commit", "ups",  "availability", "print", "other"};
    static const enum config_service services[] = {
        CONFIG_STORE, CONFIG_ECHO,   CONFIG_FIND, CONFIG_MOVE,         CONFIG_GET,   CONFIG_WORKLIST,
        CONFIG_MPPS,  CONFIG_COMMIT, CONFIG_UPS,  CONFIG_AVAILABILITY, CONFIG_PRINT, CONFIG_OTHER};
    for (size_t i = 0; i < COUNT(names); i++) {
        char route[200];
        struct loaded l;
        snprintf(route, sizeof(route), "route 'r' { to = { 'n' }, when = { service = '%s', calling = 'A' } }",
                 names[i]);
        assert_loads(*state, route, &l);
        assert_int_equal(l.config->routes[0].service, services[i]);
        assert_int_equal(l.config->routes[0].condition_count, 1);
        free_loaded(&l);
    }
    assert_int_equal(COUNT(names), CONFIG_SERVICES);
}

/* A condition in short: attribute or fact, values between bars, `!` if it is negated. */
static void print_condition(const struct config *config, const struct config_condition *c, char text[300])
{
    size_t len = 0;
    if (c->fact == CONFIG_FACT_ATTRIBUTE) {
        char path[DICOM_PATH_TEXT_MAX];
        dicom_path_print(&config->attributes[c->attribute].path, path);
        len += (size_t)snprintf(text, 300, "%s", path);
    } else {
        len += (size_t)snprintf(text, 300, "%s",
                                c->fact == CONFIG_FACT_SOP_CLASS      ? "class"
                                : c->fact == CONFIG_FACT_SOP_INSTANCE ? "instance"
                                                                      : "fact");
    }
    len += (size_t)snprintf(text + len, 300 - len, "%s", c->negate ? " !" : " ");
    for (size_t i = 0; i < c->value_count; i++) {
        len += (size_t)snprintf(text + len, 300 - len, "%s|", c->values[i].glob);
    }
}

static void keys_of_when_are_those_of_the_service(void **state)
{
    static const struct {
        const char *when, *condition;
    } cases[] = {
        {"service = 'find', level = 'study'", "0008,0052 STUDY|"},
        {"service = 'move', level = { 'Series', 'IMAGE' }", "0008,0052 SERIES|IMAGE|"},
        {"service = 'get', level = { no = 'patient' }", "0008,0052 !PATIENT|"},
        {"level = { no = { 'patient', 'study' } }, service = 'find'", "0008,0052 !PATIENT|STUDY|"},
        {"service = 'find', PatientID = 'A*'", "0010,0020 A*|"},
        {"service = 'worklist', ['ScheduledProcedureStepSequence[1].Modality'] = 'CT'",
         "0040,0100[1].0008,0060 CT|"},
        {"service = 'mpps', PerformedStationAETitle = 'CT1'", "0040,0241 CT1|"},
        {"service = 'print', NumberOfCopies = '1'", "2000,0010 1|"},
        {"service = 'find', SOPClassUID = 'StudyRootQueryRetrieveInformationModelFind'",
         "class 1.2.840.10008.5.1.4.1.2.2.1|"},
        {"service = 'worklist', SOPClassUID = 'ModalityWorklistInformationModelFind'",
         "class 1.2.840.10008.5.1.4.31|"},
        {"service = 'print', SOPClassUID = 'BasicGrayscalePrintManagementMeta'",
         "class 1.2.840.10008.5.1.1.9|"},
        {"SOPClassUID = 'CTImageStorage'", "class 1.2.840.10008.5.1.4.1.1.2|"},
        /* The command of a query names a class and no instance: that is a key of the identifier. */
        {"service = 'find', ['0008,0016'] = '1.2'", "class 1.2|"},
        {"service = 'find', SOPInstanceUID = '1.2*'", "0008,0018 1.2*|"},
        {"service = 'move', ['0008,0018'] = '1.2'", "0008,0018 1.2|"},
        {"service = 'mpps', SOPInstanceUID = '1.2*'", "instance 1.2*|"},
        {"service = 'ups', SOPInstanceUID = '1.2*'", "instance 1.2*|"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char route[300], text[300];
        struct loaded l;
        snprintf(route, sizeof(route), "route 'r' { to = 'p', when = { %s } }", cases[i].when);
        assert_loads(*state, route, &l);
        assert_int_equal(l.config->routes[0].condition_count, 1);
        print_condition(l.config, &l.config->routes[0].conditions[0], text);
        assert_string_equal(text, cases[i].condition);
        free_loaded(&l);
    }
}

/* A function besides conditions: how a route for another service than "store" has one. */
static void a_function_may_stand_among_the_keys_of_when(void **state)
{
    static const struct {
        const char *when;
        enum config_service service;
        size_t conditions;
    } cases[] = {
        {"function (ds) return true end", CONFIG_STORE, 0},
        {"{ function (ds) return true end }", CONFIG_STORE, 0},
        {"{ service = 'find', function (ds) return true end }", CONFIG_FIND, 0},
        {"{ service = 'worklist', calling = 'CT*', Modality = 'CT', function () end }", CONFIG_WORKLIST, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char route[300];
        struct loaded l;
        snprintf(route, sizeof(route), "route 'r' { to = 'n', when = %s }", cases[i].when);
        assert_loads(*state, route, &l);
        assert_true(l.config->routes[0].has_when_function);
        assert_int_equal(l.config->routes[0].service, cases[i].service);
        assert_int_equal(l.config->routes[0].condition_count, cases[i].conditions);
        free_loaded(&l);
    }
}

static void a_route_queues_only_what_can_be_queued(void **state)
{
    static const struct {
        const char *keys;
        bool queues, journal;
        size_t to, copies;
    } cases[] = {
        {"to = 'n'", true, true, 1, 0},
        {"to = 'n', when = { service = 'mpps' }", true, false, 1, 0},
        {"copy = { 'n' }, when = { service = 'mpps' }", true, false, 0, 1},
        {"to = 'p', when = { service = 'mpps' }, on_failure = 'fail'", false, false, 1, 0},
        {"to = 'n', when = { service = 'find' }", false, false, 1, 0},
        {"to = 'n', when = { service = 'find' }, on_failure = 'fail'", false, false, 1, 0},
        {"to = 'n', when = { service = 'commit' }", false, false, 1, 0},
        {"when = { service = 'commit' }", false, false, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char route[300];
        struct loaded l;
        snprintf(route, sizeof(route), "route 'r' { %s }", cases[i].keys);
        assert_loads(*state, route, &l);
        const struct config_route *r = &l.config->routes[0];
        if (r->queues != cases[i].queues || r->journal != cases[i].journal || r->to_count != cases[i].to ||
            r->copy_count != cases[i].copies) {
            fail_msg("%s", cases[i].keys);
        }
        free_loaded(&l);
    }
}

static void a_route_says_what_comes_back_and_what_is_committed(void **state)
{
    static const struct {
        const char *keys;
        bool morph, morph_response;
        enum config_commit commits;
    } cases[] = {
        {"", false, false, CONFIG_COMMIT_AUTO},
        {", commit = true", false, false, CONFIG_COMMIT_ALWAYS},
        {", commit = false", false, false, CONFIG_COMMIT_NEVER},
        {", morph = function () end", true, false, CONFIG_COMMIT_AUTO},
        {", when = { service = 'worklist' }, morph_response = function () end", false, true,
         CONFIG_COMMIT_AUTO},
        {", when = { service = 'move' }, morph = function () end, morph_response = function () end", true,
         true, CONFIG_COMMIT_AUTO},
        {", when = { service = 'mpps' }, morph = function () end", true, false, CONFIG_COMMIT_AUTO},
        {", when = { service = 'commit' }, morph_response = function () end", false, true,
         CONFIG_COMMIT_AUTO},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char route[300];
        struct loaded l;
        snprintf(route, sizeof(route), "route 'r' { to = 'n'%s }", cases[i].keys);
        assert_loads(*state, route, &l);
        const struct config_route *r = &l.config->routes[0];
        assert_int_equal(r->has_morph, cases[i].morph);
        assert_int_equal(r->has_morph_response, cases[i].morph_response);
        assert_int_equal(r->commits, cases[i].commits);
        free_loaded(&l);
    }
}

static void what_a_service_knows_nothing_of_is_refused(void **state)
{
#define INSTANCES "it is for instances that are stored; leave it out"
    static const struct {
        const char *route; /* its second line is the problem's */
        const char *problem;
    } cases[] = {
        {"{ to = 'n', when = { service = 'find' },\ncopy = 'n' }",
         "copy means nothing for service = \"find\", which waits for its answer; name the nodes in to"},
        {"{ when = { service = 'commit' },\ncopy = 'n' }",
         "copy means nothing for service = \"commit\", which waits for its answer; name the nodes in to"},
        {"{ to = 'n', when = { service = 'get' },\non_failure = 'queue' }",
         "on_failure = \"queue\" means nothing for service = \"get\", which waits for its answer; write "
         "\"fail\" or "
         "leave it out"},
        {"{ to = 'n', when = { service = 'move' },\njournal = false }",
         "journal means nothing for service = \"move\", " INSTANCES},
        {"{ copy = 'n', when = { service = 'mpps' },\nhold = { quiet = '1s' } }",
         "hold means nothing for service = \"mpps\", " INSTANCES},
        {"{ copy = 'n', when = { service = 'mpps' },\non_study = function () end }",
         "on_study means nothing for service = \"mpps\", " INSTANCES},
        {"{ to = 'n', when = { service = 'mpps' },\njournal = true }",
         "journal means nothing for service = \"mpps\", " INSTANCES},
        {"{ to = 'n', when = { service = 'echo' },\nstream = false }",
         "stream means nothing for service = \"echo\", " INSTANCES},
        {"{ to = 'n', when = { service = 'print' },\nzero_copy = true }",
         "zero_copy means nothing for service = \"print\", " INSTANCES},
        {"{ to = 'n', when = { service = 'worklist' },\ntrace = true }",
         "trace means nothing for service = \"worklist\", " INSTANCES},
        {"{ to = 'n', when = { service = 'commit' },\ncommit = true }",
         "commit means nothing for service = \"commit\", " INSTANCES},
        {"{ to = 'n', when = { service = 'echo' },\nmorph = function () end }",
         "morph means nothing for service = \"echo\", which has no data set; leave it out"},
        {"{ to = 'n', when = { service = 'echo' },\nmorph_response = function () end }",
         "morph_response means nothing for service = \"echo\", whose responses have no data set; leave it "
         "out"},
        {"{ to = 'n',\nmorph_response = function () end }",
         "morph_response means nothing for service = \"store\", whose responses have no data set; leave it "
         "out"},
        {"{ to = 'n', when = { service = 'find' },\nmorph_response = 7 }",
         "morph_response is a number; it must be a function, function (ds, assoc) ... end"},
        {"{ to = 'n',\ncommit = 'yes' }", "commit is a string; it must be true or false"},
        {"{ when = { service = 'find' },\nto = { 'n', 'disk' } }",
         "\"disk\" is a folder, which cannot answer service = \"find\"; name remote AEs only"},
        {"{ when = { service = 'mpps' },\ncopy = 'disk' }",
         "\"disk\" is a folder, which cannot answer service = \"mpps\"; name remote AEs only"},
        {"{ to = 'n', when = {\nservice = 'fnid' } }", "unknown service \"fnid\"; did you mean \"find\"?"},
        {"{ to = 'n', when = {\nservice = 'C-FIND' } }",
         "unknown service \"C-FIND\"; did you mean \"find\"?"},
        {"{ to = 'n', when = {\nservice = 'MWL' } }", "unknown service \"MWL\"; did you mean \"worklist\"?"},
        {"{ to = 'n', when = {\nservice = 'anything' } }",
         "unknown service \"anything\"; there are \"store\", \"echo\", \"find\", \"move\", \"get\", "
         "\"worklist\", "
         "\"mpps\", \"commit\", \"ups\", \"availability\", \"print\" and \"other\""},
        {"{ to = 'n', when = {\nservice = { 'find', 'move' } } }",
         "a route is for one service, without list or negation; write one route a service"},
        {"{ to = 'n', when = {\nservice = { no = 'echo' } } }",
         "a route is for one service, without list or negation; write one route a service"},
        {"{ to = 'n', when = {\nlevel = 'study' } }", "level says nothing about service = \"store\": it is "
                                                      "that of a query or retrieval; leave it out, or write "
                                                      "service = \"find\", \"move\" or \"get\""},
        {"{ to = 'n', when = { service = 'worklist',\nlevel = 'study' } }",
         "level says nothing about service = \"worklist\": it is that of a query or retrieval; leave it out, "
         "or "
         "write service = \"find\", \"move\" or \"get\""},
        {"{ to = 'n', when = { service = 'find',\nlevel = 'instance' } }",
         "level \"instance\" is unknown; it must be one of \"patient\", \"study\", \"series\", \"image\""},
        {"{ to = 'n', when = { service = 'find',\nlevel = { no = 1 } } }",
         "when.level.no is a number; it must be one of \"patient\", \"study\", \"series\", \"image\""},
        {"{ to = 'n', when = { service = 'find',\nSOPClassUID = 'StudyRootQueryRetrieveInformationModelFnid' "
         "} }",
         "\"StudyRootQueryRetrieveInformationModelFnid\" is neither a UID nor the keyword of a SOP class; "
         "did you "
         "mean \"StudyRootQueryRetrieveInformationModelFind\"?"},
        {"{ to = 'n', when = { service = 'find',\nSOPClassUID = 'ExplicitVRBigEndian' } }",
         "\"ExplicitVRBigEndian\" is neither a UID nor the keyword of a SOP class; write "
         "\"1.2.840.10008.5.1.4.1.1.2\" or \"CTImageStorage\""},
        {"{ to = 'n',\nwhen = { service = 'find', function () end, function () end } }",
         "a value without a key in when; write it as key = value"},
        {"{ to = 'n',\nservice = 'find' }",
         "unknown key \"service\" in a route; it is a key of a route's when"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "route 'r' %s" REST, cases[i].route);
        struct loaded l = load_text(*state, text);
        const char *problem = l.problems.count == 1 ? problem_at(&l, 0, 2) : NULL;
        if (l.result != ERR_USAGE || problem == NULL || strncmp(problem, "route \"r\": ", 11) != 0 ||
            strcmp(problem + 11, cases[i].problem) != 0) {
            for (size_t p = 0; p < l.problems.count; p++) {
                print_error("%s\n", l.problems.items[p].text);
            }
            fail_msg("%zu problems: %s", l.problems.count, cases[i].route);
        }
        free_loaded(&l);
    }
}

static void a_route_leads_somewhere(void **state)
{
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"route 'r' { when = { service = 'mpps' } }",
         "there is neither to nor copy, so that it leads nowhere; add to = { \"NODE\" }, or copy = { "
         "\"NODE\" }"},
        {"route 'r' { when = { service = 'echo' } }",
         "there is no to, so that it leads nowhere; add to = { \"NODE\" }"},
        {"route 'r' { when = { service = 'worklist' } }",
         "there is no to, so that it leads nowhere; add to = { \"NODE\" }"},
        {"gateway { spool = false } route 'r' { when = { service = 'commit' } }",
         "there is no to, and no queue that knows where instances went, since the gateway says spool = "
         "false; add "
         "to = { \"NODE\" }"},
        {"gateway { spool = false } route 'r' { when = { service = 'mpps' }, copy = 'n' }",
         "copy needs the queue, and the gateway says spool = false; give it a folder, or name the nodes in "
         "to"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "%s" REST, cases[i].text);
        struct loaded l = load_text(*state, text);
        assert_int_equal(l.result, ERR_USAGE);
        assert_int_equal(l.problems.count, 1);
        const char *problem = problem_at(&l, 0, 1);
        assert_non_null(problem);
        assert_string_equal(problem + 11, cases[i].problem);
        free_loaded(&l);
    }
}

/* Each service has its own last route. */
static void a_final_route_ends_its_own_service(void **state)
{
    char text[1000];
    snprintf(text, sizeof(text),
             "route 'all' { to = 'n', final = true }\n"
             "route 'finds' { to = 'n', final = true, when = { service = 'find' } }\n"
             "route 'more' { to = 'n', when = { service = 'find', calling = 'A' } }\n"
             "route 'moves' { to = 'n', when = { service = 'move' } }\n" REST);
    struct loaded l = load_text(*state, text);
    assert_int_equal(l.result, OK);
    assert_int_equal(l.problems.count, 1);
    assert_string_equal(
        problem_at(&l, 0, 3),
        "warning: route \"more\": it is never reached: route \"finds\" on line 2 is final and takes "
        "everything; move it above that one, or give that one a when");
    free_loaded(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_service_has_its_name),
        cmocka_unit_test(keys_of_when_are_those_of_the_service),
        cmocka_unit_test(a_function_may_stand_among_the_keys_of_when),
        cmocka_unit_test(a_route_queues_only_what_can_be_queued),
        cmocka_unit_test(a_route_says_what_comes_back_and_what_is_committed),
        cmocka_unit_test(what_a_service_knows_nothing_of_is_refused),
        cmocka_unit_test(a_route_leads_somewhere),
        cmocka_unit_test(a_final_route_ends_its_own_service),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
