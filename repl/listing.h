/* listing.h: what verbs that list have in common: --output table|json, and tables that fit a terminal.
 *
 * What      arguments is a command line taken apart: words and --name value options that a table names.
 *           listing_print shows an array of JSON objects: as they are (json), or some of their members as
 *           columns (table).
 * Ownership everything is borrowed.
 * Units     terminal columns.
 * Errors    arguments_parse fills err with LC_ARG and the nearest option.
 * Threads   main thread.
 *
 * Example:
 *     static const char *const options[] = {"--max", NULL};
 *     static const struct listing_column columns[] = {{"name", "NAME"}, {0}};
 *     struct arguments a;
 *     if (arguments_parse(argc, argv, options, &a, &err) == LC_OK)
 *         listing_print(rows, columns, a.json);
 */
#ifndef LACUS_REPL_LISTING_H
#define LACUS_REPL_LISTING_H
#include "runtime/base/err.h"
#include <jansson.h>
#include <stddef.h>

enum { ARGUMENTS_WORDS = 16, ARGUMENTS_OPTIONS = 32 };

struct arguments {
    const char *words[ARGUMENTS_WORDS + 1]; /* without the command's name; NULL at the end */
    size_t n_words;
    struct {
        const char *name, *value;
    } options[ARGUMENTS_OPTIONS];
    size_t n_options;
    bool json; /* --output json */
};
/* options: names that take a value, ending with NULL; --output is always one. */
enum lc arguments_parse(int argc, char **argv, const char *const *options, struct arguments *out,
                        struct err *err) MUST_CHECK;
const char *arguments_option(const struct arguments *a, const char *name); /* the last one given, or NULL */

struct listing_verb {
    const char *name, *wants; /* "show", "NAME": what has to stand behind it; "" for nothing */
    enum lc (*run)(void *self, struct err *err);
};
/* The verb of the command line; without one the first of the table, which ends with a NULL name. command: "models". */
enum lc arguments_dispatch(const struct arguments *a, const char *command, const struct listing_verb *verbs,
                           void *self, struct err *err) MUST_CHECK;

struct listing_column {
    const char *member, *title;
    enum { LISTING_TEXT, LISTING_TIME, LISTING_BYTES, LISTING_SHORT } how; /* SHORT: cut at 12 characters */
};
void listing_print(const json_t *rows, const struct listing_column *columns, bool json);
void listing_print_json(const json_t *value);
#endif
