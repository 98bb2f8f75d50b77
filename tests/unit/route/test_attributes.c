/* Conditions on attributes: what a data set says, as text and numbers, against what a configuration wants; and what is asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/tag.h"
#include "route/attributes.h"
#include "route/match.h"
#include "route/route.h"

static const struct dicom_encoding explicit_le = {.is_explicit = true};

static void put_element(struct octets *o, uint32_t tag, const char *vr, const void *bytes, size_t len)
{
    octets_le16(o, (uint16_t)(tag >> 16));
    octets_le16(o, (uint16_t)tag);
    octets_append(o, vr, 2);
    if (strstr("OB OW UN UT UC SQ SV UV", vr) != NULL) {
        octets_le16(o, 0);
        octets_le32(o, (uint32_t)len);
    } else {
        octets_le16(o, (uint16_t)len);
    }
    octets_append(o, bytes, len);
}

/* A configuration of one attribute and one condition on it. */
struct site {
    struct config config;
    struct config_attribute attribute;
    struct config_route route;
    struct config_condition condition;
    struct config_value values[2];
};

static void build(struct site *s, uint32_t tag)
{
    memset(s, 0, sizeof(*s));
    s->attribute.path.tag = tag;
    s->config.attributes = &s->attribute;
    s->config.attribute_count = 1;
    s->config.routes = &s->route;
    s->config.route_count = 1;
    s->condition.fact = CONFIG_FACT_ATTRIBUTE;
    s->condition.values = s->values;
    s->route.conditions = &s->condition;
    s->route.condition_count = 1;
}

static void want_text(struct site *s, const char *text)
{
    s->values[s->condition.value_count++].glob = (char *)text;
}

static void want_integer(struct site *s, int64_t n)
{
    s->values[s->condition.value_count++].number = (struct config_number){true, n, (double)n};
}

static void want_real(struct site *s, double n)
{
    s->values[s->condition.value_count++].number = (struct config_number){false, 0, n};
}

/* What is in the data set is taken. */
static void take(struct route_attributes *a, const struct config *config, const struct octets *data_set)
{
    static const bool wanted[4] = {true, true, true, true};
    const struct dicom_path *paths[4];
    struct dicom_peek *peek = dicom_peek_new();
    struct dicom_charsets *charsets = dicom_charsets_new();
    assert_non_null(charsets);
    assert_int_equal(route_attributes_reset(a, config), OK);
    size_t count = route_attributes_paths(config, wanted, paths);
    assert_int_equal(count, config->attribute_count);
    assert_int_equal(dicom_peek_begin(peek, paths, count, explicit_le, false), OK);
    if (dicom_peek_feed(peek, data_set->data, data_set->len) == NEED_MORE)
        assert_int_equal(dicom_peek_end(peek), OK);
    assert_int_equal(route_attributes_take(a, wanted, peek, charsets), OK);
    dicom_charsets_free(&charsets);
    dicom_peek_free(&peek);
}

static enum match match(const struct site *s, const struct route_attributes *a)
{
    struct route_facts facts = {.service = CONFIG_STORE, .has_instance = true, .attributes = a};
    enum match m = MATCH_MAYBE;
    assert_true(match_route(&s->route, &facts, &m));
    return m;
}

/* Frees the data set. The negation must be the opposite. */
static bool holds(struct site *s, struct octets *data_set)
{
    struct route_attributes a = {0};
    take(&a, &s->config, data_set);
    enum match m = match(s, &a);
    assert_int_not_equal(m, MATCH_MAYBE);
    s->condition.negate = true;
    assert_int_equal(match(s, &a), m == MATCH_YES ? MATCH_NO : MATCH_YES);
    route_attributes_free(&a);
    octets_free(data_set);
    return m == MATCH_YES;
}

