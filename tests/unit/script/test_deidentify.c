/* rules/deidentify.lua, anonymous_id.lua and the examples, on data sets of every kind of element at depth 0 and 2. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "dicom/charset.h"
#include "dicom/tag.h"
#include "loading.h"
#include "script/bind.h"
#include "script/rules.h"

#define COUNT(array)     (sizeof(array) / sizeof((array)[0]))
#define MEMORY_MAX       ((size_t)64 << 20)
#define CODE_OF_12345678 "GSATPPJMBS3E1EBB5NMV"

static const struct dicom_encoding *const encodings[] = {&tree_explicit, &tree_implicit, &tree_big_endian};

/* Where configurations find the modules: the folder `rules` beside them. Tests run at the project's root. */
static int make_folder_with_rules(void **state)
{
    char root[1024], target[1100], path[300];
    if (make_folder(state) != 0 || getcwd(root, sizeof(root)) == NULL) {
        return -1;
    }
    snprintf(target, sizeof(target), "%s/rules", root);
    snprintf(path, sizeof(path), "%s/rules", (char *)*state);
    return symlink(target, path);
}

struct morphing {
    struct loaded loaded;
    struct rules *rules;
    struct dicom_charsets *charsets;
    struct dicom_text text;
    /* of the last run */
    struct octets out;
    struct dicom_document after;
    bool tail_drops_private;
    uint32_t tail[BIND_TAIL_MAX];
    size_t tail_count;
};

#define HEAD                                                                                                 \
    "local deidentify = require 'deidentify'\nlocal anonymous_id = require 'anonymous_id'\n"                 \
    "gateway { uid_key = 'secret' }\nlisten { port = 11112, name = 'main' }\n"                               \
    "node 'pacs' { host = '10.1.0.5', ae_title = 'PACS' }\n"

/* One route with this morph, which stands on line 6. */
static struct morphing open_morph(const char *folder, const char *morph)
{
    static char text[8000];
    snprintf(text, sizeof(text), HEAD "route 'x' { to = 'pacs', morph = %s }\n", morph);
    struct morphing m = {.loaded = load_text(folder, text)};
    assert_fine(&m.loaded);
    struct problems problems;
    assert_int_equal(script_rules_open(m.loaded.config, &m.rules, &problems), OK);
    problems_free(&problems);
    m.charsets = dicom_charsets_new();
    assert_non_null(m.charsets);
    dicom_text_init(&m.text, m.charsets);
    return m;
}

static void forget_run(struct morphing *m)
{
    dicom_document_free(&m->after);
    m->after = (struct dicom_document){0};
    octets_clear(&m->out);
}

static void close_morph(struct morphing *m)
{
    forget_run(m);
    octets_free(&m->out);
    dicom_text_free(&m->text);
    dicom_charsets_free(&m->charsets);
    script_rules_close(&m->rules);
    free_loaded(&m->loaded);
}

/* Morphs, writes, reads again. */
static enum result run_on(struct morphing *m, const struct octets *in, struct dicom_encoding encoding,
                          uint32_t behind)
{
    struct dicom_document d;
    struct bind b;
    struct rules_assoc assoc = {.calling = view_of("CT1"),
                                .called = view_of("HILUM"),
                                .remote = view_of("10.1.2.3"),
                                .listener = view_of("main")};
    forget_run(m);
    struct view bytes = {in->data, in->len};
    assert_int_equal(dicom_document_parse(&d, bytes, encoding, behind, MEMORY_MAX), OK);
    bind_init(&b, &d, &m->text);
    b.sop_instance = view_of("1.2.3.45");
    b.behind = behind;
    struct rules_call call = {
        .route = &m->loaded.config->routes[0], .assoc = &assoc, .push = bind_push, .arg = &b};
    enum result r = rules_morph(m->rules, &call);
    if (r == OK) {
        assert_int_equal(dicom_document_write(&d, &m->out), OK);
        struct view written = {m->out.data, m->out.len};
        assert_int_equal(dicom_document_parse(&m->after, written, encoding, behind, MEMORY_MAX), OK);
    }
    m->tail_drops_private = b.tail_drops_private;
    m->tail_count = b.tail_count;
    memcpy(m->tail, b.tail, sizeof(b.tail));
    bind_free(&b);
    dicom_document_free(&d);
    return r;
}

