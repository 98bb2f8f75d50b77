/* The log's writer and its reader, on a disk that does what it is told, or does not. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <xxhash.h>

#include "base/clock.h"
#include "io/disk.h"
#include "io/faults.h"
#include "log_kit.h"

static const struct log_position start = {.generation = 1};

static void what_is_acknowledged_is_found(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    kit_open(k, 0, 0);
    sender_open(&s, k);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(sender_store(&s, i, i * 1001, 4096), SPOOL_DONE);
    kit_walk(k, start, log_end(k->log), &found); /* beside the writer */
    assert_int_equal(found.commits, 20);
    assert_true(atomic_load(&k->published) >= 20);
    sender_close(&s);
    kit_close(k);
    kit_recover(k, &found);
    assert_int_equal(found.commits, 20);
    assert_int_equal(found.segments, 1);
    assert_int_equal(found.faults, 0);
    for (unsigned i = 0; i < 20; i++)
        assert_true(found.times[i] == 1 && found.damaged[i] == 0);
}

static void a_draft_without_a_commit_is_no_message(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    uint8_t bytes[1000] = {1};
    kit_open(k, 0, 0);
    sender_open(&s, k);
    assert_int_equal(sender_piece(&s, 0, bytes, 1000, 7), SPOOL_DONE);
    assert_int_equal(sender_piece(&s, 1, bytes, 10, 1), SPOOL_DONE);
    assert_int_equal(spool_draft_bytes(s.draft), 1000);
    sender_close(&s);
    kit_close(k);
    kit_recover(k, &found);
    assert_int_equal(found.data, 2);
    assert_int_equal(found.commits, 0);
}

static void records_besides_drafts_are_kept_too(void **state)
{
    struct kit *k = *state;
    struct found found;
    struct octets o = {0};
    record_outcome_write(&o, &(struct spool_outcome){.id = 1, .state = SPOOL_DELIVERED});
    kit_open(k, 0, 0);
    assert_true(log_append(k->log, RECORD_OUTCOME, o.data, o.len, false));
    assert_true(log_append(k->log, RECORD_OUTCOME, o.data, o.len, true));
    kit_walk(k, start, log_end(k->log), &found);
    assert_int_equal(found.outcomes, 2); /* one thread's stay in their order */
    assert_true(log_append(k->log, RECORD_OUTCOME, o.data, o.len, false));
    kit_close(k); /* writes what waits */
    kit_recover(k, &found);
    assert_int_equal(found.outcomes, 3);
    octets_free(&o);
}

/* --- several at once, and segments ---------------------------------------------------------------------------------- */

enum { THREADS = 8, EACH = 60 };

struct worker {
    struct kit *kit;
    unsigned number;
    size_t len;
    pthread_t thread;
};

static void *store_many(void *owner)
{
    struct worker *w = owner;
    struct sender s;
    sender_open(&s, w->kit);
    for (unsigned i = 0; i < EACH; i++)
        assert_int_equal(sender_store(&s, w->number * EACH + i, w->len, 65536), SPOOL_DONE);
    sender_close(&s);
    return NULL;
}

static void run_workers(struct kit *k, size_t len)
{
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.kit = k, .number = i, .len = len};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, store_many, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

static void many_senders_fill_segment_after_segment(void **state)
{
    struct kit *k = *state;
    struct found found;
    kit_open(k, 0, 0);
    run_workers(k, 300000); /* 144 MB */
    struct log_position end = log_end(k->log);
    assert_int_equal(end.segment, 3);
    kit_walk(k, start, end, &found);
    assert_int_equal(found.commits, THREADS * EACH);
    /* Nobody refers to the first one any more than the index does not know of. */
    assert_false(log_may_delete(k->log, 1, start));
    assert_true(log_may_delete(k->log, 1, end));
    assert_true(log_may_delete(k->log, 2, end));
    assert_false(log_may_delete(k->log, 3, end));
    kit_close(k);
    kit_recover(k, &found);
    assert_int_equal(found.segments, 3);
    assert_int_equal(found.faults, 0);
    for (unsigned i = 0; i < THREADS * EACH; i++)
        assert_true(found.times[i] == 1 && found.damaged[i] == 0);
}

