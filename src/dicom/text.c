#include "dicom/text.h"

#include <string.h>

#include "dicom/tag.h"

static const struct view utf8_term = {(const uint8_t *)"ISO_IR 192", 10};

/* One of ours, from one set to another. */
struct recoding {
    struct dicom_text *text;
    struct dicom_document *document;
    struct view charset; /* the new value of (0008,0005) */
    struct dicom_charset to;
    bool is_trial; /* nothing is put: only whether all can be held is seen */
};

void dicom_text_init(struct dicom_text *t, struct dicom_charsets *charsets)
{
    *t = (struct dicom_text){.charsets = charsets};
}

void dicom_text_free(struct dicom_text *t)
{
    octets_free(&t->decoded);
    octets_free(&t->encoded);
    *t = (struct dicom_text){0};
}

static enum result fault(struct dicom_document *d, uint32_t tag, const char *why)
{
    d->why = why;
    d->tag = tag;
    return ERR_USAGE;
}

static enum result no_memory(struct dicom_document *d, uint32_t tag)
{
    d->why = "out of memory";
    d->tag = tag;
    return ERR_MEMORY;
}

/* Aside it is one that holds all: nothing outside is switched before all is taken. */
static struct view charset_value_of(struct dicom_data_set *ds)
{
    if (dicom_data_set_is_aside(ds))
        return utf8_term;
    const struct dicom_element *e = dicom_data_set_find_outwards(ds, DICOM_SPECIFIC_CHARACTER_SET);
    return e ? e->value : (struct view){NULL, 0};
}

/* What holds in a level. Values live as long as the document, so the same place means the same bytes. */
static const struct dicom_charset *charset_of(struct dicom_text *t, struct dicom_data_set *ds)
{
    struct view value = charset_value_of(ds);
    if (value.at != t->charset_value.at || value.len != t->charset_value.len || value.len == 0) {
        dicom_charset_parse(value, &t->charset);
        t->charset_value = value;
    }
    return &t->charset;
}

enum result dicom_text_get(struct dicom_text *t, struct dicom_element *e, struct view *utf8_out,
                           bool *is_clean_out)
{
    enum dicom_vr vr = dicom_element_vr(e);
    bool is_clean = true;
    *utf8_out = e->value;
    if (dicom_vr_info(vr)->kind == DICOM_TEXT && e->value.len > 0) {
        struct dicom_data_set *ds = dicom_element_data_set(e);
        octets_clear(&t->decoded);
        is_clean = dicom_charset_decode(t->charsets, charset_of(t, ds), vr, e->value, &t->decoded);
        if (t->decoded.failed)
            return no_memory(dicom_data_set_document(ds), e->tag);
        *utf8_out = (struct view){t->decoded.data, t->decoded.len};
    }
    if (is_clean_out)
        *is_clean_out = is_clean;
    return OK;
}

static size_t unpadded(struct view text, char pad)
{
    size_t len = text.len;
    while (len > 0 && text.at[len - 1] == (uint8_t)pad)
        len--;
    return len;
}

/* The element has this text already. */
static bool has_text(struct dicom_text *t, struct dicom_element *e, enum dicom_vr vr, struct view utf8)
{
    struct view now;
    bool is_clean;
    char pad = dicom_vr_info(vr)->pad;
    if (dicom_element_vr(e) != vr || dicom_text_get(t, e, &now, &is_clean) != OK || !is_clean)
        return false;
    size_t len = unpadded(now, pad);
    return len == unpadded(utf8, pad) && (len == 0 || memcmp(now.at, utf8.at, len) == 0);
}

static const char *cannot_hold(int32_t bad)
{
    return bad == DICOM_CHARSET_NOT_UTF8 ? "the text is not UTF-8" : "its VR holds ASCII only";
}

enum result dicom_text_put(struct dicom_text *t, struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr,
                           struct view utf8)
{
    struct dicom_document *d = dicom_data_set_document(ds);
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    int32_t bad;
    if (e && has_text(t, e, vr, utf8))
        return dicom_data_set_put(ds, tag, vr, e->value); /* no change, but to duplicates behind it */
    octets_clear(&t->encoded);
    enum result r = dicom_charset_encode(t->charsets, charset_of(t, ds), vr, utf8, &t->encoded, &bad);
    if (r == ERR_USAGE && bad != DICOM_CHARSET_NOT_UTF8 && dicom_vr_info(vr)->is_extended) {
        r = dicom_text_recode(t, d, utf8_term);
        if (r != OK)
            return r;
        return dicom_data_set_put(ds, tag, vr, utf8);
    }
    if (r == ERR_USAGE)
        return fault(d, tag, cannot_hold(bad));
    if (r != OK)
        return no_memory(d, tag);
    return dicom_data_set_put(ds, tag, vr, (struct view){t->encoded.data, t->encoded.len});
}

static bool is_clean_in(struct dicom_text *t, const struct dicom_charset *set, enum dicom_vr vr,
                        struct view bytes)
{
    octets_clear(&t->decoded);
    return dicom_charset_decode(t->charsets, set, vr, bytes, &t->decoded) && !t->decoded.failed;
}