static void run(struct morphing *m, const struct octets *in, struct dicom_encoding encoding)
{
    enum result r = run_on(m, in, encoding, 0x7FE00010);
    if (r != OK) {
        print_error("%s\n", rules_error(m->rules));
    }
    assert_int_equal(r, OK);
}

static struct dicom_data_set *root_of(struct morphing *m)
{
    return dicom_document_root(&m->after);
}

static struct dicom_data_set *item_of(struct dicom_data_set *ds, uint32_t tag, size_t i)
{
    struct dicom_data_set *item;
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    assert_non_null(e);
    assert_int_equal(dicom_element_item(e, i, &item), OK);
    return item;
}

/* The value in short: "-" there is none, "#2" a sequence of two items, "new" a UID that we made, else its text. */
static const char *shown(struct dicom_data_set *ds, uint32_t tag)
{
    static char text[300];
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    size_t count;
    if (e == NULL) {
        return "-";
    }
    if (dicom_element_vr(e) == DICOM_VR_SQ) {
        assert_int_equal(dicom_element_items(e, &count), OK);
        snprintf(text, sizeof(text), "#%zu", count);
        return text;
    }
    size_t len = e->value.len;
    while (len > 0 && (e->value.at[len - 1] == ' ' || e->value.at[len - 1] == '\0')) {
        len--;
    }
    snprintf(text, sizeof(text), "%.*s", (int)len, len == 0 ? "" : (const char *)e->value.at);
    return strncmp(text, "2.25.", 5) == 0 ? "new" : text;
}

static void assert_shows(struct dicom_data_set *ds, uint32_t tag, const char *expected)
{
    const char *found = shown(ds, tag);
    if (strcmp(found, expected) != 0) {
        fail_msg("(%04X,%04X) at depth %u is '%s', not '%s'", tag >> 16, tag & 0xFFFF,
                 dicom_data_set_depth(ds), found, expected);
    }
}

/* A sequence of one item that holds these bytes. */
static void put_item(struct octets *o, struct dicom_encoding encoding, uint32_t tag,
                     const struct octets *content)
{
    tree_head(o, encoding, tag, "SQ", (uint32_t)content->len + 8);
    tree_head(o, encoding, 0xFFFEE000, "", (uint32_t)content->len);
    octets_append(o, content->data, content->len);
}

#define SERIES 0x00081115U /* ReferencedSeriesSequence: not in the table */
#define IMAGES 0x00081140U /* ReferencedImageSequence: stays, X/Z/U* */

/* What there is of each kind of element, in order. A sequence has no value: it gets an item with a CodeValue. */
static const struct {
    uint32_t tag;
    const char *vr, *value;
} kinds[] = {
    {0x00080012, "DA", "20240228"},                    /* InstanceCreationDate */
    {0x00080016, "UI", "1.2.840.10008.5.1.4.1.1.2\0"}, /* SOPClassUID */
    {0x00080020, "DA", "20240229"},                    /* StudyDate */
    {0x00080022, "DA", "199607"},                      /* AcquisitionDate, without a day */
    {0x0008002A, "DT", "20240229101112.5+0100 "},      /* AcquisitionDateTime */
    {0x00080031, "TM", "101112"},                      /* SeriesTime */
    {0x00080050, "SH", "ACC1"},                        /* AccessionNumber */
    {0x00080080, "LO", "St. Elsewhere "},              /* InstitutionName */
    {0x00080201, "SH", "+0100 "},                      /* TimezoneOffsetFromUTC */
    {0x00081030, "LO", "CT of Jane Doe"},              /* StudyDescription */
    {0x00081050, "PN", "Doctor^Who"},                  /* PerformingPhysicianName */
    {0x00081070, "PN", "Op^A\\Op^B "},                 /* OperatorsName */
    {0x00081072, "SQ", NULL},                          /* OperatorIdentificationSequence */
    {0x00081110, "SQ", NULL},                          /* ReferencedStudySequence */
    {0x00081155, "UI", "1.2.3\0"},                     /* ReferencedSOPInstanceUID */
    {0x00100010, "PN", "Doe^Jane"},                    /* PatientName */
    {0x00100020, "LO", "12345 "},                      /* PatientID */
    {0x00101002, "SQ", NULL},                          /* OtherPatientIDsSequence */
    {0x00101010, "AS", "042Y"},                        /* PatientAge */
    {0x00181000, "LO", "SN 17 "},                      /* DeviceSerialNumber */
    {0x00189371, "UC", "detector"},                    /* XRayDetectorID */
    {0x00190010, "LO", "SIEMENS MR HEADER "},          /* safe, with an element that is */
    {0x00190011, "LO", "ACME 1"},                      /* nobody knows it */
    {0x0019100C, "IS", "1000"},
    {0x001910FE, "LO", "secret"},
    {0x0019110C, "LO", "secret"},
    {0x0020000D, "UI", "1.2.4\0"},                 /* StudyInstanceUID */
    {0x00200052, "UI", "1.2.840.10008.1.4.1.1\0"}, /* FrameOfReferenceUID: a well-known one */
    {0x00290010, "LO", "SIEMENS MR HEADER "},      /* without anything that is safe */
    {0x0040A730, "SQ", NULL},                      /* ContentSequence */
    {0x04000561, "SQ", NULL},                      /* OriginalAttributesSequence */
    {0x50000005, "LO", "curve "},
    {0x60000022, "LO", "overlay "}, /* OverlayDescription */
    {0x60023000, "OW", "bits"},     /* OverlayData */
};

