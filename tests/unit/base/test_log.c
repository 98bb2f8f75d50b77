#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

/* stderr goes to a file between start and stop. */
struct capture {
    int real_stderr;
    FILE *file;
};

static void start(struct capture *c)
{
    c->file = tmpfile();
    assert_non_null(c->file);
    c->real_stderr = dup(STDERR_FILENO);
    assert_true(c->real_stderr >= 0);
    /* O_APPEND, as a shell's >> has it: else writers of several processes would write over each other */
    assert_int_equal(fcntl(fileno(c->file), F_SETFL, O_APPEND), 0);
    assert_true(dup2(fileno(c->file), STDERR_FILENO) >= 0);
}

/* What was written, terminated; to be freed. */
static char *stop(struct capture *c, size_t *len_out)
{
    assert_true(dup2(c->real_stderr, STDERR_FILENO) >= 0);
    close(c->real_stderr);
    long len = lseek(fileno(c->file), 0, SEEK_END);
    assert_true(len >= 0);
    char *text = malloc((size_t)len + 1);
    assert_non_null(text);
    assert_int_equal(pread(fileno(c->file), text, (size_t)len, 0), len);
    text[len] = '\0';
    fclose(c->file);
    if (len_out) {
        *len_out = (size_t)len;
    }
    return text;
}

/* One line of one field, without what comes before the event. */
static char *line_of(enum log_format format, struct log_field field)
{
    struct capture c;
    log_configure(LOG_INFO, format);
    start(&c);
    LOG(LOG_INFO, "it", field);
    char *text = stop(&c, NULL);
    const char *from = strstr(text, format == LOG_JSON ? "\"event\"" : "event=");
    assert_non_null(from);
    memmove(text, from, strlen(from) + 1);
    return text;
}

