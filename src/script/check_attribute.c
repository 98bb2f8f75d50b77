#include "script/check_attribute.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "dicom/path.h"
#include "script/suggest.h"

static void refuse_path(const struct item *item, const char *name, const struct attribute_words *words,
                        const struct dicom_path_fault *fault)
{
    char part[81];
    size_t len = fault->part.len < sizeof(part) ? fault->part.len : sizeof(part) - 1;
    memcpy(part, fault->part.at, len);
    part[len] = '\0';
    struct suggestion nearest = {.word = part};
    const struct dicom_entry *entry;
    for (size_t i = 0; fault->is_unknown_keyword && (entry = dicom_dictionary_at(i)) != NULL; i++) {
        suggest_offer(&nearest, entry->keyword);
    }
    if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown %s%s%s: \"%s\" %s; did you mean \"%s\"?", words->before,
                    name, words->after, part, fault->why, nearest.name);
    } else if (fault->is_unknown_keyword) {
        check_error(item->check, item->at,
                    "unknown %s%s%s: \"%s\" %s; write one that is, as Modality, or a tag, as %s",
                    words->before, name, words->after, part, fault->why, words->tag);
    } else {
        check_error(item->check, item->at, "unknown %s%s%s: \"%s\" %s", words->before, name, words->after,
                    part, fault->why);
    }
}

bool check_may_be(uint32_t tag, bool (*is_fine)(enum dicom_vr vr))
{
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    if (entry == NULL) {
        return true;
    }
    for (size_t i = 0; i < 3 && entry->vr[i] != DICOM_VR_UNKNOWN; i++) {
        if (is_fine(entry->vr[i])) {
            return true;
        }
    }
    return false;
}

static bool is_sequence(enum dicom_vr vr)
{
    return dicom_vr_info(vr)->kind == DICOM_ITEMS;
}

static bool is_comparable(enum dicom_vr vr)
{
    enum dicom_vr_kind kind = dicom_vr_info(vr)->kind;
    return kind == DICOM_TEXT || kind == DICOM_NUMBER || kind == DICOM_TAGS;
}

/* Groups 0000 to 0006 are those of commands, files and their folders; FFFE's are marks between elements. */
static bool is_of_data_set(uint32_t tag)
{
    return dicom_group(tag) >= 8 && dicom_group(tag) != 0xFFFE;
}

/* NULL, or what is wrong with this as a place in a data set. */
static const char *find_fault(const struct dicom_path *path)
{
    bool is_inside = is_of_data_set(path->tag);
    for (unsigned i = 0; i < path->depth; i++) {
        is_inside = is_inside && is_of_data_set(path->steps[i].tag);
        if (!check_may_be(path->steps[i].tag, is_sequence)) {
            return "leads through an attribute that is no sequence; name an attribute of the data set, or of "
                   "an item of a sequence, as RequestAttributesSequence[1].ScheduledProcedureStepID";
        }
    }
    if (!is_inside) {
        return "is no attribute of a data set; its groups are 0008 and above";
    }
    if (dicom_path_first(path) >= DICOM_PIXEL_DATA || dicom_is_pixel_data(dicom_path_first(path))) {
        return "is pixel data or stands behind it; only what stands in front of it is looked at";
    }
    if (!check_may_be(path->tag, is_comparable)) {
        return check_may_be(path->tag, is_sequence)
                   ? "is a sequence; name an attribute of an item, as "
                     "RequestAttributesSequence[1].ScheduledProcedureStepID"
                   : "holds bytes that mean nothing here; name an attribute of text or numbers";
    }
    return NULL;
}

/* Each path stands once, whatever it is called. False without memory. */
static bool find_attribute(struct check *c, const struct dicom_path *path, const char *name,
                           size_t *index_out)
{
    struct config *config = c->config;
    for (size_t i = 0; i < config->attribute_count; i++) {
        if (dicom_path_equal(&config->attributes[i].path, path)) {
            *index_out = i;
            return true;
        }
    }
    struct config_attribute *bigger =
        realloc(config->attributes, (config->attribute_count + 1) * sizeof(*config->attributes));
    if (bigger == NULL) {
        return false;
    }
    config->attributes = bigger;
    char *text = strdup(name);
    if (text == NULL) {
        return false;
    }
    *index_out = config->attribute_count++;
    config->attributes[*index_out] = (struct config_attribute){.path = *path, .text = text};
    return true;
}

bool check_attribute_name(const struct item *item, const char *name, const struct attribute_words *words,
                          size_t *index_out)
{
    struct dicom_path path;
    struct dicom_path_fault fault;
    if (dicom_path_parse(view_of(name), &path, &fault) != OK) {
        refuse_path(item, name, words, &fault);
        return false;
    }
    const char *why = find_fault(&path);
    if (why != NULL) {
        check_error(item->check, item->at, "the %s%s%s %s", words->before, name, words->after, why);
        return false;
    }
    if (!find_attribute(item->check, &path, name, index_out)) {
        item->check->failed = true;
        return false;
    }
    return true;
}

bool check_attribute_add(struct check *c, const char *keyword, size_t *index_out)
{
    struct dicom_path path;
    struct dicom_path_fault fault;
    enum result r = dicom_path_parse(view_of(keyword), &path, &fault);
    hilum_assert(r == OK);
    if (!find_attribute(c, &path, keyword, index_out)) {
        c->failed = true;
        return false;
    }
    return true;
}