static void put_kinds(struct octets *o, struct dicom_encoding encoding, const struct octets *series)
{
    struct octets coded = {0};
    tree_text(&coded, encoding, 0x00080100, "SH", "CODE");
    for (size_t i = 0; i < COUNT(kinds); i++) {
        if (series != NULL && kinds[i].tag > SERIES && kinds[i - 1].tag < SERIES) {
            octets_append(o, series->data, series->len);
        }
        if (kinds[i].value == NULL) {
            put_item(o, encoding, kinds[i].tag, &coded);
        } else {
            size_t len = strlen(kinds[i].value);
            tree_element(o, encoding, kinds[i].tag, kinds[i].vr, kinds[i].value, len + len % 2);
        }
    }
    octets_free(&coded);
}

/* All kinds at the root, and again two levels down. Freed by the caller. */
static struct octets example(struct dicom_encoding encoding)
{
    struct octets deepest = {0}, images = {0}, series = {0}, o = {0};
    put_kinds(&deepest, encoding, NULL);
    put_item(&images, encoding, IMAGES, &deepest);
    put_item(&series, encoding, SERIES, &images);
    put_kinds(&o, encoding, &series);
    octets_free(&deepest);
    octets_free(&images);
    octets_free(&series);
    return o;
}

static struct dicom_data_set *deepest_of(struct morphing *m)
{
    return item_of(item_of(root_of(m), SERIES, 0), IMAGES, 0);
}

/* Elements that an option does not name are as the profile makes them. */
static const struct {
    uint32_t tag;
    const char *expected;
} basic[] = {
    {0x00080012, "19000101"},
    {0x00080016, "1.2.840.10008.5.1.4.1.1.2"},
    {0x00080020, ""},
    {0x00080022, ""},
    {0x0008002A, "19000101000000"},
    {0x00080031, "000000"},
    {0x00080050, ""},
    {0x00080080, "ANONYMOUS"},
    {0x00080201, "-"},
    {0x00081030, "-"},
    {0x00081050, "-"},
    {0x00081070, "ANONYMOUS"},
    {0x00081072, "#1"},
    {0x00081110, "-"},
    {0x00081155, "new"},
    {0x00100010, ""},
    {0x00100020, "ANONYMOUS"},
    {0x00101002, "-"},
    {0x00101010, "-"},
    {0x00181000, "ANONYMOUS"},
    {0x00189371, "ANONYMOUS"},
    {0x00190010, "-"},
    {0x00190011, "-"},
    {0x0019100C, "-"},
    {0x001910FE, "-"},
    {0x0019110C, "-"},
    {0x0020000D, "new"},
    {0x00200052, "1.2.840.10008.1.4.1.1"},
    {0x00290010, "-"},
    {0x0040A730, "#1"},
    {0x04000561, "-"},
    {0x50000005, "-"},
    {0x60000022, "-"},
    {0x60023000, "-"},
};

struct other {
    uint32_t tag;
    const char *expected;
};

