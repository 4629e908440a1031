#include "repl/globals.h"

/* One row per name: what opens it, and what it is. The functions live in *_lua.c files of their folders. */
const struct session_global lacus_globals[] = {
    {0},
};
