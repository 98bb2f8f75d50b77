/* The tree over real data sets: pydicom's files, or those of a folder that is given. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/data_set.h"
#include "dicom/tag.h"
#include "tree.h"

static const char *const folders_of_pydicom[] = {
    "/usr/lib/python3/dist-packages/pydicom/data/test_files",
    "/usr/lib/python3/dist-packages/pydicom/data/test_files/dicomdirtests",
    "/usr/lib/python3/dist-packages/pydicom/data/charset_files",
    "/usr/lib/python3/dist-packages/pydicom/data/palettes",
};
static const char *folder_given;

enum { MEMORY_MAX = 256 << 20, SOME_LT = DICOM_TAG(0x0008, 0x4000) };

/* Why a data set cannot be read; all others must be. */
static const char *oddity_of(const char *name)
{
    static const struct oddity {
        const char *name, *why;
    } oddities[] = {
        {"MR_truncated.dcm", "a value reaches past what it stands in"},
        {"rtplan_truncated.dcm", "a value reaches past what it stands in"},
    };
    for (size_t i = 0; i < sizeof oddities / sizeof oddities[0]; i++)
        if (strcmp(oddities[i].name, name) == 0)
            return oddities[i].why;
    return NULL;
}

static struct view view_of_octets(const struct octets *o)
{
    return (struct view){o->data, o->len};
}

static void assert_writes(struct dicom_document *d, struct view expected)
{
    struct octets out = {0};
    assert_int_equal(dicom_document_write(d, &out), OK);
    assert_int_equal(out.len, expected.len);
    assert_memory_equal(out.data, expected.at, expected.len);
    octets_free(&out);
}

static void write_and_parse(struct dicom_document *d, struct octets *out, struct dicom_document *again)
{
    struct dicom_encoding encoding = dicom_data_set_encoding(dicom_document_root(d));
    assert_int_equal(dicom_document_write(d, out), OK);
    assert_int_equal(dicom_document_parse(again, view_of_octets(out), encoding, d->behind, MEMORY_MAX), OK);
}

/* Through all items or not: nothing has changed. */
static void check_unchanged(struct view bytes, struct dicom_encoding encoding)
{
    struct dicom_document d;
    assert_int_equal(dicom_document_parse(&d, bytes, encoding, 0, MEMORY_MAX), OK);
    assert_writes(&d, bytes);
    assert_true(tree_count(dicom_document_root(&d)) > 0 || bytes.len == 0);
    assert_false(dicom_document_is_changed(&d));
    assert_writes(&d, bytes);
    dicom_document_free(&d);
}

static void check_one_element(struct view bytes, struct dicom_encoding encoding, uint32_t behind)
{
    struct dicom_document d, before, again;
    struct octets out = {0};
    assert_int_equal(dicom_document_parse(&before, bytes, encoding, behind, MEMORY_MAX), OK);
    assert_int_equal(dicom_document_parse(&d, bytes, encoding, behind, MEMORY_MAX), OK);
    struct dicom_data_set *root = dicom_document_root(&d);
    uint32_t patient_id = DICOM_TAG(0x0010, 0x0020);
    assert_int_equal(dicom_data_set_put(root, patient_id, DICOM_VR_LO, view_of("CHANGED")), OK);
    write_and_parse(&d, &out, &again);
    tree_assert_same(dicom_document_root(&before), dicom_document_root(&again), patient_id);
    const struct dicom_element *e = dicom_data_set_find(dicom_document_root(&again), patient_id);
    assert_non_null(e);
    assert_int_equal(e->value.len, 8);
    assert_memory_equal(e->value.at, "CHANGED ", 8);
    dicom_document_free(&again);
    dicom_document_free(&before);
    dicom_document_free(&d);
    octets_free(&out);
}

static void put_text(struct dicom_data_set *ds, void *context)
{
    (void)context;
    assert_int_equal(dicom_data_set_put(ds, SOME_LT, DICOM_VR_LT, view_of("x")), OK);
}

