/* engine_duckdb_test.c: plans through the DuckDB engine: rows, types, errors in Spark's words. The expected values were recorded from
 * Spark. */
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/sql/sql.h"
#include "tests/support/unit.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    const struct engine_ops *ops;
    struct engine *engine;
};

static int open_engine(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err err;

    f->ops = engine_ops_open("duckdb", &err);
    if (!f->ops ||
        f->ops->open(&(struct engine_options){.threads = 2, .temp_dir = "/tmp"}, &f->engine, &err) != LC_OK) {
        print_message("%s; %s\n", err.message, err.hint);
        return -1;
    }
    *state = f;
    return 0;
}

static int close_engine(void **state)
{
    struct fixture *f = *state;

    if (!f)
        return 0;
    f->ops->close(f->engine);
    free(f);
    return 0;
}

/* The first value of the first row as text: "NULL", or the error's message. */
static void one_value(struct fixture *f, const char *expression, char *out, size_t size)
{
    struct err err = {0};
    struct expr *parsed = NULL, *text;
    const struct plan *p;
    struct ArrowArrayStream rows = {0};
    struct ArrowArray batch = {0};

    snprintf(out, size, "?");
    if (sql_parse_expression(expression, strlen(expression), &parsed, &err) != LC_OK) {
        snprintf(out, size, "%s", err.message);
        return;
    }
    text = expr_cast(parsed, dtype_of(DTYPE_STRING), false);
    p = plan_project(NULL, &text, 1);
    assert_non_null(p);
    if (f->ops->execute(f->engine, NULL, p, &rows, &err) != LC_OK) {
        snprintf(out, size, "%s", err.message);
    } else {
        if (rows.get_next(&rows, &batch) != 0) {
            snprintf(out, size, "%s", rows.get_last_error(&rows));
        } else if (batch.length == 1) {
            const struct ArrowArray *column = batch.children[0];
            const uint8_t *valid = column->buffers[0];
            const int32_t *offsets = column->buffers[1];

            if (valid && !(valid[0] & 1))
                snprintf(out, size, "NULL");
            else
                snprintf(out, size, "%.*s", offsets[1] - offsets[0],
                         (const char *)column->buffers[2] + offsets[0]);
        }
        if (batch.release)
            batch.release(&batch);
        rows.release(&rows);
    }
    plan_unref(p);
}

