#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/part10.h"
#include "dicom/uid.h"

#define VIEW(text)                                                                                           \
    {                                                                                                        \
        (const uint8_t *)(text), sizeof(text) - 1                                                            \
    }

static void assert_text(struct view view, const char *text)
{
    assert_int_equal(view.len, strlen(text));
    assert_memory_equal(view.at, text, view.len);
}

/* From a copy that ends where the bytes end. The views of *out are not to be followed. */
static enum result read_copy(const uint8_t *bytes, size_t len, struct part10_meta *out, const char **why_out)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    enum result r = part10_read(copy, len, out, why_out);
    free(copy);
    return r;
}

static void start_file(struct octets *o)
{
    octets_clear(o);
    octets_fill(o, 0, 128);
    octets_append(o, "DICM", 4);
}

static void add(struct octets *o, uint16_t element, const char *vr, const char *value, size_t len)
{
    octets_le16(o, 0x0002);
    octets_le16(o, element);
    octets_append(o, vr, 2);
    octets_le16(o, (uint16_t)len);
    octets_append(o, value, len);
}

static void add_implicit(struct octets *o, uint16_t element, const char *value, uint32_t len)
{
    octets_le16(o, 0x0002);
    octets_le16(o, element);
    octets_le32(o, len);
    octets_append(o, value, len);
}

/* (0008,0005) CS of 0 bytes: what usually comes first after the group. */
static void add_data_set(struct octets *o)
{
    static const uint8_t element[] = {0x08, 0x00, 0x05, 0x00, 'C', 'S', 0, 0};
    octets_append(o, element, sizeof(element));
}

static void what_is_written_is_the_file_meta_information_of_the_standard(void **state)
{
    (void)state;
    static const char golden[] = /* clang-format off */
        "DICM"
        "\x02\x00\x00\x00" "UL" "\x04\x00" "\xbc\x00\x00\x00"                 /* group length: 188 */
        "\x02\x00\x01\x00" "OB" "\x00\x00" "\x02\x00\x00\x00" "\x00\x01"      /* version 1 */
        "\x02\x00\x02\x00" "UI" "\x1a\x00" "1.2.840.10008.5.1.4.1.1.2\0"      /* SOP class */
        "\x02\x00\x03\x00" "UI" "\x06\x00" "1.2.34"                           /* SOP instance */
        "\x02\x00\x10\x00" "UI" "\x14\x00" "1.2.840.10008.1.2.1\0"            /* transfer syntax */
        "\x02\x00\x12\x00" "UI" "\x2c\x00" HILUM_IMPLEMENTATION_UID           /* 44 characters */
        "\x02\x00\x13\x00" "SH" "\x0c\x00" "HILUM_0.1.0 "                     /* version name */
        "\x02\x00\x16\x00" "AE" "\x04\x00" "CT1 "                             /* source title */
        "\x02\x00\x18\x00" "AE" "\x06\x00" "HILUM1";                          /* receiving title; no sending title */
    /* clang-format on */
    struct part10_meta meta = {
        .sop_class = VIEW("1.2.840.10008.5.1.4.1.1.2 "), /* wrong padding becomes the right one */
        .sop_instance = VIEW("1.2.34"),
        .transfer_syntax = VIEW(DICOM_EXPLICIT_VR_LE),
        .source_title = VIEW("CT1             "),
        .sending_title = VIEW("                "),
        .receiving_title = VIEW("HILUM1"),
    };
    struct octets o = {0};
    octets_append(&o, "before", 6);
    part10_write(&meta, &o);
    assert_false(o.failed);
    assert_int_equal(o.len, 6 + 128 + sizeof(golden) - 1);
    for (size_t i = 6; i < 6 + 128; i++) {
        assert_int_equal(o.data[i], 0);
    }
    assert_memory_equal(o.data + 6 + 128, golden, sizeof(golden) - 1);
    octets_free(&o);
}

static void write_all(struct octets *o)
{
    struct part10_meta meta = {
        .sop_class = VIEW("1.2.840.10008.5.1.4.1.1.2"),
        .sop_instance = VIEW("1.2.3"),
        .transfer_syntax = VIEW(DICOM_EXPLICIT_VR_LE),
        .source_title = VIEW("SOURCE"),
        .sending_title = VIEW("SENDING"),
        .receiving_title = VIEW("RECEIVING"),
    };
    part10_write(&meta, o);
}

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    struct octets o = {0};
    struct part10_meta meta;
    const char *why = "";
    write_all(&o);
    size_t end = o.len;
    add_data_set(&o);
    assert_int_equal(part10_read(o.data, o.len, &meta, &why), OK);
    assert_text(meta.sop_class, "1.2.840.10008.5.1.4.1.1.2");
    assert_text(meta.sop_instance, "1.2.3");
    assert_text(meta.transfer_syntax, DICOM_EXPLICIT_VR_LE);
    assert_text(meta.source_title, "SOURCE");
    assert_text(meta.sending_title, "SENDING");
    assert_text(meta.receiving_title, "RECEIVING");
    assert_int_equal(meta.data_set_offset, end);
    octets_free(&o);
}

