/* rules/deidentify.lua on data sets that are not as they should be: whatever they hold, and as what, nothing of it comes through. */
#include "morphing.h"

/* A VR that does not fit its attribute must not let a value through, nor fail the message. */
static void values_of_unexpected_vrs_do_not_survive(void **state)
{
    static const struct {
        uint32_t tag;
        const char *vr, *value, *expected;
    } cases[] = {
        {0x00080018, "LO", "1.2.3.45", "new"},
        {0x00080014, "DS", "1.25", "-"},
        {0x00080012, "LO", "20240228", "ANONYMOUS"},
        {0x00080012, "UN", "20240228", "19000101"},
        {0x00080012, "ZZ", "20240228", "-"},
        {0x00080020, "IS", "20240228", ""},
        {0x00100020, "IS", "12", "0"},
        {0x0040A730, "LO", "no sequence ", "ANONYMOUS"},
        {0x00080018, "UI", "1.2.840.10008.01", "new"},
        {0x006A0003, "UI", "1.2.3.45", "new"}, /* AnnotationGroupUID, the only UID that is a D */
    };
    struct morphing m = open_morph(*state, "deidentify {}");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct octets in = {0};
        tree_text(&in, tree_explicit, cases[i].tag, cases[i].vr, cases[i].value);
        run(&m, &in, tree_explicit);
        assert_shows(root_of(&m), cases[i].tag, cases[i].expected);
        octets_free(&in);
    }
    close_morph(&m);
}

/* What the command called it is "1.2.3.45"; a well-known UID is not renamed, and so leaves the command as it was. */
static void an_instance_always_gets_a_new_name(void **state)
{
    static const struct {
        const char *vr, *value; /* NULL: it is not there */
        const char *expected;
    } cases[] = {
        {"UI", NULL, "mapped"},
        {"UI", "", "mapped"},
        {"UI", "1.2.3.45", "mapped"},
        {"DA", "20240228", "mapped"},
        {"OB", "1.2.3.45", "mapped"},
        {"UI", "1.2.3.45\\1.2.3.9 ", "mapped"},
        {"UI", "1.2.840.10008.1.10", "mapped"},
        {"UI", "9.9.9.99", "new"},
        {"LO", "9.9.9.99", "new"},
    };
    char mapped[300];
    struct morphing m = open_morph(*state, "function (ds) ds.SOPInstanceUID = uid.map('1.2.3.45') end");
    struct octets none = {0};
    run(&m, &none, tree_explicit);
    snprintf(mapped, sizeof(mapped), "%.*s", (int)dicom_data_set_find(root_of(&m), 0x00080018)->value.len,
             dicom_data_set_find(root_of(&m), 0x00080018)->value.at);
    close_morph(&m);
    m = open_morph(*state, "deidentify {}");
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct octets in = {0};
        if (cases[i].value != NULL)
            tree_text(&in, tree_explicit, 0x00080018, cases[i].vr, cases[i].value);
        run(&m, &in, tree_explicit);
        assert_shows(root_of(&m), 0x00080018, "new");
        assert_int_equal(memmem(m.out.data, m.out.len, mapped, strlen(mapped)) != NULL,
                         strcmp(cases[i].expected, "mapped") == 0);
        octets_free(&in);
    }
    close_morph(&m);
    m = open_morph(*state, "deidentify { retain_uids = true }");
    run(&m, &none, tree_explicit);
    assert_shows(root_of(&m), 0x00080018, "-");
    close_morph(&m);
}

/* Whatever the VR: nothing is left of the old UID, and the message does not fail. */
static void a_uid_of_any_vr_is_replaced_or_goes(void **state)
{
    static const char *const holding[] = {"UI", "UN", "LO", "LT", "ST", "UC", "UT"};
    static const char *const values[] = {"1.2.3.45", "20240228", "1.2.3.45\\1.2.840.10008.1",
                                         "1.2.3.45\\9\\"};
    struct morphing m = open_morph(*state, "deidentify {}");
    for (enum dicom_vr vr = DICOM_VR_AE; vr < DICOM_VR_COUNT; vr++) {
        const char *name = dicom_vr_info(vr)->name;
        bool is_held = false;
        for (size_t i = 0; i < COUNT(holding); i++)
            is_held = is_held || strcmp(name, holding[i]) == 0;
        for (size_t i = 0; vr != DICOM_VR_SQ && i < COUNT(values); i++) {
            struct octets in = {0};
            tree_text(&in, tree_explicit, 0x00080014, name, values[i]);
            run(&m, &in, tree_explicit);
            assert_int_equal(dicom_data_set_find(root_of(&m), 0x00080014) != NULL, is_held);
            assert_null(memmem(m.out.data, m.out.len, "1.2.3.45", 8));
            assert_null(memmem(m.out.data, m.out.len, "20240228", 8));
            octets_free(&in);
        }
    }
    close_morph(&m);
}

