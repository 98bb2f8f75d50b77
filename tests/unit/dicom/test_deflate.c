#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/octets.h"
#include "dicom/deflate.h"

/* "abcd" three times and the end, in a block of fixed codes (RFC 1951 3.2.6), by zlib of Python. */
static const uint8_t golden[] = {0x4b, 0x4c, 0x4a, 0x4e, 0x49, 0x84, 0x62, 0x00};
static const char golden_text[] = "abcdabcdabcd";

static const char broken[] = "the deflate stream is broken", early[] = "the deflate stream ends early",
                  behind[] = "something stands behind the end of the deflate stream";

/* Text that deflates somewhat, and noise that does not. */
static struct octets made(size_t len)
{
    struct octets o = {0};
    uint32_t seed = 1;
    for (size_t i = 0; i < len; i++) {
        seed = seed * 1103515245 + 12345;
        octets_u8(&o, i / 1000 % 2 ? (uint8_t)(seed >> 16) : (uint8_t)("0123456789"[seed >> 16 & 7]));
    }
    assert_false(o.failed);
    return o;
}

/* In pieces of in_step bytes, with room for out_step. Appends to *out. */
static enum result inflate_all(const uint8_t *bytes, size_t len, size_t in_step, size_t out_step,
                               struct octets *out, const char **why_out)
{
    struct dicom_inflate *z;
    enum result r = NEED_MORE;
    uint8_t *room = malloc(out_step);
    assert_non_null(room);
    assert_int_equal(dicom_inflate_new(&z), OK);
    for (size_t at = 0; at < len && r == NEED_MORE;) {
        struct view in = {bytes + at, in_step < len - at ? in_step : len - at};
        at += in.len;
        do {
            size_t n;
            r = dicom_inflate_next(z, &in, room, out_step, &n, why_out);
            assert_true(n <= out_step && (r != OK || n == out_step));
            octets_append(out, room, n);
        } while (r == OK);
        assert_true(r != NEED_MORE || in.len == 0);
    }
    const enum result end = dicom_inflate_end(z, why_out);
    assert_int_equal(end == OK, *why_out == NULL);
    if (r != NEED_MORE)
        assert_int_equal(end, r);
    dicom_inflate_free(&z);
    assert_null(z);
    free(room);
    return end;
}

static void deflate_all(const uint8_t *bytes, size_t len, size_t in_step, size_t out_step, struct octets *out)
{
    struct dicom_deflate *z;
    uint8_t *room = malloc(out_step);
    enum result r;
    assert_non_null(room);
    assert_int_equal(dicom_deflate_new(&z), OK);
    size_t at = 0;
    do {
        struct view in = {bytes + at, in_step < len - at ? in_step : len - at};
        at += in.len;
        do {
            size_t n;
            r = dicom_deflate_next(z, &in, at == len, room, out_step, &n);
            assert_true(r == NEED_MORE || (r == OK && n == out_step));
            octets_append(out, room, n);
        } while (r == OK);
        assert_int_equal(in.len, 0);
    } while (at < len);
    dicom_deflate_free(&z);
    assert_null(z);
    free(room);
}

static void a_stream_of_another_is_inflated_at_every_cut(void **state)
{
    (void)state;
    for (size_t in_step = 1; in_step <= sizeof golden; in_step++)
        for (size_t out_step = 1; out_step <= sizeof golden_text; out_step++) {
            struct octets out = {0};
            const char *why;
            assert_int_equal(inflate_all(golden, sizeof golden, in_step, out_step, &out, &why), OK);
            assert_int_equal(out.len, strlen(golden_text));
            assert_memory_equal(out.data, golden_text, out.len);
            octets_free(&out);
        }
}

static void what_is_deflated_is_inflated_again(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 2, 3, 999, 70000, 300001};
    static const size_t steps[][2] = {{1 << 20, 1 << 20}, {7, 65536}, {65536, 5}, {1000, 1}, {1, 1000}};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
        for (size_t k = 0; k < sizeof steps / sizeof steps[0]; k++) {
            struct octets text = made(lens[i]), deflated = {0}, again = {0};
            const char *why;
            deflate_all(text.data, text.len, steps[k][0], steps[k][1], &deflated);
            assert_int_equal(deflated.len % 2, 0); /* PS3.5 A.5 */
            assert_int_equal(inflate_all(deflated.data, deflated.len, steps[k][1], steps[k][0], &again, &why),
                             OK);
            assert_int_equal(again.len, text.len);
            if (text.len > 0)
                assert_memory_equal(again.data, text.data, text.len);
            octets_free(&text);
            octets_free(&deflated);
            octets_free(&again);
        }
}

