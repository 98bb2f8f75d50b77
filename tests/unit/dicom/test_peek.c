/* Attributes caught from data sets made here, however these come in pieces; and from real ones. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/octets.h"
#include "dicom/deflate.h"
#include "dicom/part10.h"
#include "dicom/peek.h"
#include "dicom/tag.h"

static const struct dicom_encoding explicit_le = {.is_explicit = true};
static const struct dicom_encoding explicit_be = {.is_explicit = true, .is_big_endian = true};
static const struct dicom_encoding implicit_le = {.is_explicit = false};

#define UNDEFINED DICOM_UNDEFINED_LENGTH

static void put16(struct octets *o, struct dicom_encoding e, unsigned v)
{
    if (e.is_big_endian)
        octets_be16(o, (uint16_t)v);
    else
        octets_le16(o, (uint16_t)v);
}

static void put32(struct octets *o, struct dicom_encoding e, uint32_t v)
{
    if (e.is_big_endian)
        octets_be32(o, v);
    else
        octets_le32(o, v);
}

static void put_header(struct octets *o, struct dicom_encoding e, uint32_t tag, const char *vr, uint32_t len)
{
    put16(o, e, tag >> 16);
    put16(o, e, tag & 0xFFFF);
    if (!e.is_explicit || vr == NULL) {
        put32(o, e, len);
        return;
    }
    octets_append(o, vr, 2);
    if (strchr("OSU", vr[0]) != NULL && strstr("OB OW SQ UN UT UC", vr) != NULL) {
        put16(o, e, 0);
        put32(o, e, len);
    } else {
        put16(o, e, len);
    }
}

static void put_text(struct octets *o, struct dicom_encoding e, uint32_t tag, const char *vr,
                     const char *text)
{
    put_header(o, e, tag, vr, (uint32_t)strlen(text));
    octets_append(o, text, strlen(text));
}

static void put_number(struct octets *o, struct dicom_encoding e, uint32_t tag, const char *vr,
                       unsigned value)
{
    put_header(o, e, tag, vr, 2);
    put16(o, e, value);
}

static void put_mark(struct octets *o, struct dicom_encoding e, uint32_t tag, uint32_t len)
{
    put_header(o, e, tag, NULL, len);
}

/* A question: up to four paths, and what must come of each. "-" absent, "[]" items, "long"; else the bytes, NUL-terminated. */
struct question {
    const char *paths[4];
    const char *expected[4];
};

static struct dicom_path parsed[4];
static const struct dicom_path *paths[4];

static size_t parse_paths(const char *const *texts)
{
    size_t count = 0;
    for (; count < 4 && texts[count] != NULL; count++) {
        struct dicom_path_fault fault;
        assert_int_equal(dicom_path_parse(view_of(texts[count]), &parsed[count], &fault), OK);
        paths[count] = &parsed[count];
    }
    return count;
}

static void assert_answer(const struct dicom_peek *p, size_t i, const char *expected)
{
    struct dicom_peek_value v = dicom_peek_at(p, i);
    if (strcmp(expected, "-") == 0) {
        assert_int_equal(v.state, DICOM_PEEK_ABSENT);
    } else if (strcmp(expected, "[]") == 0) {
        assert_int_equal(v.state, DICOM_PEEK_ITEMS);
    } else if (strcmp(expected, "long") == 0) {
        assert_int_equal(v.state, DICOM_PEEK_LONG);
        assert_int_equal(v.bytes.len, 0);
    } else {
        assert_int_equal(v.state, DICOM_PEEK_VALUE);
        assert_int_equal(v.bytes.len, strlen(expected));
        if (v.bytes.len > 0)
            assert_memory_equal(v.bytes.at, expected, v.bytes.len);
    }
}

/* In pieces of `step` bytes until it is over. *used_out: how many bytes that took. */
static enum result feed(struct dicom_peek *p, struct view bytes, size_t step, size_t *used_out)
{
    enum result r = dicom_peek_feed(p, NULL, 0);
    size_t at = 0;
    while (r == NEED_MORE && at < bytes.len) {
        size_t len = step < bytes.len - at ? step : bytes.len - at;
        /* a copy of its own, so that a sanitizer sees a read past the piece */
        uint8_t *piece = test_malloc(len);
        memcpy(piece, bytes.at + at, len);
        r = dicom_peek_feed(p, piece, len);
        test_free(piece);
        at += len;
    }
    *used_out = at;
    return r == NEED_MORE ? dicom_peek_end(p) : r;
}

