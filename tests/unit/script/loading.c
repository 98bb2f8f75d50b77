#include "loading.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

int make_folder(void **state)
{
    char *folder = strdup("/tmp/hilum-script-XXXXXX");
    *state = folder;
    return mkdtemp(folder) != NULL ? 0 : -1;
}

int remove_folder(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", (char *)*state);
    int status = system(command);
    free(*state);
    return status;
}

void write_file(const char *folder, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

struct loaded load_file(const char *folder, const char *name, const char *text)
{
    struct loaded l = {.config = NULL};
    write_file(folder, name, text);
    snprintf(l.path, sizeof(l.path), "%s/%s", folder, name);
    l.result = script_load(l.path, &l.config, &l.problems);
    return l;
}

struct loaded load_text(const char *folder, const char *text)
{
    return load_file(folder, "site.lua", text);
}

void free_loaded(struct loaded *l)
{
    problems_free(&l->problems);
    config_unref(&l->config);
}

void assert_fine(const struct loaded *l)
{
    for (size_t i = 0; i < l->problems.count; i++) {
        print_error("%s\n", l->problems.items[i].text);
    }
    assert_int_equal(l->result, OK);
    assert_int_equal(l->problems.count, 0);
    assert_non_null(l->config);
}

const char *problem_at(const struct loaded *l, size_t index, int line)
{
    char front[300];
    int len = snprintf(front, sizeof(front), "%s:%d: ", l->path, line);
    const char *text = l->problems.items[index].text;
    return strncmp(text, front, (size_t)len) == 0 ? text + len : NULL;
}
