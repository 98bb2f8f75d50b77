#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/path.h"

static void a_path_is_read_and_printed_by_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
        unsigned depth;
    } cases[] = {
        {"Modality", "0008,0060", 0},
        {"0008,0060", "0008,0060", 0},
        {"(0008,0060)", "0008,0060", 0},
        {"0008,103e", "0008,103E", 0},
        {"0029,1010", "0029,1010", 0},
        {"RequestAttributesSequence[1].ScheduledProcedureStepID", "0040,0275[1].0040,0009", 1},
        {"0040,0275[2].0040,0009", "0040,0275[2].0040,0009", 1},
        {"0040,0275[2].ScheduledProcedureStepID", "0040,0275[2].0040,0009", 1},
        {"0029,1010[3].0029,1020[4].0029,1030", "0029,1010[3].0029,1020[4].0029,1030", 2},
        {"0029,1010[999999999].0029,1030", "0029,1010[999999999].0029,1030", 1},
        {"0029,1010[007].0029,1030", "0029,1010[7].0029,1030", 1},
        /* as deep and as long as can be */
        {"0029,1010[999999999].0029,1010[999999999].0029,1010[999999999].0029,1010[999999999].0029,1010["
         "999999999]."
         "0029,1010[999999999].0029,1010[999999999].0029,1010[999999999].0029,1010",
         "0029,1010[999999999].0029,1010[999999999].0029,1010[999999999].0029,1010[999999999].0029,1010["
         "999999999]."
         "0029,1010[999999999].0029,1010[999999999].0029,1010[999999999].0029,1010",
         8},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_path path;
        struct dicom_path_fault fault;
        char printed[DICOM_PATH_TEXT_MAX];
        assert_int_equal(dicom_path_parse(view_of(cases[i].text), &path, &fault), OK);
        assert_int_equal(path.depth, cases[i].depth);
        dicom_path_print(&path, printed);
        assert_string_equal(printed, cases[i].printed);
        assert_int_equal(dicom_path_first(&path) >> 24, 0);
    }
}

/* What is wrong, where, and whether a suggestion may help. */
static void what_is_no_path_says_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part, *why;
        bool is_unknown_keyword;
    } cases[] = {
        {"", "", "lacks the name of an attribute", false},
        {"Modalty", "Modalty", "no keyword of the dictionary", true},
        {"modality", "modality", "no keyword of the dictionary", true},
        {"Study Date", "Study Date", "neither a keyword nor a tag", false},
        {"1Modality", "1Modality", "neither a keyword nor a tag", false},
        {"0008,006", "0008,006", "no tag", false},
        {"0008,00600", "0008,00600", "no tag", false},
        {"00080060", "00080060", "neither a keyword nor a tag", false},
        {".Modality", ".Modality", "lacks the name of a sequence", false},
        {"Modality.", "Modality", "needs the number of an item", false},
        {"0029,1010[1].", "0029,1010[1].", "lacks the name of an attribute", false},
        {"0029,1010[1]", "0029,1010[1]", "is an item", false},
        {"0029,1010.Modality", "0029,1010", "needs the number of an item", false},
        {"0029,1010[].Modality", "0029,1010[]", "items count from 1", false},
        {"0029,1010[.Modality", "0029,1010[", "items count from 1", false},
        {"0029,1010[0].Modality", "0029,1010[0]", "items count from 1", false},
        {"0029,1010[-1].Modality", "0029,1010[-1]", "items count from 1", false},
        {"0029,1010[1x].Modality", "0029,1010[1x]", "items count from 1", false},
        {"0029,1010[1]x.Modality", "0029,1010[1]x", "items count from 1", false},
        {"0029,1010[1000000000].Modality", "0029,1010[1000000000]", "items count from 1", false},
        {"[1].Modality", "", "lacks the name of an attribute", false},
        {"Nonsense[1].Modality", "Nonsense", "no keyword of the dictionary", true},
        {"0029,1010[1].Nonsense", "Nonsense", "no keyword of the dictionary", true},
        {"0029,1010[1].0029,1010[1].0029,1010[1].0029,1010[1].0029,1010[1].0029,1010[1].0029,1010[1].0029,"
         "1010[1]."
         "0029,1010[1].Modality",
         NULL, "too deep", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_path path = {.tag = 7};
        struct dicom_path_fault fault;
        assert_int_equal(dicom_path_parse(view_of(cases[i].text), &path, &fault), ERR_USAGE);
        if (strstr(fault.why, cases[i].why) == NULL)
            fail_msg("\"%s\" %s", cases[i].text, fault.why);
        assert_int_equal(fault.is_unknown_keyword, cases[i].is_unknown_keyword);
        assert_int_equal(path.tag, 7); /* untouched */
        if (cases[i].part != NULL) {
            assert_int_equal(fault.part.len, strlen(cases[i].part));
            assert_memory_equal(fault.part.at, cases[i].part, fault.part.len);
        }
    }
}

static void paths_are_equal_by_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool is_equal;
    } cases[] = {
        {"Modality", "0008,0060", true},
        {"0040,0275[1].0040,0009", "RequestAttributesSequence[1].ScheduledProcedureStepID", true},
        {"0040,0275[1].0040,0009", "0040,0275[2].0040,0009", false},
        {"0040,0275[1].0040,0009", "0040,0276[1].0040,0009", false},
        {"0040,0275[1].0040,0009", "0040,0009", false},
        {"0040,0009", "0040,0008", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_path a, b;
        struct dicom_path_fault fault;
        assert_int_equal(dicom_path_parse(view_of(cases[i].a), &a, &fault), OK);
        assert_int_equal(dicom_path_parse(view_of(cases[i].b), &b, &fault), OK);
        assert_int_equal(dicom_path_equal(&a, &b), cases[i].is_equal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_read_and_printed_by_numbers),
        cmocka_unit_test(what_is_no_path_says_why),
        cmocka_unit_test(paths_are_equal_by_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
