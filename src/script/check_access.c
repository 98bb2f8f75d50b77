/* What says who is let in, wherever it stands: networks, titles, subjects of certificates; and how much of it. */
#include <stdlib.h>
#include <string.h>

#include "script/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct networks {
    struct config_network **out;
    size_t *count_out;
};

static void add_network(const struct item *item, void *user)
{
    const struct networks *to = user;
    const char *text = field_text(item, "an address or a CIDR block, as \"10.0.0.0/8\"");
    if (text == NULL) {
        return;
    }
    if (config_network_parse(text, &(*to->out)[*to->count_out]) != OK) {
        check_error(
            item->check, item->at,
            "\"%s\" is neither an address nor a CIDR block; write one as \"10.1.2.3\", \"10.0.0.0/8\" or "
            "\"2001:db8::/32\"",
            text);
        return;
    }
    ++*to->count_out;
}

void check_networks(const struct item *item, const char *empty, struct config_network **out,
                    size_t *count_out)
{
    struct networks to = {out, count_out};
    *out = calloc(field_count(item->value) + 1, sizeof(**out));
    if (*out == NULL) {
        item->check->failed = true;
        return;
    }
    field_each(item, "an address or a CIDR block", empty, add_network, &to);
}

struct texts {
    const struct text_list *list;
    char **out;
    size_t *count_out;
};

static void add_text(const struct item *item, void *user)
{
    const struct texts *to = user;
    char **text = &to->out[*to->count_out];
    to->list->take(item, text);
    *to->count_out += *text != NULL;
}

void check_texts(const struct item *item, const struct text_list *list, char ***out, size_t *count_out)
{
    *out = calloc(field_count(item->value) + 1, sizeof(**out));
    if (*out == NULL) {
        item->check->failed = true;
        return;
    }
    struct texts to = {list, *out, count_out};
    field_each(item, list->expected, list->empty, add_text, &to);
}

/* A subject is TYPE=VALUE,TYPE=VALUE: a name alone matches none. (RFC 4514) */
void take_subject_glob(const struct item *item, void *member)
{
    const char *text = field_text(item, "a certificate's subject, as \"CN=ct1.example.org,*\"");
    if (text == NULL) {
        return;
    }
    if (strchr(text, '=') == NULL && text[0] != '*') {
        check_error(item->check, item->at,
                    "\"%s\" is no certificate's subject; write it as \"CN=%s\", with `*` and `?` for what "
                    "varies",
                    text, text);
        return;
    }
    field_set_text(item->check, member, text);
}

static void take_instances(const struct item *item, void *member)
{
    int64_t n;
    if (field_integer(item, 1, 1000000, &n)) {
        *(uint64_t *)member = (uint64_t)n;
    }
}

static void take_bytes(const struct item *item, void *member)
{
    field_size(item, 1024, member);
}

void take_rate(const struct item *item, void *member)
{
    static const struct key keys[] = {
        KEY("instances", take_instances, config_rate, instances),
        KEY("bytes", take_bytes, config_rate, bytes),
    };
    fields_take(item, "rate", keys, COUNT(keys), member);
    if (item->value->kind == VALUE_TABLE && item->value->field_count == 0 && item->value->item_count == 0) {
        check_error(item->check, item->at,
                    "rate limits nothing; write rate = { instances = 100, bytes = \"50MiB\" }, or one of "
                    "them");
    }
}