static void text_matches_by_its_characters(void **state)
{
    (void)state;
    static const struct {
        const char *vr, *charset, *value, *wanted;
        bool holds;
    } cases[] = {
        {"CS", NULL, "CT", "CT", true},
        {"CS", NULL, "CT", "C*", true},
        {"CS", NULL, "CT", "C?", true},
        {"CS", NULL, "CT", "?", false},
        {"CS", NULL, "CT", "MR", false},
        {"CS", NULL, "CT", "ct", false},
        {"CS", NULL, " CT ", "CT", true},                          /* spaces that mean nothing */
        {"LO", NULL, "CT\0", "CT", true},                          /* padding as some devices write it */
        {"CS", NULL, "ORIGINAL\\PRIMARY\\AXIAL", "PRIMARY", true}, /* any value */
        {"CS", NULL, "ORIGINAL\\PRIMARY\\AXIAL", "AXIAL", true},
        {"CS", NULL, "ORIGINAL\\ PRIMARY \\AXIAL", "PRIMARY", true},
        {"CS", NULL, "ORIGINAL\\PRIMARY\\AXIAL", "ORIGINAL*", true},
        {"CS", NULL, "ORIGINAL\\PRIMARY\\AXIAL", "*Y*A*", false}, /* no value is two */
        {"LT", NULL, "a\\b", "a\\b", true},                       /* one value */
        {"LT", NULL, "a\\b", "a", false},
        {"PN", NULL, "Doe^John=x", "Doe^John*", true},
        {"PN", "ISO_IR 100", "M\xFCller^J\xF6rg", "M\u00FCller^J\u00F6rg", true},
        {"PN", "ISO_IR 100", "M\xFCller^J\xF6rg", "M?ller^J?rg", true}, /* a character, not a byte */
        {"PN", "ISO_IR 192", "M\u00FCller", "M?ller", true},
        {"PN", "ISO_IR 192", "M\u00FCller", "M??ller", false},
        {"PN", "ISO_IR 192", "\u00FC\u00FC", "*?", true},
        {"PN", "ISO_IR 192", "\u00FC\u00FC", "*???", false},
        {"PN", NULL, "M\xFCller", "M?ller", true}, /* no meaning in ASCII: some character */
        {"PN", "\\ISO 2022 IR 87", "Yamada^Tarou=\x1B$B;3ED\x1B(B^\x1B$BB@O:\x1B(B", "*\u5C71\u7530^*", true},
        {"LO", "GB18030", "\x95\x5C\\x", "\u661E", true}, /* 5C inside of a character is no backslash */
        {"LO", "GB18030", "\x95\x5C\\x", "x", true},
        {"UI", NULL, "1.2.3\0", "1.2.*", true},
        {"DA", NULL, "20240131", "202401*", true},
        {"DS", NULL, "1.50 ", "1.50", true},
        {"DS", NULL, "1.50 ", "1.5", false}, /* characters; a number would compare */
        {"IS", NULL, "512 ", "512", true},
        {"UN", NULL, "SITE 7", "SITE*", true}, /* nobody knows better */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct site s;
        struct octets o = {0};
        size_t len = strlen(cases[i].value);
        build(&s, 0x00291010);
        want_text(&s, cases[i].wanted);
        if (cases[i].charset != NULL)
            put_element(&o, DICOM_SPECIFIC_CHARACTER_SET, "CS", cases[i].charset, strlen(cases[i].charset));
        put_element(&o, 0x00291010, cases[i].vr, cases[i].value, len + len % 2); /* with its NUL */
        if (holds(&s, &o) != cases[i].holds)
            fail_msg("case %zu: %s \"%s\" against \"%s\"", i, cases[i].vr, cases[i].value, cases[i].wanted);
    }
}

