/* Messages from other threads: a list under a lock, and an eventfd that the ring reads. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "io/engine.h"

static void on_mail(struct io_op *op, enum io_error error, int64_t n)
{
    struct io *io = op->owner;
    (void)n;
    if (error == IO_CANCELLED)
        return;
    pthread_mutex_lock(&io->mailbox_lock);
    struct io_message *m = io->mailbox;
    io->mailbox = NULL;
    io->mailbox_end = &io->mailbox;
    pthread_mutex_unlock(&io->mailbox_lock);
    io_mailbox_arm(io);
    while (m) {
        struct io_message *next = m->next;
        m->on_message(m);
        m = next;
    }
}

void io_mailbox_arm(struct io *io)
{
    io_read(io, &io->mailbox_op, io->mailbox_event, &io->mailbox_count, sizeof(io->mailbox_count), 0);
}

enum result io_mailbox_open(struct io *io)
{
    pthread_mutex_init(&io->mailbox_lock, NULL);
    io->mailbox_end = &io->mailbox;
    io->mailbox_op = (struct io_op){.on_done = on_mail, .owner = io};
    io->mailbox_event = IO_CALL(IO_CALL_EVENTFD, eventfd(0, EFD_CLOEXEC));
    return io->mailbox_event < 0 ? ERR_IO : OK;
}

void io_mailbox_close(struct io *io)
{
    io_close(io->mailbox_event);
    pthread_mutex_destroy(&io->mailbox_lock);
}

void io_post(struct io *to, struct io_message *m)
{
    m->next = NULL;
    pthread_mutex_lock(&to->mailbox_lock);
    bool was_empty = to->mailbox == NULL;
    *to->mailbox_end = m;
    to->mailbox_end = &m->next;
    if (was_empty) { /* inside the lock, so that a posted thread's ring still stands */
        uint64_t one = 1;
        ssize_t n = write(to->mailbox_event, &one, sizeof(one));
        (void)n; /* the counter cannot overflow: one write an emptied mailbox */
    }
    pthread_mutex_unlock(&to->mailbox_lock);
}
