#include "relay/commitment_record.h"

#include <stdlib.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#include "dicom/uid_make.h"

enum { VERSION = 2 };
static const char mark[8] = {'H', 'L', 'C', 'O', 'M', 'M', 'I', 'T'};

/* --- names ----------------------------------------------------------------------------------------------------- */

static void hash_text(XXH3_state_t *state, const char *text)
{
    XXH3_128bits_update(state, text, strlen(text) + 1);
}

static void hash_of(const struct commitment_record *r, const char *node, uint8_t out[16])
{
    XXH3_state_t state;
    XXH128_canonical_t canonical;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    hash_text(&state, r->calling);
    hash_text(&state, r->list.transaction);
    if (node) {
        hash_text(&state, node);
        XXH3_128bits_update(&state, r->secret, sizeof(r->secret));
    }
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&state));
    memcpy(out, canonical.digest, 16);
}

void commitment_key(const struct commitment_record *r, uint8_t out[COMMITMENT_KEY])
{
    hash_of(r, NULL, out);
}

void commitment_uid(const struct commitment_record *r, const char *node, char out[COMMITMENT_UID_MAX + 1])
{
    uint8_t uuid[16];
    hash_of(r, node, uuid);
    uuid[6] = (uint8_t)(0x80 | (uuid[6] & 0x0F)); /* version 8, RFC 9562 */
    uuid[8] = (uint8_t)(0x80 | (uuid[8] & 0x3F));
    put_be16(uuid + 14, r->desk);
    dicom_uid_of_uuid(uuid, out);
}

/* Its lowest 16 bits. */
bool commitment_uid_desk(const char *uid, uint16_t *desk_out)
{
    static const char root[] = "2.25.";
    uint32_t low = 0;
    if (strncmp(uid, root, sizeof(root) - 1) != 0)
        return false;
    const char *digit = uid + sizeof(root) - 1;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        low = (low * 10 + (uint32_t)(*digit - '0')) & 0xFFFF;
    *desk_out = (uint16_t)low;
    return *digit == '\0' && digit > uid + sizeof(root) - 1;
}

/* --- answers --------------------------------------------------------------------------------------------------- */

const struct commitment_answer *commitment_answer_find(const struct commitment_record *r, const char *node)
{
    for (size_t n = 0; n < r->answer_count; n++)
        if (strcmp(r->answers[n].node, node) == 0)
            return &r->answers[n];
    return NULL;
}

static struct commitment_answer *add_answer(struct commitment_record *r, const char *node, size_t len)
{
    struct commitment_answer *answers = realloc(r->answers, (r->answer_count + 1) * sizeof(*answers));
    if (!answers)
        return NULL;
    r->answers = answers;
    struct commitment_answer *a = &answers[r->answer_count];
    a->node = strndup(node, len);
    a->of = malloc((r->list.count + 1) * sizeof(*a->of));
    if (!a->node || !a->of) {
        free(a->node);
        free(a->of);
        return NULL;
    }
    for (size_t n = 0; n < r->list.count; n++)
        a->of[n] = COMMITMENT_UNASKED;
    r->answer_count++;
    return a;
}

struct commitment_answer *commitment_answer_of(struct commitment_record *r, const char *node)
{
    for (size_t n = 0; n < r->answer_count; n++)
        if (strcmp(r->answers[n].node, node) == 0)
            return &r->answers[n];
    return add_answer(r, node, strlen(node));
}

/* --- bytes ----------------------------------------------------------------------------------------------------- */

static void write_text(struct octets *o, const char *text)
{
    size_t len = strlen(text);
    octets_le16(o, (uint16_t)len);
    octets_append(o, text, len);
}

void commitment_record_write(const struct commitment_record *r, struct octets *o)
{
    octets_append(o, mark, sizeof(mark));
    octets_u8(o, VERSION);
    octets_u8(o, r->is_decided);
    octets_le64(o, r->begun_ms);
    octets_le16(o, r->desk);
    octets_append(o, r->remote, sizeof(r->remote));
    octets_append(o, r->secret, sizeof(r->secret));
    write_text(o, r->calling);
    write_text(o, r->called);
    write_text(o, r->remote_text);
    write_text(o, r->listener);
    write_text(o, r->node);
    write_text(o, r->list.transaction);
    octets_le32(o, (uint32_t)r->list.count);
    for (size_t n = 0; n < r->list.count; n++) {
        write_text(o, r->list.items[n].sop_class);
        write_text(o, r->list.items[n].sop_instance);
        octets_le16(o, r->list.items[n].reason);
    }
    octets_le16(o, (uint16_t)r->answer_count);
    for (size_t a = 0; a < r->answer_count; a++) {
        write_text(o, r->answers[a].node);
        for (size_t n = 0; n < r->list.count; n++)
            octets_le16(o, r->answers[a].of[n]);
    }
}

