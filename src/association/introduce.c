/* How we introduce ourselves, in requests and in answers (PS3.8 9.3.2, PS3.7 D.3.3.2). */
#include "association/association.h"
#include "dicom/uid.h"

void association_introduce(struct pdu_associate *ours, uint32_t max_length)
{
    ours->application_context = view_of(DICOM_APPLICATION_CONTEXT);
    ours->max_length = max_length;
    ours->has_max_length = true;
    ours->implementation_uid = view_of(HILUM_IMPLEMENTATION_UID);
    ours->implementation_version = view_of(HILUM_IMPLEMENTATION_VERSION);
}
