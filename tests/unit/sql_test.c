/* sql_test.c: the parser. The expected trees follow Spark's SqlBaseParser.g4 and its documentation. */
#include "runtime/base/mem.h"
#include "runtime/sql/sql.h"
#include "tests/support/unit.h"
#include <string.h>

struct pair {
    const char *text, *expected;
};
#define COUNT(a) (sizeof(a) / sizeof *(a))

static void check_query(const char *text, const char *expected)
{
    struct sql_statement *s;
    struct buf out = BUF_INIT(1 << 20);
    struct err err;

    if (sql_parse(text, strlen(text), NULL, 0, &s, &err) != LC_OK)
        fail_msg("%s: %s", text, err.message);
    assert_int_equal(s->kind, SQL_QUERY);
    sql_print_plan(&out, s->plan);
    if (strcmp(buf_str(&out), expected) != 0)
        fail_msg("%s\n  is       %s\n  and not  %s", text, buf_str(&out), expected);
    buf_release(&out);
    sql_release(s);
}

static void check_expr(const char *text, const char *expected)
{
    struct expr *e;
    struct buf out = BUF_INIT(1 << 20);
    struct err err;

    if (sql_parse_expression(text, strlen(text), &e, &err) != LC_OK)
        fail_msg("%s: %s", text, err.message);
    sql_print_expr(&out, e);
    if (strcmp(buf_str(&out), expected) != 0)
        fail_msg("%s\n  is       %s\n  and not  %s", text, buf_str(&out), expected);
    buf_release(&out);
    expr_unref(e);
}