static void every_prefix_of_a_file_asks_for_more(void **state)
{
    (void)state;
    struct octets o = {0};
    struct part10_meta meta;
    const char *why = "";
    write_all(&o);
    size_t end = o.len;
    add_data_set(&o);
    for (size_t len = 0; len <= o.len; len++) {
        enum result r = read_copy(o.data, len, &meta, &why);
        assert_int_equal(r, len < end + 4 ? NEED_MORE : OK); /* the next tag ends the group */
    }
    octets_free(&o);
}

static void a_group_length_that_lies_is_not_believed(void **state)
{
    (void)state;
    static const uint32_t lies[] = {0, 1, 20, 187, 300, 0x7FFFFFFF, 0xFFFFFFFF};
    struct octets o = {0};
    struct part10_meta meta;
    const char *why = "";
    write_all(&o);
    size_t end = o.len;
    add_data_set(&o);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        put_le32(o.data + 132 + 8, lies[i]);
        assert_int_equal(part10_read(o.data, o.len, &meta, &why), OK);
        assert_int_equal(meta.data_set_offset, end);
        assert_text(meta.receiving_title, "RECEIVING");
    }
    octets_free(&o);
}

static void a_group_without_length_or_vr_is_read(void **state)
{
    (void)state;
    struct octets o = {0};
    struct part10_meta meta;
    const char *why = "";
    start_file(&o);
    add(&o, 0x0010, "UI", "1.2.840.10008.1.2\0", 18);
    add_data_set(&o);
    assert_int_equal(part10_read(o.data, o.len, &meta, &why), OK);
    assert_text(meta.transfer_syntax, DICOM_IMPLICIT_VR_LE);
    assert_int_equal(meta.sop_class.len, 0);

    start_file(&o);
    add_implicit(&o, 0x0002, "1.2.840.10008.5.1.4.1.1.7\0", 26);
    add_implicit(&o, 0x0003, "1.2.3\0", 6);
    add_implicit(&o, 0x0010, "1.2.840.10008.1.2\0", 18);
    size_t end = o.len;
    add_data_set(&o);
    assert_int_equal(part10_read(o.data, o.len, &meta, &why), OK);
    assert_text(meta.sop_class, "1.2.840.10008.5.1.4.1.1.7");
    assert_text(meta.sop_instance, "1.2.3");
    assert_text(meta.transfer_syntax, DICOM_IMPLICIT_VR_LE);
    assert_int_equal(meta.data_set_offset, end);
    octets_free(&o);
}

static void broken_files_are_refused(void **state)
{
    (void)state;
    struct octets o = {0};
    struct part10_meta meta = {.data_set_offset = 99};
    const char *why = "";

    octets_fill(&o, 0, 200);
    assert_int_equal(part10_read(o.data, o.len, &meta, &why), ERR_PROTO);
    assert_string_equal(why, "no DICM after the preamble");

    start_file(&o);
    add(&o, 0x0002, "UI", "1.2", 3);
    add_data_set(&o);
    assert_int_equal(part10_read(o.data, o.len, &meta, &why), ERR_PROTO);
    assert_string_equal(why, "no Transfer Syntax UID in the file meta information");

    start_file(&o);
    add(&o, 0x0010, "UI", "\0 \0", 3); /* nothing but padding */
    add_data_set(&o);
    assert_int_equal(part10_read(o.data, o.len, &meta, &why), ERR_PROTO);

    start_file(&o);
    add_data_set(&o); /* no group at all */
    assert_int_equal(part10_read(o.data, o.len, &meta, &why), ERR_PROTO);
    assert_int_equal(meta.data_set_offset, 99); /* untouched */
    octets_free(&o);
}

/* (0002,0102) OB Private Information, up to its 32-bit length. */
static const uint8_t private_information[] = {0x02, 0x00, 0x02, 0x01, 'O', 'B', 0, 0};

/* A length may say 4 GiB; a reader must not go on collecting. */
static void no_length_makes_a_reader_collect_without_end(void **state)
{
    (void)state;
    static const uint32_t lies[] = {PART10_META_MAX_BYTES, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF4, 0xFFFFFFFF};
    struct octets o = {0};
    struct part10_meta meta;
    const char *why = "";
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        start_file(&o);
        octets_append(&o, private_information, sizeof(private_information));
        octets_le32(&o, lies[i]);
        assert_int_equal(read_copy(o.data, o.len, &meta, &why), ERR_PROTO);
        assert_string_equal(why, "file meta information too long");

        start_file(&o);
        octets_append(&o, "\x02\x00\x10\x00", 4);
        octets_le32(&o, lies[i]);
        enum result r = read_copy(o.data, o.len, &meta, &why);
        assert_true(r == ERR_PROTO || r == NEED_MORE);
    }
    octets_free(&o);
}

