/* Every rule of the configuration, broken once: where the problem is reported, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "loading.h"

/* Behind the text of a case, so that it is a whole configuration but for what it breaks. */
#define REST                                                                                                 \
    "\nlisten { port = 11112, name = 'main', ae_titles = 'HILUM' }\n"                                        \
    "node 'pacs1' { host = '10.1.0.5', ae_title = 'PACS1' }\n"                                               \
    "node 'disk' { folder = '/d/{SOPInstanceUID}' }\n"                                                       \
    "route 'rest' { to = 'pacs1' }\n"

struct broken {
    const char *text;
    int line; /* of the one problem */
    const char *says[3];
};

/* One problem each, an error, at its line, with these words. */
static void assert_each_is_refused(const char *folder, const struct broken *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char text[2000];
        snprintf(text, sizeof(text), "%s" REST, cases[i].text);
        struct loaded l = load_text(folder, text);
        if (l.result != ERR_USAGE || l.config != NULL || l.problems.count != 1) {
            for (size_t p = 0; p < l.problems.count; p++) {
                print_error("%s\n", l.problems.items[p].text);
            }
            fail_msg("%s, %zu problems: %s", result_name(l.result), l.problems.count, cases[i].text);
        }
        const char *problem = problem_at(&l, 0, cases[i].line);
        if (problem == NULL) {
            fail_msg("not on line %d: %s", cases[i].line, l.problems.items[0].text);
        }
        assert_false(l.problems.items[0].is_warning);
        for (size_t s = 0; s < 3 && cases[i].says[s] != NULL; s++) {
            if (strstr(problem, cases[i].says[s]) == NULL) {
                fail_msg("does not say \"%s\": %s", cases[i].says[s], l.problems.items[0].text);
            }
        }
        free_loaded(&l);
    }
}

#define ASSERT_EACH_IS_REFUSED(cases)                                                                        \
    assert_each_is_refused(*state, cases, sizeof(cases) / sizeof((cases)[0]))

