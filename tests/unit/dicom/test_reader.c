#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/octets.h"
#include "dicom/part10.h"
#include "dicom/reader.h"
#include "dicom/tag.h"

static const struct dicom_encoding explicit_le = {true, false}, explicit_be = {true, true},
                                   implicit_le = {false, false};

/*
 * What was read, as text:
 *
 *   00100020LO4=abcd;              an element and its value; behind the VR "i" or "b": Implicit VR, big endian; "u": undefined
 *   00081140SQ16[{8 ... } {u ... }.]   a sequence and its items, ended by length, and by delimiter with a full stop
 *   7FE00010OBu[<4=....>].         fragments
 *   !text                          a fault
 */
struct trace {
    struct dicom_reader reader;
    char text[4096];
    size_t len;
    const uint8_t *all; /* the whole data set */
    uint64_t seen;      /* all up to here belongs to events */
    size_t value_len;   /* joined, of the value that is read */
    uint64_t value_at;
    uint32_t skip; /* elements and items of sequences of this tag are skipped; 0: none */
    bool skips_items;
    bool passes;   /* values by dicom_reader_pass */
    bool enters;   /* UN of defined length */
    bool recovers; /* from faults in there */
    bool is_over;
};

__attribute__((format(printf, 2, 3))) static void put(struct trace *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(t->text + t->len, sizeof t->text - t->len, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof t->text - t->len);
    t->len += (size_t)n;
}

static void put_length(struct trace *t, uint32_t length)
{
    if (length == DICOM_UNDEFINED_LENGTH)
        put(t, "u");
    else
        put(t, "%u", length);
}

static void trace_value(struct trace *t, const struct dicom_event *e)
{
    if (t->value_len == 0)
        t->value_at = e->offset;
    assert_true(e->len > 0 || e->is_last);
    assert_true(e->offset >= t->value_at + t->value_len); /* later: some was passed */
    t->value_len = (size_t)(e->offset - t->value_at) + e->len;
    if (e->len > 0)
        assert_memory_equal(e->at, t->all + e->offset, e->len);
    if (!e->is_last)
        return;
    put(t, "=");
    for (size_t i = 0; i < t->value_len && !t->passes; i++) {
        const uint8_t c = t->all[t->value_at + i];
        if (c >= 0x20 && c < 0x7F)
            put(t, "%c", c);
        else
            put(t, "\\%02X", c);
    }
    put(t, e->is_fragment ? ">" : ";");
    t->value_len = 0;
}

static void trace_element(struct trace *t, const struct dicom_event *e)
{
    const char letters[3] = {(char)e->vr_letters[0], (char)e->vr_letters[1], '\0'};
    const char *name = dicom_vr_info(e->vr)->name;
    put(t, "%08X%s%s%s", e->tag, name, e->encoding.is_explicit ? "" : "i",
        e->encoding.is_big_endian ? "b" : "");
    assert_int_equal(letters[0] != '\0' || letters[1] != '\0' || e->vr == DICOM_VR_UNKNOWN,
                     e->encoding.is_explicit);
    if (e->encoding.is_explicit && e->vr != DICOM_VR_UNKNOWN)
        assert_string_equal(letters, name);
    put_length(t, e->length);
    if (e->enters)
        put(t, "[");
}

static void trace_event(struct trace *t, const struct dicom_event *e)
{
    assert_true(t->passes || e->kind == DICOM_EVENT_FAULT || e->offset == t->seen);
    t->seen = t->reader.offset;
    switch (e->kind) {
    case DICOM_EVENT_ELEMENT:
        trace_element(t, e);
        break;
    case DICOM_EVENT_ITEM:
        put(t, e->is_fragment ? "<" : "{");
        put_length(t, e->length);
        break;
    case DICOM_EVENT_VALUE:
        trace_value(t, e);
        return;
    case DICOM_EVENT_ITEM_END:
        put(t, e->header_len > 0 ? "}." : "}");
        break;
    case DICOM_EVENT_SEQUENCE_END:
        put(t, e->header_len > 0 ? "]." : "]");
        break;
    default:
        put(t, "!%s", e->why);
        t->is_over = !t->recovers || !dicom_reader_recover(&t->reader);
        if (!t->is_over)
            put(t, "!");
        return;
    }
    if (e->kind == DICOM_EVENT_ITEM_END || e->kind == DICOM_EVENT_SEQUENCE_END)
        assert_int_equal(t->reader.offset - e->offset, e->header_len);
    const bool is_item = e->kind == DICOM_EVENT_ITEM;
    if (t->enters && e->kind == DICOM_EVENT_ELEMENT && e->vr == DICOM_VR_UN && e->encoding.is_explicit &&
        !e->enters) {
        dicom_reader_enter(&t->reader);
        put(t, "(");
    }
    if (t->skip && e->tag == t->skip && (is_item ? t->skips_items : e->enters && !t->skips_items))
        dicom_reader_skip(&t->reader);
}

static void feed(struct trace *t, const uint8_t *bytes, size_t len)
{
    struct dicom_event e;
    /* In a block of its own, so that a read past the piece is seen. */
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    size_t used = 0;
    do {
        const uint64_t left = dicom_reader_value_left(&t->reader);
        if (t->passes && left > 0 && used < len) {
            const size_t n = left < len - used ? (size_t)left : len - used;
            dicom_reader_pass(&t->reader, n);
            used += n;
        }
        used += dicom_reader_next(&t->reader, copy + used, len - used, &e);
        assert_true(used <= len);
        if (e.kind != DICOM_EVENT_NONE)
            trace_event(t, &e);
    } while (e.kind != DICOM_EVENT_NONE && !t->is_over);
    assert_true(t->is_over || used == len);
    free(copy);
}