/* The first of duplicates is what is read; the others must go with it. */
static void duplicates_do_not_survive(void **state)
{
    static const struct {
        uint32_t tag;
        const char *vr, *first;
    } cases[] = {
        {0x00080018, "UI", "1.2.840.10008.1.10"},
        {0x00080018, "UI", "1.2.3.45"},
        {0x00080012, "DA", ""},
        {0x00080012, "DA", "20240228"},
        {0x00080020, "DA", ""},
        {0x00080030, "TM", "101112"},
        {0x00100010, "PN", ""},
        {0x00100020, "LO", ""},
        {0x00102154, "SH", ""},
        {0x00100020, "LO", "A\\B "},
    };
    static const char *const morphs[] = {
        "deidentify {}", "deidentify { modify_dates = true, replace = anonymous_id.values() }"};
    for (size_t i = 0; i < COUNT(cases) * COUNT(morphs); i++) {
        struct morphing m = open_morph(*state, morphs[i % COUNT(morphs)]);
        struct octets in = {0};
        size_t k = i / COUNT(morphs);
        tree_text(&in, tree_explicit, cases[k].tag, cases[k].vr, cases[k].first);
        tree_text(&in, tree_explicit, cases[k].tag, cases[k].vr, "8.8.8.88");
        run(&m, &in, tree_explicit);
        assert_null(memmem(m.out.data, m.out.len, "8.8.8.88", 8));
        octets_free(&in);
        close_morph(&m);
    }
}

/* What the table calls a sequence is kept as a sequence, with clean items, or not at all. */
static void safe_sequences_are_read_or_go(void **state)
{
    enum { CREATOR = 0x20010010, SEQUENCE = 0x2001105F, NUMBER = 0x20011003 };
    static const struct {
        const char *vr; /* in Explicit VR */
        bool is_undefined;
        const char *explicit_shows, *implicit_shows;
    } cases[] = {
        {"SQ", false, "#1", "-"}, {"SQ", true, "#1", "#1"}, {"UN", false, "-", "-"},
        {"UN", true, "#1", "#1"}, {"OB", false, "-", "-"},
    };
    struct morphing m = open_morph(*state, "deidentify { retain_safe_private = true }");
    for (size_t i = 0; i < COUNT(cases) * COUNT(encodings) * 2; i++) {
        size_t k = i % COUNT(cases);
        struct dicom_encoding e = *encodings[i / COUNT(cases) % COUNT(encodings)];
        struct dicom_encoding inner = strcmp(cases[k].vr, "UN") == 0 ? tree_implicit : e;
        bool has_other = i / COUNT(cases) / COUNT(encodings) == 1;
        const char *expected = e.is_explicit ? cases[k].explicit_shows : cases[k].implicit_shows;
        struct octets in = {0}, content = {0};
        tree_text(&content, inner, 0x00080100, "SH", "CODE");
        tree_text(&content, inner, 0x00100010, "PN", "Doe^Jane");
        tree_text(&content, inner, CREATOR + 1, "LO", "ACME");
        tree_text(&content, inner, SEQUENCE + 0x100, "LO", "Doe^Jane");
        tree_text(&in, e, CREATOR, "LO", "Philips Imaging DD 001");
        if (has_other)
            tree_text(&in, e, NUMBER, "FL", "\x3f\x3f\x3f\x3f");
        uint32_t len = (uint32_t)content.len + 8;
        tree_head(&in, e, SEQUENCE, cases[k].vr, cases[k].is_undefined ? DICOM_UNDEFINED_LENGTH : len);
        tree_head(&in, inner, DICOM_ITEM, "", (uint32_t)content.len);
        octets_append(&in, content.data, content.len);
        if (cases[k].is_undefined)
            tree_head(&in, inner, DICOM_SEQUENCE_DELIMITATION, "", 0);
        run(&m, &in, e);
        assert_null(memmem(m.out.data, m.out.len, "Doe^Jane", 8));
        assert_shows(root_of(&m), SEQUENCE, expected);
        bool is_owner = has_other || expected[0] == '#';
        assert_shows(root_of(&m), CREATOR, is_owner ? "Philips Imaging DD 001" : "-");
        if (has_other)
            assert_shows(root_of(&m), NUMBER, "\x3f\x3f\x3f\x3f");
        if (expected[0] == '#')
            assert_shows(item_of(root_of(&m), SEQUENCE, 0), 0x00080100, "CODE");
        octets_free(&content);
        octets_free(&in);
    }
    close_morph(&m);
}

