/* options.h: the options that readers and writers of files and tables know, by Spark's names.
 *
 * What      for completion: what CSV and JSON parse with comes from their own tables, the others are the keys that
 *           the code asks plan_option for (a test compares).
 * Ownership static.
 * Units     none.
 * Errors    none.
 * Threads   any.
 *
 * Example:
 *     const char *name;
 *     for (size_t i = 0; (name = source_option_name("csv", SOURCE_READ, i)) != NULL; i++)
 *         puts(name);
 */
#ifndef LACUS_DATAFRAME_OPTIONS_H
#define LACUS_DATAFRAME_OPTIONS_H
#include <stddef.h>

enum source_use { SOURCE_READ = 1, SOURCE_WRITE = 2 };

/* The i-th option of a format; NULL past the last. A format that is NULL: of any, and then a name may come twice. */
const char *source_option_name(const char *format, enum source_use use, size_t i);
/* The option that was meant by a name which no format knows; NULL: it is known, or nothing is near it. */
const char *source_option_meant(const char *format, enum source_use use, const char *name);
/* The i-th format; NULL past the last. */
const char *source_format_name(size_t i);
#endif