/* expression | what Spark 4 gives (as text, or the beginning of its error) */
static const char *const recorded[][2] = {
    {"7/2", "3.5"},
    {"7 div 2", "3"},
    {"-7 div 2", "-3"},
    {"-7 % 3", "-1"},
    {"pmod(-7,3)", "2"},
    {"1/0", "[DIVIDE_BY_ZERO]"},
    {"try_divide(1,0)", "NULL"},
    {"2147483647+1", "[ARITHMETIC_OVERFLOW]"},
    {"try_add(2147483647,1)", "NULL"},
    {"cast('1.5' as int)", "[CAST_INVALID_INPUT]"},
    {"cast(1.5 as int)", "1"},
    {"cast(-1.5 as int)", "-1"},
    {"cast(2.5 as int)", "2"},
    {"cast('abc' as int)", "[CAST_INVALID_INPUT]"},
    {"try_cast('abc' as int)", "NULL"},
    {"cast(' 1 ' as int)", "1"},
    {"cast(1 as double)", "1.0"},
    {"cast(1e20 as string)", "1.0E20"},
    {"cast(true as string)", "true"},
    {"cast('yes' as boolean)", "true"},
    {"timestamp'2024-01-02 03:04:05'", "2024-01-02 03:04:05"},
    {"round(2.5)", "3"},
    {"round(cast(2.5 as double))", "3.0"},
    {"bround(2.5,0)", "2"},
    {"round(-2.5)", "-3"},
    {"ceil(cast(1.2 as double))", "2"},
    {"log(2,8)", "3.0"},
    {"log10(100)", "2.0"},
    {"ln(0)", "NULL"},
    {"sqrt(-1)", "NaN"},
    {"cast('NaN' as double)=cast('NaN' as double)", "true"},
    {"cast('NaN' as double)>cast('Infinity' as double)", "true"},
    {"pow(2,3)", "8.0"},
    {"hex(255)", "FF"},
    {"bin(5)", "101"},
    {"conv('ff',16,10)", "255"},
    {"factorial(5)", "120"},
    {"width_bucket(5,0,10,5)", "3"},
    {"substring('hello',1,2)", "he"},
    {"substring('hello',0,2)", "he"},
    {"substring('hello',-3,2)", "ll"},
    {"array_join(split('a1b2c','[0-9]'),'|')", "a|b|c"},
    {"array_join(split('a,b,c',',',2),'|')", "a|b,c"},
    {"array_join(split('a,b,',','),'|')", "a|b|"},
    {"array_join(split('abc',''),'|')", "a|b|c"},
    {"substring_index('a.b.c','.',2)", "a.b"},
    {"instr('hello','l')", "3"},
    {"locate('l','hello',4)", "4"},
    {"initcap('heLLo woRLD')", "Hello World"},
    {"concat('a',null)", "NULL"},
    {"concat_ws(',','a',null,'b')", "a,b"},
    {"lpad('7',3,'0')", "007"},
    {"length('a ')", "2"},
    {"trim(BOTH 'x' FROM 'xax')", "a"},
    {"regexp_extract('a123b','([0-9]+)',1)", "123"},
    {"regexp_extract('a123b','([0-9]+)')", "123"},
    {"regexp_extract('abc','([0-9]+)',1)", ""},
    {"regexp_replace('a1b2','[0-9]','')", "ab"},
    {"regexp_replace('ab','(a)','$1$1')", "aab"},
    {"array_join(regexp_extract_all('a1b22','([0-9]+)',1),'|')", "1|22"},
    {"'abc' rlike 'b'", "true"},
    {"'ABC' like 'abc'", "false"},
    {"translate('abc','ab','x')", "xc"},
    {"repeat('ab',2)", "abab"},
    {"reverse('abc')", "cba"},
    {"ascii('A')", "65"},
    {"soundex('Miller')", "M460"},
    {"levenshtein('kitten','sitting')", "3"},
    {"format_string('%d %s',1,'a')", "1 a"},
    {"format_number(12345.678,2)", "12,345.68"},
    {"base64('abc')", "YWJj"},
    {"md5('a')", "0cc175b9c0f1b6a831c399e269772661"},
    {"crc32('a')", "3904355907"},
    {"xxhash64('a')", "-8582455328737087284"},
    {"hash('a')", "1485273170"},
    {"'1'=1", "true"},
    {"'a'<'B'", "false"},
    {"date_format(timestamp'2024-03-05 14:06:07','yyyy-MM-dd HH:mm:ss EEE')", "2024-03-05 14:06:07 Tue"},
    {"to_date('05/03/2024','dd/MM/yyyy')", "2024-03-05"},
    {"to_date('zz')", "[CAST_INVALID_INPUT]"},
    {"dayofweek(date'2024-03-03')", "1"},
    {"weekday(date'2024-03-03')", "6"},
    {"weekofyear(date'2024-01-01')", "1"},
    {"datediff(date'2024-03-05',date'2024-03-01')", "4"},
    {"months_between(date'2024-03-31',date'2024-02-29')", "1.0"},
    {"months_between(date'2024-03-15',date'2024-02-01')", "1.4516129"},
    {"add_months(date'2024-01-31',1)", "2024-02-29"},
    {"last_day(date'2024-02-03')", "2024-02-29"},
    {"next_day(date'2024-03-05','Mon')", "2024-03-11"},
    {"date_add(date'2024-03-05',2)", "2024-03-07"},
    {"date_trunc('month',timestamp'2024-03-05 14:06:07')", "2024-03-01 00:00:00"},
    {"trunc(date'2024-03-05','MM')", "2024-03-01"},
    {"unix_timestamp('1970-01-02 00:00:00')", "86400"},
    {"from_unixtime(86400)", "1970-01-02 00:00:00"},
    {"from_utc_timestamp(timestamp'2024-01-01 00:00:00','Asia/Tokyo')", "2024-01-01 09:00:00"},
    {"make_date(2024,2,3)", "2024-02-03"},
    {"make_date(2024,2,30)", "[DATETIME_FIELD_OUT_OF_BOUNDS"},
    {"quarter(date'2024-05-01')", "2"},
    {"array(10,20)[0]", "10"},
    {"element_at(array(10,20),1)", "10"},
    {"element_at(array(10,20),5)", "[INVALID_ARRAY_INDEX_IN_ELEMENT_AT]"},
    {"array(10,20)[5]", "[INVALID_ARRAY_INDEX]"},
    {"map('a',1)['b']", "NULL"},
    {"array_contains(array(1,null),2)", "NULL"},
    {"array_position(array(1,2),9)", "0"},
    {"array_join(array_distinct(array(3,1,3,2)),',')", "3,1,2"},
    {"array_join(array_sort(array(3,null,1)),',','N')", "1,3,N"},
    {"array_join(sort_array(array(3,null,1)),',','N')", "N,1,3"},
    {"array_join(slice(array(1,2,3,4),2,2),',')", "2,3"},
    {"array_join(sequence(1,3),',')", "1,2,3"},
    {"array_join(sequence(3,1),',')", "3,2,1"},
    {"array_join(flatten(array(array(1),array(2))),',')", "1,2"},
    {"array_join(transform(array(1,2),(x,i)->x+i),',')", "1,3"},
    {"array_join(filter(array(1,2,3),x->x>1),',')", "2,3"},
    {"aggregate(array(1,2,3),0,(a,x)->a+x)", "6"},
    {"exists(array(1,2),x->x=2)", "true"},
    {"size(cast(null as array<int>))", "NULL"},
    {"array_join(array('a',null,'b'),',')", "a,b"},
    {"array_join(array_union(array(1,2,2),array(3,1)),',')", "1,2,3"},
    {"array_max(array(1,3,2))", "3"},
    {"array_join(map_keys(map('a',1)),',')", "a"},
    {"map('a',1,'a',2)['a']", "[DUPLICATED_MAP_KEY]"},
    {"get_json_object('{\"a\":{\"b\":1}}','$.a.b')", "1"},
    {"from_json('{\"a\":1}','a int').a", "1"},
    {"greatest(1,null)", "1"},
    {"nullif(1,1)", "NULL"},
    {"nvl2(null,1,2)", "2"},
    {"nanvl(cast('NaN' as double),1)", "1.0"},
    {"null <=> null", "true"},
    {"1 in (2,null)", "NULL"},
    {"cast(true as int)+1", "2"},
    {"shiftleft(1,33)", "2"},
    {"5^3", "6"},
    {"'1'+1", "2"},
    {"cast(1 as decimal(10,2))/cast(3 as decimal(10,2))", "0.3333333333333"},
    {"date'2024-01-01'+1", "2024-01-02"},
    {"isnan(cast(null as double))", "false"},
    {"typeof(sum(1))", "bigint"},
    {"typeof(avg(1))", "double"},
    {"typeof(floor(1.5))", "decimal(2,0)"},
    {"typeof(1.0)", "decimal(2,1)"},
    {"typeof(cast(1 as decimal(10,2))*cast(1 as decimal(10,2)))", "decimal(21,4)"},
    {"typeof(avg(cast(1 as decimal(10,2))))", "decimal(14,6)"},
    {"typeof(current_timestamp())", "timestamp"},

    {"stddev(1)", "NULL"},
};

