/* rules/deidentify.lua, anonymous_id.lua and the examples, on data sets of every kind of element at depth 0 and 2. */
#include <ctype.h>
#include <time.h>

#include "morphing.h"

#define CODE_OF_12345678 "F3WPJD596KHW7WCVRQQF"

#define SERIES 0x00081115U /* ReferencedSeriesSequence: not in the table */

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

/* By hand: printf %s patient:12345678 | openssl dgst -sha256 -hmac "a secret of some length", its digits by five as in the module's head. */
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
        cmocka_unit_test(replacements_see_the_root_as_it_came),
        cmocka_unit_test(wrong_options_are_refused_where_they_stand),
        cmocka_unit_test(the_examples_do_what_they_say),
    };
    return cmocka_run_group_tests(tests, make_folder_with_rules, remove_folder);
}
