/* json_schema.c: the columns of JSON files, from all of their records. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include "runtime/dataframe/engines/duckdb/lines.h"
#include "runtime/dataframe/json/guess.h"
#include <stdio.h>
#include <string.h>

enum { LOOK_EVERY = 256 };

struct finder {
    const struct ctx *ctx;
    struct json_options options;
    struct guess *guess;  /* owned */
    struct record record; /* owned */
    struct lines lines;   /* owned */
    struct err *err;
};

static enum lc take_record(struct finder *f, const char *path, const char *s, size_t len)
{
    enum record_got got = record_parse(&f->options, s, len, &f->record);

    if (got == RECORD_NOMEM)
        return err_nomem(f->err);
    if (got == RECORD_EMPTY || (got == RECORD_GOOD && guess_add(f->guess, &f->record)))
        return LC_OK;
    if (f->options.mode == JSON_FAILFAST)
        return err_set(
            f->err, LC_DATA,
            "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in schema "
            "inference of '%.300s': %.*s. Parse Mode: FAILFAST. SQLSTATE: 22023",
            path, (int)(len < 100 ? len : 100), s);
    guess_malformed(f->guess);
    return LC_OK;
}

static enum lc take_file(struct finder *f, const char *path)
{
    const char *record, *failed = lines_open(&f->lines, path, f->options.encoding, f->options.line_sep);
    size_t len, n = 0;
    enum lc code = LC_OK;

    if (!failed)
        failed = lines_begin(&f->lines, f->options.multiline);
    if (!failed && f->options.multiline) {
        code = take_record(f, path, f->lines.data + f->lines.start, f->lines.end - f->lines.start);
    } else if (!failed) {
        while (code == LC_OK && lines_next(&f->lines, &record, &len, &failed)) {
            code = take_record(f, path, record, len);
            if (code == LC_OK && ++n % LOOK_EVERY == 0)
                code = ctx_check(f->ctx, f->err);
        }
    }
    return failed ? err_set(f->err, LC_IO, "%s: '%.300s'", failed, path) : code;
}

enum lc duck_json_schema(const struct ctx *ctx, const struct plan *read, const struct dtype **schema,
                         struct err *err)
{
    struct finder f = {.ctx = ctx, .err = err};
    char **files;
    size_t n;
    bool partitioned;
    enum lc code;

    TRY(sql_json_options(read, &f.options, err));
    TRY(sql_source_files(read, &files, &n, &partitioned, err));
    f.guess = guess_new(&f.options);
    code = f.guess ? LC_OK : err_nomem(err);
    for (size_t i = 0; i < n && code == LC_OK; i++)
        code = take_file(&f, files[i]);
    if (code == LC_OK)
        code = guess_schema(f.guess, schema, err);
    if (code == LC_OK && partitioned && (*schema = duck_add_parts(*schema, files, n)) == NULL)
        code = err_nomem(err);
    lines_close(&f.lines);
    record_release(&f.record);
    guess_free(f.guess);
    name_free(files, n);
    return code;
}
