/* What one route makes of a message: its header, who the instance is then, and what is left of what stands behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "dicom/deflate.h"
#include "dicom/tag.h"
#include "dicom/uid.h"
#include "relay/edition.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SOP_CLASS    "1.2.840.10008.5.1.4.1.1.2"

enum { MODALITY = DICOM_TAG(0x0008, 0x0060), PATIENT_ID = DICOM_TAG(0x0010, 0x0020), MEMORY_MAX = 1 << 20 };

/* A morph stands between begin and make: the tests do what it would. */
struct scene {
    struct pool pool;
    struct octets in; /* the header */
    struct gathered *gathered;
    struct octets out; /* what the sink got */
    struct dicom_charsets *charsets;
    struct dicom_text text;
    struct dicom_document document;
    struct dicom_data_set *root;
    struct bind bind;
    struct dimse_command command;
    struct sink_message received;
    struct edition edition;
    struct stage *stage;
    struct sink sink;
    bool has_failed;
    unsigned flows, finishes;
};

static void put_class(struct octets *o, struct dicom_encoding e)
{
    tree_element(o, e, DICOM_SOP_CLASS_UID, "UI", SOP_CLASS, sizeof(SOP_CLASS)); /* its NUL is the padding */
}

static void begin(struct scene *s, struct dicom_encoding e, const char *instance)
{
    static const struct config config = {.header_max = MEMORY_MAX};
    struct gathered_options options = {.config = &config};
    pool_init(&s->pool, 16 * BUF_BYTES);
    s->gathered = gathered_new(&options);
    assert_non_null(s->gathered);
    s->charsets = dicom_charsets_new();
    assert_non_null(s->charsets);
    dicom_text_init(&s->text, s->charsets);
    put_class(&s->in, e);
    if (instance)
        tree_text(&s->in, e, DICOM_SOP_INSTANCE_UID, "UI", instance);
    tree_text(&s->in, e, MODALITY, "CS", "CT");
    tree_text(&s->in, e, PATIENT_ID, "LO", "id");
    struct view bytes = {s->in.data, s->in.len};
    assert_int_equal(dicom_document_parse(&s->document, bytes, e, DICOM_PIXEL_DATA, MEMORY_MAX), OK);
    s->root = dicom_document_root(&s->document);
    bind_init(&s->bind, &s->document, &s->text);
    s->bind.behind = DICOM_PIXEL_DATA;
    edition_begin(&s->edition, &s->document);
    s->command = (struct dimse_command){.affected_class = view_of(SOP_CLASS),
                                        .affected_instance = {(const uint8_t *)"1.2.34\0", 7}};
    s->received = (struct sink_message){.command = &s->command,
                                        .sop_class = dicom_uid_trim(s->command.affected_class),
                                        .sop_instance = dicom_uid_trim(s->command.affected_instance),
                                        .calling = "CT1"};
}

static void make(struct scene *s)
{
    assert_int_equal(edition_make(&s->edition, &s->bind, s->gathered, &s->pool, &s->received, NULL), OK);
    s->edition.received_header_len = s->in.len;
}

static void end(struct scene *s)
{
    stage_free(&s->stage);
    edition_free(&s->edition);
    gathered_free(&s->gathered);
    assert_null(s->edition.header.buf);
    bind_free(&s->bind);
    dicom_document_free(&s->document);
    dicom_text_free(&s->text);
    dicom_charsets_free(&s->charsets);
    octets_free(&s->in);
    octets_free(&s->out);
    assert_int_equal(s->pool.in_use, 0);
    pool_free(&s->pool);
}

static void put(struct scene *s, uint32_t tag, enum dicom_vr vr, const char *text)
{
    assert_int_equal(dicom_data_set_put(s->root, tag, vr, view_of(text)), OK);
}

static bool is_same(struct view a, struct view b)
{
    return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
}

static void without_a_change_it_is_the_message_as_it_came(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    begin(&s, tree_explicit, "1.2.34");
    put(&s, PATIENT_ID, DICOM_VR_LO, "id"); /* that is there already */
    make(&s);
    assert_false(s.edition.is_changed);
    assert_null(s.edition.header.buf);
    assert_ptr_equal(s.edition.facts.command, &s.command);
    assert_true(is_same(s.edition.facts.sop_instance, s.received.sop_instance));
    end(&s);
}

