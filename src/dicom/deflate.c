#include "dicom/deflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "base/assert.h"

/* No header and no checksum, and the largest window, which any stream may need. */
enum { RAW_WINDOW_BITS = -15, MEMORY_LEVEL = 8 };

enum { GZIP_TRAILER_BYTES = 8 }; /* CRC32 and length (RFC 1952) */

enum { PIECE_BYTES = 16 << 10 };

struct dicom_inflate {
    z_stream stream;
    bool is_over;
    uint8_t behind;     /* bytes behind the end that may be anything, as far as they came */
    enum result failed; /* OK: not */
    const char *why;
};

struct dicom_deflate {
    z_stream stream;
    bool is_over, is_pad_due;
};

/* zlib counts a piece in an unsigned int. */
static uInt at_most(size_t len)
{
    return len < UINT32_C(1) << 30 ? (uInt)len : (uInt)1 << 30;
}

/* Between view and room and zlib's own fields. */
static void lend(z_stream *stream, const struct view *in, uint8_t *out, size_t room)
{
    stream->next_in = (Bytef *)(uintptr_t)in->at;
    stream->avail_in = at_most(in->len);
    stream->next_out = out;
    stream->avail_out = at_most(room);
}

/* The bytes written. */
static size_t settle(z_stream *stream, struct view *in, const uint8_t *out)
{
    const size_t taken = in->len > 0 ? (size_t)(stream->next_in - in->at) : 0;
    if (taken > 0)
        in->at += taken;
    in->len -= taken;
    return (size_t)(stream->next_out - out);
}

enum result dicom_inflate_new(struct dicom_inflate **out)
{
    *out = NULL;
    struct dicom_inflate *z = calloc(1, sizeof *z);
    if (!z)
        return ERR_MEMORY;
    if (inflateInit2(&z->stream, RAW_WINDOW_BITS) != Z_OK) {
        free(z);
        return ERR_MEMORY;
    }
    *out = z;
    return OK;
}

void dicom_inflate_free(struct dicom_inflate **z)
{
    if (!*z)
        return;
    inflateEnd(&(*z)->stream);
    free(*z);
    *z = NULL;
}

static enum result fail(struct dicom_inflate *z, enum result failed, const char *why)
{
    z->failed = failed;
    z->why = why;
    return failed;
}

/* Behind the stream its pad byte may stand, more NULs in files padded to blocks, and where a writer took the stream out of a gzip file
 * the last 8 bytes of that: pydicom's image_dfl.dcm has them. */
static enum result drop_rest(struct dicom_inflate *z, struct view *in)
{
    for (; in->len > 0; in->at++, in->len--) {
        if (z->behind < GZIP_TRAILER_BYTES)
            z->behind++;
        else if (*in->at != 0)
            return fail(z, ERR_PROTO, "something stands behind the end of the deflate stream");
    }
    return NEED_MORE;
}

static enum result inflate_more(struct dicom_inflate *z, struct view *in, uint8_t *out, size_t room,
                                size_t *len_out)
{
    while (!z->is_over) {
        lend(&z->stream, in, out + *len_out, room - *len_out);
        const int r = inflate(&z->stream, Z_NO_FLUSH);
        *len_out += settle(&z->stream, in, out + *len_out);
        if (r == Z_STREAM_END)
            z->is_over = true;
        else if (r == Z_MEM_ERROR)
            return fail(z, ERR_MEMORY, "no memory to inflate with");
        else if (r != Z_OK && r != Z_BUF_ERROR)
            return fail(z, ERR_PROTO, "the deflate stream is broken");
        else if (*len_out == room)
            return OK;
        else if (in->len == 0)
            return NEED_MORE;
    }
    return drop_rest(z, in);
}

enum result dicom_inflate_next(struct dicom_inflate *z, struct view *in, uint8_t *out, size_t room,
                               size_t *len_out, const char **why_out)
{
    hilum_assert(room > 0);
    *len_out = 0;
    const enum result r = z->failed != OK ? z->failed : inflate_more(z, in, out, room, len_out);
    *why_out = z->why;
    return r;
}

enum result dicom_inflate_end(const struct dicom_inflate *z, const char **why_out)
{
    *why_out = z->why;
    if (z->failed != OK)
        return z->failed;
    if (z->is_over)
        return OK;
    *why_out = "the deflate stream ends early";
    return ERR_PROTO;
}

enum result dicom_deflate_new(struct dicom_deflate **out)
{
    *out = NULL;
    struct dicom_deflate *z = calloc(1, sizeof *z);
    if (!z)
        return ERR_MEMORY;
    if (deflateInit2(&z->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, RAW_WINDOW_BITS, MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        free(z);
        return ERR_MEMORY;
    }
    *out = z;
    return OK;
}

void dicom_deflate_free(struct dicom_deflate **z)
{
    if (!*z)
        return;
    deflateEnd(&(*z)->stream); /* says that data was dropped where the stream did not end: so it was meant */
    free(*z);
    *z = NULL;
}

enum result dicom_deflate_next(struct dicom_deflate *z, struct view *in, bool is_last, uint8_t *out,
                               size_t room, size_t *len_out)
{
    hilum_assert(room > 0 && (!z->is_over || (is_last && in->len == 0)));
    *len_out = 0;
    while (!z->is_over) {
        lend(&z->stream, in, out + *len_out, room - *len_out);
        const bool ends_here = is_last && z->stream.avail_in == in->len;
        const int r = deflate(&z->stream, ends_here ? Z_FINISH : Z_NO_FLUSH);
        hilum_assert(r == Z_OK || r == Z_BUF_ERROR || r == Z_STREAM_END);
        *len_out += settle(&z->stream, in, out + *len_out);
        if (r == Z_STREAM_END) {
            z->is_over = true;
            z->is_pad_due = (z->stream.total_out & 1) != 0;
        } else if (*len_out == room) {
            return OK;
        } else if (in->len == 0 && !is_last) {
            return NEED_MORE;
        }
    }
    if (z->is_pad_due) {
        if (*len_out == room)
            return OK;
        out[(*len_out)++] = 0;
        z->is_pad_due = false;
    }
    return NEED_MORE;
}

static enum result inflate_into(struct dicom_inflate *z, struct view in, size_t max, struct octets *out,
                                const char **why_out)
{
    uint8_t piece[PIECE_BYTES];
    size_t begin = out->len, len;
    enum result r = OK;
    while (r == OK) {
        r = dicom_inflate_next(z, &in, piece, sizeof(piece), &len, why_out);
        octets_append(out, piece, len);
        if (out->failed)
            return ERR_MEMORY;
        if (out->len - begin > max) {
            *why_out = "inflated, the data set is too large";
            return ERR_LIMIT;
        }
    }
    return r == NEED_MORE ? dicom_inflate_end(z, why_out) : r;
}

enum result dicom_inflate_all(struct view in, size_t max, struct octets *out, const char **why_out)
{
    struct dicom_inflate *z;
    *why_out = "out of memory";
    enum result r = dicom_inflate_new(&z);
    if (r == OK)
        r = inflate_into(z, in, max, out, why_out);
    dicom_inflate_free(&z);
    return r;
}

enum result dicom_deflate_all(struct view in, struct octets *out)
{
    struct dicom_deflate *z;
    uint8_t piece[PIECE_BYTES];
    enum result r = dicom_deflate_new(&z);
    while (r == OK) {
        size_t len;
        r = dicom_deflate_next(z, &in, true, piece, sizeof(piece), &len);
        octets_append(out, piece, len);
    }
    dicom_deflate_free(&z);
    return r == NEED_MORE && !out->failed ? OK : ERR_MEMORY;
}