static void a_segment_stays_while_a_draft_or_an_unread_commit_refers_to_it(void **state)
{
    enum { PIECE = SPOOL_PIECE_MAX };
    struct kit *k = *state;
    struct sender slow, fast;
    uint8_t *bytes = malloc(2 * PIECE);
    assert_non_null(bytes);
    kit_fill(bytes, 2 * PIECE, 7);
    kit_open(k, 0, 0);
    sender_open(&slow, k);
    sender_open(&fast, k);
    assert_int_equal(sender_piece(&slow, 0, bytes, PIECE, 1), SPOOL_DONE);
    for (unsigned i = 0; i < 140; i++)
        assert_int_equal(sender_piece(&fast, 0, bytes, PIECE, 1), SPOOL_DONE);
    spool_draft_free(&fast.draft);
    struct log_position before = log_end(k->log);
    assert_int_equal(before.segment, 3);
    assert_false(log_may_delete(k->log, 1, before)); /* the slow draft */
    assert_true(log_may_delete(k->log, 2, before));
    assert_int_equal(sender_commit(&slow, 7, bytes + PIECE, PIECE), SPOOL_DONE);
    assert_false(log_may_delete(k->log, 1, before)); /* its commit has not been read */
    assert_true(log_may_delete(k->log, 1, log_end(k->log)));

    /* What is not referred to may go: a walk steps over it, a recovery as well. */
    char path[SPOOL_PATH_MAX];
    struct found found;
    assert_true(log_segment_path(k->folder, 2, path));
    assert_int_equal(disk_unlink(path), IO_NONE);
    kit_walk(k, start, log_end(k->log), &found);
    assert_true(found.segments == 2 && found.commits == 1 && found.damaged[7] == 0);
    sender_close(&slow);
    sender_close(&fast);
    kit_close(k);
    kit_recover(k, &found);
    assert_true(found.segments == 2 && found.commits == 1 && found.damaged[7] == 0);
    free(bytes);
}

static uint64_t blocks_of(const struct kit *k, uint32_t segment, uint64_t *size_out)
{
    char path[SPOOL_PATH_MAX];
    struct stat s;
    assert_true(log_segment_path(k->folder, segment, path));
    assert_int_equal(stat(path, &s), 0);
    *size_out = (uint64_t)s.st_size;
    return (uint64_t)s.st_blocks * 512;
}

/* Where the file system gives any; what is not needed goes back with the segment. */
static void a_segment_takes_space_ahead_and_keeps_none_of_it(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    uint64_t size, ahead;
    kit_open(k, 0, 0);
    sender_open(&s, k);
    assert_int_equal(sender_store(&s, 1, 300000, 300000), SPOOL_DONE);
    ahead = blocks_of(k, 1, &size);
    assert_true(size < 400000);
    assert_true(ahead < 400000 || ahead > 8 << 20);
    assert_int_equal(sender_store(&s, 2, 300000, 300000), SPOOL_DONE);
    assert_true(ahead < 400000 || blocks_of(k, 1, &size) == ahead);
    sender_close(&s);
    kit_close(k);
    assert_true(blocks_of(k, 1, &size) < 800000);
    kit_recover(k, &found);
    assert_int_equal(found.commits, 2);
}

static void a_file_system_that_gives_no_space_ahead_is_as_good(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    uint64_t size;
    kit_open(k, 0, 0);
    sender_open(&s, k);
    assert_true(io_set_faults("allocate:1:ENOTSUP")); /* and is asked once */
    for (unsigned n = 0; n < 3; n++)
        assert_int_equal(sender_store(&s, n, 300000, 300000), SPOOL_DONE);
    assert_true(blocks_of(k, 1, &size) < 1200000);
    sender_close(&s);
    kit_close(k);
    kit_recover(k, &found);
    assert_int_equal(found.commits, 3);
}

/* --- limits ------------------------------------------------------------------------------------------------------------ */

static void a_full_spool_refuses_until_space_is_given_back(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    struct octets o = {0};
    unsigned done = 0;
    record_outcome_write(&o, &(struct spool_outcome){.id = 1, .state = SPOOL_DELIVERED});
    kit_open(k, 8 << 20, 0);
    sender_open(&s, k);
    while (done < 100 && sender_store(&s, done, 1 << 20, 1 << 18) == SPOOL_DONE)
        done++;
    assert_int_equal(done, 7);
    assert_int_equal(sender_store(&s, 50, 1 << 20, 1 << 18), SPOOL_FULL);
    assert_false(log_is_well(k->log));
    assert_true(log_append(k->log, RECORD_OUTCOME, o.data, o.len, true)); /* outcomes still go */
    log_released(k->log, 6 << 20);
    LOOP_UNTIL(&s.loop, log_is_well(k->log)); /* without being asked */
    assert_int_equal(sender_store(&s, 51, 1 << 20, 1 << 18), SPOOL_DONE);
    log_set_limits(k->log, 0, UINT64_MAX / 2); /* more than the file system has */
    assert_int_equal(sender_store(&s, 52, 10, 10), SPOOL_FULL);
    log_set_limits(k->log, 0, 0);
    assert_int_equal(sender_store(&s, 53, 10, 10), SPOOL_DONE);
    assert_true(log_is_well(k->log));
    sender_close(&s);
    kit_close(k);
    kit_recover(k, &found);
    assert_int_equal(found.commits, 9);
    assert_true(found.times[50] == 0 && found.times[52] == 0 && found.times[51] == 1 && found.times[53] == 1);
    octets_free(&o);
}

