/* Writing of the short PDUs, and of the headers of P-DATA-TF (PS3.8 9.3.4 to 9.3.8). */
#ifndef HILUM_PDU_WRITE_H
#define HILUM_PDU_WRITE_H

#include "base/octets.h"
#include "pdu/pdu.h"

void pdu_write_reject(struct octets *out, struct pdu_reject reject);
void pdu_write_release_rq(struct octets *out);
void pdu_write_release_rp(struct octets *out);
void pdu_write_abort(struct octets *out, uint8_t source, uint8_t reason);

/*
 * One P-DATA-TF with one PDV: PDU header and PDV header in 12 bytes, fragment_len bytes of fragment follow.
 *   0 u8 04, 1 u8 00, 2 u32 fragment_len + 6, 6 u32 fragment_len + 2, 10 u8 context id, 11 u8 control
 */
enum { PDU_DATA_HEADER_BYTES = 12 };
void pdu_write_data_header(uint8_t out[PDU_DATA_HEADER_BYTES], uint32_t fragment_len, uint8_t context_id,
                           uint8_t control);

/* The largest even fragment that a peer with this maximum length takes (PS3.8 D.1, E.1): even floor of max - 6, and at
 * most `ours`; max 0 means no limit. At least 2: a peer that takes less is refused before (PDU_MAX_LENGTH_LEAST). `ours` is even. */
uint32_t pdu_fragment_max(uint32_t peer_max_length, uint32_t ours);

#endif