struct input {
    const uint8_t *at;
    size_t len;
};

#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        (const uint8_t *)("" literal), sizeof(literal) - 1                                                   \
    }

/* Cut into pieces of `step` bytes; the first has `first` (0: `step` as well). */
static void read_cut(struct trace *t, struct dicom_encoding encoding, struct input in, size_t first,
                     size_t step)
{
    dicom_reader_init(&t->reader, encoding);
    t->all = in.at;
    size_t n = first ? first : step;
    for (size_t at = 0; at < in.len && !t->is_over; at += n, n = step) {
        if (n > in.len - at)
            n = in.len - at;
        feed(t, in.at + at, n);
    }
    const char *why = NULL;
    const enum result r = dicom_reader_end(&t->reader, &why);
    assert_int_equal(r == OK, why == NULL);
    if (r != OK && !t->is_over)
        put(t, "!%s", why);
}

/* Whole, byte by byte, in pieces of all sizes, and in two at every place: always the same. */
static void check_every_cut(const struct trace *settings, struct dicom_encoding encoding, struct input in,
                            const char *expected)
{
    static struct trace t;
    for (size_t i = 1; i <= in.len + 1; i++) {
        t = *settings;
        read_cut(&t, encoding, in, 0, i);
        assert_string_equal(t.text, expected);
        t = *settings;
        read_cut(&t, encoding, in, i, in.len);
        assert_string_equal(t.text, expected);
    }
}

struct reading {
    const char *reason;
    struct input in;
    const char *expected;
};

static void check_readings(const struct reading *readings, size_t count, struct dicom_encoding encoding)
{
    static struct trace plain;
    for (size_t i = 0; i < count; i++) {
        print_message("  %s\n", readings[i].reason);
        check_every_cut(&plain, encoding, readings[i].in, readings[i].expected);
    }
}

#define CHECK(readings, encoding) check_readings(readings, sizeof(readings) / sizeof((readings)[0]), encoding)

/* clang-format off */
#define ITEM_U  "\xfe\xff\x00\xe0" "\xff\xff\xff\xff" /* of undefined length */
#define ITEM(n) "\xfe\xff\x00\xe0" n "\0\0\0"
#define ITEM_D  "\xfe\xff\x0d\xe0" "\0\0\0\0" /* delimiters */
#define SEQ_D   "\xfe\xff\xdd\xe0" "\0\0\0\0"
#define U       "\xff\xff\xff\xff"
#define ID      "\x10\0\x20\0" "LO" "\x04\0" "abcd"       /* 12 bytes, explicit: (0010,0020) */
#define ID_I    "\x10\0\x20\0" "\x04\0\0\0" "abcd"        /* 12 bytes, implicit */
#define PIXELS  "\xe0\x7f\x10\0"
#define REFS    "\x08\0\x40\x11" /* (0008,1140) Referenced Image Sequence */
/* clang-format on */

/* clang-format off */
static void explicit_vr_is_read(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"nothing", BYTES(""), ""},
        {"short and long forms", BYTES(ID "\x42\0\x11\0OB\0\0\x02\0\0\0xy"),
         "00100020LO4=abcd;00420011OB2=xy;"},
        {"empty values", BYTES("\x10\0\x20\0LO\0\0" REFS "SQ\0\0\0\0\0\0"), "00100020LO0=;00081140SQ0[]"},
        {"odd lengths, out of order, twice, a group length",
         BYTES(ID "\x10\0\x10\0PN\x01\0A" ID "\x10\0\0\0UL\x04\0wxyz"),
         "00100020LO4=abcd;00100010PN1=A;00100020LO4=abcd;00100000UL4=wxyz;"},
        {"trailing padding is an element", BYTES(ID "\xfc\xff\xfc\xffOB\0\0\x02\0\0\0\0\0"),
         "00100020LO4=abcd;FFFCFFFCOB2=\\00\\00;"},
        {"defined lengths all through", BYTES(REFS "SQ\0\0\x1c\0\0\0" ITEM("\x0c") ID ITEM("\0") ID),
         "00081140SQ28[{1200100020LO4=abcd;}{0}]00100020LO4=abcd;"},
        {"undefined lengths all through", BYTES(REFS "SQ\0\0" U ITEM_U ID ITEM_D ITEM_U ITEM_D SEQ_D ID),
         "00081140SQu[{u00100020LO4=abcd;}.{u}.].00100020LO4=abcd;"},
        {"undefined items in a defined sequence", BYTES(REFS "SQ\0\0\x1c\0\0\0" ITEM_U ID ITEM_D ID),
         "00081140SQ28[{u00100020LO4=abcd;}.]00100020LO4=abcd;"},
        {"defined items in an undefined sequence", BYTES(REFS "SQ\0\0" U ITEM("\x0c") ID SEQ_D),
         "00081140SQu[{1200100020LO4=abcd;}]."},
        {"a sequence in a sequence, ending together",
         BYTES(REFS "SQ\0\0\x28\0\0\0" ITEM("\x20") REFS "SQ\0\0\x14\0\0\0" ITEM("\x0c") ID),
         "00081140SQ40[{3200081140SQ20[{1200100020LO4=abcd;}]}]"},
        {"delimiters with lengths",
         BYTES(REFS "SQ\0\0" U ITEM_U "\xfe\xff\x0d\xe0\x04\0\0\0\xfe\xff\xdd\xe0" U ID),
         "00081140SQu[{u}.].00100020LO4=abcd;"},
    };
    CHECK(readings, explicit_le);
}

