#include "route/service.h"

#include <string.h>

#include "dicom/uid.h"
#include "dimse/command.h"

/* The services of the registry whose every command is one of ours. */
static bool is_whole(const struct dicom_uid *uid, enum config_service *out)
{
    static const struct {
        const char *service;
        enum config_service is;
    } whole[] = {
        {"Verification", CONFIG_ECHO},
        {"Modality Worklist", CONFIG_WORKLIST},
        {"General Purpose Worklist", CONFIG_WORKLIST},
        {"Procedure Step (MPPS)", CONFIG_MPPS},
        {"Storage Commitment", CONFIG_COMMIT},
        {"Unified Procedure Step", CONFIG_UPS},
        {"Instance Availability Notification", CONFIG_AVAILABILITY},
        {"Print Management", CONFIG_PRINT},
    };
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (strcmp(uid->service, whole[i].service) == 0) {
            *out = whole[i].is;
            return true;
        }
    return false;
}

static const struct dicom_uid *find(struct view uid)
{
    uid = dicom_uid_trim(uid);
    return dicom_uid_find((const char *)uid.at, uid.len);
}

enum config_service route_service(struct view abstract_syntax, uint16_t field)
{
    const struct dicom_uid *uid = find(abstract_syntax);
    enum config_service service;
    switch (field) {
    case DIMSE_C_STORE_RQ:
        return CONFIG_STORE;
    case DIMSE_C_ECHO_RQ:
        return CONFIG_ECHO;
    case DIMSE_C_MOVE_RQ:
        return CONFIG_MOVE;
    case DIMSE_C_GET_RQ:
        return CONFIG_GET;
    case DIMSE_C_FIND_RQ:
        return uid && is_whole(uid, &service) && service != CONFIG_ECHO ? service : CONFIG_FIND;
    default:
        return uid && is_whole(uid, &service) && service != CONFIG_ECHO ? service : CONFIG_OTHER;
    }
}

static bool ends_in(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);
    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static uint32_t bit(enum config_service service)
{
    return UINT32_C(1) << service;
}

/* A requestor that is SCP of a storage class is sent what it retrieves by C-GET. */
static uint32_t of_storage(bool is_scu, bool is_scp)
{
    return (is_scu || !is_scp ? bit(CONFIG_STORE) : 0) | (is_scp ? bit(CONFIG_GET) : 0);
}

uint32_t route_services_of(struct view abstract_syntax, bool is_scu, bool is_scp)
{
    const struct dicom_uid *uid = find(abstract_syntax);
    enum config_service service;
    if (!uid)
        return of_storage(is_scu, is_scp) | bit(CONFIG_OTHER);
    if (is_whole(uid, &service))
        return bit(service);
    if (dicom_uid_is_storage(abstract_syntax))
        return of_storage(is_scu, is_scp);
    if (ends_in(uid->service, "Query") || ends_in(uid->keyword, "Find") ||
        ends_in(uid->keyword, "RepositoryQuery"))
        return bit(CONFIG_FIND);
    if (ends_in(uid->keyword, "Move"))
        return bit(CONFIG_MOVE);
    if (ends_in(uid->keyword, "Get"))
        return bit(CONFIG_GET);
    return bit(CONFIG_OTHER);
}
