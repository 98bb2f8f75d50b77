/* Files by calls that block, and the faults that tests order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/disk.h"
#include "io/faults.h"

struct place {
    char folder[256], file[300];
};

static int open_place(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    const char *tmp = getenv("TMPDIR");
    assert_non_null(p);
    snprintf(p->folder, sizeof(p->folder), "%s/hilum-disk-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->file, sizeof(p->file), "%s/file", p->folder);
    *state = p;
    return 0;
}

static int close_place(void **state)
{
    struct place *p = *state;
    io_set_faults(NULL);
    unlink(p->file);
    assert_int_equal(rmdir(p->folder), 0);
    free(p);
    return 0;
}

static int make_file(struct place *p)
{
    int fd;
    assert_int_equal(disk_open(p->file, DISK_CREATE_NEW, &fd), IO_NONE);
    return fd;
}

static enum io_error write_text(int fd, const char *text, uint64_t offset, uint64_t *done)
{
    struct iovec v = {(void *)text, strlen(text)};
    return disk_write(fd, &v, 1, offset, done);
}

static void a_file_holds_what_a_long_vector_names(void **state)
{
    enum { PARTS = 3000 /* more than a call takes */ };
    int fd = make_file(*state);
    struct iovec v[PARTS];
    uint8_t bytes[PARTS], back[PARTS + 10];
    uint64_t done, size;
    size_t n;
    for (unsigned i = 0; i < PARTS; i++) {
        bytes[i] = (uint8_t)(i * 7);
        v[i] = (struct iovec){&bytes[i], i % 10 == 9 ? 0 : 1}; /* empty ones among them */
    }
    assert_int_equal(disk_write(fd, v, PARTS, 5, &done), IO_NONE);
    assert_int_equal(done, PARTS - PARTS / 10);
    assert_int_equal(disk_size(fd, &size), IO_NONE);
    assert_int_equal(size, done + 5);
    assert_int_equal(disk_read(fd, back, sizeof(back), 5, &n), IO_NONE);
    assert_int_equal(n, done);
    for (unsigned i = 0, at = 0; i < PARTS; i++)
        if (i % 10 != 9)
            assert_int_equal(back[at++], (uint8_t)(i * 7));
    assert_int_equal(disk_datasync(fd), IO_NONE);
    disk_close(fd);
}

static void a_short_write_or_a_signal_is_no_failure(void **state)
{
    int fd = make_file(*state);
    char back[16] = "";
    uint64_t done;
    size_t n;
    assert_true(io_set_faults("write:1:short,write:2:EINTR,write:3:short,read:1:EINTR,fdatasync:1:EINTR"));
    assert_int_equal(write_text(fd, "0123456789", 0, &done), IO_NONE);
    assert_int_equal(done, 10);
    assert_int_equal(disk_read(fd, back, 10, 0, &n), IO_NONE);
    assert_string_equal(back, "0123456789");
    assert_int_equal(disk_datasync(fd), IO_NONE);
    disk_close(fd);
}

static void a_failure_says_how_far_it_came_and_why(void **state)
{
    int fd = make_file(*state);
    uint64_t done, size;
    assert_true(io_set_faults("write:1:torn,write:2:short,write:3+:ENOSPC,fdatasync:2:EIO"));
    assert_int_equal(write_text(fd, "0123456789", 0, &done), IO_OTHER);
    assert_int_equal(done, 5);
    assert_int_equal(write_text(fd, "0123456789", 5, &done), IO_NO_SPACE);
    assert_string_equal(disk_error_text(), "No space left on device");
    assert_int_equal(done, 5);
    assert_int_equal(disk_size(fd, &size), IO_NONE);
    assert_int_equal(size, 10);
    assert_int_equal(write_text(fd, "x", 0, &done), IO_NO_SPACE); /* and all later ones */
    assert_int_equal(disk_datasync(fd), IO_NONE);
    assert_int_equal(disk_datasync(fd), IO_OTHER);
    assert_string_equal(disk_error_text(), "Input/output error");
    assert_int_equal(disk_datasync(fd), IO_NONE); /* that one alone */
    disk_close(fd);
}

static void a_skipped_call_does_nothing_and_says_it_did(void **state)
{
    int fd = make_file(*state);
    uint64_t done, size;
    assert_true(io_set_faults("write:1:skip,truncate:1:skip"));
    assert_int_equal(write_text(fd, "0123456789", 0, &done), IO_NONE);
    assert_int_equal(done, 10);
    assert_int_equal(disk_truncate(fd, 100), IO_NONE);
    assert_int_equal(disk_size(fd, &size), IO_NONE);
    assert_int_equal(size, 0);
    disk_close(fd);
}

