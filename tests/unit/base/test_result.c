#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/result.h"

static void every_result_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = OK; a <= ERR_CLOSED; a++) {
        assert_string_not_equal(result_name((enum result)a), result_name((enum result)99));
        for (int b = OK; b < a; b++) {
            assert_string_not_equal(result_name((enum result)a), result_name((enum result)b));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_result_has_a_name_of_its_own)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
