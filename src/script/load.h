/*
 * Evaluates a configuration file (Lua 5.4, sandboxed) and checks it, to the last key.
 *
 * Sandbox: base functions without load, loadfile, dofile, collectgarbage, warn; print writes to stderr; string, table, math, utf8; no io, os,
 * package, debug. `env "NAME"`; `require "name"` finds rules/name.lua beside the configuration, then name.lua beside
 * it, then the installed rules folder. Instructions and memory are bounded.
 */
#ifndef HILUM_SCRIPT_LOAD_H
#define HILUM_SCRIPT_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/result.h"
#include "config/config.h"

struct problem {
    char *text; /* "FILE:LINE: what is wrong; what would be right"; a warning: "FILE:LINE: warning: ..." */
    bool is_warning;
};

struct problems {
    struct problem *items;
    size_t count;
};

void problems_free(struct problems *p);

/* OK: *config_out has one reference; *problems_out may hold warnings. ERR_USAGE: at least one error in *problems_out,
 * all that could be found in one go, in line order. ERR_MEMORY. The caller frees *problems_out in every case. */
MUST_USE enum result script_load(const char *path, struct config **config_out, struct problems *problems_out);

#endif
