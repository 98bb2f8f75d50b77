/*
 * Segments of the queue's log as a crash may leave them: records, bytes that are none, damage, an end that is torn. Its end is found, and a walk to there
 * ends, goes forward alone, and hands out nothing but what its sums vouch for. What is whole is found whole.
 *
 *   steps: u8: bits 0-3 what, bits 4-7 more of it; some are followed by their bytes
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/log.h"
#include "input.h"
#include "spool/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENTS = 3, STEPS_MAX = 64 };

/* In memory where there is some: syncs of a disk would be most of the time. */
static char in_memory[] = "/dev/shm/hilum-fuzz-log-XXXXXX", on_disk[] = "/tmp/hilum-fuzz-log-XXXXXX";
static const char *folder;
static char paths[SEGMENTS][SPOOL_PATH_MAX];

static struct {
    struct octets bytes;
    unsigned records;
} segments[SEGMENTS];

static void remove_all(void)
{
    for (unsigned i = 0; i < SEGMENTS; i++)
        unlink(paths[i]);
    rmdir(folder);
}

/* With the first input: what forks in between, as AFL++ does, does not share it. */
static void open_folder(void)
{
    folder = mkdtemp(in_memory) ? in_memory : mkdtemp(on_disk);
    hilum_assert(folder);
    for (uint32_t i = 0; i < SEGMENTS; i++)
        hilum_assert(log_segment_path(folder, i + 1, paths[i]));
    atexit(remove_all);
}

static void add_record(unsigned at, enum record_type type, struct view payload, uint8_t more)
{
    struct octets *o = &segments[at].bytes;
    uint8_t head[RECORD_HEADER];
    struct record r = {.type = type,
                       .length = payload.len,
                       .draft = more,
                       .segment = at + 1,
                       .offset = o->len,
                       .synced = (uint64_t)more * 16 < o->len ? (uint64_t)more * 16 : o->len,
                       .checksum = XXH3_64bits(payload.at, payload.len)};
    record_write(&r, head);
    octets_append(o, head, sizeof(head));
    if (payload.len > 0)
        octets_append(o, payload.at, payload.len);
    octets_fill(o, 0, (size_t)record_size(&r) - sizeof(head) - payload.len);
    segments[at].records++;
}

/* `less`: of the segment before, so many bytes do not count. */
static void begin_segment(unsigned at, uint8_t less)
{
    struct octets payload = {0};
    size_t before = at > 0 ? segments[at - 1].bytes.len : 0;
    struct record_segment s = {.version = SPOOL_VERSION,
                               .generation = 1,
                               .segment = at + 1,
                               .previous = at,
                               .previous_end = before > less * 8U ? before - less * 8U : 0};
    record_segment_write(&payload, &s);
    add_record(at, RECORD_SEGMENT, (struct view){payload.data, payload.len}, 0);
    octets_free(&payload);
}

/* Returns how many segments there are; *is_whole_out: nothing is wrong with any. */
static unsigned build(struct input *in, bool *is_whole_out)
{
    unsigned at = 0;
    *is_whole_out = true;
    begin_segment(0, 0);
    for (unsigned i = 0; i < STEPS_MAX && in->left > 0; i++) {
        const uint8_t what = input_u8(in), more = what >> 4;
        struct octets *o = &segments[at].bytes;
        switch (what & 15) {
        case 10: { /* bytes that are no record */
            struct view v = input_bytes(in, input_u8(in));
            if (v.len > 0)
                octets_append(o, v.at, v.len);
            octets_fill(o, 0, -o->len & (RECORD_ALIGN - 1));
            *is_whole_out = *is_whole_out && v.len == 0;
            break;
        }
        case 11:
        case 12:
            if (at + 1 < SEGMENTS) {
                at++;
                begin_segment(at, more);
                *is_whole_out = *is_whole_out && more == 0;
            }
            break;
        case 13: { /* damage */
            const size_t where = input_u16(in) % o->len;
            const uint8_t bits = input_u8(in);
            o->data[where] ^= bits;
            *is_whole_out = *is_whole_out && bits == 0;
            break;
        }
        case 14: { /* the end is torn */
            const size_t gone = input_u8(in);
            o->len -= gone < o->len ? gone : 0;
            *is_whole_out = *is_whole_out && gone == 0;
            octets_fill(o, 0, -o->len & (RECORD_ALIGN - 1));
            break;
        }
        default:
            add_record(at, RECORD_DATA + (what & 15) % 7, input_bytes(in, input_u8(in)), more);
        }
    }
    return at + 1;
}

static void write_files(unsigned count)
{
    for (unsigned i = 0; i < SEGMENTS; i++) {
        if (i >= count) {
            unlink(paths[i]);
            continue;
        }
        int fd = open(paths[i], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        const struct octets *o = &segments[i].bytes;
        hilum_assert(fd >= 0 && write(fd, o->data, o->len) == (ssize_t)o->len);
        close(fd);
    }
}

static void walk(unsigned count, bool is_whole)
{
    const struct log_position from = {1, 1, 0};
    struct log_position end, before;
    struct log_walk w;
    struct record r;
    struct view payload;
    unsigned found = 0, built = 0;
    enum result result = log_find_end(folder, (struct log_position){1, count, 0}, &end);
    hilum_assert(result == OK || result == ERR_USAGE || !is_whole);
    if (result != OK)
        return;
    hilum_assert(end.segment <= count);
    log_walk_begin(&w, folder, from);
    do {
        before = w.at;
        result = log_walk_next(&w, end, &r, &payload);
        hilum_assert(!log_position_before(w.at, before));
        hilum_assert(result == NEED_MORE || log_position_before(before, w.at));
        if (result == OK) {
            found++;
            hilum_assert(r.segment >= 1 && r.segment <= count);
            hilum_assert(r.type == RECORD_DATA ||
                         (payload.len == r.length && XXH3_64bits(payload.at, payload.len) == r.checksum));
        }
    } while (result == OK || result == ERR_PROTO);
    hilum_assert(result == NEED_MORE);
    log_walk_end(&w);
    for (unsigned i = 0; i < count; i++)
        built += segments[i].records;
    hilum_assert(found <= built || !is_whole);
    hilum_assert(found == built || !is_whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    bool is_whole;
    if (!folder)
        open_folder();
    for (unsigned i = 0; i < SEGMENTS; i++) {
        octets_clear(&segments[i].bytes);
        segments[i].records = 0;
    }
    unsigned count = build(&in, &is_whole);
    write_files(count);
    walk(count, is_whole);
    return 0;
}
