#include "pdu/write.h"

#include "base/assert.h"
#include "base/bytes.h"

/* Every short PDU is a header and four bytes. */
static void write_short(struct octets *out, uint8_t type, const uint8_t body[4])
{
    octets_u8(out, type);
    octets_u8(out, 0);
    octets_be32(out, 4);
    octets_append(out, body, 4);
}

void pdu_write_reject(struct octets *out, struct pdu_reject reject)
{
    write_short(out, PDU_ASSOCIATE_RJ, (const uint8_t[4]){0, reject.result, reject.source, reject.reason});
}

void pdu_write_release_rq(struct octets *out)
{
    write_short(out, PDU_RELEASE_RQ, (const uint8_t[4]){0});
}

void pdu_write_release_rp(struct octets *out)
{
    write_short(out, PDU_RELEASE_RP, (const uint8_t[4]){0});
}

void pdu_write_abort(struct octets *out, uint8_t source, uint8_t reason)
{
    write_short(out, PDU_ABORT, (const uint8_t[4]){0, 0, source, reason});
}

void pdu_write_data_header(uint8_t out[PDU_DATA_HEADER_BYTES], uint32_t fragment_len, uint8_t context_id,
                           uint8_t control)
{
    hilum_assert(fragment_len <= UINT32_MAX - PDU_PDV_HEADER_BYTES);
    out[0] = PDU_P_DATA_TF;
    out[1] = 0;
    put_be32(out + 2, fragment_len + PDU_PDV_HEADER_BYTES);
    put_be32(out + 6, fragment_len + 2);
    out[10] = context_id;
    out[11] = control;
}

uint32_t pdu_fragment_max(uint32_t peer_max_length, uint32_t ours)
{
    if (peer_max_length == 0)
        return ours;
    if (peer_max_length < PDU_PDV_HEADER_BYTES + 2)
        return 2;
    uint32_t theirs = (peer_max_length - PDU_PDV_HEADER_BYTES) & ~UINT32_C(1);
    return theirs < ours ? theirs : ours;
}