static void check_text(struct dicom_data_set *ds, void *context)
{
    (void)context;
    const struct dicom_element *e = dicom_data_set_find(ds, SOME_LT);
    assert_non_null(e);
    assert_int_equal(e->value.len, 2);
    assert_memory_equal(e->value.at, "x ", 2);
}

/* An element into every item at every depth: every length around is made anew. Elements of `but` are not compared. */
static void check_every_item(struct view bytes, struct dicom_encoding encoding, uint32_t behind)
{
    struct dicom_document d, before, again;
    struct octets out = {0};
    assert_int_equal(dicom_document_parse(&before, bytes, encoding, behind, MEMORY_MAX), OK);
    assert_int_equal(dicom_document_parse(&d, bytes, encoding, behind, MEMORY_MAX), OK);
    tree_each(dicom_document_root(&d), put_text, NULL);
    write_and_parse(&d, &out, &again);
    tree_each(dicom_document_root(&again), check_text, NULL);
    tree_assert_same(dicom_document_root(&before), dicom_document_root(&again), SOME_LT);
    dicom_document_free(&again);
    dicom_document_free(&before);
    dicom_document_free(&d);
    octets_free(&out);
}

/* The part before pixel data, as a router has it. */
static struct view header_of(struct view bytes, struct dicom_encoding encoding, uint32_t *behind_out)
{
    struct dicom_document d;
    struct view header = bytes;
    *behind_out = 0;
    assert_int_equal(dicom_document_parse(&d, bytes, encoding, 0, MEMORY_MAX), OK);
    for (struct dicom_element *e = dicom_data_set_first(dicom_document_root(&d)); e;
         e = dicom_element_next(e))
        if (dicom_is_pixel_data(e->tag)) {
            *behind_out = e->tag;
            header.len = (size_t)(dicom_element_raw(e).at - bytes.at);
            break;
        }
    dicom_document_free(&d);
    return header;
}

static void check_file(const char *folder, const char *name, int *read, int *odd)
{
    char path[1024];
    struct octets data_set = {0};
    struct dicom_encoding encoding;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!tree_read_file(path, &data_set, &encoding)) {
        ++*odd;
        return;
    }
    struct view bytes = view_of_octets(&data_set);
    struct dicom_document d;
    const char *why = oddity_of(name);
    enum result r = dicom_document_parse(&d, bytes, encoding, 0, MEMORY_MAX);
    if (r != OK || why) {
        print_message("%s: %s: %s (%08X)\n", name, result_name(r), d.why ? d.why : "-", d.tag);
        if (!folder_given)
            assert_string_equal(d.why, why ? why : "");
        ++*odd;
    }
    dicom_document_free(&d);
    if (r == OK) {
        uint32_t behind;
        check_unchanged(bytes, encoding);
        struct view header = header_of(bytes, encoding, &behind);
        check_one_element(header, encoding, behind);
        check_every_item(header, encoding, behind);
        ++*read;
    }
    octets_free(&data_set);
}

static void check_folder(const char *folder, int *read, int *odd)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return;
    for (const struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".dcm") == 0)
            check_file(folder, entry->d_name, read, odd);
    }
    closedir(dir);
}

static void real_files_are_written_as_they_came_but_for_what_was_changed(void **state)
{
    (void)state;
    int read = 0, odd = 0;
    if (folder_given)
        check_folder(folder_given, &read, &odd);
    for (size_t i = 0; !folder_given && i < sizeof folders_of_pydicom / sizeof folders_of_pydicom[0]; i++)
        check_folder(folders_of_pydicom[i], &read, &odd);
    print_message("%d files, %d others\n", read, odd);
    if (read + odd == 0)
        skip();
    assert_true(folder_given || read > 60);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_files_are_written_as_they_came_but_for_what_was_changed),
    };
    folder_given = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
