/*
 * A-ASSOCIATE bodies. What is accepted can be written; what was written is accepted again and written the same.
 *
 *   input: u8 (bit 0: an AC), then the body
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "pdu/associate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pdu_associate first, second;
    struct pdu_fault fault;
    struct octets written = {0}, again = {0};
    if (size == 0)
        return 0;
    const bool is_ac = data[0] & 1;
    enum result r = pdu_associate_parse(data + 1, size - 1, is_ac, &first, &fault);
    if (r != OK) {
        hilum_assert(fault.text && !first.store.blocks);
        return 0;
    }
    pdu_associate_write(&first, &written);
    r = pdu_associate_parse(written.data + PDU_HEADER_BYTES, written.len - PDU_HEADER_BYTES, is_ac, &second,
                            &fault);
    hilum_assert(r == OK);
    pdu_associate_write(&second, &again);
    hilum_assert(written.len == again.len && memcmp(written.data, again.data, written.len) == 0);
    hilum_assert(first.context_count == second.context_count && first.role_count == second.role_count);
    hilum_assert(first.extended_count == second.extended_count && first.common_count == second.common_count);
    octets_free(&written);
    octets_free(&again);
    pdu_associate_free(&first);
    pdu_associate_free(&second);
    return 0;
}
