/* highlight.h: what each byte of a cell is, for colours.
 *
 * What      works on any text, finished or not. A line that begins with %, ! or ends with ? is a magic.
 * Ownership the caller's array of len bytes is filled.
 * Units     bytes.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     unsigned char ink[7];
 *     highlight("local a", 7, ink);
 */
#ifndef LACUS_REPL_EDITOR_HIGHLIGHT_H
#define LACUS_REPL_EDITOR_HIGHLIGHT_H
#include <stddef.h>

enum ink { INK_PLAIN, INK_KEYWORD, INK_STRING, INK_NUMBER, INK_COMMENT, INK_MAGIC, INK_BRACKET, INK_COUNT };

void highlight(const char *text, size_t len, unsigned char *ink);
/* The bracket under the cursor, or just before it, and its partner become INK_BRACKET. */
void highlight_brackets(const char *text, size_t len, size_t cursor, unsigned char *ink);
/* The SGR parameters of an ink: "35"; "" for INK_PLAIN. */
const char *highlight_sgr(enum ink ink);
#endif
