#include "loop.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { WAKE_MS = 50 };

static void on_wake(struct io_timer *timer)
{
    struct loop *l = timer->owner;
    l->wakes++;
    io_timer_start(l->io, timer, WAKE_MS);
}

void loop_open(struct loop *l, uint64_t memory_bytes)
{
    char why[256] = "";
    *l = (struct loop){.wake = {.on_fire = on_wake, .owner = l}};
    pool_init(&l->pool, memory_bytes);
    struct io_options options = {.pool = &l->pool};
    if (io_new(&options, &l->io, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    assert_int_equal(io_adopt(l->io), OK);
    io_timer_start(l->io, &l->wake, WAKE_MS);
}

void loop_close(struct loop *l)
{
    io_timer_stop(l->io, &l->wake);
    io_free(&l->io);
    assert_int_equal(l->pool.in_use, 0);
    pool_free(&l->pool);
}

void loop_turn(struct loop *l)
{
    io_run(l->io);
}

void loop_connect_pair(int *one, int *two)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
    *one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*one, (struct sockaddr *)&at, len), 0);
    *two = accept(listener, NULL, NULL);
    assert_true(*two >= 0);
    close(listener);
    io_socket_configure(*one, NULL);
    io_socket_configure(*two, NULL);
}
