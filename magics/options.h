/* options.h: the options of a magic's line: one grammar for all of them, taken from their usage.
 *
 * What      the usage of a magic is its grammar: "[-n LOOPS]" takes a value, "[-q|--quiet]" is a flag with two
 *           names. -n3, -n 3, --name=x, --name x and clusters of flags (-nq) are read; quotes keep words
 *           together; -- ends the options.
 * Ownership the options live in a userdata that is left on the Lua stack; texts in it are borrowed from there.
 * Units     none.
 * Errors    raised: unknown option (with the nearest name), a value that is missing, a quote that is not
 *           closed, too many words.
 * Threads   session thread.
 *
 * Example:
 *     struct options *o = options_read(L, "timeit", "-n 10 f(x)", OPTIONS_REST);
 *     long loops = options_count(L, o, "-n", 0);   // 10
 *     puts(o->rest);                               // "f(x)"
 */
#ifndef LACUS_MAGICS_OPTIONS_H
#define LACUS_MAGICS_OPTIONS_H
#include "runtime/session/session_lua.h"

enum { OPTIONS_WORDS = 512, OPTIONS_GIVEN = 64 };

/* OPTIONS_ALL: options may stand anywhere, the other words are in `words`. OPTIONS_REST: they stand first; what
 * follows them is `rest`, as it was written. OPTIONS_KNOWN: as OPTIONS_ALL, but behind the first word, the name of a
 * program, what is no option of the magic is a word of the program's; so is --, which ends the options. */
enum options_mode { OPTIONS_ALL, OPTIONS_REST, OPTIONS_KNOWN };

struct options {
    const char *magic, *usage;
    size_t n;
    const char *words[OPTIONS_WORDS + 1]; /* ends with NULL */
    const char *rest;                     /* "" when there is nothing */
    size_t given_n;
    struct {
        const char *option; /* its place in the usage */
        const char *value;  /* NULL: a flag */
    } given[OPTIONS_GIVEN];
    char text[];
};

struct options *options_read(lua_State *L, const char *magic, const char *line, enum options_mode mode);
/* name is one of its names, with dashes: "-n". */
bool options_has(const struct options *o, const char *name);
/* Is the i-th that was given this one? */
bool options_is(const struct options *o, size_t i, const char *name);
/* The value that was given last, or NULL. */
const char *options_value(const struct options *o, const char *name);
/* A whole number above 0, or `otherwise` when the option is not there; raises. */
long options_count(lua_State *L, const struct options *o, const char *name, long otherwise);
/* The only word; raises when there is none, or another one. */
const char *options_one(lua_State *L, const struct options *o, const char *what);
#endif
