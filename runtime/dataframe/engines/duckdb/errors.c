/* errors.c: DuckDB's error texts in Spark's and lacus' words. */
#include "runtime/dataframe/engines/duckdb/duck.h"
#include <ctype.h>
#include <string.h>

static const struct {
    const char *contains;
    enum lc code;
    const char *message; /* %s: DuckDB's first line */
    const char *hint;
} rows[] = {
    {"No files found that match", LC_NOTFOUND,
     "[FAILED_READ_FILE.FILE_NOT_EXIST] a file that belongs to the table, or was there a moment ago, is "
     "gone: %s. "
     "SQLSTATE: KD001",
     "files of a table are removed with DELETE and DROP only; bring it back, or read a version of the table "
     "that does "
     "not need it: spark.read:option(\"versionAsOf\", n)"},
    {"No magic bytes found", LC_DATA,
     "[CANNOT_READ_FILE_FOOTER] the file is not a Parquet file, or it is cut off: %s",
     "a file of a table: bring it back from a copy, or read a version of the table that does not need it "
     "(spark.read:option(\"versionAsOf\", n)); another file: read it with the format it has (spark.read:csv, "
     ":json, "
     ":text), or write it again"},
    {"too small to be a Parquet file", LC_DATA,
     "[CANNOT_READ_FILE_FOOTER] the file is not a Parquet file, or it is cut off: %s",
     "a file of a table: bring it back from a copy, or read a version of the table that does not need it "
     "(spark.read:option(\"versionAsOf\", n)); another file: read it with the format it has (spark.read:csv, "
     ":json, "
     ":text), or write it again"},
    {"Failed to read Parquet", LC_DATA, "[FAILED_READ_FILE] %s", "the file is damaged: write it again"},
    {"Failed to read file", LC_DATA, "[FAILED_READ_FILE.NO_HINT] %s. SQLSTATE: KD001",
     "the file is damaged: write it again, or leave it out of what is read"},
    {"CSV Error", LC_DATA, "[MALFORMED_RECORD_IN_PARSING] %s",
     "check the options sep, quote, escape, header, multiLine and encoding, or give a schema; mode = "
     "DROPMALFORMED leaves bad rows out"},
    {"Malformed JSON", LC_DATA, "[MALFORMED_RECORD_IN_PARSING] %s",
     "each line must be one JSON object, or set the option multiLine; mode = DROPMALFORMED leaves bad rows "
     "out"},
    {"JSON transform error", LC_DATA, "[MALFORMED_RECORD_IN_PARSING] %s",
     "give a schema with read:schema(…)"},
    {"Overflow in HUGEINT addition", LC_RUNTIME,
     "[ARITHMETIC_OVERFLOW] Overflow in sum of decimals. Use 'try_sum' to tolerate overflow and return NULL "
     "instead. SQLSTATE: 22003",
     ""},
    {"Overflow in", LC_RUNTIME,
     "[ARITHMETIC_OVERFLOW] %s. Use try_add, try_subtract or try_multiply to tolerate overflow and return "
     "NULL instead. "
     "SQLSTATE: 22003",
     ""},
    {"Type INT128 with value", LC_RUNTIME, "[ARITHMETIC_OVERFLOW] %s. SQLSTATE: 22003",
     "cast to a wider type first"},
    {"out of range for the destination type", LC_RUNTIME,
     "[CAST_OVERFLOW] %s. Use `try_cast` for NULL. SQLSTATE: 22003", "cast to a wider type first"},
    {"Overflow on", LC_RUNTIME, "[ARITHMETIC_OVERFLOW] %s. SQLSTATE: 22003", ""},
    {"to type DECIMAL", LC_RUNTIME, "[NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION] %s. SQLSTATE: 22003", ""},
    {"Could not cast value", LC_RUNTIME, "[CAST_OVERFLOW] %s. SQLSTATE: 22003",
     "use try_cast for NULL instead"},
    {"Could not convert", LC_RUNTIME,
     "[CAST_INVALID_INPUT] %s. Use `try_cast` to tolerate malformed input and return NULL instead. "
     "SQLSTATE: 22018",
     ""},
    {"date field value out of range", LC_RUNTIME,
     "[CAST_INVALID_INPUT] %s. Use `try_cast` to get NULL instead. SQLSTATE: 22018", ""},
    {"Date out of range", LC_RUNTIME, "[DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION] %s. SQLSTATE: 22023",
     ""},
    {"invalid date field format", LC_RUNTIME,
     "[CAST_INVALID_INPUT] %s. Use `try_cast` or try_to_date to get NULL instead. SQLSTATE: "
     "22018",
     ""},
    {"invalid timestamp field format", LC_RUNTIME,
     "[CAST_INVALID_INPUT] %s. Use `try_cast` or try_to_timestamp to get NULL instead. "
     "SQLSTATE: 22018",
     ""},
    {"Could not parse string", LC_RUNTIME,
     "[CANNOT_PARSE_TIMESTAMP] %s. Use try_to_timestamp or try_to_date to get NULL instead. "
     "SQLSTATE: 22007",
     ""},
    {"Unknown TimeZone", LC_RUNTIME,
     "[INVALID_TIMEZONE] %s. The timezone must be either a region-based zone ID or a zone offset. SQLSTATE: "
     "22009",
     "a region such as 'Europe/Rome', or an offset such as '+01:00'"},
    {"Invalid input for hex digit", LC_RUNTIME, "[CONVERSION_INVALID_INPUT] %s. SQLSTATE: 22018",
     "use try_to_binary for NULL instead"},
    {"Map keys must be unique", LC_RUNTIME,
     "[DUPLICATED_MAP_KEY] Duplicate map key was found. SQLSTATE: 23505", ""},
    {"More than one row returned by a subquery", LC_RUNTIME,
     "[SCALAR_SUBQUERY_TOO_MANY_ROWS] More than one row returned by a subquery used as an expression. "
     "SQLSTATE: 21000",
     ""},
    {"Out of Memory", LC_NOMEM, "the query needs more memory than it may use: %s",
     "write an intermediate result to a table, select fewer columns, or raise "
     "spark.conf:set(\"memory_limit\", …)"},
    {"No space left on device", LC_NOSPACE, "%s", "free some space, or point LACUS_HOME at another disk"},
    {"Permission denied", LC_PERM, "%s", ""},
    {"invalid UTF-8", LC_DATA, "[MALFORMED_CHARACTER_CODING] %s", "convert the file to UTF-8"},
    {"Invalid unicode", LC_DATA, "[MALFORMED_CHARACTER_CODING] %s", "convert the file to UTF-8"},
    {"regular expression", LC_RUNTIME, "[INVALID_PARAMETER_VALUE.PATTERN] %s. SQLSTATE: 22023", ""},
    {"missing argument to repetition", LC_RUNTIME, "[INVALID_PARAMETER_VALUE.PATTERN] %s. SQLSTATE: 22023",
     ""},
    {"missing )", LC_RUNTIME, "[INVALID_PARAMETER_VALUE.PATTERN] %s. SQLSTATE: 22023", ""},
    {"Pattern has", LC_RUNTIME, "[INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX] %s. SQLSTATE: 22023", ""},
    {"Group index", LC_RUNTIME, "[INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX] %s. SQLSTATE: 22023", ""},
};

