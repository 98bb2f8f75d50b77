/* Attributes in the patterns of folders: what they are to the configuration, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/tag.h"
#include "loading.h"

#define REST "\nlisten '127.0.0.1:11112'\nroute 'rest' { to = 'd' }\n"

static struct loaded load_pattern(const char *folder, const char *pattern, const char *more)
{
    char text[1000];
    snprintf(text, sizeof(text), "node 'd' {\n folder = '%s' }%s" REST, pattern, more);
    return load_text(folder, text);
}

static void an_attribute_is_asked_for_once_whoever_asks(void **state)
{
    struct loaded l =
        load_pattern(*state,
                     "/d/{Modality}/{(0008,0060)}{calling}/{SOPInstanceUID}-"
                     "{RequestAttributesSequence[1].0040,0009}.dcm",
                     "node 'e' { folder = '/e/{PatientID}/{Modality}/{0008,0018}' }\n"
                     "route 'r' { to = 'e', when = { SeriesNumber = 1, ['0010,0020'] = 'X*' } }");
    assert_fine(&l);
    const struct config_node *n = l.config->nodes;
    const struct config_attribute *a = l.config->attributes;
    assert_int_equal(l.config->attribute_count, 4);
    assert_int_equal(n[0].folder_attribute_count, 3);
    assert_int_equal(a[n[0].folder_attributes[0]].path.tag, DICOM_TAG(0x0008, 0x0060));
    assert_string_equal(a[n[0].folder_attributes[0]].text, "Modality");
    assert_int_equal(n[0].folder_attributes[1], n[0].folder_attributes[0]);
    assert_int_equal(a[n[0].folder_attributes[2]].path.depth, 1);
    assert_int_equal(n[1].folder_attribute_count, 2);
    assert_int_equal(a[n[1].folder_attributes[0]].path.tag, DICOM_TAG(0x0010, 0x0020));
    assert_int_equal(n[1].folder_attributes[1], n[0].folder_attributes[0]);
    free_loaded(&l);
}

static void facts_alone_ask_nothing_of_the_data_set(void **state)
{
    struct loaded l =
        load_pattern(*state, "/{calling}/{called}/{date}/{SOPClassUID}/{SOPInstanceUID}/{0008,0016}", "");
    assert_fine(&l);
    assert_int_equal(l.config->attribute_count, 0);
    assert_int_equal(l.config->nodes[0].folder_attribute_count, 0);
    free_loaded(&l);
}

static void what_no_data_set_can_answer_is_refused(void **state)
{
    static const struct {
        const char *field, *says[2];
    } cases[] = {
        {"PatientsID", {"unknown field {PatientsID} in folder", "did you mean \"PatientID\"?"}},
        {"Xyzzyqwertz", {"is no keyword of the dictionary", "or a tag, as {0008,0060}"}},
        {"0008,006", {"is no tag", NULL}},
        {"RequestAttributesSequence[0].Modality", {"items count from 1", NULL}},
        {"RequestAttributesSequence",
         {"the field {RequestAttributesSequence} in folder is a sequence", NULL}},
        {"Modality[1].Rows", {"leads through an attribute that is no sequence", NULL}},
        {"PixelData", {"pixel data or stands behind it", NULL}},
        {"ICCProfile", {"bytes that mean nothing here", "text or numbers"}},
        {"TransferSyntaxUID", {"is no attribute of a data set", NULL}},
        {"caling", {"unknown field {caling}; the fields are {SOPInstanceUID}", "as {Modality}"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char pattern[200];
        snprintf(pattern, sizeof(pattern), "/{SOPInstanceUID}/{%s}/x", cases[i].field);
        struct loaded l = load_pattern(*state, pattern, "");
        assert_int_equal(l.result, ERR_USAGE);
        const char *problem = l.problems.count == 1 ? problem_at(&l, 0, 2) : NULL;
        if (problem == NULL) {
            fail_msg("%zu problems for %s: %s", l.problems.count, pattern, l.problems.items[0].text);
        }
        for (size_t s = 0; s < 2 && cases[i].says[s] != NULL; s++) {
            if (strstr(problem, cases[i].says[s]) == NULL) {
                fail_msg("no \"%s\" in: %s", cases[i].says[s], problem);
            }
        }
        free_loaded(&l);
    }
}

/* All of them in one go, as everywhere. */
static void each_fault_of_a_pattern_is_told(void **state)
{
    struct loaded l = load_pattern(*state, "/{PatientsID}/{Modalty}/{SOPInstanceUID}", "");
    assert_int_equal(l.problems.count, 2);
    assert_non_null(problem_at(&l, 0, 2));
    assert_non_null(problem_at(&l, 1, 2));
    free_loaded(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_attribute_is_asked_for_once_whoever_asks),
        cmocka_unit_test(facts_alone_ask_nothing_of_the_data_set),
        cmocka_unit_test(what_no_data_set_can_answer_is_refused),
        cmocka_unit_test(each_fault_of_a_pattern_is_told),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
