/* What a queued instance goes out as: its header in place of the one that came, its tail by the rules, deflated as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#include "base/octets.h"
#include "command/queue_instance.h"
#include "dicom/deflate.h"
#include "dicom/tag.h"
#include "dicom/uid.h"
#include "spool/log.h"

enum { PIXELS = 300000, EXTENTS = 32 };

/* A spool with one segment, and an entry whose streams are cut into pieces there. */
struct fixture {
    char folder[256], generation[300], segment[400];
    FILE *file;
    uint32_t at;
    struct spool_extent data[EXTENTS], header[EXTENTS];
    struct spool_entry entry;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof(f->folder), "%s/hilum-instance-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->generation, sizeof(f->generation), "%s/00000001", f->folder);
    snprintf(f->segment, sizeof(f->segment), "%s/00000001.log", f->generation);
    assert_int_equal(mkdir(f->generation, 0700), 0);
    f->file = fopen(f->segment, "w");
    assert_non_null(f->file);
    f->entry.transfer_syntax = DICOM_EXPLICIT_VR_LE;
    f->entry.data.extents = f->data;
    f->entry.header.extents = f->header;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    fclose(f->file);
    assert_int_equal(unlink(f->segment), 0);
    assert_int_equal(rmdir(f->generation), 0);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

/* In pieces that end anywhere. */
static void put_stream(struct fixture *f, struct spool_stream *s, struct view bytes)
{
    size_t piece = bytes.len / (EXTENTS - 1) + 1;
    for (size_t at = 0; at < bytes.len; at += piece) {
        uint32_t len = (uint32_t)(bytes.len - at < piece ? bytes.len - at : piece);
        assert_in_range(s->count, 0, EXTENTS - 1);
        s->extents[s->count++] = (struct spool_extent){1, 1, f->at, len, XXH3_64bits(bytes.at + at, len)};
        assert_int_equal(fwrite(bytes.at + at, 1, len, f->file), len);
        f->at += len;
        s->bytes += len;
    }
    assert_int_equal(fflush(f->file), 0);
}

static struct view view(const struct octets *o)
{
    return (struct view){o->data, o->len};
}

static bool on_bytes(void *owner, struct view bytes)
{
    octets_append(owner, bytes.at, bytes.len);
    return true;
}

static enum result read_instance(struct fixture *f, struct octets *out, const char **why)
{
    octets_clear(out);
    return queue_instance_read(f->folder, &f->entry, on_bytes, out, why);
}

static void assert_bytes(const struct octets *got, const struct octets *wanted)
{
    assert_int_equal(got->len, wanted->len);
    assert_memory_equal(got->data, wanted->data, wanted->len);
}

/* Explicit VR Little Endian; `seed` tells one value from another. */
static void element(struct octets *o, uint32_t tag, const char *vr, size_t len, unsigned seed)
{
    octets_le16(o, (uint16_t)(tag >> 16));
    octets_le16(o, (uint16_t)tag);
    octets_append(o, vr, 2);
    if (vr[0] == 'O') {
        octets_le16(o, 0);
        octets_le32(o, (uint32_t)len);
    } else {
        octets_le16(o, (uint16_t)len);
    }
    for (size_t n = 0; n < len; n++) {
        seed = seed * 1103515245U + 12345U;
        octets_u8(o, (uint8_t)(seed >> 16));
    }
}

static void deflate(const struct octets *from, struct octets *to)
{
    struct dicom_deflate *z;
    struct view in = view(from);
    enum result r = OK;
    assert_int_equal(dicom_deflate_new(&z), OK);
    while (r == OK) {
        uint8_t out[1000];
        size_t n;
        r = dicom_deflate_next(z, &in, true, out, sizeof(out), &n);
        octets_append(to, out, n);
    }
    assert_int_equal(r, NEED_MORE);
    dicom_deflate_free(&z);
}

/* What came, and what is to leave: another header, pixel data as they are, and behind them neither private elements nor signatures. */
static size_t make_data_sets(struct octets *came, struct octets *header, struct octets *leaves)
{
    element(came, 0x00080018, "UI", 20, 1);
    element(came, 0x00100020, "LO", 8, 2);
    size_t header_len = came->len;
    element(header, 0x00080018, "UI", 26, 3);
    octets_append(leaves, header->data, header->len);
    for (int n = 0; n < 2; n++) {
        struct octets *o = n ? leaves : came;
        element(o, 0x7FE00010, "OW", PIXELS, 4);
        if (n == 0) {
            element(o, 0x7FE10010, "LO", 4, 5);
            element(o, 0x7FE11001, "OB", 70000, 6);
        }
        element(o, 0xFFFCFFFC, "OB", 100, 7);
    }
    assert_false(came->failed || header->failed || leaves->failed);
    return header_len;
}

static void without_an_edition_it_leaves_as_it_came(void **state)
{
    struct fixture *f = *state;
    struct octets came = {0}, header = {0}, leaves = {0}, got = {0};
    const char *why;
    make_data_sets(&came, &header, &leaves);
    put_stream(f, &f->entry.data, view(&came));
    assert_int_equal(read_instance(f, &got, &why), OK);
    assert_bytes(&got, &came);
    octets_free(&came);
    octets_free(&header);
    octets_free(&leaves);
    octets_free(&got);
}

static void an_edition_has_its_own_header_and_drops_what_its_rules_say(void **state)
{
    static uint32_t drop[] = {DICOM_DIGITAL_SIGNATURES};
    for (int is_deflated = 0; is_deflated < 2; is_deflated++) {
        if (is_deflated) {
            tear_down(state);
            set_up(state);
        }
        struct fixture *f = *state;
        struct octets came = {0}, header = {0}, leaves = {0}, packed = {0}, repacked = {0}, got = {0};
        const char *why;
        f->entry.has_edition = true;
        f->entry.is_deflated = is_deflated;
        f->entry.transfer_syntax = is_deflated ? DICOM_DEFLATED_EXPLICIT_LE : DICOM_EXPLICIT_VR_LE;
        f->entry.received_header_len = make_data_sets(&came, &header, &leaves);
        f->entry.tail = (struct dicom_tail_rules){.drops_private = true, .drop = drop, .drop_count = 1};
        deflate(&came, &packed);
        deflate(&leaves, &repacked);
        put_stream(f, &f->entry.header, view(&header));
        put_stream(f, &f->entry.data, is_deflated ? view(&packed) : view(&came));
        assert_int_equal(read_instance(f, &got, &why), OK);
        assert_bytes(&got, is_deflated ? &repacked : &leaves);
        octets_free(&came);
        octets_free(&header);
        octets_free(&leaves);
        octets_free(&packed);
        octets_free(&repacked);
        octets_free(&got);
    }
}

static bool on_first(void *owner, struct view bytes)
{
    (void)bytes;
    return ++*(int *)owner < 1;
}

static void what_is_damaged_cut_short_or_not_taken_is_told(void **state)
{
    struct fixture *f = *state;
    struct octets came = {0}, header = {0}, leaves = {0}, packed = {0}, got = {0};
    const char *why = "";
    int calls = 0;
    make_data_sets(&came, &header, &leaves);
    deflate(&came, &packed);
    put_stream(f, &f->entry.data, (struct view){packed.data, packed.len / 2});
    f->entry.has_edition = f->entry.is_deflated = true; /* a deflated stream without its end */
    f->entry.transfer_syntax = DICOM_DEFLATED_EXPLICIT_LE;
    assert_int_equal(read_instance(f, &got, &why), ERR_PROTO);
    assert_null(strstr(why, "damaged"));
    assert_int_equal(queue_instance_read(f->folder, &f->entry, on_first, &calls, &why), ERR_IO);
    assert_int_equal(calls, 1);
    f->entry.has_edition = false;
    f->data[3].checksum++;
    assert_int_equal(read_instance(f, &got, &why), ERR_PROTO);
    assert_non_null(strstr(why, "damaged"));
    assert_int_equal(got.len, f->data[0].bytes + f->data[1].bytes + f->data[2].bytes);
    octets_free(&came);
    octets_free(&header);
    octets_free(&leaves);
    octets_free(&packed);
    octets_free(&got);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_an_edition_it_leaves_as_it_came),
        TEST(an_edition_has_its_own_header_and_drops_what_its_rules_say),
        TEST(what_is_damaged_cut_short_or_not_taken_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
