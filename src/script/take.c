/* Values of fields: types, ranges, units. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "script/fields.h"

const char *field_text(const struct item *item, const char *expected)
{
    if (item->value->kind != VALUE_STRING) {
        field_wrong_type(item, expected);
        return NULL;
    }
    char name[96];
    field_name(item->at, name, sizeof(name));
    if (item->value->len == 0) {
        check_error(item->check, item->at, "%s is empty; it must be %s", name, expected);
        return NULL;
    }
    if (strlen(item->value->text) != item->value->len) {
        check_error(item->check, item->at, "%s holds a NUL character; it must be %s", name, expected);
        return NULL;
    }
    return item->value->text;
}

const char *field_text_or_number(const struct item *item, char digits[32], const char *expected)
{
    const struct value *v = item->value;
    if (v->kind != VALUE_NUMBER) {
        return field_text(item, expected);
    }
    if (v->is_integer) {
        snprintf(digits, 32, "%" PRId64, v->integer);
    } else {
        snprintf(digits, 32, "%.14g", v->number);
    }
    return digits;
}

void field_set_text(struct check *c, char **member, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        c->failed = true;
        return;
    }
    free(*member);
    *member = copy;
}

void take_text(const struct item *item, void *member)
{
    const char *text = field_text(item, "a string");
    if (text != NULL) {
        field_set_text(item->check, member, text);
    }
}

void take_boolean(const struct item *item, void *member)
{
    if (item->value->kind != VALUE_BOOLEAN) {
        field_wrong_type(item, "true or false");
        return;
    }
    *(bool *)member = item->value->boolean;
}

void take_zero_copy(const struct item *item, void *member)
{
    static const char expected[] = "\"auto\", true or false";
    enum config_zero_copy *out = member;
    if (item->value->kind == VALUE_BOOLEAN) {
        *out = item->value->boolean ? CONFIG_ZERO_COPY_ALWAYS : CONFIG_ZERO_COPY_NEVER;
        return;
    }
    const char *text = field_text(item, expected);
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "auto") == 0) {
        *out = CONFIG_ZERO_COPY_AUTO;
    } else {
        check_error(item->check, item->at, "zero_copy = \"%s\" is unknown; it must be %s", text, expected);
    }
}

bool field_integer(const struct item *item, int64_t min, int64_t max, int64_t *out)
{
    char range[64];
    snprintf(range, sizeof(range), "a whole number from %" PRId64 " to %" PRId64, min, max);
    if (item->value->kind != VALUE_NUMBER) {
        field_wrong_type(item, range);
        return false;
    }
    if (!item->value->is_integer || item->value->integer < min || item->value->integer > max) {
        char name[96];
        field_name(item->at, name, sizeof(name));
        check_error(item->check, item->at, "%s is %.14g, which is out of range; it must be %s", name,
                    item->value->number, range);
        return false;
    }
    *out = item->value->integer;
    return true;
}

void field_word(const struct item *item, const char *const *words, size_t count, unsigned *out)
{
    char list[96] = "one of";
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(list);
        snprintf(list + len, sizeof(list) - len, "%s \"%s\"", i > 0 ? "," : "", words[i]);
    }
    const char *text = field_text(item, list);
    if (text == NULL) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(text, words[i]) == 0) {
            *out = (unsigned)i;
            return;
        }
    }
    check_error(item->check, item->at, "%s = \"%s\" is unknown; it must be %s", item->at->key, text, list);
}

void take_associations(const struct item *item, void *member)
{
    int64_t n;
    if (field_integer(item, 1, 1000000, &n)) {
        *(unsigned *)member = (unsigned)n;
    }
}

/* A whole number and its unit in words, the largest that it is a multiple of. */
static void size_words(uint64_t bytes, char *words, size_t cap)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB"};
    size_t unit = 0;
    while (unit < 3 && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(words, cap, "%" PRIu64 "%s", bytes, units[unit]);
}

