/* Text of elements in UTF-8, in whatever set it stands, and whole data sets from one set to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/tag.h"
#include "dicom/text.h"
#include "tree.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    CHARSET = DICOM_SPECIFIC_CHARACTER_SET,
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    REFERENCED = DICOM_TAG(0x0008, 0x1140),
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    COMMENTS = DICOM_TAG(0x0010, 0x4000),
    ROWS = DICOM_TAG(0x0028, 0x0010),
    MEMORY_MAX = 1 << 20
};

struct scene {
    struct dicom_charsets *charsets;
    struct dicom_text text;
    struct octets in;
    struct dicom_document document;
    struct dicom_data_set *root;
};

static void begin(struct scene *s)
{
    *s = (struct scene){.charsets = dicom_charsets_new()};
    assert_non_null(s->charsets);
    dicom_text_init(&s->text, s->charsets);
}

static void add(struct scene *s, uint32_t tag, const char *vr, const char *value)
{
    tree_text(&s->in, tree_explicit, tag, vr, value);
}

static void parse_in(struct scene *s, size_t memory_max)
{
    struct view bytes = {s->in.data, s->in.len};
    assert_int_equal(dicom_document_parse(&s->document, bytes, tree_explicit, 0, memory_max), OK);
    s->root = dicom_document_root(&s->document);
}

static void parse(struct scene *s)
{
    parse_in(s, MEMORY_MAX);
}

static void end(struct scene *s)
{
    dicom_document_free(&s->document);
    dicom_text_free(&s->text);
    dicom_charsets_free(&s->charsets);
    octets_free(&s->in);
}

static void assert_value(struct dicom_data_set *ds, uint32_t tag, const char *bytes)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    assert_non_null(e);
    assert_int_equal(e->value.len, strlen(bytes));
    assert_memory_equal(e->value.at, bytes, strlen(bytes));
}

static void assert_reads(struct scene *s, struct dicom_data_set *ds, uint32_t tag, const char *utf8,
                         bool is_clean)
{
    struct view text;
    bool clean;
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    assert_non_null(e);
    assert_int_equal(dicom_text_get(&s->text, e, &text, &clean), OK);
    assert_int_equal(text.len, strlen(utf8));
    assert_memory_equal(text.at, utf8, text.len);
    assert_int_equal(clean, is_clean);
    assert_int_equal(dicom_text_get(&s->text, e, &text, NULL), OK);
}

static enum result put(struct scene *s, struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr,
                       const char *utf8)
{
    return dicom_text_put(&s->text, ds, tag, vr, view_of(utf8));
}

static void assert_fault(const struct scene *s, uint32_t tag, const char *why)
{
    assert_int_equal(s->document.tag, tag);
    assert_string_equal(s->document.why, why);
}

static struct dicom_data_set *item(struct scene *s, size_t i)
{
    struct dicom_data_set *ds;
    assert_int_equal(dicom_element_item(dicom_data_set_find(s->root, REFERENCED), i, &ds), OK);
    return ds;
}

static void text_is_read_in_the_set_that_holds_there(void **state)
{
    static const struct {
        const char *set, *bytes, *utf8;
        bool is_clean;
    } cases[] = {
        {NULL, "Doe ", "Doe ", true},
        {NULL, "M\xFCller", "M\xEF\xBF\xBDller", false}, /* beyond ASCII */
        {"ISO_IR 100", "M\xFCller", "Müller", true},
        {"ISO_IR 192", "Müller", "Müller", true},
        {"ISO_IR 192", "M\xFCller", "M\xEF\xBF\xBDller", false},
        {"ISO_IR 999 ", "M\xFCller", "M\xEF\xBF\xBDller", false}, /* no such set */
        {"\\ISO 2022 IR 87", "\x1B$B;3ED\x1B(B", "山田", true},
        {"GB18030 ", "\xCD\xF5", "王", true},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene s;
        begin(&s);
        if (cases[i].set)
            add(&s, CHARSET, "CS", cases[i].set);
        add(&s, PATIENT_NAME, "PN", cases[i].bytes);
        parse(&s);
        assert_reads(&s, s.root, PATIENT_NAME, cases[i].utf8, cases[i].is_clean);
        assert_false(dicom_document_is_changed(&s.document));
        end(&s);
    }
}

