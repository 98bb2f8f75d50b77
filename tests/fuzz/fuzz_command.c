/* Any bytes as a command set; what is taken must be written and read back as the same. */
#include <string.h>

#include "base/assert.h"
#include "dimse/command.h"
#include "dimse/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Odd values are padded when they are written; nothing else may change. */
static void check_view(struct view read, struct view again, char pad)
{
    hilum_assert(again.len == read.len + (read.len & 1));
    hilum_assert(read.len == 0 || memcmp(read.at, again.at, read.len) == 0);
    hilum_assert(again.len == read.len || again.at[read.len] == (uint8_t)pad);
}

static void check_again(const struct dimse_command *c)
{
    struct octets out = {0};
    struct dimse_command again;
    const char *why;
    dimse_write(c, &out);
    hilum_assert(!out.failed);
    if (out.len > DIMSE_COMMAND_MAX_BYTES) { /* padding made it longer than what we read */
        octets_free(&out);
        return;
    }
    hilum_assert(get_le32(out.data + 8) == out.len - 12);
    hilum_assert(dimse_parse(out.data, out.len, &again, &why) == OK);
    hilum_assert(again.has == c->has);
    hilum_assert(again.field == c->field && again.status == c->status && again.message_id == c->message_id);
    hilum_assert(again.data_set_type == c->data_set_type && again.responded_id == c->responded_id);
    check_view(c->affected_class, again.affected_class, '\0');
    check_view(c->requested_class, again.requested_class, '\0');
    check_view(c->affected_instance, again.affected_instance, '\0');
    check_view(c->requested_instance, again.requested_instance, '\0');
    check_view(c->move_destination, again.move_destination, ' ');
    check_view(c->originator_title, again.originator_title, ' ');
    check_view(c->comment, again.comment, ' ');
    check_view(c->offending, again.offending, '\0');
    check_view(c->attributes, again.attributes, '\0');
    octets_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dimse_command c, response;
    const char *why = NULL;
    enum result r = dimse_parse(bytes, len, &c, &why);
    hilum_assert(r == OK || (r == ERR_PROTO && why));
    if (r != OK) {
        return 0;
    }
    check_again(&c);
    if (!dimse_is_response(c.field) && c.field != DIMSE_C_CANCEL_RQ) {
        dimse_response_to(&c, DIMSE_STATUS_OUT_OF_RESOURCES, "fuzzed", &response);
        check_again(&response);
    }
    return 0;
}
