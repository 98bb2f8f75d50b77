#include "command/target.h"

#include <string.h>

#include "base/text.h"

enum { TITLE_MAX_CHARACTERS = 16 };

static bool parse_port(const char *text, uint16_t *port_out)
{
    size_t len = strlen(text);
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
        return false;
    uint32_t port = 0;
    for (const char *p = text; *p; p++)
        port = port * 10 + (uint32_t)(*p - '0');
    *port_out = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

static enum result wrong(const char **why_out, const char *why)
{
    *why_out = why;
    return ERR_USAGE;
}

enum result target_parse(const char *text, struct target *out, const char **why_out)
{
    struct target target = {0};
    const char *host = text, *end, *colon = strrchr(text, ':');
    if (text[0] == '[') {
        host++;
        end = strchr(host, ']');
        if (!end)
            return wrong(why_out, "the ] of the IPv6 address is missing, as in [::1]:104");
        colon = end[1] == ':' ? end + 1 : NULL;
    } else {
        end = colon;
        if (colon && strchr(text, ':') != colon)
            return wrong(why_out, "an IPv6 address stands in brackets, as in [::1]:104");
    }
    if (!colon)
        return wrong(why_out, "the port is missing, as in pacs.local:104");
    if (end == host)
        return wrong(why_out, "the host is missing, as in pacs.local:104");
    if (!text_copy(target.host, sizeof(target.host), host, (size_t)(end - host)) ||
        !text_copy(target.text, sizeof(target.text), text, strlen(text)))
        return wrong(why_out, "the host name is too long");
    if (!parse_port(colon + 1, &target.port))
        return wrong(why_out, "the port is a number from 1 to 65535");
    *out = target;
    return OK;
}

bool target_title_is_valid(const char *title)
{
    size_t len = strlen(title);
    if (len == 0 || len > TITLE_MAX_CHARACTERS || strspn(title, " ") == len)
        return false;
    for (const char *p = title; *p; p++)
        if (*p < ' ' || *p > '~' || *p == '\\')
            return false;
    return true;
}