static void ask(struct view bytes, struct dicom_encoding encoding, bool is_deflated, const struct question *q)
{
    static const size_t steps[] = {1, 2, 3, 7, 8, 12, 100, 65536, SIZE_MAX};
    struct dicom_peek *p = dicom_peek_new();
    size_t count = parse_paths(q->paths);
    for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
        size_t used;
        assert_int_equal(dicom_peek_begin(p, paths, count, encoding, is_deflated), OK);
        assert_int_equal(feed(p, bytes, steps[s], &used), OK);
        for (size_t i = 0; i < count; i++)
            assert_answer(p, i, q->expected[i]);
    }
    dicom_peek_free(&p);
    assert_null(p);
}

static void ask_and_free(struct octets *o, struct dicom_encoding encoding, const struct question *q)
{
    ask((struct view){o->data, o->len}, encoding, false, q);
    octets_free(o);
}

/* A small instance; `form` is the length of sequences and items: UNDEFINED, or 0 for what it is. */
static struct octets an_instance(struct dicom_encoding e, uint32_t form)
{
    struct octets o = {0};
    put_text(&o, e, 0x00080005, "CS", "ISO_IR 100");
    put_text(&o, e, 0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put_text(&o, e, 0x00080060, "CS", "CT");
    put_text(&o, e, 0x00080080, "LO", "");
    put_number(&o, e, 0x00280010, "US", 0x4241);
    /* (0040,0275): [1] (0040,0007), [2] its own set and (0040,0009), [3] (0040,0009) */
    bool is_open = form == UNDEFINED;
    struct octets items[3] = {{0}};
    put_text(&items[0], e, 0x00400007, "LO", "one ");
    put_text(&items[1], e, 0x00080005, "CS", "ISO_IR 192");
    put_text(&items[1], e, 0x00400009, "SH", "two ");
    put_text(&items[2], e, 0x00400009, "SH", "three ");
    uint32_t len = 0;
    for (int i = 0; i < 3; i++)
        len += 8 + (uint32_t)items[i].len;
    put_header(&o, e, 0x00400275, "SQ", is_open ? UNDEFINED : len);
    for (int i = 0; i < 3; i++) {
        put_mark(&o, e, DICOM_ITEM, is_open ? UNDEFINED : (uint32_t)items[i].len);
        octets_append(&o, items[i].data, items[i].len);
        if (is_open)
            put_mark(&o, e, DICOM_ITEM_DELIMITATION, 0);
        octets_free(&items[i]);
    }
    if (is_open)
        put_mark(&o, e, DICOM_SEQUENCE_DELIMITATION, 0);
    put_text(&o, e, 0x00401400, "LT", "after");
    put_header(&o, e, DICOM_PIXEL_DATA, "OW", 4);
    octets_append(&o, "\1\2\3\4", 4);
    return o;
}

static void attributes_are_caught_in_every_encoding(void **state)
{
    (void)state;
    static const struct question questions[] = {
        {{"Modality"}, {"CT"}},
        {{"InstitutionName", "Modality"}, {"", "CT"}},
        {{"StudyDate", "Modality", "PatientID"}, {"-", "CT", "-"}},
        {{"0040,0275[1].0040,0007", "0040,0275[2].0040,0009", "0040,0275[3].0040,0009", "0040,1400"},
         {"one ", "two ", "three ", "after"}},
        {{"0040,0275[1].0040,0009", "0040,0275[4].0040,0009", "0040,0276[1].0040,0009"}, {"-", "-", "-"}},
        {{"0040,0275[2].0040,0009", "0040,0275[2].0040,0007", "0040,0275[2].0008,0005"},
         {"two ", "-", "ISO_IR 192"}},
        {{"0040,0275[1].0040,0009", "0040,0275[2].0040,0009"}, {"-", "two "}}, /* another item's is not its */
        {{"0040,0275[1].0040,0007[1].0040,0009"}, {"-"}},                      /* no sequence */
        {{"RequestAttributesSequence"}, {"[]"}},
        {{"RequestAttributesSequence", "0040,0275[3].0040,0009"}, {"[]", "three "}},
        {{"SpecificCharacterSet", "0008,0005"}, {"ISO_IR 100", "ISO_IR 100"}},
        {{"PixelData", "0040,1400"}, {"-", "after"}}, /* never looked at */
        {{"FFFC,FFFC"}, {"-"}},
    };
    static const struct dicom_encoding encodings[] = {{true, false}, {true, true}, {false, false}};
    for (size_t e = 0; e < 3; e++) {
        for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
            struct octets defined = an_instance(encodings[e], 0);
            ask_and_free(&defined, encodings[e], &questions[i]);
            struct octets open = an_instance(encodings[e], UNDEFINED);
            ask_and_free(&open, encodings[e], &questions[i]);
        }
    }
}