/* "Invalid Input Error: text\n…" → "text" */
static void first_line(const char *text, char *out, size_t size)
{
    const char *colon = strstr(text, " Error: ");
    size_t n;

    if (colon && colon - text < 40)
        text = colon + strlen(" Error: ");
    n = strcspn(text, "\n");
    if (n >= size)
        n = size - 1;
    memcpy(out, text, n);
    out[n] = '\0';
    while (n && (out[n - 1] == '.' || isspace((unsigned char)out[n - 1])))
        out[--n] = '\0';
}

/* A text of ours, as error() gave it: "[CLASS] …" */
static const char *own_text(const char *text)
{
    const char *p = strchr(text, '[');

    if (!p || p - text > 40)
        return NULL;
    for (const char *q = p + 1; *q && *q != ']'; q++)
        if (!isupper((unsigned char)*q) && !isdigit((unsigned char)*q) && *q != '_' && *q != '.')
            return NULL;
    return p[1] && isupper((unsigned char)p[1]) ? p : NULL;
}

static bool is_ours_to_blame(const char *text)
{
    static const char *const starts[] = {"Binder Error", "Parser Error", "Catalog Error", "INTERNAL Error",
                                         "Syntax Error"};

    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

/* Without DuckDB's advice about its settings, and without the SQL that was made for it. */
static enum lc set_cause(struct err *err, enum lc code, const char *text)
{
    const char *end = strstr(text, "\n\n");

    if (err)
        snprintf(err->cause, sizeof err->cause, "%.*s", end ? (int)(end - text) : (int)strlen(text), text);
    return code;
}

enum lc duck_fail(const struct ctx *ctx, bool stopped, const char *text, struct err *err)
{
    char line[700];
    const char *own;

    if (!text)
        text = "DuckDB gave no reason";
    TRY(ctx_check(ctx, err));
    if (stopped || strstr(text, "INTERRUPT") || strstr(text, "Interrupted"))
        return err_set(err, LC_CANCELLED, "the query was interrupted");
    own = own_text(text);
    first_line(own ? own : text, line, sizeof line);
    if (own)
        return err_set(err, LC_RUNTIME, "%s", line);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strstr(text, rows[i].contains)) {
            const char *m = rows[i].message, *place = strstr(m, "%s");

            if (place)
                err_set(err, rows[i].code, "%.*s%s%s", (int)(place - m), m, line, place + 2);
            else
                err_set(err, rows[i].code, "%s", m);
            if (*rows[i].hint)
                err_hint(err, "%s", rows[i].hint);
            return set_cause(err, rows[i].code, text);
        }
    if (is_ours_to_blame(text)) {
        err_set(err, LC_INTERNAL, "the query could not be written for DuckDB: %s", line);
        err_hint(err, "this is a fault of lacus: please report the query with this text");
        return set_cause(err, LC_INTERNAL, text);
    }
    err_set(err, strncmp(text, "IO Error", 8) == 0 ? LC_IO : LC_RUNTIME, "%s", line);
    return set_cause(err, strncmp(text, "IO Error", 8) == 0 ? LC_IO : LC_RUNTIME, text);
}