static void long_private_information_is_read_over(void **state)
{
    (void)state;
    struct octets o = {0};
    struct part10_meta meta;
    const char *why = "";
    start_file(&o);
    add(&o, 0x0010, "UI", "1.2.840.10008.1.2\0", 18);
    octets_append(&o, private_information, sizeof(private_information));
    octets_le32(&o, 100000);
    octets_fill(&o, 0x02, 100000);
    size_t end = o.len;
    add_data_set(&o);
    assert_int_equal(read_copy(o.data, end - 1, &meta, &why), NEED_MORE);
    assert_int_equal(read_copy(o.data, o.len, &meta, &why), OK);
    assert_int_equal(meta.data_set_offset, end);
    octets_free(&o);
}

static const char files[] = "/usr/lib/python3/dist-packages/pydicom/data/test_files";

/* Which of pydicom's files are not as the others: meta information that names class and syntax, data from group 0008. */
struct oddity {
    const char *name;
    bool has_meta, has_class;
    uint16_t first_group;
};

static const struct oddity *oddity_of(const char *name)
{
    static const struct oddity oddities[] = {
        {"ExplVR_BigEndNoMeta.dcm", false, false, 0},
        {"ExplVR_LitEndNoMeta.dcm", false, false, 0},
        {"no_meta.dcm", false, false, 0},
        {"rtstruct.dcm", false, false, 0},
        {"meta_missing_tsyntax.dcm", false, false, 0},
        {"empty_charset_LEI.dcm", true, false, 0x0008}, /* class absent */
        {"nested_priv_SQ.dcm", true, false, 0x0001},    /* class empty, data private */
        {"UN_sequence.dcm", true, true, 0x4453},        /* data private */
        {"priv_SQ.dcm", true, true, 0x3F03},            /* likewise */
    };
    static const struct oddity usual = {"", true, true, 0x0008};
    for (size_t i = 0; i < sizeof(oddities) / sizeof(oddities[0]); i++) {
        if (strcmp(name, oddities[i].name) == 0) {
            return &oddities[i];
        }
    }
    return &usual;
}

static void check_real_file(const char *name)
{
    const struct oddity *expected = oddity_of(name);
    char path[512];
    static uint8_t bytes[4096];
    struct part10_meta meta;
    const char *why = "";
    snprintf(path, sizeof(path), "%s/%s", files, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);

    enum result r = part10_read(bytes, len, &meta, &why);
    if (!expected->has_meta) {
        assert_int_equal(r, ERR_PROTO);
        return;
    }
    if (r != OK) {
        fail_msg("%s: %s %s", name, result_name(r), why);
    }
    const struct dicom_uid *syntax =
        dicom_uid_find((const char *)meta.transfer_syntax.at, meta.transfer_syntax.len);
    const struct dicom_uid *class = dicom_uid_find((const char *)meta.sop_class.at, meta.sop_class.len);
    assert_non_null(syntax);
    assert_int_equal(syntax->type, DICOM_UID_TRANSFER_SYNTAX);
    if (expected->has_class) {
        assert_non_null(class);
        assert_int_equal(class->type, DICOM_UID_SOP_CLASS);
    } else {
        assert_int_equal(meta.sop_class.len, 0);
    }
    if (!syntax->is_deflated) {
        const uint8_t *tag = bytes + meta.data_set_offset;
        uint16_t group = syntax->is_big_endian ? get_be16(tag) : get_le16(tag);
        if (group != expected->first_group) {
            fail_msg("%s: data set starts in group %04x", name, group);
        }
    }
}

static void real_files_are_read(void **state)
{
    (void)state;
    DIR *dir = opendir(files);
    if (!dir) {
        print_message("skipped: no %s (package python3-pydicom)\n", files);
        skip();
    }
    int count = 0;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".dcm") == 0) {
            check_real_file(entry->d_name);
            count++;
        }
    }
    closedir(dir);
    assert_true(count > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_the_file_meta_information_of_the_standard),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(every_prefix_of_a_file_asks_for_more),
        cmocka_unit_test(a_group_length_that_lies_is_not_believed),
        cmocka_unit_test(a_group_without_length_or_vr_is_read),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(no_length_makes_a_reader_collect_without_end),
        cmocka_unit_test(long_private_information_is_read_over),
        cmocka_unit_test(real_files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