/* How many bytes it takes: the first to say that all is known is the last that is needed. */
static void no_more_is_read_than_is_needed(void **state)
{
    (void)state;
    static const struct {
        const char *paths[4];
        uint32_t until;  /* the element with which all is known, */
        bool with_value; /* with its value or at its header alone */
    } cases[] = {
        {{"Modality"}, 0x00080060, true},
        {{"SpecificCharacterSet", "Modality"}, 0x00080060, true},
        {{"StudyDate"}, 0x00080060, false}, /* the next behind it */
        {{"StudyDate", "Modality"},
         0x00080060,
         true}, /* the first is known not to be there when the second comes */
        {{"PatientID"}, 0x00280010, false},
        {{"Rows"}, 0x00280010, true},
        {{"PatientID", "Rows"}, 0x00280010, true},
        {{"RequestAttributesSequence"}, 0x00400275, false},
        {{"FFFC,FFFC"}, DICOM_PIXEL_DATA, false},
    };
    struct octets o = an_instance(explicit_le, UNDEFINED);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_peek *p = dicom_peek_new();
        size_t used, count = parse_paths(cases[i].paths);
        assert_int_equal(dicom_peek_begin(p, paths, count, explicit_le, false), OK);
        assert_int_equal(feed(p, (struct view){o.data, o.len}, 1, &used), OK);
        uint8_t tag[4];
        put_le16(tag, (uint16_t)(cases[i].until >> 16));
        put_le16(tag + 2, (uint16_t)cases[i].until);
        size_t at = (size_t)((const uint8_t *)memmem(o.data, o.len, tag, 4) - o.data);
        bool is_long = o.data[at + 4] == 'S' || o.data[at + 4] == 'O';
        size_t needed = at + (is_long ? 12 : 8) + (cases[i].with_value ? get_le16(o.data + at + 6) : 0);
        assert_int_equal(used, needed);
        dicom_peek_free(&p);
    }
    octets_free(&o);
}

static void the_highest_tag_is_that_of_the_outermost_level(void **state)
{
    (void)state;
    static const char *const texts[] = {"Modality", "0040,0275[1].0088,0200", "0028,0010", NULL};
    size_t count = parse_paths(texts);
    assert_int_equal(dicom_peek_highest(paths, count), 0x00400275);
    assert_int_equal(dicom_peek_highest(paths, 1), 0x00080060);
    assert_int_equal(dicom_peek_highest(paths, 0), 0);
}

/* What a peek says of one attribute besides its bytes. */
static struct dicom_peek_value look(struct dicom_peek *p, const struct octets *o, struct dicom_encoding e,
                                    const char *path)
{
    const char *const texts[2] = {path, NULL};
    size_t used;
    assert_int_equal(parse_paths(texts), 1);
    assert_int_equal(dicom_peek_begin(p, paths, 1, e, false), OK);
    assert_int_equal(feed(p, (struct view){o->data, o->len}, SIZE_MAX, &used), OK);
    return dicom_peek_at(p, 0);
}

static void the_character_set_is_that_of_the_item_or_of_what_it_stands_in(void **state)
{
    (void)state;
    static const struct {
        const char *path, *charset;
    } cases[] = {
        {"Modality", "ISO_IR 100"},
        {"0040,0275[1].0040,0007", "ISO_IR 100"},
        {"0040,0275[2].0040,0009", "ISO_IR 192"},
        {"0040,0275[3].0040,0009", "ISO_IR 100"},
        {"0040,1400", "ISO_IR 100"},
    };
    struct octets o = an_instance(explicit_le, 0);
    struct dicom_peek *p = dicom_peek_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_peek_value v = look(p, &o, explicit_le, cases[i].path);
        assert_int_equal(v.charset.len, 10);
        assert_memory_equal(v.charset.at, cases[i].charset, 10);
    }
    octets_clear(&o);
    put_text(&o, explicit_le, 0x00080060, "CS", "CT");
    assert_int_equal(look(p, &o, explicit_le, "Modality").charset.len, 0);
    dicom_peek_free(&p);
    octets_free(&o);
}

