/* Which word was meant. The plain way to count what sets two words apart stands here as well: the quick one must choose the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <cmocka.h>

#include "dicom/dictionary.h"
#include "script/suggest.h"

enum { WORD_MAX = 80, SWEEPS = 8 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_same(char a, char b)
{
    return strncasecmp(&a, &b, 1) == 0;
}

/* The whole table. */
static size_t distance(const char *a, const char *b)
{
    static size_t t[WORD_MAX + 1][WORD_MAX + 1];
    const size_t m = strlen(a), n = strlen(b);
    for (size_t i = 0; i <= m; i++) {
        for (size_t j = 0; j <= n; j++) {
            t[i][j] = i == 0 ? j : j == 0 ? i : 0;
            if (i == 0 || j == 0)
                continue;
            t[i][j] = smaller(smaller(t[i - 1][j], t[i][j - 1]) + 1,
                              t[i - 1][j - 1] + !is_same(a[i - 1], b[j - 1]));
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1]))
                t[i][j] = smaller(t[i][j], t[i - 2][j - 2] + 1);
        }
    }
    return t[m][n];
}

static const char *plain_choice(const char *word)
{
    const size_t len = strlen(word), allowed = len < 3 ? 1 : len < 9 ? 2 : 3;
    const struct dicom_entry *e;
    const char *chosen = NULL;
    size_t best = allowed + 1;
    for (size_t i = 0; (e = dicom_dictionary_at(i)) != NULL; i++) {
        const size_t d =
            e->keyword[0] && strlen(e->keyword) <= WORD_MAX ? distance(word, e->keyword) : SIZE_MAX;
        if (d < best && d < strlen(e->keyword)) {
            best = d;
            chosen = e->keyword;
        }
    }
    return chosen;
}

static const char *choice(const char *word)
{
    struct suggestion s = {.word = word};
    const struct dicom_entry *e;
    for (size_t i = 0; (e = dicom_dictionary_at(i)) != NULL; i++)
        suggest_offer(&s, e->keyword);
    return s.name;
}

static void the_nearest_keyword_is_chosen_as_the_plain_way_chooses_it(void **state)
{
    static const char *const words[] = {"PatientNam",
                                        "PatinetID",
                                        "patientid",
                                        "Modalty",
                                        "SOPInstanceUIDD",
                                        "StudyInstnaceUID",
                                        "Rows",
                                        "Rosw",
                                        "R",
                                        "XX",
                                        "Nothing",
                                        "SeriesDescriptoin",
                                        "",
                                        "PatientIDDDD",
                                        "ationPatient",
                                        "0010,0020",
                                        "ReferencedSOPSequence"};
    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const char *quick = choice(words[i]), *plain = plain_choice(words[i]);
        if ((quick == NULL) != (plain == NULL) || (quick && strcmp(quick, plain) != 0))
            fail_msg("\"%s\": %s and not %s", words[i], quick ? quick : "none", plain ? plain : "none");
    }
    assert_string_equal(choice("PatinetID"), "PatientID");
    assert_null(choice("NothingThatIsNearAnyKeyword"));
}

static uint64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* A rule that catches its errors can ask for this a thousand times before its budget is spent (a fuzzer's finding). */
static void words_that_are_far_away_cost_little(void **state)
{
    uint64_t quick = UINT64_MAX, plain = UINT64_MAX;
    (void)state;
    for (int i = 0; i < SWEEPS; i++) { /* the best of some: others work here, too */
        uint64_t begin = cpu_us();
        assert_null(choice("PatientIDDDDDDD"));
        uint64_t middle = cpu_us();
        assert_null(plain_choice("PatientIDDDDDDD"));
        uint64_t end = cpu_us();
        quick = middle - begin < quick ? middle - begin : quick;
        plain = end - middle < plain ? end - middle : plain;
    }
    if (quick * 4 > plain)
        fail_msg("%llu us, and the plain way %llu", (unsigned long long)quick, (unsigned long long)plain);
    print_message("a sweep takes %llu us, the plain way %llu\n", (unsigned long long)quick,
                  (unsigned long long)plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_keyword_is_chosen_as_the_plain_way_chooses_it),
        cmocka_unit_test(words_that_are_far_away_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