static void what_is_not_lua_is_a_problem_with_its_line(void **state)
{
    static const struct broken cases[] = {
        {"-- fine\nnode 'x' {\n host = \n}}\n", 4, {"unexpected symbol near '}'", "valid Lua 5.4"}},
        {"gateway {\n ae_title = \"open }\n", 2, {"unfinished string"}},
        {"\nlisen '1'", 2, {"nil value (global 'lisen')", "did you mean 'listen'?"}},
        {"\nnode 'x' { host = io.open('/etc/hostname'):read() }", 2, {"global 'io'", "sandbox without 'io'"}},
        {"os.exit(0)", 1, {"sandbox without 'os'"}},
        {"local f = load('return 1')", 1, {"sandbox without 'load'"}},
        {"local x = pacs.host", 1, {"global 'pacs'", "must be defined before it is used"}},
        {"\n\nerror('this is mine')", 3, {"this is mine"}},
        {"\nerror('no place', 0)", 2, {"no place"}},
        {"\n\nerror({})", 3, {"an error was raised that is not a string"}},
        {"\nerror()", 2, {"an error was raised that is not a string"}},
        {"local function f()\n  local x = nil + 1\nend\nf()", 2, {"arithmetic on a nil value"}},
        {"local function deep() return deep() + 1 end\ndeep()", 1, {"stack overflow"}},
        {"local t = {}\nt[1] = t\nlisten(t)", 3, {"nested too deeply"}},
        {"local t = {}\nt[1] = t\nnode 'x' (t)", 3, {"nested too deeply"}},
        {"\nlocal t = {}\nt.t = t\ngateway(t)", 4, {"nested too deeply"}},
        {"\nfor i = 1, 1e9 do\n route('r' .. i) { to = 'pacs1' }\nend", 3, {"more than 10000 declarations"}},
        {"local d = node 'x'\nd { folder = '/{SOPInstanceUID}' }\nd {}", 3, {"one node is given two tables"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void keys_that_are_not_known_are_refused_with_the_nearest(void **state)
{
    static const struct broken cases[] = {
        {"gateway {\n\n memry = '1GiB' }",
         3,
         {"unknown key \"memry\" in gateway", "did you mean \"memory\"?"}},
        {"gateway { whom = {} }",
         1,
         {"unknown key \"whom\" in gateway", "the keys are ae_title, workers, spool"}},
        {"gateway { port = 104 }", 1, {"unknown key \"port\" in gateway"}},
        {"gateway { ae_title = 'A',\n host = 'x' }",
         2,
         {"unknown key \"host\" in gateway", "it is a key of node"}},
        {"gateway { timeouts = {\n conect = '5s' } }",
         2,
         {"unknown key \"conect\" in timeouts", "\"connect\""}},
        {"gateway { log = {\n colour = 'x' } }",
         2,
         {"unknown key \"colour\" in log", "the keys are level, format"}},
        {"gateway { 'x' }", 1, {"a value without a key in gateway", "key = value"}},
        {"gateway { [7] = 'x' }", 1, {"a value without a key in gateway"}},
        {"listen { port = 1,\n adress = '::1' }", 2, {"unknown key \"adress\" in listen", "\"address\""}},
        {"listen { port = 1,\n whom = { '::1' } }",
         2,
         {"unknown key \"whom\"", "the keys are port, address, name"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n prot = 1 }", 2, {"node \"x\"", "\"prot\"", "\"port\"?"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n to = 'y' }",
         2,
         {"unknown key \"to\"", "it is a key of route"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n ['a key'] = 1 }", 2, {"unknown key \"a key\""}},
        {"route 'x' { to = 'pacs1',\n fnal = true }",
         2,
         {"route \"x\"", "\"fnal\"", "did you mean \"final\"?"}},
        {"route 'x' { to = 'pacs1',\n when = {\n  caling = 'A' } }",
         3,
         {"\"caling\" in when", "\"calling\"?"}},
        {"route 'x' { to = 'pacs1',\n when = {\n  colour = 'A' } }",
         3,
         {"\"colour\" in when", "the keys are calling"}},
        {"route 'x' { to = 'pacs1',\n when = { 'A' } }", 2, {"a value without a key in when"}},
        {"route 'x' { to = 'pacs1',\n when = { SopClasUID = '1' } }", 2, {"did you mean \"SOPClassUID\"?"}},
        {"route 'x' { to = 'pacs1',\n when = { calling = { on = 'A' } } }", 2, {"keys other than no"}},
        {"route 'x' { to = 'pacs1',\n when = { calling = { no = 'A', 'B' } } }", 2, {"keys other than no"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void values_of_the_wrong_type_are_refused_with_the_right_one(void **state)
{
    static const struct broken cases[] = {
        {"gateway 'HILUM'", 1, {"gateway is a string; it must be a table"}},
        {"gateway()", 1, {"gateway is nil; it must be a table"}},
        {"gateway {\n ae_title = 7 }", 2, {"ae_title is a number; it must be an AE title"}},
        {"gateway {\n workers = '4' }", 2, {"workers is a string; it must be a whole number from 1 to 1024"}},
        {"gateway {\n spool = true }", 2, {"spool is a boolean; it must be a folder, { path"}},
        {"gateway {\n admin = true }", 2, {"admin is a boolean; it must be \"ADDRESS:PORT\" or false"}},
        {"gateway {\n memory = {} }", 2, {"memory is a table; it must be a size"}},
        {"gateway {\n timeouts = '5s' }", 2, {"timeouts is a string; it must be a table"}},
        {"gateway {\n timeouts = { connect = true } }",
         2,
         {"timeouts.connect is a boolean; it must be a duration"}},
        {"gateway {\n log = 'info' }", 2, {"log is a string; it must be a table"}},
        {"gateway {\n log = { level = 3 } }",
         2,
         {"log.level is a number; it must be one of \"error\", \"warn\""}},
        {"listen(11113)", 1, {"listen is a number; it must be \"11112\", \"127.0.0.1:11112\""}},
        {"listen {\n port = '11113' }", 2, {"port is a string; it must be a whole number from 0 to 65535"}},
        {"listen { port = 1,\n allow = { '::1',\n  7 } }",
         3,
         {"allow[2] is a number; it must be an address"}},
        {"listen { port = 1,\n allow = { a = '::1' } }", 2, {"allow is a table with keys"}},
        {"listen { port = 1,\n ae_titles = { 'A', {} } }",
         2,
         {"ae_titles[2] is a table; it must be an AE title"}},
        {"listen { port = 1,\n name = false }", 2, {"name is a boolean; it must be a string"}},
        {"node 'x' 'y'", 1, {"node is a string; it must be a table"}},
        {"node 'x' { ae_title = 'X',\n host = 10 }", 2, {"host is a number; it must be a host name"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n port = '104' }", 2, {"port is a string"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n calling = true }",
         2,
         {"\"own\", \"pass\" or an AE title"}},
        {"node 'x' {\n folder = true }", 2, {"folder is a boolean; it must be a path"}},
        {"route 'x' { to = 'pacs1',\n final = 'yes' }", 2, {"final is a string; it must be true or false"}},
        {"route 'x' { to = 'pacs1',\n stream = 1 }", 2, {"stream is a number; it must be true or false"}},
        {"route 'x' { to = 'pacs1',\n back_to_sender = 0 }", 2, {"back_to_sender is a number"}},
        {"route 'x' { to = 'pacs1',\n zero_copy = 1 }",
         2,
         {"zero_copy is a number; it must be \"auto\", true or false"}},
        {"gateway {\n zero_copy = {} }", 2, {"zero_copy is a table; it must be \"auto\", true or false"}},
        {"gateway {\n zero_copy = 'yes' }",
         2,
         {"zero_copy = \"yes\" is unknown; it must be \"auto\", true or false"}},
        {"route 'x' { to = 'pacs1',\n on_failure = false }",
         2,
         {"on_failure is a boolean; it must be \"queue\" or \"fail\""}},
        {"route 'x' {\n to = 7 }", 2, {"to is a number; it must be the name of a node"}},
        {"route 'x' {\n to = { 'pacs1', true } }", 2, {"to[2] is a boolean"}},
        {"route 'x' { to = 'pacs1',\n when = 'CT' }", 2, {"when is a string; it must be a table"}},
        {"route 'x' { to = 'pacs1',\n when = { calling = true } }", 2, {"when.calling is a boolean"}},
        {"route 'x' { to = 'pacs1',\n when = { calling = { 'A', false } } }",
         2,
         {"when.calling[2] is a boolean"}},
        {"route 'x' { to = 'pacs1',\n when = { remote = 10 } }",
         2,
         {"when.remote is a number; it must be an address"}},
        {"route 'x' { to = 'pacs1',\n when = { SOPClassUID = 12 } }", 2, {"when.SOPClassUID is a number"}},
        {"route 'x' { to = 'pacs1',\n when = { SOPInstanceUID = 12 } }",
         2,
         {"when.SOPInstanceUID is a number"}},
        {"route 'x' { to = 'pacs1',\n when = { service = 1 } }", 2, {"when.service is a number"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void sizes_and_durations_need_their_units(void **state)
{
    static const struct broken cases[] = {
        {"gateway {\n memory = 1024 }", 2, {"memory = 1024 has no unit", "\"1MiB\""}},
        {"gateway {\n memory = '1 GiB' }", 2, {"memory = \"1 GiB\" is not a size"}},
        {"gateway {\n memory = '1Gi' }", 2, {"is not a size"}},
        {"gateway {\n memory = '-1MiB' }", 2, {"is not a size"}},
        {"gateway {\n memory = '99999999999999GiB' }", 2, {"is not a size"}},
        {"gateway {\n memory = '64KiB' }", 2, {"memory is too small; it must be at least \"1MiB\""}},
        {"gateway {\n window = '1KiB' }", 2, {"window is too small; it must be at least \"4KiB\""}},
        {"gateway { memory = '1MiB',\n window = '2MiB' }", 2, {"window is larger than memory"}},
        {"gateway {\n header_max = 'big' }", 2, {"header_max = \"big\" is not a size"}},
        {"gateway {\n replay_max = 5 }", 2, {"replay_max = 5 has no unit"}},
        {"gateway { timeouts = {\n connect = 5 } }",
         2,
         {"timeouts.connect = 5 has no unit", "\"5s\" or \"5ms\""}},
        {"gateway { timeouts = {\n response = '5' } }",
         2,
         {"timeouts.response = \"5\" is not a duration", "\"5s\""}},
        {"gateway { timeouts = {\n idle = '1 hour' } }", 2, {"timeouts.idle = \"1 hour\" is not a duration"}},
        {"gateway { timeouts = {\n lag = '1.5s' } }",
         2,
         {"is not a duration; write a whole number and a unit"}},
        {"gateway { timeouts = {\n connect = 0 } }", 2, {"timeouts.connect is 0", "at least \"1ms\""}},
        {"gateway { timeouts = {\n association = '0s' } }", 2, {"timeouts.association is 0"}},
        {"gateway { timeouts = {\n progress = '0' } }", 2, {"timeouts.progress is 0"}},
        {"gateway { timeouts = {\n response = 0 } }", 2, {"timeouts.response is 0"}},
        {"gateway { timeouts = {\n lag = 0 } }", 2, {"timeouts.lag is 0"}},
        {"gateway { timeouts = {\n retrieve = 0 } }", 2, {"timeouts.retrieve is 0"}},
        {"gateway { timeouts = {\n commit = 0 } }", 2, {"timeouts.commit is 0"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n lag = 5 }", 2, {"lag = 5 has no unit"}},
        {"node 'x' { folder = '/{SOPInstanceUID}',\n lag = '5' }", 2, {"lag = \"5\" is not a duration"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void values_out_of_range_are_refused_with_the_range(void **state)
{
    static const struct broken cases[] = {
        {"gateway {\n workers = 0 }", 2, {"workers is 0, which is out of range", "from 1 to 1024"}},
        {"gateway {\n workers = 2.5 }", 2, {"workers is 2.5, which is out of range", "a whole number"}},
        {"gateway {\n max_associations = 0 }", 2, {"max_associations is 0, which is out of range"}},
        {"gateway {\n max_pdu = '1000' }", 2, {"max_pdu is out of range", "0, for unlimited, or from 1024"}},
        {"gateway {\n max_pdu = 1023 }", 2, {"max_pdu is out of range"}},
        {"gateway {\n max_pdu = '4GiB' }", 2, {"max_pdu is out of range", "4294967295"}},
        {"gateway {\n max_pdu = -1 }", 2, {"max_pdu is out of range"}},
        {"listen { port = 1,\n max_pdu = 16384.5 }", 2, {"max_pdu is out of range"}},
        {"gateway {\n log = { level = 'loud' } }",
         2,
         {"level = \"loud\" is unknown; it must be one of \"error\""}},
        {"gateway {\n log = { format = 'xml' } }",
         2,
         {"format = \"xml\" is unknown", "\"logfmt\", \"json\""}},
        {"listen {\n port = 65536 }", 2, {"port is 65536, which is out of range", "from 0 to 65535"}},
        {"listen {\n port = -1 }", 2, {"port is -1, which is out of range"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n port = 0 }", 2, {"port is 0", "from 1 to 65535"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n port = 65536 }", 2, {"port is 65536"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n max_associations = 0 }", 2, {"max_associations is 0"}},
        {"gateway {\n tcp_congestion = 'nonsense' }",
         2,
         {"\"nonsense\" is not available on this machine; there are: "}},
        {"gateway {\n spool = '' }", 2, {"spool is empty"}},
        {"gateway {\n spool = 'a\\0b' }", 2, {"spool holds a NUL character"}},
        {"route 'x' { to = 'pacs1',\n on_failure = 'retry' }",
         2,
         {"on_failure = \"retry\" is unknown", "\"queue\" or \"fail\""}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void titles_are_those_of_dicom(void **state)
{
    static const struct broken cases[] = {
        {"gateway {\n ae_title = 'SEVENTEEN_LETTERS' }",
         2,
         {"\"SEVENTEEN_LETTERS\" is longer than 16 characters"}},
        {"gateway {\n ae_title = 'A\\\\B' }", 2, {"\"A\\B\" holds a backslash", "without backslash"}},
        {"gateway {\n ae_title = '   ' }", 2, {"\"   \" is blank"}},
        {"gateway {\n ae_title = '' }", 2, {"ae_title is empty"}},
        {"gateway {\n ae_title = ' HILUM' }", 2, {"has spaces around it"}},
        {"gateway {\n ae_title = 'A\\tB' }", 2, {"not printable ASCII"}},
        {"gateway {\n ae_title = 'M\xc3\xbcller' }", 2, {"not printable ASCII"}},
        {"node 'x' { host = 'h',\n ae_title = 'SEVENTEEN_LETTERS' }", 2, {"longer than 16"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n calling = 'A\\\\B' }",
         2,
         {"calling: the AE title \"A\\B\""}},
        {"listen { port = 1, ae_titles = { 'A',\n 'SEVENTEEN_LETTERS' } }",
         2,
         {"ae_titles[2]: the AE title"}},
        {"listen { port = 1,\n ae_titles = {} }", 2, {"ae_titles is an empty list", "leave ae_titles out"}},
        {"route 'x' { to = 'pacs1',\n when = { calling = 'SEVENTEEN_LETTERS' } }",
         2,
         {"longer than 16 characters"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void listeners_have_an_address_and_a_port_of_their_own(void **state)
{
    static const struct broken cases[] = {
        {"\nlisten 'dicom'", 2, {"\"dicom\" is neither a port", "\"127.0.0.1:11112\""}},
        {"listen '65536'", 1, {"\"65536\" is neither a port"}},
        {"listen ''", 1, {"listen is empty"}},
        {"listen '-1'", 1, {"is neither a port"}},
        {"listen 'localhost:104'",
         1,
         {"\"localhost:104\" is neither a port (0 to 65535) nor a numeric address"}},
        {"listen '10.0.0.0/8:104'", 1, {"nor a numeric address and a port"}},
        {"listen '::1:104'", 1, {"\"[::1]:11112\""}},
        {"listen '[127.0.0.1]:104'", 1, {"is neither a port"}},
        {"listen ':104'", 1, {"is neither a port"}},
        {"listen '127.0.0.1:'", 1, {"is neither a port"}},
        {"\nlisten { name = 'x' }", 2, {"there is no port; add port = 11112"}},
        {"listen { port = 1,\n address = 'localhost' }",
         2,
         {"address = \"localhost\" is not a numeric address"}},
        {"listen { port = 1,\n address = '10.0.0.0/8' }", 2, {"is not a numeric address"}},
        {"listen { port = 1,\n allow = '10.0.*' }", 2, {"\"10.0.*\" is neither an address nor a CIDR block"}},
        {"listen { port = 1,\n allow = {} }", 2, {"allow is an empty list", "it would let nobody in"}},
        {"listen '104'\nlisten '104'", 2, {"port 104 is already listened on (line 1)"}},
        {"listen '127.0.0.1:104'\nlisten {\n address = '127.0.0.1',\n port = 104 }",
         4,
         {"already listened on (line 1)"}},
        {"listen '127.0.0.1:104'\nlisten '104'", 2, {"on an address that overlaps"}},
        {"listen '0.0.0.0:104'\nlisten '127.0.0.1:104'", 2, {"already listened on"}},
        {"listen '[::]:104'\nlisten '127.0.0.1:104'", 2, {"already listened on"}},
        {"listen '127.0.0.1:104'\nlisten '127.0.0.2:104'", 2, {"line 1 is named \"104\" as well", "name ="}},
        {"listen '104'\nlisten { port = 105,\n name = '104' }", 3, {"line 1 is named \"104\" as well"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void nodes_are_whole_and_either_remote_or_a_folder(void **state)
{
    static const struct broken cases[] = {
        {"\nnode 'x' { ae_title = 'X' }", 2, {"neither a host nor a folder; add host ="}},
        {"\nnode 'x' { host = 'h' }", 2, {"there is no ae_title; add ae_title"}},
        {"\nnode 'x'", 2, {"there is no table behind the name; write node \"NAME\" {"}},
        {"\nnode { host = 'h', ae_title = 'X' }", 2, {"there is no name; write node \"NAME\" {"}},
        {"\nnode '' { host = 'h', ae_title = 'X' }", 2, {"there is no name"}},
        {"\nnode(7) { host = 'h', ae_title = 'X' }", 2, {"there is no name"}},
        {"node 'x' { host = 'a', ae_title = 'X' }\nnode 'x' { host = 'b', ae_title = 'X' }",
         2,
         {"there is a node \"x\" on line 1 already"}},
        {"node 'x' { folder = '/{SOPInstanceUID}',\n host = 'h' }", 2, {"host has no meaning for a folder"}},
        {"node 'x' { folder = '/{SOPInstanceUID}',\n port = 104 }", 2, {"port has no meaning for a folder"}},
        {"node 'x' { ae_title = 'X',\n host = '' }", 2, {"host is empty"}},
        {"node 'x' { ae_title = 'X',\n host = 'pacs:104' }", 2, {"write the host alone", "port = 104"}},
        {"node 'x' { ae_title = 'X',\n host = '[::1]' }", 2, {"without brackets"}},
        {"node 'x' { ae_title = 'X',\n host = 'the pacs' }",
         2,
         {"\"the pacs\" is neither a name nor an address"}},
        {"node 'x' { ae_title = 'X',\n host = '10.0.0.0/8' }", 2, {"neither a name nor an address"}},
        {"node 'x' {\n folder = '/data/{date}' }",
         2,
         {"folder = \"/data/{date}\"", "must hold {SOPInstanceUID}"}},
        {"node 'x' {\n folder = '/{StudyUID}/{SOPInstanceUID}' }", 2, {"unknown field {StudyUID} in folder"}},
        {"node 'x' {\n folder = '/{nonsense}/{SOPInstanceUID}' }", 2, {"unknown field {nonsense}"}},
        {"\ngateway {}\ngateway {}", 3, {"there is a gateway on line 2 already"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void our_own_listeners_are_no_nodes(void **state)
{
    static const struct broken cases[] = {
        {"node 'x' { ae_title = 'X', port = 11112,\n host = '127.0.0.1' }", 2, {"our own listener (line 3)"}},
        {"node 'x' { ae_title = 'X', port = 11112,\n host = '127.9.9.9' }", 2, {"our own listener"}},
        {"node 'x' { ae_title = 'X', port = 11112,\n host = '127.1' }", 2, {"our own listener"}},
        {"node 'x' { ae_title = 'X', port = 11112,\n host = '::1' }", 2, {"our own listener"}},
        {"node 'x' { ae_title = 'X', port = 11112,\n host = '0.0.0.0' }", 2, {"our own listener"}},
        {"node 'x' { ae_title = 'X', port = 11112,\n host = '::' }", 2, {"our own listener"}},
        {"node 'x' { ae_title = 'X', port = 11112,\n host = 'localhost' }", 2, {"would go in circles"}},
        {"node 'x' { ae_title = 'X', port = 11112,\n host = 'LocalHost' }", 2, {"our own listener"}},
        {"listen '127.0.0.1:104'\nnode 'x' { ae_title = 'X',\n host = '127.0.0.1' }",
         3,
         {"our own listener (line 1)"}},
        {"listen '[::1]:104'\nnode 'x' { ae_title = 'X',\n host = 'localhost' }",
         3,
         {"our own listener (line 1)"}},
        {"listen '0.0.0.0:104'\nnode 'x' { ae_title = 'X',\n host = '127.0.0.1' }",
         3,
         {"our own listener (line 1)"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);

    char text[400] = "node 'x' { ae_title = 'X', port = 11112,\n host = '";
    char own[200];
    assert_int_equal(gethostname(own, sizeof(own)), 0);
    strcat(strcat(text, own), "' }");
    const struct broken by_name = {text, 2, {"our own listener"}};
    assert_each_is_refused(*state, &by_name, 1);
}

static void routes_lead_to_nodes_that_are_there(void **state)
{
    static const struct broken cases[] = {
        {"\nroute 'x' {}", 2, {"there is neither to nor copy", "add to =", "or copy ="}},
        {"route 'x' {\n to = {} }", 2, {"to is an empty list; name at least one node"}},
        {"route 'x' {\n to = 'pacs2' }",
         2,
         {"unknown node \"pacs2\"; did you mean \"pacs1\"?", "\"pacs1\", \"disk\""}},
        {"route 'x' {\n to = {\n  'disk',\n  'archive' } }",
         4,
         {"unknown node \"archive\"; the nodes are \"pacs1\""}},
        {"node 'ab' { folder = '/{SOPInstanceUID}' } route 'x' {\n to = 'ba' }", 2, {"did you mean \"ab\"?"}},
        {"route 'x' {\n to = { 'disk',\n 'disk' } }", 3, {"node \"disk\" is named twice"}},
        {"route 'x' { to = 'disk' }\nroute 'x' { to = 'pacs1' }",
         2,
         {"there is a route \"x\" on line 1 already"}},
        {"\nroute 'x'", 2, {"there is no table behind the name; write route"}},
        {"\nroute { to = 'disk' }", 2, {"there is no name; write route \"NAME\""}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void conditions_can_match_something(void **state)
{
    static const struct broken cases[] = {
        {"route 'x' { to = 'disk', when = {\n calling = {} } }",
         2,
         {"calling is an empty list", "leave the key out"}},
        {"route 'x' { to = 'disk', when = {\n calling = { no = {} } } }", 2, {"is an empty list"}},
        {"route 'x' { to = 'disk', when = {\n calling = '' } }", 2, {"when.calling is empty"}},
        {"route 'x' { to = 'disk', when = {\n peer = 'ct1' } }",
         2,
         {"\"ct1\" is no certificate's subject; write it as \"CN=ct1\""}},
        {"route 'x' { to = 'disk', when = {\n peer = { no = 17 } } }",
         2,
         {"when.peer.no is a number; it must be a certificate's subject"}},
        {"route 'x' { to = 'disk', when = {\n remote = 'ct1.local' } }",
         2,
         {"remote \"ct1.local\"", "CIDR block"}},
        {"route 'x' { to = 'disk', when = { remote = { '10.0.0.0/8',\n '10.1.*' } } }",
         2,
         {"remote \"10.1.*\""}},
        {"route 'x' { to = 'disk', when = { remote = { no =\n '10.1.*' } } }", 1, {"remote \"10.1.*\""}},
        {"route 'x' { to = 'disk', when = {\n SOPClassUID = 'CTImageStorag' } }",
         2,
         {"did you mean \"CTImageStorage\"?"}},
        {"route 'x' { to = 'disk', when = {\n SOPClassUID = 'CT' } }",
         2,
         {"neither a UID nor the keyword of a SOP class"}},
        {"route 'x' { to = 'disk', when = {\n SOPClassUID = 'JPEGBaseline8Bit' } }",
         2,
         {"nor the keyword of a SOP class"}},
        {"route 'x' { to = 'disk', when = {\n SOPInstanceUID = '1.2.x' } }", 2, {"\"1.2.x\" is not a UID"}},
        {"route 'x' { to = 'disk', when = {\n SOPInstanceUID = "
         "'1.2.3456789.123456789.123456789.123456789.123456789.123456789.123' } }",
         2,
         {"longer than 64 characters"}},
        {"route 'x' { to = 'disk', when = {\n service = 'sotre' } }",
         2,
         {"unknown service \"sotre\"; did you mean \"store\"?"}},
        {"route 'x' { to = 'disk', when = {\n service = 'nonsense' } }",
         2,
         {"there are \"store\", \"echo\", \"find\"", "\"print\" and \"other\""}},
        {"route 'x' { to = 'pacs1', when = { service = 'echo',\n SOPClassUID = '1.*' } }",
         2,
         {"SOPClassUID says nothing"}},
        {"route 'x' { to = 'pacs1', when = { service = 'echo',\n SOPInstanceUID = '1.*' } }",
         2,
         {"SOPInstanceUID says nothing"}},
        {"route 'x' { when = { service = 'echo' },\n to = { 'pacs1', 'disk' } }",
         2,
         {"\"disk\" is a folder", "echo"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void the_queue_is_where_and_as_it_is_said_to_be(void **state)
{
    static const struct broken cases[] = {
        {"gateway {\n spool = 7 }", 2, {"spool is a number; it must be a folder, { path", "or false"}},
        {"gateway { spool = {\n path = false } }", 2, {"spool.path is a boolean; it must be a string"}},
        {"gateway { spool = {\n path = '' } }", 2, {"spool.path is empty"}},
        {"gateway { spool = {\n folder = '/s' } }", 2, {"unknown key \"folder\" in spool"}},
        {"gateway { spool = {\n max_byte = '1GiB' } }", 2, {"did you mean \"max_bytes\"?"}},
        {"gateway { spool = {\n '/s' } }", 2, {"a value without a key in spool"}},
        {"gateway { spool = {\n max_bytes = 5 } }", 2, {"spool.max_bytes = 5 has no unit"}},
        {"gateway { spool = {\n max_bytes = '1KiB' } }", 2, {"spool.max_bytes is too small", "\"1MiB\""}},
        {"gateway { spool = {\n reserve = 'much' } }", 2, {"spool.reserve = \"much\" is not a size"}},
        {"gateway {\n max_bytes = '1GiB' }", 2, {"it is a key of gateway's spool"}},
        {"gateway {\n journal = 'yes' }", 2, {"journal is a string; it must be true or false"}},
        {"gateway { spool = false,\n journal = true }", 2, {"spool = false", "leave journal out"}},
        {"gateway {\n history = 7 }", 2, {"history = 7 has no unit"}},
        {"gateway {\n history = '1w' }", 2, {"history = \"1w\" is not a duration", "\"7d\""}},
        {"gateway {\n expire = true }", 2, {"expire is a boolean; it must be a duration"}},
        {"gateway {\n header_spool_max = 1 }", 2, {"header_spool_max = 1 has no unit"}},
        {"gateway {\n retry = '5s' }", 2, {"retry is a string; it must be a table"}},
        {"gateway { retry = {\n first = 0 } }", 2, {"retry.first is 0", "at least \"1ms\""}},
        {"gateway { retry = {\n most = '0s' } }", 2, {"retry.most is 0"}},
        {"gateway { retry = {\n last = '1s' } }", 2, {"unknown key \"last\" in retry"}},
        {"gateway { retry = { first = '1m',\n most = '1s' } }",
         2,
         {"(60000 ms) is longer than the longest (1000 ms)"}},
        {"gateway { retry = {\n first = '1h' } }",
         2,
         {"(3600000 ms) is longer than the longest (600000 ms)"}},
        {"gateway { retry = { most = '1s', first = '1s' } }\n"
         "node 'x' { host = 'h', ae_title = 'X', retry = {\n first = '2s' } }",
         3,
         {"node \"x\"", "(2000 ms) is longer than the longest (1000 ms)"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n deliveries = 0 }",
         2,
         {"deliveries is 0", "from 1 to 1000"}},
        {"node 'x' { host = 'h', ae_title = 'X', max_associations = 2,\n deliveries = 3 }",
         2,
         {"deliveries is 3, and max_associations allows 2", "from 1 to 2"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n expire = '5' }", 2, {"expire = \"5\" is not a duration"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n journal = true }", 2, {"a key of gateway, and of route"}},
        {"gateway {\n deliveries = 2 }", 2, {"it is a key of node"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void routes_queue_what_can_be_queued(void **state)
{
    static const struct broken cases[] = {
        {"route 'x' {\n copy = {} }", 2, {"copy is an empty list; name at least one node"}},
        {"route 'x' {\n copy = 7 }", 2, {"copy is a number; it must be the name of a node"}},
        {"route 'x' { to = 'pacs1',\n copy = 'pacs2' }", 2, {"unknown node \"pacs2\"; did you mean"}},
        {"route 'x' { copy = { 'disk',\n 'disk' } }", 2, {"node \"disk\" is named twice"}},
        {"gateway { spool = false } route 'x' {\n copy = 'pacs1' }",
         2,
         {"copy needs the queue", "spool = false", "name the nodes in to"}},
        {"gateway { spool = false } route 'x' { to = 'pacs1',\n on_failure = 'queue' }",
         2,
         {"on_failure = \"queue\" needs the queue", "write \"fail\" or leave it out"}},
        {"gateway { spool = false } route 'x' { to = 'pacs1',\n journal = true }", 2, {"spool = false"}},
        {"route 'x' { to = 'pacs1', when = { service = 'echo' },\n copy = 'pacs1' }",
         2,
         {"copy means nothing for service = \"echo\"", "name the nodes in to"}},
        {"route 'x' { when = { service = 'echo' },\n copy = 'pacs1' }", 2, {"copy means nothing"}},
        {"route 'x' { to = 'pacs1', when = { service = 'echo' },\n on_failure = 'queue' }",
         2,
         {"on_failure = \"queue\" means nothing for service = \"echo\"", "write \"fail\""}},
        {"route 'x' { to = 'pacs1',\n journal = 1 }", 2, {"journal is a number; it must be true or false"}},
        {"route 'x' { to = 'pacs1',\n hold = { quiet = '1s' } }", 2, {"there is no copy", "add copy ="}},
        {"route 'x' { copy = 'pacs1',\n hold = '60s' }", 2, {"hold is a string; it must be a table"}},
        {"route 'x' { copy = 'pacs1',\n hold = {} }", 2, {"there is no quiet", "quiet = \"60s\""}},
        {"route 'x' { copy = 'pacs1', hold = {\n quiet = 0 } }", 2, {"hold.quiet is 0"}},
        {"route 'x' { copy = 'pacs1', hold = { quiet = '1s',\n by = 'patient' } }",
         2,
         {"by = \"patient\" is unknown", "\"study\" or \"series\""}},
        {"route 'x' { copy = 'pacs1', hold = { quiet = '1s',\n by = 1 } }", 2, {"hold.by is a number"}},
        {"route 'x' { copy = 'pacs1',\n on_study = function () end }",
         2,
         {"there is no hold", "add hold = { quiet"}},
        {"route 'x' { copy = 'pacs1', hold = { quiet = '1s' },\n on_study = true }",
         2,
         {"on_study is a boolean; it must be a function, function (study)"}},
        {"route 'x' { to = 'pacs1',\n quiet = '1s' }", 2, {"it is a key of a route's hold"}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void what_later_versions_bring_is_refused_and_never_ignored(void **state)
{
#define LATER "not available in this version"
    static const struct broken cases[] = {
        {"gateway {\n admin = '127.0.0.1:8043' }", 2, {LATER, "admin = false"}},
        {"node 'x' { host = 'h', ae_title = 'X',\n allow = {} }", 2, {"allow is " LATER}},
        {"route 'x' { to = 'pacs1',\n transfer = 'JPEG2000Lossless' }", 2, {"transfer is " LATER}},
    };
    ASSERT_EACH_IS_REFUSED(cases);
}

static void a_configuration_that_does_nothing_says_so(void **state)
{
    struct loaded l = load_text(*state, "-- nothing\n");
    assert_int_equal(l.result, ERR_USAGE);
    assert_int_equal(l.problems.count, 2);
    assert_non_null(strstr(problem_at(&l, 0, 1), "there is no listener; add listen \"11112\""));
    assert_false(l.problems.items[0].is_warning);
    assert_non_null(strstr(problem_at(&l, 1, 1), "warning: there is no route"));
    assert_true(l.problems.items[1].is_warning);
    free_loaded(&l);
}

static void a_file_that_is_not_there_is_a_problem(void **state)
{
    (void)state;
    struct config *config;
    struct problems problems;
    assert_int_equal(script_load("/nowhere/site.lua", &config, &problems), ERR_USAGE);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].text,
                        "/nowhere/site.lua:1: the file cannot be read (No such file or directory); "
                        "name a readable Lua file");
    assert_null(config);
    problems_free(&problems);
    assert_int_equal(script_load("/tmp", &config, &problems),
                     ERR_USAGE); /* a folder opens, and does not read */
    assert_int_equal(problems.count, 1);
    problems_free(&problems);
}

static void warnings_alone_leave_the_configuration_usable(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *says;
    } cases[] = {
        {"route 'all' { to = 'disk', final = true }", 5,
         "it is never reached: route \"all\" on line 1 is final"},
        {"route 'x' { to = 'disk', when = {\n listener = 'other' } }", 2,
         "no listener is named \"other\"; there are \"main\""},
        {"route 'x' { to = 'disk',\n copy = { 'pacs1', 'disk' } }", 2,
         "node \"disk\" is named by to as well; it gets an instance once, by to"},
        {"route 'x' { copy = 'disk',\n on_failure = 'queue' }", 2, "there is no to"},
        {"node 'n' { host = 'h', ae_title = 'N',\n max_associations = 2 } route 'a' { to = 'n' } "
         "route 'a2' { to = 'n' } route 'b' { to = 'n', morph = function(ds) end } "
         "route 'c' { to = 'n', morph = function(ds) end }",
         2, "each instance goes there 3 times, as routes morph it, and 2 of them at a time"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "%s" REST, cases[i].text);
        struct loaded l = load_text(*state, text);
        assert_int_equal(l.result, OK);
        assert_non_null(l.config);
        assert_int_equal(l.problems.count, 1);
        assert_true(l.problems.items[0].is_warning);
        const char *problem = problem_at(&l, 0, cases[i].line);
        assert_non_null(problem);
        assert_int_equal(strncmp(problem, "warning: ", 9), 0);
        assert_non_null(strstr(problem, cases[i].says));
        free_loaded(&l);
    }
}

/* Enough of them, or no limit; routes that need not both hold; the same bytes; another node. */
static void a_limit_that_may_do_is_not_warned_of(void **state)
{
    static const char *const cases[] = {
        "max_associations = 2 } route 'a' { to = 'n' } route 'b' { to = 'n', morph = function(ds) end }",
        "port = 105 } route 'a' { to = 'n' } route 'b' { to = 'n', morph = function(ds) end }",
        "max_associations = 1 } route 'a' { to = 'n' } route 'b' { to = 'n', when = { calling = 'X' }, morph "
        "= function(ds) end }",
        "max_associations = 1 } route 'a' { to = 'n' } route 'b' { to = 'n', when = function() end, morph = "
        "function(ds) end }",
        "max_associations = 1 } route 'a' { to = 'n' } route 'b' { to = 'n' }",
        "max_associations = 1 } route 'a' { to = 'n' } route 'b' { to = 'disk', morph = function(ds) end }",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "node 'n' { host = 'h', ae_title = 'N', %s" REST, cases[i]);
        struct loaded l = load_text(*state, text);
        assert_int_equal(l.result, OK);
        assert_int_equal(l.problems.count, 0);
        free_loaded(&l);
    }
}

static void all_problems_come_in_one_go_and_in_line_order(void **state)
{
    struct loaded l = load_text(*state, "route 'r' { to = 'nowhere',\n" /* 1 */
                                        "  final = 1 }\n"               /* 2 */
                                        "node 'n' {\n"                  /* 3: no host */
                                        "  ae_title = ' ',\n"           /* 4 */
                                        "  -- port = 1,\n"
                                        "  port = 0 }\n" /* 6 */
                                        "listen {\n"
                                        "  --[[ port = 2,\n"
                                        "  ]] port = 'x' }\n" /* 9 */
                                        "gateway {\n"
                                        "  window = 7,\n"    /* 11 */
                                        "  memory = 8 }\n"); /* 12 */
    static const int lines[] = {1, 2, 3, 4, 6, 9, 11, 12};
    assert_int_equal(l.result, ERR_USAGE);
    assert_int_equal(l.problems.count, 8);
    for (size_t i = 0; i < 8; i++) {
        if (problem_at(&l, i, lines[i]) == NULL) {
            fail_msg("not on line %d: %s", lines[i], l.problems.items[i].text);
        }
    }
    free_loaded(&l);
}

/* An error in the middle: what came before is checked, what may have been going to come is not asked for. */
static void an_error_in_the_middle_hides_no_problem_before_it(void **state)
{
    struct loaded l =
        load_text(*state, "gateway { memry = 1 }\nroute 'r' { to = 'later' }\nnode 'x'\nerror('here')\n");
    assert_int_equal(l.result, ERR_USAGE);
    assert_int_equal(l.problems.count, 2);
    assert_non_null(strstr(problem_at(&l, 0, 1), "memry"));
    assert_non_null(strstr(problem_at(&l, 1, 4), "here"));
    free_loaded(&l);
}

/* The key is looked for as Lua would read the text, not as a search would. */
static void the_line_is_that_of_the_key_and_not_of_its_likes(void **state)
{
    static const struct {
        const char *text;
        int line;
    } cases[] = {
        {"node 'a' { host = 'h', ae_title = 'A',\n lag = 5 }", 2},
        {"node\n'a'\n{ host = 'h', ae_title = 'A',\n\n lag = 5 }", 5},
        {"node('a')({ host = 'h', ae_title = 'A',\n lag = 5 })", 2},
        {"node('a', { host = 'h', ae_title = 'A',\n lag = 5 })", 2},
        {"node [[a]] { host = 'h', ae_title = 'A',\n lag = 5 }", 2},
        {"node 'a' { host = 'h', -- lag = 1\n --[==[\n lag = 2 ]] ]==]\n ae_title = 'A', ['lag'] = 5 }", 4},
        {"gateway { spool = 'h\\'\\\n window =',\n window = 5 }", 3},
        {"node 'b' { host = 'h', ae_title = 'A', lag = '1s' } node 'a' { host = 'h', ae_title = 'A',\n lag = "
         "5 }",
         2},
        {"local t = { host = 'h', ae_title = 'A',\n lag = 5 }\nnode 'a' (t)\nnode 'b' { host = 'h', ae_title "
         "= 'A' }",
         3},
        {"for i = 1, 1 do\n node('a' .. i) { host = 'h', ae_title = 'A',\n lag = 5 } end", 2},
        {"gateway { timeouts = { connect = '1s' },\n log = { level = 'info',\n format = 'info' } }", 3},
        {"gateway { log = { level = 'info' },\n timeouts = { lag = '1s', [ 'connect' ] = '2s',\n idle = 3 } "
         "}",
         3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "%s" REST, cases[i].text);
        struct loaded l = load_text(*state, text);
        if (l.problems.count != 1 || problem_at(&l, 0, cases[i].line) == NULL) {
            fail_msg("not on line %d: %s", cases[i].line,
                     l.problems.count > 0 ? l.problems.items[0].text : "nothing");
        }
        free_loaded(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_lua_is_a_problem_with_its_line),
        cmocka_unit_test(keys_that_are_not_known_are_refused_with_the_nearest),
        cmocka_unit_test(values_of_the_wrong_type_are_refused_with_the_right_one),
        cmocka_unit_test(sizes_and_durations_need_their_units),
        cmocka_unit_test(values_out_of_range_are_refused_with_the_range),
        cmocka_unit_test(titles_are_those_of_dicom),
        cmocka_unit_test(listeners_have_an_address_and_a_port_of_their_own),
        cmocka_unit_test(nodes_are_whole_and_either_remote_or_a_folder),
        cmocka_unit_test(our_own_listeners_are_no_nodes),
        cmocka_unit_test(routes_lead_to_nodes_that_are_there),
        cmocka_unit_test(conditions_can_match_something),
        cmocka_unit_test(the_queue_is_where_and_as_it_is_said_to_be),
        cmocka_unit_test(routes_queue_what_can_be_queued),
        cmocka_unit_test(what_later_versions_bring_is_refused_and_never_ignored),
        cmocka_unit_test(a_configuration_that_does_nothing_says_so),
        cmocka_unit_test(a_file_that_is_not_there_is_a_problem),
        cmocka_unit_test(warnings_alone_leave_the_configuration_usable),
        cmocka_unit_test(a_limit_that_may_do_is_not_warned_of),
        cmocka_unit_test(all_problems_come_in_one_go_and_in_line_order),
        cmocka_unit_test(an_error_in_the_middle_hides_no_problem_before_it),
        cmocka_unit_test(the_line_is_that_of_the_key_and_not_of_its_likes),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