/* What holds nothing that is live is ended only where room is short; where there is none for another it is tried again, and nothing is lost. */
static void an_idle_segment_ends_when_room_is_short(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    kit_open(k, 1 << 20, 0);
    sender_open(&s, k);
    assert_int_equal(sender_store(&s, 1, 40000, 40000), SPOOL_DONE);
    log_end_idle(k->log, 1);
    assert_int_equal(sender_store(&s, 2, 10, 10), SPOOL_DONE);
    assert_int_equal(log_end(k->log).segment, 1);
    assert_true(log_take_room(k->log, (1 << 20) - 60000));
    assert_int_equal(sender_store(&s, 3, 30000, 30000), SPOOL_FULL);
    assert_true(io_set_faults("write:1:ENOSPC"));
    log_end_idle(k->log, 7); /* of another it was said too late */
    LOOP_UNTIL(&s.loop, (log_end_idle(k->log, 1), log_end(k->log).segment > 1)); /* at the second time */
    assert_int_equal(log_end(k->log).segment, 3);
    assert_true(log_may_delete(k->log, 1, log_end(k->log)));
    log_released(k->log, 40000);
    assert_int_equal(sender_store(&s, 5, 30000, 30000), SPOOL_DONE);
    LOOP_UNTIL(&s.loop, (log_end_idle(k->log, 3), log_end(k->log).segment > 3));
    assert_true(log_may_delete(k->log, 3, log_end(k->log))); /* though the second could not begin */
    sender_close(&s);
    kit_close(k);
    kit_recover(k, &found);
    assert_true(found.commits == 3 && found.times[3] == 0);
}

/* --- faults --------------------------------------------------------------------------------------------------------------- */

struct fault {
    const char *text;
    const char *why;
};

/* Calls are counted from after the open: one write and one fdatasync a message here, and what opening a segment takes. */
static const struct fault faults[] = {
    {"fdatasync:5:EIO", "one sync fails: the group goes into a new segment"},
    {"fdatasync:5:EIO,fdatasync:6:EIO", "the cut of the old one is not synced either"},
    {"fdatasync:5:EIO,fdatasync:7:EIO", "the new one fails as well: the group fails"},
    {"fdatasync:5:EIO,truncate:1:EIO", "the old one cannot be cut: it is made a hole"},
    {"fdatasync:5:EIO,truncate:1:EIO,punch:1:EIO", "nor that: the new one says where it ends"},
    {"fdatasync:5:EIO,truncate:1:EIO,punch:1:EIO,fdatasync:8:EIO,truncate:3:EIO,punch:2:EIO", "twice"},
    {"fdatasync:5:EIO,truncate:1+:EIO,fdatasync:6+:EIO", "and nothing goes any more"},
    {"fdatasync:5:EIO,open:1:EIO", "no new segment: the group fails, the next one tries again"},
    {"fdatasync:5:EIO,open:1+:EROFS", "the disk has become read-only"},
    {"fdatasync:5:EIO,fsync:1:EIO", "the new one is in no folder"},
    {"fdatasync:5:EIO,fsync:1:EIO,unlink:1:EIO,truncate:1+:EIO", "and stays there"},
    {"fdatasync:5:EIO,write:6:torn", "the new one's first record is torn"},
    {"fdatasync:5:EIO,write:6:torn,unlink:1:EIO,truncate:1+:EIO", "and stays there"},
    {"fdatasync:5:ENOSPC", "there was no space after all"},
    {"write:5:EIO", "a write fails"},
    {"write:5:torn", "half a write"},
    {"write:5:torn,truncate:1+:EIO", "and it stays there"},
    {"write:5:short,write:6:EINTR", "a write in two, by a signal"},
    {"write:5:ENOSPC", "full once: that one fails, the segment goes on"},
    {"write:5:short,write:6:ENOSPC", "full in the middle of a record"},
    {"write:5:short,write:6:ENOSPC,truncate:1:EIO", "and it cannot be cut back"},
    {"write:5:late", "full, after all was written"},
    {"write:5:late,truncate:1:EIO", "and it cannot be cut back"},
    {"write:5:late,truncate:1+:EIO", "nor given up"},
    {"write:5+:late", "for good"},
    {"write:5+:ENOSPC", "full for good"},
    {"write:5+:EIO", "no write goes any more"},
    {"write:5:short,write:6+:ENOSPC,truncate:1+:EIO,unlink:1+:EIO", "all at once"},
};

