/* An explanation for people. */
#include <string.h>

#include "command/explain.h"
#include "dicom/uid.h"
#include "dimse/status.h"

enum { VALUE_CHARACTERS = 64, LINE_CHARACTERS = 4096 };

/* --- text that others wrote -------------------------------------------------------------------------------- */

/* One character of UTF-8; bytes that are none count as one each, and are 0. */
static size_t read_character(const uint8_t *at, size_t len, uint32_t *out)
{
    size_t more = at[0] < 0x80 ? 0 : at[0] >> 5 == 6 ? 1 : at[0] >> 4 == 14 ? 2 : at[0] >> 3 == 30 ? 3 : 4;
    *out = 0;
    if (more == 4 || len <= more)
        return 1;
    uint32_t c = more == 0 ? at[0] : at[0] & (0x3FU >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((at[i] & 0xC0) != 0x80)
            return 1;
        c = c << 6 | (at[i] & 0x3FU);
    }
    *out = c;
    return more + 1;
}

/* Controls, and what would break a line or turn its direction. */
static bool is_harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

void explain_put(FILE *to, const char *text, size_t len, size_t characters_max)
{
    const uint8_t *at = (const uint8_t *)text;
    for (size_t count = 0; len > 0; count++) {
        if (count == characters_max) {
            fputs("...", to);
            return;
        }
        uint32_t c;
        size_t n = read_character(at, len, &c);
        if (is_harmful(c))
            fputs("\u00B7", to);
        else
            fwrite(at, 1, n, to);
        at += n;
        len -= n;
    }
}

static void put(const char *text)
{
    explain_put(stdout, text, strlen(text), LINE_CHARACTERS);
}

/* --- changes ----------------------------------------------------------------------------------------------- */

static void put_value(const struct explain_value *v)
{
    if (v->is_quoted)
        putchar('"');
    explain_put(stdout, v->text, v->len, VALUE_CHARACTERS);
    fputs(v->is_quoted ? "\"" : "", stdout);
    fputs(v->is_cut && v->len <= VALUE_CHARACTERS ? "..." : "", stdout);
}

static void put_vr(const struct explain_change *c)
{
    bool has_both = c->vr_before && c->vr_after;
    if (has_both && strcmp(c->vr_before, c->vr_after) != 0)
        printf("%s->%s", c->vr_before, c->vr_after);
    else
        fputs(c->vr_after ? c->vr_after : c->vr_before, stdout);
}

static void put_change(const struct explain_change *c)
{
    static const char signs[] = {
        [DICOM_ELEMENT_CHANGED] = '~', [DICOM_ELEMENT_ADDED] = '+', [DICOM_ELEMENT_REMOVED] = '-',
        [DICOM_ITEM_ADDED] = '+',      [DICOM_ITEM_REMOVED] = '-',
    };
    printf("      %c (%04X,%04X) ", signs[c->kind], c->tag >> 16, c->tag & 0xFFFF);
    if (!c->vr_before && !c->vr_after) {
        printf("   %s: an item\n", c->name);
        return;
    }
    put_vr(c);
    if (strcmp(c->name, c->path) != 0) /* no keyword is known */
        printf(" %s", c->name);
    fputs(": ", stdout);
    if (c->before.text)
        put_value(&c->before);
    if (c->is_recoded)
        fputs(", the same text encoded anew", stdout);
    else if (c->before.text && c->after.text)
        fputs(" -> ", stdout);
    if (c->after.text && !c->is_recoded)
        put_value(&c->after);
    putchar('\n');
}

/* --- routes ------------------------------------------------------------------------------------------------ */

static void put_destinations(const struct explain_route *r)
{
    for (size_t i = 0; i < r->to_count; i++) {
        const struct explain_destination *to = &r->to[i];
        fputs(to->skipped ? "    not " : "    ", stdout);
        fputs(to->is_copy ? "copy to " : "to ", stdout);
        put(to->node->name);
        fputs(": ", stdout);
        put(to->where);
        if (to->skipped) {
            fputs(": ", stdout);
            put(to->skipped);
        }
        putchar('\n');
    }
}

static void put_changes(const struct explain_route *r)
{
    if (!r->has_changes)
        return;
    if (r->change_count == 0)
        fputs("    morph: nothing is changed", stdout);
    else
        printf("    morph: %zu change%s", r->change_count, r->change_count == 1 ? "" : "s");
    putchar('\n');
    for (size_t i = 0; i < r->change_count; i++)
        put_change(&r->changes[i]);
    if (r->dropped)
        printf("      - behind pixel data, where there: %s\n", r->dropped);
}

static void put_route(const struct explain_route *r)
{
    static const char *const words[] = {
        [EXPLAIN_NO] = "does not match: ",
        [EXPLAIN_YES] = "matches",
        [EXPLAIN_FAILED] = "has failed: ",
        [EXPLAIN_NOT_ASKED] = "is not asked: ",
    };
    fputs("  route \"", stdout);
    put(r->route->name);
    printf("\" %s", words[r->match]);
    if (r->match != EXPLAIN_YES)
        put(r->why ? r->why : "nothing of it is known");
    putchar('\n');
    put_destinations(r);
    put_changes(r);
}

static void put_uid(const char *uid)
{
    const struct dicom_uid *known = dicom_uid_find(uid, strlen(uid));
    put(known && known->keyword[0] ? known->keyword : uid);
}

bool explain_words(const struct explanation *e, const struct config *config)
{
    put(e->file->path);
    fputs(": ", stdout);
    put_uid(e->sop_class);
    printf(" ");
    put(e->file->instance);
    fputs(", ", stdout);
    put_uid(e->transfer_syntax);
    putchar('\n');
    for (size_t i = 0; i < config->route_count; i++)
        put_route(&e->routes[i]);
    if (e->status != 0) {
        printf("  refused with %04X, %s: ", e->status, dimse_status_text(e->status));
        put(e->comment);
        putchar('\n');
    }
    return !ferror(stdout);
}