static void expressions_give_what_spark_gives(void **state)
{
    int wrong = 0;

    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
        char got[1100];
        const char *want = recorded[i][1];

        one_value(*state, recorded[i][0], got, sizeof got);
        if (*want == '[' ? strncmp(got, want, strlen(want)) != 0 : strcmp(got, want) != 0) {
            print_message("%s\n    gives %s\n    Spark %s\n", recorded[i][0], got, want);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* ---- whole queries ---- */
static const struct plan *query(const char *sql)
{
    struct sql_statement *s = NULL;
    struct err err = {0};
    const struct plan *p;

    if (sql_parse(sql, strlen(sql), NULL, 0, &s, &err) != LC_OK) {
        print_message("%s\n%s\n", sql, err.message);
        fail();
    }
    assert_non_null(s->plan);
    p = plan_ref(s->plan);
    sql_release(s);
    return p;
}

/* All rows as text, "a,b;c,d"; every column is cast to string above the plan. Takes over the plan. */
static enum lc rows_of(struct fixture *f, const struct plan *p, char *out, size_t size, struct err *err)
{
    const struct plan *resolved = NULL, *texts;
    const struct dtype *schema = NULL;
    struct ArrowArrayStream rows = {0};
    struct expr *casts[32];
    size_t used = 0, n = 0;
    enum lc code = plan_resolve(NULL, p, NULL, &resolved, err);

    *out = '\0';
    plan_unref(p);
    if (code == LC_OK && (code = f->ops->analyze(f->engine, NULL, resolved, &schema, err)) == LC_OK) {
        char names[32][24];
        const char *list[32];

        n = schema->n_fields;
        assert_true(n <= 32);
        for (size_t i = 0; i < n; i++) {
            snprintf(names[i], sizeof names[i], "x%zu", i);
            list[i] = names[i];
            casts[i] = expr_cast(expr_column(names[i]), dtype_of(DTYPE_STRING), false);
        }
        texts = plan_project(plan_to_df(plan_ref(resolved), list, n), casts, n);
        code = f->ops->execute(f->engine, NULL, texts, &rows, err);
        plan_unref(texts);
    }
    for (size_t row = 0; code == LC_OK;) {
        struct ArrowArray batch = {0};

        if (rows.get_next(&rows, &batch) != 0) {
            code = err_set(err, LC_RUNTIME, "%s", rows.get_last_error(&rows));
            break;
        }
        if (!batch.release)
            break;
        for (int64_t k = 0; k < batch.length; k++, row++)
            for (size_t c = 0; c < n; c++) {
                const struct ArrowArray *column = batch.children[c];
                const uint8_t *valid = column->buffers[0];
                const int32_t *offsets = column->buffers[1];
                bool null = valid && !(valid[k / 8] >> (k % 8) & 1);
                int written = snprintf(out + used, size - used, "%s%.*s", c ? "," : (row ? ";" : ""),
                                       null ? 4 : offsets[k + 1] - offsets[k],
                                       null ? "NULL" : (const char *)column->buffers[2] + offsets[k]);

                assert_true(written >= 0 && (size_t)written < size - used);
                used += (size_t)written;
            }
        batch.release(&batch);
    }
    if (rows.release)
        rows.release(&rows);
    dtype_unref(schema);
    plan_unref(resolved);
    return code;
}

#define V "(VALUES (1, 'a', 10), (2, 'b', 20), (2, 'c', NULL), (NULL, 'd', 40)) AS t(k, s, v)"
#define W "(VALUES (1, 'x'), (2, 'y'), (3, 'z')) AS u(k, w)"

static const char *const queries[][2] = {
    {"SELECT k, s FROM " V " ORDER BY k, s", "NULL,d;1,a;2,b;2,c"},
    {"SELECT k, s FROM " V " ORDER BY k DESC, s DESC", "2,c;2,b;1,a;NULL,d"},
    {"SELECT s FROM " V " ORDER BY v", "c;a;b;d"},
    {"SELECT s AS z FROM " V " ORDER BY upper(z) DESC LIMIT 2", "d;c"},
    {"SELECT k, count(*), sum(v) FROM " V " GROUP BY k ORDER BY k", "NULL,1,40;1,1,10;2,2,20"},
    {"SELECT k, sum(v) AS n FROM " V " GROUP BY k HAVING n > 15 ORDER BY n", "2,20;NULL,40"},
    {"SELECT k FROM " V " GROUP BY k HAVING count(*) > 1", "2"},
    {"SELECT k FROM " V " GROUP BY k ORDER BY count(*) DESC, k LIMIT 1", "2"},
    {"SELECT upper(s) AS u, count(1) FROM " V " GROUP BY upper(s) ORDER BY 1 LIMIT 2", "A,1;B,1"},
    {"SELECT upper(s) AS u, count(1) FROM " V " GROUP BY u ORDER BY u LIMIT 1", "A,1"},
    {"SELECT k + 1 AS g, max(s) FROM " V " GROUP BY 1 ORDER BY 1", "NULL,d;2,a;3,c"},
    {"SELECT count(DISTINCT k), count(k), count(*), count(v) FROM " V, "2,3,4,3"},
    {"SELECT count(DISTINCT k, v) FROM " V, "2"},
    {"SELECT sum(v) FILTER (WHERE k = 2) FROM " V, "20"},
    {"SELECT sum(v) FROM " V " WHERE k > 5", "NULL"},
    {"SELECT t.k, s, w FROM " V " JOIN " W " ON t.k = u.k ORDER BY s", "1,a,x;2,b,y;2,c,y"},
    {"SELECT k, s, w FROM " V " JOIN " W " USING (k) ORDER BY s", "1,a,x;2,b,y;2,c,y"},
    {"SELECT k, s, w FROM " V " FULL JOIN " W " USING (k) ORDER BY k, s",
     "NULL,d,NULL;1,a,x;2,b,y;2,c,y;3,NULL,z"},
    {"SELECT t.k, u.k FROM " V " RIGHT JOIN " W " ON t.k = u.k ORDER BY u.k, s", "1,1;2,2;2,2;NULL,3"},
    {"SELECT s FROM " V " LEFT SEMI JOIN " W " ON t.k = u.k ORDER BY s", "a;b;c"},
    {"SELECT s FROM " V " LEFT ANTI JOIN " W " ON t.k = u.k ORDER BY s", "d"},
    {"SELECT a.s, b.s FROM (SELECT * FROM " V ") a JOIN (SELECT * FROM " V ") b ON a.k = b.k AND a.s < b.s",
     "b,c"},
    {"WITH c AS (SELECT k, s FROM " V
     " WHERE v IS NOT NULL) SELECT a.s, b.s FROM c a JOIN c b ON a.k = b.k ORDER BY a.s",
     "a,a;b,b"},
    {"SELECT s FROM " V " WHERE k IN (SELECT k FROM " W " WHERE w = 'y') ORDER BY s", "b;c"},
    {"SELECT s FROM " V " WHERE EXISTS (SELECT 1 FROM " W " WHERE u.k = t.k AND w = 'x')", "a"},
    {"SELECT s, (SELECT max(w) FROM " W " WHERE u.k = t.k) FROM " V " ORDER BY s", "a,x;b,y;c,y;d,NULL"},
    {"SELECT 1 AS a UNION ALL SELECT 2.5 ORDER BY a", "1.0;2.5"},
    {"SELECT 1 UNION SELECT 1", "1"},
    {"SELECT k FROM " V " EXCEPT SELECT k FROM " W, "NULL"},
    {"SELECT k FROM " V " INTERSECT SELECT k FROM " W " ORDER BY k", "1;2"},
    {"SELECT DISTINCT k FROM " V " ORDER BY k", "NULL;1;2"},
    {"SELECT s, row_number() OVER (PARTITION BY k ORDER BY s DESC) FROM " V " ORDER BY s", "a,1;b,2;c,1;d,1"},
    {"SELECT s, sum(v) OVER (ORDER BY s) FROM " V " ORDER BY s", "a,10;b,30;c,30;d,70"},
    {"SELECT s, sum(v) OVER (ORDER BY s ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM " V " ORDER BY s",
     "a,10;b,30;c,20;d,40"},
    {"SELECT x, lag(x, 1, 0) OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)", "1,0;2,1"},
    {"SELECT ntile(2) OVER (ORDER BY x) FROM (VALUES (1), (2), (3)) AS t(x)", "1;1;2"},
    {"SELECT last_value(x) OVER (ORDER BY x) FROM (VALUES (1), (2)) AS t(x)", "1;2"},
    {"SELECT explode(array(1, 2)) AS e", "1;2"},
    {"SELECT count(*) FROM (SELECT explode(cast(null as array<int>)))", "0"},
    {"SELECT count(*) FROM (SELECT explode_outer(cast(null as array<int>)))", "1"},
    {"SELECT pos, col FROM (SELECT posexplode(array('x', 'y')))", "0,x;1,y"},
    {"SELECT key, value FROM (SELECT explode(map('a', 1, 'b', 2)))", "a,1;b,2"},
    {"SELECT array_join(collect_list(x), ',') FROM (VALUES (1), (NULL)) AS t(x)", "1"},
    {"SELECT array_join(sort_array(collect_set(x)), ',') FROM (VALUES (1), (1), (2)) AS t(x)", "1,2"},
    {"SELECT first(x) FROM (VALUES (NULL), (1)) AS t(x)", "NULL"},
    {"SELECT any_value(x) FROM (VALUES (NULL), (1)) AS t(x)", "NULL"},
    {"SELECT stddev(x) FROM (VALUES (1)) AS t(x)", "NULL"},
    {"SELECT variance(x) FROM (VALUES (1), (3)) AS t(x)", "2.0"},
    {"SELECT round(skewness(x), 9) FROM (VALUES (1), (2), (10)) AS t(x)", "0.674555485"},
    {"SELECT round(kurtosis(x), 9) FROM (VALUES (1), (2), (10), (11)) AS t(x)", "-1.951814396"},
    {"SELECT percentile(x, 0.5) FROM (VALUES (1), (2), (4), (8)) AS t(x)", "3.0"},
    {"SELECT percentile_approx(x, 0.5) FROM (VALUES (1), (2), (4), (8)) AS t(x)", "2"},
    {"SELECT median(x) FROM (VALUES (1), (2)) AS t(x)", "1.5"},
    {"SELECT mode(x) FROM (VALUES (1), (2), (2)) AS t(x)", "2"},
    {"SELECT corr(x, y) FROM (VALUES (1, 1)) AS t(x, y)", "NULL"},
    {"SELECT max_by(a, b) FROM (VALUES ('x', 1), ('y', 2)) AS t(a, b)", "y"},
    {"SELECT bool_and(x) FROM (VALUES (true), (null)) AS t(x)", "true"},
    {"SELECT a + 1 AS b, count(*) FROM (VALUES (1)) AS t(a) GROUP BY b", "2,1"},
    {"SELECT A FROM (SELECT 1 a)", "1"},
    {"SELECT k, s, count(*) FROM " V " WHERE k = 2 GROUP BY ROLLUP (k, s) ORDER BY k, s",
     "NULL,NULL,2;2,NULL,2;2,b,1;2,c,1"},
    {"SELECT CASE WHEN k = 1 THEN 'one' WHEN k = 2 THEN 'two' END FROM " V " ORDER BY s", "one;two;two;NULL"},
    {"SELECT sum(count(*)) OVER () FROM " V " GROUP BY k", "4;4;4"},
    {"SELECT `we.ird \"q\"` FROM (SELECT 1 AS `we.ird \"q\"`)", "1"},
    {"SELECT named_struct('a', 1, 'b', 'x').b", "x"},
};

static void queries_give_what_spark_gives(void **state)
{
    int wrong = 0;

    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        char got[4000];
        struct err err = {0};
        enum lc code = rows_of(*state, query(queries[i][0]), got, sizeof got, &err);
        const char *want = queries[i][1];

        if (code != LC_OK || strcmp(got, want) != 0) {
            print_message("%s\n    gives %s\n    want  %s\n", queries[i][0],
                          code == LC_OK ? got : err.message, want);
            if (code != LC_OK)
                print_message("    cause %s\n", err.cause);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* ---- names of columns ---- */
static const char *const names[][2] = {
    {"SELECT k + 1, sum(v) FROM " V " GROUP BY k + 1", "(k + 1),sum(v)"},
    {"SELECT count(*), count(DISTINCT k), avg(v), min(s) FROM " V,
     "count(1),count(DISTINCT k),avg(v),min(s)"},
    {"SELECT cast(k AS string), upper(s), k = 1, NOT k = 1 FROM " V, "k,upper(s),(k = 1),(NOT (k = 1))"},
    {"SELECT cast('1' AS int)", "CAST(1 AS INT)"},
    {"SELECT k IS NULL, s LIKE 'a%', k IN (1, 2) FROM " V, "(k IS NULL),s LIKE a%,(k IN (1, 2))"},
    {"SELECT CASE WHEN k > 1 THEN 'x' ELSE s END FROM " V, "CASE WHEN (k > 1) THEN x ELSE s END"},
    {"SELECT concat(s, 'x'), length(s), split(s, ',') FROM " V, "concat(s, x),length(s),split(s, ,, -1)"},
    {"SELECT t.k, * FROM " V, "k,k,s,v"},
};

static void columns_have_the_names_that_spark_gives(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct plan *p = query(names[i][0]), *resolved;
        const struct dtype *schema;
        struct buf got = BUF_INIT(4000);
        struct err err = {0};

        assert_int_equal(plan_resolve(NULL, p, NULL, &resolved, &err), LC_OK);
        if (f->ops->analyze(f->engine, NULL, resolved, &schema, &err) != LC_OK) {
            print_message("%s: %s\n", names[i][0], err.message);
            fail();
        }
        for (size_t c = 0; c < schema->n_fields; c++)
            buf_printf(&got, "%s%s", c ? "," : "", schema->fields[c].name);
        assert_string_equal(buf_str(&got), names[i][1]);
        buf_release(&got);
        dtype_unref(schema);
        plan_unref(resolved);
        plan_unref(p);
    }
}

/* ---- what is wrong, in Spark's words ---- */
static const char *const wrong_queries[][2] = {
    {"SELECT nmae FROM (SELECT 1 AS name, 2 AS age)",
     "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name `nmae` cannot "
     "be resolved. Did you mean one "
     "of the following? [`name`, `age`]. SQLSTATE: 42703"},
    {"SELECT k FROM " V " JOIN " W " ON t.k = u.k",
     "[AMBIGUOUS_REFERENCE] Reference `k` is ambiguous, could be: [`t`.`k`, `u`.`k`]."},
    {"SELECT s, sum(v) FROM " V " GROUP BY k",
     "[MISSING_AGGREGATION] The non-aggregating expression \"s\" is based on columns"},
    {"SELECT nosuch(1)", "[UNRESOLVED_ROUTINE] Cannot resolve routine `nosuch`"},
    {"SELECT upper()", "[WRONG_NUM_ARGS.WITHOUT_SUGGESTION] The `upper` requires 1"},
    {"SELECT array(1) = 1", "[DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES]"},
    {"SELECT upper(array(1))",
     "[DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE] Cannot resolve \"upper(array(1))\""},
    {"SELECT 1 WHERE 5", "[DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN]"},
    {"SELECT 1 FROM " V " WHERE sum(v) > 1", "[INVALID_WHERE_CONDITION]"},
    {"SELECT sum(sum(v)) FROM " V, "[NESTED_AGGREGATE_FUNCTION]"},
    {"SELECT 1 UNION SELECT 1, 2", "[NUM_COLUMNS_MISMATCH]"},
    {"SELECT row_number()", "[WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE]"},
    {"SELECT s FROM " V " ORDER BY 3", "[ORDER_BY_POS_OUT_OF_RANGE]"},
    {"SELECT regexp_replace(s, '(?=a)', '') FROM " V, "the regular expression '(?=a)' uses '(?='"},
    {"SELECT cast(array(1) AS int)", "[DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION]"},
    {"SELECT (SELECT k FROM " V ")", "[SCALAR_SUBQUERY_TOO_MANY_ROWS]"},
    {"SELECT 5 % 0", "[REMAINDER_BY_ZERO]"},
    {"SELECT sum(x) FROM (VALUES (9223372036854775807), (1)) AS t(x)", "[ARITHMETIC_OVERFLOW]"},
};

static void faults_are_told_as_spark_tells_them(void **state)
{
    int wrong = 0;

    for (size_t i = 0; i < sizeof wrong_queries / sizeof *wrong_queries; i++) {
        char got[4000];
        struct err err = {0};
        enum lc code = rows_of(*state, query(wrong_queries[i][0]), got, sizeof got, &err);

        if (code == LC_OK || strncmp(err.message, wrong_queries[i][1], strlen(wrong_queries[i][1])) != 0) {
            print_message("%s\n    says  %s\n    Spark %s\n", wrong_queries[i][0],
                          code == LC_OK ? got : err.message, wrong_queries[i][1]);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

/* ---- DataFrame operations that SQL text does not reach ---- */
static struct expr *of(const struct plan *p, const char *name)
{
    return expr_attribute(&name, 1, p->id);
}

static void a_frame_joined_with_what_was_made_of_it(void **state)
{
    const struct plan *a = query("SELECT k, s FROM " V),
                      *b = plan_filter(plan_ref(a), expr_binary(">", of(a, "k"), expr_int(1)));
    struct expr *columns[] = {of(a, "s"), of(b, "s")};
    const struct plan *p =
        plan_join(plan_ref(a), plan_ref(b), JOIN_INNER, expr_binary("==", of(a, "k"), of(b, "k")), NULL, 0);
    struct expr *orders[] = {expr_int(1), expr_int(2)};
    char got[400];
    struct err err = {0};

    p = plan_sort(plan_project(p, columns, 2), orders, 2, true);
    if (rows_of(*state, p, got, sizeof got, &err) != LC_OK)
        print_message("%s\n", err.message);
    assert_string_equal(got, "b,b;b,c;c,b;c,c");
    plan_unref(a);
    plan_unref(b);
}

static void columns_are_added_renamed_dropped(void **state)
{
    struct expr *added[] = {expr_alias(expr_binary("+", expr_column("k"), expr_int(1)), "K"),
                            expr_alias(expr_string("c", 1), "z")};
    struct expr *dropped[] = {expr_column("v"), expr_column("nosuch")};
    const char *pairs[] = {"s", "text"}, *keys[] = {"text"};
    const struct plan *p =
        plan_with_columns(query("SELECT * FROM " V " WHERE k IS NOT NULL ORDER BY s"), added, 2);
    char got[400];
    struct err err = {0};

    p = plan_deduplicate(plan_rename(plan_drop(p, dropped, 2), pairs, 1), keys, 1);
    p = plan_sort(p, &(struct expr *){expr_column("text")}, 1, true);
    if (rows_of(*state, p, got, sizeof got, &err) != LC_OK)
        print_message("%s\n", err.message);
    assert_string_equal(got, "2,a,c;3,b,c;3,c,c");
}

static void missing_values_are_filled_or_dropped(void **state)
{
    struct expr *seven = expr_int(7);
    char got[400];
    struct err err = {0};
    const struct plan *p = plan_na_fill(query("SELECT k, v FROM " V " ORDER BY s"), NULL, 0, &seven, 1);

    assert_int_equal(rows_of(*state, p, got, sizeof got, &err), LC_OK);
    assert_string_equal(got, "1,10;2,20;2,7;7,40");
    p = plan_na_drop(query("SELECT k, v FROM " V " ORDER BY s"), NULL, 0, 0);
    assert_int_equal(rows_of(*state, p, got, sizeof got, &err), LC_OK);
    assert_string_equal(got, "1,10;2,20");
}

static void limits_offsets_and_ends(void **state)
{
    char got[400];
    struct err err = {0};

    assert_int_equal(
        rows_of(*state, plan_limit(plan_offset(plan_range(0, 10, 1), 3), 2), got, sizeof got, &err), LC_OK);
    assert_string_equal(got, "3;4");
    assert_int_equal(rows_of(*state, plan_tail(plan_range(0, 10, 1), 2), got, sizeof got, &err), LC_OK);
    assert_string_equal(got, "8;9");
    assert_int_equal(
        rows_of(*state, plan_limit(plan_limit(plan_range(0, 10, 1), 2), 5), got, sizeof got, &err), LC_OK);
    assert_string_equal(got, "0;1");
}

/* Two samples with adjoining bounds part the rows: none twice, none lost, and the same ones again, also among equal rows. */
static void samples_part_the_rows(void **state)
{
    char first[40000], again[40000], both[80000];
    struct err err = {0};
    const struct plan *rows = query("SELECT id % 7 AS k FROM range(2000)");
    const struct plan *low = plan_sample(plan_ref(rows), 0, 0.8, false, 42),
                      *high = plan_sample(plan_ref(rows), 0.8, 1, false, 42);
    size_t n = 1;

    assert_int_equal(rows_of(*state, plan_ref(low), first, sizeof first, &err), LC_OK);
    assert_int_equal(rows_of(*state, plan_ref(low), again, sizeof again, &err), LC_OK);
    assert_string_equal(first, again);
    for (const char *p = first; *p; p++)
        n += *p == ';';
    assert_in_range(n, 1500, 1700);
    rows_of(*state,
            plan_project(plan_set_op(low, high, SET_UNION, true, false, false),
                         (struct expr *[]){expr_call("count", false, (struct expr *[]){expr_int(1)}, 1),
                                           expr_call("sum", false, (struct expr *[]){expr_column("k")}, 1)},
                         2),
            both, sizeof both, &err);
    assert_string_equal(both, "2000,5995");
    plan_unref(rows);
}

/* ---- rows in memory ---- */
static void rows_in_memory_are_read_like_files(void **state)
{
    struct fixture *f = *state;
    const struct plan
        *made = query("SELECT id, cast(id AS string) AS s, array(id, NULL) AS l, named_struct('a', id) AS t, "
                      "CASE WHEN id % 2 = 0 THEN id END AS n FROM range(5000)"),
        *resolved, *local;
    struct ArrowArrayStream rows;
    struct local_data *data;
    const struct dtype *schema;
    struct err err = {0};
    char got[400];

    assert_int_equal(plan_resolve(NULL, made, NULL, &resolved, &err), LC_OK);
    assert_int_equal(f->ops->analyze(f->engine, NULL, resolved, &schema, &err), LC_OK);
    assert_int_equal(f->ops->execute(f->engine, NULL, resolved, &rows, &err), LC_OK);
    assert_int_equal(local_from_stream(NULL, &rows, &data, &err), LC_OK);
    assert_int_equal(local_rows(data), 5000);
    local = plan_local(data, schema);
    if (rows_of(
            f,
            plan_project(plan_ref(local),
                         (struct expr *[]){
                             expr_call("sum", false, (struct expr *[]){expr_column("id")}, 1),
                             expr_call("count", false, (struct expr *[]){expr_column("n")}, 1),
                             expr_call("sum", false, (struct expr *[]){expr_column("t.a")}, 1),
                             expr_call("max", false, (struct expr *[]){expr_column("s")}, 1),
                             expr_call("sum", false,
                                       (struct expr *[]){expr_extract(expr_column("l"), expr_int(0))}, 1)},
                         5),
            got, sizeof got, &err) != LC_OK)
        print_message("%s\n", err.message);
    assert_string_equal(got, "12497500,2500,12497500,999,12497500");
    plan_unref(local);
    plan_unref(resolved);
    plan_unref(made);
}

/* ---- files ---- */
static const struct plan *read_files(const char *format, const char *path, struct plan_options *options)
{
    const struct plan *p = plan_read_source(format, &path, 1, options, NULL);

    plan_options_release(options);
    return p;
}

static void put_file(const char *path, const char *text)
{
    struct err err;

    assert_int_equal(fs_write(path, text, strlen(text), &err), LC_OK);
}

static void files_are_written_and_read(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/lacus-test-XXXXXX", path[200], got[4000];
    static const char *const formats[] = {"parquet", "csv", "json"};
    struct err err = {0};

    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 3; i++) {
        const struct plan *p = query("SELECT k, s, v FROM " V " WHERE k IS NOT NULL"), *resolved;
        struct plan_options options = {0};
        struct written_files written;
        struct write_spec spec = {.dir = path, .format = formats[i], .options = &options};

        plan_options_set(&options, "header", "true");
        plan_options_set(&options, "inferSchema", "true");
        snprintf(path, sizeof path, "%s/%s", dir, formats[i]);
        assert_int_equal(fs_mkdirs(path, &err), LC_OK);
        assert_int_equal(plan_resolve(NULL, p, NULL, &resolved, &err), LC_OK);
        if (f->ops->write_files(f->engine, NULL, resolved, &spec, &written, &err) != LC_OK)
            print_message("%s: %s\n", formats[i], err.message);
        assert_int_equal(written.n, 1);
        assert_int_equal(written.rows, 3);
        assert_true(written.files[0].size > 0);
        if (i == 0) {
            assert_int_equal(written.files[0].n_columns, 3);
            assert_string_equal(written.files[0].columns[0].name, "k");
            assert_string_equal(written.files[0].columns[0].min, "1");
            assert_string_equal(written.files[0].columns[0].max, "2");
            assert_int_equal(written.files[0].columns[2].null_count, 1);
        }
        written_files_release(&written);
        if (rows_of(f,
                    plan_sort(read_files(formats[i], path, &options), &(struct expr *){expr_column("s")}, 1,
                              true),
                    got, sizeof got, &err) != LC_OK)
            print_message("%s: %s\n", formats[i], err.message);
        assert_string_equal(got, i == 2 ? "1,a,10;2,b,20;2,c,NULL" : "1,a,10;2,b,20;2,c,NULL");
        plan_unref(resolved);
        plan_unref(p);
    }
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
}

static void partitions_are_folders(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/lacus-test-XXXXXX", got[400];
    const char *by[] = {"K"};
    const struct plan *p = query("SELECT k, s, v FROM " V), *resolved;
    struct write_spec spec = {.dir = dir, .format = "parquet", .partition_by = by, .n_partition = 1};
    struct written_files written;
    struct plan_options none = {0};
    struct err err = {0};
    bool null_seen = false;

    assert_non_null(mkdtemp(dir));
    assert_int_equal(plan_resolve(NULL, p, NULL, &resolved, &err), LC_OK);
    if (f->ops->write_files(f->engine, NULL, resolved, &spec, &written, &err) != LC_OK)
        print_message("%s\n", err.message);
    assert_int_equal(written.n, 3);
    for (size_t i = 0; i < written.n; i++) {
        assert_int_equal(written.files[i].n_partition, 1);
        null_seen = null_seen || !written.files[i].partition[0];
        assert_memory_equal(written.files[i].path, "k=", 2);
    }
    assert_true(null_seen);
    written_files_release(&written);
    assert_int_equal(rows_of(f,
                             plan_sort(plan_project(read_files("parquet", dir, &none),
                                                    (struct expr *[]){expr_column("k"), expr_column("s")}, 2),
                                       &(struct expr *){expr_column("s")}, 1, true),
                             got, sizeof got, &err),
                     LC_OK);
    assert_string_equal(got, "1,a;2,b;2,c;NULL,d");
    plan_unref(resolved);
    plan_unref(p);
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
}

/* A table's files: one lacks a column, one has a narrower type; the partition's value comes from the log, not from the path. */
static void scans_fill_in_what_files_lack(void **state)
{
    struct fixture *f = *state;
    char dir[] = "/tmp/lacus-test-XXXXXX", paths[2][300], got[400];
    static const char *const parts[] = {"SELECT 1 AS id", "SELECT 2L AS id, 'x' AS extra"};
    const char *by[] = {"p"}, *values[2][1] = {{"7"}, {NULL}};
    struct written_files written;
    struct write_spec spec = {.dir = dir, .format = "parquet"};
    const struct dtype *schema;
    struct scan *scan;
    struct err err = {0};

    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < 2; i++) {
        const struct plan *p = query(parts[i]);

        assert_int_equal(f->ops->write_files(f->engine, NULL, p, &spec, &written, &err), LC_OK);
        snprintf(paths[i], sizeof paths[i], "%s/%s", dir, written.files[0].path);
        written_files_release(&written);
        plan_unref(p);
    }
    assert_int_equal(dtype_parse_schema("id BIGINT, p INT, extra STRING", &schema, &err), LC_OK);
    scan = scan_new("t", schema, by, 1, 2);
    for (size_t i = 0; i < 2; i++)
        assert_true(scan_set_file(scan, i, paths[i], -1, values[i]));
    if (rows_of(f, plan_sort(plan_scan(scan), &(struct expr *){expr_column("id")}, 1, true), got, sizeof got,
                &err) != LC_OK)
        print_message("%s\n%s\n", err.message, err.cause);
    assert_string_equal(got, "1,7,NULL;2,NULL,x");
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
}

static void broken_files_are_named(void **state)
{
    char dir[] = "/tmp/lacus-test-XXXXXX", path[200], got[400];
    static const struct {
        const char *format, *name, *text, *says;
        enum lc code;
    } cases[] = {
        {"csv", "nosuch.csv", NULL, "[PATH_NOT_FOUND] Path does not exist", LC_NOTFOUND},
        {"parquet", "text.parquet", "this is no Parquet file, it is a text", "[CANNOT_READ_FILE_FOOTER]",
         LC_DATA},
        {"json", "broken.json", "{\"a\": 1}\n{\"a\": \n", "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION]",
         LC_DATA},
        {"xls", "a.xls", "x", "[DATA_SOURCE_NOT_FOUND] Failed to find the data source: xls", LC_UNSUPPORTED},
    };
    struct err err = {0};

    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plan_options none = {0};
        enum lc code;

        plan_options_set(&none, "mode", "FAILFAST"); /* else a record that is none is a row */
        snprintf(path, sizeof path, "%s/%s", dir, cases[i].name);
        if (cases[i].text)
            put_file(path, cases[i].text);
        code = rows_of(*state, read_files(cases[i].format, path, &none), got, sizeof got, &err);
        plan_options_release(&none);
        if (code != cases[i].code || strncmp(err.message, cases[i].says, strlen(cases[i].says)) != 0)
            print_message("%s: %s (%s)\n", cases[i].name, err.message, lc_name(code));
        assert_int_equal(code, cases[i].code);
        assert_memory_equal(err.message, cases[i].says, strlen(cases[i].says));
        if (cases[i].text && i != 3)
            assert_non_null(strstr(err.message, cases[i].name));
    }
    assert_int_equal(fs_remove_tree(dir, &err), LC_OK);
}

/* ---- interrupts ---- */
static void *cancel_soon(void *arg)
{
    usleep(50000);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void a_cancelled_query_ends_at_once(void **state)
{
    struct fixture *f = *state;
    atomic_bool cancel = false;
    struct ctx ctx = ctx_background();
    const struct plan
        *p = query("SELECT count(*) FROM range(2000000) a JOIN range(2000000) b ON a.id % 3 <> b.id % 5"),
        *resolved;
    struct ArrowArrayStream rows = {0};
    struct ArrowArray batch = {0};
    struct err err = {0};
    pthread_t thread;
    enum lc code;
    int64_t begin = clock_mono_ns();

    ctx.cancel = &cancel;
    assert_int_equal(plan_resolve(NULL, p, NULL, &resolved, &err), LC_OK);
    pthread_create(&thread, NULL, cancel_soon, &cancel);
    code = f->ops->execute(f->engine, &ctx, resolved, &rows, &err);
    if (code == LC_OK) {
        assert_int_equal(rows.get_next(&rows, &batch), ECANCELED);
        rows.release(&rows);
    } else {
        assert_int_equal(code, LC_CANCELLED);
    }
    pthread_join(thread, NULL);
    assert_true(clock_mono_ns() - begin < 2000000000);
    plan_unref(resolved);
    plan_unref(p);
}

/* The caller of a write that is cancelled does none of what is left to do, and what was written is gone when it returns. */
struct canceller {
    atomic_bool cancel;
    char dir[200];
    clockid_t caller;  /* CPU time of the thread that writes */
    int64_t at_cancel; /* of that clock */
};

static int64_t cpu_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static size_t count_names(const char *dir)
{
    char **found = NULL;
    size_t n = 0;
    struct err err;

    assert_int_equal(fs_list(dir, &found, &n, &err), LC_OK);
    fs_free_list(found, n);
    return n;
}

static void *cancel_when_written(void *arg)
{
    struct canceller *c = arg;
    char **found;
    size_t n = 0;
    struct err err;

    while (n == 0 && fs_list(c->dir, &found, &n, &err) == LC_OK) { /* until its folder is there */
        fs_free_list(found, n);
        usleep(1000);
    }
    usleep(300000);
    c->at_cancel = cpu_ns(c->caller);
    atomic_store(&c->cancel, true);
    return NULL;
}

static void a_cancelled_write_leaves_nothing_and_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    char above[] = "/tmp/lacus-write-XXXXXX";
    struct canceller c = {.cancel = false};
    struct ctx ctx = ctx_background();
    const struct plan *p = query("SELECT id, md5(CAST(id AS STRING)) AS m FROM range(2000000000)"), *resolved;
    struct engine *engine;
    struct err err = {0};
    struct written_files files;
    pthread_t thread;
    int64_t spent;

    assert_int_equal(pthread_getcpuclockid(pthread_self(), &c.caller), 0);
    assert_non_null(mkdtemp(above));
    snprintf(c.dir, sizeof c.dir, "%s/out", above);
    assert_int_equal(fs_mkdirs(c.dir, &err), LC_OK);
    assert_int_equal(f->ops->open(&(struct engine_options){.threads = 2, .temp_dir = "/tmp"}, &engine, &err),
                     LC_OK);
    ctx.cancel = &c.cancel;
    assert_int_equal(plan_resolve(NULL, p, NULL, &resolved, &err), LC_OK);
    pthread_create(&thread, NULL, cancel_when_written, &c);
    assert_int_equal(f->ops->write_files(engine, &ctx, resolved,
                                         &(struct write_spec){.dir = c.dir, .format = "parquet"}, &files,
                                         &err),
                     LC_CANCELLED);
    spent = cpu_ns(c.caller);
    pthread_join(thread, NULL);
    spent -= c.at_cancel;
    assert_true(spent < 5000000);
    assert_int_equal(count_names(c.dir), 0);
    f->ops->close(engine); /* waits until the threads of the query have ended */
    assert_int_equal(count_names(above), 1);
    assert_int_equal(fs_remove_tree(above, &err), LC_OK);
    plan_unref(resolved);
    plan_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_give_what_spark_gives),
        cmocka_unit_test(queries_give_what_spark_gives),
        cmocka_unit_test(columns_have_the_names_that_spark_gives),
        cmocka_unit_test(faults_are_told_as_spark_tells_them),
        cmocka_unit_test(a_frame_joined_with_what_was_made_of_it),
        cmocka_unit_test(columns_are_added_renamed_dropped),
        cmocka_unit_test(missing_values_are_filled_or_dropped),
        cmocka_unit_test(limits_offsets_and_ends),
        cmocka_unit_test(samples_part_the_rows),
        cmocka_unit_test(rows_in_memory_are_read_like_files),
        cmocka_unit_test(files_are_written_and_read),
        cmocka_unit_test(partitions_are_folders),
        cmocka_unit_test(scans_fill_in_what_files_lack),
        cmocka_unit_test(broken_files_are_named),
        cmocka_unit_test(a_cancelled_query_ends_at_once),
        cmocka_unit_test(a_cancelled_write_leaves_nothing_and_is_not_waited_for),
    };

    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