struct rest {
    struct view of;
    bool is_short;
};

static const uint8_t *take(struct rest *r, size_t len)
{
    static const uint8_t zeros[16];
    if (r->of.len < len) {
        r->is_short = true;
        return len <= sizeof(zeros) ? zeros : NULL;
    }
    const uint8_t *at = r->of.at;
    r->of.at += len;
    r->of.len -= len;
    return at;
}

static uint16_t take_16(struct rest *r)
{
    return get_le16(take(r, 2));
}

static struct view take_text(struct rest *r)
{
    size_t len = take_16(r);
    if (r->of.len < len)
        r->is_short = true;
    return r->is_short ? (struct view){NULL, 0} : (struct view){take(r, len), len};
}

static void take_into(struct rest *r, char *to, size_t cap)
{
    struct view text = take_text(r);
    if (text.len >= cap) {
        r->is_short = true;
        return;
    }
    if (text.len > 0)
        memcpy(to, text.at, text.len);
    to[text.len] = '\0';
}

static enum result read_items(struct commitment_record *out, struct rest *r)
{
    uint32_t count = get_le32(take(r, 4));
    for (uint32_t n = 0; n < count && !r->is_short; n++) {
        struct view sop_class = take_text(r), sop_instance = take_text(r);
        uint16_t reason = take_16(r);
        if (!r->is_short && !commitment_list_add(&out->list, sop_class, sop_instance, reason))
            return ERR_MEMORY;
    }
    return r->is_short ? ERR_PROTO : OK;
}

static enum result read_answers(struct commitment_record *out, struct rest *r)
{
    uint16_t count = take_16(r);
    for (unsigned a = 0; a < count && !r->is_short; a++) {
        struct view node = take_text(r);
        const uint8_t *of = r->is_short ? NULL : take(r, out->list.count * 2);
        if (r->is_short)
            break;
        struct commitment_answer *answer = add_answer(out, (const char *)node.at, node.len);
        if (!answer)
            return ERR_MEMORY;
        for (size_t n = 0; n < out->list.count; n++)
            answer->of[n] = get_le16(of + 2 * n);
    }
    return r->is_short ? ERR_PROTO : OK;
}

enum result commitment_record_read(struct commitment_record *out, struct view bytes)
{
    struct rest r = {.of = bytes};
    *out = (struct commitment_record){0};
    if (memcmp(take(&r, sizeof(mark)), mark, sizeof(mark)) != 0 || *take(&r, 1) != VERSION)
        return ERR_PROTO;
    out->is_decided = *take(&r, 1) != 0;
    out->begun_ms = get_le64(take(&r, 8));
    out->desk = take_16(&r);
    memcpy(out->remote, take(&r, sizeof(out->remote)), sizeof(out->remote));
    memcpy(out->secret, take(&r, sizeof(out->secret)), sizeof(out->secret));
    take_into(&r, out->calling, sizeof(out->calling));
    take_into(&r, out->called, sizeof(out->called));
    take_into(&r, out->remote_text, sizeof(out->remote_text));
    take_into(&r, out->listener, sizeof(out->listener));
    take_into(&r, out->node, sizeof(out->node));
    take_into(&r, out->list.transaction, sizeof(out->list.transaction));
    enum result result = r.is_short ? ERR_PROTO : read_items(out, &r);
    return result == OK ? read_answers(out, &r) : result;
}

void commitment_record_free(struct commitment_record *r)
{
    for (size_t n = 0; n < r->answer_count; n++) {
        free(r->answers[n].node);
        free(r->answers[n].of);
    }
    free(r->answers);
    commitment_list_free(&r->list);
    *r = (struct commitment_record){0};
}