/* Many of them, or a huge one, cost no memory and change nothing. */
static void only_the_first_character_set_of_a_level_counts(void **state)
{
    (void)state;
    static char huge[5000];
    memset(huge, 'x', sizeof(huge) - 1);
    struct octets o = {0};
    struct dicom_peek *p = dicom_peek_new();
    put_text(&o, explicit_le, DICOM_SPECIFIC_CHARACTER_SET, "CS", huge);
    put_text(&o, explicit_le, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 100");
    put_text(&o, explicit_le, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192");
    put_text(&o, explicit_le, 0x00080060, "CS", "CT");
    struct dicom_peek_value v = look(p, &o, explicit_le, "Modality");
    assert_int_equal(v.charset.len, 10);
    assert_memory_equal(v.charset.at, "ISO_IR 100", 10);
    dicom_peek_free(&p);
    octets_free(&o);
}

static void of_two_the_first_counts(void **state)
{
    (void)state;
    struct octets o = {0};
    put_text(&o, explicit_le, 0x00080060, "CS", "CT");
    put_text(&o, explicit_le, 0x00080060, "CS", "MR");
    for (int i = 0; i < 2; i++) {
        put_header(&o, explicit_le, 0x00400275, "SQ", 8 + 8 + 2);
        put_mark(&o, explicit_le, DICOM_ITEM, 8 + 2);
        put_text(&o, explicit_le, i == 0 ? 0x00400007 : 0x00400009, "LO", i == 0 ? "A " : "B ");
    }
    static const struct question q = {
        {"Modality", "0040,0275[1].0040,0009", "0040,0275[1].0040,0007", "FFFC,FFFC"},
        {"CT", "-", "A ", "-"}};
    ask_and_free(&o, explicit_le, &q);
}

/* Whatever else is asked for. */
static void what_is_out_of_order_behind_something_higher_is_not_there(void **state)
{
    (void)state;
    static const struct question questions[] = {
        {{"Modality", "PatientID"}, {"-", "ID"}},
        {{"Modality", "PatientID", "Rows"}, {"-", "ID", "-"}},
        {{"Modality"}, {"-"}},
    };
    for (int i = 0; i < 3; i++) {
        struct octets o = {0};
        put_text(&o, explicit_le, 0x00100020, "LO", "ID");
        put_text(&o, explicit_le, 0x00080060, "CS", "CT");
        ask_and_free(&o, explicit_le, &questions[i]);
    }
}

/* One after another, as they come or are passed; a fault later takes nothing back. */
static void what_is_known_by_now_can_be_told(void **state)
{
    (void)state;
    static const char *const texts[] = {"Rows", "StudyDate", "Modality", "PatientID", NULL};
    static const bool known[][4] = {{false, false, false, false},
                                    {false, true, true, false},
                                    {false, true, true, false},
                                    {false, true, true, true}};
    size_t count = parse_paths(texts);
    struct dicom_peek *p = dicom_peek_new();
    assert_int_equal(dicom_peek_begin(p, paths, count, explicit_le, false), OK);
    for (size_t step = 0; step < 4; step++) {
        struct octets o = {0};
        if (step == 1)
            put_text(&o, explicit_le, 0x00080060, "CS", "CT");
        else if (step == 2)
            put_text(&o, explicit_le, 0x00080080, "LO", "H ");
        else if (step == 3)
            put_text(&o, explicit_le, 0x00100020, "LO", "ID");
        assert_int_equal(dicom_peek_feed(p, o.data, o.len), NEED_MORE);
        size_t total = 0;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(dicom_peek_is_known(p, i), known[step][i]);
            total += known[step][i];
        }
        assert_int_equal(dicom_peek_known(p), total);
        octets_free(&o);
    }
    assert_int_equal(dicom_peek_feed(p, (const uint8_t *)"\xFE\xFF\x0D\xE0\0\0\0\0", 8), ERR_PROTO);
    assert_int_equal(dicom_peek_known(p), 3);
    assert_int_equal(dicom_peek_begin(p, paths, count, explicit_le, false), OK);
    assert_int_equal(dicom_peek_end(p), OK);
    assert_int_equal(dicom_peek_known(p), count); /* nothing is there */
    dicom_peek_free(&p);
}

static void a_value_that_is_too_long_is_there_without_its_bytes(void **state)
{
    (void)state;
    static const struct question at_most = {{"0040,A160", "0040,A161"}, {"", "x"}};
    static const struct question beyond = {{"0040,A160", "0040,A161"}, {"long", "x"}};
    struct octets o = {0};
    put_header(&o, explicit_le, 0x0040A160, "UT", DICOM_PEEK_VALUE_MAX + 1);
    octets_fill(&o, 'y', DICOM_PEEK_VALUE_MAX + 1);
    put_text(&o, explicit_le, 0x0040A161, "DA", "x");
    ask_and_free(&o, explicit_le, &beyond);

    put_header(&o, explicit_le, 0x0040A160, "UT", DICOM_PEEK_VALUE_MAX);
    octets_fill(&o, 'y', DICOM_PEEK_VALUE_MAX);
    struct dicom_peek *p = dicom_peek_new();
    assert_int_equal(look(p, &o, explicit_le, at_most.paths[0]).bytes.len, DICOM_PEEK_VALUE_MAX);
    dicom_peek_free(&p);
    octets_free(&o);
}

/* By explicit VR as written; by the dictionary, Pixel Representation and UN otherwise. */
static void the_vr_is_the_one_that_counts(void **state)
{
    (void)state;
    static const struct {
        struct dicom_encoding encoding;
        const char *vr;     /* written */
        int representation; /* -1: there is none */
        uint32_t tag;
        enum dicom_vr expected;
        bool is_big_endian;
    } cases[] = {
        {{true, false}, "US", 1, 0x00280106, DICOM_VR_US, false},
        {{true, false}, "SS", -1, 0x00280106, DICOM_VR_SS, false},
        {{true, true}, "SS", 0, 0x00280106, DICOM_VR_SS, true},
        {{false, false}, "", -1, 0x00280106, DICOM_VR_US, false},
        {{false, false}, "", 0, 0x00280106, DICOM_VR_US, false},
        {{false, false}, "", 1, 0x00280106, DICOM_VR_SS, false},
        {{false, false}, "", 1, 0x00281050, DICOM_VR_DS, false},
        {{false, false}, "", 1, 0x00286010, DICOM_VR_US, false}, /* never signed */
        {{true, false}, "UN", 1, 0x00280106, DICOM_VR_SS, false},
        {{true, true}, "UN", 0, 0x00280106, DICOM_VR_US, false}, /* UN is little endian inside */
        {{true, false}, "UN", 0, 0x00291010, DICOM_VR_UN, false},
        {{false, false}, "", 0, 0x00290010, DICOM_VR_LO, false}, /* a private creator */
    };
    struct dicom_peek *p = dicom_peek_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct octets o = {0};
        char path[16];
        if (cases[i].representation >= 0)
            put_number(&o, cases[i].encoding, DICOM_PIXEL_REPRESENTATION, "US",
                       (unsigned)cases[i].representation);
        put_number(&o, cases[i].encoding, cases[i].tag, cases[i].vr, 7);
        snprintf(path, sizeof(path), "%04X,%04X", cases[i].tag >> 16, cases[i].tag & 0xFFFF);
        struct dicom_peek_value v = look(p, &o, cases[i].encoding, path);
        assert_int_equal(v.state, DICOM_PEEK_VALUE);
        assert_int_equal(v.vr, cases[i].expected);
        assert_int_equal(v.is_big_endian, cases[i].is_big_endian);
        octets_free(&o);
    }
    dicom_peek_free(&p);
}

