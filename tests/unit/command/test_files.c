/* Walking folders: which files are taken, in which order, and what is said of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "command/files.h"
#include "dicom/part10.h"
#include "dicom/uid.h"

#define CT       "1.2.840.10008.5.1.4.1.1.2"
#define DICOMDIR "1.2.840.10008.1.3.10" /* Media Storage Directory Storage */

struct walk {
    char told[512]; /* " name" passed over, "!name" named or unreadable */
    unsigned steps, stop_after;
};

static void on_fault(void *owner, const char *path, enum file_fault fault, const char *why, bool is_named)
{
    struct walk *w = owner;
    const char *name = strrchr(path, '/') + 1;
    assert_true(strlen(why) > 0);
    size_t len = strlen(w->told);
    snprintf(w->told + len, sizeof(w->told) - len, "%c%s", is_named || fault == FILE_UNREADABLE ? '!' : ' ',
             name);
}

static bool on_step(void *owner)
{
    struct walk *w = owner;
    return ++w->steps == w->stop_after;
}

static const struct files_user user = {.on_fault = on_fault, .on_step = on_step};

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void write_instance(const char *path, const char *sop_class, const char *instance)
{
    struct part10_meta meta = {.sop_class = view_of(sop_class),
                               .sop_instance = view_of(instance),
                               .transfer_syntax = view_of(DICOM_EXPLICIT_VR_LE)};
    struct octets o = {0};
    part10_write(&meta, &o);
    octets_append(&o,
                  "\x08\x00\x60\x00"
                  "CS"
                  "\x02\x00"
                  "CT",
                  10); /* the data set: Modality */
    write_file(path, o.data, o.len);
    octets_free(&o);
}

/* b/2  b/1  a.dcm  .hidden  DICOMDIR  notes  empty  up -> ..  gone -> nothing */
static void make_tree(char folder[64])
{
    strcpy(folder, "/tmp/test_files.XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("b", 0700), 0);
    write_instance("b/2", CT, "1.2");
    write_instance("b/1", CT, "1.1");
    write_instance("a.dcm", CT, "1.0");
    write_instance(".hidden", CT, "1.9");
    write_instance("DICOMDIR", DICOMDIR, "1.5");
    write_file("notes", "not DICOM", 9);
    write_file("empty", "", 0);
    assert_int_equal(symlink("..", "b/up"), 0);
    assert_int_equal(symlink("nowhere", "gone"), 0);
}

static void remove_tree(const char *folder)
{
    static const char *const names[] = {"b/2",     "b/1",      "b/up",  "b",     "a.dcm",
                                        ".hidden", "DICOMDIR", "notes", "empty", "gone"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(remove(names[i]), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

static void a_folder_is_walked_by_name_and_links_back_up_are_not_followed(void **state)
{
    static const char *const instances[] = {"1.9", "1.0", "1.1", "1.2"};
    char folder[64];
    struct walk w = {0};
    struct files f = {.user = &user, .owner = &w};
    (void)state;
    make_tree(folder);
    assert_int_equal(files_take(&f, folder), OK);
    assert_int_equal(f.count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(f.list[i].instance, instances[i]);
        assert_int_equal(f.list[i].bytes, 10);
        assert_int_equal(f.list[i].state, FILE_WAITING);
    }
    assert_int_equal(f.bytes, 40);
    assert_int_equal(f.plan.count, 2);
    assert_string_equal(w.told, " DICOMDIR empty!gone notes");
    files_free(&f);
    remove_tree(folder);
}

static void what_is_named_and_cannot_be_sent_is_told_as_named(void **state)
{
    static const char *const names[] = {"notes", "DICOMDIR", "nothing here", "gone", "a.dcm"};
    char folder[64], path[128];
    struct walk w = {0};
    struct files f = {.user = &user, .owner = &w};
    (void)state;
    make_tree(folder);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        assert_int_equal(files_take(&f, path), OK);
    }
    assert_string_equal(w.told, "!notes!DICOMDIR!nothing here!gone");
    assert_int_equal(f.count, 1);
    files_free(&f);
    remove_tree(folder);
}

static void a_walk_stops_when_it_is_told_to(void **state)
{
    char folder[64];
    struct walk w = {.stop_after = 2};
    struct files f = {.user = &user, .owner = &w};
    (void)state;
    make_tree(folder);
    assert_int_equal(files_take(&f, folder), ERR_CLOSED);
    assert_int_equal(w.steps, 2);
    files_free(&f);
    remove_tree(folder);
}

static void meta_information_longer_than_the_first_read_is_read_on(void **state)
{
    char folder[64];
    struct walk w = {0};
    struct files f = {.user = &user, .owner = &w};
    static uint8_t private_value[20000]; /* (0002,0102) OB, Private Information */
    struct octets o = {0};
    struct part10_meta meta = {.sop_class = view_of(CT),
                               .sop_instance = view_of("1.2"),
                               .transfer_syntax = view_of(DICOM_EXPLICIT_VR_LE)};
    (void)state;
    make_tree(folder);
    part10_write(&meta, &o);
    octets_append(&o,
                  "\x02\x00\x02\x01"
                  "OB\0\0"
                  "\x20\x4e\0\0",
                  12);
    octets_append(&o, private_value, sizeof(private_value));
    size_t offset = o.len;
    octets_append(&o,
                  "\x08\x00\x60\x00"
                  "CS"
                  "\x02\x00"
                  "CT",
                  10);
    write_file("notes", o.data, o.len);
    octets_free(&o);
    assert_int_equal(files_take(&f, "notes"), OK);
    assert_int_equal(f.count, 1);
    assert_int_equal(f.list[0].offset, offset);
    files_free(&f);
    remove_tree(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_folder_is_walked_by_name_and_links_back_up_are_not_followed),
        cmocka_unit_test(what_is_named_and_cannot_be_sent_is_told_as_named),
        cmocka_unit_test(a_walk_stops_when_it_is_told_to),
        cmocka_unit_test(meta_information_longer_than_the_first_read_is_read_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
