/* keywords.h: the words of Lua, for completion and inspection.
 *
 * What      one row per keyword: how it is written, what it does, an example that runs.
 * Ownership static.
 * Threads   any.
 *
 * Example:
 *     const struct keyword *k = keyword_find("if", 2);
 *     if (k)
 *         puts(k->form);
 */
#ifndef LACUS_SESSION_KEYWORDS_H
#define LACUS_SESSION_KEYWORDS_H
#include <stddef.h>

struct keyword {
    const char *name, *form, *doc, *example;
};

extern const struct keyword keywords[]; /* ends with a NULL name */
const struct keyword *keyword_find(const char *name, size_t len);
#endif
