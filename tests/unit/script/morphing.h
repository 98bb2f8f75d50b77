/* A morph on a data set made of bytes, and what is left of it: for tests of the modules in rules/. */
#ifndef TESTS_SCRIPT_MORPHING_H
#define TESTS_SCRIPT_MORPHING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "dicom/charset.h"
#include "dicom/tag.h"
#include "loading.h"
#include "script/bind.h"
#include "script/rules.h"

#define IMAGES       0x00081140U /* ReferencedImageSequence: stays, X/Z/U* */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MEMORY_MAX   ((size_t)64 << 20)

static const struct dicom_encoding *const encodings[] = {&tree_explicit, &tree_implicit, &tree_big_endian};

/* Where configurations find the modules: the folder `rules` beside them. Tests run at the project's root. */
static inline int make_folder_with_rules(void **state)
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
    "gateway { uid_key = 'a secret of some length' }\nlisten { address = '127.0.0.1', port = 11112, name = " \
    "'main' }\n"                                                                                             \
    "node 'pacs' { host = '10.1.0.5', ae_title = 'PACS' }\n"

/* One route with this morph, which stands on line 6. */
static inline struct morphing open_morph(const char *folder, const char *morph)
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

static inline void forget_run(struct morphing *m)
{
    dicom_document_free(&m->after);
    m->after = (struct dicom_document){0};
    octets_clear(&m->out);
}

static inline void close_morph(struct morphing *m)
{
    forget_run(m);
    octets_free(&m->out);
    dicom_text_free(&m->text);
    dicom_charsets_free(&m->charsets);
    script_rules_close(&m->rules);
    free_loaded(&m->loaded);
}

/* Morphs, writes, reads again. */
static inline enum result run_on(struct morphing *m, const struct octets *in, struct dicom_encoding encoding,
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

static inline void run(struct morphing *m, const struct octets *in, struct dicom_encoding encoding)
{
    enum result r = run_on(m, in, encoding, 0x7FE00010);
    if (r != OK) {
        print_error("%s\n", rules_error(m->rules));
    }
    assert_int_equal(r, OK);
}

static inline struct dicom_data_set *root_of(struct morphing *m)
{
    return dicom_document_root(&m->after);
}

static inline struct dicom_data_set *item_of(struct dicom_data_set *ds, uint32_t tag, size_t i)
{
    struct dicom_data_set *item;
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    assert_non_null(e);
    assert_int_equal(dicom_element_item(e, i, &item), OK);
    return item;
}

/* The value in short: "-" there is none, "#2" a sequence of two items, "new" a UID that we made, else its text. */
static inline const char *shown(struct dicom_data_set *ds, uint32_t tag)
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

static inline void assert_shows(struct dicom_data_set *ds, uint32_t tag, const char *expected)
{
    const char *found = shown(ds, tag);
    if (strcmp(found, expected) != 0) {
        fail_msg("(%04X,%04X) at depth %u is '%s', not '%s'", tag >> 16, tag & 0xFFFF,
                 dicom_data_set_depth(ds), found, expected);
    }
}

/* A sequence of one item that holds these bytes. */
static inline void put_item(struct octets *o, struct dicom_encoding encoding, uint32_t tag,
                            const struct octets *content)
{
    tree_head(o, encoding, tag, "SQ", (uint32_t)content->len + 8);
    tree_head(o, encoding, 0xFFFEE000, "", (uint32_t)content->len);
    octets_append(o, content->data, content->len);
}

#endif
