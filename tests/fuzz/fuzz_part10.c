/* Any bytes as the front of a file; what is taken must be written and read back as the same. */
#include "base/assert.h"
#include "dicom/part10.h"
#include "dicom/uid.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_again(const struct part10_meta *meta)
{
    enum { MAX_VALUE_BYTES = 65534 }; /* of a VR with 16-bit length; the implicit form can hold more */
    const struct view *views[] = {&meta->sop_class,    &meta->sop_instance,  &meta->transfer_syntax,
                                  &meta->source_title, &meta->sending_title, &meta->receiving_title};
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        if (views[i]->len > MAX_VALUE_BYTES) {
            return;
        }
    }
    struct octets out = {0};
    struct part10_meta again;
    const char *why;
    part10_write(meta, &out);
    size_t end = out.len;
    octets_fill(&out, 0x08, 4);
    hilum_assert(!out.failed);
    hilum_assert(part10_read(out.data, out.len, &again, &why) == OK);
    hilum_assert(again.data_set_offset == end);
    hilum_assert(dicom_uid_equal(again.sop_class, meta->sop_class));
    hilum_assert(dicom_uid_equal(again.sop_instance, meta->sop_instance));
    hilum_assert(dicom_uid_equal(again.transfer_syntax, meta->transfer_syntax));
    hilum_assert(dicom_uid_equal(again.source_title, meta->source_title));
    hilum_assert(dicom_uid_equal(again.sending_title, meta->sending_title));
    hilum_assert(dicom_uid_equal(again.receiving_title, meta->receiving_title));
    octets_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct part10_meta meta;
    const char *why = NULL;
    enum result r = part10_read(bytes, len, &meta, &why);
    hilum_assert(r == OK || r == NEED_MORE || (r == ERR_PROTO && why));
    if (r == OK) {
        hilum_assert(meta.data_set_offset + 4 <= len);
        check_again(&meta);
    }
    return 0;
}
