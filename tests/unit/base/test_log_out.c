/* A reader of the log that stalls: nobody waits for it, and it is told what it has missed. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

enum { LINES = 4000, NOBODY = 65534, STUCK_S = 20 };

/* stderr goes to it between start and stop. */
struct reader {
    int read_end, real_stderr;
    char *text;
    size_t len;
};

static void make_pipe(int ends[2])
{
    assert_int_equal(pipe(ends), 0);
}

static void make_socket(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void make_terminal(int ends[2])
{
    struct termios raw;
    ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(ends[0] >= 0);
    assert_int_equal(grantpt(ends[0]), 0);
    assert_int_equal(unlockpt(ends[0]), 0);
    ends[1] = open(ptsname(ends[0]), O_RDWR | O_NOCTTY);
    assert_true(ends[1] >= 0);
    assert_int_equal(tcgetattr(ends[1], &raw), 0);
    cfmakeraw(&raw);
    assert_int_equal(tcsetattr(ends[1], TCSANOW, &raw), 0);
}

static void start(struct reader *r, void (*make)(int ends[2]))
{
    int ends[2];
    *r = (struct reader){.real_stderr = dup(STDERR_FILENO)};
    make(ends);
    r->read_end = ends[0];
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    log_configure(LOG_INFO, LOG_LOGFMT);
}

static void stop(struct reader *r)
{
    log_set_waiting(true);
    assert_true(dup2(r->real_stderr, STDERR_FILENO) >= 0);
    close(r->real_stderr);
    close(r->read_end);
    free(r->text);
}

/* All that has come. A terminal hands it over a little later. */
static void read_all(struct reader *r)
{
    struct pollfd p = {.fd = r->read_end, .events = POLLIN};
    while (poll(&p, 1, 50) == 1 && (p.revents & POLLIN)) {
        r->text = realloc(r->text, r->len + 65537);
        assert_non_null(r->text);
        ssize_t n = read(r->read_end, r->text + r->len, 65536);
        assert_true(n > 0);
        r->len += (size_t)n;
        r->text[r->len] = '\0';
    }
}

static void write_lines(int count)
{
    char value[500];
    memset(value, 'a', sizeof(value));
    for (int i = 0; i < count; i++)
        LOG(LOG_INFO, "it", LOG_TEXT("k", value, sizeof(value)), LOG_INT("end", 1));
}

/* Whole lines, and those that are told as lost. What is neither is the front of one that is among the lost. */
static void count_lines(struct reader *r, int *whole_out, int *lost_out)
{
    static const char told[] = " level=warn event=\"log lines lost\" lines=";
    *whole_out = *lost_out = 0;
    for (char *line = strtok(r->text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *lost = strstr(line, told);
        size_t len = strlen(line);
        assert_int_equal(strncmp(line, "time=", len < 5 ? len : 5),
                         0); /* a torn one does not swallow the next */
        assert_null(strstr(line + 1, "time="));
        *lost_out += lost ? atoi(lost + strlen(told)) : 0;
        *whole_out += len > 6 && strcmp(line + len - 6, " end=1") == 0;
    }
}

static void nobody_waits(void (*make)(int ends[2]))
{
    struct reader r;
    int whole, lost;
    start(&r, make);
    alarm(STUCK_S); /* whoever waits is ended by it */
    log_set_waiting(false);
    write_lines(LINES);
    alarm(0);
    read_all(&r);
    log_flush(); /* nothing but what is lost */
    read_all(&r);
    write_lines(3);
    read_all(&r);
    count_lines(&r, &whole, &lost);
    stop(&r);
    assert_true(lost > 0);
    assert_true(whole > 3);
    assert_int_equal(whole + lost, LINES + 3);
}

static void nobody_waits_for_who_does_not_read(void **state)
{
    (void)state;
    nobody_waits(make_pipe);
    nobody_waits(make_socket);
    nobody_waits(make_terminal);
}

/* Its pipe is another user's, as in a container: it cannot be opened anew. */
static void nobody_waits_where_stderr_is_another_users(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    struct reader r;
    int whole, lost;
    start(&r, make_pipe);
    assert_int_equal(seteuid(NOBODY), 0);
    log_set_waiting(false);
    int again = open("/proc/self/fd/2", O_WRONLY);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(again, -1);
    alarm(STUCK_S);
    write_lines(LINES);
    alarm(0);
    read_all(&r);
    write_lines(1);
    read_all(&r);
    count_lines(&r, &whole, &lost);
    stop(&r);
    assert_true(lost > 0);
    assert_int_equal(whole + lost, LINES + 1);
}

static void *write_many(void *arg)
{
    write_lines(LINES);
    return arg;
}

static void lines_of_several_threads_are_all_written_or_told(void **state)
{
    (void)state;
    struct reader r;
    pthread_t threads[3];
    int whole, lost;
    start(&r, make_pipe);
    log_set_waiting(false);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_many, NULL), 0);
    read_all(&r);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    read_all(&r);
    log_flush();
    read_all(&r);
    count_lines(&r, &whole, &lost);
    stop(&r);
    assert_int_equal(whole + lost, 3 * LINES);
}

/* The description that we were given is others' as well: they would not expect to be refused. */
static void what_is_shared_is_left_as_it_was(void **state)
{
    (void)state;
    struct reader r;
    start(&r, make_pipe);
    int before = fcntl(STDERR_FILENO, F_GETFL);
    log_set_waiting(false);
    int after = fcntl(STDERR_FILENO, F_GETFL);
    stop(&r);
    assert_int_equal(before, after);
}

static void a_command_waits_and_loses_nothing(void **state)
{
    (void)state;
    struct reader r;
    pthread_t thread;
    int whole, lost;
    start(&r, make_pipe);
    assert_int_equal(pthread_create(&thread, NULL, write_many, NULL), 0);
    read_all(&r);
    pthread_join(thread, NULL);
    count_lines(&r, &whole, &lost);
    stop(&r);
    assert_int_equal(whole, LINES);
    assert_int_equal(lost, 0);
}

static void plain_text_of_any_length_goes_as_it_is(void **state)
{
    (void)state;
    struct reader r;
    static char text[10001];
    memset(text, 'x', sizeof(text));
    text[5000] = text[10000] = '\n';
    start(&r, make_pipe);
    log_set_waiting(false);
    log_plain(text, sizeof(text));
    log_plain("", 0);
    read_all(&r);
    bool is_same = r.len == sizeof(text) && memcmp(r.text, text, sizeof(text)) == 0;
    stop(&r);
    assert_true(is_same);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_waits_for_who_does_not_read),
        cmocka_unit_test(nobody_waits_where_stderr_is_another_users),
        cmocka_unit_test(lines_of_several_threads_are_all_written_or_told),
        cmocka_unit_test(what_is_shared_is_left_as_it_was),
        cmocka_unit_test(a_command_waits_and_loses_nothing),
        cmocka_unit_test(plain_text_of_any_length_goes_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