static void values_are_quoted_and_escaped_where_they_must_be(void **state)
{
    (void)state;
    static const struct {
        struct log_field field;
        const char *logfmt, *json;
    } cases[] = {
        {{.key = "k", .text = "v", .len = SIZE_MAX}, "event=it k=v\n", "\"event\":\"it\",\"k\":\"v\"}\n"},
        {{.key = "k", .text = "", .len = 0}, "event=it k=\"\"\n", "\"event\":\"it\",\"k\":\"\"}\n"},
        {{.key = "k", .text = "two words", .len = 9},
         "event=it k=\"two words\"\n",
         "\"event\":\"it\",\"k\":\"two words\"}\n"},
        {{.key = "k", .text = "a=b", .len = 3}, "event=it k=\"a=b\"\n", "\"event\":\"it\",\"k\":\"a=b\"}\n"},
        {{.key = "k", .text = "\"\\", .len = 2},
         "event=it k=\"\\\"\\\\\"\n",
         "\"event\":\"it\",\"k\":\"\\\"\\\\\"}\n"},
        {{.key = "k", .text = "x\ny", .len = 3},
         "event=it k=\"x\\x0ay\"\n",
         "\"event\":\"it\",\"k\":\"x\\u000ay\"}\n"},
        {{.key = "k", .text = "\0\x1b\x7f\xff", .len = 4},
         "event=it k=\"\\x00\\x1b\\x7f\\xff\"\n",
         "\"event\":\"it\",\"k\":\"\\u0000\\u001b\\u007f\\u00ff\"}\n"},
        {{.key = "k", .text = "cut here", .len = 3}, "event=it k=cut\n", "\"event\":\"it\",\"k\":\"cut\"}\n"},
        {{.key = "k", .number = -5}, "event=it k=-5\n", "\"event\":\"it\",\"k\":-5}\n"},
        {{.key = "k", .number = INT64_MIN},
         "event=it k=-9223372036854775808\n",
         "\"event\":\"it\",\"k\":-9223372036854775808}\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *logfmt = line_of(LOG_LOGFMT, cases[i].field);
        assert_string_equal(logfmt, cases[i].logfmt);
        free(logfmt);
        char *json = line_of(LOG_JSON, cases[i].field);
        assert_string_equal(json, cases[i].json);
        free(json);
    }
}

static void text_that_is_not_there_is_empty(void **state)
{
    (void)state;
    char *str = line_of(LOG_LOGFMT, LOG_STR("k", NULL));
    assert_string_equal(str, "event=it k=\"\"\n");
    free(str);
    char *text = line_of(LOG_LOGFMT, LOG_TEXT("k", NULL, 0));
    assert_string_equal(text, "event=it k=\"\"\n");
    free(text);
}

static char *private_line(const struct log_privacy *privacy, struct log_field field)
{
    log_set_privacy(privacy);
    char *line = line_of(LOG_LOGFMT, field);
    log_set_privacy(&(struct log_privacy){0});
    return line;
}

static void who_is_in_the_data_is_said_only_where_it_may_be(void **state)
{
    (void)state;
    const struct {
        struct log_field field;
        const char *hidden, *shown;
    } cases[] = {
        {LOG_PATIENT("k", "Doe^Jane", LOG_WITHHELD), "event=it k=(withheld)\n", "event=it k=Doe^Jane\n"},
        {LOG_PATIENT("k", "/out/Doe/1", "/out/{PatientName}"), "event=it k=/out/{PatientName}\n",
         "event=it k=/out/Doe/1\n"},
        {LOG_PATIENT("k", "Doe", NULL), "event=it k=(withheld)\n", "event=it k=Doe\n"},
        {LOG_PATIENT_TEXT("k", "Doe^Jane", 3, "x"), "event=it k=x\n", "event=it k=Doe\n"},
        {LOG_PATIENT("k", "", LOG_WITHHELD), "event=it k=\"\"\n", "event=it k=\"\"\n"},
        {LOG_QUOTED("k", "Doe", true), "event=it k=(withheld)\n", "event=it k=Doe\n"},
        {LOG_QUOTED("k", "ours", false), "event=it k=ours\n", "event=it k=ours\n"},
        {LOG_UID("k", "1.2.3"), "event=it k=1.2.3\n", "event=it k=1.2.3\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *hidden = private_line(&(struct log_privacy){0}, cases[i].field);
        assert_string_equal(hidden, cases[i].hidden);
        free(hidden);
        char *shown = private_line(&(struct log_privacy){.shows_patients = true}, cases[i].field);
        assert_string_equal(shown, cases[i].shown);
        free(shown);
    }
}

/* printf 'log:1.2.3' | openssl dgst -sha256 -hmac key */
static void a_uid_is_hashed_with_the_key(void **state)
{
    (void)state;
    static const char *const longer =
        "0123456789012345678901234567890123456789012345678901234567890123456789";
    static const struct {
        const char *key, *uid, *line;
    } cases[] = {
        {"key", "1.2.3", "event=it k=#ee066de165b09115\n"},
        {"key", "1.2.30", "event=it k=#79fb8cc102799a9c\n"},
        {"other", "1.2.3", "event=it k=#109ff9025e41102e\n"},
        {longer, "1.2.3", "event=it k=#dc285df4ba41c655\n"}, /* than a block of SHA-256 */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *line = private_line(&(struct log_privacy){.hashes_uids = true, .key = cases[i].key},
                                  LOG_UID("k", cases[i].uid));
        assert_string_equal(line, cases[i].line);
        free(line);
    }
}

static void without_a_key_hashes_hold_for_the_process(void **state)
{
    (void)state;
    struct log_privacy privacy = {.hashes_uids = true};
    char *one = private_line(&privacy, LOG_UID("k", "1.2.3"));
    char *again = private_line(&privacy, LOG_UID_TEXT("k", "1.2.3.4", 5));
    char *other = private_line(&privacy, LOG_UID("k", "1.2.4"));
    char *keyed =
        private_line(&(struct log_privacy){.hashes_uids = true, .key = "key"}, LOG_UID("k", "1.2.3"));
    char *after = private_line(&privacy, LOG_UID("k", "1.2.3"));
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    assert_string_not_equal(keyed, after); /* a key that was taken away is not used any more */
    assert_int_equal(strlen(one), strlen("event=it k=#0123456789abcdef\n"));
    free(one);
    free(again);
    free(other);
    free(keyed);
    free(after);
}

static void a_line_starts_with_time_and_level(void **state)
{
    (void)state;
    struct capture c;
    int year, month, day, hour, minute, second, ms;
    char level[8], tail[64];
    log_configure(LOG_INFO, LOG_LOGFMT);
    start(&c);
    LOG(LOG_WARN, "two words");
    char *text = stop(&c, NULL);
    assert_int_equal(sscanf(text, "time=%4d-%2d-%2dT%2d:%2d:%2d.%3dZ level=%7s %63[^\n]", &year, &month, &day,
                            &hour, &minute, &second, &ms, level, tail),
                     9);
    assert_string_equal(level, "warn");
    assert_string_equal(tail, "event=\"two words\"");
    free(text);

    log_configure(LOG_INFO, LOG_JSON);
    start(&c);
    LOG(LOG_ERROR, "it");
    text = stop(&c, NULL);
    assert_int_equal(strncmp(text, "{\"time\":\"20", 11), 0);
    assert_non_null(strstr(text, "Z\",\"level\":\"error\",\"event\":\"it\"}\n"));
    free(text);
}

static int evaluations;

static int64_t counted(void)
{
    return ++evaluations;
}

static void levels_that_are_off_cost_nothing(void **state)
{
    (void)state;
    struct capture c;
    size_t len;
    log_configure(LOG_WARN, LOG_LOGFMT);
    start(&c);
    LOG(LOG_INFO, "it", LOG_INT("n", counted()));
    LOG(LOG_DEBUG, "it", LOG_INT("n", counted()));
    free(stop(&c, &len));
    assert_int_equal(len, 0);
    assert_int_equal(evaluations, 0);
    assert_true(log_enabled(LOG_ERROR));
    assert_true(log_enabled(LOG_WARN));
    assert_false(log_enabled(LOG_INFO));
    log_configure(LOG_DEBUG, LOG_LOGFMT);
    assert_true(log_enabled(LOG_DEBUG));
}

/* Bytes that need escapes of several lengths, so that every cut position comes by. */
static void a_long_line_is_cut_with_a_mark_and_still_parses(void **state)
{
    (void)state;
    enum { LONG = 5000 };
    char *value = malloc(LONG);
    assert_non_null(value);
    memset(value, 'a', LONG);
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        for (size_t plain = 3900; plain < 4100; plain++) {
            struct capture c;
            size_t len;
            memset(value + plain - 1, '\xff', LONG - plain);
            memset(value, 'a', plain);
            log_configure(LOG_INFO, (enum log_format)format);
            start(&c);
            LOG(LOG_INFO, "it", LOG_TEXT("k", value, LONG), LOG_INT("after", 1));
            char *text = stop(&c, &len);
            const char *end = format == LOG_JSON ? "\",\"cut\":1}\n" : "\" cut=1\n";
            assert_true(len <= 4096);
            assert_true(len > 4000);
            assert_ptr_equal(strchr(text, '\n'), text + len - 1);
            assert_string_equal(text + len - strlen(end), end);
            assert_null(strstr(text, "after"));
            const char *last = text + len - strlen(end) - (format == LOG_JSON ? 6 : 4);
            bool is_whole =
                strncmp(last, format == LOG_JSON ? "\\u00ff" : "\\xff", format == LOG_JSON ? 6 : 4) == 0;
            assert_true(is_whole || text[len - strlen(end) - 1] == 'a'); /* no half escape */
            free(text);
        }
    }
    free(value);
}

static void a_number_is_never_cut(void **state)
{
    (void)state;
    static char value[4096];
    memset(value, 'a', sizeof(value));
    log_configure(LOG_INFO, LOG_LOGFMT);
    for (size_t n = 3950; n < 4050; n++) {
        struct capture c;
        start(&c);
        LOG(LOG_INFO, "it", LOG_TEXT("k", value, n), LOG_INT("number", 123456789));
        char *text = stop(&c, NULL);
        const char *number = strstr(text, "number");
        if (number) {
            assert_string_equal(number, "number=123456789\n");
        } else {
            assert_non_null(strstr(text, " cut=1\n"));
        }
        free(text);
    }
}

static void *write_lines(void *arg)
{
    const char *letter = arg;
    char value[1000];
    memset(value, *letter, sizeof(value));
    for (int i = 0; i < 200; i++) {
        LOG(LOG_INFO, "it", LOG_TEXT("k", value, sizeof(value)));
    }
    return NULL;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    struct capture c;
    char letters[4] = "abcd";
    pthread_t threads[4];
    size_t lines = 0;
    log_configure(LOG_INFO, LOG_LOGFMT);
    start(&c);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &letters[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    char *text = stop(&c, NULL);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
        const char *value = strstr(line, " k=");
        assert_int_equal(strncmp(line, "time=", 5), 0);
        assert_non_null(value);
        assert_int_equal(strspn(value + 3, (char[]){value[3], '\0'}), 1000);
        assert_int_equal(strlen(value), 1003);
    }
    assert_int_equal(lines, 800);
    free(text);
}

static void logging_keeps_errno(void **state)
{
    (void)state;
    struct capture c;
    log_configure(LOG_INFO, LOG_LOGFMT);
    start(&c);
    close(STDERR_FILENO); /* so that the write fails */
    errno = ENOSPC;
    LOG(LOG_INFO, "it");
    int after = errno;
    free(stop(&c, NULL));
    assert_int_equal(after, ENOSPC);
}

static void a_failed_assertion_says_where_and_ends_the_process(void **state)
{
    (void)state;
    struct capture c;
    start(&c);
    pid_t child = fork();
    if (child == 0) {
        hilum_assert(1 + 1 == 2);
        hilum_assert(1 + 1 == 3);
        _exit(0);
    }
    int status = 0;
    pid_t ended = waitpid(child, &status, 0);
    char *text = stop(&c, NULL);
    assert_int_equal(ended, child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(text, "test_log.c:"));
    assert_non_null(strstr(text, "assertion failed: 1 + 1 == 3\n"));
    free(text);
}

static void clocks_run_forward_and_agree(void **state)
{
    (void)state;
    char date[9];
    uint64_t before_us = clock_us();
    uint64_t ms = clock_ms();
    uint64_t after_us = clock_us();
    assert_true(before_us / 1000 <= ms && ms <= after_us / 1000);
    clock_date(date);
    assert_int_equal(strspn(date, "0123456789"), 8);
    assert_int_equal(strncmp(date, "20", 2), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_quoted_and_escaped_where_they_must_be),
        cmocka_unit_test(text_that_is_not_there_is_empty),
        cmocka_unit_test(who_is_in_the_data_is_said_only_where_it_may_be),
        cmocka_unit_test(a_uid_is_hashed_with_the_key),
        cmocka_unit_test(without_a_key_hashes_hold_for_the_process),
        cmocka_unit_test(a_line_starts_with_time_and_level),
        cmocka_unit_test(levels_that_are_off_cost_nothing),
        cmocka_unit_test(a_long_line_is_cut_with_a_mark_and_still_parses),
        cmocka_unit_test(a_number_is_never_cut),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
        cmocka_unit_test(logging_keeps_errno),
        cmocka_unit_test(a_failed_assertion_says_where_and_ends_the_process),
        cmocka_unit_test(clocks_run_forward_and_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
