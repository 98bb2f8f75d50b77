#include "finding.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum { DIGITS = 8 };

static const char STUDY_PREFIX[] = "1.2.826.0.1.3680043.10.1234.9000000000000.1"; /* eight digits follow */

static void add(struct octets *o, uint16_t group, uint16_t element, const char *value)
{
    const size_t len = strlen(value);
    hilum_assert(len % 2 == 0);
    octets_le16(o, group);
    octets_le16(o, element);
    octets_le32(o, (uint32_t)len);
    octets_append(o, value, len);
}

void finding_build(struct finding *f)
{
    char study[sizeof STUDY_PREFIX + DIGITS + 1];
    *f = (struct finding){0};
    add(&f->data, 0x0008, 0x0005, "ISO_IR 100");
    add(&f->data, 0x0008, 0x0020, "20250131");
    add(&f->data, 0x0008, 0x0030, "101530");
    add(&f->data, 0x0008, 0x0050, "AC00000000");
    f->accession_at = f->data.len - DIGITS;
    add(&f->data, 0x0008, 0x0052, "STUDY ");
    add(&f->data, 0x0008, 0x0054, "SINK");
    add(&f->data, 0x0008, 0x0061, "CT");
    add(&f->data, 0x0008, 0x0090, "REFERRER^ANNA ");
    add(&f->data, 0x0008, 0x1030, "CT of head and neck, with contrast medium ");
    add(&f->data, 0x0010, 0x0010, "BENCHMARK^PATIENT ");
    add(&f->data, 0x0010, 0x0020, "SITE7-0000001 ");
    add(&f->data, 0x0010, 0x0030, "19700101");
    add(&f->data, 0x0010, 0x0040, "O ");
    snprintf(study, sizeof study, "%s%0*d", STUDY_PREFIX, DIGITS, 0);
    add(&f->data, 0x0020, 0x000D, strlen(study) % 2 ? strcat(study, "0") : study);
    f->study_at = f->data.len - strlen(study) + sizeof STUDY_PREFIX - 1;
    add(&f->data, 0x0020, 0x0010, "STUDY1");
    add(&f->data, 0x0020, 0x1206, "3 ");
    add(&f->data, 0x0020, 0x1208, "412 ");
    hilum_assert(!f->data.failed);
}

void finding_free(struct finding *f)
{
    octets_free(&f->data);
}

static void write_digits(uint8_t *at, uint32_t number)
{
    for (int i = DIGITS - 1; i >= 0; i--, number /= 10)
        at[i] = (uint8_t)('0' + number % 10);
}

void finding_set(const struct finding *f, uint8_t *data, uint32_t number)
{
    write_digits(data + f->accession_at, number);
    write_digits(data + f->study_at, number);
}

static bool read_digits(const uint8_t *at, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < DIGITS; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        *out = *out * 10 + (uint32_t)(at[i] - '0');
    }
    return true;
}

/* Walks the elements: whoever merges answers may have changed some and added others. */
bool finding_number(const uint8_t *data, size_t len, uint32_t *number_out)
{
    uint32_t accession = 0, study = UINT32_MAX;
    while (len >= 8) {
        const uint32_t tag = (uint32_t)get_le16(data) << 16 | get_le16(data + 2), size = get_le32(data + 4);
        const uint8_t *value = data + 8;
        if (size > len - 8)
            return false;
        if (tag == 0x00080050 && (size < 2 + DIGITS || !read_digits(value + 2, &accession)))
            return false;
        if (tag == 0x0020000D && (size < sizeof STUDY_PREFIX - 1 + DIGITS ||
                                  !read_digits(value + sizeof STUDY_PREFIX - 1, &study)))
            return false;
        data = value + size;
        len -= 8 + size;
    }
    *number_out = study;
    return len == 0 && accession == study;
}
