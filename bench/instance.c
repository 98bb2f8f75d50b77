#include "instance.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "dicom/uid.h"

#define SECONDARY_CAPTURE   "1.2.840.10008.5.1.4.1.1.7"
#define MULTI_FRAME_CAPTURE "1.2.840.10008.5.1.4.1.1.7.3"

enum {
    ONE_FRAME_MAX_BYTES = 64 << 20,
    SIDE_MAX = 65535,
    FRAME_PIXELS = 16 << 20, /* of a frame among several, at most about */
    FRAMES_MIN = 10,         /* two digits always, so that the head keeps its length */
    FRAMES_MAX = 99,
    FRAMES_TRIED = 30,
    COLUMNS_TRIED = 512,
    REST_MAX = 5000, /* characters of LT are 10240 */
    PIXEL_BYTES = 2
};

static const uint64_t SEED_RANGE = 100000000000000; /* 14 digits */

/* rows x columns x frames pixels, as near to what is wanted as it goes. */
struct geometry {
    uint64_t rows, columns, frames, rest;
};

/* A data set that is being written. */
struct writer {
    struct octets *out;
    bool is_implicit;
};

static bool has_long_length(const char *vr)
{
    return memcmp(vr, "OW", 2) == 0;
}

static void begin(struct writer *w, uint32_t tag, const char *vr, uint32_t len)
{
    octets_le16(w->out, (uint16_t)(tag >> 16));
    octets_le16(w->out, (uint16_t)tag);
    if (w->is_implicit) {
        octets_le32(w->out, len);
        return;
    }
    octets_append(w->out, vr, 2);
    if (has_long_length(vr)) {
        octets_le16(w->out, 0);
        octets_le32(w->out, len);
    } else {
        octets_le16(w->out, (uint16_t)len);
    }
}

/* Padded to an even length; returns where the value starts. */
static size_t text(struct writer *w, uint32_t tag, const char *vr, const char *value)
{
    size_t len = strlen(value);
    begin(w, tag, vr, (uint32_t)(len + len % 2));
    size_t at = w->out->len;
    octets_append(w->out, value, len);
    octets_fill(w->out, memcmp(vr, "UI", 2) == 0 ? 0 : ' ', len % 2);
    return at;
}

static void number(struct writer *w, uint32_t tag, uint64_t value)
{
    begin(w, tag, "US", 2);
    octets_le16(w->out, (uint16_t)value);
}

static size_t uid_place(struct writer *w, uint32_t tag)
{
    begin(w, tag, "UI", INSTANCE_UID_BYTES);
    size_t at = w->out->len;
    octets_fill(w->out, '0', INSTANCE_UID_BYTES);
    return at;
}

static void general(struct writer *w, struct instance *i)
{
    text(w, 0x00080005, "CS", "ISO_IR 100");
    text(w, 0x00080008, "CS", "DERIVED\\SECONDARY");
    text(w, 0x00080016, "UI", i->sop_class);
    i->sop_at = uid_place(w, 0x00080018);
    text(w, 0x00080020, "DA", "20260101");
    text(w, 0x00080030, "TM", "120000");
    text(w, 0x00080050, "SH", "BENCH");
    text(w, 0x00080060, "CS", "OT");
    text(w, 0x00080064, "CS", "WSD");
    text(w, 0x00080090, "PN", "");
    text(w, 0x00100010, "PN", "BENCH^HILUM");
    text(w, 0x00100020, "LO", "HILUM-BENCH");
    text(w, 0x00100030, "DA", "");
    text(w, 0x00100040, "CS", "O");
}

