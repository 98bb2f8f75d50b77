/* The loop of the load: lanes have their turns, and phases follow each other. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "load.h"

enum { EVENTS_AT_ONCE = 256, CONNECTING_MAX = 64 };
static const uint64_t GRACE_NS = 1000000000; /* for what is under way when the time is over */

struct run {
    struct load *load;
    int signals, in;
    uint64_t waiting_ns; /* since when lanes are awaited at the start line */
    uint64_t end_ns;     /* of the present phase; 0: open */
    bool is_told;        /* idle: that all stand */
};

static void tell_idle(const struct load *load, const char *event)
{
    printf("{\"event\":\"%s\",\"open\":%u,\"failures\":%llu,\"faults\":%llu}\n", event,
           load->lane_count - load->ended, (unsigned long long)load->failures,
           (unsigned long long)load->faults);
    fflush(stdout);
}

static void begin_counting(struct run *r)
{
    struct load *load = r->load;
    load->phase = LOAD_COUNTING;
    r->end_ns = load->options.seconds_ns ? now_ns() + load->options.seconds_ns : 0;
    for (uint32_t i = 0; i < load->lane_count; i++)
        lane_wake(&load->lanes[i]);
}

static void begin_stopping(struct run *r)
{
    struct load *load = r->load;
    if (load->options.idle)
        tell_idle(load, "end");
    load->phase = LOAD_STOPPING;
    load->cpu = cpu_since(load->cpu_start);
    r->end_ns = now_ns() + GRACE_NS;
    for (uint32_t i = 0; i < load->lane_count; i++) {
        struct lane *l = &load->lanes[i];
        if (l->state == LANE_OPEN)
            lane_wake(l);
        else if (l->state != LANE_RELEASING)
            lane_cut(l);
    }
}

void load_on_standing(struct load *load)
{
    load->standing++;
}

void load_on_ended(struct load *load)
{
    load->ended++;
}

/* What time and standing lanes bring about. False: all is over. */
static bool advance(struct run *r, uint64_t now)
{
    struct load *load = r->load;
    struct lane *l;
    while ((l = TAILQ_FIRST(&load->thinking)) && l->think_due_ns <= now) {
        TAILQ_REMOVE(&load->thinking, l, thinking_next);
        l->is_thinking = false;
        lane_wake(l);
    }
    const bool is_standing = load->standing == load->lane_count;
    if (load->options.idle && is_standing && !r->is_told) {
        r->is_told = true;
        tell_idle(load, "idle");
    }
    if (load->phase == LOAD_WARMING && !load->options.idle &&
        (is_standing || (r->end_ns && now >= r->end_ns)))
        begin_counting(r);
    else if (load->phase == LOAD_COUNTING && r->end_ns && now >= r->end_ns)
        begin_stopping(r);
    else if (load->phase == LOAD_STOPPING && now >= r->end_ns)
        return false;
    return load->ended < load->lane_count;
}

static void open_some(struct load *load)
{
    struct lane *l;
    while ((l = TAILQ_FIRST(&load->unopened)) && load->connecting < CONNECTING_MAX) {
        TAILQ_REMOVE(&load->unopened, l, unopened_next);
        lane_turn(l);
    }
}

static void take_turns(struct load *load)
{
    struct lane *last = TAILQ_LAST(&load->ready, lanes), *l;
    bool is_last = last == NULL;
    while (!is_last && (l = TAILQ_FIRST(&load->ready))) {
        is_last = l == last;
        TAILQ_REMOVE(&load->ready, l, ready_next);
        l->is_ready = false;
        lane_turn(l);
    }
}

static int next_wait(const struct run *r)
{
    const struct load *load = r->load;
    uint64_t due = r->end_ns ? r->end_ns : UINT64_MAX;
    if (!TAILQ_EMPTY(&load->ready))
        return 0;
    if (!TAILQ_EMPTY(&load->thinking) && TAILQ_FIRST(&load->thinking)->think_due_ns < due)
        due = TAILQ_FIRST(&load->thinking)->think_due_ns;
    if (due == UINT64_MAX)
        return -1;
    const uint64_t now = now_ns();
    return due <= now ? 0 : (int)((due - now + 999999) / 1000000);
}

static bool has_ended(int fd)
{
    char bytes[64];
    return read(fd, bytes, sizeof bytes) == 0;
}

static void on_event(struct run *r, const struct epoll_event *e)
{
    void *of = e->data.ptr;
    bool is_end = false;
    if (of == &r->signals)
        is_end = net_next_signal(r->signals) != 0;
    else if (of == &r->in)
        is_end = has_ended(r->in);
    else
        lane_on_event(of, e->events);
    if (is_end && r->load->phase != LOAD_STOPPING)
        begin_stopping(r);
}

void load_run(struct load *load)
{
    struct run r = {.load = load, .in = STDIN_FILENO};
    r.signals = net_signals("load");
    net_watch(load->epoll, r.signals, EPOLLIN, &r.signals);
    if (load->options.idle)
        net_watch(load->epoll, r.in, EPOLLIN,
                  &r.in); /* what cannot be waited for, as /dev/null, never ends it */
    r.end_ns = load->options.seconds_ns ? now_ns() + load->options.seconds_ns : 0;
    load->cpu_start = cpu_now();
    for (;;) {
        struct epoll_event events[EVENTS_AT_ONCE];
        open_some(load);
        take_turns(load);
        if (!advance(&r, now_ns()))
            break;
        int count = epoll_wait(load->epoll, events, EVENTS_AT_ONCE, next_wait(&r));
        for (int i = 0; i < count; i++)
            on_event(&r, &events[i]);
    }
    if (load->phase != LOAD_STOPPING)
        load->cpu = cpu_since(load->cpu_start);
    for (uint32_t i = 0; i < load->lane_count; i++)
        lane_cut(&load->lanes[i]);
    close(r.signals);
}