/* U+FFFD, which few sets have, as what all have. */
static void replace_unknown(struct octets *utf8)
{
    size_t to = 0;
    for (size_t i = 0; i < utf8->len; i++) {
        if (utf8->len - i >= 3 && memcmp(utf8->data + i, "\xEF\xBF\xBD", 3) == 0) {
            utf8->data[to++] = '?';
            i += 2;
        } else {
            utf8->data[to++] = utf8->data[i];
        }
    }
    utf8->len = to;
}

static enum result recode_element(struct recoding *c, struct dicom_element *e,
                                  const struct dicom_charset *from)
{
    struct dicom_text *t = c->text;
    enum dicom_vr vr = dicom_element_vr(e);
    int32_t bad;
    if (!dicom_vr_info(vr)->is_extended || e->value.len == 0 || dicom_charset_equal(from, &c->to))
        return OK;
    if (!is_clean_in(t, from, vr, e->value)) {
        if (t->decoded.failed)
            return no_memory(c->document, e->tag);
        if (dicom_charset_is_utf8(&c->to) && is_clean_in(t, &c->to, vr, e->value))
            return OK;
        is_clean_in(t, from, vr, e->value);
        if (!dicom_charset_is_utf8(&c->to))
            replace_unknown(&t->decoded);
    }
    struct view utf8 = {t->decoded.data, t->decoded.len};
    if (utf8.len > 0 && utf8.len % 2 == 0 && utf8.at[utf8.len - 1] == ' ')
        utf8.len--; /* its pad, mostly: the new one is put anew */
    octets_clear(&t->encoded);
    enum result r = dicom_charset_encode(t->charsets, &c->to, vr, utf8, &t->encoded, &bad);
    if (r == ERR_USAGE)
        return fault(c->document, e->tag, "the character set asked for cannot hold its text");
    if (r != OK)
        return no_memory(c->document, e->tag);
    if (c->is_trial)
        return OK;
    return dicom_data_set_put(dicom_element_data_set(e), e->tag, vr,
                              (struct view){t->encoded.data, t->encoded.len});
}

static enum result recode_level(struct recoding *c, struct dicom_data_set *ds, struct dicom_charset from);

static enum result recode_items(struct recoding *c, struct dicom_element *e, const struct dicom_charset *from)
{
    size_t count;
    enum result r = dicom_element_items(e, &count);
    for (size_t i = 0; r == OK && i < count; i++) {
        struct dicom_data_set *item;
        r = dicom_element_item(e, i, &item);
        if (r == OK)
            r = recode_level(c, item, *from);
    }
    return r;
}

/* Group lengths are counted, or dropped, when the level is written, whatever VR they came with. */
static enum result recode_any(struct recoding *c, struct dicom_element *e, const struct dicom_charset *from)
{
    if (dicom_is_group_length(e->tag))
        return OK;
    return dicom_element_vr(e) == DICOM_VR_SQ ? recode_items(c, e, from) : recode_element(c, e, from);
}

/* At most DICOM_DEPTH_MAX deep. */
static enum result recode_level(struct recoding *c, struct dicom_data_set *ds, struct dicom_charset from)
{
    enum result r = OK;
    const struct dicom_element *own = dicom_data_set_find(ds, DICOM_SPECIFIC_CHARACTER_SET);
    if (own)
        dicom_charset_parse(own->value, &from);
    for (struct dicom_element *e = dicom_data_set_first(ds); e && r == OK; e = dicom_element_next(e))
        r = recode_any(c, e, &from);
    if (r == OK && !c->is_trial && (own || dicom_data_set_depth(ds) == 0))
        r = dicom_data_set_put(ds, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, c->charset);
    return r;
}

enum result dicom_text_recode(struct dicom_text *t, struct dicom_document *d, struct view charset)
{
    struct recoding c = {.text = t, .document = d, .charset = charset};
    struct dicom_charset ascii = {0};
    dicom_charset_parse(charset, &c.to);
    if (c.to.has_unknown)
        return fault(d, DICOM_SPECIFIC_CHARACTER_SET, "there is no such character set");
    c.is_trial = true;
    enum result r = recode_level(&c, dicom_document_root(d), ascii);
    c.is_trial = false;
    return r == OK ? recode_level(&c, dicom_document_root(d), ascii) : r;
}

enum result dicom_text_settle(struct dicom_text *t, struct dicom_element *aside)
{
    struct dicom_data_set *ds = dicom_element_data_set(aside);
    struct recoding c = {.text = t, .document = dicom_data_set_document(ds), .to = *charset_of(t, ds)};
    struct dicom_charset utf8 = {0};
    dicom_charset_parse(utf8_term, &utf8);
    c.is_trial = true;
    enum result r = recode_items(&c, aside, &utf8);
    if (r == ERR_USAGE)
        return dicom_text_recode(t, c.document, utf8_term); /* which it is in already */
    c.is_trial = false;
    return r == OK ? recode_items(&c, aside, &utf8) : r;
}