/* An item may have its own Pixel Representation, else that around it holds. */
static void pixel_representation_holds_inside_too(void **state)
{
    (void)state;
    struct octets o = {0};
    put_number(&o, implicit_le, DICOM_PIXEL_REPRESENTATION, "US", 1);
    put_header(&o, implicit_le, 0x00283000, "SQ", UNDEFINED);
    for (int i = 0; i < 2; i++) {
        put_mark(&o, implicit_le, DICOM_ITEM, UNDEFINED);
        if (i == 1)
            put_number(&o, implicit_le, DICOM_PIXEL_REPRESENTATION, "US", 0);
        put_number(&o, implicit_le, 0x00280106, "US", 7);
        put_mark(&o, implicit_le, DICOM_ITEM_DELIMITATION, 0);
    }
    put_mark(&o, implicit_le, DICOM_SEQUENCE_DELIMITATION, 0);
    struct dicom_peek *p = dicom_peek_new();
    assert_int_equal(look(p, &o, implicit_le, "0028,3000[1].0028,0106").vr, DICOM_VR_SS);
    assert_int_equal(look(p, &o, implicit_le, "0028,3000[2].0028,0106").vr, DICOM_VR_US);
    dicom_peek_free(&p);
    octets_free(&o);
}

/* PS3.5 6.2.2: a sequence whose VR nobody knew on its way. */
static void un_of_undefined_length_is_looked_into(void **state)
{
    (void)state;
    struct octets o = {0};
    put_header(&o, explicit_be, 0x00291010, "UN", UNDEFINED);
    put_mark(&o, implicit_le, DICOM_ITEM, UNDEFINED);
    put_number(&o, implicit_le, 0x00280010, "US", 512);
    put_text(&o, implicit_le, 0x00291020, "", "deep");
    put_mark(&o, implicit_le, DICOM_ITEM_DELIMITATION, 0);
    put_mark(&o, implicit_le, DICOM_SEQUENCE_DELIMITATION, 0);
    struct dicom_peek *p = dicom_peek_new();
    struct dicom_peek_value v = look(p, &o, explicit_be, "0029,1010[1].0028,0010");
    assert_int_equal(v.vr, DICOM_VR_US);
    assert_false(v.is_big_endian);
    dicom_peek_free(&p);
    static const struct question q = {{"0029,1010[1].0029,1020", "0029,1010"}, {"deep", "[]"}};
    ask_and_free(&o, explicit_be, &q);
}

