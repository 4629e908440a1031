/* source.c: files with a format, as DuckDB's table functions with Spark's options. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/folder.h"
#include "runtime/dataframe/moment.h"
#include "runtime/dataframe/sqlgen/sqlgen.h"
#include <ctype.h>
#include <fnmatch.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_FILES = 1000000 };

/* ---- options ---- */
static bool truth(const struct plan *read, const char *key, bool otherwise)
{
    const char *v = plan_option(&read->u.source.options, key);

    return v ? strcasecmp(v, "true") == 0 || strcmp(v, "1") == 0 : otherwise;
}

/* ---- paths ---- */
struct found {
    char **files;
    size_t n, cap;
    bool partitioned;
    const char *name;      /* pathGlobFilter, for fnmatch; NULL: any */
    bool recursive;        /* folders that are no partitions, too; then folders' names are no columns */
    int64_t after, before; /* seconds since 1970 */
};

static bool is_wanted(const struct found *f, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct stat st;

    if (f->name && fnmatch(f->name, slash ? slash + 1 : path, FNM_EXTMATCH) != 0)
        return false;
    if (f->after == INT64_MIN && f->before == INT64_MAX)
        return true;
    return stat(path, &st) == 0 && st.st_mtime > f->after && st.st_mtime < f->before;
}

static enum lc add_file(struct found *f, const char *path, struct err *err)
{
    if (!is_wanted(f, path))
        return LC_OK;
    if (f->n >= MAX_FILES)
        return err_set(err, LC_LIMIT, "there are more than %d files below '%s'", MAX_FILES, path);
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 16;
        char **grown = mem_reallocn(f->files, cap, sizeof *grown);

        if (!grown)
            return err_nomem(err);
        f->files = grown;
        f->cap = cap;
    }
    f->files[f->n] = mem_strdup(path);
    return f->files[f->n++] ? LC_OK : err_nomem(err);
}

/* Like Spark: the files in the folder and below folders of partitions, but nothing whose name starts with _ or ., unless it is a
 * partition folder (_p=1). */
static enum lc add_folder(struct found *f, const char *path, int depth, bool inside, struct err *err)
{
    char **names;
    size_t n;
    enum lc code = LC_OK;

    if (depth > 64)
        return err_set(err, LC_LIMIT, "the folder '%s' is nested too deep", path);
    TRY(fs_list(path, &names, &n, err));
    for (size_t i = 0; i < n && code == LC_OK; i++) {
        char *below;

        if ((names[i][0] == '_' || names[i][0] == '.') && !strchr(names[i], '='))
            continue;
        below = fs_join(path, names[i]);
        if (!below) {
            code = err_nomem(err);
        } else if (fs_is_dir(below)) {
            bool part = strchr(names[i], '=') != NULL;

            f->partitioned = f->partitioned || part;
            if (part || inside || f->recursive)
                code = add_folder(f, below, depth + 1, true, err);
        } else {
            code = add_file(f, below, err);
        }
        mem_free(below);
    }
    fs_free_list(names, n);
    return code;
}

static enum lc add_pattern(struct found *f, const char *path, struct err *err)
{
    glob_t g;
    enum lc code = LC_OK;

    if (glob(path, GLOB_BRACE | GLOB_TILDE, NULL, &g) != 0)
        return err_set(err, LC_NOTFOUND, "[PATH_NOT_FOUND] Path does not exist: %s. SQLSTATE: 42K03", path);
    for (size_t i = 0; i < g.gl_pathc && code == LC_OK; i++)
        code = fs_is_dir(g.gl_pathv[i]) ? add_folder(f, g.gl_pathv[i], 0, false, err)
                                        : add_file(f, g.gl_pathv[i], err);
    globfree(&g);
    return code;
}

static enum lc add_path(struct found *f, const char *path, struct err *err)
{
    if (strncmp(path, "file:", 5) == 0)
        for (path += 5; path[0] == '/' && path[1] == '/'; path++)
            ;
    if (strstr(path, "://"))
        return err_set(err, LC_UNSUPPORTED, "cannot read '%s': only files of this machine can be read", path);
    if (fs_is_dir(path))
        return add_folder(f, path, 0, false, err);
    if (fs_exists(path))
        return add_file(f, path, err);
    return add_pattern(f, path, err);
}

/* Hadoop's {a,b} is @(a|b) to fnmatch. */
static bool put_glob(struct buf *out, const char *pattern)
{
    int depth = 0;

    for (const char *s = pattern; *s; s++) {
        if (*s == '{' && ++depth)
            buf_puts(out, "@(");
        else if (*s == '}' && depth)
            depth--, buf_putc(out, ')');
        else
            buf_putc(out, *s == ',' && depth ? '|' : *s);
    }
    return buf_ok(out);
}

static enum lc take_time(const struct plan *read, const char *key, int64_t *out, struct err *err)
{
    const char *text = plan_option(&read->u.source.options, key);
    struct moment m;