bool field_size(const struct item *item, uint64_t min, uint64_t *out)
{
    const struct value *v = item->value;
    char name[96];
    field_name(item->at, name, sizeof(name));
    uint64_t bytes = 0;
    if (v->kind == VALUE_NUMBER && v->number != 0) {
        check_error(item->check, item->at,
                    "%s = %.14g has no unit; write a size as \"64KiB\", \"1MiB\" or \"2GiB\"", name,
                    v->number);
        return false;
    }
    if (v->kind != VALUE_NUMBER) {
        const char *text = field_text(item, "a size, as \"64KiB\", \"1MiB\" or \"2GiB\"");
        if (text == NULL) {
            return false;
        }
        if (text_parse_size(text, &bytes) != OK || bytes > INT64_MAX) {
            check_error(item->check, item->at,
                        "%s = \"%s\" is not a size; write a whole number and a unit, as \"64KiB\", \"1MiB\" "
                        "or \"2GiB\"",
                        name, text);
            return false;
        }
    }
    if (bytes < min) {
        char least[32];
        size_words(min, least, sizeof(least));
        check_error(item->check, item->at, "%s is too small; it must be at least \"%s\"", name, least);
        return false;
    }
    *out = bytes;
    return true;
}

static bool duration(const struct item *item, bool zero_is_fine, uint64_t *out)
{
    const struct value *v = item->value;
    char name[96];
    field_name(item->at, name, sizeof(name));
    uint64_t ms = 0;
    if (v->kind == VALUE_NUMBER && v->number != 0) {
        check_error(item->check, item->at,
                    "%s = %.14g has no unit; write a duration as \"%.14gs\" or \"%.14gms\"", name, v->number,
                    v->number, v->number);
        return false;
    }
    if (v->kind != VALUE_NUMBER) {
        const char *text = field_text(item, "a duration, as \"250ms\", \"5s\", \"2m\", \"1h\" or \"7d\"");
        if (text == NULL) {
            return false;
        }
        if (text_parse_duration(text, &ms) != OK || ms > INT64_MAX) {
            check_error(
                item->check, item->at,
                "%s = \"%s\" is not a duration; write a whole number and a unit, as \"250ms\", \"5s\", "
                "\"2m\", \"1h\" or \"7d\"",
                name, text);
            return false;
        }
    }
    if (ms == 0 && !zero_is_fine) {
        check_error(item->check, item->at,
                    "%s is 0, and it cannot be turned off; it must be at least \"1ms\"", name);
        return false;
    }
    *out = ms;
    return true;
}

void take_duration(const struct item *item, void *member)
{
    duration(item, false, member);
}

void take_duration_or_0(const struct item *item, void *member)
{
    duration(item, true, member);
}

/* A number is one of bytes here: that is how the PDU length is customarily written. */
void take_max_pdu(const struct item *item, void *member)
{
    const struct value *v = item->value;
    uint64_t bytes;
    if (v->kind == VALUE_NUMBER) {
        bytes = v->is_integer && v->integer >= 0 ? (uint64_t)v->integer : 1;
    } else if (!field_size(item, 0, &bytes)) {
        return;
    }
    if ((bytes > 0 && bytes < 1024) || bytes > UINT32_MAX) {
        check_error(item->check, item->at,
                    "max_pdu is out of range; it must be 0, for unlimited, or from 1024 to 4294967295 bytes");
        return;
    }
    *(uint32_t *)member = (uint32_t)bytes;
}

static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = list; *p != '\0'; p += strspn(p, " \n")) {
        size_t this_len = strcspn(p, " \n");
        if (this_len == len && memcmp(p, word, len) == 0) {
            return true;
        }
        p += this_len;
    }
    return false;
}

