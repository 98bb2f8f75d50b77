/*
 * A rule over a data set: any body of a function, any data set. It ends within its budgets, changes nothing that it may not, and what it leaves of the data set can be
 * written and read again.
 *
 *   0  u8   bits 0-1 how the data set is encoded; bit 2 it is a `when`, which may change nothing; bit 3 the document ends before pixel data
 *   1  u16  length of the body; then the body, then the data set
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "dicom/tag.h"
#include "input.h"
#include "script/bind.h"
#include "script/load.h"
#include "script/rules.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 8192, MEMORY_MAX = 1 << 24 };

static int fd;
static char path[64];
static struct dicom_charsets *charsets;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_configure(LOG_ERROR, LOG_LOGFMT);
    fd = memfd_create("configuration", MFD_CLOEXEC);
    charsets = dicom_charsets_new();
    hilum_assert(fd >= 0 && charsets);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return 0;
}

static struct config *load(bool is_when, struct view body)
{
    struct config *config = NULL;
    struct problems problems;
    hilum_assert(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    dprintf(fd,
            "gateway { spool = false, rule_instructions = 100000, rule_memory = '4MiB', uid_key = 'sixteen "
            "bytes or more' }\n"
            "listen { port = 11112, name = 'main' }\n"
            "node 'pacs' { host = '10.1.0.5', ae_title = 'PACS' }\n"
            "route 'x' { to = 'pacs', on_failure = 'fail', %s = function (ds, assoc)\n",
            is_when ? "when" : "morph");
    if (body.len > 0)
        hilum_assert(write(fd, body.at, body.len) == (ssize_t)body.len);
    dprintf(fd, "\nend }\n");
    if (script_load(path, &config, &problems) != OK)
        hilum_assert(problems.count > 0 && !config);
    problems_free(&problems);
    return config;
}

static enum result call(struct rules *rules, struct config *config, struct bind *bind)
{
    struct rules_assoc assoc = {
        .calling = view_of("CT1"), .called = view_of("HILUM"), .service = view_of("store")};
    struct rules_call c = {.route = &config->routes[0], .assoc = &assoc, .push = bind_push, .arg = bind};
    bool holds;
    if (config->routes[0].has_morph)
        return rules_morph(rules, &c);
    return config->routes[0].has_when_function ? rules_when(rules, &c, &holds) : OK;
}

static void written(struct dicom_document *d, struct dicom_encoding encoding, uint32_t behind,
                    struct view bytes, bool is_read_only)
{
    struct octets out = {0}, again = {0};
    struct dicom_document second;
    hilum_assert(!is_read_only || !dicom_document_is_changed(d));
    if (dicom_document_write(d, &out) == OK) {
        if (!dicom_document_is_changed(d))
            hilum_assert(out.len == bytes.len && (out.len == 0 || memcmp(out.data, bytes.at, out.len) == 0));
        hilum_assert(dicom_document_parse(&second, (struct view){out.data, out.len}, encoding, behind,
                                          MEMORY_MAX) == OK);
        hilum_assert(dicom_document_write(&second, &again) == OK);
        hilum_assert(again.len == out.len && (out.len == 0 || memcmp(out.data, again.data, out.len) == 0));
        dicom_document_free(&second);
    }
    octets_free(&out);
    octets_free(&again);
}

static void run(struct rules *rules, struct config *config, struct dicom_encoding encoding, uint32_t behind,
                struct view bytes)
{
    struct dicom_document d;
    struct dicom_text text;
    struct bind bind;
    if (dicom_document_parse(&d, bytes, encoding, behind, MEMORY_MAX) != OK) {
        dicom_document_free(&d);
        return;
    }
    dicom_text_init(&text, charsets);
    bind_init(&bind, &d, &text);
    bind.behind = behind;
    bind.is_read_only = !config->routes[0].has_morph;
    bind.transfer_syntax = view_of("1.2.840.10008.1.2.1");
    bind.sop_class = view_of("1.2.840.10008.5.1.4.1.1.2");
    bind.sop_instance = view_of("1.2.3");
    enum result r = call(rules, config, &bind);
    if (r == OK)
        written(&d, encoding, behind, bytes, bind.is_read_only);
    else
        hilum_assert(rules_error(rules)[0] != '\0');
    bind_free(&bind);
    dicom_text_free(&text);
    dicom_document_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dicom_encoding encodings[] = {{.is_explicit = true},
                                                      {.is_explicit = false},
                                                      {.is_explicit = true, .is_big_endian = true},
                                                      {.is_explicit = true}};
    struct input in = {data, size};
    const uint8_t how = input_u8(&in);
    struct view body = input_bytes(&in, input_u16(&in) % BODY_MAX);
    struct rules *rules = NULL;
    struct problems problems;
    struct config *config = load(how & 4, body);
    if (!config)
        return 0;
    enum result r = script_rules_open(config, &rules, &problems);
    if (r == OK)
        run(rules, config, encodings[how & 3], how & 8 ? DICOM_TAG(0x7fe0, 0x0010) : 0,
            input_bytes(&in, in.left));
    else
        hilum_assert(problems.count > 0);
    problems_free(&problems);
    script_rules_close(&rules);
    config_unref(&config);
    return 0;
}