/* So is one that has a length, where the dictionary knows that it is a sequence, and only where something in it is asked for. */
static void un_of_defined_length_is_looked_into(void **state)
{
    (void)state;
    static const struct dicom_encoding *const encodings[] = {&explicit_le, &explicit_be};
    static const struct question questions[] = {
        {{"0040,0275[1].0040,0007", "0040,0275[2].0040,0009", "0040,0275[3].0040,0009", "0040,1400"},
         {"one ", "two ", "-", "after"}},
        {{"0040,0275", "0040,1400"}, {"[]", "after"}},
        {{"0040,0275", "0040,0275[2].0040,0009"}, {"[]", "two "}},
        {{"0029,1010[1].0040,0007", "0029,1010"}, {"-", "garbage!"}}, /* the dictionary knows nothing of it */
        {{"0040,0260[1].0008,0100", "0040,1400"}, {"deep", "after"}}, /* in it another, of Implicit VR */
    };
    for (size_t n = 0; n < 2; n++)
        for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
            struct octets o = {0};
            put_text(&o, *encodings[n], 0x00291010, "UN", "garbage!");
            put_header(&o, *encodings[n], 0x00400260, "UN", 8 + 12);
            put_mark(&o, implicit_le, DICOM_ITEM, 12);
            put_text(&o, implicit_le, 0x00080100, "", "deep");
            put_text(&o, *encodings[n], 0x00400270, "UN", "garbage!");
            put_header(&o, *encodings[n], 0x00400275, "UN", 8 + 12 + 8 + 12 + 8);
            put_mark(&o, implicit_le, DICOM_ITEM, 12);
            put_text(&o, implicit_le, 0x00400007, "", "one ");
            put_mark(&o, implicit_le, DICOM_ITEM, UNDEFINED);
            put_text(&o, implicit_le, 0x00400009, "", "two ");
            put_mark(&o, implicit_le, DICOM_ITEM_DELIMITATION, 0);
            put_text(&o, *encodings[n], 0x00401400, "LT", "after");
            ask_and_free(&o, *encodings[n], &questions[i]);
        }
}

/* Text, or items in Explicit VR: those who do not ask see no fault either. */
static void un_that_is_no_sequence_inside_is_passed_over_where_it_is_asked_for(void **state)
{
    (void)state;
    static const struct question questions[] = {
        {{"0040,0275[1].0040,0009", "0040,0260[1].0008,0100", "0040,1400"}, {"-", "-", "after"}},
        {{"0040,0275", "0040,0275[1].0040,0009", "0040,1400"}, {"[]", "-", "after"}},
        {{"0040,0275", "0040,1400"}, {"[]", "after"}},
    };
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        struct octets o = {0};
        put_text(&o, explicit_le, 0x00400260, "UN", "none");
        put_header(&o, explicit_le, 0x00400275, "UN", 8 + 12);
        put_mark(&o, explicit_le, DICOM_ITEM, 12);
        put_text(&o, explicit_le, 0x00400009, "SH", "A-1 ");
        put_text(&o, explicit_le, 0x00401400, "LT", "after");
        ask_and_free(&o, explicit_le, &questions[i]);
    }
}

/* Whoever asks for one item only has the others skipped by their length: what is in them cannot make a difference. */
static void a_fault_in_one_item_of_un_leaves_the_others(void **state)
{
    (void)state;
    static const struct question questions[] = {
        {{"0040,0275[1].0040,0009", "0040,0275[2].0040,0009", "0040,0275[3].0040,0009", "0040,1400"},
         {"-", "two ", "-", "after"}},
        {{"0040,0275[2].0040,0009", "0040,1400"}, {"two ", "after"}},
        {{"0040,0275[1].0040,0007", "0040,0275[1].0040,0008[1].0008,0100", "0040,0275[2].0040,0009"},
         {"one ", "-", "two "}},
    };
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        struct octets o = {0};
        put_header(&o, explicit_le, 0x00400275, "UN", 8 + 12 + 8 + 8 + 12);
        put_mark(&o, implicit_le, DICOM_ITEM, 12 + 8);
        put_text(&o, implicit_le, 0x00400007, "", "one ");
        put_header(&o, implicit_le, 0x00400008, "", 100);
        put_mark(&o, implicit_le, DICOM_ITEM, 12);
        put_text(&o, implicit_le, 0x00400009, "", "two ");
        put_text(&o, explicit_le, 0x00401400, "LT", "after");
        ask_and_free(&o, explicit_le, &questions[i]);
    }
}