    if (!text)
        return LC_OK;
    if (!moment_parse(text, strlen(text), &m) || !m.dated)
        return err_set(err, LC_ARG, "the option '%s' is a time like 2024-05-01T00:00:00, not '%.60s'", key,
                       text);
    *out = m.micros / 1000000;
    return LC_OK;
}

static enum lc take_filters(const struct plan *read, struct found *f, struct buf *name, struct err *err)
{
    const char *glob_text = plan_option(&read->u.source.options, "pathGlobFilter");

    if (glob_text && !put_glob(name, glob_text))
        return err_nomem(err);
    f->name = glob_text ? buf_str(name) : NULL;
    TRY(take_time(read, "modifiedAfter", &f->after, err));
    return take_time(read, "modifiedBefore", &f->before, err);
}

/* A folder of a partition below the base: its columns are read, too. */
static bool is_below(const char *path, const char *base)
{
    size_t n = strlen(base);

    while (n && base[n - 1] == '/')
        n--;
    return strncmp(path, base, n) == 0 && path[n] == '/' && strchr(path + n, '=');
}

enum lc sql_source_files(const struct plan *read, char ***files, size_t *n, bool *partitioned,
                         struct err *err)
{
    struct buf name = BUF_INIT(4096);
    struct found f = {
        .recursive = truth(read, "recursiveFileLookup", false), .after = INT64_MIN, .before = INT64_MAX};
    const char *base = plan_option(&read->u.source.options, "basePath");
    enum lc code = take_filters(read, &f, &name, err);

    for (size_t i = 0; i < read->n_names && code == LC_OK; i++) {
        code = add_path(&f, read->names[i], err);
        f.partitioned = f.partitioned || (base && is_below(read->names[i], base));
    }
    f.partitioned = f.partitioned && !f.recursive;
    buf_release(&name);
    if (code == LC_OK && f.n == 0) {
        code = err_set(err, LC_NOTFOUND,
                       "[UNABLE_TO_INFER_SCHEMA] Unable to infer schema for %s: there are no files in '%s'",
                       read->u.source.format, read->n_names ? read->names[0] : "");
        err_hint(err, "files whose names start with _ or . are left out");
    }
    if (code != LC_OK) {
        name_free(f.files, f.n);
        return code;
    }
    *files = f.files;
    *n = f.n;
    *partitioned = f.partitioned;
    return LC_OK;
}

/* ---- what functions are told ---- */
static const char *option(const struct plan *read, const char *key, const char *other, const char *otherwise)
{
    const char *v = plan_option(&read->u.source.options, key);

    v = v || !other ? v : plan_option(&read->u.source.options, other);
    return v ? v : otherwise;
}

static void put_files(struct buf *out, const char *function, char **files, size_t n)
{
    buf_printf(out, "%s([", function);
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? ", " : "");
        sql_quote_text(out, files[i], strlen(files[i]));
    }
    buf_putc(out, ']');
}

/* Lines, records that end with a text of the user's choice, or whole files. */
static void put_texts(const struct plan *read, char **files, size_t n, struct buf *out)
{
    const char *separator = option(read, "linesep", NULL, "");
    bool whole = truth(read, "wholetext", false);

    buf_putc(out, '(');
    for (size_t i = 0; i < n; i++) {
        buf_puts(out, i ? " UNION ALL " : "");
        if (whole) {
            buf_puts(out, "SELECT content FROM ");
            put_files(out, "read_text", &files[i], 1);
        } else {
            buf_puts(out, "SELECT value FROM lacus_records(");
            sql_quote_text(out, files[i], strlen(files[i]));
            buf_puts(out, ", ");
            sql_quote_text(out, separator, strlen(separator));
        }
        buf_putc(out, ')');
    }
    buf_putc(out, ')');
}

static void put_parquet(const struct plan *read, struct buf *out)
{
    if (truth(read, "mergeschema", false))
        buf_puts(out, ", union_by_name = true");
}

/* ---- folders name=value: whole numbers that all fit are INT in Spark, BIGINT in DuckDB ---- */
enum { MOST_PARTITIONS = 16 };
struct partition {
    const char *name; /* in a path */
    size_t len;
    bool integer;
};

static bool is_int(const char *s, size_t n)
{
    char text[16], *end;

    if (n == 0 || n > 11 || !(isdigit((unsigned char)*s) || (*s == '-' && n > 1)))
        return false;
    memcpy(text, s, n);
    text[n] = '\0';
    long v = strtol(text, &end, 10);
    return *end == '\0' && v >= INT32_MIN && v <= INT32_MAX;
}

static void note_partition(struct partition *list, size_t *n, const char *name, size_t len, bool integer)
{
    for (size_t i = 0; i < *n; i++)
        if (list[i].len == len && strncasecmp(list[i].name, name, len) == 0) {
            list[i].integer &= integer;
            return;
        }
    if (*n < MOST_PARTITIONS)
        list[(*n)++] = (struct partition){name, len, integer};
}

