/* A SOP class as people write it: its UID, with `*` and `?` for what varies, or its keyword. */
#include <string.h>

#include "dicom/uid.h"
#include "script/check.h"
#include "script/suggest.h"

bool check_is_uid_glob(const char *text)
{
    return text[strspn(text, "0123456789.*?")] == '\0';
}

bool check_uid_is_too_long(const struct item *item, const char *text)
{
    if (strlen(text) <= 64 || strchr(text, '*') != NULL) {
        return false;
    }
    check_error(item->check, item->at,
                "the UID \"%s\" is longer than 64 characters; no instance can match it", text);
    return true;
}

static bool is_class(const struct dicom_uid *uid)
{
    return uid->type == DICOM_UID_SOP_CLASS || uid->type == DICOM_UID_META_SOP_CLASS;
}

static void unknown_class(const struct item *item, const char *text, bool is_stored)
{
    struct suggestion nearest = {.word = text};
    const struct dicom_uid *uid;
    for (size_t i = 0; is_stored && (uid = dicom_uid_storage_class(i)) != NULL; i++) {
        suggest_offer(&nearest, uid->keyword);
    }
    for (size_t i = 0; !is_stored && (uid = dicom_uid_at(i)) != NULL; i++) {
        if (is_class(uid)) {
            suggest_offer(&nearest, uid->keyword);
        }
    }
    if (nearest.name != NULL) {
        check_error(item->check, item->at,
                    "\"%s\" is neither a UID nor the keyword of a SOP class; did you mean \"%s\"?", text,
                    nearest.name);
    } else {
        check_error(
            item->check, item->at,
            "\"%s\" is neither a UID nor the keyword of a SOP class; write \"1.2.840.10008.5.1.4.1.1.2\" or "
            "\"CTImageStorage\"",
            text);
    }
}

static void take_of(const struct item *item, char **member, bool is_stored)
{
    const char *text =
        field_text(item, "a SOP class: its UID, with `*` and `?` for what varies, or its keyword");
    if (text == NULL) {
        return;
    }
    if (check_is_uid_glob(text)) {
        if (!check_uid_is_too_long(item, text)) {
            field_set_text(item->check, member, text);
        }
        return;
    }
    const struct dicom_uid *uid = dicom_uid_find_keyword(text);
    if (uid == NULL || !is_class(uid) || (is_stored && uid->type == DICOM_UID_META_SOP_CLASS)) {
        unknown_class(item, text, is_stored);
        return;
    }
    field_set_text(item->check, member, uid->uid);
}

void take_class(const struct item *item, void *member)
{
    take_of(item, member, false);
}

void take_stored_class(const struct item *item, void *member)
{
    take_of(item, member, true);
}
