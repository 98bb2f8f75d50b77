#include "binding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "dicom/tag.h"

enum { MEMORY_MAX = 1 << 24 };

enum {
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* ReferencedImageSequence */
    REFERENCED_INSTANCE = DICOM_TAG(0x0008, 0x1155),
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020)
};

static struct bound open_rule(const char *folder, const char *key, const char *body)
{
    static char text[20000];
    int len = snprintf(text, sizeof(text),
                       "local kept = {}; route 'x' { to = 'pacs1', %s = function (ds, assoc) %s end }\n"
                       "listen { address = '127.0.0.1', port = 11112, name = 'main' }\n"
                       "node 'pacs1' { host = '10.1.0.5', ae_title = 'PACS1' }\n",
                       key, body);
    assert_in_range(len, 1, sizeof(text) - 1);
    struct bound b = {.encoding = tree_explicit, .memory_max = MEMORY_MAX};
    b.loaded = load_text(folder, text);
    assert_fine(&b.loaded);
    struct problems problems;
    assert_int_equal(script_rules_open(b.loaded.config, &b.rules, &problems), OK);
    problems_free(&problems);
    b.charsets = dicom_charsets_new();
    assert_non_null(b.charsets);
    return b;
}

struct bound bound_morph(const char *folder, const char *body)
{
    return open_rule(folder, "morph", body);
}

struct bound bound_when(const char *folder, const char *body)
{
    return open_rule(folder, "when", body);
}

void bound_close(struct bound *b)
{
    script_rules_close(&b->rules);
    dicom_charsets_free(&b->charsets);
    octets_free(&b->in);
    octets_free(&b->out);
    free_loaded(&b->loaded);
}

static void keep_outcome(struct bound *b, const struct bind *bind)
{
    b->is_changed = dicom_document_is_changed(bind->document);
    b->tail_count = bind->tail_count;
    memcpy(b->tail, bind->tail, sizeof(b->tail));
    b->tail_drops_private = bind->tail_drops_private;
    b->tail_drops_below = bind->tail_drops_below;
    b->touched_count = bind->touched_count;
    memcpy(b->touched, bind->touched, sizeof(b->touched));
}

static enum result call_rule(struct bound *b, struct bind *bind)
{
    struct rules_assoc assoc = {.calling = view_of("CT1")};
    const struct config_route *route = &b->loaded.config->routes[0];
    struct rules_call call = {.route = route, .assoc = &assoc, .push = bind_push, .arg = bind};
    bool holds = false;
    bind->is_read_only = route->has_when_function;
    if (route->has_morph)
        return rules_morph(b->rules, &call);
    enum result r = rules_when(b->rules, &call, &holds);
    return r == OK && !holds ? ERR_CLOSED : r;
}

enum result bound_run(struct bound *b)
{
    struct dicom_document d;
    struct dicom_text text;
    struct bind bind;
    struct view bytes = {b->in.data, b->in.len};
    octets_clear(&b->out);
    assert_int_equal(dicom_document_parse(&d, bytes, b->encoding, b->behind, b->memory_max), OK);
    dicom_text_init(&text, b->charsets);
    bind_init(&bind, &d, &text);
    bind.behind = b->behind;
    bind.transfer_syntax = view_of("1.2.840.10008.1.2.1");
    bind.sop_class = view_of("1.2.840.10008.5.1.4.1.1.2");
    bind.sop_instance = view_of("1.2.3");
    enum result r = call_rule(b, &bind);
    if (r == OK)
        assert_int_equal(dicom_document_write(&d, &b->out), OK);
    keep_outcome(b, &bind);
    bind_free(&bind);
    dicom_text_free(&text);
    dicom_document_free(&d);
    return r;
}

void bound_run_ok(struct bound *b)
{
    enum result r = bound_run(b);
    if (r != OK)
        fail_msg("%s: %s", result_name(r), r == ERR_CLOSED ? "it does not hold" : rules_error(b->rules));
}

void bound_run_fails(struct bound *b, const char *part)
{
    assert_int_equal(bound_run(b), ERR_USAGE);
    if (!strstr(rules_error(b->rules), part))
        fail_msg("'%s' is not in: %s", part, rules_error(b->rules));
}

static void show(const char *word, const struct octets *o)
{
    print_error("%s", word);
    for (size_t i = 0; i < o->len; i++)
        print_error(o->data[i] > 0x20 && o->data[i] < 0x7f ? " %c" : " %02x", o->data[i]);
    print_error("\n");
}

void bound_wrote(const struct bound *b, struct octets *expected)
{
    bool is_same = b->out.len == expected->len &&
                   (b->out.len == 0 || memcmp(b->out.data, expected->data, b->out.len) == 0);
    if (!is_same) {
        show("written: ", &b->out);
        show("expected:", expected);
        fail();
    }
    octets_free(expected);
}

void bound_everywhere(const char *folder, const char *body, bound_fill *fill, bound_fill *expect)
{
    static const struct dicom_encoding *const encodings[] = {&tree_explicit, &tree_implicit,
                                                             &tree_big_endian};
    for (size_t i = 0; i < 3; i++) {
        struct bound b = bound_morph(folder, body);
        struct octets expected = {0};
        b.encoding = *encodings[i];
        if (fill)
            fill(&b.in, b.encoding);
        bound_run_ok(&b);
        if (expect)
            expect(&expected, b.encoding);
        else if (b.in.len > 0)
            octets_append(&expected, b.in.data, b.in.len);
        bound_wrote(&b, &expected);
        bound_close(&b);
    }
}

void bound_fill_patient(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, MODALITY, "CS", "CT");
    tree_text(o, e, PATIENT_NAME, "PN", "Doe^John");
    tree_text(o, e, PATIENT_ID, "LO", "12345678");
}

void bound_referenced_item(struct octets *o, struct dicom_encoding e, bool is_undefined, const char *uid)
{
    tree_head(o, e, DICOM_ITEM, "", is_undefined ? DICOM_UNDEFINED_LENGTH : (uint32_t)(8 + strlen(uid)));
    tree_text(o, e, REFERENCED_INSTANCE, "UI", uid);
    if (is_undefined)
        tree_head(o, e, DICOM_ITEM_DELIMITATION, "", 0);
}

void bound_fill_sequence(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 16 + 4 + 24 + 4);
    bound_referenced_item(o, e, false, "1.11");
    bound_referenced_item(o, e, true, "1.22");
}

void bound_fill_private(struct octets *o, struct dicom_encoding e)
{
    uint32_t head = e.is_explicit ? 12 : 8;
    tree_text(o, e, MODALITY, "CS", "CT");
    tree_text(o, e, DICOM_TAG(0x0029, 0x0010), "LO", "OTHER ");
    tree_text(o, e, DICOM_TAG(0x0029, 0x0011), "LO", "ACME 1.1");
    tree_element(o, e, DICOM_TAG(0x0029, 0x1110), "UN", "ab", 2);
    tree_head(o, e, DICOM_TAG(0x0040, 0x0275), "SQ", 8 + 16 + head + 2 + 10);
    tree_head(o, e, DICOM_ITEM, "", 16 + head + 2 + 10);
    tree_text(o, e, DICOM_TAG(0x0029, 0x0010), "LO", "ACME 1.1");
    tree_element(o, e, DICOM_TAG(0x0029, 0x1010), "UN", "cd", 2);
    tree_text(o, e, DICOM_TAG(0x0040, 0x0009), "SH", "id");
}