static void a_change_makes_a_header_and_leaves_the_command(void **state)
{
    static const struct dicom_encoding *const encodings[] = {&tree_explicit, &tree_implicit,
                                                             &tree_big_endian};
    (void)state;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        struct scene s = {.in = {0}};
        struct octets expected = {0};
        begin(&s, *encodings[i], "1.2.34");
        put(&s, PATIENT_ID, DICOM_VR_LO, "other");
        make(&s);
        put_class(&expected, *encodings[i]);
        tree_text(&expected, *encodings[i], DICOM_SOP_INSTANCE_UID, "UI", "1.2.34");
        tree_text(&expected, *encodings[i], MODALITY, "CS", "CT");
        tree_text(&expected, *encodings[i], PATIENT_ID, "LO", "other ");
        assert_true(s.edition.is_changed);
        assert_int_equal(s.edition.header.len, expected.len);
        assert_memory_equal(s.edition.header.at, expected.data, expected.len);
        /* Byte for byte, padding and all. */
        assert_true(is_same(s.edition.facts.command->affected_instance, s.command.affected_instance));
        assert_true(is_same(s.edition.facts.command->affected_class, s.command.affected_class));
        assert_string_equal(s.edition.facts.calling, "CT1");
        assert_int_equal(s.edition.encoding.is_big_endian, encodings[i]->is_big_endian);
        octets_free(&expected);
        end(&s);
    }
}

static void a_renamed_instance_is_renamed_in_its_command_too(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    begin(&s, tree_explicit, "1.2.34");
    put(&s, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "2.25.7");
    put(&s, DICOM_SOP_CLASS_UID, DICOM_VR_UI, "1.2.3");
    make(&s);
    assert_true(is_same(s.edition.facts.sop_instance, view_of("2.25.7")));
    assert_true(is_same(s.edition.facts.command->affected_instance, view_of("2.25.7")));
    assert_true(is_same(s.edition.facts.sop_class, view_of("1.2.3")));
    assert_true(is_same(s.edition.facts.command->affected_class, view_of("1.2.3")));
    /* The sender is answered by what it said. */
    assert_true(is_same(s.received.sop_instance, view_of("1.2.34")));
    assert_int_equal(s.command.affected_instance.len, 7);
    end(&s);
}

/* What stood there before, if anything, was no UID. */
static void a_uid_that_is_added_renames_too(void **state)
{
    static const char *const before[] = {NULL, "", "20240228", "1.2.34\\1.2.34 "};
    (void)state;
    for (size_t i = 0; i < COUNT(before); i++) {
        struct scene s = {.in = {0}};
        begin(&s, tree_explicit, before[i]);
        put(&s, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "2.25.7");
        make(&s);
        assert_true(is_same(s.edition.facts.sop_instance, view_of("2.25.7")));
        assert_true(is_same(s.edition.facts.command->affected_instance, view_of("2.25.7")));
        assert_true(is_same(s.received.sop_instance, view_of("1.2.34")));
        end(&s);
    }
}

/* Two UIDs where one should be, as they came, may be mapped one by one: the first is who it is. */
static void of_two_uids_the_first_counts(void **state)
{
    (void)state;
    for (int is_mapped = 0; is_mapped < 2; is_mapped++) {
        struct scene s = {.in = {0}};
        begin(&s, tree_explicit, "1.2.34\\1.2.35 ");
        put(&s, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, is_mapped ? "2.25.7\\2.25.8" : "1.2.34\\2.25.8");
        make(&s);
        assert_true(is_same(s.edition.facts.sop_instance, view_of(is_mapped ? "2.25.7" : "1.2.34")));
        if (!is_mapped)
            assert_true(is_same(s.edition.facts.command->affected_instance, s.command.affected_instance));
        end(&s);
    }
}

/* Its UID is not in the data set, or is no UID: it is still who the command says. */
static void without_a_uid_it_is_who_it_was(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct scene s = {.in = {0}};
        begin(&s, tree_explicit, how == 0 ? NULL : "1.2.34");
        put(&s, PATIENT_ID, DICOM_VR_LO, "other");
        if (how == 1)
            put(&s, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "");
        else if (how == 2)
            assert_true(dicom_data_set_remove(s.root, DICOM_SOP_INSTANCE_UID));
        make(&s);
        assert_true(is_same(s.edition.facts.sop_instance, view_of("1.2.34")));
        assert_true(is_same(s.edition.facts.command->affected_instance, s.command.affected_instance));
        end(&s);
    }
}

