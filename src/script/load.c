/* One evaluation from file to configuration. */
#include "script/load.h"

#include <string.h>

#include "script/check.h"
#include "script/sandbox.h"

/* The configuration file as the first source. One that cannot be read is a problem like others. */
static enum result read_first(struct script *s, bool *is_read_out)
{
    struct source *source;
    const char *why = "";
    enum result r = source_read(&s->arena, &s->sources, s->path, &source, &why);
    *is_read_out = r == OK;
    if (r == ERR_IO) {
        struct source missing = {.name = s->path};
        report_printf(&s->report, &missing, 1, false,
                      "the file cannot be read (%s); name a readable Lua file", why);
        return OK;
    }
    return r;
}

static enum result check_script(struct script *s, struct config *config)
{
    struct check c = {s, config, false};
    field_set_text(&c, &config->file, s->path);
    check_all(&c);
    return c.failed ? ERR_MEMORY : OK;
}

static enum result load(struct script *s, struct config *config)
{
    bool is_read;
    enum result r = read_first(s, &is_read);
    if (r != OK || !is_read) {
        return r;
    }
    r = sandbox_evaluate(s);
    return r == OK ? check_script(s, config) : r;
}

enum result script_load(const char *path, struct config **config_out, struct problems *problems_out)
{
    struct script s = {.path = path, .arena = {.max = SANDBOX_ARENA_MAX}};
    *config_out = NULL;
    *problems_out = (struct problems){0};
    struct config *config = config_new();
    if (config == NULL) {
        return ERR_MEMORY;
    }
    enum result r = load(&s, config);
    bool has_errors = s.report.errors > 0;
    enum result finished = report_finish(&s.report, problems_out);
    arena_free(&s.arena);
    r = r == OK ? finished : r;
    if (r == OK && has_errors) {
        r = ERR_USAGE;
    }
    if (r == OK) {
        *config_out = config;
    } else {
        config_unref(&config);
    }
    return r;
}
