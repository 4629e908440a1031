/* man_page.h: the manual page lacus(1), made from the tables of subcommands and of errors.
 *
 * Ownership the table is borrowed.
 * Errors    none: it goes to standard output.
 * Threads   main thread.
 *
 * Example:
 *     man_page_print(commands);
 */
#ifndef LACUS_REPL_MAN_PAGE_H
#define LACUS_REPL_MAN_PAGE_H
#include "repl/command.h"

void man_page_print(const struct command *table);
#endif
