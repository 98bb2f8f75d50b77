/* Configurations from text, for the tests of script/. */
#ifndef TESTS_SCRIPT_LOADING_H
#define TESTS_SCRIPT_LOADING_H

#include "script/load.h"

/* A folder of its own for the files of one test program; cmocka group fixtures. The state is its path. */
int make_folder(void **state);
int remove_folder(void **state);

/* Writes folder/name. */
void write_file(const char *folder, const char *name, const char *text);

/* What came of one text. Freed by free_loaded. */
struct loaded {
    char path[256];
    enum result result;
    struct config *config;
    struct problems problems;
};

/* Writes folder/name and loads it. */
struct loaded load_file(const char *folder, const char *name, const char *text);
/* The same as site.lua. */
struct loaded load_text(const char *folder, const char *text);
void free_loaded(struct loaded *l);

/* Fails the test, with every problem shown, unless it loaded without any. */
void assert_fine(const struct loaded *l);

/* The text behind "PATH:LINE: " if that is where the problem stands, else NULL. */
const char *problem_at(const struct loaded *l, size_t index, int line);

#endif
