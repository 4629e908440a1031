/* engine_duckdb.c: the plugin: engine.h over libduckdb. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include "runtime/dataframe/engines/duckdb/duck.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/dataframe/engines/duckdb/stream.h"
#include "runtime/dataframe/moment.h"
#include <ctype.h>
#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

extern const struct engine_ops lacus_engine_duckdb;

struct sql_env duck_env(struct engine *e)
{
    return (struct sql_env){.source_schema = duck_source_schema,
                            .local_table = duck_local_table,
                            .constant = duck_constant,
                            .self = e};
}

static enum lc set_conf(struct engine *e, const char *key, const char *value, struct err *err);

/* ---- limits ---- */
static int usable_threads(void)
{
    cpu_set_t set;
    int n =
        sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n;
}

/* The smaller of the machine's memory and what the control group allows. */
static int64_t usable_memory(void)
{
    int64_t bytes = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), limit;
    struct buf text = BUF_INIT(100);

    if (fs_read("/sys/fs/cgroup/memory.max", &text, NULL) == LC_OK &&
        (limit = strtoll(buf_str(&text), NULL, 10)) > 0 && limit < bytes)
        bytes = limit;
    buf_release(&text);
    return bytes;
}

static enum lc configure(struct engine *e, duckdb_config config, const struct engine_options *o,
                         struct err *err)
{
    int64_t memory = o->memory_bytes ? o->memory_bytes : usable_memory() / 10 * 6;
    char *temp = o->temp_dir ? mem_strdup(o->temp_dir) : fs_home("tmp", err);
    char threads[20], limit[40];
    const char *const settings[][2] = {
        {"threads", threads},
        {"memory_limit", limit},
        {"temp_directory", temp ? temp : ""},
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"default_null_order", "nulls_first_on_asc_last_on_desc"},
    };
    enum lc code = LC_OK;

    snprintf(threads, sizeof threads, "%d", o->threads > 0 ? o->threads : usable_threads());
    snprintf(limit, sizeof limit, "%" PRId64 "MiB", memory >> 20);
    for (size_t i = 0; i < sizeof settings / sizeof *settings && code == LC_OK; i++)
        if (e->api.duckdb_set_config(config, settings[i][0], settings[i][1]) != DuckDBSuccess)
            code = err_set(err, LC_ARG, "DuckDB does not take the setting %s = '%s'", settings[i][0],
                           settings[i][1]);
    mem_free(temp);
    return code;
}

static enum lc open_database(struct engine *e, const struct engine_options *o, struct err *err)
{
    duckdb_config config = NULL;
    char *why = NULL;
    enum lc code;

    if (e->api.duckdb_create_config(&config) != DuckDBSuccess)
        return err_nomem(err);
    code = configure(e, config, o, err);
    if (code == LC_OK && e->api.duckdb_open_ext(NULL, &e->database, config, &why) != DuckDBSuccess) {
        code = err_set(err, LC_RUNTIME, "cannot start DuckDB: %.500s", why ? why : "no reason given");
        e->api.duckdb_free(why);
    }
    e->api.duckdb_destroy_config(&config);
    if (code == LC_OK && e->api.duckdb_connect(e->database, &e->admin) != DuckDBSuccess)
        code = err_set(err, LC_RUNTIME, "cannot open a connection to DuckDB");
    if (code == LC_OK)
        code = duck_register_scalars(e, err);
    if (code == LC_OK)
        code = duck_register_udfs(e, err);
    if (code == LC_OK)
        code = duck_register_records(e, err);
    if (code == LC_OK)
        code = duck_register_csv(e, err);
    if (code == LC_OK)
        code = duck_register_json(e, err);
    return code == LC_OK ? set_conf(e, "spark.sql.session.timeZone", o->timezone ? o->timezone : "UTC", err)
                         : code;
}

static void engine_close(struct engine *e)
{
    if (!statement_await_orphans(e))
        return; /* a thread still uses all of it, inside a call that nothing ends: the process will */
    watch_stop(e);
    duck_locals_release(e);
    duck_udfs_free(e);
    if (e->admin)
        e->api.duckdb_disconnect(&e->admin);
    if (e->database)
        e->api.duckdb_close(&e->database);
    pthread_mutex_destroy(&e->watch);
    pthread_mutex_destroy(&e->tables);
    pthread_cond_destroy(&e->wake);
    pthread_cond_destroy(&e->cleared);
    mem_free(e);
}

static enum lc engine_open(const struct engine_options *options, struct engine **out, struct err *err)
{
    struct engine *e = mem_zalloc(sizeof *e);
    enum lc code;