static void a_stream_that_ends_early_is_told(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof golden; len++) {
        struct octets out = {0};
        const char *why = NULL;
        assert_int_equal(inflate_all(golden, len, 3, 100, &out, &why), ERR_PROTO);
        assert_string_equal(why, early);
        assert_true(out.len <= strlen(golden_text));
        if (out.len > 0)
            assert_memory_equal(out.data, golden_text, out.len);
        octets_free(&out);
    }
}

static void what_stands_behind_the_stream_is_dropped_or_told(void **state)
{
    (void)state;
    static const struct {
        const char *reason, *bytes;
        size_t len;
        const char *why;
    } cases[] = {
        {"the pad byte", "\0", 1, NULL},
        {"the end of a gzip file", "\x4e\xd0\x58\x45\x1a\x02\x04\x00", 8, NULL},
        {"that and a pad byte", "\x4e\xd0\x58\x45\x1a\x02\x04\x00\x00", 9, NULL},
        {"the rest of a block", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, NULL},
        {"more than anybody puts there", "123456789", 9, behind},
        {"something after many NULs", "\0\0\0\0\0\0\0\0\0\0\0\x01", 12, behind},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t step = 1; step < 30; step++) {
            struct octets in = {0}, out = {0};
            const char *why;
            octets_append(&in, golden, sizeof golden);
            octets_append(&in, cases[i].bytes, cases[i].len);
            const enum result r = inflate_all(in.data, in.len, step, 100, &out, &why);
            assert_int_equal(r, cases[i].why ? ERR_PROTO : OK);
            if (cases[i].why)
                assert_string_equal(why, cases[i].why);
            assert_int_equal(out.len, strlen(golden_text));
            octets_free(&in);
            octets_free(&out);
        }
}