static void a_process_dies_where_it_shall(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        int fd;
        (void)io_set_faults("open:2:kill");
        bool were_opened = disk_open("/dev/null", DISK_READ, &fd) == IO_NONE &&
                           disk_open("/dev/null", DISK_READ, &fd) == IO_NONE;
        _exit(were_opened ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void faults_that_cannot_be_read_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"write",        "write:1",       "write:0:EIO",
                                        "write:x:EIO",  "wrote:1:EIO",   "write:1:EWHAT",
                                        "write:1:EIO2", "write:1++:EIO", "write:1:EIO,,"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (io_set_faults(wrong[i]))
            fail_msg("\"%s\" was read", wrong[i]);
    assert_true(io_set_faults(""));
}

static void a_lock_is_one_opener_s_until_it_closes(void **state)
{
    struct place *p = *state;
    int a = make_file(p), b;
    bool is_ours;
    assert_int_equal(disk_open(p->file, DISK_WRITE, &b), IO_NONE);
    assert_int_equal(disk_lock(a, &is_ours), IO_NONE);
    assert_true(is_ours);
    assert_int_equal(disk_lock(b, &is_ours), IO_NONE);
    assert_false(is_ours);
    disk_close(a);
    assert_int_equal(disk_lock(b, &is_ours), IO_NONE);
    assert_true(is_ours);
    disk_close(b);
}

static void a_hole_gives_space_back_and_keeps_the_size(void **state)
{
    enum { BYTES = 1 << 20 };
    struct place *p = *state;
    int fd = make_file(p);
    uint8_t *bytes = malloc(BYTES);
    uint64_t done, free_bytes;
    size_t n;
    struct stat before, after;
    assert_non_null(bytes);
    memset(bytes, 0xaa, BYTES);
    struct iovec v = {bytes, BYTES};
    assert_int_equal(disk_write(fd, &v, 1, 0, &done), IO_NONE);
    assert_int_equal(disk_datasync(fd), IO_NONE);
    assert_int_equal(fstat(fd, &before), 0);
    enum io_error error = disk_punch(fd, 65536, BYTES - 2 * 65536);
    if (error == IO_UNSUPPORTED)
        skip();
    assert_int_equal(error, IO_NONE);
    assert_int_equal(fstat(fd, &after), 0);
    assert_int_equal(after.st_size, before.st_size);
    assert_true(after.st_blocks < before.st_blocks);
    assert_int_equal(disk_read(fd, bytes, BYTES, 0, &n), IO_NONE);
    assert_int_equal(bytes[65535], 0xaa);
    assert_int_equal(bytes[65536], 0);
    assert_int_equal(bytes[BYTES - 1], 0xaa);
    assert_int_equal(disk_free_bytes(p->folder, &free_bytes), IO_NONE);
    assert_true(free_bytes > 0);
    free(bytes);
    disk_close(fd);
}

static void space_is_taken_ahead_and_given_back(void **state)
{
    struct place *p = *state;
    int fd = make_file(p);
    uint64_t done, size;
    struct stat s;
    assert_int_equal(write_text(fd, "0123456789", 0, &done), IO_NONE);
    enum io_error error = disk_allocate(fd, 10, 1 << 20);
    if (error == IO_UNSUPPORTED)
        skip();
    assert_int_equal(error, IO_NONE);
    assert_int_equal(disk_size(fd, &size), IO_NONE);
    assert_int_equal(size, 10);
    assert_int_equal(fstat(fd, &s), 0);
    assert_true(s.st_blocks * 512 >= 1 << 20);
    assert_int_equal(disk_truncate(fd, 10), IO_NONE);
    assert_int_equal(fstat(fd, &s), 0);
    assert_true(s.st_blocks * 512 < 1 << 20);
    assert_true(io_set_faults("allocate:1:ENOSPC"));
    assert_int_equal(disk_allocate(fd, 10, 1 << 20), IO_NO_SPACE);
    disk_close(fd);
}

struct names {
    unsigned count, max;
    bool has_file, has_folder;
};

static bool on_name(void *owner, const char *name)
{
    struct names *n = owner;
    n->count++;
    n->has_file = n->has_file || strcmp(name, "file") == 0;
    n->has_folder = n->has_folder || strcmp(name, "folder") == 0;
    return n->count < n->max;
}

static void names_come_and_go(void **state)
{
    struct place *p = *state;
    char folder[300];
    int fd = make_file(p);
    struct names names = {.max = 9}, one = {.max = 1};
    disk_close(fd);
    snprintf(folder, sizeof(folder), "%s/folder", p->folder);
    assert_int_equal(disk_open(p->file, DISK_CREATE_NEW, &fd), IO_EXISTS);
    assert_int_equal(disk_open(folder, DISK_READ, &fd), IO_NOT_FOUND);
    assert_int_equal(disk_mkdir(folder), IO_NONE);
    assert_int_equal(disk_mkdir(folder), IO_EXISTS);
    assert_int_equal(disk_sync_folder(p->folder), IO_NONE);
    assert_int_equal(disk_list(p->folder, on_name, &names), IO_NONE);
    assert_int_equal(names.count, 2);
    assert_true(names.has_file && names.has_folder);
    assert_int_equal(disk_list(p->folder, on_name, &one), IO_NONE);
    assert_int_equal(one.count, 1);
    assert_int_equal(disk_rmdir(folder), IO_NONE);
    assert_int_equal(disk_unlink(p->file), IO_NONE);
    assert_int_equal(disk_unlink(p->file), IO_NOT_FOUND);
    assert_int_equal(disk_list(folder, on_name, &names), IO_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_holds_what_a_long_vector_names, open_place, close_place),
        cmocka_unit_test_setup_teardown(a_short_write_or_a_signal_is_no_failure, open_place, close_place),
        cmocka_unit_test_setup_teardown(a_failure_says_how_far_it_came_and_why, open_place, close_place),
        cmocka_unit_test_setup_teardown(a_skipped_call_does_nothing_and_says_it_did, open_place, close_place),
        cmocka_unit_test(a_process_dies_where_it_shall),
        cmocka_unit_test(faults_that_cannot_be_read_are_refused),
        cmocka_unit_test_setup_teardown(a_lock_is_one_opener_s_until_it_closes, open_place, close_place),
        cmocka_unit_test_setup_teardown(a_hole_gives_space_back_and_keeps_the_size, open_place, close_place),
        cmocka_unit_test_setup_teardown(space_is_taken_ahead_and_given_back, open_place, close_place),
        cmocka_unit_test_setup_teardown(names_come_and_go, open_place, close_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
