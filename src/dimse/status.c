#include "dimse/status.h"

#include "dimse/command.h"

/* What a code says, and which bits of it count. The most specific comes first. */
struct status_row {
    uint16_t code, mask;
    enum dimse_status_class class;
    const char *text;
};

static const struct status_row rows[] = {
    {0x0000, 0xFFFF, DIMSE_SUCCESS, "success"},
    {0x0001, 0xFFFF, DIMSE_WARNING, "warning: optional attributes not supported"},
    {0x0105, 0xFFFF, DIMSE_FAILURE, "no such attribute"},
    {0x0106, 0xFFFF, DIMSE_FAILURE, "invalid attribute value"},
    {0x0107, 0xFFFF, DIMSE_WARNING, "warning: attribute list error"},
    {0x0110, 0xFFFF, DIMSE_FAILURE, "processing failure"},
    {0x0111, 0xFFFF, DIMSE_FAILURE, "duplicate SOP instance"},
    {0x0112, 0xFFFF, DIMSE_FAILURE, "no such SOP instance"},
    {0x0113, 0xFFFF, DIMSE_FAILURE, "no such event type"},
    {0x0114, 0xFFFF, DIMSE_FAILURE, "no such argument"},
    {0x0115, 0xFFFF, DIMSE_FAILURE, "invalid argument value"},
    {0x0116, 0xFFFF, DIMSE_WARNING, "warning: attribute value out of range"},
    {0x0117, 0xFFFF, DIMSE_FAILURE, "invalid SOP Instance UID"},
    {0x0118, 0xFFFF, DIMSE_FAILURE, "no such SOP class"},
    {0x0119, 0xFFFF, DIMSE_FAILURE, "class and instance do not match"},
    {0x0120, 0xFFFF, DIMSE_FAILURE, "missing attribute"},
    {0x0121, 0xFFFF, DIMSE_FAILURE, "missing attribute value"},
    {0x0122, 0xFFFF, DIMSE_FAILURE, "refused: SOP class not supported"},
    {0x0123, 0xFFFF, DIMSE_FAILURE, "no such action type"},
    {0x0124, 0xFFFF, DIMSE_FAILURE, "refused: not authorised"},
    {0x0131, 0xFFFF, DIMSE_FAILURE, "duplicate transaction UID"},
    {0x0210, 0xFFFF, DIMSE_FAILURE, "duplicate message id"},
    {0x0211, 0xFFFF, DIMSE_FAILURE, "unrecognised operation"},
    {0x0212, 0xFFFF, DIMSE_FAILURE, "mistyped argument"},
    {0x0213, 0xFFFF, DIMSE_FAILURE, "resource limitation"},
    {0x0100, 0xFF00, DIMSE_FAILURE, "failure"},
    {0x0200, 0xFF00, DIMSE_FAILURE, "failure"},
    {0xA701, 0xFFFF, DIMSE_FAILURE, "refused: out of resources, matches cannot be counted"},
    {0xA702, 0xFFFF, DIMSE_FAILURE, "refused: out of resources, sub-operations cannot be run"},
    {0xA700, 0xFF00, DIMSE_FAILURE, "refused: out of resources"},
    {0xA801, 0xFFFF, DIMSE_FAILURE, "refused: move destination unknown"},
    {0xA900, 0xFF00, DIMSE_FAILURE, "data set does not match SOP class"},
    {0xA000, 0xF000, DIMSE_FAILURE, "failure"},
    {0xB000, 0xFFFF, DIMSE_WARNING, "warning: elements coerced or sub-operations failed"},
    {0xB006, 0xFFFF, DIMSE_WARNING, "warning: elements discarded"},
    {0xB007, 0xFFFF, DIMSE_WARNING, "warning: data set does not match SOP class"},
    {0xB000, 0xF000, DIMSE_WARNING, "warning"},
    {0xC000, 0xF000, DIMSE_FAILURE, "cannot understand or process"},
    {0xFE00, 0xFFFF, DIMSE_CANCEL, "cancelled"},
    {0xFF00, 0xFFFF, DIMSE_PENDING, "pending"},
    {0xFF01, 0xFFFF, DIMSE_PENDING, "pending: some optional keys not supported"},
    {0x0000, 0x0000, DIMSE_FAILURE, "unknown status"},
};

static const struct status_row *find(uint16_t status)
{
    const struct status_row *row = rows;
    while ((status & row->mask) != row->code) {
        row++; /* the last one takes everything */
    }
    return row;
}

enum dimse_status_class dimse_status_class(uint16_t status)
{
    return find(status)->class;
}

const char *dimse_status_text(uint16_t status)
{
    return find(status)->text;
}

int dimse_store_severity(uint16_t status)
{
    if (status == DIMSE_STATUS_DUPLICATE) {
        return 0;
    }
    switch (dimse_status_class(status)) {
    case DIMSE_SUCCESS:
        return 0;
    case DIMSE_WARNING:
        return 1;
    case DIMSE_FAILURE:
        return (status & 0xFF00) == 0xA700 || status == 0x0213 ? 2 : 3;
    case DIMSE_CANCEL:
    case DIMSE_PENDING:
        break;
    }
    return 3;
}

int dimse_severity(uint16_t field, uint16_t status)
{
    return status == DIMSE_STATUS_DUPLICATE && field != DIMSE_C_STORE_RQ ? 3 : dimse_store_severity(status);
}

int dimse_severity_again(uint16_t field, uint16_t status)
{
    return field == DIMSE_N_CREATE_RQ ? dimse_store_severity(status) : dimse_severity(field, status);
}