static void broken_streams_are_told_and_stay_broken(void **state)
{
    (void)state;
    static const struct {
        const char *reason, *bytes;
        size_t len;
    } cases[] = {
        {"a block type that there is none of", "\x07", 1},
        {"a stored block whose lengths disagree", "\x01\x04\0\0\0", 5},
        {"a distance before the start", "\x4b\x04\x22\x00", 4},
        {"with zlib's header, as some writers wrongly have it", "\x78\x9c\x4b\x4c\x4a\x4e\x49", 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dicom_inflate *z;
        const char *why = NULL;
        uint8_t room[100];
        size_t n;
        assert_int_equal(dicom_inflate_new(&z), OK);
        struct view in = {(const uint8_t *)cases[i].bytes, cases[i].len};
        assert_int_equal(dicom_inflate_next(z, &in, room, sizeof room, &n, &why), ERR_PROTO);
        assert_string_equal(why, broken);
        in = (struct view){golden, sizeof golden};
        assert_int_equal(dicom_inflate_next(z, &in, room, sizeof room, &n, &why), ERR_PROTO);
        assert_int_equal(n, 0);
        assert_string_equal(why, broken);
        assert_int_equal(dicom_inflate_end(z, &why), ERR_PROTO);
        assert_string_equal(why, broken);
        dicom_inflate_free(&z);
    }
}

/* 64 MiB of NULs from 64 KiB: never more at a time than there is room for, and the caller may stop. */
static void a_bomb_comes_by_pieces(void **state)
{
    (void)state;
    enum { PIECE = 1 << 16, PIECES = 1024 };
    static const uint8_t nothing[PIECE];
    static uint8_t room[PIECE];
    struct octets bomb = {0};
    struct dicom_deflate *d;
    size_t n;
    assert_int_equal(dicom_deflate_new(&d), OK);
    for (int i = 1; i <= PIECES; i++) {
        struct view in = {nothing, sizeof nothing};
        while (dicom_deflate_next(d, &in, i == PIECES, room, sizeof room, &n) == OK)
            octets_append(&bomb, room, n);
        octets_append(&bomb, room, n);
    }
    dicom_deflate_free(&d);
    assert_true(bomb.len < 2 * PIECE);
    struct dicom_inflate *z;
    struct view in = {bomb.data, bomb.len};
    const char *why;
    uint64_t total = 0;
    enum result r;
    assert_int_equal(dicom_inflate_new(&z), OK);
    while ((r = dicom_inflate_next(z, &in, room, sizeof room, &n, &why)) == OK)
        total += n;
    assert_int_equal(r, NEED_MORE);
    assert_int_equal(total + n, (uint64_t)PIECE * PIECES);
    dicom_inflate_free(&z);
    assert_int_equal(dicom_inflate_new(&z), OK);
    in = (struct view){bomb.data, bomb.len};
    assert_int_equal(dicom_inflate_next(z, &in, room, sizeof room, &n, &why), OK); /* enough of it */
    dicom_inflate_free(&z);
    octets_free(&bomb);
}

/* In one piece: more than a step of either, nothing at all, too much, and cut short. */
static void a_whole_stream_is_taken_in_one_go(void **state)
{
    (void)state;
    enum { BYTES = 100000 };
    uint8_t *bytes = malloc(BYTES);
    struct octets deflated = {0}, plain = {0};
    const char *why = "none";
    assert_non_null(bytes);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (uint8_t)(i * i >> 7);
    octets_append(&deflated, "in front", 8);
    octets_append(&plain, "x", 1);
    assert_int_equal(dicom_deflate_all((struct view){bytes, BYTES}, &deflated), OK);
    struct view stream = {deflated.data + 8, deflated.len - 8};
    assert_int_equal(stream.len % 2, 0);
    assert_int_equal(dicom_inflate_all(stream, BYTES, &plain, &why), OK);
    assert_int_equal(plain.len, 1 + BYTES);
    assert_memory_equal(plain.data + 1, bytes, BYTES);
    assert_int_equal(dicom_inflate_all(stream, BYTES - 1, &plain, &why), ERR_LIMIT);
    assert_string_equal(why, "inflated, the data set is too large");
    stream.len /= 2;
    assert_int_equal(dicom_inflate_all(stream, BYTES, &plain, &why), ERR_PROTO);
    assert_string_equal(why, "the deflate stream ends early");
    octets_clear(&deflated);
    octets_clear(&plain);
    assert_int_equal(dicom_deflate_all((struct view){NULL, 0}, &deflated), OK);
    assert_int_equal(dicom_inflate_all((struct view){deflated.data, deflated.len}, 0, &plain, &why), OK);
    assert_int_equal(plain.len, 0);
    octets_free(&deflated);
    octets_free(&plain);
    free(bytes);
}

static void either_may_be_given_up_in_the_middle(void **state)
{
    (void)state;
    struct dicom_inflate *z;
    struct dicom_deflate *d;
    struct view in = {golden, sizeof golden};
    const char *why;
    uint8_t room[2];
    size_t n;
    assert_int_equal(dicom_inflate_new(&z), OK);
    assert_int_equal(dicom_inflate_next(z, &in, room, sizeof room, &n, &why), OK);
    dicom_inflate_free(&z);
    dicom_inflate_free(&z);
    in = (struct view){golden, sizeof golden};
    assert_int_equal(dicom_deflate_new(&d), OK);
    assert_int_equal(dicom_deflate_next(d, &in, false, room, sizeof room, &n), NEED_MORE);
    dicom_deflate_free(&d);
    dicom_deflate_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_of_another_is_inflated_at_every_cut),
        cmocka_unit_test(what_is_deflated_is_inflated_again),
        cmocka_unit_test(a_stream_that_ends_early_is_told),
        cmocka_unit_test(what_stands_behind_the_stream_is_dropped_or_told),
        cmocka_unit_test(broken_streams_are_told_and_stay_broken),
        cmocka_unit_test(a_bomb_comes_by_pieces),
        cmocka_unit_test(a_whole_stream_is_taken_in_one_go),
        cmocka_unit_test(either_may_be_given_up_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
