/* nearest.h: the names a user may have meant.
 *
 * What      ranks candidates by edit distance (with transpositions, ignoring case) to what was typed, for
 *           "did you mean" hints.
 * Ownership candidates are borrowed.
 * Units     characters.
 * Threads   any.
 * Errors    out of memory: no suggestion.
 *
 * Example:
 *     static const char *const names[] = {"filter", "select"};
 *     const char *best = nearest_one("fliter", names, 2);
 */
#ifndef LACUS_BASE_NEAREST_H
#define LACUS_BASE_NEAREST_H
#include "runtime/base/buf.h"

int nearest_distance(const char *a, const char *b);
const char *nearest_one(const char *word, const char *const *names, size_t n); /* NULL: nothing is near */
/* Appends "'a', 'b' or 'c'": at most `most` names, each once, nearest first; appends nothing when none is near. */
bool nearest_list(struct buf *out, const char *word, const char *const *names, size_t n, size_t most);
#endif