/* Icons have encapsulated pixel data inside of items, and sequences stand around them. */
static void fragments_are_no_items(void **state)
{
    (void)state;
    struct octets o = {0};
    put_header(&o, explicit_le, 0x00880200, "SQ", UNDEFINED);
    put_mark(&o, explicit_le, DICOM_ITEM, UNDEFINED);
    put_header(&o, explicit_le, DICOM_PIXEL_DATA, "OB", UNDEFINED);
    for (int i = 0; i < 2; i++) {
        put_mark(&o, explicit_le, DICOM_ITEM, 4);
        octets_append(&o, "abcd", 4);
    }
    put_mark(&o, explicit_le, DICOM_SEQUENCE_DELIMITATION, 0);
    put_mark(&o, explicit_le, DICOM_ITEM_DELIMITATION, 0);
    put_mark(&o, explicit_le, DICOM_SEQUENCE_DELIMITATION, 0);
    put_text(&o, explicit_le, 0x00880904, "LO", "x");
    static const struct question q = {
        {"0088,0200[1].7FE0,0010", "0088,0200[1].7FE0,0010[1].0008,0060", "0088,0904"}, {"[]", "-", "x"}};
    ask_and_free(&o, explicit_le, &q);
}

static void nothing_asked_is_known_at_once(void **state)
{
    (void)state;
    struct dicom_peek *p = dicom_peek_new();
    assert_int_equal(dicom_peek_begin(p, NULL, 0, explicit_le, false), OK);
    assert_int_equal(dicom_peek_feed(p, (const uint8_t *)"garbage!", 8), OK);
    assert_int_equal(dicom_peek_end(p), OK);
    dicom_peek_free(&p);
    dicom_peek_free(&p);
}

static void what_cannot_be_read_is_told_with_its_tag(void **state)
{
    (void)state;
    static const struct {
        uint32_t tag; /* of what stands behind Modality */
        uint32_t len;
        bool ends_early;
    } cases[] = {
        {DICOM_ITEM_DELIMITATION, 0, false},
        {0x00100010, 100, true},
    };
    struct dicom_peek *p = dicom_peek_new();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const char *const texts[] = {"Modality", "Rows", NULL};
        struct octets o = {0};
        size_t used, count = parse_paths(texts);
        uint32_t tag;
        put_text(&o, implicit_le, 0x00080060, "", "CT");
        put_header(&o, implicit_le, cases[i].tag, "", cases[i].len);
        octets_fill(&o, ' ', 20);
        assert_int_equal(dicom_peek_begin(p, paths, count, implicit_le, false), OK);
        assert_int_equal(feed(p, (struct view){o.data, o.len}, 5, &used), ERR_PROTO);
        assert_int_equal(used == o.len, cases[i].ends_early);
        assert_non_null(dicom_peek_fault(p, &tag));
        assert_int_equal(tag, cases[i].tag);
        assert_int_equal(dicom_peek_feed(p, o.data, o.len), ERR_PROTO); /* stays so */
        assert_answer(p, 0, "CT");
        /* The same bytes are fine for who asks for less. */
        assert_int_equal(dicom_peek_begin(p, paths, 1, implicit_le, false), OK);
        assert_int_equal(feed(p, (struct view){o.data, o.len}, 5, &used), OK);
        assert_answer(p, 0, "CT");
        octets_free(&o);
    }
    dicom_peek_free(&p);
}

static struct octets deflated(const struct octets *plain)
{
    struct dicom_deflate *z;
    struct octets out = {0};
    struct view in = {plain->data, plain->len};
    uint8_t room[1000];
    enum result r;
    assert_int_equal(dicom_deflate_new(&z), OK);
    do {
        size_t len;
        r = dicom_deflate_next(z, &in, true, room, sizeof(room), &len);
        octets_append(&out, room, len);
    } while (r == OK);
    assert_int_equal(r, NEED_MORE);
    dicom_deflate_free(&z);
    return out;
}

static void a_deflated_data_set_is_inflated_as_far_as_needed(void **state)
{
    (void)state;
    static const struct question q = {{"Modality", "0040,0275[3].0040,0009", "FFFC,FFFC"},
                                      {"CT", "three ", "-"}};
    struct octets plain = an_instance(explicit_le, UNDEFINED);
    struct octets bytes = deflated(&plain);
    ask((struct view){bytes.data, bytes.len}, explicit_le, true, &q);
    octets_free(&bytes);
    octets_free(&plain);
    /* without pixel data the stream's own end is the end */
    static const struct question all = {{"Modality", "FFFC,FFFC"}, {"CT", "-"}};
    put_text(&plain, explicit_le, 0x00080060, "CS", "CT");
    bytes = deflated(&plain);
    ask((struct view){bytes.data, bytes.len}, explicit_le, true, &all);

    struct dicom_peek *p = dicom_peek_new();
    size_t used;
    uint32_t tag;
    assert_int_equal(parse_paths(all.paths), 2);
    assert_int_equal(dicom_peek_begin(p, paths, 2, explicit_le, true), OK);
    assert_int_equal(feed(p, (struct view){bytes.data, bytes.len / 2}, 3, &used), ERR_PROTO); /* cut off */
    assert_non_null(dicom_peek_fault(p, &tag));
    assert_int_equal(dicom_peek_begin(p, paths, 2, explicit_le, true), OK);
    assert_int_equal(feed(p, (struct view){(const uint8_t *)"\xFF\xFF\xFF\xFF", 4}, 4, &used),
                     ERR_PROTO); /* broken */
    assert_non_null(dicom_peek_fault(p, &tag));
    dicom_peek_free(&p);
    octets_free(&bytes);
    octets_free(&plain);
}

