/* Why a route does not take a message: the words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/tag.h"
#include "route/attributes.h"
#include "route/explain.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"

static const struct route_facts facts = {
    .service = CONFIG_STORE,
    .calling = {(const uint8_t *)"CT1", 3},
    .called = {(const uint8_t *)"HILUM", 5},
    .remote = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, 5},
    .listener = "main",
    .peer = "CN=ct1",
    .sop_class = {(const uint8_t *)CT, sizeof(CT) - 1},
    .sop_instance = {(const uint8_t *)"1.2.3", 5},
    .has_instance = true,
};

static void assert_words(const struct config *config, const struct config_condition *c,
                         const struct route_facts *f, const char *words)
{
    struct octets out = {0};
    route_explain_condition(config, c, f, &out);
    octets_u8(&out, 0);
    assert_false(out.failed);
    assert_string_equal((char *)out.data, words);
    octets_free(&out);
}

static void facts_are_told_beside_what_was_asked_for(void **state)
{
    (void)state;
    static const struct {
        enum config_fact fact;
        bool negate;
        const char *wanted[4];
        const char *words;
    } cases[] = {
        {CONFIG_FACT_CALLING, false, {"CT2"}, "calling is \"CT1\", not \"CT2\""},
        {CONFIG_FACT_CALLED, false, {"A", "B*"}, "called is \"HILUM\", not \"A\" or \"B*\""},
        {CONFIG_FACT_LISTENER, false, {"a", "b", "c"}, "listener is \"main\", not \"a\", \"b\" or \"c\""},
        {CONFIG_FACT_PEER, false, {"CN=ct2", ""}, "peer is \"CN=ct1\", not \"CN=ct2\" or \"\""},
        {CONFIG_FACT_CALLING, true, {"CT*"}, "calling is \"CT1\", which `no` excludes (\"CT*\")"},
        {CONFIG_FACT_SOP_INSTANCE, false, {"1.2.4"}, "SOPInstanceUID is \"1.2.3\", not \"1.2.4\""},
        {CONFIG_FACT_SOP_CLASS,
         false,
         {"1.2.3*"},
         "SOPClassUID is \"" CT "\" (CTImageStorage), not \"1.2.3*\""},
        {CONFIG_FACT_REMOTE, false, {"10.2.0.0/16"}, "remote is 10.1.0.5, not 10.2.0.0/16"},
        {CONFIG_FACT_REMOTE, false, {"10.1.0.6", "::1"}, "remote is 10.1.0.5, not 10.1.0.6 or ::1"},
        {CONFIG_FACT_REMOTE, true, {"0.0.0.0/0"}, "remote is 10.1.0.5, which `no` excludes (0.0.0.0/0)"},
        {CONFIG_FACT_REMOTE, false, {"2001:db8::/32"}, "remote is 10.1.0.5, not 2001:db8::/32"},
    };
    static const struct config config;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_value values[4] = {0};
        struct config_condition c = {.fact = cases[i].fact, .negate = cases[i].negate, .values = values};
        for (; cases[i].wanted[c.value_count] != NULL; c.value_count++) {
            const char *text = cases[i].wanted[c.value_count];
            struct config_value *v = &values[c.value_count];
            if (c.fact == CONFIG_FACT_REMOTE)
                assert_int_equal(config_network_parse(text, &v->network), OK);
            else
                v->glob = (char *)text;
        }
        assert_words(&config, &c, &facts, cases[i].words);
    }
}

/* One attribute, ImageType, asked to be "A" or 2.5. */
struct site {
    struct config config;
    struct config_attribute attribute;
    struct config_value values[2];
    struct config_condition condition;
    struct route_attribute of;
    struct route_value found[20];
    struct route_attributes attributes;
    struct route_facts facts;
};

static void build(struct site *s)
{
    memset(s, 0, sizeof(*s));
    s->attribute.path.tag = DICOM_TAG(0x0008, 0x0008);
    s->attribute.text = (char *)"ImageType";
    s->config.attributes = &s->attribute;
    s->config.attribute_count = 1;
    s->values[0].glob = (char *)"A";
    s->values[1].number = (struct config_number){false, 0, 2.5};
    s->condition =
        (struct config_condition){.fact = CONFIG_FACT_ATTRIBUTE, .values = s->values, .value_count = 2};
    s->attributes = (struct route_attributes){.of = &s->of, .count = 1, .values = s->found};
    s->facts = facts;
    s->facts.attributes = &s->attributes;
}

static void add(struct site *s, const char *text, bool is_binary)
{
    s->found[s->of.count++] = (struct route_value){
        .text_at = s->attributes.text.len, .text_len = strlen(text), .is_binary = is_binary};
    octets_append(&s->attributes.text, text, strlen(text));
}

static void values_of_attributes_are_told(void **state)
{
    (void)state;
    struct site s;
    build(&s);
    assert_words(&s.config, &s.condition, &s.facts, "ImageType is not known, not \"A\" or 2.5");
    s.of.is_known = true;
    assert_words(&s.config, &s.condition, &s.facts, "ImageType is not there or empty, not \"A\" or 2.5");
    add(&s, "B", false);
    add(&s, "512", true);
    assert_words(&s.config, &s.condition, &s.facts, "ImageType is \"B\", 512, not \"A\" or 2.5");
    for (int i = 0; i < 18; i++)
        add(&s, "1", true);
    assert_words(&s.config, &s.condition, &s.facts,
                 "ImageType is \"B\", 512, 1, 1, 1, 1, 1, 1, ..., not \"A\" or 2.5");
    s.of.is_opaque = true;
    assert_words(
        &s.config, &s.condition, &s.facts,
        "ImageType is nothing that can be compared (a sequence, bytes, or too long), not \"A\" or 2.5");
    octets_free(&s.attributes.text);
}

static void the_first_that_certainly_does_not_hold_is_named(void **state)
{
    (void)state;
    struct site s;
    build(&s);
    struct config_value ct1 = {.glob = (char *)"CT1"}, other = {.glob = (char *)"X"};
    struct config_condition conditions[] = {
        {.fact = CONFIG_FACT_CALLING, .values = &ct1, .value_count = 1},
        s.condition, /* not known */
        {.fact = CONFIG_FACT_CALLED, .values = &other, .value_count = 1},
        {.fact = CONFIG_FACT_LISTENER, .values = &other, .value_count = 1},
    };
    struct config_route route = {.conditions = conditions, .condition_count = 4};
    assert_ptr_equal(route_explain_first(&route, &s.facts), &conditions[2]);
    s.of.is_known = true; /* and empty */
    assert_ptr_equal(route_explain_first(&route, &s.facts), &conditions[1]);
    route.condition_count = 1;
    assert_null(route_explain_first(&route, &s.facts));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_told_beside_what_was_asked_for),
        cmocka_unit_test(values_of_attributes_are_told),
        cmocka_unit_test(the_first_that_certainly_does_not_hold_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