static void encapsulated_pixel_data_is_read_at_any_depth(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"offset table, fragments, an element behind",
         BYTES(PIXELS "OB\0\0" U ITEM("\0") ITEM("\x04") "\xff\xd8\xff\xd9" ITEM("\x01") "x" SEQ_D ID),
         "7FE00010OBu[<0=><4=\\FF\\D8\\FF\\D9><1=x>].00100020LO4=abcd;"},
        {"a fragment that holds a delimiter", BYTES(PIXELS "OB\0\0" U ITEM("\x08") SEQ_D SEQ_D),
         "7FE00010OBu[<8=\\FE\\FF\\DD\\E0\\00\\00\\00\\00>]."},
        {"an icon", BYTES("\x88\0\0\x02SQ\0\0\x2a\0\0\0" ITEM("\x22") PIXELS "OB\0\0" U ITEM("\x06") "abcdef" SEQ_D),
         "00880200SQ42[{347FE00010OBu[<6=abcdef>].}]"},
        {"an icon without fragments in an undefined item",
         BYTES("\x88\0\0\x02SQ\0\0" U ITEM_U PIXELS "OW\0\0" U SEQ_D ITEM_D SEQ_D),
         "00880200SQu[{u7FE00010OWu[].}.]."},
        {"native, whose bytes mean nothing", BYTES(PIXELS "OW\0\0\x08\0\0\0" SEQ_D),
         "7FE00010OW8=\\FE\\FF\\DD\\E0\\00\\00\\00\\00;"},
        {"a VR to come", BYTES("\x11\x10\x01\0ZZ\0\0" U ITEM("\x02") "ab" SEQ_D), "10110001\?\?u[<2=ab>]."},
    };
    CHECK(readings, explicit_le);
}

static void implicit_vr_takes_its_vr_from_the_dictionary(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"elements", BYTES(ID_I "\x28\0\x10\0\x02\0\0\0\0\x02"), "00100020LOi4=abcd;00280010USi2=\\00\\02;"},
        {"private: creator and others", BYTES("\x09\0\x10\0\x02\0\0\0ME\x09\0\x01\x10\x02\0\0\0xy"),
         "00090010LOi2=ME;00091001UNi2=xy;"},
        {"a sequence that the dictionary knows, defined", BYTES(REFS "\x14\0\0\0" ITEM("\x0c") ID_I ID_I),
         "00081140SQi20[{1200100020LOi4=abcd;}]00100020LOi4=abcd;"},
        {"undefined", BYTES(REFS U ITEM_U ID_I ITEM_D SEQ_D), "00081140SQiu[{u00100020LOi4=abcd;}.]."},
        {"a private one, undefined", BYTES("\x09\0\x01\x10" U ITEM("\x0c") ID_I SEQ_D ID_I),
         "00091001SQiu[{1200100020LOi4=abcd;}].00100020LOi4=abcd;"},
        {"a private one, defined, is opaque", BYTES("\x09\0\x01\x10\x08\0\0\0" ITEM("\0")),
         "00091001UNi8=\\FE\\FF\\00\\E0\\00\\00\\00\\00;"},
        {"a sequence where the dictionary has text", BYTES("\x10\0\x20\0" U ITEM("\0") SEQ_D), "00100020SQiu[{0}]."},
        {"fragments, though not allowed", BYTES(PIXELS U ITEM("\x02") "ab" SEQ_D), "7FE00010OBiu[<2=ab>]."},
    };
    CHECK(readings, implicit_le);
}

static void big_endian_is_read(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"short and long forms", BYTES("\0\x10\0\x20LO\0\x04" "abcd" "\0\x42\0\x11OB\0\0\0\0\0\x02xy"),
         "00100020LOb4=abcd;00420011OBb2=xy;"},
        {"sequences", BYTES("\0\x08\x11\x40SQ\0\0" U "\xff\xfe\xe0\0" U "\xff\xfe\xe0\x0d\0\0\0\0"
                            "\xff\xfe\xe0\0\0\0\0\x0c\0\x10\0\x20LO\0\x04" "abcd" "\xff\xfe\xe0\xdd\0\0\0\0"),
         "00081140SQbu[{u}.{1200100020LOb4=abcd;}]."},
        {"UN of undefined length is little endian inside", BYTES("\0\x09\x10\x01UN\0\0" U ITEM_U ID_I ITEM_D SEQ_D
                                                                 "\0\x10\0\x20LO\0\x04" "abcd"),
         "00091001UNbu[{u00100020LOi4=abcd;}.].00100020LOb4=abcd;"},
        {"letters that are none have a short length", BYTES("\0\x10\0\x20\x01\x02\0\x02xy"), "00100020\?\?b2=xy;"},
    };
    CHECK(readings, explicit_be);
}