/* Every fault, in turn: what was acknowledged is found whole, what failed is not found. */
static void a_fault_loses_nothing_and_invents_nothing(void **state)
{
    enum { MESSAGES = 12 };
    for (size_t f = 0; f < sizeof(faults) / sizeof(faults[0]); f++) {
        enum spool_error told[MESSAGES];
        struct kit *k;
        struct sender s;
        struct found found, live;
        assert_int_equal(kit_setup(state), 0);
        k = *state;
        kit_open(k, 0, 0);
        sender_open(&s, k);
        assert_true(io_set_faults(faults[f].text));
        for (unsigned i = 0; i < MESSAGES; i++)
            told[i] =
                sender_store(&s, i, i == 4 ? 5000 : 50, 5000); /* the fifth sticks out behind what follows */
        assert_true(io_set_faults(NULL));
        kit_walk(k, start, log_end(k->log), &live);
        sender_close(&s);
        kit_close(k);
        kit_recover(k, &found);
        for (unsigned i = 0; i < MESSAGES; i++) {
            bool should = told[i] == SPOOL_DONE;
            if (found.times[i] != should || live.times[i] != should || found.damaged[i] != 0)
                fail_msg("%s (%s): message %u was told %d, and is found %u times, live %u", faults[f].text,
                         faults[f].why, i, told[i], found.times[i], live.times[i]);
        }
        assert_int_equal(kit_teardown(state), 0);
    }
    assert_int_equal(kit_setup(state), 0); /* for the teardown */
}

struct told {
    struct kit *kit;
    unsigned number;
    enum spool_error errors[EACH];
    pthread_t thread;
};

static void *store_and_note(void *owner)
{
    struct told *t = owner;
    struct sender s;
    sender_open(&s, t->kit);
    for (unsigned i = 0; i < EACH; i++)
        t->errors[i] = sender_store(&s, t->number * EACH + i, (i % 9) * 1000, 3000);
    sender_close(&s);
    return NULL;
}