static const char files[] = "/usr/lib/python3/dist-packages/pydicom/data/test_files";

static struct octets read_file(const char *name)
{
    char path[512], bytes[65536];
    struct octets all = {0};
    snprintf(path, sizeof(path), "%s/%s", files, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;)
        octets_append(&all, bytes, n);
    fclose(f);
    return all;
}

/* The same however it comes; and the SOP class is what the file's own meta information says. False: not a file to ask. */
static bool check_real_file(const char *name)
{
    static const char *const texts[] = {"SOPClassUID", "PatientName", "0040,0275[1].0040,0007", "Rows"};
    struct octets file = read_file(name);
    struct part10_meta meta;
    const char *why;
    bool is_read = part10_read(file.data, file.len, &meta, &why) == OK;
    if (is_read) {
        bool is_deflated;
        struct dicom_encoding e = dicom_encoding_of(meta.transfer_syntax, &is_deflated);
        struct view bytes = {file.data + meta.data_set_offset, file.len - meta.data_set_offset};
        struct dicom_peek *whole = dicom_peek_new();
        struct dicom_peek *pieces = dicom_peek_new();
        size_t used, count = parse_paths(texts);
        assert_int_equal(dicom_peek_begin(whole, paths, count, e, is_deflated), OK);
        assert_int_equal(dicom_peek_begin(pieces, paths, count, e, is_deflated), OK);
        assert_int_equal(feed(whole, bytes, SIZE_MAX, &used), feed(pieces, bytes, 11, &used));
        for (size_t i = 0; i < count; i++) {
            struct dicom_peek_value a = dicom_peek_at(whole, i), b = dicom_peek_at(pieces, i);
            assert_int_equal(a.state, b.state);
            assert_int_equal(a.bytes.len, b.bytes.len);
            if (a.bytes.len > 0)
                assert_memory_equal(a.bytes.at, b.bytes.at, a.bytes.len);
        }
        struct dicom_peek_value sop_class = dicom_peek_at(whole, 0);
        is_read = sop_class.state == DICOM_PEEK_VALUE && meta.sop_class.len > 0;
        if (is_read) {
            assert_true(sop_class.bytes.len >= meta.sop_class.len);
            assert_memory_equal(sop_class.bytes.at, meta.sop_class.at, meta.sop_class.len);
        }
        dicom_peek_free(&whole);
        dicom_peek_free(&pieces);
    }
    octets_free(&file);
    return is_read;
}

static void real_files_are_peeked_into(void **state)
{
    (void)state;
    DIR *dir = opendir(files);
    unsigned count = 0;
    if (!dir) {
        print_message("skipped: no %s (package python3-pydicom)\n", files);
        skip();
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".dcm") == 0)
            count += check_real_file(entry->d_name);
    }
    closedir(dir);
    print_message("  %u files\n", count);
    assert_true(count >= 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_are_caught_in_every_encoding),
        cmocka_unit_test(no_more_is_read_than_is_needed),
        cmocka_unit_test(the_highest_tag_is_that_of_the_outermost_level),
        cmocka_unit_test(the_character_set_is_that_of_the_item_or_of_what_it_stands_in),
        cmocka_unit_test(only_the_first_character_set_of_a_level_counts),
        cmocka_unit_test(of_two_the_first_counts),
        cmocka_unit_test(what_is_out_of_order_behind_something_higher_is_not_there),
        cmocka_unit_test(what_is_known_by_now_can_be_told),
        cmocka_unit_test(a_value_that_is_too_long_is_there_without_its_bytes),
        cmocka_unit_test(the_vr_is_the_one_that_counts),
        cmocka_unit_test(pixel_representation_holds_inside_too),
        cmocka_unit_test(un_of_undefined_length_is_looked_into),
        cmocka_unit_test(un_of_defined_length_is_looked_into),
        cmocka_unit_test(un_that_is_no_sequence_inside_is_passed_over_where_it_is_asked_for),
        cmocka_unit_test(a_fault_in_one_item_of_un_leaves_the_others),
        cmocka_unit_test(fragments_are_no_items),
        cmocka_unit_test(nothing_asked_is_known_at_once),
        cmocka_unit_test(what_cannot_be_read_is_told_with_its_tag),
        cmocka_unit_test(a_deflated_data_set_is_inflated_as_far_as_needed),
        cmocka_unit_test(real_files_are_peeked_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
