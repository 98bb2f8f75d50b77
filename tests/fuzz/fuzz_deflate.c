/*
 * Any bytes as a deflate stream: in one piece and in many, both say the same; however much a stream holds, no more comes out than there was room
 * for. And any bytes deflated: an even stream, that holds them.
 *
 *   0  u8   how many bytes go in at once, less one
 *   1  u8   how much room there is at once: (n + 1) * 3
 *   2  the bytes
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "dicom/deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 256 << 10 }; /* a bomb is let off up to here */

/* In pieces. Ends early, as OK, once so much has come out. */
static enum result inflate(struct view in, size_t in_step, size_t out_step, struct octets *out)
{
    struct dicom_inflate *z;
    uint8_t room[1024];
    const char *why = NULL;
    enum result r = NEED_MORE;
    hilum_assert(out_step <= sizeof(room) && dicom_inflate_new(&z) == OK);
    for (size_t at = 0; at < in.len && r == NEED_MORE;) {
        size_t n = in_step < in.len - at ? in_step : in.len - at, len;
        struct view piece = {in.at + at, n};
        do {
            r = dicom_inflate_next(z, &piece, room, out_step, &len, &why);
            hilum_assert(len <= out_step && (r != OK || len == out_step));
            octets_append(out, room, len);
        } while (r == OK && out->len < OUT_MAX);
        hilum_assert(r != NEED_MORE || piece.len == 0);
        hilum_assert(r != ERR_PROTO || why);
        at += n;
    }
    if (r == NEED_MORE)
        r = dicom_inflate_end(z, &why) == OK ? NEED_MORE : ERR_PROTO;
    dicom_inflate_free(&z);
    return r;
}

static void check_all(struct view in, enum result r, const struct octets *held)
{
    struct octets all = {0};
    const char *why = NULL;
    enum result whole = dicom_inflate_all(in, OUT_MAX, &all, &why);
    hilum_assert(whole == OK ? all.len <= OUT_MAX
                             : why && all.len <= 2 * OUT_MAX); /* a piece too much, and it stops */
    if (whole == OK) /* of a stream that ends where OUT_MAX does, we may not have seen the end */
        hilum_assert(all.len == held->len && (all.len == 0 || memcmp(all.data, held->data, all.len) == 0));
    hilum_assert(whole != OK || r == NEED_MORE || all.len == OUT_MAX);
    octets_free(&all);
}

static void there_and_back(struct view in, size_t in_step, size_t out_step)
{
    struct dicom_deflate *z;
    struct octets stream = {0}, again = {0}, all = {0};
    uint8_t room[1024];
    size_t at = 0, n, len;
    enum result r;
    hilum_assert(dicom_deflate_new(&z) == OK);
    do {
        n = in_step < in.len - at ? in_step : in.len - at;
        struct view piece = {in.at + at, n};
        at += n;
        do {
            r = dicom_deflate_next(z, &piece, at == in.len, room, out_step, &len);
            hilum_assert(len <= out_step && (r == OK || r == NEED_MORE));
            octets_append(&stream, room, len);
        } while (r == OK);
    } while (at < in.len);
    dicom_deflate_free(&z);
    hilum_assert(stream.len % 2 == 0);
    hilum_assert(inflate((struct view){stream.data, stream.len}, out_step, 512, &again) == NEED_MORE);
    hilum_assert(again.len == in.len && (in.len == 0 || memcmp(again.data, in.at, in.len) == 0));
    hilum_assert(dicom_deflate_all(in, &all) == OK && all.len % 2 == 0);
    octets_free(&stream);
    octets_free(&again);
    octets_free(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct octets one = {0}, many = {0};
    if (size < 2 || size > OUT_MAX / 2)
        return 0;
    const size_t in_step = data[0] + 1U, out_step = (data[1] + 1U) * 3;
    struct view in = {data + 2, size - 2};
    enum result r = inflate(in, in.len + 1, 1024, &one), other = inflate(in, in_step, out_step, &many);
    if (one.len < OUT_MAX && many.len < OUT_MAX) {
        hilum_assert(r == other && one.len == many.len);
        hilum_assert(one.len == 0 || memcmp(one.data, many.data, one.len) == 0);
    }
    check_all(in, r, &one);
    there_and_back(in, in_step, out_step);
    octets_free(&one);
    octets_free(&many);
    return 0;
}
