#include "build.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

void build_bytes(struct build *b, const void *bytes, size_t len)
{
    if (len > sizeof b->bytes - b->len)
        abort();
    memcpy(b->bytes + b->len, bytes, len);
    b->len += len;
}

static void note(struct build *b, const char *what)
{
    if (b->field_count == sizeof b->fields / sizeof b->fields[0])
        return; /* only the complete samples are asked for their fields, and they fit */
    b->fields[b->field_count++] = (struct length_field){b->len, what};
}

static void u16(struct build *b, size_t v)
{
    build_bytes(b, (const uint8_t[]){(uint8_t)(v >> 8), (uint8_t)v}, 2);
}

void build_fixed(struct build *b)
{
    uint8_t fixed[68] = {0, 1};
    memset(b, 0, sizeof *b);
    memcpy(fixed + 4, "HILUM           CT1             ", 32);
    build_bytes(b, fixed, sizeof fixed);
}

size_t build_begin(struct build *b, uint8_t type, const char *what)
{
    size_t item = b->len;
    build_bytes(b, (const uint8_t[]){type, 0}, 2);
    note(b, what);
    u16(b, 0);
    return item;
}

void build_end(struct build *b, size_t item)
{
    put_be16(b->bytes + item + 2, (uint16_t)(b->len - item - 4));
}

void build_item(struct build *b, uint8_t type, const char *what, const char *text)
{
    size_t item = build_begin(b, type, what);
    build_bytes(b, text, strlen(text));
    build_end(b, item);
}

void build_counted(struct build *b, const char *what, const char *text)
{
    note(b, what);
    u16(b, strlen(text));
    build_bytes(b, text, strlen(text));
}

void build_application_context(struct build *b)
{
    build_item(b, 0x10, "10", "1.2.840.10008.3.1.1.1");
}

void build_context_rq(struct build *b, uint8_t id, const char *abstract, const char *transfer)
{
    size_t item = build_begin(b, 0x20, "20");
    build_bytes(b, (const uint8_t[]){id, 0, 0, 0}, 4);
    if (abstract)
        build_item(b, 0x30, "30", abstract);
    if (transfer)
        build_item(b, 0x40, "40", transfer);
    build_end(b, item);
}

void build_context_ac(struct build *b, uint8_t id, uint8_t result, const char *transfer)
{
    size_t item = build_begin(b, 0x21, "21");
    build_bytes(b, (const uint8_t[]){id, 0, result, 0}, 4);
    if (transfer)
        build_item(b, 0x40, "40", transfer);
    build_end(b, item);
}

void build_user_information(struct build *b)
{
    size_t item = build_begin(b, 0x50, "50");
    size_t max = build_begin(b, 0x51, "51");
    build_bytes(b, (const uint8_t[]){0, 0, 0x40, 0}, 4);
    build_end(b, max);
    build_item(b, 0x52, "52", "1.2.3");
    build_end(b, item);
}

static void sized(struct build *b, uint8_t type, const char *what, const uint8_t *bytes, size_t len)
{
    size_t item = build_begin(b, type, what);
    build_bytes(b, bytes, len);
    build_end(b, item);
}

/* 51 to 56, which RQ and AC have in common. */
static void common_sub_items(struct build *b)
{
    sized(b, 0x51, "51", (const uint8_t[]){0, 0, 0x40, 0}, 4);
    build_item(b, 0x52, "52", "1.2.3.4");
    sized(b, 0x53, "53", (const uint8_t[]){0, 5, 0, 7}, 4);
    size_t role = build_begin(b, 0x54, "54");
    build_counted(b, "54 uid", "1.2.840.10008.5.1.4.1.1.2");
    build_bytes(b, (const uint8_t[]){0, 1}, 2);
    build_end(b, role);
    build_item(b, 0x55, "55", "HILUM_1");
    size_t extended = build_begin(b, 0x56, "56");
    build_counted(b, "56 uid", "1.2.840.10008.5.1.4.1.2.2.1");
    build_bytes(b, (const uint8_t[]){1, 0, 1}, 3);
    build_end(b, extended);
}

static void common_extended(struct build *b)
{
    size_t item = build_begin(b, 0x57, "57");
    build_counted(b, "57 SOP class", "1.2.840.10008.5.1.4.1.1.88.40");
    build_counted(b, "57 service class", "1.2.840.10008.4.2");
    size_t list = b->len;
    note(b, "57 list");
    u16(b, 0);
    build_counted(b, "57 first related", "1.2.840.10008.5.1.4.1.1.88.22");
    build_counted(b, "57 last related", "1.2.840.10008.5.1.4.1.1.88.33");
    put_be16(b->bytes + list, (uint16_t)(b->len - list - 2));
    build_end(b, item);
}

void build_full_rq(struct build *b)
{
    build_fixed(b);
    build_application_context(b);
    build_context_rq(b, 1, "1.2.840.10008.1.1", "1.2.840.10008.1.2");
    build_context_rq(b, 255, "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1");
    size_t user = build_begin(b, 0x50, "50");
    common_sub_items(b);
    common_extended(b);
    size_t identity = build_begin(b, 0x58, "58");
    build_bytes(b, (const uint8_t[]){2, 1}, 2);
    build_counted(b, "58 primary", "ann");
    build_counted(b, "58 secondary", "secret");
    build_end(b, identity);
    build_end(b, user);
}

void build_full_ac(struct build *b)
{
    build_fixed(b);
    build_application_context(b);
    build_context_ac(b, 1, 0, "1.2.840.10008.1.2");
    build_context_ac(b, 255, 3, NULL);
    size_t user = build_begin(b, 0x50, "50");
    common_sub_items(b);
    size_t response = build_begin(b, 0x59, "59");
    build_counted(b, "59 response", "ticket");
    build_end(b, response);
    build_end(b, user);
}
