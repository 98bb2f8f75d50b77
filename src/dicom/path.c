#include "dicom/path.h"

#include <stdio.h>
#include <string.h>

#include "dicom/dictionary.h"

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static enum result fail(struct dicom_path_fault *fault, struct view part, const char *why)
{
    *fault = (struct dicom_path_fault){.why = why, .part = part};
    return ERR_USAGE;
}

/* A tag has its comma in fifth place; no keyword has one. */
static bool looks_like_tag(struct view name)
{
    return memchr(name.at, ',', name.len) != NULL;
}

static bool looks_like_keyword(struct view name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!is_letter(name.at[i]) && !is_digit(name.at[i]))
            return false;
    return is_letter(name.at[0]);
}

static enum result parse_name(struct view name, uint32_t *tag_out, struct dicom_path_fault *fault)
{
    const char *text = (const char *)name.at;
    if (name.len == 0)
        return fail(fault, name, "lacks the name of an attribute");
    if (looks_like_tag(name)) {
        if (!dicom_tag_parse(text, name.len, tag_out))
            return fail(fault, name, "is no tag; a tag is four hexadecimal digits, a comma and four more");
        return OK;
    }
    if (!looks_like_keyword(name))
        return fail(fault, name, "is neither a keyword nor a tag");
    if (dicom_dictionary_find_keyword(text, name.len, tag_out) == NULL) {
        fail(fault, name, "is no keyword of the dictionary");
        fault->is_unknown_keyword = true;
        return ERR_USAGE;
    }
    return OK;
}

/* "NAME[n]" in `part`, which ends before the next dot. */
static enum result parse_step(struct view part, struct dicom_path_step *out, struct dicom_path_fault *fault)
{
    const uint8_t *bracket = memchr(part.at, '[', part.len);
    if (bracket == NULL)
        return fail(fault, part, "needs the number of an item behind it, as [1]");
    struct view name = {part.at, (size_t)(bracket - part.at)};
    size_t end = part.len - 1;
    uint32_t item = 0;
    bool is_number = end > name.len + 1 && part.at[end] == ']';
    for (size_t i = name.len + 1; is_number && i < end; i++) {
        is_number = is_digit(part.at[i]) && item < 100000000;
        item = item * 10 + (uint32_t)(part.at[i] - '0');
    }
    if (!is_number || item == 0)
        return fail(fault, part, "has no number of an item; items count from 1, as [1]");
    out->item = item;
    return parse_name(name, &out->tag, fault);
}

enum result dicom_path_parse(struct view text, struct dicom_path *out, struct dicom_path_fault *fault_out)
{
    struct dicom_path path = {.depth = 0};
    struct view rest = text;
    for (;;) {
        const uint8_t *dot = rest.len > 0 ? memchr(rest.at, '.', rest.len) : NULL;
        if (dot == NULL)
            break;
        struct view part = {rest.at, (size_t)(dot - rest.at)};
        if (part.len == 0)
            return fail(fault_out, text, "lacks the name of a sequence");
        if (path.depth == DICOM_PATH_DEPTH_MAX)
            return fail(fault_out, text, "is too deep; there may be 8 sequences above an attribute");
        enum result r = parse_step(part, &path.steps[path.depth++], fault_out);
        if (r != OK)
            return r;
        rest = (struct view){dot + 1, rest.len - part.len - 1};
    }
    if (rest.len == 0)
        return fail(fault_out, text, "lacks the name of an attribute");
    if (memchr(rest.at, '[', rest.len) != NULL)
        return fail(fault_out, rest, "is an item; name an attribute in it, as Sequence[1].Keyword");
    enum result r = parse_name(rest, &path.tag, fault_out);
    if (r == OK)
        *out = path;
    return r;
}

bool dicom_path_equal(const struct dicom_path *a, const struct dicom_path *b)
{
    if (a->depth != b->depth || a->tag != b->tag)
        return false;
    for (unsigned i = 0; i < a->depth; i++)
        if (a->steps[i].tag != b->steps[i].tag || a->steps[i].item != b->steps[i].item)
            return false;
    return true;
}

void dicom_path_print(const struct dicom_path *path, char text[DICOM_PATH_TEXT_MAX])
{
    size_t len = 0;
    for (unsigned i = 0; i < path->depth; i++)
        len += (size_t)snprintf(text + len, DICOM_PATH_TEXT_MAX - len, "%04X,%04X[%u].",
                                path->steps[i].tag >> 16, path->steps[i].tag & 0xFFFF, path->steps[i].item);
    snprintf(text + len, DICOM_PATH_TEXT_MAX - len, "%04X,%04X", path->tag >> 16, path->tag & 0xFFFF);
}