    if (!e)
        return err_nomem(err);
    pthread_mutex_init(&e->watch, NULL);
    pthread_mutex_init(&e->tables, NULL);
    pthread_cond_init(&e->wake, NULL);
    pthread_cond_init(&e->cleared, NULL);
    code = duck_api_open(&e->api, err);
    if (code == LC_OK)
        code = open_database(e, options, err);
    if (code != LC_OK)
        engine_close(e);
    else
        *out = e;
    return code;
}

static const char *library_version(struct engine *e)
{
    return e->api.duckdb_library_version();
}

/* ---- plans ---- */
static enum lc analyze(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       const struct dtype **schema, struct err *err)
{
    struct sql_env env = duck_env(e);

    if (!plan_memo(p))
        TRY(sql_analyze(ctx, p, &env, err));
    *schema = dtype_ref(plan_memo(p)->schema);
    return LC_OK;
}

static enum lc execute(struct engine *e, const struct ctx *ctx, const struct plan *p,
                       struct ArrowArrayStream *out, struct err *err)
{
    struct sql_env env = duck_env(e);
    struct sql_query q;
    struct err local;
    enum lc code;
    bool again;

    err = err ? err : &local;
    do {
        env.narrow = !env.narrow;
        TRY(sql_encode(ctx, p, &env, &q, err));
        code = duck_stream(e, ctx, q.sql, q.schema, out, err);
        again = q.narrow && code == LC_RUNTIME &&
                strstr(err->message, "Overflow in multiplication of DECIMAL(18)");
        sql_query_release(&q);
    } while (again);
    return code;
}

/* Appends what the statement's first row has in that column, a text. */
static enum lc put_cell(struct engine *e, const struct ctx *ctx, struct buf *sql, idx_t column,
                        struct buf *out, bool *null, struct err *err)
{
    struct statement s;
    duckdb_data_chunk chunk = NULL;
    enum lc code = buf_check(sql, err);

    if (code == LC_OK)
        code = statement_run(e, ctx, buf_str(sql), STATEMENT_READ, &s, err);
    buf_release(sql);
    if (code != LC_OK)
        return code;
    code = statement_fetch(&s, &chunk, err);
    if (code == LC_OK && chunk) {
        duckdb_vector v = e->api.duckdb_data_chunk_get_vector(chunk, column);
        uint64_t *valid = e->api.duckdb_vector_get_validity(v);
        duckdb_string_t *cell = e->api.duckdb_vector_get_data(v);

        *null = valid && !e->api.duckdb_validity_row_is_valid(valid, 0);
        if (!*null)
            buf_add(out, e->api.duckdb_string_t_data(cell), e->api.duckdb_string_t_length(*cell));
        e->api.duckdb_destroy_data_chunk(&chunk);
    }
    statement_close(&s);
    return code;
}

static enum lc put_explanation(struct engine *e, const struct ctx *ctx, const char *sql, struct buf *out,
                               struct err *err)
{
    struct buf text = BUF_INIT((size_t)128 << 20);
    bool null;

    buf_printf(&text, "EXPLAIN %s", sql);
    return put_cell(e, ctx, &text, 1, out, &null, err); /* one row: which plan, and its drawing */
}

enum lc duck_constant(void *self, const struct ctx *ctx, const char *sql, struct buf *value, bool *null,
                      struct err *err)
{
    struct buf text = BUF_INIT((size_t)16 << 20);

    buf_printf(&text, "SELECT CAST(%s AS VARCHAR)", sql);
    return put_cell(self, ctx, &text, 0, value, null, err);
}

static enum lc explain(struct engine *e, const struct ctx *ctx, const struct plan *p, enum explain_mode mode,
                       struct buf *out, struct err *err)
{
    static const enum explain_style styles[] = {[EXPLAIN_SIMPLE] = EXPLAIN_STYLE_SIMPLE,
                                                [EXPLAIN_EXTENDED] = EXPLAIN_STYLE_EXTENDED,
                                                [EXPLAIN_CODEGEN] = EXPLAIN_STYLE_SIMPLE,
                                                [EXPLAIN_COST] = EXPLAIN_STYLE_COST,
                                                [EXPLAIN_FORMATTED] = EXPLAIN_STYLE_FORMATTED};
    struct sql_env env = duck_env(e);
    struct sql_query q;
    enum lc code;

