#include "spool/sheet.h"

#include "base/assert.h"

enum { HEAD_BYTES = 16 };
enum { HAS_BYTES = 1, HAS_REMOTE = 2, HAS_SENT = 4, HAS_STUDY = 8, HAS_ANY = 15 };

static const uint8_t mark[8] = {'H', 'L', 'S', 'H', 'E', 'E', 'T', '1'};

static bool is_same(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static struct view text_of(const char *text)
{
    return view_of(text ? text : "");
}

/* --- numbers ---------------------------------------------------------------------------------------------------- */

static void put_number(struct octets *o, uint64_t n)
{
    uint8_t bytes[10];
    size_t len = 0;
    for (; n >= 0x80; n >>= 7)
        bytes[len++] = (uint8_t)(n | 0x80);
    bytes[len++] = (uint8_t)n;
    octets_append(o, bytes, len);
}

static uint64_t take_number(struct cursor *c)
{
    uint64_t n = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(c);
        n |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return n;
    }
    c->failed = true;
    return 0;
}

static uint64_t zigzag(uint64_t difference)
{
    return difference << 1 ^ (uint64_t) - (int64_t)(difference >> 63);
}

static uint64_t unzigzag(uint64_t n)
{
    return n >> 1 ^ (uint64_t) - (int64_t)(n & 1);
}

/* --- texts that are much like the one before ----------------------------------------------------------------------- */

static void remember(struct sheet_last *last, size_t shared, struct view rest)
{
    last->len = 0;
    if (shared + rest.len > SHEET_SHARED_MAX)
        return;
    if (rest.at)
        memcpy(last->of + shared, rest.at, rest.len);
    last->len = (uint8_t)(shared + rest.len);
}

static void put_text(struct octets *o, struct sheet_last *last, struct view text)
{
    size_t shared = 0, most = text.len > SHEET_SHARED_MAX ? 0 : text.len < last->len ? text.len : last->len;
    while (shared < most && last->of[shared] == text.at[shared])
        shared++;
    struct view rest = {text.len > shared ? text.at + shared : NULL, text.len - shared};
    put_number(o, shared);
    put_number(o, rest.len);
    octets_append(o, rest.at, rest.len);
    remember(last, shared, rest);
}

static struct view take_text(struct cursor *c, struct sheet_last *last)
{
    uint64_t shared = take_number(c), len = take_number(c);
    if (shared > last->len || (shared > 0 && len > SHEET_SHARED_MAX - shared) || len > c->rest.len)
        c->failed = true;
    struct view rest = cursor_bytes(c, c->failed ? 0 : (size_t)len);
    if (c->failed)
        return rest;
    remember(last, (size_t)shared, rest);
    return shared > 0 ? (struct view){last->of, last->len} : rest;
}

static struct view last_of(const struct sheet_way *w, enum sheet_text n)
{
    return (struct view){w->last[n].of, w->last[n].len};
}

