#include <stdio.h>
#include <string.h>

#include "script/check.h"

enum { UID_KEY_LEAST = 16 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void take_workers(const struct item *item, void *member)
{
    int64_t n;
    if (field_integer(item, 1, 1024, &n)) {
        *(unsigned *)member = (unsigned)n;
    }
}

static const uint64_t HEADER_SPOOL_MOST = UINT64_C(1) << 40; /* where in a file it stands is reckoned with */

static void take_memory(const struct item *item, void *member)
{
    field_size(item, 1 << 20, member);
}

static void take_gateway_memory(const struct item *item, void *config)
{
    struct config *c = config;
    take_memory(item, &c->memory);
    c->is_memory_given = true;
}

/* Fewer than what a look at a few attributes takes is a mistake; more than a worker can do in a minute as well. */
static void take_instructions(const struct item *item, void *member)
{
    int64_t n;
    if (field_integer(item, 10000, INT64_C(1000000000), &n)) {
        *(uint64_t *)member = (uint64_t)n;
    }
}

static void take_window(const struct item *item, void *member)
{
    field_size(item, 4 << 10, member);
}

static void take_size(const struct item *item, void *member)
{
    field_size(item, 0, member);
}

/* The metrics server comes later; that it is off is already true. */
static void take_admin(const struct item *item, void *member)
{
    if (item->value->kind == VALUE_BOOLEAN && !item->value->boolean) {
        return;
    }
    if (item->value->kind == VALUE_STRING) {
        check_error(
            item->check, item->at,
            "the admin server (admin = \"%s\") is not available in this version; leave it out or write "
            "admin = false",
            item->value->text);
        return;
    }
    (void)member;
    field_wrong_type(item, "\"ADDRESS:PORT\" or false");
}

static void take_level(const struct item *item, void *member)
{
    static const char *const words[] = {
        [LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"};
    unsigned level = *(enum log_level *)member;
    field_word(item, words, COUNT(words), &level);
    *(enum log_level *)member = (enum log_level)level;
}

static void take_format(const struct item *item, void *member)
{
    static const char *const words[] = {[LOG_LOGFMT] = "logfmt", [LOG_JSON] = "json"};
    unsigned format = *(enum log_format *)member;
    field_word(item, words, COUNT(words), &format);
    *(enum log_format *)member = (enum log_format)format;
}

/* Whether there is such a user is a matter of the machine that it runs on. */
static void take_user(const struct item *item, void *member)
{
    const char *text = field_text(item, "a user, \"hilum\" or \"hilum:group\"");
    if (text == NULL) {
        return;
    }
    const char *colon = strchr(text, ':');
    if (text[0] == '\0' || colon == text ||
        (colon != NULL && (colon[1] == '\0' || strchr(colon + 1, ':') != NULL))) {
        check_error(item->check, item->at, "user = \"%s\" names no user; write \"hilum\" or \"hilum:group\"",
                    text);
        return;
    }
    field_set_text(item->check, member, text);
}

static void take_seccomp(const struct item *item, void *member)
{
    static const char *const words[] = {
        [GUARD_SECCOMP_OFF] = "off", [GUARD_SECCOMP_LOG] = "log", [GUARD_SECCOMP_ENFORCE] = "enforce"};
    unsigned how = GUARD_SECCOMP_OFF;
    if (item->value->kind != VALUE_BOOLEAN || item->value->boolean) {
        how = *(enum guard_seccomp *)member;
        field_word(item, words, COUNT(words), &how);
    }
    *(enum guard_seccomp *)member = (enum guard_seccomp)how;
}

/* Who knows UIDs tries keys until they fit: its length is all that stands against it. */
static void take_uid_key(const struct item *item, void *member)
{
    char **key = member;
    take_text(item, key);
    if (*key != NULL && strlen(*key) < UID_KEY_LEAST) {
        check_warning(
            item->check, item->at,
            "uid_key has %zu characters and can be guessed; give it %d or more, as `openssl rand -hex 32` "
            "makes them",
            strlen(*key), UID_KEY_LEAST);
    }
}

static void take_uids(const struct item *item, void *member)
{
    static const char *const words[] = {"plain", "hash"};
    unsigned hashes = *(bool *)member;
    field_word(item, words, COUNT(words), &hashes);
    *(bool *)member = hashes;
}

/* What is too long is known here, and not when the gateway starts without it. */
static void take_control(const struct item *item, void *member)
{
    struct config_control *control = member;
    if (item->value->kind == VALUE_BOOLEAN && !item->value->boolean) {
        control->is_off = true;
        return;
    }
    const char *text = field_text(item, "the path of a socket, or false");
    if (text == NULL) {
        return;
    }
    if (strlen(text) >= CONFIG_CONTROL_BYTES) {
        check_error(item->check, item->at, "control is %zu bytes long; the path of a socket has %d at most",
                    strlen(text), CONFIG_CONTROL_BYTES - 1);
        return;
    }
    field_set_text(item->check, &control->path, text);
}

static void take_log(const struct item *item, void *config)
{
    static const struct key keys[] = {
        KEY("level", take_level, config, log_level),
        KEY("format", take_format, config, log_format),
        KEY("patient", take_boolean, config, log_patient),
        KEY("uids", take_uids, config, log_hashes_uids),
    };
    const struct config *c = config;
    fields_take(item, "log", keys, COUNT(keys), config);
    if (c->log_patient && c->log_hashes_uids) {
        check_error(
            item->check, item->at,
            "log.uids = \"hash\" hides nothing beside log.patient = true, which shows texts and paths "
            "with UIDs in them; leave one of them out");
    }
}

static void take_timeouts(const struct item *item, void *timeouts)
{
    static const struct key keys[] = {
        KEY("connect", take_duration, config_timeouts, connect),
        KEY("association", take_duration, config_timeouts, association),
        KEY("progress", take_duration, config_timeouts, progress),
        KEY("response", take_duration, config_timeouts, response),
        KEY("idle", take_duration_or_0, config_timeouts, idle),
        KEY("linger", take_duration_or_0, config_timeouts, linger),
        KEY("lag", take_duration, config_timeouts, lag),
        KEY("drain", take_duration_or_0, config_timeouts, drain),
        KEY("retrieve", take_duration, config_timeouts, retrieve),
        KEY("commit", take_duration, config_timeouts, commit),
    };
    fields_take(item, "timeouts", keys, COUNT(keys), timeouts);
}

static const struct key gateway_keys[] = {
    KEY("ae_title", take_title, config, ae_title),
    KEY("workers", take_workers, config, workers),
    KEY("spool", take_spool, config, spool),
    KEY("control", take_control, config, control),
    {"admin", take_admin, 0},
    KEY("max_pdu", take_max_pdu, config, max_pdu),
    {"memory", take_gateway_memory, 0},
    KEY("window", take_window, config, window),
    KEY("header_max", take_size, config, header_max),
    KEY("header_spool_max", take_size, config, header_spool_max),
    KEY("replay_max", take_size, config, replay_max),
    KEY("journal", take_boolean, config, journal),
    KEY("history", take_duration_or_0, config, history_ms),
    KEY("expire", take_duration_or_0, config, expire_ms),
    {"retry", take_gateway_retry, 0},
    KEY("max_associations", take_associations, config, max_associations),
    KEY("min_rate", take_size, config, min_rate),
    KEY("tcp_congestion", take_congestion, config, tcp_congestion),
    KEY("zero_copy", take_zero_copy, config, zero_copy),
    KEY("timeouts", take_timeouts, config, timeouts),
    {"log", take_log, 0},
    KEY("user", take_user, config, user),
    KEY("seccomp", take_seccomp, config, seccomp),
    KEY("landlock", take_boolean, config, landlock),
    KEY("uid_key", take_uid_key, config, uid_key),
    KEY("rule_instructions", take_instructions, config, rule_instructions),
    KEY("rule_memory", take_memory, config, rule_memory),
};

void check_gateway(struct check *c, const struct declaration *d)
{
    struct place at;
    struct item item = check_item(c, d, &at);
    fields_take(&item, "gateway", gateway_keys, COUNT(gateway_keys), c->config);
    if (c->config->window > c->config->memory) {
        struct place window = {d, &at, "window", 0};
        check_error(c, &window,
                    "window is larger than memory; one association cannot hold more than all together");
    }
    if (c->config->header_spool_max > HEADER_SPOOL_MOST) {
        struct place most = {d, &at, "header_spool_max", 0};
        check_error(c, &most, "header_spool_max is more than 1TiB");
    }
    check_gateway_queue(c, d, &at);
}
