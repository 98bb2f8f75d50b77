/* TLS of the commands that speak to one node: its options, and the context that they make. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/client.h"
#include "command/command.h"

enum { NAME_MAX_CHARACTERS = 253 }; /* of a host, RFC 1035 */

static const char password_name[] = "HILUM_KEY_PASSWORD";

static bool take_profile(const char *value, struct client_tls *t, const char **why_out)
{
    if (strcmp(value, "bcp195") == 0) {
        t->options.profile = TLS_BCP195;
    } else if (strcmp(value, "bcp195-modified") == 0) {
        t->options.profile = TLS_BCP195_MODIFIED;
    } else {
        *why_out = "the profiles are bcp195 and bcp195-modified";
        return false;
    }
    return true;
}

bool client_tls_take(enum client_option option, const char *name, const char *value, struct client_tls *t,
                     const char **why_out)
{
    if (option == CLIENT_TLS)
        t->is_wanted = true;
    else
        t->needs_it = name;
    switch (option) {
    case CLIENT_CA:
        t->options.ca = value;
        return true;
    case CLIENT_CERTIFICATE:
        t->options.certificate[0] = value;
        return true;
    case CLIENT_KEY:
        t->options.key[0] = value;
        return true;
    case CLIENT_PROFILE:
        return take_profile(value, t, why_out);
    case CLIENT_NAME:
        t->options.name = value;
        return true;
    case CLIENT_INSECURE:
        t->options.is_blind = true;
        return true;
    default:
        return true;
    }
}

/* To OpenSSL an empty name is any, and one with a dot in front of it that of every host below. */
static bool is_name(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= NAME_MAX_CHARACTERS && name[0] != '.';
}

/* NULL: they go together. */
static const char *contradiction(const struct client_tls *t, const char **option_out)
{
    const struct tls_options *o = &t->options;
    *option_out = t->needs_it;
    if (!t->is_wanted)
        return t->needs_it ? "means nothing without --tls" : NULL;
    *option_out = o->certificate[0] ? "certificate" : "key";
    if (!o->certificate[0] != !o->key[0])
        return o->certificate[0] ? "its --key is missing" : "its --certificate is missing";
    *option_out = "name";
    if (!is_name(o->name))
        return "it must be a host name, of 253 characters at most, or an address";
    *option_out = "insecure";
    return o->is_blind && o->ca ? "any certificate is taken, so that --ca means nothing" : NULL;
}

static bool failed(const struct client_options *o, const struct tls_failure *f)
{
    if (f->option && strcmp(f->option, "key_password") == 0)
        fprintf(stderr, "hilum %s: --key: %s; set its password as %s\n", o->command, f->text, password_name);
    else if (f->option)
        fprintf(stderr, "hilum %s: --%s: %s\n", o->command, f->option, f->text);
    else
        fprintf(stderr, "hilum %s: TLS: %s\n", o->command, f->text[0] ? f->text : "out of memory");
    return false;
}

/* A node that refuses our certificate says so by an alert; what it closes with may overtake that. */
/* Without TLS: a listener of TLS takes our request for nonsense, and hangs up, or says so by an alert (RFC 8446 6). */
static const char *why_plain(const struct association *a, enum association_end how, const char *why)
{
    const struct pdu_reader *r = &a->ul.reader;
    if (how == ASSOCIATION_FAULT && r->at == PDU_AT_FAULT && r->head[0] == 0x15 && r->head[1] == 3)
        return "the node answers by TLS: try --tls";
    return how == ASSOCIATION_LOST ? "connection lost before an answer: the node may want TLS (--tls)" : why;
}

const char *client_why(const struct association *a, enum association_end how, const char *why)
{
    if (!a->stream.tls_context && !a->is_established)
        return why_plain(a, how, why);
    if (!a->stream.tls_context || a->is_established || how != ASSOCIATION_LOST)
        return why;
    return "TLS: the node hung up after the handshake: it may want a certificate, or another one";
}

bool client_tls_open(struct client_options *o, int *exit_out)
{
    struct client_tls *t = &o->tls;
    struct tls_failure failure;
    const char *option;
    if (t->is_wanted && !t->options.name)
        t->options.name = o->target.host;
    const char *why = contradiction(t, &option);
    *exit_out = COMMAND_WRONG_USAGE;
    if (why) {
        fprintf(stderr, "hilum %s: --%s: %s\n(hilum %s --help lists the options)\n", o->command, option, why,
                o->command);
        return false;
    }
    if (!t->is_wanted)
        return true;
    *exit_out = COMMAND_FAILED;
    t->options.key_password = getenv(password_name);
    if (tls_context_new(&t->options, &t->context, &failure) != OK)
        return failed(o, &failure);
    if (t->options.certificate[0] && !tls_context_own(t->context, 0)->suits)
        fprintf(stderr, "hilum %s: --certificate: %s is not for clients (its key usage lacks clientAuth)\n",
                o->command, t->options.certificate[0]);
    if (t->options.is_blind)
        fprintf(stderr, "hilum %s: --insecure: whoever answers is taken for %s\n", o->command,
                o->target.text);
    return true;
}