/* The second item has a set of its own. */
static void add_items(struct scene *s)
{
    add(s, CHARSET, "CS", "ISO_IR 100");
    tree_head(&s->in, tree_explicit, REFERENCED, "SQ", 8 + 10 + 8 + 18 + 10);
    tree_head(&s->in, tree_explicit, DICOM_ITEM, "", 10);
    add(s, PATIENT_NAME, "PN", "\xE4\xF6");
    tree_head(&s->in, tree_explicit, DICOM_ITEM, "", 28);
    add(s, CHARSET, "CS", "ISO_IR 144");
    add(s, PATIENT_NAME, "PN", "\xB8\xB9");
    add(s, PATIENT_NAME, "PN", "\xFC\xDF");
}

static void items_have_the_set_around_them_or_their_own(void **state)
{
    struct scene s;
    (void)state;
    begin(&s);
    add_items(&s);
    parse(&s);
    for (int again = 0; again < 2; again++) { /* in any order */
        assert_reads(&s, item(&s, 1), PATIENT_NAME, "ИЙ", true);
        assert_reads(&s, item(&s, 0), PATIENT_NAME, "äö", true);
        assert_reads(&s, s.root, PATIENT_NAME, "üß", true);
    }
    assert_int_equal(put(&s, item(&s, 1), PATIENT_ID, DICOM_VR_LO, "ЖЖ"), OK);
    assert_int_equal(put(&s, item(&s, 0), PATIENT_ID, DICOM_VR_LO, "ÄÖ"), OK);
    assert_value(item(&s, 1), PATIENT_ID, "\xB6\xB6");
    assert_value(item(&s, 0), PATIENT_ID, "\xC4\xD6");
    end(&s);
}

static void what_is_no_text_is_given_as_it_is(void **state)
{
    struct scene s;
    (void)state;
    begin(&s);
    add(&s, MODALITY, "CS", "CT");
    add(&s, PATIENT_ID, "LO", "");
    tree_element(&s.in, tree_explicit, ROWS, "US", "\xFF\x01", 2);
    parse(&s);
    assert_reads(&s, s.root, MODALITY, "CT", true);
    assert_reads(&s, s.root, PATIENT_ID, "", true);
    assert_reads(&s, s.root, ROWS, "\xFF\x01", true);
    end(&s);
}

static void text_that_is_there_already_is_no_change(void **state)
{
    static const char *const same[] = {"Müller", "Müller ", "Müller   "};
    (void)state;
    struct scene s;
    begin(&s);
    add(&s, CHARSET, "CS", "ISO_IR 100");
    add(&s, PATIENT_NAME, "PN", "M\xFCller  ");
    parse(&s);
    for (size_t i = 0; i < COUNT(same); i++) {
        assert_int_equal(put(&s, s.root, PATIENT_NAME, DICOM_VR_PN, same[i]), OK);
        assert_false(dicom_document_is_changed(&s.document));
    }
    assert_int_equal(put(&s, s.root, PATIENT_NAME, DICOM_VR_PN, "müller"), OK);
    assert_true(dicom_document_is_changed(&s.document));
    assert_value(s.root, PATIENT_NAME, "m\xFCller");
    end(&s);
}

/* U+FFFD that stands for what has no meaning is not that text. */
static void text_without_meaning_is_replaced_by_what_looks_the_same(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    add(&s, CHARSET, "CS", "ISO_IR 192");
    add(&s, PATIENT_NAME, "PN", "\xFC ");
    parse(&s);
    assert_int_equal(put(&s, s.root, PATIENT_NAME, DICOM_VR_PN, "\xEF\xBF\xBD"), OK);
    assert_value(s.root, PATIENT_NAME, "\xEF\xBF\xBD ");
    end(&s);
}

