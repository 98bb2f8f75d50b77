/* Unix sockets: who may connect, what is replaced and what is not, and how asking ends. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/local.h"

struct scene {
    char folder[64], path[96];
    int listen_fd;
    char why[128];
};

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    snprintf(s->folder, sizeof(s->folder), "/tmp/hilum-local-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(s->path, sizeof(s->path), "%s/socket", s->folder);
    s->listen_fd = -1;
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    unlink(s->path);
    rmdir(s->folder);
    free(s);
    return 0;
}

static enum result listen_there(struct scene *s)
{
    return local_listen(s->path, &s->listen_fd, s->why, sizeof(s->why));
}

/* --- listening --------------------------------------------------------------------------------------------------- */

static void only_this_user_may_connect(void **state)
{
    struct scene *s = *state;
    struct stat st;
    assert_int_equal(listen_there(s), OK);
    assert_int_equal(lstat(s->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void a_socket_that_was_left_is_replaced(void **state)
{
    struct scene *s = *state;
    assert_int_equal(listen_there(s), OK);
    close(s->listen_fd);
    assert_int_equal(access(s->path, F_OK), 0);
    assert_int_equal(listen_there(s), OK);
    local_unlink(s->path);
    assert_int_not_equal(access(s->path, F_OK), 0);
}

static void what_is_no_socket_is_not(void **state)
{
    struct scene *s = *state;
    FILE *f = fopen(s->path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(listen_there(s), ERR_IO);
    assert_string_equal(s->why, "Address already in use");
    local_unlink(s->path);
    assert_int_equal(access(s->path, F_OK), 0);
}

static void a_path_has_its_limit(void **state)
{
    struct scene *s = *state;
    struct octets answer = {0};
    char path[200];
    int fd;
    memset(path, 'x', sizeof(path));
    path[0] = '/';
    path[108] = '\0';
    assert_int_equal(local_listen(path, &fd, s->why, sizeof(s->why)), ERR_IO);
    assert_string_equal(s->why, "the path is longer than 107 bytes");
    assert_int_equal(local_ask(path, "x", 1000, 10, &answer, s->why, sizeof(s->why)), ERR_IO);
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

struct answering {
    int listen_fd;
    const char *answer; /* NULL: none, and it stays open until the other side goes */
    char request[64];
    bool is_deaf; /* goes away without having read */
};

static void *answer_one(void *arg)
{
    struct answering *a = arg;
    char rest[64];
    int fd = accept(a->listen_fd, NULL, NULL);
    ssize_t n = a->is_deaf ? 0 : recv(fd, a->request, sizeof(a->request) - 1, 0);
    a->request[n > 0 ? n : 0] = '\0';
    if (a->answer)
        (void)!send(fd, a->answer, strlen(a->answer), MSG_NOSIGNAL);
    while (!a->answer && recv(fd, rest, sizeof(rest), 0) > 0)
        ;
    close(fd);
    return NULL;
}

static enum result ask(struct scene *s, struct answering *a, uint64_t timeout_ms, size_t max,
                       struct octets *answer)
{
    pthread_t thread;
    if (s->listen_fd < 0)
        assert_int_equal(listen_there(s), OK);
    a->listen_fd = s->listen_fd;
    assert_int_equal(pthread_create(&thread, NULL, answer_one, a), 0);
    enum result r = local_ask(s->path, "list\n", timeout_ms, max, answer, s->why, sizeof(s->why));
    pthread_join(thread, NULL);
    return r;
}

static void an_answer_is_what_comes_until_the_end(void **state)
{
    struct scene *s = *state;
    struct answering a = {.answer = "{\"ok\":true}\n"};
    struct octets answer = {0};
    assert_int_equal(ask(s, &a, 20000, 100, &answer), OK);
    assert_string_equal(a.request, "list\n");
    assert_int_equal(answer.len, strlen(a.answer));
    assert_memory_equal(answer.data, a.answer, answer.len);
    octets_free(&answer);
}

static void one_that_is_too_long_is_not_read(void **state)
{
    struct scene *s = *state;
    struct answering a = {.answer = "0123456789"};
    struct octets answer = {0};
    assert_int_equal(ask(s, &a, 20000, 9, &answer), ERR_LIMIT);
    octets_free(&answer);
}

static void who_says_nothing_is_not_waited_for(void **state)
{
    struct scene *s = *state;
    struct answering a = {0};
    struct octets answer = {0};
    uint64_t begin = clock_ms();
    assert_int_equal(ask(s, &a, 100, 9, &answer), ERR_IO);
    assert_string_equal(s->why, "Connection timed out");
    assert_true(clock_ms() - begin >= 90);
    octets_free(&answer);
}

static void who_is_gone_without_an_answer_does_not_listen(void **state)
{
    struct scene *s = *state;
    struct answering closes = {.answer = ""}, resets = {.answer = "", .is_deaf = true};
    struct octets answer = {0};
    assert_int_equal(ask(s, &closes, 20000, 9, &answer), ERR_CLOSED);
    assert_int_equal(ask(s, &resets, 20000, 9, &answer), ERR_CLOSED);
    octets_free(&answer);
}

static void nobody_listens(void **state)
{
    struct scene *s = *state;
    struct octets answer = {0};
    assert_int_equal(local_ask(s->path, "list\n", 1000, 9, &answer, s->why, sizeof(s->why)), ERR_CLOSED);
    assert_int_equal(listen_there(s), OK);
    close(s->listen_fd); /* its name stays, as after a kill */
    s->listen_fd = -1;
    assert_int_equal(local_ask(s->path, "list\n", 1000, 9, &answer, s->why, sizeof(s->why)), ERR_CLOSED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_this_user_may_connect),
        TEST(a_socket_that_was_left_is_replaced),
        TEST(what_is_no_socket_is_not),
        TEST(a_path_has_its_limit),
        TEST(an_answer_is_what_comes_until_the_end),
        TEST(one_that_is_too_long_is_not_read),
        TEST(who_says_nothing_is_not_waited_for),
        TEST(who_is_gone_without_an_answer_does_not_listen),
        TEST(nobody_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
