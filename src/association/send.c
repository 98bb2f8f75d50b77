/*
 * Messages out. One framing for every case: our 12-byte headers between borrowed slices, each PDU one PDV, commands and
 * data apart (quirk 24), fragments even and up to the peer's maximum.
 */
#include <string.h>

#include "association/inside.h"
#include "base/assert.h"
#include "pdu/write.h"

/* A destination with nothing left to send gets what is here, without waiting for a full fragment; below this many
 * bytes that is not worth a PDU. */
enum { FLUSH_MIN = 4096 };

bool association_may_send(const struct association *a)
{
    return a->is_established && !a->has_ended && !a->is_sending_data && ul_may_send_data(&a->ul);
}

/* len bytes of room that nobody else writes to; *at_out is where. */
static struct buf *scratch_room(struct association *a, uint32_t len, uint8_t **at_out)
{
    if (!a->scratch || a->scratch->size - a->scratch->used < len) {
        struct buf *fresh = buf_scratch(a->pool, len);
        if (!fresh)
            return NULL;
        buf_unref(&a->scratch);
        a->scratch = fresh;
    }
    *at_out = a->scratch->data + a->scratch->used;
    a->scratch->used += len;
    return a->scratch;
}

static bool send_scratch(struct association *a, const void *bytes, uint32_t len)
{
    uint8_t *at;
    struct buf *b = scratch_room(a, len, &at);
    if (!b)
        return false;
    memcpy(at, bytes, len);
    return stream_send(&a->stream, b, at, len);
}

static bool send_header(struct association *a, uint32_t fragment_len, uint8_t context_id, uint8_t control)
{
    uint8_t header[PDU_DATA_HEADER_BYTES];
    pdu_write_data_header(header, fragment_len, context_id, control);
    return send_scratch(a, header, sizeof(header));
}

bool association_send_command(struct association *a, uint8_t context_id, const struct dimse_command *c)
{
    hilum_assert(association_may_send(a));
    struct octets bytes = {0};
    dimse_write(c, &bytes);
    bool ok = !bytes.failed;
    for (size_t at = 0; ok && at < bytes.len;) {
        size_t left = bytes.len - at;
        uint32_t n = left < a->fragment_max ? (uint32_t)left : a->fragment_max;
        uint8_t control = PDV_COMMAND | (n == left ? PDV_LAST : 0);
        ok = send_header(a, n, context_id, control) && send_scratch(a, bytes.data + at, n);
        at += n;
    }
    octets_free(&bytes);
    a->send_context = context_id;
    a->is_sending_data = dimse_has_data_set(c);
    return ok;
}

/* The next n bytes of the data set as one PDU, with pad NULs behind them. */
static bool send_fragment(struct association *a, uint32_t n, uint32_t pad, uint8_t control)
{
    bool ok = send_header(a, n + pad, a->send_context, control);
    while (ok && n > 0) {
        struct slice *first = slices_at(&a->data, 0);
        uint32_t part = first->len < n ? first->len : n;
        ok = stream_send(&a->stream, first->buf, first->at, part);
        slices_consume(&a->data, part);
        n -= part;
    }
    return ok && (pad == 0 || send_scratch(a, "", pad));
}

static bool send_full_fragments(struct association *a)
{
    while (a->data.bytes > a->fragment_max) /* one byte at least stays for the last fragment */
        if (!send_fragment(a, a->fragment_max, 0, 0))
            return false;
    return true;
}

bool association_send_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    if (a->has_ended)
        return true;
    hilum_assert(a->is_sending_data);
    if (!slices_push(&a->data, b, at, len))
        return false;
    io_defer(a->io, &a->flush);
    return send_full_fragments(a);
}

static bool pins_receive_buffer(const struct slices *data)
{
    for (uint32_t i = 0; i < data->count; i++)
        if (slices_at(data, i)->buf->is_receive)
            return true;
    return false;
}

/* The little that stays for the next fragment pins a whole receive buffer, and most associations in mid-message have such a
 * rest. Of a pool that is short it is copied out. Without memory it stays. */
static void unpin_rest(struct association *a)
{
    uint32_t len = (uint32_t)a->data.bytes;
    if (len > FLUSH_MIN || !pool_is_short(a->pool) || !pins_receive_buffer(&a->data))
        return;
    struct buf *b = buf_scratch(a->pool, len);
    if (!b)
        return;
    slices_copy_out(&a->data, 0, b->data, len);
    b->used = len;
    slices_clear(&a->data);
    if (!slices_push(&a->data, b, b->data, len))
        association_abort(a, "out of memory");
    buf_unref(&b);
}

void association_flush(struct association *a)
{
    if (a->has_ended)
        return;
    if (a->is_sending_data && a->stream.sending.count == 0 && a->data.bytes > FLUSH_MIN &&
        !send_fragment(a, (uint32_t)((a->data.bytes - 1) & ~(size_t)1), 0, 0))
        association_abort(a, "out of memory");
    unpin_rest(a);
    if (a->scratch && a->scratch->refs == 1 && !a->is_sending_data)
        buf_unref(&a->scratch);
}

bool association_send_data_end(struct association *a)
{
    if (a->has_ended)
        return true;
    hilum_assert(a->is_sending_data);
    bool ok = send_full_fragments(a);
    uint32_t n = (uint32_t)a->data.bytes;
    ok = ok && send_fragment(a, n, n & 1, PDV_LAST);
    a->is_sending_data = false;
    io_defer(a->io, &a->flush);
    return ok;
}

size_t association_backlog(const struct association *a)
{
    return a->stream.sending.bytes + association_passing(a);
}

bool association_is_paced(const struct association *a)
{
    return a->is_paced;
}

enum association_bulk association_may_pass(struct association *a)
{
    if (a->has_ended || a->stream.tls_context || !a->is_sending_data || a->leg ||
        a->fragment_max < BYPASS_MIN)
        return ASSOCIATION_BULK_RECEIVE;
    if (a->data.bytes % 2 == 1)
        return ASSOCIATION_BULK_EVEN;
    return a->data.bytes > 0 || a->stream.sending.count > 0 ? ASSOCIATION_BULK_WAIT : ASSOCIATION_BULK_PASS;
}

void association_send_rest(struct association *a)
{
    if (a->data.bytes > 0 && !send_fragment(a, (uint32_t)a->data.bytes, 0, 0))
        association_abort(a, "out of memory");
}
