/* engine_duckdb_test.c: plans through the DuckDB engine: rows, types, errors in Spark's words. The expected values were recorded from
 * Spark. */
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/sql/sql.h"
#include "tests/support/unit.h"
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_give_what_spark_gives),
    };

    return cmocka_run_group_tests(tests, open_engine, close_engine);
}
