#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tls/sessions.h"

enum { NOW = 1000, LATER = 2000, MAX = 4 };

/* Ids differ in their last bytes, so that all are in one place of the table. */
static const uint8_t *id_of(unsigned number)
{
    static uint8_t ids[8][SESSIONS_ID_BYTES];
    static unsigned next;
    uint8_t *id = ids[next++ % 8];
    memset(id, 7, SESSIONS_ID_BYTES);
    memcpy(id + SESSIONS_ID_BYTES - sizeof(number), &number, sizeof(number));
    return id;
}

static void keep(struct sessions *s, unsigned number, const char *words, time_t until)
{
    sessions_keep(s, id_of(number), SESSIONS_ID_BYTES, (const uint8_t *)words, strlen(words), NOW, until);
}

/* "": there is nothing. */
static const char *found(struct sessions *s, unsigned number, time_t now)
{
    static uint8_t bytes[SESSIONS_BYTES_MAX + 1];
    time_t until = 0;
    size_t len = sessions_find(s, id_of(number), SESSIONS_ID_BYTES, now, bytes, &until);
    assert_int_equal(until > 0, len > 0);
    bytes[len] = 0;
    return (const char *)bytes;
}

static int set_up(void **state)
{
    return !(*state = sessions_new(MAX));
}

static int tear_down(void **state)
{
    struct sessions *s = *state;
    sessions_free(&s);
    assert_null(s);
    return 0;
}

static void what_is_kept_is_found_as_often_as_it_is_wanted(void **state)
{
    struct sessions *s = *state;
    keep(s, 1, "one", LATER);
    keep(s, 2, "two", LATER);
    for (unsigned i = 0; i < 3; i++) {
        assert_string_equal(found(s, 1, NOW), "one");
        assert_string_equal(found(s, 2, NOW), "two");
        assert_string_equal(found(s, 3, NOW), "");
    }
    sessions_forget(s, id_of(1), SESSIONS_ID_BYTES);
    sessions_forget(s, id_of(3), SESSIONS_ID_BYTES);
    assert_string_equal(found(s, 1, NOW), "");
    assert_string_equal(found(s, 2, NOW), "two");
}

static void the_oldest_makes_room(void **state)
{
    struct sessions *s = *state;
    char words[8];
    for (unsigned i = 0; i < 3 * MAX; i++) {
        snprintf(words, sizeof(words), "%u", i);
        keep(s, i, words, LATER);
        assert_int_equal(sessions_count(s), i < MAX ? i + 1 : MAX);
    }
    for (unsigned i = 0; i < 3 * MAX; i++) {
        snprintf(words, sizeof(words), "%u", i);
        assert_string_equal(found(s, i, NOW), i < 2 * MAX ? "" : words);
    }
}

static void a_session_has_its_time(void **state)
{
    struct sessions *s = *state;
    keep(s, 1, "one", NOW + 10);
    keep(s, 2, "two", NOW);
    keep(s, 3, "three", NOW + 5);
    assert_int_equal(sessions_count(s), 2);
    assert_string_equal(found(s, 1, NOW + 9), "one");
    assert_string_equal(found(s, 1, NOW + 10), "");
    assert_string_equal(found(s, 1, NOW + 9), ""); /* it has gone */
    sessions_keep(s, id_of(4), SESSIONS_ID_BYTES, (const uint8_t *)"four", 4, NOW + 6, LATER);
    assert_int_equal(sessions_count(s), 1); /* what is over goes when others come, wanted or not */
}

static void one_id_is_one_session(void **state)
{
    struct sessions *s = *state;
    keep(s, 1, "one", LATER);
    keep(s, 1, "other", LATER + 1);
    assert_int_equal(sessions_count(s), 1);
    assert_string_equal(found(s, 1, LATER), "other");
}

static void what_does_not_fit_is_not_kept(void **state)
{
    struct sessions *s = *state;
    static uint8_t bytes[SESSIONS_BYTES_MAX + 1];
    time_t until;
    sessions_keep(s, id_of(1), SESSIONS_ID_BYTES, bytes, sizeof(bytes), NOW, LATER);
    sessions_keep(s, id_of(1), SESSIONS_ID_BYTES, bytes, 0, NOW, LATER);
    sessions_keep(s, id_of(1), SESSIONS_ID_BYTES - 1, bytes, 1, NOW, LATER);
    sessions_keep(s, id_of(1), 0, bytes, 1, NOW, LATER);
    assert_int_equal(sessions_count(s), 0);
    sessions_keep(s, id_of(1), SESSIONS_ID_BYTES, bytes, SESSIONS_BYTES_MAX, NOW, LATER);
    assert_int_equal(sessions_find(s, id_of(1), SESSIONS_ID_BYTES, NOW, bytes, &until), SESSIONS_BYTES_MAX);
    /* what a peer may write instead of an id */
    assert_int_equal(sessions_find(s, id_of(1), 0, NOW, bytes, &until), 0);
    assert_int_equal(sessions_find(s, id_of(1), 1, NOW, bytes, &until), 0);
    sessions_forget(s, id_of(1), 0);
    assert_int_equal(sessions_count(s), 1);
}

/* Each keeps, finds and forgets its own and those of others; whatever is found is whole. */
static void *hammer(void *arg)
{
    struct sessions *s = arg;
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t id[SESSIONS_ID_BYTES] = {(uint8_t)(i % 7)}, bytes[SESSIONS_BYTES_MAX], words[64];
        time_t until;
        memset(words, (int)(i % 7), sizeof(words));
        sessions_keep(s, id, sizeof(id), words, sizeof(words), NOW, LATER);
        id[0] = (uint8_t)(i % 5);
        size_t len = sessions_find(s, id, sizeof(id), NOW, bytes, &until);
        for (size_t n = 0; n < len; n++)
            if (len != sizeof(words) || bytes[n] != id[0])
                return s;
        if (i % 3 == 0)
            sessions_forget(s, id, sizeof(id));
    }
    return NULL;
}

static void threads_share_it(void **state)
{
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, *state), 0);
    for (unsigned i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_true(sessions_count(*state) <= MAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_is_kept_is_found_as_often_as_it_is_wanted),
        TEST(the_oldest_makes_room),
        TEST(a_session_has_its_time),
        TEST(one_id_is_one_session),
        TEST(what_does_not_fit_is_not_kept),
        TEST(threads_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