static void un_of_undefined_length_is_implicit_vr_inside(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"items of all lengths, explicit again behind",
         BYTES("\x09\0\x01\x10UN\0\0" U ITEM("\x0c") ID_I ITEM_U ID_I ITEM_D SEQ_D ID),
         "00091001UNu[{1200100020LOi4=abcd;}{u00100020LOi4=abcd;}.].00100020LO4=abcd;"},
        {"of defined length it is opaque", BYTES("\x09\0\x01\x10UN\0\0\x08\0\0\0" ITEM("\0") ID),
         "00091001UN8=\\FE\\FF\\00\\E0\\00\\00\\00\\00;00100020LO4=abcd;"},
        {"sequences inside", BYTES("\x09\0\x01\x10UN\0\0" U ITEM_U REFS "\x08\0\0\0" ITEM("\0") ITEM_D SEQ_D),
         "00091001UNu[{u00081140SQi8[{0}]}.]."},
    };
    CHECK(readings, explicit_le);
}

static void what_has_no_vr_in_explicit_vr_is_read_as_its_writer_meant_it(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"two capitals: a VR to come", BYTES("\x10\0\x20\0ZZ\0\0\x02\0\0\0xy" ID), "00100020\?\?2=xy;00100020LO4=abcd;"},
        {"question marks", BYTES("\x10\0\x20\0\?\?\x02\0xy" ID), "00100020\?\?2=xy;00100020LO4=abcd;"},
        {"spaces", BYTES("\x10\0\x20\0  \x02\0xy" ID), "00100020\?\?2=xy;00100020LO4=abcd;"},
        {"small letters", BYTES("\x10\0\x20\0lo\x02\0xy" ID), "00100020\?\?2=xy;00100020LO4=abcd;"},
        {"NULs", BYTES("\x10\0\x20\0\0\0\x02\0xy" ID), "00100020\?\?2=xy;00100020LO4=abcd;"},
        {"an implicit header", BYTES(ID_I ID), "00100020LOi4=abcd;00100020LO4=abcd;"},
        {"an implicit sequence with implicit items", BYTES(REFS "\x14\0\0\0" ITEM("\x0c") ID_I ID),
         "00081140SQi20[{1200100020LOi4=abcd;}]00100020LO4=abcd;"},
        {"an implicit sequence of undefined length", BYTES("\x09\0\x01\x10" U ITEM_U ID_I ITEM_D SEQ_D ID),
         "00091001SQiu[{u00100020LOi4=abcd;}.].00100020LO4=abcd;"},
        {"implicit elements in an explicit sequence", BYTES(REFS "SQ\0\0\x14\0\0\0" ITEM("\x0c") ID_I ID),
         "00081140SQ20[{1200100020LOi4=abcd;}]00100020LO4=abcd;"},
    };
    CHECK(readings, explicit_le);
}

static void what_cannot_be_is_a_fault(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"an item delimiter at depth 0", BYTES(ID ITEM_D ID), "00100020LO4=abcd;!a delimiter stands where it ends nothing"},
        {"a sequence delimiter at depth 0", BYTES(SEQ_D ID), "!a delimiter stands where it ends nothing"},
        {"an item at depth 0", BYTES(ITEM_U ID), "!an item stands outside of a sequence"},
        {"an item right in an item", BYTES(REFS "SQ\0\0" U ITEM_U ITEM_U ID),
         "00081140SQu[{u!an item stands outside of a sequence"},
        {"a sequence delimiter in an item", BYTES(REFS "SQ\0\0" U ITEM_U SEQ_D),
         "00081140SQu[{u!a delimiter stands where it ends nothing"},
        {"an item delimiter in a sequence", BYTES(REFS "SQ\0\0" U ITEM_D), "00081140SQu[!a delimiter stands where it ends nothing"},
        {"a delimiter in an item of defined length", BYTES(REFS "SQ\0\0" U ITEM("\x14") ID ITEM_D),
         "00081140SQu[{2000100020LO4=abcd;!a delimiter stands where it ends nothing"},
        {"a delimiter in a sequence of defined length", BYTES(REFS "SQ\0\0\x08\0\0\0" SEQ_D),
         "00081140SQ8[!a delimiter stands where it ends nothing"},
        {"no item in a sequence", BYTES(REFS "SQ\0\0" U ID), "00081140SQu[!something else stands where an item should"},
        {"no fragment in pixel data", BYTES(PIXELS "OB\0\0" U ID), "7FE00010OBu[!something else stands where an item should"},
        {"a fragment of undefined length", BYTES(PIXELS "OB\0\0" U ITEM_U),
         "7FE00010OBu[!a fragment has an undefined length"},
        {"text of undefined length", BYTES("\x08\0\x19\x01UC\0\0" U), "!a VR that cannot have an undefined length has one"},
        {"an item past its sequence", BYTES(REFS "SQ\0\0\x0c\0\0\0" ITEM("\x0c") ID),
         "00081140SQ12[!an item reaches past its sequence"},
        {"an element past its item", BYTES(REFS "SQ\0\0\x13\0\0\0" ITEM("\x0b") ID),
         "00081140SQ19[{11!an element reaches past what it stands in"},
        {"an element in an undefined item past the sequence", BYTES(REFS "SQ\0\0\x10\0\0\0" ITEM_U ID),
         "00081140SQ16[{u!an element reaches past what it stands in"},
        {"a header past its item", BYTES(REFS "SQ\0\0" U ITEM("\x04") ID),
         "00081140SQu[{4!what it stands in ends within a header or before a delimiter"},
        {"a long header past its item", BYTES(REFS "SQ\0\0" U ITEM("\x08") REFS "SQ\0\0\0\0\0\0"),
         "00081140SQu[{8!what it stands in ends within a header or before a delimiter"},
        {"an undefined item without its delimiter in a defined sequence", BYTES(REFS "SQ\0\0\x14\0\0\0" ITEM_U ID ID),
         "00081140SQ20[{u00100020LO4=abcd;!what it stands in ends within a header or before a delimiter"},
    };
    CHECK(readings, explicit_le);
}