static const char *expected_of(size_t i, const struct other *others)
{
    for (; others->tag != 0; others++) {
        if (others->tag == basic[i].tag) {
            return others->expected;
        }
    }
    return basic[i].expected;
}

static void assert_level(struct dicom_data_set *ds, const struct other *others)
{
    for (size_t i = 0; i < COUNT(basic); i++) {
        assert_shows(ds, basic[i].tag, expected_of(i, others));
    }
}

static void assert_codes(struct morphing *m, const char *codes)
{
    char found[200] = "";
    struct dicom_element *e = dicom_data_set_find(root_of(m), 0x00120064);
    size_t count;
    assert_non_null(e);
    assert_int_equal(dicom_element_items(e, &count), OK);
    for (size_t i = 0; i < count; i++) {
        struct dicom_data_set *item = item_of(root_of(m), 0x00120064, i);
        assert_shows(item, 0x00080102, "DCM");
        strcat(found, i == 0 ? "" : " ");
        strcat(found, shown(item, 0x00080100));
    }
    assert_string_equal(found, codes);
}

#define CLEAN(result) "function (item, tag, value) return " result " end"

static const struct {
    const char *options, *codes, *temporal;
    struct other others[12];
} profiles[] = {
    {"", "113100", "REMOVED", {{0}}},
    {"retain_dates = false", "113100", "REMOVED", {{0}}},
    {"retain_safe_private = true",
     "113100 113111",
     "REMOVED",
     {{0x00190010, "SIEMENS MR HEADER"}, {0x0019100C, "1000"}, {0}}},
    {"retain_uids = true",
     "113100 113110",
     "REMOVED",
     {{0x00081155, "1.2.3"}, {0x0020000D, "1.2.4"}, {0x00081110, "#1"}, {0}}},
    {"retain_device = true",
     "113100 113109",
     "REMOVED",
     {{0x00181000, "SN 17"}, {0x00189371, "detector"}, {0}}},
    {"retain_institution = true", "113100 113112", "REMOVED", {{0x00080080, "St. Elsewhere"}, {0}}},
    {"retain_patient_characteristics = true", "113100 113108", "REMOVED", {{0x00101010, "042Y"}, {0}}},
    {"retain_dates = true",
     "113100 113106",
     "UNMODIFIED",
     {{0x00080012, "20240228"},
      {0x00080020, "20240229"},
      {0x00080022, "199607"},
      {0x0008002A, "20240229101112.5+0100"},
      {0x00080031, "101112"},
      {0x00080201, "+0100"},
      {0}}},
    {"modify_dates = 2", /* what cannot be moved is as in the profile */
     "113100 113107",
     "MODIFIED",
     {{0x00080012, "20240301"},
      {0x00080020, "20240302"},
      {0x0008002A, "20240302101112.5+0100"},
      {0x00080031, "101112"},
      {0}}},
    {"modify_dates = function (ds) return -#ds.PatientName end",
     "113100 113107",
     "MODIFIED",
     {{0x00080012, "20240220"},
      {0x00080020, "20240221"},
      {0x0008002A, "20240221101112.5+0100"},
      {0x00080031, "101112"},
      {0}}},
    {"clean_descriptors = true", "113100 113105", "REMOVED", {{0}}},
    {"clean_descriptors = " CLEAN("tag == 0x00081030 and value:sub(1, 2) or nil"),
     "113100 113105",
     "REMOVED",
     {{0x00081030, "CT"}, {0}}},
    {"clean_descriptors = " CLEAN("nil"), "113100 113105", "REMOVED", {{0}}},
    {"clean_structured = true", "113100 113104", "REMOVED", {{0}}},
    {"clean_structured = " CLEAN("{}"), "113100 113104", "REMOVED", {{0x0040A730, "#0"}, {0}}},
    {"clean_graphics = true", "113100 113103", "REMOVED", {{0}}},
    {"clean_graphics = " CLEAN("tag == 0x60023000 and 'BITS' or nil"),
     "113100 113103",
     "REMOVED",
     {{0x60023000, "BITS"}, {0x60000022, "overlay"}, {0}}},
    {"replace = { PatientID = 'P', ['0010,0010'] = " CLEAN("value .. item.PatientAge") " }",
     "113100",
     "REMOVED",
     {{0x00100020, "P"}, {0x00100010, "Doe^Jane042Y"}, {0}}},
    {"replace = { PatientID = " CLEAN("nil") " }", "113100", "REMOVED", {{0}}},
};

