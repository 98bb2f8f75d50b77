/*
 * A request to the control socket: its answer is one line, a JSON object. The same text in a line of the log: one line, in both formats, and the JSON is some.
 *
 *   input: the request
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>

#include "base/assert.h"
#include "base/log.h"
#include "worker/control.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUEST_MAX = 512, LINE_MAX_BYTES = 4096 };

static struct config *config;
static struct circuits *circuits;
static struct permits_registry *permits;
static int real_stderr, line_fd;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const names[] = {"pacs", "a \"b\"\\", "k\xc3\xa4se", "\xff\x80", "folder"};
    (void)argc;
    (void)argv;
    config = config_new();
    circuits = circuits_new();
    hilum_assert(config && circuits && permits_registry_new(&permits) == OK);
    config->node_count = sizeof(names) / sizeof(names[0]);
    config->nodes = calloc(config->node_count, sizeof(*config->nodes));
    hilum_assert(config->nodes);
    for (size_t i = 0; i < config->node_count; i++) {
        struct config_node *n = &config->nodes[i];
        *n = (struct config_node){.name = strdup(names[i]), .index = i, .port = 104, .deliveries = 1};
        n->is_folder = i == 4;
        n->folder = n->is_folder ? strdup("/tmp/{SOPInstanceUID}") : NULL;
        n->host = n->is_folder ? NULL : strdup("127.0.0.1");
        n->ae_title = n->is_folder ? NULL : strdup("PACS");
    }
    real_stderr = dup(STDERR_FILENO);
    line_fd = memfd_create("line", MFD_CLOEXEC);
    hilum_assert(real_stderr >= 0 && line_fd >= 0);
    __sanitizer_set_report_fd((void *)(intptr_t)real_stderr);
    return 0;
}

static void is_object(const char *line, size_t len)
{
    json_error_t error;
    json_t *json = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    hilum_assert(json_is_object(json));
    json_decref(json);
}

/* Where the log's line goes while it is written. */
static size_t logged(enum log_format format, const uint8_t *data, size_t size, char *line)
{
    const struct log_field fields[] = {LOG_TEXT("text", data, size), LOG_INT("n", size),
                                       LOG_TEXT("again", data, size / 2)};
    hilum_assert(lseek(line_fd, 0, SEEK_SET) == 0 && ftruncate(line_fd, 0) == 0);
    dup2(line_fd, STDERR_FILENO);
    log_configure(LOG_INFO, format);
    log_write(LOG_INFO, "fuzzed", fields, 3);
    dup2(real_stderr, STDERR_FILENO);
    ssize_t len = pread(line_fd, line, LINE_MAX_BYTES + 1, 0);
    hilum_assert(len > 0 && len <= LINE_MAX_BYTES && line[len - 1] == '\n');
    hilum_assert(memchr(line, '\n', (size_t)len) == line + len - 1);
    for (ssize_t i = 0; i < len - 1; i++)
        hilum_assert(line[i] >= ' ' && line[i] <= '~');
    return (size_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char line[LINE_MAX_BYTES + 1], request[REQUEST_MAX + 1];
    if (size > 2 * LINE_MAX_BYTES)
        return 0;
    size_t len = size < REQUEST_MAX ? size : REQUEST_MAX;
    const uint8_t none = 0;
    memcpy(request, len ? data : &none, len);
    request[len] = '\0'; /* one that comes with a NUL in it ends there */
    char *answer = control_answer(config, circuits, permits, request);
    hilum_assert(answer && !strchr(answer, '\n'));
    is_object(answer, strlen(answer));
    free(answer);
    logged(LOG_LOGFMT, size ? data : &none, size, line);
    is_object(line, logged(LOG_JSON, size ? data : &none, size, line));
    return 0;
}
