#include "dimse/command.h"

#include <string.h>

#include "dimse/messages.h"

enum { HEADER_BYTES = 8, GROUP_LENGTH_BYTES = HEADER_BYTES + 4 };

static enum result fault(const char **why_out, const char *why)
{
    *why_out = why;
    return ERR_PROTO;
}

/* *at: where the search begins, and then the element's own place: in a command set they rise. */
static const struct dimse_element *find_element(uint16_t number, size_t *at)
{
    for (size_t n = 0; n < dimse_elements_count; n++) {
        size_t i = *at + n < dimse_elements_count ? *at + n : *at + n - dimse_elements_count;
        if (dimse_elements[i].number == number) {
            *at = i;
            return &dimse_elements[i];
        }
    }
    return NULL;
}

/* One element's value into its member of the command. */
static enum result keep(struct dimse_command *c, const struct dimse_element *element, struct view value,
                        const char **why_out)
{
    uint8_t *member = (uint8_t *)c + element->member;
    if (value.len == 0) {
        return OK; /* counts as absent */
    }
    if (c->has & element->has) {
        return fault(why_out, "command element occurs twice");
    }
    if (element->kind == DIMSE_NUMBER) {
        if (value.len != 2) {
            return fault(why_out, "command element of type US is not 2 bytes long");
        }
        uint16_t number = get_le16(value.at);
        memcpy(member, &number, sizeof(number));
    } else {
        if (element->kind == DIMSE_TAGS && value.len % 4 != 0) {
            return fault(why_out, "command element of type AT is not a multiple of 4 bytes long");
        }
        memcpy(member, &value, sizeof(value));
    }
    c->has |= element->has;
    return OK;
}

static enum result check_mandatory(const struct dimse_command *c, const char **why_out)
{
    if (!(c->has & DIMSE_HAS_FIELD)) {
        return fault(why_out, "command set without Command Field");
    }
    const struct dimse_message *message = dimse_message_find(c->field);
    if (!message) {
        return fault(why_out, "unknown Command Field");
    }
    static const struct {
        uint32_t has;
        const char *why;
    } reasons[] = {
        {DIMSE_HAS_MESSAGE_ID, "request without Message ID"},
        {DIMSE_HAS_RESPONDED_ID, "command set without Message ID Being Responded To"},
        {DIMSE_HAS_DATA_SET_TYPE, "command set without Command Data Set Type"},
        {DIMSE_HAS_STATUS, "response without Status"},
        {DIMSE_HAS_AFFECTED_CLASS, "request without Affected SOP Class UID"},
        {DIMSE_HAS_AFFECTED_INSTANCE, "request without Affected SOP Instance UID"},
        {DIMSE_HAS_REQUESTED_CLASS, "request without Requested SOP Class UID"},
        {DIMSE_HAS_REQUESTED_INSTANCE, "request without Requested SOP Instance UID"},
        {DIMSE_HAS_MOVE_DESTINATION, "C-MOVE-RQ without Move Destination"},
        {DIMSE_HAS_EVENT_TYPE, "N-EVENT-REPORT-RQ without Event Type ID"},
        {DIMSE_HAS_ACTION_TYPE, "N-ACTION-RQ without Action Type ID"},
    };
    uint32_t missing = message->mandatory & ~c->has;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (missing & reasons[i].has) {
            return fault(why_out, reasons[i].why);
        }
    }
    return OK;
}

enum result dimse_parse(const uint8_t *bytes, size_t len, struct dimse_command *out, const char **why_out)
{
    struct dimse_command c = {0};
    if (len > DIMSE_COMMAND_MAX_BYTES) {
        return fault(why_out, "command set too long");
    }
    for (size_t at = 0, place = 0; at < len;) {
        if (len - at < HEADER_BYTES) {
            return fault(why_out, "command set ends within an element's tag or length");
        }
        uint16_t group = get_le16(bytes + at);
        uint16_t number = get_le16(bytes + at + 2);
        uint32_t value_len = get_le32(bytes + at + 4);
        at += HEADER_BYTES;
        if (group != 0x0000) {
            return fault(why_out, "element outside group 0000 in a command set");
        }
        if (value_len > len - at) {
            return fault(why_out, "command element reaches past the end of the command set");
        }
        const struct dimse_element *element = find_element(number, &place);
        if (element) {
            enum result r = keep(&c, element, (struct view){bytes + at, value_len}, why_out);
            if (r != OK) {
                return r;
            }
        }
        at += value_len;
    }
    enum result r = check_mandatory(&c, why_out);
    if (r == OK) {
        *out = c;
    }
    return r;
}

static void write_header(struct octets *out, uint16_t number, size_t value_len)
{
    octets_le16(out, 0x0000);
    octets_le16(out, number);
    octets_le32(out, (uint32_t)value_len);
}

static void write_element(const struct dimse_command *c, const struct dimse_element *element,
                          struct octets *out)
{
    const uint8_t *member = (const uint8_t *)c + element->member;
    if (element->kind == DIMSE_NUMBER) {
        uint16_t number;
        memcpy(&number, member, sizeof(number));
        write_header(out, element->number, sizeof(number));
        octets_le16(out, number);
        return;
    }
    struct view value;
    memcpy(&value, member, sizeof(value));
    size_t padding = value.len & 1;
    write_header(out, element->number, value.len + padding);
    octets_append(out, value.at, value.len);
    octets_fill(out, element->kind == DIMSE_TEXT ? ' ' : '\0', padding);
}

void dimse_write(const struct dimse_command *c, struct octets *out)
{
    size_t start = out->len;
    write_header(out, 0x0000, 4);
    octets_le32(out, 0); /* known at the end */
    for (size_t i = 0; i < dimse_elements_count; i++) {
        if (c->has & dimse_elements[i].has) {
            write_element(c, &dimse_elements[i], out);
        }
    }
    if (!out->failed) {
        put_le32(out->data + start + HEADER_BYTES, (uint32_t)(out->len - start - GROUP_LENGTH_BYTES));
    }
}

static struct view *value_of(struct dimse_command *c, const struct dimse_element *element)
{
    bool has_view = element->kind != DIMSE_NUMBER && (c->has & element->has);
    return has_view ? (struct view *)(void *)((uint8_t *)c + element->member) : NULL;
}

bool dimse_copy(const struct dimse_command *c, struct octets *values, struct dimse_command *out)
{
    size_t at = values->len;
    *out = *c;
    for (size_t i = 0; i < dimse_elements_count; i++) {
        const struct view *v = value_of(out, &dimse_elements[i]);
        if (v) {
            octets_append(values, v->at, v->len);
        }
    }
    if (values->failed) {
        return false;
    }
    for (size_t i = 0; i < dimse_elements_count; i++) {
        struct view *v = value_of(out, &dimse_elements[i]);
        if (v) {
            v->at = values->data + at;
            at += v->len;
        }
    }
    return true;
}
