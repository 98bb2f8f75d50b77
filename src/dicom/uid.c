#include "dicom/uid.h"

#include <string.h>

#include "base/text.h"
#include "dicom/uid_table.h"

_Static_assert(sizeof(HILUM_IMPLEMENTATION_UID) - 1 <= 64, "a UID has at most 64 characters");
_Static_assert(sizeof(HILUM_IMPLEMENTATION_VERSION) - 1 <= 16, "a version name has at most 16 characters");

static int compare_uid(const char *uid, size_t len, const char *entry)
{
    size_t entry_len = strlen(entry);
    int order = memcmp(uid, entry, len < entry_len ? len : entry_len);
    if (order != 0) {
        return order;
    }
    return (len > entry_len) - (len < entry_len);
}

const struct dicom_uid *dicom_uid_find(const char *uid, size_t len)
{
    size_t low = 0;
    size_t high = uid_table_count;
    if (len == 0) {
        return NULL; /* the text of an empty view may be NULL */
    }
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_uid(uid, len, uid_table[middle].uid);
        if (order == 0) {
            return &uid_table[middle];
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

const struct dicom_uid *dicom_uid_find_keyword(const char *keyword)
{
    size_t low = 0;
    size_t high = uid_by_keyword_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct dicom_uid *entry = &uid_table[uid_by_keyword[middle]];
        int order = strcmp(keyword, entry->keyword);
        if (order == 0) {
            return entry;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

bool dicom_uid_is_storage(struct view uid)
{
    struct view text = dicom_uid_trim(uid);
    const struct dicom_uid *entry = dicom_uid_find((const char *)text.at, text.len);
    if (!entry) {
        return true;
    }
    return strcmp(entry->service, "Storage") == 0 ||
           strcmp(entry->service, "Non-Patient Object Storage") == 0;
}

const struct dicom_uid *dicom_uid_at(size_t i)
{
    return i < uid_table_count ? &uid_table[i] : NULL;
}

const struct dicom_uid *dicom_uid_storage_class(size_t i)
{
    return i < uid_storage_count ? &uid_table[uid_storage[i]] : NULL;
}

struct view dicom_uid_trim(struct view uid)
{
    uid.len = text_trim_end((const char *)uid.at, uid.len);
    return uid;
}

bool dicom_uid_equal(struct view a, struct view b)
{
    a = dicom_uid_trim(a);
    b = dicom_uid_trim(b);
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool dicom_uid_is(struct view uid, const char *text)
{
    return dicom_uid_equal(uid, view_of(text));
}