static void expressions_bind_as_in_spark(void **state)
{
    static const struct pair cases[] = {
        {"1 + 2 * 3 - 4", "(- (+ 1 (* 2 3)) 4)"},
        {"a OR b AND NOT c = d", "(or a (and b (not (== c d))))"},
        {"a & b | c ^ d", "(| (& a b) (^ c d))"},
        {"a + b << 2", "(<< (+ a b) 2)"},
        {"a >>> 1 > 2", "(> (>>> a 1) 2)"},
        {"-a.b[0].c::bigint", "(- (cast (extract (extract a.b 0) \"c\") bigint))"},
        {"-1 - -2", "(- -1 -2)"},
        {"a DIV 2 % 3", "(% (div a 2) 3)"},
        {"a || 'x' = b", "(== (concat a \"x\") b)"},
        {"a <=> NULL", "(<=> a null)"},
        {"a NOT BETWEEN 1 AND 2 AND b", "(and (not (between a 1 2)) b)"},
        {"a IN (1, 2) AND b NOT IN ('x')", "(and (in a 1 2) (not (in b \"x\")))"},
        {"a IS NOT NULL AND b IS TRUE", "(and (isnotnull a) (<=> b true))"},
        {"a IS NOT DISTINCT FROM b", "(<=> a b)"},
        {"a NOT LIKE 'x!%' ESCAPE '!'", "(not (like a \"x!%\" \"!\"))"},
        {"a LIKE ANY ('x%', 'y%')", "(or (like a \"x%\") (like a \"y%\"))"},
        {"CASE WHEN a THEN 1 WHEN b THEN 2 ELSE 3 END", "(when a 1 b 2 3)"},
        {"CASE a WHEN 1 THEN 'x' END", "(when (== a 1) \"x\")"},
        {"transform(xs, x -> x + y)", "(transform xs (lambda (x) (+ $x y)))"},
        {"aggregate(xs, 0, (acc, x) -> acc + x)", "(aggregate xs 0 (lambda (acc x) (+ $acc $x)))"},
        {"count(DISTINCT a) FILTER (WHERE b > 1) AS n", "(as (count distinct a (where (> b 1))) n)"},
        {"EXTRACT(YEAR FROM d) + date_part('dow', d)", "(+ (extract \"YEAR\" d) (date_part \"dow\" d))"},
        {"EXTRACT(SECOND FROM t)", "(extract \"SECOND\" t)"},
        {"trim(BOTH 'x' FROM s)", "(trim s \"x\")"},
        {"substring(s FROM 2 FOR 3)", "(substring s 2 3)"},
        {"position('a' IN s)", "(locate \"a\" s)"},
        {"(a, b + 1, c.d)", "(named_struct \"a\" a \"col2\" (+ b 1) \"d\" c.d)"},
        {"struct(* EXCEPT (a, t.b))", "(struct *)"},
        {"left(name, 2)", "(left name 2)"},
        {"version + end_date", "(+ version end_date)"},
        {"current_date + INTERVAL 1 DAY", "(+ (current_date) interval(0 1 0))"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_expr(cases[i].text, cases[i].expected);
}

static void literals_have_sparks_types(void **state)
{
    static const struct pair cases[] = {
        {"2147483647", "2147483647"},
        {"2147483648", "bigint(2147483648)"},
        {"-9223372036854775808", "bigint(-9223372036854775808)"},
        {"9223372036854775808", "9223372036854775808BD"},
        {"1L", "bigint(1)"},
        {"1S", "smallint(1)"},
        {"1Y", "tinyint(1)"},
        {"1.50", "1.50BD"},
        {".5", "0.5BD"},
        {"1e3", "1000D"},
        {"1BD", "1BD"},
        {"DATE '2024-02-29'", "date(19782)"},
        {"TIMESTAMP '2024-01-01 00:00:00'", "(cast \"2024-01-01 00:00:00\" timestamp)"},
        {"INTERVAL '1-2' YEAR TO MONTH", "interval(14 0 0)"},
        {"INTERVAL 2 HOURS 30 MINUTES", "interval(0 0 9000000000)"},
        {"INTERVAL '1 02:03:04.5' DAY TO SECOND", "interval(0 1 7384500000)"},
        {"INTERVAL '-3 days'", "interval(0 -3 0)"},
        {"'it''s' 'two'", "\"it'stwo\""},
        {"\"double\"", "\"double\""},
        {"'tab\\t\\u00e9\\x'", "\"tab\\t\xc3\xa9x\""},
        {"'50\\%'", "\"50\\\\%\""},
        {"r'\\d+'", "\"\\\\d+\""},
        {"X'1fA0'", "X'1FA0'"},
        {"`a b`.`c``d`", "`a b`.`c``d`"},
        {"CAST('1' AS STRUCT<a: INT, b: MAP<STRING, ARRAY<DECIMAL(10, 2)>>>)",
         "(cast \"1\" struct<a:int,b:map<string,array<decimal(10,2)>>>)"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_expr(cases[i].text, cases[i].expected);
}

static void queries_become_plans(void **state)
{
    static const struct pair cases[] = {
        {"SELECT a FROM t, LATERAL (SELECT b) x",
         "(project (lateral-cross-join (table t) (alias (project [b]) [x])) [a])"},
        {"SELECT a FROM t NATURAL LEFT JOIN u", "(project (natural-left-join (table t) (table u)) [a])"},
        {"WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n FROM r) SELECT n FROM r",
         "(with (project (table r) [n]) r=(recursion (to-df (project [1]) [n]) (project (table r) [n]) "
         "[r]))"},
        {"SELECT a FROM t@v3 AS x", "(project (alias (table t versionasof=3) [x]) [a])"},
        {"SELECT a FROM t@20260131120000500",
         "(project (table t timestampasof=2026-01-31 12:00:00.500) [a])"},
        {"SELECT a FROM delta.`/p/t@v12`", "(project (table delta.`/p/t` versionasof=12) [a])"},
        {"SELECT a FROM t TIMESTAMP AS OF DATE '2026-01-31'",
         "(project (table t timestampasof=2026-01-31) [a])"},
        {"FROM t SELECT a WHERE b", "(project (filter (table t) [b]) [a])"},
        {"SELECT a, b FROM t ORDER BY ALL DESC", "(sort (project (table t) [a b]) [(desc 1) (desc 2)])"},
        {"SELECT IDENTIFIER('x') FROM IDENTIFIER('s' || '.t')", "(project (table s.t) [x])"},

        {"SELECT 1", "(project [1])"},
        {"SELECT a, count(*) n FROM t WHERE x > 1 GROUP BY a HAVING count(*) > 2 ORDER BY n DESC, a LIMIT 10 "
         "OFFSET 2",
         "(limit (offset (sort (filter (aggregate (filter (table t) [(> x 1)]) [a] [a (as (count *) n)]) [(> "
         "(count "
         "*) 2)]) [(desc n) (asc a)]) 2) 10)"},
        {"SELECT DISTINCT a FROM c.s.t AS x", "(distinct (project (alias (table c.s.t) [x]) [a]))"},
        {"SELECT * FROM a JOIN b ON a.id = b.id LEFT JOIN c USING (id, k) CROSS JOIN d",
         "(project (cross-join (left-join (inner-join (table a) (table b) [(== a.id b.id)]) (table c) [id "
         "k]) (table "
         "d)) [*])"},
        {"SELECT * FROM a LEFT ANTI JOIN b ON a.id = b.id, c",
         "(project (cross-join (anti-join (table a) (table b) [(== a.id b.id)]) (table c)) [*])"},
        {"WITH x AS (SELECT 1 AS a), y(b) AS (SELECT a FROM x) SELECT * FROM y",
         "(with (project (table y) [*]) x=(project [(as 1 a)]) y=(to-df (project (table x) [a]) [b]))"},
        {"SELECT a FROM t UNION SELECT b FROM u EXCEPT ALL SELECT c FROM v INTERSECT SELECT d FROM w",
         "(except-all (union (project (table t) [a]) (project (table u) [b])) (intersect (project (table v) "
         "[c]) "
         "(project (table w) [d])))"},
        {"SELECT rank() OVER (PARTITION BY a ORDER BY b DESC NULLS FIRST ROWS BETWEEN 2 PRECEDING AND "
         "CURRENT ROW) "
         "FROM t",
         "(project (table t) [(over (rank) (partition a) (order (desc nulls-first b)) (rows (preceding 2) "
         "current))])"},
        {"SELECT sum(x) OVER w FROM t WINDOW w AS (PARTITION BY a)",
         "(project (table t) [(over (sum x) (partition a) (order))])"},
        {"SELECT * FROM t WHERE a IN (SELECT b FROM u) AND NOT EXISTS (SELECT 1 FROM v WHERE v.x = t.x)",
         "(project (filter (table t) [(and (in-query a (project (table u) [b])) (not (exists (project "
         "(filter (table "
         "v) [(== v.x t.x)]) [1]))))]) [*])"},
        {"SELECT (SELECT max(x) FROM u) m", "(project [(as (scalar (project (table u) [(max x)])) m)])"},
        {"SELECT * FROM VALUES (1, 'a'), (2, 'b') AS t(x, y)",
         "(project (alias (to-df (values [col1 col2] [1 \"a\" 2 \"b\"]) [x y]) [t]) [*])"},
        {"SELECT * FROM t VERSION AS OF 3 x", "(project (alias (table t versionasof=3) [x]) [*])"},
        {"SELECT * FROM delta.`/a/b` TIMESTAMP AS OF '2024-01-01'",
         "(project (table delta.`/a/b` timestampasof=2024-01-01) [*])"},
        {"SELECT id, e.w FROM t LATERAL VIEW explode(words) e AS w WHERE e.w <> ''",
         "(project (filter (project (table t) [* (as (explode words) w)]) [(!= w \"\")]) [id w])"},
        {"SELECT a, sum(b) FROM t GROUP BY CUBE(a, c)", "(cube (table t) [a c] [a (sum b)])"},
        {"SELECT * FROM range(2, 10) r -- a comment\n /* another /* nested */ */",
         "(project (alias (range 2 10 1) [r]) [*])"},
        {"(SELECT 1) UNION ALL BY NAME (SELECT 2 LIMIT 1);",
         "(union-all-by-name (project [1]) (limit (project [2]) 1))"},
        {"SELECT t.*, order_id FROM t TABLESAMPLE (10 PERCENT)",
         "(project (sample (table t) 0 0.1) [t.* order_id])"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        check_query(cases[i].text, cases[i].expected);
}

static struct sql_statement *parse(const char *text)
{
    struct sql_statement *s;
    struct err err;

    if (sql_parse(text, strlen(text), NULL, 0, &s, &err) != LC_OK)
        fail_msg("%s: %s", text, err.message);
    return s;
}

static void commands_say_what_to_do(void **state)
{
    struct sql_statement *s = parse("CREATE TABLE IF NOT EXISTS a.b.c (id BIGINT NOT NULL COMMENT 'key', m "
                                    "MAP<STRING, ARRAY<INT>>) USING delta "
                                    "PARTITIONED BY (id) LOCATION '/x' COMMENT 'hey' TBLPROPERTIES "
                                    "('delta.appendOnly' = 'true', x.y = 1)");
    struct buf ddl = BUF_INIT(1000);

    (void)state;
    assert_int_equal(s->kind, SQL_CREATE_TABLE);
    assert_true(s->if_not_exists);
    assert_int_equal(s->name.n, 3);
    assert_string_equal(s->name.items[2], "c");
    assert_string_equal(s->partition_by.items[0], "id");
    assert_string_equal(s->location, "/x");
    assert_string_equal(s->comment, "hey");
    assert_int_equal(s->n_properties, 2);
    assert_string_equal(s->properties[1].name, "x.y");
    assert_string_equal(s->properties[1].value, "1");
    assert_string_equal(s->schema->fields[0].metadata, "{\"comment\":\"key\"}");
    assert_false(s->schema->fields[0].nullable);
    dtype_simple(s->schema, &ddl);
    assert_string_equal(buf_str(&ddl), "struct<id:bigint,m:map<string,array<int>>>");
    buf_release(&ddl);
    sql_release(s);

    s = parse("INSERT OVERWRITE TABLE t (a, b) SELECT 1, 2");
    assert_int_equal(s->kind, SQL_INSERT);
    assert_true(s->overwrite);
    assert_int_equal(s->columns.n, 2);
    sql_release(s);

    s = parse("CREATE OR REPLACE TEMPORARY VIEW v AS SELECT 1");
    assert_int_equal(s->kind, SQL_CREATE_VIEW);
    assert_true(s->replace && s->temporary);
    sql_release(s);
}

static void each_statement_has_its_kind(void **state)
{
    static const struct {
        const char *text;
        enum sql_kind kind;
        const char *last; /* part of the name; NULL: no name */
    } cases[] = {
        {"CREATE CATALOG IF NOT EXISTS ml COMMENT 'x'", SQL_CREATE_CATALOG, "ml"},
        {"CREATE SCHEMA ml.data", SQL_CREATE_SCHEMA, "data"},
        {"CREATE DATABASE d LOCATION '/x'", SQL_CREATE_SCHEMA, "d"},
        {"CREATE TABLE t AS SELECT 1 a", SQL_CREATE_TABLE, "t"},
        {"DROP TABLE IF EXISTS a.b", SQL_DROP_TABLE, "b"},
        {"DROP SCHEMA x CASCADE", SQL_DROP_SCHEMA, "x"},
        {"DROP CATALOG c", SQL_DROP_CATALOG, "c"},
        {"DROP VIEW v", SQL_DROP_VIEW, "v"},
        {"USE CATALOG c", SQL_USE_CATALOG, "c"},
        {"USE a.b", SQL_USE, "b"},
        {"USE SCHEMA d", SQL_USE, "d"},
        {"USE schema", SQL_USE, "schema"},
        {"SHOW CATALOGS LIKE 'm*'", SQL_SHOW_CATALOGS, NULL},
        {"SHOW DATABASES IN c", SQL_SHOW_SCHEMAS, "c"},
        {"SHOW TABLES FROM a.b LIKE 'x*|y'", SQL_SHOW_TABLES, "b"},
        {"SHOW COLUMNS IN a.b", SQL_SHOW_COLUMNS, "b"},
        {"DESCRIBE a.b", SQL_DESCRIBE_TABLE, "b"},
        {"DESC TABLE EXTENDED a.b", SQL_DESCRIBE_TABLE, "b"},
        {"DESCRIBE history", SQL_DESCRIBE_TABLE, "history"},
        {"DESCRIBE HISTORY a.b", SQL_DESCRIBE_HISTORY, "b"},
        {"DESCRIBE DETAIL delta.`/x y`", SQL_DESCRIBE_DETAIL, "/x y"},
        {"DESCRIBE QUERY SELECT 1", SQL_DESCRIBE_QUERY, NULL},
        {"EXPLAIN EXTENDED SELECT 1", SQL_EXPLAIN, NULL},
        {"INSERT INTO t VALUES (1, 'a')", SQL_INSERT, "t"},
        {"SET spark.sql.shuffle.partitions = 10", SQL_SET, NULL},
        {"CREATE VIEW IF NOT EXISTS a.v (x COMMENT 'c', y) COMMENT 'd' AS SELECT 1, 2", SQL_CREATE_VIEW, "v"},
        {"CREATE OR REPLACE GLOBAL TEMPORARY VIEW v AS SELECT 1", SQL_CREATE_VIEW, "v"},
        {"CREATE TABLE t LIKE u", SQL_CREATE_LIKE, "t"},
        {"CREATE EXTERNAL VOLUME v LOCATION '/x' COMMENT 'y'", SQL_CREATE_VOLUME, "v"},
        {"DROP VOLUME IF EXISTS a.b.v", SQL_DROP_VOLUME, "v"},
        {"ALTER TABLE t ADD COLUMNS (a INT FIRST, b.c STRING COMMENT 'x' AFTER d)", SQL_ALTER, "t"},
        {"ALTER TABLE t DROP COLUMNS IF EXISTS (a, b)", SQL_ALTER, "t"},
        {"ALTER TABLE t RENAME COLUMN a TO b", SQL_ALTER, "t"},
        {"ALTER TABLE t ALTER COLUMN a TYPE BIGINT", SQL_ALTER, "t"},
        {"ALTER TABLE t CHANGE COLUMN a b INT COMMENT 'x' AFTER c", SQL_ALTER, "t"},
        {"ALTER TABLE t SET TBLPROPERTIES ('a' = 'b', c.d = 1)", SQL_ALTER, "t"},
        {"ALTER TABLE t UNSET TBLPROPERTIES IF EXISTS (a.b, 'c')", SQL_ALTER, "t"},
        {"ALTER VIEW v AS SELECT 1", SQL_ALTER, "v"},
        {"ALTER SCHEMA s SET DBPROPERTIES (a = 'b')", SQL_ALTER, "s"},
        {"COMMENT ON COLUMN t.a IS 'x'", SQL_ALTER, "t"},
        {"COMMENT ON CATALOG c IS NULL", SQL_ALTER, "c"},
        {"SHOW TABLE EXTENDED IN s LIKE 'a*'", SQL_SHOW_EXTENDED, "s"},
        {"SHOW PARTITIONS t PARTITION (a = 1, b = 'x')", SQL_SHOW_PARTITIONS, "t"},
        {"SHOW VOLUMES IN a.b", SQL_SHOW_VOLUMES, "b"},
        {"SHOW CURRENT SCHEMA", SQL_SHOW_NAMESPACE, NULL},
        {"DESCRIBE VOLUME v", SQL_DESCRIBE_VOLUME, "v"},
        {"DESCRIBE SCHEMA EXTENDED s", SQL_DESCRIBE_SCHEMA, "s"},
        {"DESCRIBE t a.b", SQL_DESCRIBE_TABLE, "t"},
        {"DELETE FROM t AS x WHERE x.a = 1", SQL_DELETE, "t"},
        {"UPDATE t SET a = 1, b.c = d + 1 WHERE e", SQL_UPDATE, "t"},
        {"MERGE INTO t USING (SELECT 1 AS a) s ON t.a = s.a WHEN MATCHED AND s.a > 1 THEN UPDATE SET t.b = 2 "
         "WHEN MATCHED "
         "THEN DELETE WHEN NOT MATCHED BY TARGET THEN INSERT (a, b) VALUES (1, 2) WHEN NOT MATCHED BY SOURCE "
         "THEN DELETE",
         SQL_MERGE, "t"},
        {"INSERT INTO t REPLACE WHERE a > 1 SELECT 1", SQL_INSERT, "t"},
        {"INSERT OVERWRITE t PARTITION (a = 1, b) SELECT 1", SQL_INSERT, "t"},
        {"TRUNCATE TABLE t PARTITION (a = 1)", SQL_TRUNCATE, "t"},
        {"CACHE LAZY TABLE t OPTIONS ('a' 'b') AS SELECT 1", SQL_CACHE, "t"},
        {"UNCACHE TABLE IF EXISTS t", SQL_UNCACHE, "t"},
        {"RESET a.b", SQL_RESET, NULL},
        {"LIST '/Volumes/a/b/c' LIMIT 5", SQL_LIST, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sql_statement *s = parse(cases[i].text);
        if (s->kind != cases[i].kind)
            fail_msg("%s is %s", cases[i].text, sql_kind_name(s->kind));
        if (cases[i].last)
            assert_string_equal(s->name.items[s->name.n - 1], cases[i].last);
        else
            assert_int_equal(s->name.n, 0);
        sql_release(s);
    }
}

static void errors_say_where_and_what_was_meant(void **state)
{
    static const struct {
        const char *text;
        enum lc code;
        int64_t position;
        const char *part, *hint; /* what the message and the hint contain */
    } cases[] = {
        {"SELECT * FORM t", LC_SYNTAX, 9, "[PARSE_SYNTAX_ERROR] Syntax error at or near 'FORM'", "FROM"},
        {"SELECT a\nFROM t WHER x = 1", LC_SYNTAX, 21, "line 2, column 13", "WHERE"},
        {"SELEC 1", LC_SYNTAX, 0, "expected a statement", "SELECT"},
        {"SELECT a, FROM t", LC_SYNTAX, 10, "expected an expression", ""},
        {"SELECT (1 + 2", LC_SYNTAX, 13, "end of input: ')' is missing", ""},
        {"SELECT 'abc", LC_SYNTAX, 7, "the string that starts here is not closed", ""},
        {"SELECT a @ b", LC_SYNTAX, 9, "SQL has no '@'", ""},
        {"SELECT 1 2", LC_SYNTAX, 9, "near '2'", ""},
        {"SELECT CAST(a AS INTT)", LC_SYNTAX, 17, "[UNSUPPORTED_DATATYPE]", ""},
        {"SELECT :p", LC_SYNTAX, 7, "[UNBOUND_SQL_PARAMETER]", ""},
        {"SELECT DATE '2023-02-29'", LC_SYNTAX, 12, "is not a DATE", ""},
        {"SELECT 300Y", LC_SYNTAX, 7, "outside the range of TINYINT", ""},
        {"SELECT sum(x) OVER w FROM t", LC_SYNTAX, 19, "[MISSING_WINDOW_SPECIFICATION]", ""},
        {"SELECT * FROM VALUES (1, 2), (3)", LC_SYNTAX, 29, "NUM_COLUMNS_MISMATCH", ""},
        {"MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN DELETE", LC_SYNTAX, 56, "can only INSERT",
         ""},
        {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN INSERT *", LC_SYNTAX, 52,
         "only WHEN NOT MATCHED", ""},
        {"MERGE INTO t USING u ON t.a = u.a WHEN NOT MATCHED THEN INSERT (a, b) VALUES (1)", LC_SYNTAX, 79,
         "2 columns and 1 values", ""},
        {"OPTIMIZE t ZORDER BY (a)", LC_UNSUPPORTED, 0, "OPTIMIZE is not supported", ""},
        {"GRANT SELECT ON t TO x", LC_UNSUPPORTED, 0, "GRANT is not supported", ""},
        {"UPDATE t WHERE a = 1", LC_SYNTAX, 9, "expected SET", ""},
        {"ALTER TABLE t CLUSTER BY (a)", LC_UNSUPPORTED, 14, "CLUSTER BY is not supported", "PARTITIONED BY"},
        {"ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1)", LC_UNSUPPORTED, 18, "ADD CONSTRAINT", ""},
        {"ALTER TABEL t ADD COLUMN a INT", LC_SYNTAX, 6, "expected TABLE, VIEW", "TABLE"},
        {"VACUUM t", LC_UNSUPPORTED, 0, "VACUUM is not supported", "no version needs"},
        {"SELECT * FROM t NATURAL u", LC_SYNTAX, 24, "expected JOIN", ""},
        {"", LC_SYNTAX, 0, "a statement is missing", ""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct sql_statement *s;
        struct err err;
        enum lc rc = sql_parse(cases[i].text, strlen(cases[i].text), NULL, 0, &s, &err);
        if (rc != cases[i].code || !strstr(err.message, cases[i].part) || !strstr(err.hint, cases[i].hint))
            fail_msg("%s: %s: %s (%s)", cases[i].text, lc_name(rc), err.message, err.hint);
        assert_int_equal(err.position, cases[i].position);
    }
}

static void a_caret_stands_under_the_place(void **state)
{
    struct sql_statement *s;
    struct err err;
    static const char text[] = "SELECT \xc3\xa4\n  , FROM t";

    (void)state;
    assert_int_equal(sql_parse(text, sizeof text - 1, NULL, 0, &s, &err), LC_SYNTAX);
    assert_non_null(strstr(err.message, "\n\n== SQL ==\n  , FROM t\n----^"));
}

static void parameters_become_literals(void **state)
{
    struct expr *a = expr_int(7), *b = expr_string("x", 1);
    struct sql_parameter named[] = {{"n", a}, {"s", b}}, positional[] = {{NULL, a}, {NULL, b}};
    static const char one[] = "SELECT :n, :s, :n LIMIT :n", two[] = "SELECT ?, ?";
    struct sql_statement *s;
    struct buf out = BUF_INIT(1000);
    struct err err;

    (void)state;
    assert_int_equal(sql_parse(one, sizeof one - 1, named, 2, &s, &err), LC_OK);
    sql_print_plan(&out, s->plan);
    assert_string_equal(buf_str(&out), "(limit (project [7 \"x\" 7]) 7)");
    sql_release(s);
    buf_clear(&out);
    assert_int_equal(sql_parse(two, sizeof two - 1, positional, 2, &s, &err), LC_OK);
    sql_print_plan(&out, s->plan);
    assert_string_equal(buf_str(&out), "(project [7 \"x\"])");
    sql_release(s);
    buf_release(&out);
    expr_unref(a);
    expr_unref(b);
}

/* Deep nesting and long chains end in a limit, not in the end of the stack. */
static void depth_is_bounded(void **state)
{
    static const char *const opens[] = {"(", "NOT ", "- - ", "f(", "CASE WHEN ", "a[", "(SELECT ", "x -> "};
    struct sql_statement *s;
    struct err err;

    (void)state;
    for (size_t i = 0; i < COUNT(opens); i++) {
        struct buf text = BUF_INIT(1 << 20);
        buf_puts(&text, "SELECT ");
        for (int n = 0; n < 20000; n++)
            buf_puts(&text, opens[i]);
        assert_int_not_equal(sql_parse(buf_str(&text), text.len, NULL, 0, &s, &err), LC_OK);
        buf_release(&text);
    }
    struct buf chain = BUF_INIT(1 << 20);
    buf_puts(&chain, "SELECT 1");
    for (int n = 0; n < 50000; n++)
        buf_puts(&chain, " + 1");
    assert_int_equal(sql_parse(buf_str(&chain), chain.len, NULL, 0, &s, &err), LC_LIMIT);
    buf_release(&chain);
}

/* Every failing allocation gives an error and loses nothing (the sanitizer build looks for leaks). */
static void memory_may_run_out_anywhere(void **state)
{
    static const char *const texts[] = {
        "WITH c AS (SELECT f(a, x -> x + 1) FROM t JOIN u USING (k) LATERAL VIEW "
        "explode(w) e AS v WHERE e.v IN (1, 2)) "
        "SELECT CASE WHEN a THEN 'b' END, sum(x) OVER (PARTITION BY a ORDER BY b) "
        "FROM c GROUP BY a HAVING a > 1 "
        "UNION SELECT CAST(1 AS DECIMAL(3, 1)), 2 ORDER BY 1 LIMIT 3",
        "SELECT (a, b + 1) r, struct(* EXCEPT (c.d)) FROM (SELECT x FROM t) LEFT JOIN LATERAL explode(w) AS "
        "l(e) "
        "ON e > 1 WHERE (a, b) IN (SELECT 1, 2) QUALIFY rank() OVER (ORDER BY b) = 1",
        "SELECT a, count(*) c FROM t GROUP BY a HAVING a > 1 QUALIFY rank() OVER (ORDER BY c) = 1",
        "SELECT * FROM t PIVOT (sum(v) AS s, max(v) FOR (a, b) IN ((1, 'x') AS q, (2D, NULL)))",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (long n = 0;; n++) {
            struct sql_statement *s = NULL;
            struct err err;
            mem_fail_after(n);
            enum lc rc = sql_parse(texts[i], strlen(texts[i]), NULL, 0, &s, &err);
            mem_fail_never();
            if (rc == LC_OK) {
                sql_release(s);
                assert_true(n > 50);
                break;
            }
            if (rc != LC_NOMEM)
                fail_msg("%s, after %ld: %s: %s", texts[i], n, lc_name(rc), err.message);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_bind_as_in_spark),
        cmocka_unit_test(literals_have_sparks_types),
        cmocka_unit_test(queries_become_plans),
        cmocka_unit_test(commands_say_what_to_do),
        cmocka_unit_test(each_statement_has_its_kind),
        cmocka_unit_test(errors_say_where_and_what_was_meant),
        cmocka_unit_test(a_caret_stands_under_the_place),
        cmocka_unit_test(parameters_become_literals),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