static void what_cannot_be_put_changes_nothing(void **state)
{
    static const struct {
        uint32_t tag;
        enum dicom_vr vr;
        const char *text, *why;
    } cases[] = {
        {PATIENT_NAME, DICOM_VR_PN, "\xFC", "the text is not UTF-8"},
        {PATIENT_NAME, DICOM_VR_PN, "a\xE4\xB8", "the text is not UTF-8"},
        {MODALITY, DICOM_VR_CS, "Ä", "its VR holds ASCII only"},
        {MODALITY, DICOM_VR_CS, "\xFF", "the text is not UTF-8"},
    };
    (void)state;
    struct scene s;
    begin(&s);
    add(&s, CHARSET, "CS", "ISO_IR 100");
    add(&s, MODALITY, "CS", "CT");
    parse(&s);
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(put(&s, s.root, cases[i].tag, cases[i].vr, cases[i].text), ERR_USAGE);
        assert_fault(&s, cases[i].tag, cases[i].why);
        assert_false(dicom_document_is_changed(&s.document));
    }
    end(&s);
}

static void assert_all_utf8(struct scene *s)
{
    assert_value(s->root, CHARSET, "ISO_IR 192");
    assert_value(s->root, PATIENT_NAME, "üß");
    assert_value(item(s, 0), PATIENT_NAME, "äö");
    assert_value(item(s, 1), CHARSET, "ISO_IR 192");
    assert_value(item(s, 1), PATIENT_NAME, "ИЙ");
    assert_null(dicom_data_set_find(item(s, 0), CHARSET));
}

static void text_beyond_the_set_makes_all_text_utf8(void **state)
{
    (void)state;
    for (int where = 0; where < 3; where++) { /* wherever it is put */
        struct scene s;
        begin(&s);
        add_items(&s);
        parse(&s);
        struct dicom_data_set *ds = where == 0 ? s.root : item(&s, (size_t)where - 1);
        assert_int_equal(put(&s, ds, PATIENT_ID, DICOM_VR_LO, "山田"), OK);
        assert_all_utf8(&s);
        assert_value(ds, PATIENT_ID, "山田");
        assert_reads(&s, ds, PATIENT_ID, "山田", true);
        end(&s);
    }
}

static void without_a_set_one_is_added(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    add(&s, MODALITY, "CS", "CT");
    add(&s, PATIENT_NAME, "PN", "Doe ");
    parse(&s);
    assert_int_equal(put(&s, s.root, PATIENT_ID, DICOM_VR_LO, "ä"), OK);
    assert_value(s.root, CHARSET, "ISO_IR 192");
    assert_value(s.root, PATIENT_NAME, "Doe ");
    assert_value(s.root, PATIENT_ID, "ä");
    end(&s);
}