static void note_path(struct partition *list, size_t *n, const char *path)
{
    for (const char *p = path, *slash; (slash = strchr(p, '/')) != NULL; p = slash + 1) {
        const char *sign = memchr(p, '=', (size_t)(slash - p));
        size_t len = sign ? (size_t)(slash - sign - 1) : 0;

        if (!sign || sign == p || (len == strlen(FOLDER_NULL) && memcmp(sign + 1, FOLDER_NULL, len) == 0))
            continue;
        note_partition(list, n, p, (size_t)(sign - p), is_int(sign + 1, len));
    }
}

/* What the schema says, else INTEGER where all fit. DuckDB leaves escapes in names: what has some is renamed by *renamed. */
static void put_partition_types(char **files, size_t n_files, const struct dtype *schema, struct buf *out,
                                struct buf *renamed)
{
    struct partition list[MOST_PARTITIONS];
    size_t n = 0, typed = 0;

    for (size_t i = 0; i < n_files; i++)
        note_path(list, &n, files[i]);
    for (size_t i = 0; i < n; i++) {
        char *written = mem_strndup(list[i].name, list[i].len),
             *name = folder_unescape(list[i].name, list[i].len);
        long at = name && schema ? dtype_field_index(schema, name) : -1;

        if (written && name && strcmp(written, name) != 0) {
            buf_puts(renamed, renamed->len ? ", " : " RENAME (");
            sql_quote_name(renamed, written);
            buf_puts(renamed, " AS ");
            sql_quote_name(renamed, name);
        }
        if (written && name && (at >= 0 || list[i].integer)) {
            buf_puts(out, typed++ ? ", " : ", hive_types = {");
            sql_quote_name(out, written);
            buf_puts(out, ": ");
            if (at >= 0)
                sql_type(schema->fields[at].type, out);
            else
                buf_puts(out, "INTEGER");
        }
        mem_free(written);
        mem_free(name);
    }
    buf_puts(out, typed ? "}" : "");
    buf_puts(renamed, renamed->len ? ")" : "");
}

static void put_parquet_files(const struct plan *read, const struct dtype *schema, char **files, size_t n,
                              bool partitioned, struct buf *out)
{
    struct buf call = BUF_INIT((size_t)64 << 20), renamed = BUF_INIT(1 << 20);

    put_files(&call, "read_parquet", files, n);
    put_parquet(read, &call);
    buf_printf(&call, ", hive_partitioning = %s", partitioned ? "true" : "false");
    if (partitioned)
        put_partition_types(files, n, schema, &call, &renamed);
    buf_putc(&call, ')');
    if (renamed.len)
        buf_printf(out, "(SELECT *%s FROM %s)", buf_str(&renamed), buf_str(&call));
    else
        buf_puts(out, buf_str(&call));
    buf_release(&call);
    buf_release(&renamed);
}

enum lc sql_source(const struct plan *read, const struct dtype *schema, struct buf *out, struct err *err)
{
    const char *format = read->u.source.format;
    char **files;
    size_t n;
    bool partitioned, text = strcmp(format, "text") == 0, csv = strcmp(format, "csv") == 0,
                      json = strcmp(format, "json") == 0, binary = strcasecmp(format, "binaryfile") == 0;

    if (strcmp(format, "parquet") != 0 && !csv && !json && !text && !binary) {
        err_set(err, LC_UNSUPPORTED,
                "[DATA_SOURCE_NOT_FOUND] Failed to find the data source: %s. SQLSTATE: 42K02", format);
        return err_hint(err, "formats are parquet, csv, json, text, binaryFile and delta");
    }
    TRY(sql_source_files(read, &files, &n, &partitioned, err));
    if (text || csv || json) {
        enum lc code = LC_OK;

        if (csv)
            code = sql_source_csv(read, schema, files, n, out, err);
        else if (json)
            code = sql_source_json(read, schema, files, n, out, err);
        else
            put_texts(read, files, n, out);
        name_free(files, n);
        return code == LC_OK ? buf_check(out, err) : code;
    }
    if (binary) {
        buf_puts(out, "(SELECT 'file:' || filename, CAST(last_modified AS TIMESTAMPTZ), CAST(size AS "
                      "BIGINT), content FROM ");
        put_files(out, "read_blob", files, n);
        buf_puts(out, "))");
        name_free(files, n);
        return buf_check(out, err);
    }
    /* the columns' order in a FROM item must be the schema's: choose them by name */
    if (schema) {
        buf_puts(out, "(SELECT ");
        for (size_t i = 0; i < schema->n_fields; i++) {
            buf_puts(out, i ? ", " : "");
            sql_quote_name(out, schema->fields[i].name);
        }
        buf_puts(out, " FROM ");
    }
    put_parquet_files(read, schema, files, n, partitioned, out);
    if (schema)
        buf_putc(out, ')');
    name_free(files, n);
    return buf_check(out, err);
}
