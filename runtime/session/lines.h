/* lines.h: which lines of a text can be stopped at, and the name that a text has as a file.
 *
 * What      compiles the text as a cell (magics and a last bare expression are allowed) or as a Lua file, in a state of
 *           its own, and reads from Lua's dump of it which lines have instructions, in all of its functions.
 *           Of %%time and other %%magics whose body is Lua, the body's lines.
 * Ownership lines_release.
 * Units     lines from 1.
 * Errors    LC_SYNTAX: the text does not compile, or is not Lua (%%sql); LC_NOMEM.
 * Threads   any.
 *
 * Example:
 *     struct lines lines;
 *     if (lines_of("local a = 1\n\nprint(a)", 22, &lines, NULL) == LC_OK && lines_next(&lines, 2) == 3)
 *         lines_release(&lines);
 */
#ifndef LACUS_SESSION_LINES_H
#define LACUS_SESSION_LINES_H
#include "runtime/base/err.h"
#include <stddef.h>

struct lines {
    unsigned char *bits; /* owned: bit n is line n */
    int last;            /* the last line that has a bit */
    int shift;           /* lines above the body of a %%magic: Lua counts from there */
};

enum lc lines_of(const char *text, size_t len, struct lines *out, struct err *err) MUST_CHECK;
void lines_release(struct lines *l);
/* The first line at or after this one that can be stopped at; 0: there is none. */
int lines_next(const struct lines *l, int line);

/* MurmurHash2, 32 bits: what Jupyter names the file of a cell by. */
uint32_t lines_murmur2(const void *data, size_t len, uint32_t seed);
#endif
