#include "runtime/dataframe/options.h"
#include "runtime/base/nearest.h"
#include "runtime/dataframe/csv/csv.h"
#include "runtime/dataframe/json/record.h"
#include <string.h>
#include <strings.h>

enum { CSV = 1, JSON = 2, PARQUET = 4, TEXT = 8, DELTA = 16 };
enum { FILES = CSV | JSON | PARQUET | TEXT, LINES = CSV | JSON, ANY = FILES | DELTA };
enum { READ = SOURCE_READ, WRITE = SOURCE_WRITE };

static const char *const formats[] = {"csv", "json", "parquet", "text",
                                      "delta"}; /* in the order of the bits */
enum { FORMATS = sizeof formats / sizeof *formats };

static const struct {
    const char *name;
    unsigned formats, use;
} keys[] = {
    {"pathGlobFilter", FILES, READ},
    {"recursiveFileLookup", FILES, READ},
    {"modifiedBefore", FILES, READ},
    {"modifiedAfter", FILES, READ},
    {"basePath", FILES, READ},
    {"dateFormat", LINES, READ | WRITE},
    {"timestampFormat", LINES, READ | WRITE},
    {"timestampNTZFormat", LINES, READ | WRITE},
    {"mergeSchema", PARQUET, READ},
    {"mergeSchema", DELTA, WRITE},
    {"overwriteSchema", DELTA, WRITE},
    {"replaceWhere", DELTA, WRITE},
    {"partitionOverwriteMode", DELTA, WRITE},
    {"versionAsOf", DELTA, READ},
    {"timestampAsOf", DELTA, READ},
    {"wholetext", TEXT, READ},
    {"lineSep", TEXT, READ},
    {"compression", FILES, WRITE},
    {"encoding", CSV | JSON | TEXT, WRITE},
    {"charset", CSV | JSON | TEXT, WRITE},
    {"header", CSV, WRITE},
    {"sep", CSV, WRITE},
    {"delimiter", CSV, WRITE},
    {"quote", CSV, WRITE},
    {"quoteAll", CSV, WRITE},
    {"escape", CSV, WRITE},
    {"escapeQuotes", CSV, WRITE},
    {"nullValue", CSV, WRITE},
    {"emptyValue", CSV, WRITE},
    {"ignoreLeadingWhiteSpace", CSV, WRITE},
    {"ignoreTrailingWhiteSpace", CSV, WRITE},
    {"ignoreNullFields", JSON, WRITE},
    {"path", ANY, READ | WRITE},
};
enum { KEYS = sizeof keys / sizeof *keys };

static unsigned bit_of(const char *format)
{
    for (size_t i = 0; format && i < FORMATS; i++)
        if (strcmp(formats[i], format) == 0)
            return 1U << i;
    return format ? 0 : ANY;
}

const char *source_option_name(const char *format, enum source_use use, size_t i)
{
    static const struct {
        unsigned format;
        const char *(*name)(size_t i);
    } parsers[] = {{CSV, csv_option_name}, {JSON, json_option_name}};
    unsigned bits = bit_of(format);

    for (size_t k = 0; k < KEYS; k++)
        if ((keys[k].formats & bits) && (keys[k].use & use) && i-- == 0)
            return keys[k].name;
    for (size_t k = 0; use == SOURCE_READ && k < sizeof parsers / sizeof *parsers; k++)
        for (size_t n = 0; (parsers[k].format & bits) && parsers[k].name(n); n++)
            if (i-- == 0)
                return parsers[k].name(n);
    return NULL;
}

static size_t collect(const char *format, enum source_use use, const char **names, size_t max)
{
    size_t n = 0;

    while (n < max && (names[n] = source_option_name(format, use, n)) != NULL)
        n++;
    return n;
}

const char *source_option_meant(const char *format, enum source_use use, const char *name)
{
    enum { MAX = 256 };
    static const struct {
        const char *name;
        enum source_use use;
    } words[] = {/* what goes the same way, but is no option */
                 {"schema", SOURCE_READ}, {"format", SOURCE_READ}, {"format", SOURCE_WRITE},
                 {"mode", SOURCE_WRITE},  {"path", SOURCE_WRITE},  {"partitionBy", SOURCE_WRITE}};
    enum { WORDS = sizeof words / sizeof *words };
    const char *names[MAX + WORDS];
    size_t count;

    for (int u = SOURCE_READ; u <= SOURCE_WRITE; u++)
        for (size_t n = collect(NULL, (enum source_use)u, names, MAX); n > 0; n--)
            if (strcasecmp(names[n - 1], name) == 0)
                return NULL;
    count = collect(format, use, names, MAX);
    for (size_t i = 0; i < WORDS; i++)
        if (words[i].use == use) {
            if (strcasecmp(words[i].name, name) == 0)
                return NULL;
            names[count++] = words[i].name;
        }
    return nearest_one(name, names, count);
}

const char *source_format_name(size_t i)
{
    return i < FORMATS ? formats[i] : NULL;
}