static void each_option_changes_what_it_names_and_nothing_else(void **state)
{
    for (size_t i = 0; i < COUNT(profiles); i++) {
        char morph[300];
        snprintf(morph, sizeof(morph), "deidentify { %s }", profiles[i].options);
        struct morphing m = open_morph(*state, morph);
        for (size_t k = 0; k < COUNT(encodings); k++) {
            struct octets in = example(*encodings[k]);
            run(&m, &in, *encodings[k]);
            assert_level(root_of(&m), profiles[i].others);
            assert_level(deepest_of(&m), profiles[i].others);
            assert_codes(&m, profiles[i].codes);
            assert_shows(root_of(&m), 0x00280303, profiles[i].temporal);
            assert_shows(root_of(&m), 0x00120062, "YES");
            assert_shows(root_of(&m), 0x00120063, "Hilum: PS3.15 Annex E");
            octets_free(&in);
        }
        close_morph(&m);
    }
}

static void dummies_of_sequences_name_nobody(void **state)
{
    struct morphing m = open_morph(*state, "deidentify {}");
    struct octets in = example(tree_explicit);
    run(&m, &in, tree_explicit);
    struct dicom_data_set *one = item_of(root_of(&m), 0x00081072, 0);
    assert_shows(one, 0x00080080, "ANONYMOUS");
    assert_shows(one, 0x00080100, "-");
    assert_shows(item_of(one, 0x00401101, 0), 0x00080100, "ANONYMOUS");
    struct dicom_data_set *content = item_of(root_of(&m), 0x0040A730, 0);
    assert_shows(content, 0x00080100, "-");
    assert_shows(content, 0x0040A010, "CONTAINS");
    assert_shows(content, 0x0040A040, "CONTAINER");
    octets_free(&in);
    close_morph(&m);
}

static void a_uid_becomes_the_same_everywhere(void **state)
{
    struct morphing m = open_morph(*state, "deidentify {}");
    struct octets in = {0};
    tree_text(&in, tree_explicit, 0x00080018, "UI", "1.2.3.45");
    tree_text(&in, tree_explicit, 0x00080058, "UI", "1.2.3.45\\1.2.840.10008.1.1\\9");
    run(&m, &in, tree_explicit);
    struct dicom_element *one = dicom_data_set_find(root_of(&m), 0x00080018);
    struct dicom_element *list = dicom_data_set_find(root_of(&m), 0x00080058);
    size_t len = strnlen((const char *)one->value.at, one->value.len);
    assert_memory_equal(one->value.at, list->value.at, len);
    assert_memory_equal(list->value.at + len, "\\1.2.840.10008.1.1\\2.25.", 24);
    octets_free(&in);
    close_morph(&m);
}

static void what_is_behind_pixel_data_goes_unseen(void **state)
{
    static const char *const morphs[] = {"deidentify {}", "deidentify { retain_safe_private = true }"};
    for (size_t i = 0; i < COUNT(morphs); i++) {
        struct morphing m = open_morph(*state, morphs[i]);
        struct octets in = example(tree_explicit);
        run(&m, &in, tree_explicit);
        assert_true(m.tail_drops_private);
        assert_int_equal(m.tail_count, 2);
        assert_int_equal(m.tail[0], 0xFFFAFFFA);
        assert_int_equal(m.tail[1], 0xFFFCFFFC);
        octets_free(&in);
        close_morph(&m);
    }
}

/* A study of one date. Freed by the caller. */
static struct octets study(const char *patient, const char *day)
{
    struct octets o = {0};
    tree_text(&o, tree_explicit, 0x00080020, "DA", day);
    tree_text(&o, tree_explicit, 0x00080050, "SH", "ACC1");
    tree_text(&o, tree_explicit, 0x00100020, "LO", patient);
    tree_text(&o, tree_explicit, 0x00100021, "LO", "SITE");
    return o;
}

static void run_study(struct morphing *m, const char *patient, const char *day, uint32_t tag,
                      char shown_out[300])
{
    struct octets in = study(patient, day);
    run(m, &in, tree_explicit);
    strcpy(shown_out, shown(root_of(m), tag));
    octets_free(&in);
}