/* Groups of several drafts, some of which have pieces in what was written before. */
static void many_senders_know_what_became_of_their_messages(void **state)
{
    struct kit *k = *state;
    static struct told told[THREADS];
    struct found found;
    unsigned failed = 0;
    kit_open(k, 0, 0);
    assert_true(
        io_set_faults("fdatasync:9:EIO,fdatasync:17:EIO,fdatasync:18:EIO,fdatasync:19:EIO,fdatasync:40:EIO,"
                      "write:60:ENOSPC,write:70:torn,write:90:short,write:91:ENOSPC,write:110:EIO,"
                      "write:111:EIO,truncate:3:EIO,punch:1:EIO,fdatasync:60:ENOSPC,open:4:EIO"));
    for (unsigned i = 0; i < THREADS; i++) {
        told[i] = (struct told){.kit = k, .number = i};
        assert_int_equal(pthread_create(&told[i].thread, NULL, store_and_note, &told[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(told[i].thread, NULL);
    assert_true(io_set_faults(NULL));
    kit_close(k);
    (void)kit_recover(k, &found);
    for (unsigned i = 0; i < THREADS * EACH; i++) {
        enum spool_error error = told[i / EACH].errors[i % EACH];
        failed += error != SPOOL_DONE;
        if (found.times[i] != (error == SPOOL_DONE) || found.damaged[i] != 0)
            fail_msg("message %u was told %d, and is found %u times, %u damaged", i, error, found.times[i],
                     found.damaged[i]);
    }
    assert_in_range(failed, 1, THREADS * EACH / 2);
    assert_int_equal(found.faults, 0);
}

static void a_failed_sync_is_made_good_in_a_new_segment(void **state)
{
    struct kit *k = *state;
    struct sender s, other;
    struct found found;
    uint8_t bytes[100];
    kit_fill(bytes, sizeof(bytes), 9);
    kit_open(k, 0, 0);
    sender_open(&s, k);
    sender_open(&other, k);
    assert_int_equal(sender_store(&s, 1, 500, 500), SPOOL_DONE);
    assert_int_equal(sender_piece(&other, 0, bytes, 50, 1), SPOOL_DONE); /* written, not synced */
    assert_true(io_set_faults("fdatasync:1:EIO"));
    assert_int_equal(sender_store(&s, 2, 500, 500), SPOOL_DONE);
    assert_int_equal(log_end(k->log).segment, 2);
    assert_int_equal(sender_commit(&other, 9, bytes + 50, 50), SPOOL_FAILED); /* its first piece is gone */
    assert_false(log_may_delete(k->log, 2, log_end(k->log)));
    assert_true(log_is_well(k->log));
    sender_close(&s);
    sender_close(&other);
    kit_close(k);
    kit_recover(k, &found);
    assert_int_equal(found.commits, 2);
    assert_int_equal(found.segments, 2);
}

static void nothing_is_acknowledged_from_a_file_that_is_in_no_folder(void **state)
{
    struct kit *k = *state;
    struct sender s;
    kit_open(k, 0, 0);
    sender_open(&s, k);
    assert_true(io_set_faults("fdatasync:1:EIO,fsync:1+:EIO"));
    assert_int_equal(sender_store(&s, 1, 50, 50), SPOOL_FAILED);
    assert_int_equal(sender_store(&s, 2, 50, 50), SPOOL_FAILED);
    assert_true(io_set_faults(NULL));
    assert_int_equal(sender_store(&s, 3, 50, 50), SPOOL_DONE);
    sender_close(&s);
    kit_close(k);
}

static void a_draft_that_lost_a_piece_never_commits(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    uint8_t bytes[100] = {0};
    kit_open(k, 0, 0);
    sender_open(&s, k);
    assert_true(io_set_faults("write:2:ENOSPC"));
    assert_int_equal(sender_piece(&s, 0, bytes, 50, 1), SPOOL_DONE);
    assert_int_equal(sender_piece(&s, 0, bytes, 50, 1), SPOOL_FULL);
    s.error = SPOOL_DONE;
    assert_int_equal(sender_commit(&s, 1, bytes, 50), SPOOL_FULL);
    assert_int_equal(sender_store(&s, 2, 50, 50), SPOOL_DONE);
    sender_close(&s);
    kit_close(k);
    kit_recover(k, &found);
    assert_true(found.times[1] == 0 && found.times[2] == 1);
}

static void a_disk_that_stays_broken_fails_everything(void **state)
{
    struct kit *k = *state;
    struct sender s;
    kit_open(k, 0, 0);
    sender_open(&s, k);
    assert_true(io_set_faults("write:1+:EIO"));
    assert_int_equal(sender_store(&s, 1, 50, 50), SPOOL_FAILED);
    assert_false(log_is_well(k->log));
    assert_false(log_append(k->log, RECORD_OUTCOME, "", 0, true));
    kit_close(k);
    assert_true(io_set_faults(NULL));
    sender_close(&s);
}

static void a_disk_that_heals_is_noticed(void **state)
{
    struct kit *k = *state;
    struct sender s;
    kit_open(k, 0, 0);
    sender_open(&s, k);
    /* The message twice, then the probe twice, in segments of their own; then it heals. */
    assert_true(io_set_faults("write:1:EIO,write:2:EIO,write:3:EIO,write:4:EIO"));
    assert_int_equal(sender_store(&s, 1, 50, 50), SPOOL_FAILED);
    assert_false(log_is_well(k->log));
    LOOP_UNTIL(&s.loop, log_is_well(k->log));
    assert_int_equal(sender_store(&s, 1, 50, 50), SPOOL_DONE);
    sender_close(&s);
    kit_close(k);
}

static void nothing_is_acknowledged_from_a_file_that_was_deleted(void **state)
{
    struct kit *k = *state;
    struct sender s, other;
    struct found found;
    char path[SPOOL_PATH_MAX];
    uint8_t bytes[100];
    kit_fill(bytes, sizeof(bytes), 9);
    kit_open(k, 0, 0);
    sender_open(&s, k);
    sender_open(&other, k);
    assert_int_equal(sender_piece(&other, 0, bytes, 50, 1), SPOOL_DONE);
    assert_int_equal(sender_store(&s, 1, 500, 500), SPOOL_DONE); /* which has synced that piece, too */
    assert_true(log_segment_path(k->folder, 1, path));
    assert_int_equal(disk_unlink(path), IO_NONE);
    assert_int_equal(sender_store(&s, 2, 500, 500), SPOOL_DONE);
    assert_int_equal(log_end(k->log).segment, 2);
    assert_int_equal(sender_commit(&other, 9, bytes + 50, 50), SPOOL_FAILED); /* its first piece is gone */
    assert_true(log_is_well(k->log));
    sender_close(&s);
    sender_close(&other);
    kit_close(k);
    kit_recover(k, &found);
    assert_true(found.commits == 1 && found.times[2] == 1 && found.damaged[2] == 0);
}

static void nothing_is_acknowledged_into_a_folder_that_was_deleted(void **state)
{
    struct kit *k = *state;
    struct sender s;
    struct found found;
    char path[SPOOL_PATH_MAX];
    kit_open(k, 0, 0);
    sender_open(&s, k);
    assert_int_equal(sender_store(&s, 1, 500, 500), SPOOL_DONE);
    assert_true(log_segment_path(k->folder, 1, path));
    assert_int_equal(disk_unlink(path), IO_NONE);
    assert_int_equal(disk_rmdir(k->folder), IO_NONE);
    assert_int_equal(sender_store(&s, 2, 500, 500), SPOOL_FAILED);
    assert_int_equal(sender_store(&s, 3, 500, 500), SPOOL_FAILED);
    assert_false(log_is_well(k->log));
    assert_int_equal(disk_mkdir(k->folder), IO_NONE);
    assert_int_equal(sender_store(&s, 4, 500, 500), SPOOL_DONE);
    assert_true(log_is_well(k->log));
    sender_close(&s);
    kit_close(k);
    kit_recover(k, &found);
    assert_true(found.commits == 1 && found.times[4] == 1);
}

static void a_newer_version_is_left_alone(void **state)
{
    struct kit *k = *state;
    char path[SPOOL_PATH_MAX];
    uint8_t head[RECORD_HEADER];
    struct octets o = {0};
    struct log_position end;
    uint64_t done, size;
    int fd;
    assert_true(log_segment_path(k->folder, 1, path));
    assert_int_equal(disk_open(path, DISK_CREATE_NEW, &fd), IO_NONE);
    record_segment_write(
        &o, &(struct record_segment){.version = SPOOL_VERSION + 1, .generation = 1, .segment = 1});
    octets_fill(&o, 'x', 100); /* whatever they may have added */
    record_write(
        &(struct record){
            .type = RECORD_SEGMENT, .length = o.len, .segment = 1, .checksum = XXH3_64bits(o.data, o.len)},
        head);
    octets_fill(&o, 'y', 1000); /* no record of ours */
    struct iovec v[] = {{head, sizeof(head)}, {o.data, o.len}};
    assert_int_equal(disk_write(fd, v, 2, 0, &done), IO_NONE);
    assert_int_equal(log_find_end(k->folder, start, &end), ERR_USAGE);
    assert_int_equal(disk_size(fd, &size), IO_NONE);
    assert_int_equal(size, done);
    disk_close(fd);
    octets_free(&o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kit_setup, kit_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_acknowledged_is_found),
        TEST(a_draft_without_a_commit_is_no_message),
        TEST(records_besides_drafts_are_kept_too),
        TEST(many_senders_fill_segment_after_segment),
        TEST(a_segment_stays_while_a_draft_or_an_unread_commit_refers_to_it),
        TEST(a_segment_takes_space_ahead_and_keeps_none_of_it),
        TEST(a_file_system_that_gives_no_space_ahead_is_as_good),
        TEST(a_full_spool_refuses_until_space_is_given_back),
        TEST(an_idle_segment_ends_when_room_is_short),
        cmocka_unit_test_teardown(a_fault_loses_nothing_and_invents_nothing, kit_teardown),
        TEST(many_senders_know_what_became_of_their_messages),
        TEST(a_failed_sync_is_made_good_in_a_new_segment),
        TEST(nothing_is_acknowledged_from_a_file_that_is_in_no_folder),
        TEST(a_draft_that_lost_a_piece_never_commits),
        TEST(a_disk_that_stays_broken_fails_everything),
        TEST(a_disk_that_heals_is_noticed),
        TEST(nothing_is_acknowledged_from_a_file_that_was_deleted),
        TEST(nothing_is_acknowledged_into_a_folder_that_was_deleted),
        TEST(a_newer_version_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