/* What the kernel has loaded; others cannot be set without privileges. Unreadable: the socket will tell. */
void take_congestion(const struct item *item, void *member)
{
    const char *text = field_text(item, "the name of a congestion control, as \"cubic\"");
    if (text == NULL) {
        return;
    }
    char available[512] = "";
    FILE *file = fopen("/proc/sys/net/ipv4/tcp_available_congestion_control", "re");
    if (file != NULL) {
        if (fgets(available, sizeof(available), file) == NULL) {
            available[0] = '\0';
        }
        fclose(file);
    }
    available[strcspn(available, "\n")] = '\0';
    if (available[0] != '\0' && !has_word(available, text)) {
        check_error(item->check, item->at,
                    "tcp_congestion = \"%s\" is not available on this machine; there are: %s", text,
                    available);
        return;
    }
    field_set_text(item->check, member, text);
}

bool field_is_host(const struct item *item)
{
    struct config_network n;
    const char *key = item->at->key;
    const char *text = field_text(item, "a host name or address, as \"10.1.0.5\"");
    if (text == NULL) {
        return false;
    }
    if (strchr(text, ':') != NULL && config_network_parse(text, &n) != OK) {
        check_error(
            item->check, item->at,
            "%s = \"%s\" is neither a name nor an address; write the host alone, without brackets, and the "
            "port as port = 104",
            key, text);
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        /* With a dot in front of it OpenSSL takes a name for that of every host below it. */
        if (c <= ' ' || c == 0x7f || strchr("/\\\"'*?@", c) != NULL || text[0] == '.' || strlen(text) > 253) {
            check_error(
                item->check, item->at,
                "%s = \"%s\" is neither a name nor an address; write it as \"pacs.local\" or \"10.1.0.5\"",
                key, text);
            return false;
        }
    }
    return true;
}

bool field_is_title(const struct item *item, const char *text)
{
    const char *wrong = NULL;
    size_t len = strlen(text);
    if (strspn(text, " ") == len) {
        wrong = "is blank";
    } else if (text[0] == ' ' || text[len - 1] == ' ') {
        wrong = "has spaces around it, which mean nothing in DICOM";
    } else if (len > 16) {
        wrong = "is longer than 16 characters";
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\\' || c < 0x20 || c > 0x7e) {
            wrong = c == '\\' ? "holds a backslash" : "holds a character that is not printable ASCII";
        }
    }
    if (wrong == NULL) {
        return true;
    }
    char name[96];
    field_name(item->at, name, sizeof(name));
    check_error(
        item->check, item->at,
        "%s: the AE title \"%s\" %s; it must be 1 to 16 printable ASCII characters without backslash and "
        "outer spaces",
        name, text, wrong);
    return false;
}

void take_title(const struct item *item, void *member)
{
    const char *text = field_text(item, "an AE title, as \"HILUM\"");
    if (text != NULL && field_is_title(item, text)) {
        field_set_text(item->check, member, text);
    }
}

void take_title_glob(const struct item *item, void *member)
{
    char digits[32];
    const char *text =
        field_text_or_number(item, digits, "an AE title, as \"CT1\", with `*` and `?` for what varies");
    if (text != NULL && (strchr(text, '*') != NULL || field_is_title(item, text))) {
        field_set_text(item->check, member, text);
    }
}

size_t field_count(const struct value *v)
{
    return v->kind == VALUE_TABLE ? v->item_count : 1;
}

void field_each(const struct item *item, const char *expected, const char *empty,
                void (*take)(const struct item *item, void *user), void *user)
{
    const struct value *v = item->value;
    if (v->kind != VALUE_TABLE) {
        take(item, user);
        return;
    }
    if (v->field_count > 0 || v->has_other_keys) {
        char name[96];
        field_name(item->at, name, sizeof(name));
        check_error(item->check, item->at, "%s is a table with keys; it must be %s, or a list of such", name,
                    expected);
        return;
    }
    if (v->item_count == 0) {
        char name[96];
        field_name(item->at, name, sizeof(name));
        check_error(item->check, item->at, "%s is an empty list; %s", name, empty);
    }
    for (size_t i = 0; i < v->item_count; i++) {
        struct place at = {item->at->declaration, item->at, NULL, i + 1};
        struct item one = {item->check, &at, &v->items[i]};
        take(&one, user);
    }
}
