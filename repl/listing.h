/* listing.h: what the commands over the workspace have in common: verbs, --output table|json, and tables that fit
 * a terminal.
 *
 * What      arguments is a command line taken apart: words and --name value options that a table names.
 *           listing_run is such a command from its table of verbs. listing_print shows an array of JSON objects: as
 *           they are (json), or some of their members as columns (table).
 * Ownership everything is borrowed.
 * Units     terminal columns.
 * Errors    LC_ARG with the nearest option or verb, or with what a verb wants.
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
    const char *name,
        *wants; /* "show", "NAME [VERSION]": the words behind it, all but those in brackets needed */
    enum lc (*run)(void *job, struct err *err);
};
struct listing_command {
    const char *name;           /* "models" */
    const char *const *options; /* as of arguments_parse */
    const struct listing_verb
        *verbs; /* the first is meant where none is written; ends with a NULL name, whose run, if
                                         there is one, takes a word that is no verb */
    enum lc (*open)(void *job, struct err *err);
    void (*close)(void *job); /* also when open failed */
};
/* The whole command: a of the job is filled, the job opened, the verb run, the job closed. Returns the exit code. */
int listing_run(const struct listing_command *c, int argc, char **argv, struct arguments *a, void *job);

struct listing_column {
    const char *member, *title;
    enum { LISTING_TEXT, LISTING_TIME, LISTING_BYTES, LISTING_SHORT } how; /* SHORT: cut at 12 characters */
};
void listing_print(const json_t *rows, const struct listing_column *columns, bool json);
void listing_print_json(const json_t *value);
#endif
