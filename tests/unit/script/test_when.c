/* Conditions on attributes of the data set: which keys there are, what becomes of them, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loading.h"

#define REST "\nnode 'n' { host = 'h', ae_title = 'N' } listen '127.0.0.1:11112'"

static struct loaded load_when(const char *folder, const char *when)
{
    char text[2000];
    snprintf(text, sizeof(text), "route 'r' { to = 'n', when = %s }" REST, when);
    return load_text(folder, text);
}

/* Every way to write a key of `when`, and the path that it is. */
static void a_key_names_an_attribute(void **state)
{
    static const struct {
        const char *when, *path;
    } cases[] = {
        {"{ Modality = 'CT' }", "0008,0060"},
        {"{ ['0008,0060'] = 'CT' }", "0008,0060"},
        {"{ ['0008,103e'] = 'CT' }", "0008,103E"},
        {"{ ['(0008,103E)'] = 'CT' }", "0008,103E"},
        {"{ [0x00080060] = 'CT' }", "0008,0060"},
        {"{ [524384] = 'CT' }", "0008,0060"},
        {"{ ['RequestAttributesSequence[1].ScheduledProcedureStepID'] = 'CT' }", "0040,0275[1].0040,0009"},
        {"{ ['0040,0275[12].0040,0009'] = 'CT' }", "0040,0275[12].0040,0009"},
        {"{ ['0029,1010'] = 'CT' }", "0029,1010"},                           /* private: it may be text */
        {"{ ['0029,1010[1].0029,1020'] = 'CT' }", "0029,1010[1].0029,1020"}, /* or a sequence */
        {"{ ['0010,FFF0'] = 'CT' }", "0010,FFF0"},                           /* a newer edition may have it */
        {"{ OverlayRows = 512 }", "6000,0010"},
        {"{ SmallestImagePixelValue = -5 }", "0028,0106"},
        {"{ FrameIncrementPointer = 0x00181063 }", "0028,0009"},
        {"{ RedPaletteColorLookupTableDescriptor = 256 }", "0028,1101"},
        {"{ ['ReferencedImageSequence[1].0008,0016'] = '1.2' }", "0008,1140[1].0008,0016"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_when(*state, cases[i].when);
        assert_fine(&l);
        assert_int_equal(l.config->attribute_count, 1);
        assert_int_equal(l.config->routes[0].condition_count, 1);
        assert_int_equal(l.config->routes[0].conditions[0].fact, CONFIG_FACT_ATTRIBUTE);
        char path[DICOM_PATH_TEXT_MAX];
        dicom_path_print(&l.config->attributes[0].path, path);
        assert_string_equal(path, cases[i].path);
        free_loaded(&l);
    }
}

/* The command has these, and it is here sooner. */
static void the_instances_uids_are_facts_of_the_command_by_number_too(void **state)
{
    struct loaded l = load_when(*state, "{ [0x00080016] = 'CTImageStorage', ['0008,0018'] = '1.2.*' }");
    assert_fine(&l);
    assert_int_equal(l.config->attribute_count, 0);
    const struct config_route *r = &l.config->routes[0];
    assert_int_equal(r->condition_count, 2);
    assert_int_equal(r->conditions[0].fact + r->conditions[1].fact,
                     CONFIG_FACT_SOP_CLASS + CONFIG_FACT_SOP_INSTANCE);
    free_loaded(&l);
}

static void values_are_texts_and_numbers(void **state)
{
    struct loaded l = load_when(*state, "{ Rows = { no = { 512, 0.5, '5*', '' } } }");
    assert_fine(&l);
    const struct config_condition *c = &l.config->routes[0].conditions[0];
    assert_true(c->negate);
    assert_int_equal(c->value_count, 4);
    assert_null(c->values[0].glob);
    assert_true(c->values[0].number.is_integer);
    assert_int_equal(c->values[0].number.integer, 512);
    assert_true(c->values[0].number.real == 512);
    assert_null(c->values[1].glob);
    assert_false(c->values[1].number.is_integer);
    assert_true(c->values[1].number.real == 0.5);
    assert_string_equal(c->values[2].glob, "5*");
    assert_string_equal(c->values[3].glob, "");
    free_loaded(&l);
}

static void an_attribute_of_many_routes_stands_once(void **state)
{
    struct loaded l =
        load_text(*state, "route 'a' { to = 'n', when = { Modality = 'CT', BodyPartExamined = 'HEAD' } }\n"
                          "route 'b' { to = 'n', when = { ['0008,0060'] = 'MR', calling = 'X' } }\n"
                          "route 'c' { to = 'n', when = { [0x00080060] = 'US', StationName = 'Y' } }" REST);
    assert_fine(&l);
    assert_int_equal(l.config->attribute_count, 3);
    assert_string_equal(l.config->attributes[0].text, "BodyPartExamined");
    assert_string_equal(l.config->attributes[1].text, "Modality");
    assert_string_equal(l.config->attributes[2].text, "StationName");
    assert_int_equal(l.config->routes[0].conditions[1].attribute, 1);
    assert_int_equal(l.config->routes[1].conditions[0].attribute, 1);
    assert_int_equal(l.config->routes[2].conditions[1].attribute, 1); /* numbers come behind names */
    free_loaded(&l);
}

/* One problem each, on the second line. */
static void what_no_data_set_can_answer_is_refused(void **state)
{
    static const struct {
        const char *when;
        const char *texts[2];
    } cases[] = {
        {"{\n Modalty = 'CT' }", {"unknown key \"Modalty\" in when", "did you mean \"Modality\"?"}},
        {"{\n modality = 'CT' }", {"unknown key \"modality\" in when", "did you mean \"Modality\"?"}},
        {"{\n SopClasUID = '1' }", {"did you mean \"SOPClassUID\"?"}},
        {"{\n Xyzzyplugh = 'CT' }", {"is no keyword of the dictionary", "write one that is, as Modality"}},
        {"{\n ['RequestAttributeSequence[1].Modality'] = 'CT' }",
         {"\"RequestAttributeSequence\" is no keyword", "did you mean \"RequestAttributesSequence\"?"}},
        {"{\n ['0008,006'] = 'CT' }", {"\"0008,006\" is no tag", "four hexadecimal digits"}},
        {"{\n ['0008,00G0'] = 'CT' }", {"\"0008,00G0\" is no tag"}},
        {"{\n ['Study Date'] = 'CT' }", {"\"Study Date\" is neither a keyword nor a tag"}},
        {"{\n ['RequestAttributesSequence.Modality'] = 'CT' }", {"needs the number of an item", "[1]"}},
        {"{\n ['RequestAttributesSequence[0].Modality'] = 'CT' }", {"items count from 1"}},
        {"{\n ['RequestAttributesSequence[x].Modality'] = 'CT' }", {"items count from 1"}},
        {"{\n ['RequestAttributesSequence[1]'] = 'CT' }", {"is an item", "name an attribute in it"}},
        {"{\n ['RequestAttributesSequence[1].'] = 'CT' }", {"lacks the name of an attribute"}},
        {"{\n RequestAttributesSequence = 'CT' }", {"is a sequence", "name an attribute of an item"}},
        {"{\n ['Modality[1].StudyDate'] = 'CT' }", {"leads through an attribute that is no sequence"}},
        {"{\n ICCProfile = 'CT' }", {"bytes that mean nothing here", "text or numbers"}},
        {"{\n PixelData = 'CT' }", {"pixel data or stands behind it"}},
        {"{\n ['FFFC,FFFC'] = 'CT' }", {"pixel data or stands behind it"}},
        {"{\n TransferSyntaxUID = 'CT' }", {"no attribute of a data set", "0008 and above"}},
        {"{\n [0x00020010] = 'CT' }", {"the key \"0002,0010\"", "no attribute of a data set"}},
        {"{\n ['FFFE,E000'] = 'CT' }", {"no attribute of a data set"}},
        {"{\n [3] = 'CT' }", {"the key \"0000,0003\"", "no attribute of a data set"}},
        {"{\n ImageType = 'ORIGINAL\\\\PRIMARY' }", {"holds a backslash, which separates values"}},
        {"{\n Rows = true }", {"when.Rows is a boolean"}},
        {"{\n Rows = {} }", {"when.Rows is an empty list"}},
        {"{\n Rows = { no = {} } }", {"is an empty list"}},
        {"{\n Rows = { min = 3 } }", {"Rows is a table with keys other than no"}},
        {"{\n Rows = 0/0 }", {"not a finite number"}},
        {"{\n Modality = 'C\\0T' }", {"holds a NUL character"}},
        {"{ service = 'echo',\n Modality = 'CT' }", {"Modality says nothing about service = \"echo\""}},
        {"{ service = 'echo',\n [0x00080060] = 'CT' }", {"0008,0060 says nothing about service = \"echo\""}},
        {"{ service = 'echo',\n ['0008,0016'] = '1.2' }",
         {"0008,0016 says nothing about service = \"echo\""}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_when(*state, cases[i].when);
        assert_int_equal(l.result, ERR_USAGE);
        const char *problem = l.problems.count == 1 ? problem_at(&l, 0, 2) : NULL;
        if (problem == NULL) {
            fail_msg("%zu problems for %s: %s", l.problems.count, cases[i].when, l.problems.items[0].text);
        }
        for (size_t t = 0; t < 2 && cases[i].texts[t] != NULL; t++) {
            if (strstr(problem, cases[i].texts[t]) == NULL) {
                fail_msg("no \"%s\" in: %s", cases[i].texts[t], problem);
            }
        }
        free_loaded(&l);
    }
}

static void a_key_that_is_neither_text_nor_tag_is_refused(void **state)
{
    static const char *const cases[] = {"{ [true] = 'CT' }", "{ [0.5] = 'CT' }", "{ [-1] = 'CT' }",
                                        "{ [0x100000000] = 'CT' }"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_when(*state, cases[i]);
        assert_int_equal(l.result, ERR_USAGE);
        assert_int_equal(l.problems.count, 1);
        assert_non_null(strstr(l.problems.items[0].text, "neither a name nor a tag"));
        free_loaded(&l);
    }
}

/* Tags are keys of `when` alone. */
static void a_tag_number_is_no_key_of_other_tables(void **state)
{
    struct loaded l = load_text(*state, "route 'r' { to = 'n', [0x00080060] = 'CT' }" REST);
    assert_int_equal(l.result, ERR_USAGE);
    assert_int_equal(l.problems.count, 1);
    assert_non_null(strstr(l.problems.items[0].text, "a value without a key in a route"));
    free_loaded(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_names_an_attribute),
        cmocka_unit_test(the_instances_uids_are_facts_of_the_command_by_number_too),
        cmocka_unit_test(values_are_texts_and_numbers),
        cmocka_unit_test(an_attribute_of_many_routes_stands_once),
        cmocka_unit_test(what_no_data_set_can_answer_is_refused),
        cmocka_unit_test(a_key_that_is_neither_text_nor_tag_is_refused),
        cmocka_unit_test(a_tag_number_is_no_key_of_other_tables),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