static void an_attribute_is_that_of_the_edition(void **state)
{
    (void)state;
    struct dicom_path_fault fault;
    struct config_attribute attributes[2] = {{.text = NULL}, {.text = NULL}};
    const struct config config = {.attributes = attributes, .attribute_count = 2};
    bool wanted[2] = {true, false};
    assert_int_equal(dicom_path_parse(view_of("PatientID"), &attributes[0].path, &fault), OK);
    assert_int_equal(dicom_path_parse(view_of("Modality"), &attributes[1].path, &fault), OK);
    struct hold h = {.wanted = wanted};
    struct scene s = {.in = {0}};
    begin(&s, tree_explicit, "1.2.34");
    put(&s, PATIENT_ID, DICOM_VR_LO, "other");
    make(&s);
    assert_int_equal(edition_take_attributes(&s.edition, &h, &config, s.charsets), OK);
    assert_ptr_equal(s.edition.facts.attributes, &s.edition.attributes);
    assert_true(is_same(route_attributes_text(&s.edition.attributes, 0), view_of("other")));
    assert_false(s.edition.attributes.of[1].is_known);
    end(&s);
}

/* --- behind the header ------------------------------------------------------------------------------------- */

static struct scene *scene_of(struct sink *sink)
{
    return (struct scene *)((char *)sink - offsetof(struct scene, sink));
}

static void sink_data(struct sink *sink, struct buf *b, uint8_t *at, uint32_t len)
{
    assert_true(len > 0 && at >= b->data &&
                at + len <= b->data + b->used); /* what is kept is kept by its buffer */
    octets_append(&scene_of(sink)->out, at, len);
}

static void sink_flow(struct sink *sink)
{
    scene_of(sink)->flows++;
}

static void sink_finish(struct sink *sink)
{
    scene_of(sink)->finishes++;
}

static const struct sink_ops sink_ops = {.data = sink_data, .flow = sink_flow, .finish = sink_finish};

static void on_failed(struct stage *st, uint16_t status, const char *what)
{
    (void)status;
    (void)what;
    scene_of(st->sink)->has_failed = true;
    st->sink->is_done = true; /* as the message does */
}

static void open_stage(struct scene *s)
{
    s->sink.ops = &sink_ops;
    s->stage = stage_tail_new(&s->sink, &s->pool, &s->edition);
    assert_non_null(s->stage);
    s->stage->on_failed = on_failed;
}

/* The whole message in pieces, each in a buffer of its own. */
static void feed(struct scene *s, const struct octets *message, size_t piece)
{
    for (size_t at = 0; at < message->len; at += piece) {
        size_t len = message->len - at < piece ? message->len - at : piece;
        struct buf *b = buf_scratch(&s->pool, len);
        memcpy(b->data, message->data + at, len);
        b->used = (uint32_t)len;
        stage_data(s->stage, &s->sink, b, b->data, b->used);
        buf_unref(&b);
    }
    stage_finish(s->stage, &s->sink);
}

