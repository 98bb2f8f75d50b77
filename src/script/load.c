/* One evaluation from file to configuration. */
#include "script/load.h"

#include <stdlib.h>
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

/* What the functions are made from again, in every worker. */
static enum result keep_sources(const struct script *s, struct config *config)
{
    size_t count = 0;
    for (const struct source *source = s->sources.first; source != NULL; source = source->next) {
        count++;
    }
    config->sources = calloc(count + 1, sizeof(*config->sources));
    if (config->sources == NULL) {
        return ERR_MEMORY;
    }
    for (const struct source *source = s->sources.first; source != NULL; source = source->next) {
        struct config_source *kept = &config->sources[config->source_count++];
        *kept = (struct config_source){
            .module = source->module == NULL ? NULL : strdup(source->module),
            .path = strdup(source->name),
            .text = malloc(source->len + 1),
            .len = source->len,
        };
        if (kept->path == NULL || kept->text == NULL || (source->module != NULL && kept->module == NULL)) {
            return ERR_MEMORY;
        }
        memcpy(kept->text, source->text, source->len + 1);
    }
    return OK;
}

static enum result keep_environment(const struct script *s, struct config *config)
{
    size_t count = 0;
    for (const struct environment *e = s->environment; e != NULL; e = e->next) {
        count++;
    }
    config->environment = calloc(count + 1, sizeof(*config->environment));
    if (config->environment == NULL) {
        return ERR_MEMORY;
    }
    for (const struct environment *e = s->environment; e != NULL; e = e->next) {
        struct config_environment *kept = &config->environment[config->environment_count++];
        kept->name = strdup(e->name);
        kept->value = e->value == NULL ? NULL : strdup(e->value);
        if (kept->name == NULL || (e->value != NULL && kept->value == NULL)) {
            return ERR_MEMORY;
        }
    }
    return OK;
}

static enum result load(struct script *s, struct config *config)
{
    bool is_read;
    enum result r = read_first(s, &is_read);
    if (r != OK || !is_read) {
        return r;
    }
    r = sandbox_evaluate(s);
    r = r == OK ? check_script(s, config) : r;
    r = r == OK ? keep_sources(s, config) : r;
    return r == OK ? keep_environment(s, config) : r;
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