static void an_end_in_the_middle_is_told(void **state)
{
    (void)state;
    static const struct reading readings[] = {
        {"in a header", BYTES(ID "\x10"), "00100020LO4=abcd;!the data set ends within the header of an element"},
        {"in a long header", BYTES(REFS "SQ\0\0\0"), "!the data set ends within the header of an element"},
        {"in a value", BYTES("\x10\0\x20\0LO\x04\0" "abc"), "00100020LO4!the data set ends within a value"},
        {"before a value", BYTES("\x10\0\x20\0LO\x04\0"), "00100020LO4!the data set ends within a value"},
        {"in a defined sequence", BYTES(REFS "SQ\0\0\x08\0\0\0"), "00081140SQ8[!the data set ends within a sequence or an item"},
        {"before a delimiter", BYTES(REFS "SQ\0\0" U ITEM("\0")),
         "00081140SQu[{0}!the data set ends before the delimiter of a sequence or an item"},
        {"in pixel data", BYTES(PIXELS "OB\0\0" U ITEM("\0")),
         "7FE00010OBu[<0=>!the data set ends before the delimiter of a sequence or an item"},
    };
    CHECK(readings, explicit_le);
}

static void sequences_and_items_are_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        bool skips_items;
        struct input in;
        const char *expected;
    } cases[] = {
        {"a defined sequence", false, BYTES(REFS "SQ\0\0\x14\0\0\0" ITEM("\x0c") ID ID),
         "00081140SQ20[=\\FE\\FF\\00\\E0\\0C\\00\\00\\00\\10\\00 \\00LO\\04\\00abcd;00100020LO4=abcd;"},
        {"an empty one", false, BYTES(REFS "SQ\0\0\0\0\0\0" ID), "00081140SQ0[=;00100020LO4=abcd;"},
        {"an undefined one with its delimiter", false, BYTES(REFS "SQ\0\0" U ITEM("\0") SEQ_D ID),
         "00081140SQu[=\\FE\\FF\\00\\E0\\00\\00\\00\\00\\FE\\FF\\DD\\E0\\00\\00\\00\\00;00100020LO4=abcd;"},
        {"the same inside of itself", false, BYTES(REFS "SQ\0\0" U ITEM_U REFS "SQ\0\0" U SEQ_D ITEM_D SEQ_D ID),
         "00081140SQu[=\\FE\\FF\\00\\E0\\FF\\FF\\FF\\FF\\08\\00@\\11SQ\\00\\00\\FF\\FF\\FF\\FF\\FE\\FF\\DD\\E0\\00\\00\\00\\00"
         "\\FE\\FF\\0D\\E0\\00\\00\\00\\00\\FE\\FF\\DD\\E0\\00\\00\\00\\00;00100020LO4=abcd;"},
        {"a defined item", true, BYTES(REFS "SQ\0\0" U ITEM("\x0c") ID SEQ_D ID),
         "00081140SQu[{12=\\10\\00 \\00LO\\04\\00abcd;].00100020LO4=abcd;"},
        {"an undefined item, another, and the end by length", true, BYTES(REFS "SQ\0\0\x24\0\0\0" ITEM_U ID ITEM_D ITEM("\0") ID),
         "00081140SQ36[{u=\\10\\00 \\00LO\\04\\00abcd\\FE\\FF\\0D\\E0\\00\\00\\00\\00;{0=;]00100020LO4=abcd;"},
        {"an element that has no inside", false, BYTES(REFS "LO\x02\0xy" ID), "00081140LO2=xy;00100020LO4=abcd;"},
        {"a fault inside", false, BYTES(REFS "SQ\0\0" U ITEM_U ITEM_U ID), "00081140SQu[!an item stands outside of a sequence"},
        {"an end inside", false, BYTES(REFS "SQ\0\0" U ITEM_U),
         "00081140SQu[!the data set ends before the delimiter of a sequence or an item"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct trace settings;
        settings.skip = DICOM_TAG(0x0008, 0x1140);
        settings.skips_items = cases[i].skips_items;
        print_message("  %s\n", cases[i].reason);
        check_every_cut(&settings, explicit_le, cases[i].in, cases[i].expected);
    }
}