    if (mode != EXPLAIN_CODEGEN)
        return sql_explain(ctx, p, &env, styles[mode], out, err);
    env.narrow = true; /* as execute tries it first */
    TRY(sql_encode(ctx, p, &env, &q, err));
    buf_printf(out, "== SQL for DuckDB ==\n%s\n\n== Plan of DuckDB ==\n", q.sql);
    code = put_explanation(e, ctx, q.sql, out, err);
    sql_query_release(&q);
    return code == LC_OK ? buf_check(out, err) : code;
}

static double progress(struct engine *e)
{
    double p = -1;

    pthread_mutex_lock(&e->watch);
    if (e->calls)
        p = e->api.duckdb_query_progress(e->calls->connection).percentage / 100;
    pthread_mutex_unlock(&e->watch);
    return p < 0 ? -1 : p;
}

static void interrupt(struct engine *e)
{
    pthread_mutex_lock(&e->watch);
    for (struct watched *w = e->calls; w; w = w->next) {
        w->stopped = true;
        e->api.duckdb_interrupt(w->connection);
    }
    pthread_mutex_unlock(&e->watch);
}

/* ---- settings ---- */
/* Spark's "2g" is DuckDB's "2GiB". */
static void put_setting(struct buf *sql, const char *setting, const char *value)
{
    size_t n = strspn(value, "0123456789");
    char unit = n && value[n] && !value[n + 1] ? (char)toupper((unsigned char)value[n]) : '\0';
    char text[200];

    snprintf(text, sizeof text, "%.150s%s", value, unit && strchr("KMGT", unit) ? "iB" : "");
    buf_printf(sql, "SET GLOBAL %s = ", setting);
    sql_quote_text(sql, strcmp(setting, "memory_limit") == 0 ? text : value,
                   strlen(strcmp(setting, "memory_limit") == 0 ? text : value));
}

/* DuckDB takes the hours of an offset and forgets its minutes. */
static enum lc set_zone(struct engine *e, const char *key, const char *value, struct err *err)
{
    struct buf sql = BUF_INIT(4096);
    char text[DUCK_ZONE];
    int64_t seconds;
    bool offset = moment_offset(value, strlen(value), &seconds),
         taken = duck_zone(value, strlen(value), text);
    enum lc code = LC_ARG;

    if (taken || !offset) {
        put_setting(&sql, "TimeZone", taken ? text : value);
        code = duck_execute(e, NULL, buf_str(&sql), err);
        buf_release(&sql);
    }
    if (code == LC_OK)
        return code;
    err_set(err, LC_ARG,
            "[INVALID_CONF_VALUE.TIME_ZONE] The value '%.200s' in the config \"%s\" is invalid. Cannot "
            "resolve the "
            "given timezone. SQLSTATE: 22022",
            value, key);
    return err_hint(err,
                    "a region such as 'Europe/Rome' or 'Asia/Kolkata', or an offset of whole hours such as "
                    "'+01:00'");
}

static enum lc set_conf(struct engine *e, const char *key, const char *value, struct err *err)
{
    static const struct {
        const char *key, *setting;
    } known[] = {{"spark.sql.session.timezone", "TimeZone"}, {"threads", "threads"},
                 {"memory_limit", "memory_limit"},           {"temp_directory", "temp_directory"},
                 {"spark.driver.memory", "memory_limit"},    {"spark.local.dir", "temp_directory"}};
    const char *names[sizeof known / sizeof *known];
    struct buf sql = BUF_INIT(4096);
    enum lc code;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        names[i] = known[i].key;
        if (strcasecmp(known[i].key, key) != 0)
            continue;
        if (strcmp(known[i].setting, "TimeZone") == 0)
            return set_zone(e, key, value, err);
        put_setting(&sql, known[i].setting, value);
        code = duck_execute(e, NULL, buf_str(&sql), err);
        buf_release(&sql);
        return code == LC_OK ? code : err_set(err, LC_ARG, "cannot set %s to '%.200s'", key, value);
    }
    err_set(err, LC_NOTFOUND, "the engine has no setting '%.100s'", key);
    if (nearest_list(&sql, key, names, sizeof names / sizeof *names, 2))
        err_hint(err, "did you mean %s?", buf_str(&sql));
    buf_release(&sql);
    return LC_NOTFOUND;
}

const struct engine_ops lacus_engine_duckdb = {
    .version = ENGINE_VERSION,
    .name = "duckdb",
    .capabilities = ENGINE_LOCAL_FILES | ENGINE_WRITE_FILES,
    .open = engine_open,
    .close = engine_close,
    .library_version = library_version,
    .analyze = analyze,
    .explain = explain,
    .execute = execute,
    .write_files = duck_write_files,
    .progress = progress,
    .interrupt = interrupt,
    .set_conf = set_conf,
};