/* Study, procedure step, images: at the root, and where there is no SOPClassUID around. */
static void references_tell_nothing_but_new_uids(void **state)
{
    enum {
        STUDIES = 0x00081110,
        STEPS = 0x00081111,
        CLASS = 0x00081150,
        INSTANCE = 0x00081155,
        UID = 0x00080018
    };
    struct morphing m = open_morph(*state, "deidentify {}");
    for (size_t i = 0; i < COUNT(encodings) * 2; i++) {
        struct dicom_encoding e = *encodings[i / 2];
        bool has_class = i % 2 == 0;
        struct octets in = {0}, one = {0};
        tree_text(&one, e, 0x00080100, "SH", "SECRET");
        tree_text(&one, e, 0x00081030, "LO", "SECRET");
        tree_text(&one, e, CLASS, "UI", i < 2 ? "1.2.840.10008.3.1.2.3.5 " : "SECRET");
        tree_text(&one, e, INSTANCE, "UI", "1.2.3.45");
        if (has_class)
            tree_text(&in, e, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.20");
        tree_text(&in, e, UID, "UI", "1.2.3.45");
        put_item(&in, e, STUDIES, &one);
        put_item(&in, e, STEPS, &one);
        run(&m, &in, e);
        assert_shows(root_of(&m), STUDIES, has_class ? "-" : "#0");
        assert_shows(root_of(&m), STEPS, "#1");
        assert_null(memmem(m.out.data, m.out.len, "SECRET", 6));
        assert_null(memmem(m.out.data, m.out.len, "1.2.3.45", 8));
        struct dicom_data_set *step = item_of(root_of(&m), STEPS, 0);
        assert_shows(step, CLASS, i < 2 ? "1.2.840.10008.3.1.2.3.5" : "1.2.840.10008.3.1.2.3.3");
        const struct dicom_element *old = dicom_data_set_find(root_of(&m), UID);
        const struct dicom_element *new = dicom_data_set_find(step, INSTANCE);
        assert_int_equal(old->value.len, new->value.len);
        assert_memory_equal(old->value.at, new->value.at, old->value.len);
        octets_free(&in);
        octets_free(&one);
    }
    close_morph(&m);
}

/* Real ones have leading zeros, or are too long, or are no UIDs: the new one takes their place wherever they are UIDs by VR. */
static void an_invalid_reference_becomes_a_new_one(void **state)
{
    enum { STEPS = 0x00081111, CLASS = 0x00081150, INSTANCE = 0x00081155 };
    static const struct {
        const char *vr, *uid; /* of the second item */
        bool is_kept;
    } cases[] = {
        {"UI", "1.2.777.05", true},
        {"UI", "1.2.34567890.1234567890.1234567890.1234567890.1234567890.1234567890", true}, /* 67 */
        {"UI", "JOHN DOE", true},
        {"LO", "J\xC4N^DOE ", true},
        {"SH", "1.2.777.5 ", false},
        {"DA", "19990101", false},
        {"UI", "1.2.777.5\\1.2.777.6 ", false},
        {"UI", "", false},
    };
    struct morphing m = open_morph(*state, "deidentify {}");
    for (size_t i = 0; i < COUNT(cases) * 2; i++) {
        const struct dicom_encoding e = tree_explicit;
        struct octets in = {0}, items = {0}, one = {0};
        bool is_twice = i % 2 == 1;
        const char *uid = cases[i / 2].uid;
        tree_text(&one, e, 0x00080005, "CS", "ISO_IR 100");
        tree_text(&one, e, 0x00080005, "CS", "ISO_IR 100");
        tree_text(&one, e, 0x00080100, "SH", "SECRET");
        tree_text(&one, e, CLASS, "US", "SECRET");
        tree_text(&one, e, INSTANCE, cases[i / 2].vr, uid);
        tree_text(&one, e, INSTANCE, "UI", "1.2.SECRET");
        tree_text(&one, e, 0x00091010, "LO", "SECRET");
        tree_head(&items, e, DICOM_ITEM, "", 8 + 8);
        tree_text(&items, e, 0x00080100, "SH", "SECRET  ");
        tree_head(&items, e, DICOM_ITEM, "", (uint32_t)one.len);
        octets_append(&items, one.data, one.len);
        for (int k = 0; k <= is_twice; k++) {
            tree_head(&in, e, STEPS, "SQ", (uint32_t)items.len);
            octets_append(&in, items.data, items.len);
        }
        run(&m, &in, e);
        assert_null(memmem(m.out.data, m.out.len, "SECRET", 6));
        assert_null(strlen(uid) > 0 ? memmem(m.out.data, m.out.len, uid, strlen(uid)) : NULL);
        assert_shows(root_of(&m), STEPS, cases[i / 2].is_kept ? "#1" : "-");
        if (cases[i / 2].is_kept) {
            struct dicom_data_set *step = item_of(root_of(&m), STEPS, 0);
            const struct dicom_element *new = dicom_data_set_find(step, INSTANCE);
            assert_shows(step, CLASS, "1.2.840.10008.3.1.2.3.3");
            assert_int_equal(dicom_data_set_count(step), 4);
            assert_memory_equal(new->value.at, "2.25.", 5);
        }
        size_t count = 0;
        for (struct dicom_element *any = dicom_data_set_first(root_of(&m)); any;
             any = dicom_element_next(any))
            count += any->tag == STEPS;
        assert_int_equal(count, cases[i / 2].is_kept);
        octets_free(&in);
        octets_free(&items);
        octets_free(&one);
    }
    close_morph(&m);
}

/* What the profile or an option keeps if it is a sequence. */
static void sequences_that_come_as_bytes_do_not_survive(void **state)
{
    static const struct {
        const char *options;
        uint32_t tag;
    } cases[] = {
        {"", 0x00081110}, /* ReferencedStudySequence */
        {"", 0x00081111}, /* ReferencedPerformedProcedureStepSequence */
        {"", IMAGES},
        {"", 0x00082112}, /* SourceImageSequence */
        {"retain_uids = true", 0x00081110},
        {"retain_uids = true", 0x00081111},
        {"retain_uids = true", IMAGES},
        {"retain_institution = true", 0x00080082}, /* InstitutionCodeSequence */
        {"retain_device = true", 0x0018100A},      /* UDISequence */
    };
    static const char *const vrs[] = {"OB", "LO", "UT", "UI", "AT", "ZZ"};
    for (size_t i = 0; i < COUNT(cases) * COUNT(vrs); i++) {
        char morph[100];
        struct octets in = {0};
        snprintf(morph, sizeof(morph), "deidentify { %s }", cases[i / COUNT(vrs)].options);
        struct morphing m = open_morph(*state, morph);
        tree_text(&in, tree_explicit, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.20");
        tree_text(&in, tree_explicit, cases[i / COUNT(vrs)].tag, vrs[i % COUNT(vrs)], "SECRET45");
        run(&m, &in, tree_explicit);
        assert_null(memmem(m.out.data, m.out.len, "SECRET", 6));
        octets_free(&in);
        close_morph(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_unexpected_vrs_do_not_survive),
        cmocka_unit_test(an_instance_always_gets_a_new_name),
        cmocka_unit_test(a_uid_of_any_vr_is_replaced_or_goes),
        cmocka_unit_test(duplicates_do_not_survive),
        cmocka_unit_test(safe_sequences_are_read_or_go),
        cmocka_unit_test(references_tell_nothing_but_new_uids),
        cmocka_unit_test(an_invalid_reference_becomes_a_new_one),
        cmocka_unit_test(sequences_that_come_as_bytes_do_not_survive),
    };
    return cmocka_run_group_tests(tests, make_folder_with_rules, remove_folder);
}