/* What its writer had as a sequence, and somebody on its way did not know. */
static void un_of_defined_length_is_entered_on_demand(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {"with an item", BYTES(REFS "UN\0\0\x14\0\0\0" ITEM("\x0c") ID_I ID),
         "00081140UN20({1200100020LOi4=abcd;}]00100020LO4=abcd;"},
        {"without one", BYTES(REFS "UN\0\0\0\0\0\0" ID), "00081140UN0(]00100020LO4=abcd;"},
        {"with an item of undefined length", BYTES(REFS "UN\0\0\x1c\0\0\0" ITEM_U ID_I ITEM_D ID),
         "00081140UN28({u00100020LOi4=abcd;}.]00100020LO4=abcd;"},
        {"in a sequence of undefined length", BYTES(REFS "SQ\0\0" U ITEM_U REFS "UN\0\0\x08\0\0\0" ITEM("\0") ITEM_D SEQ_D),
         "00081140SQu[{u00081140UN8({0}]}.]."},
        {"no sequence", BYTES(REFS "UN\0\0\x0c\0\0\0" ID), "00081140UN12(!something else stands where an item should"},
        {"an item that is too long", BYTES(REFS "UN\0\0\x14\0\0\0" ITEM("\x0d") ID_I ID),
         "00081140UN20(!an item reaches past its sequence"},
        {"too short for an item", BYTES(REFS "UN\0\0\x04\0\0\0" "\xfe\xff\x00\xe0" ID),
         "00081140UN4(!what it stands in ends within a header or before a delimiter"},
        {"a delimiter", BYTES(REFS "UN\0\0\x08\0\0\0" SEQ_D ID), "00081140UN8(!a delimiter stands where it ends nothing"},
        {"an end inside", BYTES(REFS "UN\0\0\x14\0\0\0" ITEM("\x0c")),
         "00081140UN20({12!the data set ends within a sequence or an item"},
    };
    static const struct reading big = {"in big endian", BYTES("\x00\x08\x11\x40UN\0\0\0\0\0\x14" ITEM("\x0c") ID_I),
                                       "00081140UNb20({1200100020LOi4=abcd;}]"};
    static const struct trace settings = {.enters = true};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].reason);
        check_every_cut(&settings, explicit_le, cases[i].in, cases[i].expected);
    }
    check_every_cut(&settings, explicit_be, big.in, big.expected);
}

#define NO_ITEM "!something else stands where an item should!"
#define TOO_LONG "!an element reaches past what it stands in!"
#define CUT "!what it stands in ends within a header or before a delimiter!"

/* Text, or items in Explicit VR, whose lengths with their VRs make no sense: what has a length is passed over by it. */
static void a_fault_in_what_was_entered_on_demand_is_passed_over(void **state)
{
    (void)state;
    static const struct reading cases[] = {
        {"no sequence", BYTES(REFS "UN\0\0\x0c\0\0\0" ID ID), "00081140UN12(" NO_ITEM "=abcd;]00100020LO4=abcd;"},
        {"a few letters", BYTES(REFS "UN\0\0\x04\0\0\0" "none" ID), "00081140UN4(" CUT "=none;]00100020LO4=abcd;"},
        {"nothing behind the fault", BYTES(REFS "UN\0\0\x08\0\0\0" SEQ_D ID),
         "00081140UN8(!a delimiter stands where it ends nothing!=;]00100020LO4=abcd;"},
        {"in an item with a length, the next one is read",
         BYTES(REFS "UN\0\0\x28\0\0\0" ITEM("\x0c") ID ITEM("\x0c") ID_I ID),
         "00081140UN40({12" TOO_LONG "=abcd;}{1200100020LOi4=abcd;}]00100020LO4=abcd;"},
        {"in an item without one", BYTES(REFS "UN\0\0\x30\0\0\0" ITEM_U ID ITEM_D ITEM("\x0c") ID_I ID),
         "00081140UN48({u" TOO_LONG
         "=abcd\\FE\\FF\\0D\\E0\\00\\00\\00\\00\\FE\\FF\\00\\E0\\0C\\00\\00\\00\\10\\00 \\00\\04\\00\\00\\00abcd;}]00100020LO4=abcd;"},
        {"in a sequence in the item",
         BYTES(REFS "UN\0\0\x28\0\0\0" ITEM("\x20") REFS "\x0c\0\0\0" ID ID_I ID),
         "00081140UN40({3200081140SQi12[" NO_ITEM "=abcd;]00100020LOi4=abcd;}]00100020LO4=abcd;"},
        {"one without a length", BYTES(REFS "UN\0\0" U ITEM_U ID_I SEQ_D),
         "00081140UNu[{u00100020LOi4=abcd;!a delimiter stands where it ends nothing"},
        {"behind it nothing is", BYTES(REFS "UN\0\0\x04\0\0\0" "none" ITEM_D),
         "00081140UN4(" CUT "=none;]!a delimiter stands where it ends nothing"},
        {"an end inside", BYTES(REFS "UN\0\0\x0d\0\0\0" ID), "00081140UN13(" NO_ITEM "!the data set ends within a value"},
    };
    static struct trace settings = {.enters = true, .recovers = true};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        print_message("  %s\n", cases[i].reason);
        check_every_cut(&settings, explicit_le, cases[i].in, cases[i].expected);
    }
    settings.skip = DICOM_TAG(0x0008, 0x1140);
    settings.skips_items = true;
    static const struct reading walked = {
        "in an item that is walked over", BYTES(REFS "UN\0\0\x20\0\0\0" ITEM_U ID_I ITEM_U "\0\0\0\0" ID),
        "00081140UN32({u!an item stands outside of a sequence!=\\10\\00 \\00\\04\\00\\00\\00abcd\\FE\\FF\\00\\E0\\FF\\FF\\FF\\FF\\00\\00\\00\\00;]00100020LO4=abcd;"};
    check_every_cut(&settings, explicit_le, walked.in, walked.expected);
}
/* clang-format on */

