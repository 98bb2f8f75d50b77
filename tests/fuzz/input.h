/* What a fuzzer is given, taken from its front. When it is at its end, zeros come. */
#ifndef HILUM_TESTS_FUZZ_INPUT_H
#define HILUM_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct input {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t input_u8(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static inline uint16_t input_u16(struct input *in)
{
    uint16_t high = input_u8(in);
    return (uint16_t)(high << 8 | input_u8(in));
}

/* So many, or as many as are left. */
static inline struct view input_bytes(struct input *in, size_t len)
{
    struct view v = {in->at, len < in->left ? len : in->left};
    in->at += v.len;
    in->left -= v.len;
    return v;
}

#endif