/* Of a DA, since 1970. */
static long day_of(const char *date)
{
    struct tm tm = {0};
    assert_non_null(strptime(date, "%Y%m%d", &tm));
    return (long)(timegm(&tm) / 86400);
}

static void studies_of_a_patient_stay_as_far_apart(void **state)
{
    char a[300], b[300], c[300];
    struct morphing m = open_morph(*state, "deidentify { modify_dates = true }");
    run_study(&m, "12345678", "20240110", 0x00080020, a);
    run_study(&m, "12345678", "20240115", 0x00080020, b);
    run_study(&m, "87654321", "20240110", 0x00080020, c);
    assert_int_equal(day_of(b) - day_of(a), 5);
    assert_string_not_equal(a, c);
    assert_true(strcmp(a, "20240110") < 0 && strcmp(a, "20190101") > 0);
    close_morph(&m);
}

/* By hand: printf %s patient:12345678 | openssl dgst -sha256 -hmac secret, its digits by five as in the module's head. */
static void codes_of_patients_follow_from_the_key(void **state)
{
    static const struct {
        const char *morph;
        const char *prefix, *accession_prefix;
    } cases[] = {
        {"anonymous_id.morph()", "", ""},
        {"anonymous_id.morph { prefix = 'R7-', accession_prefix = 'R7-' }", "R7-", "R7-"},
        {"deidentify { replace = anonymous_id.values { prefix = 'R7-' } }", "R7-", ""},
        {"deidentify { replace = anonymous_id.values { with_issuer = true } }", "", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char patient[300], again[300], other[300], accession[300];
        struct morphing m = open_morph(*state, cases[i].morph);
        run_study(&m, "12345678", "20240110", 0x00100020, patient);
        run_study(&m, "12345678", "20250110", 0x00100020, again);
        run_study(&m, "12345679", "20240110", 0x00100020, other);
        run_study(&m, "12345678", "20240110", 0x00080050, accession);
        assert_string_equal(patient, again);
        assert_string_not_equal(patient, other);
        assert_int_equal(strlen(patient), 20 + strlen(cases[i].prefix));
        assert_int_equal(strlen(accession), 16);
        assert_memory_equal(patient, cases[i].prefix, strlen(cases[i].prefix));
        assert_memory_equal(accession, cases[i].accession_prefix, strlen(cases[i].accession_prefix));
        const char *code = patient + strlen(cases[i].prefix);
        assert_int_equal(strcmp(code, CODE_OF_12345678) == 0, i < 3); /* the last one has an issuer */
        for (const char *p = code; *p != '\0'; p++) {
            assert_true(isdigit((unsigned char)*p) || isupper((unsigned char)*p));
        }
        close_morph(&m);
    }
}

static void what_was_recorded_before_stays(void **state)
{
    struct morphing m = open_morph(*state, "deidentify {}");
    struct octets in = {0}, coded = {0};
    tree_text(&coded, tree_explicit, 0x00080100, "SH", "113101");
    tree_text(&coded, tree_explicit, 0x00080102, "SH", "DCM ");
    tree_text(&in, tree_explicit, 0x00120063, "LO", "by hand ");
    put_item(&in, tree_explicit, 0x00120064, &coded);
    for (int again = 0; again < 2; again++) { /* the second time there is nothing to add */
        run(&m, &in, tree_explicit);
        assert_shows(root_of(&m), 0x00120063, "by hand\\Hilum: PS3.15 Annex E");
        assert_codes(&m, "113101 113100");
        octets_clear(&in);
        octets_append(&in, m.out.data, m.out.len);
    }
    octets_free(&coded);
    octets_clear(&in);
    static const char longer[] =
        "far more than the sixty-four characters that an LO can have, as some write it";
    tree_text(&in, tree_explicit, 0x00120063, "LO", longer);
    run(&m, &in, tree_explicit);
    assert_shows(root_of(&m), 0x00120063, "Hilum: PS3.15 Annex E");
    octets_free(&in);
    close_morph(&m);
}

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

/* At the root before anything is changed, and once; below it when the walk comes there. */
static void replacements_see_the_root_as_it_came(void **state)
{
    struct morphing m = open_morph(*state, "deidentify { replace = { PatientName = (function ()\n"
                                           "  local n = 0 return function (item, tag, value)\n"
                                           "    n = n + 1 return item.AccessionNumber .. n end end)() } }");
    struct octets in = example(tree_explicit);
    run(&m, &in, tree_explicit);
    assert_shows(root_of(&m), 0x00100010, "ACC11");
    assert_shows(deepest_of(&m), 0x00100010, "2");
    run(&m, &in, tree_explicit);
    assert_shows(root_of(&m), 0x00100010, "ACC13");
    octets_free(&in);
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

static void wrong_options_are_refused_where_they_stand(void **state)
{
    static const struct {
        const char *morph, *problem;
    } cases[] = {
        {"deidentify { retain_date = true }",
         "deidentify: 'retain_date' is no option; there are clean_descriptors"},
        {"deidentify { retain_uids = 1 }", "deidentify: retain_uids cannot be a number"},
        {"deidentify { retain_uids = function () end }", "deidentify: retain_uids cannot be a function"},
        {"deidentify { modify_dates = 1.5 }", "deidentify: modify_dates is a whole number of days"},
        {"deidentify { retain_dates = true, modify_dates = 1 }", "deidentify: retain_dates and modify_dates"},
        {"deidentify { replace = 1 }", "deidentify: replace is a table"},
        {"deidentify { replace = { PatientNam = 'x' } }",
         "deidentify: replace: the profile knows no 'PatientNam'"},
        {"deidentify()", "deidentify: it is called with a table of options"},
        {"anonymous_id.morph { prefx = 'x' }", "anonymous_id: 'prefx' is no option"},
        {"anonymous_id.morph { accession_prefix = 'SITE7' }",
         "anonymous_id: accession_prefix is a text of at most 4"},
        {"anonymous_id.morph { prefix = 'a\\\\b' }", "anonymous_id: prefix is a text of at most 44"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), HEAD "route 'x' { to = 'pacs', morph = %s }\n", cases[i].morph);
        struct loaded l = load_text(*state, text);
        assert_int_equal(l.result, ERR_USAGE);
        const char *problem = problem_at(&l, 0, 6);
        if (problem == NULL || strstr(problem, cases[i].problem) == NULL) {
            fail_msg("%s", l.problems.items[0].text);
        }
        free_loaded(&l);
    }
}

/* What each example changes, at the root. */
static void the_examples_do_what_they_say(void **state)
{
    static const struct {
        const char *morph;
        struct {
            uint32_t tag;
            const char *vr, *value;
        } before[3];
        struct other after[3];
    } cases[] = {
        {"require('examples.hospital_prefix') { patient = 'S7-', accession = 'S7-' }",
         {{0x00080050, "SH", "S7-9"}, {0x00100020, "LO", "12"}},
         {{0x00080050, "S7-9"}, {0x00100020, "S7-12"}}},
        {"require('examples.hospital_prefix') { patient = 'S7-' }",
         {{0x00080050, "SH", "17"}, {0x00100020, "LO", ""}},
         {{0x00080050, "17"}, {0x00100020, ""}}},
        {"require('examples.issuer_of_patient_id') { CT1 = 'GENERAL', ['CT*'] = 'OTHER' }",
         {{0x00100020, "LO", "12"}},
         {{0x00100021, "GENERAL"}, {0x00100024, "-"}}},
        {"require('examples.issuer_of_patient_id') { CT2 = 'A', ['C?1'] = { name = 'B', oid = '1.2.3' } }",
         {{0x00100020, "LO", "12"}, {0x00100021, "LO", ""}},
         {{0x00100021, "B"}, {0x00100024, "#1"}}},
        {"require('examples.issuer_of_patient_id') { ['C.*'] = 'A', default = 'B' }",
         {{0x00100021, "LO", "OWN "}},
         {{0x00100021, "OWN"}}},
        {"require('examples.issuer_of_patient_id') { ['C.*'] = 'A', default = 'B' }",
         {{0x00100020, "LO", "12"}},
         {{0x00100021, "B"}}},
        {"require('examples.issuer_of_patient_id') { CT2 = 'A' }",
         {{0x00100020, "LO", "12"}},
         {{0x00100021, "-"}}},
        {"require('examples.institution_by_station') { EAST = { InstitutionName = 'Here' } }",
         {{0x00080080, "LO", "There "}, {0x00081010, "SH", "EAST"}},
         {{0x00080080, "Here"}}},
        {"require('examples.institution_by_station') { CT1 = { InstitutionName = 'Here' } }",
         {{0x00081010, "SH", ""}},
         {{0x00080080, "Here"}}},
        {"require('examples.institution_by_station') { CT1 = { InstitutionName = 'Here' } }",
         {{0x00080080, "LO", "There "}, {0x00081010, "SH", "WEST"}},
         {{0x00080080, "There"}}},
        {"require 'examples.charset_to_utf8'",
         {{0x00080005, "CS", "ISO_IR 100"}, {0x00100010, "PN", "M\xfcller"}},
         {{0x00080005, "ISO_IR 192"}, {0x00100010, "M\xc3\xbcller"}}},
        {"require 'examples.charset_to_utf8'", /* it says nothing, and is UTF-8 */
         {{0x00100010, "PN", "M\xc3\xbcller "}},
         {{0x00080005, "ISO_IR 192"}, {0x00100010, "M\xc3\xbcller"}}},
        {"require 'examples.charset_to_utf8'",
         {{0x00080005, "CS", "GB18030 "}, {0x00100010, "PN", "\xc4\xe3"}},
         {{0x00080005, "GB18030"}, {0x00100010, "\xc4\xe3"}}},
        {"require 'examples.device_fixups'",
         {{0x00080020, "DA", "2024.02.28"}, {0x00080070, "LO", "OLDSCAN 3 "}},
         {{0x00080020, "20240228"}}},
        {"require 'examples.device_fixups'",
         {{0x00080020, "DA", "2024.02.28"}, {0x00080070, "LO", "OTHER "}},
         {{0x00080020, "2024.02.28"}}},
        {"require 'examples.device_fixups'",
         {{0x00080070, "LO", "ACME Ltd"}, {0x00081090, "LO", "US-2"}, {0x00181030, "LO", "Liver "}},
         {{0x00081030, "Liver"}}},
        {"require 'examples.device_fixups'",
         {{0x00080070, "LO", "SCANMAKER "},
          {0x00290010, "LO", "SCANMAKER SERVICE "},
          {0x00291020, "LO", "he"}},
         {{0x00291020, "-"}, {0x00080070, "SCANMAKER"}}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct morphing m = open_morph(*state, cases[i].morph);
        struct octets in = {0};
        for (size_t k = 0; k < COUNT(cases[i].before) && cases[i].before[k].tag != 0; k++) {
            tree_text(&in, tree_explicit, cases[i].before[k].tag, cases[i].before[k].vr,
                      cases[i].before[k].value);
        }
        run(&m, &in, tree_explicit);
        for (size_t k = 0; k < COUNT(cases[i].after) && cases[i].after[k].tag != 0; k++) {
            assert_shows(root_of(&m), cases[i].after[k].tag, cases[i].after[k].expected);
        }
        octets_free(&in);
        close_morph(&m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_option_changes_what_it_names_and_nothing_else),
        cmocka_unit_test(dummies_of_sequences_name_nobody),
        cmocka_unit_test(a_uid_becomes_the_same_everywhere),
        cmocka_unit_test(what_is_behind_pixel_data_goes_unseen),
        cmocka_unit_test(studies_of_a_patient_stay_as_far_apart),
        cmocka_unit_test(codes_of_patients_follow_from_the_key),
        cmocka_unit_test(what_was_recorded_before_stays),
        cmocka_unit_test(values_of_unexpected_vrs_do_not_survive),
        cmocka_unit_test(an_instance_always_gets_a_new_name),
        cmocka_unit_test(a_uid_of_any_vr_is_replaced_or_goes),
        cmocka_unit_test(replacements_see_the_root_as_it_came),
        cmocka_unit_test(duplicates_do_not_survive),
        cmocka_unit_test(safe_sequences_are_read_or_go),
        cmocka_unit_test(references_tell_nothing_but_new_uids),
        cmocka_unit_test(an_invalid_reference_becomes_a_new_one),
        cmocka_unit_test(sequences_that_come_as_bytes_do_not_survive),
        cmocka_unit_test(wrong_options_are_refused_where_they_stand),
        cmocka_unit_test(the_examples_do_what_they_say),
    };
    return cmocka_run_group_tests(tests, make_folder_with_rules, remove_folder);
}
