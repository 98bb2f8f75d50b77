/* Values of elements in words, and text that others wrote on a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command/explain.h"
#include "dicom/tag.h"
#include "dicom/text.h"

/* One element of Explicit VR Little Endian and its value in words. */
struct shown {
    struct octets bytes;
    struct dicom_document document;
    struct dicom_charsets *charsets;
    struct dicom_text text;
    struct arena arena;
    struct explain_value value;
};

static struct shown show(const char *vr, const void *value, size_t len)
{
    struct shown s = {.charsets = dicom_charsets_new()};
    bool is_long = strstr("OB OW UN UT SV UV SQ", vr) != NULL;
    octets_append(&s.bytes, "\x09\x00\x01\x10", 4); /* (0009,1001) */
    octets_append(&s.bytes, vr, 2);
    octets_le16(&s.bytes, is_long ? 0 : (uint16_t)len);
    if (is_long)
        octets_le32(&s.bytes, (uint32_t)len);
    octets_append(&s.bytes, value, len);
    struct view all = {s.bytes.data, s.bytes.len};
    assert_non_null(s.charsets);
    assert_int_equal(
        dicom_document_parse(&s.document, all, (struct dicom_encoding){.is_explicit = true}, 0, 1 << 20), OK);
    dicom_text_init(&s.text, s.charsets);
    struct dicom_element *e = dicom_data_set_first(dicom_document_root(&s.document));
    assert_int_equal(explain_value(&s.arena, &s.text, e, &s.value), OK);
    return s;
}

static void finish(struct shown *s)
{
    arena_free(&s->arena);
    dicom_text_free(&s->text);
    dicom_charsets_free(&s->charsets);
    dicom_document_free(&s->document);
    octets_free(&s->bytes);
}

static void every_kind_of_value_has_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *vr, *bytes;
        size_t len;
        const char *words;
        bool is_quoted;
    } cases[] = {
        {"LO", "A\\B ", 4, "A\\B", true},
        {"LO", "", 0, "", true},
        {"UI", "1.2\0", 4, "1.2", true},
        {"US", "\1\0\2\1", 4, "1\\258", false},
        {"SS", "\xff\xff", 2, "-1", false},
        {"US", "", 0, "", true},
        {"US", "\1\0\2", 3, "3 bytes", false},
        {"UL", "\xff\xff\xff\xff", 4, "4294967295", false},
        {"UV", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, "18446744073709551615", false},
        {"FL", "\xcd\xcc\xcc\x3d", 4, "0.1", false},
        {"FD", "\x9a\x99\x99\x99\x99\x99\xb9\x3f", 8, "0.1", false},
        {"AT", "\x10\0\x20\0", 4, "(0010,0020)", false},
        {"OB", "a", 1, "1 byte", false},
        {"OW", "abcd", 4, "4 bytes", false},
        {"UN", "text ", 5, "text", true},
        {"UN", "te\1t", 4, "4 bytes", false},
        {"SQ", "", 0, "0 items", false},
        {"SQ", "\xfe\xff\0\xe0\0\0\0\0", 8, "1 item", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct shown s = show(cases[i].vr, cases[i].bytes, cases[i].len);
        assert_string_equal(s.value.text, cases[i].words);
        assert_int_equal(s.value.len, strlen(cases[i].words));
        assert_int_equal(s.value.is_quoted, cases[i].is_quoted);
        assert_false(s.value.is_cut);
        finish(&s);
    }
}

static void long_values_are_cut(void **state)
{
    (void)state;
    char *text = malloc(5000);
    memset(text, 'a', 5000);
    struct shown s = show("UT", text, 5000);
    assert_true(s.value.is_cut);
    assert_int_equal(s.value.len, 1024);
    finish(&s);
    memset(text, 0, 5000);
    s = show("US", text, 5000);
    assert_true(s.value.is_cut);
    assert_int_equal(s.value.len, 64 * 2 - 1);
    finish(&s);
    free(text);
}

static void text_cannot_harm_a_terminal(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t max;
        const char *shown;
    } cases[] = {
        {"plain M\u00fcller \u0416", 100, "plain M\u00fcller \u0416"},
        {"a\x1b[2Jb\n\r\x7f", 100, "a\u00b7[2Jb\u00b7\u00b7\u00b7"},
        {"\xc2\x9b"
         "2J",
         100, "\u00b72J"}, /* CSI in one character */
        {"\u202e\u2066\u200f\u2028x", 100, "\u00b7\u00b7\u00b7\u00b7x"},
        {"\xff\xc3", 100, "\u00b7\u00b7"}, /* no UTF-8 */
        {"\xc0\x9b"
         "2J",
         100, "\u00b72J"}, /* ESC-like, in more bytes than it has */
        {"\u0416\u0416\u0416", 2, "\u0416\u0416..."},
        {"\u0416\u0416", 2, "\u0416\u0416"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *text = NULL;
        size_t len;
        FILE *to = open_memstream(&text, &len);
        explain_put(to, cases[i].text, strlen(cases[i].text), cases[i].max);
        fclose(to);
        assert_string_equal(text, cases[i].shown);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_has_its_words),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(text_cannot_harm_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