static void forget_last(struct sheet_way *w)
{
    w->bytes = 0;
    for (unsigned n = 0; n < SHEET_TEXTS; n++)
        w->last[n].len = 0;
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

static bool has_common(const struct sheet *s, const struct sheet_way *w, uint16_t status,
                       const struct view common[SHEET_COMMONS])
{
    bool has = w->status == status;
    for (unsigned n = 0; has && n < SHEET_COMMONS; n++)
        has = is_same((struct view){s->bytes.data + w->common[n].at, w->common[n].len}, common[n]);
    return has;
}

/* The first way of its kind; way_count: there is none. */
static unsigned find_first(const struct sheet *s, const struct spool_relayed *r,
                           const struct view common[SHEET_COMMONS])
{
    unsigned n = 0;
    while (n < s->way_count && (s->ways[n].first != n || !has_common(s, &s->ways[n], r->status, common)))
        n++;
    return n;
}

/* Of that kind, the way that had the remote last; way_count: none had it, and one more may be made. */
static unsigned find_way(const struct sheet *s, unsigned first, struct view remote)
{
    for (unsigned n = first; n < s->way_count; n++)
        if (s->ways[n].first == first && is_same(last_of(&s->ways[n], SHEET_REMOTE), remote))
            return n;
    return s->way_count < SHEET_WAYS_SPLIT ? s->way_count : first;
}

static void put_common(struct sheet *s, struct sheet_way *w, uint16_t status,
                       const struct view common[SHEET_COMMONS])
{
    w->status = status;
    octets_le16(&s->bytes, status);
    for (unsigned n = 0; n < SHEET_COMMONS; n++) {
        octets_text(&s->bytes, common[n]);
        w->common[n].at = (uint32_t)(s->bytes.len - common[n].len);
        w->common[n].len = (uint32_t)common[n].len;
    }
}

static struct sheet_way *put_way(struct sheet *s, const struct spool_relayed *r)
{
    const struct view common[SHEET_COMMONS] = {
        [SHEET_NODE] = text_of(r->node),       [SHEET_ROUTE] = text_of(r->route),
        [SHEET_CALLING] = text_of(r->calling), [SHEET_CALLED] = text_of(r->called),
        [SHEET_CLASS] = r->sop_class,          [SHEET_COMMENT] = text_of(r->comment),
    };
    unsigned first = find_first(s, r, common), number = first;
    if (first < s->way_count)
        number = find_way(s, first, text_of(r->remote));
    struct sheet_way *w = &s->ways[number];
    octets_u8(&s->bytes, (uint8_t)number);
    if (number < s->way_count)
        return w;
    s->way_count++;
    w->first = (uint8_t)first;
    forget_last(w);
    octets_u8(&s->bytes, (uint8_t)first);
    if (first == number)
        put_common(s, w, r->status, common);
    return w;
}

static unsigned what_of(const struct sheet_way *w, const struct spool_relayed *r, struct view remote)
{
    unsigned what = r->bytes == w->bytes ? 0 : HAS_BYTES;
    if (!is_same(remote, last_of(w, SHEET_REMOTE)))
        what |= HAS_REMOTE;
    if (r->sent_instance.len > 0 && !is_same(r->sent_instance, r->sop_instance))
        what |= HAS_SENT;
    if (!is_same(r->study, last_of(w, SHEET_STUDY)))
        what |= HAS_STUDY;
    return what;
}

static void put_row(struct sheet *s, struct sheet_way *w, const struct spool_relayed *r)
{
    struct octets *o = &s->bytes;
    struct view remote = text_of(r->remote);
    unsigned what = what_of(w, r, remote);
    octets_u8(o, (uint8_t)what);
    put_number(o, zigzag(r->at_ms - s->at_ms));
    if (what & HAS_BYTES)
        put_number(o, r->bytes);
    if (what & HAS_REMOTE)
        put_text(o, &w->last[SHEET_REMOTE], remote);
    put_text(o, &w->last[SHEET_RECEIVED], r->sop_instance);
    if (what & HAS_SENT)
        put_text(o, &w->last[SHEET_SENT], r->sent_instance);
    if (what & HAS_STUDY)
        put_text(o, &w->last[SHEET_STUDY], r->study);
    w->bytes = r->bytes;
}

void sheet_add(struct sheet *s, const struct spool_relayed *r)
{
    struct octets *o = &s->bytes;
    hilum_assert(!sheet_is_full(s));
    if (o->failed)
        return;
    if (o->len == 0) {
        octets_append(o, mark, sizeof(mark));
        octets_le64(o, r->at_ms);
        s->at_ms = r->at_ms;
    }
    put_row(s, put_way(s, r), r);
    s->at_ms = r->at_ms;
    s->rows++;
}

bool sheet_is_full(const struct sheet *s)
{
    return s->rows == SHEET_ROWS_MAX || s->way_count == SHEET_WAYS_MAX || s->bytes.len >= SHEET_BYTES_MAX;
}

void sheet_clear(struct sheet *s)
{
    octets_clear(&s->bytes);
    s->rows = s->way_count = 0;
}

void sheet_free(struct sheet *s)
{
    octets_free(&s->bytes);
    s->rows = s->way_count = 0;
}

/* --- reading -------------------------------------------------------------------------------------------------------- */

bool sheet_read(struct sheet_reader *r, struct view sheet)
{
    r->sheet = sheet;
    r->way_count = 0;
    if (sheet.len < HEAD_BYTES || sheet.len > UINT32_MAX || memcmp(sheet.at, mark, sizeof(mark)) != 0)
        return false;
    r->at_ms = get_le64(sheet.at + sizeof(mark));
    r->rest = (struct cursor){.rest = {sheet.at + HEAD_BYTES, sheet.len - HEAD_BYTES}};
    return true;
}

static void take_common(struct sheet_reader *r, struct sheet_way *w)
{
    w->status = cursor_u16(&r->rest);
    for (unsigned n = 0; n < SHEET_COMMONS; n++) {
        struct view text = cursor_text(&r->rest);
        w->common[n].at = text.at ? (uint32_t)(text.at - r->sheet.at) : 0;
        w->common[n].len = (uint32_t)text.len;
    }
}

static void take_new_way(struct sheet_reader *r)
{
    unsigned number = r->way_count++, first = cursor_u8(&r->rest);
    struct sheet_way *w = &r->ways[number];
    if (first > number || (first < number && r->ways[first].first != first)) {
        r->rest.failed = true;
        return;
    }
    w->first = (uint8_t)first;
    forget_last(w);
    if (first == number)
        take_common(r, w);
}

/* NULL: there is none of this number. */
static struct sheet_way *take_way(struct sheet_reader *r)
{
    uint8_t number = cursor_u8(&r->rest);
    if (number > r->way_count || number >= SHEET_WAYS_MAX)
        return NULL;
    if (number == r->way_count)
        take_new_way(r);
    return r->rest.failed ? NULL : &r->ways[number];
}

static struct view common_of(const struct sheet_reader *r, const struct sheet_way *w, enum sheet_common n)
{
    return (struct view){r->sheet.at + w->common[n].at, w->common[n].len};
}

struct view sheet_node(const struct sheet_reader *r, unsigned way)
{
    return common_of(r, &r->ways[r->ways[way].first], SHEET_NODE);
}

static void take_row(struct sheet_reader *r, struct sheet_way *w, struct record_relayed *out)
{
    struct cursor *c = &r->rest;
    uint8_t what = cursor_u8(c);
    c->failed = c->failed || what > HAS_ANY;
    out->at_ms = r->at_ms += unzigzag(take_number(c));
    if (what & HAS_BYTES)
        w->bytes = take_number(c);
    out->bytes = w->bytes;
    out->remote = what & HAS_REMOTE ? take_text(c, &w->last[SHEET_REMOTE]) : last_of(w, SHEET_REMOTE);
    out->sop_instance = out->sent_instance = take_text(c, &w->last[SHEET_RECEIVED]);
    if (what & HAS_SENT)
        out->sent_instance = take_text(c, &w->last[SHEET_SENT]);
    out->study = what & HAS_STUDY ? take_text(c, &w->last[SHEET_STUDY]) : last_of(w, SHEET_STUDY);
}

enum result sheet_next(struct sheet_reader *r, struct record_relayed *out)
{
    if (r->rest.rest.len == 0)
        return NEED_MORE;
    struct sheet_way *w = take_way(r);
    if (!w)
        return ERR_PROTO;
    const struct sheet_way *first = &r->ways[w->first];
    *out = (struct record_relayed){
        .status = first->status,
        .node = common_of(r, first, SHEET_NODE),
        .route = common_of(r, first, SHEET_ROUTE),
        .calling = common_of(r, first, SHEET_CALLING),
        .called = common_of(r, first, SHEET_CALLED),
        .sop_class = common_of(r, first, SHEET_CLASS),
        .comment = common_of(r, first, SHEET_COMMENT),
    };
    take_row(r, w, out);
    return r->rest.failed ? ERR_PROTO : OK;
}
