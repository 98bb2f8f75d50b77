#include "route/explain.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dicom/uid.h"
#include "route/attributes.h"
#include "route/match.h"

enum { SHOWN_MAX = 8 /* values of an attribute; those of a condition are all shown */ };

const struct config_condition *route_explain_first(const struct config_route *route,
                                                   const struct route_facts *facts)
{
    for (size_t i = 0; i < route->condition_count; i++) {
        if (match_condition(&route->conditions[i], facts) == MATCH_NO) {
            return &route->conditions[i];
        }
    }
    return NULL;
}

static void put(struct octets *out, const char *text)
{
    octets_append(out, text, strlen(text));
}

static void put_quoted(struct octets *out, struct view text)
{
    put(out, "\"");
    octets_append(out, text.at, text.len);
    put(out, "\"");
}

/* With its name, where it has one. */
static void put_class(struct octets *out, struct view uid)
{
    const struct dicom_uid *known = dicom_uid_find((const char *)uid.at, uid.len);
    put_quoted(out, uid);
    if (known != NULL && known->keyword[0] != '\0') {
        put(out, " (");
        put(out, known->keyword);
        put(out, ")");
    }
}

/* IPv4 as such. */
static void put_address(struct octets *out, const uint8_t address[16])
{
    struct config_network mapped;
    char text[INET6_ADDRSTRLEN] = "?";
    bool is_v4 =
        config_network_parse("::ffff:0:0/96", &mapped) == OK && config_network_holds(&mapped, address);
    inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? address + 12 : address, text, sizeof(text));
    put(out, text);
}

static void put_network(struct octets *out, const struct config_network *n)
{
    char bits[16];
    struct config_network mapped;
    bool is_v4 = n->bits >= 96 && config_network_parse("::ffff:0:0/96", &mapped) == OK &&
                 config_network_holds(&mapped, n->address);
    put_address(out, n->address);
    if (n->bits < 128) {
        snprintf(bits, sizeof(bits), "/%u", is_v4 ? n->bits - 96 : n->bits);
        put(out, bits);
    }
}

static void put_number(struct octets *out, const struct config_number *n)
{
    char text[32];
    if (n->is_integer) {
        snprintf(text, sizeof(text), "%" PRId64, n->integer);
    } else {
        snprintf(text, sizeof(text), "%.15g", n->real);
    }
    put(out, text);
}

/* --- what was asked for ------------------------------------------------------------------------------------ */

static void put_wanted(struct octets *out, const struct config_condition *c, const struct config_value *v)
{
    if (c->fact == CONFIG_FACT_REMOTE) {
        put_network(out, &v->network);
    } else if (c->fact == CONFIG_FACT_SOP_CLASS) {
        put_class(out, view_of(v->glob));
    } else if (v->glob != NULL) {
        put_quoted(out, view_of(v->glob));
    } else {
        put_number(out, &v->number);
    }
}

static void put_all_wanted(struct octets *out, const struct config_condition *c)
{
    for (size_t i = 0; i < c->value_count; i++) {
        put(out, i == 0 ? "" : i + 1 == c->value_count ? " or " : ", ");
        put_wanted(out, c, &c->values[i]);
    }
}

/* --- what was found ---------------------------------------------------------------------------------------- */

static void put_attribute(struct octets *out, const struct route_attributes *a, size_t index)
{
    const struct route_attribute *of = a != NULL && index < a->count ? &a->of[index] : NULL;
    if (of == NULL || !of->is_known) {
        put(out, "not known");
        return;
    }
    if (of->is_opaque || of->count == 0) {
        put(out, of->is_opaque ? "nothing that can be compared (a sequence, bytes, or too long)"
                               : "not there or empty");
        return;
    }
    for (size_t i = 0; i < of->count && i < SHOWN_MAX; i++) {
        const struct route_value *v = &a->values[of->first + i];
        struct view text = {a->text.data + v->text_at, v->text_len};
        put(out, i == 0 ? "" : ", ");
        if (v->is_binary) {
            octets_append(out, text.at, text.len);
        } else {
            put_quoted(out, text);
        }
    }
    put(out, of->count > SHOWN_MAX ? ", ..." : "");
}

static const char *const fact_names[] = {
    [CONFIG_FACT_CALLING] = "calling",
    [CONFIG_FACT_CALLED] = "called",
    [CONFIG_FACT_REMOTE] = "remote",
    [CONFIG_FACT_LISTENER] = "listener",
    [CONFIG_FACT_PEER] = "peer",
    [CONFIG_FACT_SOP_CLASS] = "SOPClassUID",
    [CONFIG_FACT_SOP_INSTANCE] = "SOPInstanceUID",
};

static void put_found(struct octets *out, const struct config_condition *c, const struct route_facts *facts)
{
    switch (c->fact) {
    case CONFIG_FACT_CALLING:
        put_quoted(out, facts->calling);
        break;
    case CONFIG_FACT_CALLED:
        put_quoted(out, facts->called);
        break;
    case CONFIG_FACT_REMOTE:
        put_address(out, facts->remote);
        break;
    case CONFIG_FACT_LISTENER:
        put_quoted(out, view_of(facts->listener));
        break;
    case CONFIG_FACT_PEER:
        put_quoted(out, view_of(facts->peer != NULL ? facts->peer : ""));
        break;
    case CONFIG_FACT_SOP_CLASS:
        put_class(out, facts->sop_class);
        break;
    case CONFIG_FACT_SOP_INSTANCE:
        put_quoted(out, facts->sop_instance);
        break;
    case CONFIG_FACT_ATTRIBUTE:
        put_attribute(out, facts->attributes, c->attribute);
        break;
    }
}

void route_explain_condition(const struct config *config, const struct config_condition *c,
                             const struct route_facts *facts, struct octets *out)
{
    put(out, c->fact == CONFIG_FACT_ATTRIBUTE ? config->attributes[c->attribute].text : fact_names[c->fact]);
    put(out, " is ");
    put_found(out, c, facts);
    if (c->negate) {
        put(out, ", which `no` excludes (");
        put_all_wanted(out, c);
        put(out, ")");
    } else {
        put(out, ", not ");
        put_all_wanted(out, c);
    }
}