static void add_signature(struct octets *o)
{
    tree_head(o, tree_explicit, DICOM_DIGITAL_SIGNATURES, "SQ", DICOM_UNDEFINED_LENGTH);
    tree_head(o, tree_explicit, DICOM_ITEM, "", 0);
    tree_head(o, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
}

/* bit 0 private, bit 1 padding, bit 2 signature */
static void add_tail(struct octets *o, unsigned parts)
{
    tree_element(o, tree_explicit, DICOM_PIXEL_DATA, "OW", "pixels of the image ", 20);
    if (parts & 1)
        tree_element(o, tree_explicit, DICOM_TAG(0x7FE1, 0x0010), "LO", "ACME", 4);
    if (parts & 2)
        tree_element(o, tree_explicit, DICOM_TRAILING_PADDING, "OB", "\0\0\0\0", 4);
    if (parts & 4)
        add_signature(o);
}

static void what_stands_behind_passes_but_for_what_is_dropped(void **state)
{
    static const struct {
        bool drops_padding, drops_private;
        unsigned left;
    } cases[] = {{false, false, 3}, {true, false, 1}, {false, true, 2}, {true, true, 0}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        for (size_t piece = 1; piece < 250; piece += piece < 30 ? 1 : 40) {
            struct scene s = {.in = {0}};
            struct octets message = {0}, expected = {0};
            begin(&s, tree_explicit, "1.2.34");
            put(&s, PATIENT_ID, DICOM_VR_LO, "much longer than before");
            if (cases[i].drops_padding)
                s.bind.tail[s.bind.tail_count++] = DICOM_TRAILING_PADDING;
            s.bind.tail_drops_private = cases[i].drops_private;
            make(&s);
            octets_append(&message, s.in.data, s.in.len);
            add_tail(&message, 7);
            octets_append(&expected, s.edition.header.at, s.edition.header.len);
            add_tail(&expected, cases[i].left);
            open_stage(&s);
            stage_flow(s.stage, &s.sink);
            feed(&s, &message, piece);
            assert_int_equal(s.out.len, expected.len);
            assert_memory_equal(s.out.data, expected.data, expected.len);
            assert_true(s.flows == 1 && s.finishes == 1 && !s.has_failed);
            octets_free(&message);
            octets_free(&expected);
            end(&s);
        }
}

static void rules_for_the_tail_alone_are_a_change(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) {
        struct scene s = {.in = {0}};
        begin(&s, tree_explicit, "1.2.34");
        if (how == 0)
            s.bind.tail[s.bind.tail_count++] = DICOM_PIXEL_DATA;
        else
            s.bind.tail_drops_private = true;
        make(&s);
        assert_true(s.edition.is_changed);
        assert_int_equal(s.edition.header.len, s.in.len);
        assert_memory_equal(s.edition.header.at, s.in.data, s.in.len);
        struct octets message = {0};
        octets_append(&message, s.in.data, s.in.len);
        add_tail(&message, 0);
        open_stage(&s);
        feed(&s, &message, 50);
        assert_int_equal(s.out.len, how == 0 ? s.in.len : message.len);
        octets_free(&message);
        end(&s);
    }
}

static void add_copy(struct octets *o)
{
    tree_text(o, tree_explicit, PATIENT_ID, "LO", "copy");
    tree_text(o, tree_explicit, MODALITY, "CS", "CT");
}

/* Nobody knows before they have passed whether there are any: the header is as it came, and without a copy so is all. */
static void copies_behind_of_what_a_morph_touched_go_even_if_the_header_did_not_change(void **state)
{
    static const struct {
        bool touches, drops_below, has_copy;
    } cases[] = {{true, false, true}, {true, false, false}, {false, true, true}, {false, true, false}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scene s = {.in = {0}};
        struct octets message = {0}, expected = {0};
        begin(&s, tree_explicit, "1.2.34");
        if (cases[i].touches)
            s.bind.touched[s.bind.touched_count++] = PATIENT_ID;
        s.bind.tail_drops_below = cases[i].drops_below;
        make(&s);
        assert_true(s.edition.is_changed);
        octets_append(&message, s.in.data, s.in.len);
        octets_append(&expected, s.in.data, s.in.len);
        add_tail(&message, 3);
        add_tail(&expected, 3);
        if (cases[i].has_copy) {
            add_copy(&message);
            if (cases[i].touches)
                tree_text(&expected, tree_explicit, MODALITY, "CS", "CT");
        }
        add_signature(&message);
        if (!cases[i].has_copy)
            add_signature(&expected);
        open_stage(&s);
        feed(&s, &message, 50);
        assert_int_equal(s.out.len, expected.len);
        assert_memory_equal(s.out.data, expected.data, expected.len);
        octets_free(&message);
        octets_free(&expected);
        end(&s);
    }
}

/* Whatever was there is gone: what leaves is empty, and is finished. */
static void nothing_may_be_left(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    begin(&s, tree_explicit, "1.2.34");
    for (struct dicom_element *e = dicom_data_set_first(s.root); e; e = dicom_element_next(e))
        dicom_element_remove(e);
    make(&s);
    assert_int_equal(s.edition.header.len, 0);
    assert_true(is_same(s.edition.facts.sop_instance, view_of("1.2.34")));
    open_stage(&s);
    feed(&s, &s.in, 10);
    assert_int_equal(s.out.len, 0);
    assert_int_equal(s.finishes, 1);
    end(&s);
}

/* --- deflated ---------------------------------------------------------------------------------------------- */

static void put_first(struct scene *s, struct stage *st)
{
    assert_non_null(st);
    st->on_failed = on_failed;
    st->next = s->stage;
    s->stage = st;
}

static void open_deflated(struct scene *s)
{
    s->sink.ops = &sink_ops;
    put_first(s, stage_deflate_new(&s->sink, &s->pool));
    put_first(s, stage_tail_new(&s->sink, &s->pool, &s->edition));
    put_first(s, stage_inflate_new(&s->sink, &s->pool));
}

static struct octets deflated(const struct octets *plain)
{
    static uint8_t room[1 << 16];
    struct view in = {plain->data, plain->len};
    struct octets out = {0};
    struct dicom_deflate *z;
    enum result r;
    assert_int_equal(dicom_deflate_new(&z), OK);
    do {
        size_t len;
        r = dicom_deflate_next(z, &in, true, room, sizeof(room), &len);
        octets_append(&out, room, len);
    } while (r == OK);
    dicom_deflate_free(&z);
    return out;
}

static struct octets inflated(const struct octets *from)
{
    static uint8_t room[1 << 16];
    struct view in = {from->data, from->len};
    struct octets out = {0};
    struct dicom_inflate *z;
    const char *why;
    enum result r;
    assert_int_equal(dicom_inflate_new(&z), OK);
    do {
        size_t len;
        r = dicom_inflate_next(z, &in, room, sizeof(room), &len, &why);
        octets_append(&out, room, len);
    } while (r == OK);
    assert_int_equal(dicom_inflate_end(z, &why), OK);
    dicom_inflate_free(&z);
    return out;
}

static void a_deflated_message_is_changed_inside(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 400; piece += 37) {
        struct scene s = {.in = {0}};
        struct octets message = {0}, expected = {0};
        begin(&s, tree_explicit, "1.2.34");
        put(&s, PATIENT_ID, DICOM_VR_LO, "other");
        s.bind.tail_drops_private = true;
        make(&s);
        octets_append(&message, s.in.data, s.in.len);
        add_tail(&message, 7);
        tree_head(&message, tree_explicit, DICOM_TRAILING_PADDING, "OB",
                  300000); /* more than one piece of ours */
        octets_fill(&message, 0, 300000);
        octets_append(&expected, s.edition.header.at, s.edition.header.len);
        add_tail(&expected, 2);
        tree_head(&expected, tree_explicit, DICOM_TRAILING_PADDING, "OB", 300000);
        octets_fill(&expected, 0, 300000);
        struct octets sent = deflated(&message);
        open_deflated(&s);
        stage_flow(s.stage, &s.sink);
        feed(&s, &sent, piece);
        assert_true(s.flows == 1 && s.finishes == 1 && !s.has_failed);
        struct octets got = inflated(&s.out);
        assert_int_equal(got.len, expected.len);
        assert_memory_equal(got.data, expected.data, expected.len);
        assert_int_equal(s.out.len % 2, 0);
        octets_free(&sent);
        octets_free(&got);
        octets_free(&message);
        octets_free(&expected);
        end(&s);
    }
}

