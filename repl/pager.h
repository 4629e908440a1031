/* pager.h: long texts, page by page.
 *
 * What      a text with more rows than the terminal goes through $PAGER (less -FRX without it); others are the
 *           caller's to print. PAGER=cat, or empty, or TERM=dumb: never.
 * Ownership borrowed.
 * Units     terminal rows.
 * Errors    false: it was not shown.
 * Threads   main thread; the pager has the terminal meanwhile.
 *
 * Example:
 *     if (!pager_show(1, "text", 4))
 *         puts("text");
 */
#ifndef LACUS_REPL_PAGER_H
#define LACUS_REPL_PAGER_H
#include <stdbool.h>
#include <stddef.h>

bool pager_show(int fd, const char *text, size_t len);
#endif
