/*
 * Any bytes as a data set of storage commitment, in pieces of any size: what is taken is written and read back as the same. And as what is kept of one.
 *
 *   0  bit 0 explicit, bit 1 big endian, bit 2 a record
 *   1  bytes of a piece
 */
#include <string.h>

#include "base/assert.h"
#include "relay/commitment_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static enum result read_cut(struct commitment_list *l, const uint8_t *bytes, size_t len, size_t piece,
                            struct dicom_encoding encoding)
{
    struct pool pool;
    struct slices data = {0};
    const char *why = NULL;
    pool_init(&pool, 1 << 20);
    struct buf *b = buf_scratch(&pool, len + 1);
    if (len > 0)
        memcpy(b->data, bytes, len);
    for (size_t at = 0; at < len; at += piece)
        hilum_assert(slices_push(&data, b, b->data + at, (uint32_t)(len - at < piece ? len - at : piece)));
    enum result r = commitment_list_read(l, &data, encoding, &why);
    hilum_assert(r == OK || why);
    slices_clear(&data);
    buf_unref(&b);
    pool_free(&pool);
    return r;
}

static void check_same(const struct commitment_list *a, const struct commitment_list *b)
{
    size_t failed = commitment_failed(a->items, a->count), at = 0;
    hilum_assert(strcmp(a->transaction, b->transaction) == 0 && a->count == b->count);
    hilum_assert(commitment_failed(b->items, b->count) == failed);
    for (int round = 0; round < 2; round++) { /* the failed ones are written first */
        for (size_t n = 0; n < a->count; n++) {
            if ((a->items[n].reason == 0) != (round == 1))
                continue;
            hilum_assert(strcmp(a->items[n].sop_class, b->items[at].sop_class) == 0);
            hilum_assert(strcmp(a->items[n].sop_instance, b->items[at].sop_instance) == 0);
            hilum_assert(a->items[n].reason == b->items[at].reason);
            at++;
        }
    }
}

static void check_list(const uint8_t *bytes, size_t len, size_t piece, struct dicom_encoding encoding)
{
    struct commitment_list l, again;
    struct octets o = {0};
    if (read_cut(&l, bytes, len, piece, encoding) == OK) {
        commitment_list_write(&o, encoding.is_explicit, l.transaction, l.items, l.count);
        struct dicom_encoding little = {.is_explicit = encoding.is_explicit};
        hilum_assert(read_cut(&again, o.data, o.len, 1000, little) == OK);
        check_same(&l, &again);
        commitment_list_free(&again);
        octets_free(&o);
    }
    commitment_list_free(&l);
}

static void check_record(const uint8_t *bytes, size_t len)
{
    struct commitment_record r;
    struct octets o = {0}, twice = {0};
    if (commitment_record_read(&r, (struct view){bytes, len}) == OK) {
        struct commitment_record again;
        commitment_record_write(&r, &o);
        hilum_assert(commitment_record_read(&again, (struct view){o.data, o.len}) == OK);
        commitment_record_write(&again, &twice);
        hilum_assert(o.len == twice.len && memcmp(o.data, twice.data, o.len) == 0);
        commitment_record_free(&again);
        octets_free(&o);
        octets_free(&twice);
    }
    commitment_record_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    struct dicom_encoding encoding = {.is_explicit = bytes[0] & 1, .is_big_endian = bytes[0] & 2};
    encoding.is_big_endian = encoding.is_big_endian && encoding.is_explicit;
    if (bytes[0] & 4)
        check_record(bytes + 2, len - 2);
    else
        check_list(bytes + 2, len - 2, bytes[1] ? bytes[1] : 256, encoding);
    return 0;
}