static void a_deflated_message_that_breaks_fails_its_destination(void **state)
{
    (void)state;
    for (int how = 0; how < 2; how++) { /* cut off, or broken behind the header */
        struct scene s = {.in = {0}};
        struct octets message = {0};
        begin(&s, tree_explicit, "1.2.34");
        put(&s, PATIENT_ID, DICOM_VR_LO, "other");
        make(&s);
        octets_append(&message, s.in.data, s.in.len);
        add_tail(&message, 7);
        struct octets sent = deflated(&message);
        sent.len -= how == 0 ? 5 : 0;
        if (how == 1)
            memset(sent.data + sent.len / 2, 0xFF, sent.len / 4);
        open_deflated(&s);
        feed(&s, &sent, 50);
        assert_true(s.has_failed);
        octets_free(&sent);
        octets_free(&message);
        end(&s);
    }
}

static void a_sink_that_is_done_gets_no_more(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    struct octets message = {0};
    begin(&s, tree_explicit, "1.2.34");
    put(&s, PATIENT_ID, DICOM_VR_LO, "other");
    make(&s);
    octets_append(&message, s.in.data, s.in.len);
    add_tail(&message, 7);
    open_stage(&s);
    s.sink.is_done = true;
    feed(&s, &message, 9);
    assert_int_equal(s.out.len, 0);
    assert_int_equal(s.finishes, 0);
    octets_free(&message);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_change_it_is_the_message_as_it_came),
        cmocka_unit_test(a_change_makes_a_header_and_leaves_the_command),
        cmocka_unit_test(a_renamed_instance_is_renamed_in_its_command_too),
        cmocka_unit_test(a_uid_that_is_added_renames_too),
        cmocka_unit_test(of_two_uids_the_first_counts),
        cmocka_unit_test(without_a_uid_it_is_who_it_was),
        cmocka_unit_test(an_attribute_is_that_of_the_edition),
        cmocka_unit_test(what_stands_behind_passes_but_for_what_is_dropped),
        cmocka_unit_test(rules_for_the_tail_alone_are_a_change),
        cmocka_unit_test(copies_behind_of_what_a_morph_touched_go_even_if_the_header_did_not_change),
        cmocka_unit_test(nothing_may_be_left),
        cmocka_unit_test(a_deflated_message_is_changed_inside),
        cmocka_unit_test(a_deflated_message_that_breaks_fails_its_destination),
        cmocka_unit_test(a_sink_that_is_done_gets_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
