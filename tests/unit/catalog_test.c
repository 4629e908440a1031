/* catalog_test.c: the suite of the catalog seam (the local workspace), names, views and lineage. */
#include "runtime/base/civil.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog.h"
#include "runtime/catalog/timestamp.h"
#include "runtime/dataframe/plan.h"
#include "runtime/sql/sql.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    char folder[64];
    struct catalog *c;
    struct ctx ctx;
    struct err err;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);

    strcpy(p->folder, "/tmp/lacus-catalog-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    setenv("LACUS_HOME", p->folder, 1);
    p->ctx = ctx_background();
    assert_int_equal(catalog_open(&p->c, &p->err), LC_OK);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;

    catalog_close(p->c);
    assert_int_equal(fs_remove_tree(p->folder, &p->err), LC_OK);
    free(p);
    return 0;
}

static void ok(struct place *p, enum lc rc)
{
    if (rc != LC_OK)
        fail_msg("%s: %s", lc_name(rc), p->err.message);
}

static void make_table(struct place *p, const char *text)
{
    struct catalog_table t = {.format = mem_strdup("delta"), .properties = json_object()};

    ok(p, catalog_complete(p->c, text, &t.name, &p->err));
    ok(p, catalog_create_table(&p->ctx, p->c, &t, &p->err));
    assert_true(fs_is_dir(t.location));
    catalog_table_release(&t);
}

static void names_are_completed(void **state)
{
    static const struct {
        const char *text, *full;
    } cases[] = {{"T", "spark_catalog.default.t"},
                 {"s.t", "spark_catalog.s.t"},
                 {"A.b.`c`", "a.b.c"},
                 {"`x-y`.z", "spark_catalog.`x-y`.z"}};
    struct place *p = *state;
    struct catalog_name name;
    char full[800];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ok(p, catalog_complete(p->c, cases[i].text, &name, &p->err));
        catalog_name_text(&name, full, sizeof full);
        assert_string_equal(full, cases[i].full);
    }
    assert_int_equal(catalog_complete(p->c, "a.b.c.d", &name, &p->err), LC_ARG);
    assert_int_equal(catalog_complete(p->c, "`a/b`", &name, &p->err), LC_ARG);
    assert_int_equal(catalog_complete(p->c, "`..`", &name, &p->err), LC_ARG);
}

static void a_session_starts_in_the_default_schema(void **state)
{
    struct place *p = *state;

    assert_string_equal(catalog_current(p->c), "spark_catalog");
    assert_string_equal(catalog_current_schema(p->c), "default");
    assert_int_equal(catalog_drop_catalog(&p->ctx, p->c, "spark_catalog", true, false, &p->err), LC_PERM);
    assert_int_equal(catalog_drop_schema(&p->ctx, p->c, NULL, "default", true, false, &p->err), LC_PERM);
}

static void catalogs_and_schemas_come_and_go(void **state)
{
    struct place *p = *state;
    struct catalog_list list;

    ok(p, catalog_create_catalog(&p->ctx, p->c, "ML", NULL, false, &p->err));
    assert_int_equal(catalog_create_catalog(&p->ctx, p->c, "ml", NULL, false, &p->err), LC_EXISTS);
    ok(p, catalog_create_catalog(&p->ctx, p->c, "ml", NULL, true, &p->err));
    ok(p, catalog_create_schema(&p->ctx, p->c, "ml", "data", "rows", NULL, false, &p->err));
    assert_int_equal(catalog_create_schema(&p->ctx, p->c, "nope", "x", NULL, NULL, false, &p->err),
                     LC_NOTFOUND);
    ok(p, catalog_use(&p->ctx, p->c, "ml", "data", &p->err));
    assert_string_equal(catalog_current_schema(p->c), "data");
    assert_int_equal(catalog_use(&p->ctx, p->c, "ml", "dta", &p->err), LC_NOTFOUND);
    assert_non_null(strstr(p->err.hint, "'data'"));
    assert_string_equal(catalog_current_schema(p->c), "data");
    ok(p, catalog_list_schemas(&p->ctx, p->c, NULL, &list, &p->err));
    assert_int_equal(list.n, 2);
    assert_string_equal(list.items[0].name, "data");
    assert_string_equal(list.items[0].comment, "rows");
    catalog_list_release(&list);
    make_table(p, "t");
    assert_int_equal(catalog_drop_schema(&p->ctx, p->c, NULL, "data", false, false, &p->err), LC_CONFLICT);
    assert_int_equal(catalog_drop_catalog(&p->ctx, p->c, "ml", false, false, &p->err), LC_CONFLICT);
    ok(p, catalog_drop_catalog(&p->ctx, p->c, "ml", true, false, &p->err));
    assert_string_equal(catalog_current(p->c), "spark_catalog");
    assert_int_equal(catalog_drop_catalog(&p->ctx, p->c, "ml", true, false, &p->err), LC_NOTFOUND);
    ok(p, catalog_drop_catalog(&p->ctx, p->c, "ml", true, true, &p->err));
    char *gone = fs_join(p->folder, "tables/ml/data/t");
    assert_false(fs_exists(gone));
    mem_free(gone);
}