static void passed_values_are_the_same_events_without_their_bytes(void **state)
{
    (void)state;
    static const struct input in = BYTES(ID REFS "SQ\0\0" U ITEM("\x0c") ID SEQ_D PIXELS "OB\0\0" U ITEM("\0")
                                             ITEM("\x04") "abcd" SEQ_D);
    static struct trace settings;
    settings.passes = true;
    check_every_cut(&settings, explicit_le, in,
                    "00100020LO4=;00081140SQu[{1200100020LO4=;}].7FE00010OBu[<0=><4=>].");
    settings.skip = DICOM_TAG(0x0008, 0x1140);
    check_every_cut(&settings, explicit_le, in, "00100020LO4=;00081140SQu[=;7FE00010OBu[<0=><4=>].");
}

static void a_gigabyte_of_pixels_is_passed_at_once(void **state)
{
    (void)state;
    static const uint8_t head[] = {0xe0, 0x7f, 0x10, 0, 'O', 'W', 0, 0, 0xfe, 0xff, 0xff, 0xff};
    static struct dicom_reader r;
    struct dicom_event e;
    const char *why;
    dicom_reader_init(&r, explicit_le);
    assert_int_equal(dicom_reader_next(&r, head, sizeof head, &e), sizeof head);
    assert_int_equal(e.kind, DICOM_EVENT_ELEMENT);
    assert_int_equal(dicom_reader_value_left(&r), 0xfffffffe);
    dicom_reader_pass(&r, UINT64_C(1) << 30);
    assert_int_equal(dicom_reader_next(&r, NULL, 0, &e), 0);
    assert_int_equal(e.kind, DICOM_EVENT_NONE);
    assert_int_equal(dicom_reader_end(&r, &why), ERR_PROTO);
    dicom_reader_pass(&r, dicom_reader_value_left(&r));
    assert_int_equal(dicom_reader_next(&r, NULL, 0, &e), 0);
    assert_true(e.kind == DICOM_EVENT_VALUE && e.is_last && e.len == 0);
    assert_int_equal(r.offset, UINT64_C(0xfffffffe) + sizeof head);
    assert_int_equal(dicom_reader_end(&r, &why), OK);
}

/* `depth` sequences in each other, all lengths undefined, without their delimiters. */
static enum dicom_event_kind read_nested(unsigned depth, bool skips)
{
    static const struct input level = BYTES(REFS "SQ\0\0" U ITEM_U);
    static struct dicom_reader r;
    struct dicom_event e = {.kind = DICOM_EVENT_NONE};
    dicom_reader_init(&r, explicit_le);
    for (unsigned i = 0; i < depth; i++) {
        size_t used = 0;
        do {
            used += dicom_reader_next(&r, level.at + used, level.len - used, &e);
            if (skips && r.offset == 12)
                dicom_reader_skip(&r);
            if (e.kind == DICOM_EVENT_FAULT)
                return e.kind;
        } while (e.kind != DICOM_EVENT_NONE);
    }
    return e.kind;
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    assert_int_equal(read_nested(DICOM_DEPTH_MAX, false), DICOM_EVENT_NONE);
    assert_int_equal(read_nested(DICOM_DEPTH_MAX + 1, false), DICOM_EVENT_FAULT);
    assert_int_equal(read_nested(DICOM_DEPTH_MAX, true), DICOM_EVENT_NONE);
    assert_int_equal(read_nested(DICOM_DEPTH_MAX + 1, true), DICOM_EVENT_FAULT);
}

static void events_tell_where_they_stand(void **state)
{
    (void)state;
    static const struct input in = BYTES(REFS "SQ\0\0" U ITEM_U ID ITEM_D SEQ_D);
    static const struct {
        enum dicom_event_kind kind;
        uint64_t offset;
        uint32_t tag;
        unsigned depth;
        uint8_t header_len;
    } expected[] = {
        {DICOM_EVENT_ELEMENT, 0, DICOM_TAG(0x0008, 0x1140), 0, 12},
        {DICOM_EVENT_ITEM, 12, DICOM_TAG(0x0008, 0x1140), 0, 8},
        {DICOM_EVENT_ELEMENT, 20, DICOM_TAG(0x0010, 0x0020), 1, 8},
        {DICOM_EVENT_VALUE, 28, DICOM_TAG(0x0010, 0x0020), 1, 0},
        {DICOM_EVENT_ITEM_END, 32, DICOM_TAG(0x0008, 0x1140), 0, 8},
        {DICOM_EVENT_SEQUENCE_END, 40, DICOM_TAG(0x0008, 0x1140), 0, 8},
        {DICOM_EVENT_NONE, 0, 0, 0, 0},
    };
    static struct dicom_reader r;
    struct dicom_event e;
    dicom_reader_init(&r, explicit_le);
    size_t used = 0;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        used += dicom_reader_next(&r, in.at + used, in.len - used, &e);
        assert_int_equal(e.kind, expected[i].kind);
        if (e.kind == DICOM_EVENT_NONE)
            break;
        assert_int_equal(e.offset, expected[i].offset);
        assert_int_equal(e.tag, expected[i].tag);
        assert_int_equal(e.depth, expected[i].depth);
        assert_int_equal(e.header_len, expected[i].header_len);
        assert_int_equal(r.offset, used);
    }
    assert_int_equal(used, in.len);
}