static void image(struct writer *w, struct instance *i, const struct geometry *g)
{
    const bool is_multi_frame = g->frames > 1;
    char frames[8];
    snprintf(frames, sizeof frames, "%u", (unsigned)g->frames);
    if (is_multi_frame)
        text(w, 0x00181063, "DS", "40");
    i->study_at = uid_place(w, 0x0020000D);
    i->series_at = uid_place(w, 0x0020000E);
    text(w, 0x00200010, "SH", "1");
    text(w, 0x00200011, "IS", "1");
    text(w, 0x00200013, "IS", "1");
    text(w, 0x00200020, "CS", "");
    text(w, 0x00200060, "CS", "");
    begin(w, 0x00204000, "LT", (uint32_t)(g->rest * PIXEL_BYTES)); /* takes up what is too little for a row */
    octets_fill(w->out, '.', g->rest * PIXEL_BYTES);
    number(w, 0x00280002, 1);
    text(w, 0x00280004, "CS", "MONOCHROME2");
    if (is_multi_frame) {
        text(w, 0x00280008, "IS", frames);
        begin(w, 0x00280009, "AT", 4);
        octets_le32(w->out, 0x10630018); /* Frame Time, group first */
    }
    number(w, 0x00280010, g->rows);
    number(w, 0x00280011, g->columns);
    number(w, 0x00280100, 16);
    number(w, 0x00280101, 16);
    number(w, 0x00280102, 15);
    number(w, 0x00280103, 0);
    text(w, 0x00280301, "CS", "NO");
    if (is_multi_frame) {
        text(w, 0x00281052, "DS", "0");
        text(w, 0x00281053, "DS", "1");
        text(w, 0x00281054, "LO", "US");
        text(w, 0x20500020, "CS", "IDENTITY");
    }
    begin(w, 0x7FE00010, "OW", (uint32_t)(g->rows * g->columns * g->frames * PIXEL_BYTES));
}

static void write_head(struct instance *i, bool is_implicit, const struct geometry *g)
{
    struct writer w = {&i->head, is_implicit};
    octets_clear(&i->head);
    general(&w, i);
    image(&w, i, g);
    hilum_assert(!i->head.failed);
}

static uint64_t square_root(uint64_t value)
{
    uint64_t root = 1;
    while (root * root < value)
        root++;
    return root;
}

/* Tries sides of about a square, and numbers of frames, until little is left over. */
static struct geometry find_geometry(uint64_t pixels, bool is_multi_frame)
{
    struct geometry best = {.rest = UINT64_MAX};
    uint64_t frames_first = 1, frames_last = 1;
    if (is_multi_frame) {
        frames_first = FRAMES_MIN + pixels / FRAME_PIXELS;
        if (frames_first > FRAMES_MAX - FRAMES_TRIED)
            frames_first = FRAMES_MAX - FRAMES_TRIED;
        frames_last = frames_first + FRAMES_TRIED;
    }
    const uint64_t first = square_root(pixels / frames_first);
    for (uint64_t columns = first; columns < first + COLUMNS_TRIED && best.rest; columns++) {
        for (uint64_t frames = frames_first; frames <= frames_last; frames++) {
            struct geometry g = {pixels / (columns * frames), columns, frames, pixels % (columns * frames)};
            if (g.rows > 0 && g.rest < best.rest)
                best = g;
        }
    }
    hilum_assert(best.rest < REST_MAX && best.columns <= SIDE_MAX);
    return best;
}

void instance_build(struct instance *i, uint64_t bytes, bool is_implicit)
{
    const bool is_multi_frame = bytes > ONE_FRAME_MAX_BYTES;
    hilum_assert(bytes % 2 == 0 && bytes >= INSTANCE_MIN_BYTES && bytes <= INSTANCE_MAX_BYTES);
    *i = (struct instance){
        .sop_class = is_multi_frame ? MULTI_FRAME_CAPTURE : SECONDARY_CAPTURE,
        .transfer_syntax = is_implicit ? DICOM_IMPLICIT_VR_LE : DICOM_EXPLICIT_VR_LE,
        .bytes = bytes,
    };
    struct geometry none = {.rows = 1, .columns = 1, .frames = is_multi_frame ? FRAMES_MIN : 1};
    write_head(i, is_implicit, &none); /* how long it is without the rest */
    struct geometry g = find_geometry((bytes - i->head.len) / PIXEL_BYTES, is_multi_frame);
    write_head(i, is_implicit, &g);
    hilum_assert(i->head.len + g.rows * g.columns * g.frames * PIXEL_BYTES == bytes);
}

void instance_free(struct instance *i)
{
    octets_free(&i->head);
}

/* The last `digits` digits of value. */
static void write_digits(uint8_t *out, unsigned digits, uint64_t value)
{
    for (unsigned i = digits; i > 0; i--) {
        out[i - 1] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
}

void instance_uid(uint8_t out[INSTANCE_UID_BYTES], enum instance_uid_kind kind, uint64_t seed, uint32_t lane,
                  uint64_t number)
{
    memcpy(out, "2.25.", 5);
    out[5] = (uint8_t)('0' + kind);
    write_digits(out + 6, 14, seed);
    write_digits(out + 20, 8, lane);
    write_digits(out + 28, 12, number);
}

uint64_t instance_seed(const char *text)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 1099511628211u;
    return hash % SEED_RANGE;
}