static void a_whole_data_set_goes_from_set_to_set(void **state)
{
    static const struct {
        const char *from, *bytes, *to, *written;
    } cases[] = {
        {"ISO_IR 100", "\xC4\xD6", "ISO_IR 192", "ÄÖ"},
        {"ISO_IR 192", "ÄÖ", "ISO_IR 100", "\xC4\xD6"},
        {"ISO_IR 192", "山田", "\\ISO 2022 IR 87", "\x1B$B;3ED\x1B(B"},
        {"\\ISO 2022 IR 87", "\x1B$B;3ED\x1B(B", "ISO_IR 192", "山田"},
        {"ISO_IR 100", "ASCII ", "", "ASCII "},
        /* Without a meaning in the old set: what reads as UTF-8 stays, the rest is no longer what it was. */
        {"ISO_IR 6", "ä", "ISO_IR 192", "ä"},
        {"ISO_IR 6", "\xFC", "ISO_IR 192", "\xEF\xBF\xBD "},
        {"ISO_IR 6", "\xFC-", "ISO_IR 100", "?-"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene s;
        begin(&s);
        add(&s, CHARSET, "CS", cases[i].from);
        add(&s, PATIENT_NAME, "PN", cases[i].bytes);
        parse(&s);
        assert_int_equal(dicom_text_recode(&s.text, &s.document, view_of(cases[i].to)), OK);
        assert_value(s.root, PATIENT_NAME, cases[i].written);
        end(&s);
    }
}

/* Broken writers give them VRs of text, and what is in there may be anything. */
static void group_lengths_of_any_vr_are_passed_over(void **state)
{
    static const struct {
        const char *vr, *bytes;
    } cases[] = {{"LO", "\xC4\xD6"}, {"PN", "\xFC-1234"}, {"UT", "\xC4\xD6\xDC\xC4"}, {"SQ", "garbage!"}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene s;
        struct octets out = {0};
        begin(&s);
        add(&s, CHARSET, "CS", "ISO_IR 100");
        add(&s, DICOM_TAG(0x0010, 0x0000), cases[i].vr, cases[i].bytes);
        add(&s, PATIENT_NAME, "PN", "\xC4\xD6");
        parse(&s);
        assert_int_equal(dicom_text_recode(&s.text, &s.document, view_of("ISO_IR 192")), OK);
        assert_value(s.root, PATIENT_NAME, "ÄÖ");
        assert_int_equal(dicom_document_write(&s.document, &out), OK);
        octets_free(&out);
        end(&s);
    }
}

static void a_set_that_cannot_hold_the_text_is_refused(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    add_items(&s);
    parse(&s);
    assert_int_equal(dicom_text_recode(&s.text, &s.document, view_of("ISO_IR 101")), ERR_USAGE);
    assert_fault(&s, PATIENT_NAME, "the character set asked for cannot hold its text");
    end(&s);
    begin(&s);
    add_items(&s);
    parse(&s);
    assert_int_equal(dicom_text_recode(&s.text, &s.document, view_of("ISO_IR 999")), ERR_USAGE);
    assert_fault(&s, CHARSET, "there is no such character set");
    assert_false(dicom_document_is_changed(&s.document));
    end(&s);
}

static void items_that_cannot_be_read_are_a_fault(void **state)
{
    (void)state;
    struct scene s;
    begin(&s);
    add(&s, CHARSET, "CS", "ISO_IR 100");
    tree_element(&s.in, tree_explicit, REFERENCED, "SQ", "garbage!", 8);
    parse(&s);
    assert_int_equal(dicom_text_recode(&s.text, &s.document, view_of("ISO_IR 192")), ERR_PROTO);
    assert_int_equal(s.document.tag, REFERENCED);
    end(&s);
}

/* A bound that is reached anywhere is an error and no harm. */
static void memory_may_end_anywhere(void **state)
{
    (void)state;
    bool was_ok = false;
    for (size_t max = 2100; max < 12000 && !was_ok; max += 200) {
        struct scene s;
        begin(&s);
        add_items(&s);
        for (int i = 0; i < 8; i++)
            add(&s, COMMENTS + (uint32_t)i * 0x100000, "LT",
                "\xFC\xFC\xFC\xFC\xFC\xFC\xFC\xFC\xFC\xFC\xFC\xFC");
        parse_in(&s, max);
        enum result r = put(&s, s.root, PATIENT_ID, DICOM_VR_LO, "山");
        assert_true(r == OK || r == ERR_MEMORY);
        was_ok = r == OK;
        end(&s);
    }
    assert_true(was_ok);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_read_in_the_set_that_holds_there),
        cmocka_unit_test(items_have_the_set_around_them_or_their_own),
        cmocka_unit_test(what_is_no_text_is_given_as_it_is),
        cmocka_unit_test(text_that_is_there_already_is_no_change),
        cmocka_unit_test(text_without_meaning_is_replaced_by_what_looks_the_same),
        cmocka_unit_test(what_cannot_be_put_changes_nothing),
        cmocka_unit_test(text_beyond_the_set_makes_all_text_utf8),
        cmocka_unit_test(without_a_set_one_is_added),
        cmocka_unit_test(a_whole_data_set_goes_from_set_to_set),
        cmocka_unit_test(group_lengths_of_any_vr_are_passed_over),
        cmocka_unit_test(a_set_that_cannot_hold_the_text_is_refused),
        cmocka_unit_test(items_that_cannot_be_read_are_a_fault),
        cmocka_unit_test(memory_may_end_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