static void a_fault_stays(void **state)
{
    (void)state;
    static const struct input in = BYTES(ID ITEM_D ID);
    static struct dicom_reader r;
    struct dicom_event e;
    size_t used = 0;
    dicom_reader_init(&r, explicit_le);
    do
        used += dicom_reader_next(&r, in.at + used, in.len - used, &e);
    while (e.kind != DICOM_EVENT_FAULT);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dicom_reader_next(&r, in.at + used, in.len - used, &e), 0);
        assert_int_equal(e.kind, DICOM_EVENT_FAULT);
        assert_int_equal(e.offset, 12);
        assert_int_equal(e.tag, DICOM_ITEM_DELIMITATION);
        assert_non_null(e.why);
    }
}

static const char files[] = "/usr/lib/python3/dist-packages/pydicom/data/test_files";

static struct octets read_file(const char *name)
{
    char path[512], bytes[65536];
    struct octets all = {0};
    snprintf(path, sizeof path, "%s/%s", files, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, f)) > 0;)
        octets_append(&all, bytes, n);
    fclose(f);
    assert_false(all.failed);
    return all;
}

/* All that events say, but for the cuts of values. */
static uint64_t digest(uint64_t sum, const struct dicom_event *e, uint64_t value_len)
{
    const uint64_t facts[] = {e->kind,  e->tag,         e->vr,     e->length,
                              e->depth, e->is_fragment, e->enters, value_len};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        sum = (sum ^ facts[i]) * UINT64_C(1099511628211);
    return sum;
}

/* In pieces of `step` bytes. Returns a digest of the events. */
static uint64_t read_in_pieces(struct view data_set, struct dicom_encoding encoding, size_t step,
                               enum result *end_out)
{
    static struct dicom_reader r;
    struct dicom_event e;
    const char *why;
    uint64_t sum = 14695981039346656037U, value_len = 0;
    dicom_reader_init(&r, encoding);
    for (size_t at = 0; at < data_set.len; at += step) {
        const size_t len = step < data_set.len - at ? step : data_set.len - at;
        size_t used = 0;
        do {
            used += dicom_reader_next(&r, data_set.at + at + used, len - used, &e);
            if (e.kind == DICOM_EVENT_FAULT)
                fail_msg("%s at %llu", e.why, (unsigned long long)e.offset);
            if (e.kind == DICOM_EVENT_ELEMENT || e.kind == DICOM_EVENT_ITEM)
                value_len = 0;
            else if (e.kind == DICOM_EVENT_VALUE)
                value_len += e.len;
            if (e.kind != DICOM_EVENT_NONE && (e.kind != DICOM_EVENT_VALUE || e.is_last))
                sum = digest(sum, &e, value_len);
        } while (e.kind != DICOM_EVENT_NONE);
        assert_int_equal(used, len);
        assert_int_equal(r.offset, at + len);
    }
    *end_out = dicom_reader_end(&r, &why);
    return sum;
}

static void check_real_file(const char *name)
{
    struct octets all = read_file(name);
    struct part10_meta meta;
    const char *why;
    enum result whole_end, cut_end;
    bool is_deflated;
    if (part10_read(all.data, all.len, &meta, &why) == OK) {
        const struct dicom_encoding encoding = dicom_encoding_of(meta.transfer_syntax, &is_deflated);
        const struct view data_set = {all.data + meta.data_set_offset, all.len - meta.data_set_offset};
        if (!is_deflated) {
            const uint64_t whole = read_in_pieces(data_set, encoding, data_set.len, &whole_end);
            assert_int_equal(whole_end, strstr(name, "truncated") ? ERR_PROTO : OK);
            for (size_t step = 1; step < 20; step += 3) {
                assert_true(read_in_pieces(data_set, encoding, step, &cut_end) == whole);
                assert_int_equal(cut_end, whole_end);
            }
        }
    }
    octets_free(&all);
}

static void real_files_are_read(void **state)
{
    (void)state;
    DIR *dir = opendir(files);
    if (!dir) {
        print_message("skipped: no %s (package python3-pydicom)\n", files);
        skip();
    }
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir)) {
        const size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".dcm") == 0) {
            print_message("  %s\n", entry->d_name);
            check_real_file(entry->d_name);
        }
    }
    closedir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explicit_vr_is_read),
        cmocka_unit_test(encapsulated_pixel_data_is_read_at_any_depth),
        cmocka_unit_test(implicit_vr_takes_its_vr_from_the_dictionary),
        cmocka_unit_test(big_endian_is_read),
        cmocka_unit_test(un_of_undefined_length_is_implicit_vr_inside),
        cmocka_unit_test(what_has_no_vr_in_explicit_vr_is_read_as_its_writer_meant_it),
        cmocka_unit_test(what_cannot_be_is_a_fault),
        cmocka_unit_test(an_end_in_the_middle_is_told),
        cmocka_unit_test(sequences_and_items_are_skipped),
        cmocka_unit_test(un_of_defined_length_is_entered_on_demand),
        cmocka_unit_test(a_fault_in_what_was_entered_on_demand_is_passed_over),
        cmocka_unit_test(passed_values_are_the_same_events_without_their_bytes),
        cmocka_unit_test(a_gigabyte_of_pixels_is_passed_at_once),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(events_tell_where_they_stand),
        cmocka_unit_test(a_fault_stays),
        cmocka_unit_test(real_files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