/* A wish is a text, or (NULL) a number. */
static void numbers_match_by_value(void **state)
{
    (void)state;
    static const struct {
        const char *vr;
        const char *bytes;
        size_t len;
        const char *text;
        double number;
        bool holds;
    } cases[] = {
        {"US", "\x00\x02", 2, NULL, 512, true},
        {"US", "\x00\x02", 2, "512", 0, true},
        {"US", "\x00\x02", 2, "5*", 0, true},
        {"US", "\x00\x02", 2, NULL, 511, false},
        {"US", "\x01\x00\x00\x02", 4, NULL, 512, true}, /* the second of two */
        {"US", "\x00\x02\x01", 3, NULL, 512, true},     /* and a rest */
        {"SS", "\xFB\xFF", 2, NULL, -5, true},
        {"SS", "\xFB\xFF", 2, "-5", 0, true},
        {"UL", "\xFF\xFF\xFF\xFF", 4, NULL, 4294967295.0, true},
        {"SL", "\xFF\xFF\xFF\xFF", 4, NULL, -1, true},
        {"UV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8, "18446744073709551615", 0, true},
        {"UV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8, NULL, -1, false},
        {"UV", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 8, NULL, 18446744073709551616.0,
         true}, /* the nearest double */
        {"FL", "\xCD\xCC\xCC\x3D", 4, NULL, 0.1, true},
        {"FL", "\xCD\xCC\xCC\x3D", 4, "0.1", 0, true},
        {"FL", "\x00\x00\x00\x44", 4, NULL, 512, true},
        {"FD", "\x9A\x99\x99\x99\x99\x99\xB9\x3F", 8, NULL, 0.1, true},
        {"FD", "\x9A\x99\x99\x99\x99\x99\xB9\x3F", 8, "0.1", 0, true},
        {"FD", "\x00\x00\x00\xA0\x99\x99\xB9\x3F", 8, NULL, 0.1, false}, /* nearly */
        {"AT", "\x18\x00\x63\x10", 4, "0018,1063", 0, true},
        {"AT", "\x18\x00\x63\x10", 4, NULL, 0x00181063, true},
        {"IS", "512 ", 4, NULL, 512, true},
        {"IS", "0512", 4, NULL, 512, true},
        {"DS", "512.0 ", 6, NULL, 512, true},
        {"DS", "5.12E2", 6, NULL, 512, true},
        {"DS", "+512", 4, NULL, 512, true},
        {"DS", "0.5\\512 ", 8, NULL, 512, true},
        {"DS", "0.5\\512 ", 8, NULL, 0.5, true},
        {"DS", "0.10", 4, NULL, 0.1, true},
        {"DS", "x512", 4, NULL, 512, false},
        {"LO", "4711", 4, NULL, 4711, true}, /* a text that is a number */
        {"LO", "004711", 6, NULL, 4711, true},
        {"LO", "004711", 6, "4711", 0, false},
        {"LO", "A4711 ", 6, NULL, 4711, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct site s;
        struct octets o = {0};
        double n = cases[i].number;
        build(&s, 0x00291010);
        want_text(&s, "never");
        if (cases[i].text != NULL)
            want_text(&s, cases[i].text);
        else if (n >= -1e15 && n <= 1e15 && n == (double)(int64_t)n)
            want_integer(&s, (int64_t)n);
        else
            want_real(&s, n);
        put_element(&o, 0x00291010, cases[i].vr, cases[i].bytes, cases[i].len);
        if (holds(&s, &o) != cases[i].holds)
            fail_msg("case %zu: %s against %s %g", i, cases[i].vr, cases[i].text, n);
    }
}

static void numbers_of_big_endian_are_read_as_such(void **state)
{
    (void)state;
    static const uint8_t rows[] = {0x00, 0x28, 0x00, 0x10, 'U', 'S', 0, 2, 0x02, 0x00};
    static const bool wanted[1] = {true};
    const struct dicom_path *paths[1];
    struct route_attributes a = {0};
    struct dicom_peek *peek = dicom_peek_new();
    struct site s;
    build(&s, 0x00280010);
    want_integer(&s, 512);
    assert_int_equal(route_attributes_reset(&a, &s.config), OK);
    assert_int_equal(route_attributes_paths(&s.config, wanted, paths), 1);
    assert_int_equal(dicom_peek_begin(peek, paths, 1, (struct dicom_encoding){true, true}, false), OK);
    assert_int_equal(dicom_peek_feed(peek, rows, sizeof(rows)), OK);
    assert_int_equal(route_attributes_take(&a, wanted, peek, NULL), OK);
    assert_int_equal(match(&s, &a), MATCH_YES);
    dicom_peek_free(&peek);
    route_attributes_free(&a);
}

/* An int64 that no double is: all digits count. */
static void whole_numbers_are_compared_to_the_last_digit(void **state)
{
    (void)state;
    for (int off = 0; off < 2; off++) {
        struct site s;
        struct octets o = {0};
        build(&s, 0x00291010);
        want_integer(&s, INT64_C(9007199254740993) + off);
        put_element(&o, 0x00291010, "LO", "9007199254740993", 16);
        assert_int_equal(holds(&s, &o), off == 0);
        build(&s, 0x00291010);
        want_integer(&s, INT64_C(9007199254740993) + off);
        put_element(&o, 0x00291010, "SV", "\x01\x00\x00\x00\x00\x00\x20\x00", 8);
        assert_int_equal(holds(&s, &o), off == 0);
    }
}

static void its_text_is_that_of_the_first_value(void **state)
{
    (void)state;
    static const struct {
        const char *vr, *value, *text;
    } cases[] =
        {
            {"CS", " CT ", "CT"},       {"LO", "one\\two ", "one"},
            {"LO", "\\two ", "two"}, /* an empty value is none */
            {"UI", "1.2.3\0", "1.2.3"}, {"US", "\0\2", "512"},
            {"LO", "  ", ""},           {"OB", "xxxx", ""},
        };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct site s;
        struct octets data_set = {0};
        struct route_attributes a = {0};
        size_t len = cases[i].vr[0] == 'U' ? (cases[i].vr[1] == 'I' ? 6 : 2) : strlen(cases[i].value);
        build(&s, DICOM_TAG(0x0009, 0x1010));
        assert_int_equal(route_attributes_reset(&a, &s.config), OK);
        assert_int_equal(route_attributes_text(&a, 0).len, 0); /* not known */
        put_element(&data_set, DICOM_TAG(0x0009, 0x1010), cases[i].vr, cases[i].value, len);
        take(&a, &s.config, &data_set);
        struct view text = route_attributes_text(&a, 0);
        assert_int_equal(text.len, strlen(cases[i].text));
        assert_memory_equal(text.at != NULL ? text.at : (const uint8_t *)"", cases[i].text, text.len);
        assert_int_equal(route_attributes_text(&a, 1).len, 0); /* there is none */
        route_attributes_free(&a);
        octets_free(&data_set);
    }
}

static void what_is_absent_or_empty_matches_the_empty_text_alone(void **state)
{
    (void)state;
    static const struct {
        const char *vr, *value; /* NULL: absent */
        const char *wanted;
        bool holds;
    } cases[] = {
        {NULL, NULL, "", true},     {NULL, NULL, "*", false}, {NULL, NULL, "CT", false},
        {NULL, NULL, NULL, false}, /* 0 */
        {"LO", "", "", true},       {"LO", "", "*", false},   {"LO", "", NULL, false},
        {"LO", "    ", "", true},                             /* padding is nothing */
        {"LO", "\\\\", "", true},                             /* three empty values */
        {"LO", "\\\\", "*", false}, {"LO", "A\\", "", false}, /* it has a value */
        {"LO", "A\\", "A", true},   {"LO", "A ", "", false},  {"US", "", "", true},
        {"US", "", NULL, false},    {"IS", "", NULL, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct site s;
        struct octets o = {0};
        build(&s, 0x00291010);
        if (cases[i].wanted != NULL)
            want_text(&s, cases[i].wanted);
        else
            want_integer(&s, 0);
        if (cases[i].value != NULL)
            put_element(&o, 0x00291010, cases[i].vr, cases[i].value, strlen(cases[i].value));
        put_element(&o, 0x00300000, "UL", "\0\0\0\0", 4);
        if (holds(&s, &o) != cases[i].holds)
            fail_msg("case %zu: \"%s\" against \"%s\"", i, cases[i].value, cases[i].wanted);
    }
}

/* Neither a value nor the absence of one. */
static void what_cannot_be_compared_matches_nothing(void **state)
{
    (void)state;
    static const char *const wishes[] = {"", "*", "abcd"};
    static uint8_t values[2 * (ROUTE_VALUES_MAX + 1)];
    static uint8_t text[2 * (ROUTE_VALUES_MAX + 1)];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = i % 2 == 0 ? 'x' : '\\';
    for (size_t i = 0; i < 3; i++) {
        struct octets data_sets[5] = {{0}};
        put_element(&data_sets[0], 0x00291010, "OB", "abcd", 4);
        put_element(&data_sets[1], 0x00291010, "SQ", "", 0);
        put_element(&data_sets[2], 0x00291010, "US", values, sizeof(values));
        put_element(&data_sets[3], 0x00291010, "LO", text, sizeof(text));
        octets_append(&data_sets[4], "\x29\x00\x10\x10UT\0\0", 8);
        octets_le32(&data_sets[4], DICOM_PEEK_VALUE_MAX + 1);
        octets_fill(&data_sets[4], 'a', DICOM_PEEK_VALUE_MAX + 1);
        for (size_t d = 0; d < 5; d++) {
            struct site s;
            build(&s, 0x00291010);
            want_text(&s, wishes[i]);
            assert_false(holds(&s, &data_sets[d]));
        }
    }
    struct site s;
    struct octets o = {0};
    build(&s, 0x00291010);
    want_text(&s, "x");
    put_element(&o, 0x00291010, "LO", text, sizeof(text) - 2); /* as many as may be */
    assert_true(holds(&s, &o));
}

/* Names for the test below: routes in order, what they ask for, and what of it is known. */
enum { MODALITY, PATIENT, STATION };

struct plan {
    struct config config;
    struct config_attribute attributes[3];
    struct config_route routes[4];
    struct config_condition conditions[4][2];
    struct config_value values[4][2];
};

static void add_condition(struct plan *p, size_t route, enum config_fact fact, size_t attribute,
                          const char *glob)
{
    struct config_route *r = &p->routes[route];
    size_t i = r->condition_count++;
    r->conditions = p->conditions[route];
    p->values[route][i].glob = (char *)glob;
    p->conditions[route][i] = (struct config_condition){
        .fact = fact, .attribute = attribute, .values = &p->values[route][i], .value_count = 1};
}

/* CT1's CTs to one; patients X to another; those of station S to a third, at the end of it; and a rest. */
static void build_plan(struct plan *p)
{
    memset(p, 0, sizeof(*p));
    p->attributes[MODALITY].path.tag = 0x00080060;
    p->attributes[PATIENT].path.tag = 0x00100020;
    p->attributes[STATION].path.tag = 0x00081010;
    p->config.attributes = p->attributes;
    p->config.attribute_count = 3;
    p->config.routes = p->routes;
    p->config.route_count = 4;
    add_condition(p, 0, CONFIG_FACT_ATTRIBUTE, MODALITY, "CT");
    add_condition(p, 0, CONFIG_FACT_CALLING, 0, "CT1");
    add_condition(p, 1, CONFIG_FACT_ATTRIBUTE, PATIENT, "X*");
    add_condition(p, 1, CONFIG_FACT_CALLED, 0, "HILUM");
    add_condition(p, 2, CONFIG_FACT_ATTRIBUTE, STATION, "S");
}

static void is_wanted(const struct plan *p, const struct route_facts *facts, const char *expected,
                      bool function)
{
    bool wanted[3] = {true, true, true}, asks_function = true;
    bool any = route_wants(&p->config, facts, wanted, &asks_function);
    char got[4] = "";
    for (size_t i = 0, len = 0; i < 3; i++)
        if (wanted[i])
            got[len++] = "MPS"[i];
    assert_string_equal(got, expected);
    assert_int_equal(asks_function, function);
    assert_int_equal(any, *expected != '\0' || function);
}

static void only_what_candidates_ask_for_is_wanted(void **state)
{
    (void)state;
    struct plan p;
    struct route_facts f = {
        .service = CONFIG_STORE, .calling = view_of("CT1"), .called = view_of("HILUM"), .has_instance = true};
    build_plan(&p);
    is_wanted(&p, &f, "MPS", false);
    f.calling = view_of("MR1"); /* the first route is out */
    is_wanted(&p, &f, "PS", false);
    f.called = view_of("OTHER");
    is_wanted(&p, &f, "S", false);
    p.routes[2].condition_count = 0; /* holds, whatever the station */
    is_wanted(&p, &f, "", false);
    f.calling = view_of("CT1");
    is_wanted(&p, &f, "M", false);
    f.service = CONFIG_ECHO;
    is_wanted(&p, &f, "", false);

    build_plan(&p);
    f.service = CONFIG_STORE;
    f.called = view_of("HILUM");
    p.routes[0].is_final = true; /* but it only may hold */
    is_wanted(&p, &f, "MPS", false);
    p.routes[0].condition_count = 0;
    is_wanted(&p, &f, "", false);

    build_plan(&p);
    p.routes[3].has_when_function = true;
    is_wanted(&p, &f, "MPS", true);
    p.routes[2].condition_count = 0;
    p.routes[2].is_final = true;
    is_wanted(&p, &f, "MP", false);
}

static void what_is_known_is_not_wanted_again(void **state)
{
    (void)state;
    struct plan p;
    struct octets o = {0};
    struct route_attributes a = {0};
    struct route_facts f = {.service = CONFIG_STORE,
                            .calling = view_of("CT1"),
                            .called = view_of("HILUM"),
                            .has_instance = true,
                            .attributes = &a};
    build_plan(&p);
    is_wanted(&p, &f, "MPS", false); /* a table that was never reset knows nothing */
    assert_int_equal(route_attributes_reset(&a, &p.config), OK);
    is_wanted(&p, &f, "MPS", false);
    put_element(&o, 0x00080060, "CS", "MR", 2);
    take(&a, &p.config, &o);
    is_wanted(&p, &f, "", false);
    assert_int_equal(route_attributes_reset(&a, &p.config), OK);
    is_wanted(&p, &f, "MPS", false);
    route_attributes_free(&a);
    octets_free(&o);
}

/* Some now and others later: what was known stays. */
static void attributes_can_be_taken_in_turns(void **state)
{
    (void)state;
    struct plan p;
    struct octets o = {0};
    struct route_attributes a = {0};
    struct dicom_peek *peek = dicom_peek_new();
    const struct dicom_path *paths[3];
    build_plan(&p);
    put_element(&o, 0x00080060, "CS", "CT", 2);
    put_element(&o, 0x00081010, "SH", "S ", 2);
    put_element(&o, 0x00100020, "LO", "X1", 2);
    assert_int_equal(route_attributes_reset(&a, &p.config), OK);
    for (size_t turn = 3; turn-- > 0;) {
        bool wanted[3] = {false};
        wanted[turn] = true;
        assert_int_equal(route_attributes_paths(&p.config, wanted, paths), 1);
        assert_int_equal(dicom_peek_begin(peek, paths, 1, explicit_le, false), OK);
        assert_int_equal(dicom_peek_feed(peek, o.data, o.len), OK);
        assert_int_equal(route_attributes_take(&a, wanted, peek, NULL), OK);
    }
    struct route_facts f = {.calling = view_of("CT1"), .called = view_of("HILUM"), .attributes = &a};
    for (size_t i = 0; i < 3; i++) {
        enum match m;
        assert_true(match_route(&p.routes[i], &f, &m));
        assert_int_equal(m, MATCH_YES);
    }
    dicom_peek_free(&peek);
    route_attributes_free(&a);
    octets_free(&o);
}

static const struct config_node node = {.name = (char *)"n"};
static const struct config_node *to_node = &node;

/* A decision that lacks something says so, and holds the candidates. */
static void a_decision_waits_for_attributes(void **state)
{
    (void)state;
    struct plan p;
    struct octets o = {0};
    struct route_attributes a = {0};
    struct route_decision d = {0};
    struct route_facts f = {.service = CONFIG_STORE, .calling = view_of("CT1"), .called = view_of("HILUM")};
    build_plan(&p);
    p.config.route_count = 1;
    p.routes[0].to = &to_node;
    p.routes[0].to_count = 1;
    assert_int_equal(route_decide(&p.config, &f, &d), OK); /* at negotiation: the candidates */
    assert_int_equal(d.count, 1);
    f.has_instance = true;
    assert_int_equal(route_decide(&p.config, &f, &d), NEED_MORE);
    assert_int_equal(d.count, 1);
    f.attributes = &a;
    put_element(&o, 0x00080060, "CS", "MR", 2);
    take(&a, &p.config, &o);
    assert_int_equal(route_decide(&p.config, &f, &d), OK);
    assert_int_equal(d.count, 0);
    octets_clear(&o);
    put_element(&o, 0x00080060, "CS", "CT", 2);
    take(&a, &p.config, &o);
    assert_int_equal(route_decide(&p.config, &f, &d), OK);
    assert_int_equal(d.count, 1);
    f.calling = view_of("MR1");
    f.attributes = NULL;
    assert_int_equal(route_decide(&p.config, &f, &d), OK); /* whatever the modality */
    assert_int_equal(d.count, 0);
    route_decision_free(&d);
    route_attributes_free(&a);
    octets_free(&o);
}

struct oracle {
    enum match answer;
    bool fails;
    unsigned calls;
};

static bool ask_oracle(void *user, const struct config_route *route, enum match *out)
{
    struct oracle *o = user;
    assert_true(route->has_when_function);
    o->calls++;
    *out = o->answer;
    return !o->fails;
}

static void a_function_answers_for_its_route(void **state)
{
    (void)state;
    struct plan p;
    struct route_decision d = {0};
    struct oracle o = {.answer = MATCH_NO};
    struct route_facts f = {.service = CONFIG_STORE, .has_instance = true};
    build_plan(&p);
    p.config.route_count = 1;
    p.routes[0].condition_count = 0;
    p.routes[0].has_when_function = true;
    p.routes[0].to = &to_node;
    p.routes[0].to_count = 1;
    assert_int_equal(route_decide(&p.config, &f, &d), NEED_MORE);
    assert_int_equal(d.count, 1);
    f.holds = ask_oracle;
    f.user = &o;
    assert_int_equal(route_decide(&p.config, &f, &d), OK);
    assert_int_equal(d.count, 0);
    o.answer = MATCH_YES;
    assert_int_equal(route_decide(&p.config, &f, &d), OK);
    assert_int_equal(d.count, 1);
    o.answer = MATCH_MAYBE;
    assert_int_equal(route_decide(&p.config, &f, &d), NEED_MORE);
    o.fails = true;
    assert_int_equal(route_decide(&p.config, &f, &d), ERR_USAGE);
    assert_int_equal(o.calls, 4);
    is_wanted(&p, &f, "", true); /* without a call */
    assert_int_equal(o.calls, 4);
    f.service = CONFIG_ECHO; /* not its service: it is not asked */
    assert_int_equal(route_decide(&p.config, &f, &d), OK);
    assert_int_equal(o.calls, 4);
    route_decision_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_matches_by_its_characters),
        cmocka_unit_test(numbers_match_by_value),
        cmocka_unit_test(numbers_of_big_endian_are_read_as_such),
        cmocka_unit_test(whole_numbers_are_compared_to_the_last_digit),
        cmocka_unit_test(its_text_is_that_of_the_first_value),
        cmocka_unit_test(what_is_absent_or_empty_matches_the_empty_text_alone),
        cmocka_unit_test(what_cannot_be_compared_matches_nothing),
        cmocka_unit_test(only_what_candidates_ask_for_is_wanted),
        cmocka_unit_test(what_is_known_is_not_wanted_again),
        cmocka_unit_test(attributes_can_be_taken_in_turns),
        cmocka_unit_test(a_decision_waits_for_attributes),
        cmocka_unit_test(a_function_answers_for_its_route),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