static void tables_are_found_and_missed(void **state)
{
    struct place *p = *state;
    struct catalog_table t;
    struct catalog_name name;

    make_table(p, "orders");
    make_table(p, "customers");
    ok(p, catalog_lookup(&p->ctx, p->c, "Default.ORDERS", &t, &p->err));
    assert_int_equal(t.kind, CATALOG_MANAGED);
    catalog_table_release(&t);
    assert_int_equal(catalog_lookup(&p->ctx, p->c, "ordres", &t, &p->err), LC_NOTFOUND);
    assert_string_equal(p->err.message,
                        "[TABLE_OR_VIEW_NOT_FOUND] cannot find table 'spark_catalog.default.ordres'");
    assert_non_null(strstr(p->err.hint, "did you mean 'spark_catalog.default.orders'"));
    assert_int_equal(catalog_lookup(&p->ctx, p->c, "sparc_catalog.default.orders", &t, &p->err), LC_NOTFOUND);
    assert_non_null(strstr(p->err.message, "there is no catalog 'sparc_catalog'"));
    assert_non_null(strstr(p->err.hint, "'spark_catalog'"));
    ok(p, catalog_complete(p->c, "orders", &name, &p->err));
    ok(p, catalog_drop_table(&p->ctx, p->c, &name, false, &p->err));
    assert_int_equal(catalog_drop_table(&p->ctx, p->c, &name, false, &p->err), LC_NOTFOUND);
    ok(p, catalog_drop_table(&p->ctx, p->c, &name, true, &p->err));
}

/* A folder that somebody left is never taken over. */
static void places_are_claimed_once(void **state)
{
    struct place *p = *state;
    struct catalog_name name;
    char *one, *two;

    ok(p, catalog_complete(p->c, "t", &name, &p->err));
    ok(p, catalog_new_location(&p->ctx, p->c, &name, &one, &p->err));
    ok(p, catalog_new_location(&p->ctx, p->c, &name, &two, &p->err));
    assert_string_not_equal(one, two);
    assert_string_equal(fs_basename(one), "t");
    mem_free(one);
    mem_free(two);
}

static void view_text(struct place *p, const char *name, struct buf *out)
{
    buf_clear(out);
    assert_non_null(catalog_view(p->c, name));
    sql_print_plan(out, catalog_view(p->c, name));
}

static void a_view_may_be_replaced_by_one_that_reads_it(void **state)
{
    struct place *p = *state;
    struct plan_options none = {0};
    const char *v = "v", *t = "t";
    const struct plan *one = plan_limit(plan_read_table(&t, 1, &none), 5);
    const struct plan *two = plan_offset(plan_read_table(&v, 1, &none), 1);
    struct buf text = BUF_INIT(1000);

    ok(p, catalog_put_view(p->c, "V", one, false, false, &p->err));
    assert_int_equal(catalog_put_view(p->c, "v", one, false, false, &p->err), LC_EXISTS);
    ok(p, catalog_put_view(p->c, "v", two, false, true, &p->err));
    view_text(p, "v", &text);
    assert_null(strstr(buf_str(&text), "(table v)"));
    assert_non_null(strstr(buf_str(&text), "(table t)"));
    assert_true(catalog_drop_view(p->c, "v"));
    assert_false(catalog_drop_view(p->c, "v"));
    buf_release(&text);
    plan_unref(one);
    plan_unref(two);
}

