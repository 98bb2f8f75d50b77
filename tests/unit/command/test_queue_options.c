/* hilum queue: what a command line asks for. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "command/queue.h"

enum { WORDS_MAX = 16 };

/* Words with a space between. */
static bool parse(const char *text, struct queue_options *o)
{
    static char words[512];
    char *argv[WORDS_MAX + 1] = {"queue"}, *rest = NULL;
    int argc = 1;
    snprintf(words, sizeof(words), "%s", text);
    for (char *word = strtok_r(words, " ", &rest); word && argc < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    optind = 0; /* getopt begins anew */
    return queue_options_parse(argc, argv, o);
}

static void every_verb_has_its_states_where_none_are_said(void **state)
{
    enum { TRIED = 1 << SPOOL_WAITING | 1 << SPOOL_FAILED_FOR_GOOD };
    static const struct {
        const char *text;
        enum queue_verb verb;
        unsigned states;
        uint64_t limit;
    } cases[] = {
        {"c", QUEUE_LIST, QUEUE_LIVE, QUEUE_LIMIT},
        {"c list", QUEUE_LIST, QUEUE_LIVE, QUEUE_LIMIT},
        {"c --limit 7", QUEUE_LIST, QUEUE_LIVE, 7},
        {"c list --limit 0", QUEUE_LIST, QUEUE_LIVE, UINT64_MAX},
        {"c list --instance 1.2", QUEUE_LIST, QUEUE_ALL, QUEUE_LIMIT}, /* the ledger's question */
        {"c list --all", QUEUE_LIST, QUEUE_ALL, QUEUE_LIMIT},
        {"c list --instance 1.2 --state failed", QUEUE_LIST, 1 << SPOOL_FAILED_FOR_GOOD, QUEUE_LIMIT},
        {"c list --state held --state relayed,dropped", QUEUE_LIST,
         1 << SPOOL_HELD | 1 << SPOOL_RELAYED | 1 << SPOOL_DROPPED, QUEUE_LIMIT},
        {"c retry", QUEUE_RETRY, TRIED, UINT64_MAX},
        {"c retry --node a", QUEUE_RETRY, TRIED, UINT64_MAX},
        {"c retry --node a --to b", QUEUE_RETRY, QUEUE_LIVE, UINT64_MAX}, /* they are all to move */
        {"c retry --all", QUEUE_RETRY, QUEUE_LIVE, UINT64_MAX},
        {"c retry --state all", QUEUE_RETRY, QUEUE_LIVE, UINT64_MAX},
        {"c drop --node a", QUEUE_DROP, QUEUE_LIVE, UINT64_MAX},
        {"c drop --node a --limit 5", QUEUE_DROP, QUEUE_LIVE, 5},
        {"c export --out x", QUEUE_EXPORT, QUEUE_LIVE, UINT64_MAX},
        {"c export --out x --state delivered", QUEUE_EXPORT, 1 << SPOOL_DELIVERED, UINT64_MAX},
    };
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct queue_options o;
        assert_true(parse(cases[n].text, &o));
        assert_string_equal(o.config, "c");
        assert_int_equal(o.verb, cases[n].verb);
        assert_int_equal(o.states, cases[n].states);
        assert_int_equal(o.limit, cases[n].limit);
        queue_options_free(&o);
    }
}

static void everything_that_can_be_said_arrives(void **state)
{
    struct queue_options o;
    (void)state;
    assert_true(parse("--node n c --study 1.1 list --instance=1.2 --older 2h --after 3.17 --json", &o));
    assert_string_equal(o.node, "n");
    assert_string_equal(o.study, "1.1");
    assert_string_equal(o.instance, "1.2");
    assert_int_equal(o.older_ms, 7200000);
    assert_int_equal(o.after, (spool_id)3 << SPOOL_ID_BITS | 17);
    assert_true(o.json);
    queue_options_free(&o);
    assert_true(parse("c retry 1.2 --to n 2.3 1.2 --yes", &o));
    assert_int_equal(o.id_count, 2); /* each once */
    assert_int_equal(o.ids[0], (spool_id)1 << SPOOL_ID_BITS | 2);
    assert_int_equal(o.ids[1], (spool_id)2 << SPOOL_ID_BITS | 3);
    assert_string_equal(o.to, "n");
    assert_true(o.yes);
    queue_options_free(&o);
    assert_true(parse("--help", &o));
    assert_true(o.help);
    queue_options_free(&o);
}

/* Without its complaint, which nobody reads here. */
static bool parse_quietly(const char *text, struct queue_options *o)
{
    int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    assert_true(kept >= 0 && null >= 0 && dup2(null, STDERR_FILENO) >= 0);
    bool is_taken = parse(text, o);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    close(kept);
    close(null);
    return is_taken;
}

static void what_cannot_be_meant_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "c look",
        "c list 1.2",
        "c show",
        "c show 1.2 1.3",
        "c show 1",
        "c show 1.2.3",
        "c show 1.2 --node a",
        "c drop",       /* all of it? */
        "c drop --yes", /* likewise */
        "c drop --limit 5",
        "c drop 1.2 --state failed",
        "c retry 1.2 --all",
        "c retry 1.2 --limit 1",
        "c retry --state delivered",
        "c drop --state failed,relayed",
        "c export",
        "c export 1.2",
        "c retry --out x",
        "c drop --all --to n",
        "c list --yes",
        "c retry --after 1.2",
        "c list --after x",
        "c list --older 2",
        "c list --older",
        "c list --limit x",
        "c list --limit -1",
        "c list --state",
        "c list --state ,",
        "c list --state failed,",
        "c list --state Failed",
        "c list --study=",
        "c list --what",
        "c list --json=x",
    };
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct queue_options o;
        if (parse_quietly(cases[n], &o))
            fail_msg("taken: %s", cases[n]);
        queue_options_free(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_verb_has_its_states_where_none_are_said),
        cmocka_unit_test(everything_that_can_be_said_arrives),
        cmocka_unit_test(what_cannot_be_meant_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