static void lineage_says_who_and_where(void **state)
{
    struct place *p = *state;
    struct catalog_lineage_list rows;
    struct ctx ctx = p->ctx;

    ctx.principal = "ada";
    ctx.lineage = (struct ctx_lineage){"nb.ipynb", "3", "run-1", "job-7"};
    ok(p, catalog_add_lineage(&ctx, p->c, "READ", "a.b.c", 4, &p->err));
    ok(p, catalog_add_lineage(&p->ctx, p->c, "WRITE", "a.b.d", 0, &p->err));
    ok(p, catalog_list_lineage(&p->ctx, p->c, NULL, NULL, 0, &rows, &p->err));
    assert_int_equal(rows.n, 2);
    assert_string_equal(rows.rows[0].operation, "WRITE");
    catalog_lineage_list_release(&rows);
    ok(p, catalog_list_lineage(&p->ctx, p->c, NULL, "run-1", 0, &rows, &p->err));
    assert_int_equal(rows.n, 1);
    assert_string_equal(rows.rows[0].table, "a.b.c");
    assert_int_equal(rows.rows[0].version, 4);
    assert_string_equal(rows.rows[0].principal, "ada");
    assert_string_equal(rows.rows[0].notebook, "nb.ipynb");
    assert_string_equal(rows.rows[0].cell, "3");
    assert_string_equal(rows.rows[0].job, "job-7");
    catalog_lineage_list_release(&rows);
    ok(p, catalog_list_lineage(&p->ctx, p->c, "a.b.d", NULL, 1, &rows, &p->err));
    assert_int_equal(rows.n, 1);
    catalog_lineage_list_release(&rows);
}

static void two_sessions_see_each_other(void **state)
{
    struct place *p = *state;
    struct catalog *other;
    struct catalog_table t;

    ok(p, catalog_open(&other, &p->err));
    make_table(p, "shared");
    ok(p, catalog_lookup(&p->ctx, other, "shared", &t, &p->err));
    catalog_table_release(&t);
    ok(p, catalog_create_schema(&p->ctx, other, NULL, "mine", NULL, NULL, false, &p->err));
    ok(p, catalog_use(&p->ctx, other, NULL, "mine", &p->err));
    assert_string_equal(catalog_current_schema(p->c), "default");
    catalog_close(other);
}

static void times_are_understood(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"1970-01-02", 86400000},
                 {"2024-02-29 12:34:56", 1709210096000},
                 {"2024-02-29T12:34:56.5Z", 1709210096500},
                 {"2024-02-29 12:34 +01:00", 1709206440000}};
    int64_t ms;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(timestamp_parse(cases[i].text, &ms, &err), LC_OK);
        assert_int_equal(ms, cases[i].ms);
    }
    assert_int_equal(timestamp_parse("2023-02-29", &ms, &err), LC_ARG);
    assert_int_equal(timestamp_parse("yesterday", &ms, &err), LC_ARG);
}

static void dates_go_there_and_back(void **state)
{
    int64_t year;
    int month, day;

    (void)state;
    assert_int_equal(civil_days(1970, 1, 1), 0);
    assert_int_equal(civil_days(2000, 3, 1), 11017);
    assert_true(civil_valid(2024, 2, 29) && !civil_valid(1900, 2, 29) && civil_valid(2000, 2, 29));
    for (int64_t d = -1000000; d < 1000000; d += 37) {
        civil_date(d, &year, &month, &day);
        assert_true(civil_valid(year, month, day));
        assert_int_equal(civil_days(year, month, day), d);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_are_completed),
        TEST(a_session_starts_in_the_default_schema),
        TEST(catalogs_and_schemas_come_and_go),
        TEST(tables_are_found_and_missed),
        TEST(places_are_claimed_once),
        TEST(a_view_may_be_replaced_by_one_that_reads_it),
        TEST(lineage_says_who_and_where),
        TEST(two_sessions_see_each_other),
        cmocka_unit_test(times_are_understood),
        cmocka_unit_test(dates_go_there_and_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
