/* assist_test.c: completion and inspection with everything that a cell has: dataframes, SQL, widgets, magics, keyword arguments. */
#include "magics/magics.h"
#include "repl/globals.h"
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char home[] = "/tmp/lacus-assist-XXXXXX";

static int set_up(void **state)
{
    struct recorder *r = calloc(1, sizeof *r);
    struct session_options options = {
        .frontend = recorder_frontend(r), .globals = lacus_globals, .magics = lacus_magics};
    struct err err;

    *state = r;
    if (strstr(home, "XXXXXX") && !mkdtemp(home))
        return 1;
    setenv("LACUS_HOME", home, 1);
    return session_open(&options, &r->session, &err);
}

/* The cursor is at '|', or at the end. Wanted matches; "-name" ones must not be there; "=n" as the last: exactly n. */
static void offers(struct recorder *r, const char *marked, const char *const *want)
{
    char text[1024];
    const char *bar = strchr(marked, '|');
    size_t at = bar ? (size_t)(bar - marked) : strlen(marked);
    json_t *reply, *match;
    size_t i;

    snprintf(text, sizeof text, "%.*s%s", (int)at, marked, bar ? bar + 1 : "");
    reply = session_complete(r->session, text, strlen(text), at);
    for (; *want; want++) {
        bool found = false, absent = **want == '-' && (*want)[1] && (*want)[1] != '-';
        json_array_foreach (json_object_get(reply, "matches"), i, match)
            found = found || strcmp(json_string_value(match), *want + absent) == 0;
        if (**want == '=')
            found = json_array_size(json_object_get(reply, "matches")) == (size_t)atoi(*want + 1);
        if (found == absent) {
            char *dump = json_dumps(json_object_get(reply, "matches"), 0);
            fail_msg("%s: %s in %.3000s", marked, *want, dump);
        }
    }
    json_decref(reply);
}

#define OFFERS(r, text, ...) offers(r, text, (const char *const[]){__VA_ARGS__, NULL})

static void lua_is_completed(void **state)
{
    struct recorder *r = *state;

    recorder_do(r, "local t = {alpha = {beta = 1}, ['two words'] = 2}; function own(a) return t end");
    OFFERS(r, "t.alpha.be", "beta", "=1");
    OFFERS(r, "own(1).al", "=0"); /* the user's functions are not called */
    OFFERS(r, "t[\"al|\"]", "alpha", "=1");
    OFFERS(r, "x = 'a':re", "rep", "reverse");
    OFFERS(r, "json.enc", "encode", "=1");
    OFFERS(r, "local u = t.alpha\nu.", "beta"); /* as the text itself assigns it */
    OFFERS(r, "x = { -- print(\n pri", "print");
    OFFERS(r, "f('a', [[b", "-print");
    OFFERS(r, "t['two words'].", "=0"); /* a number */
    OFFERS(r, "t['alpha'].be", "beta", "=1");
    OFFERS(r, "local amount = 1\nfmt('{am|", "amount", "=1");
    OFFERS(r, "fmt(\"is {t.alpha.|", "beta", "=1");
    OFFERS(r, "fmt('{{am|", "=0");
    OFFERS(r, "fmt('{amount:|", "=0");
}

static void what_calls_return_is_known(void **state)
{
    struct recorder *r = *state;

    OFFERS(r, "spark:table('x'):fil", "filter", "fillna", "-find");
    OFFERS(r, "spark:table('x'):filter('a > 1'):groupBy('a'):a", "agg", "avg");
    OFFERS(r, "spark.read:csv('p').", "columns", "show");
    OFFERS(r, "spark.read:csv('p'):", "-columns", "show");
    OFFERS(r, "local d = spark:sql([[SELECT 1]])\nlocal e = d:limit(3)\ne:sho", "show", "=1");
    OFFERS(r, "F.col('a'):is", "isNull", "isin");
    OFFERS(r, "F.sum('a'):ali", "alias");
    OFFERS(r, "df.write:mode('append'):save", "=0"); /* df is not known */
    OFFERS(r, "http.get('u'):js", "json");
    OFFERS(r, "http.get('u').sta", "status");
    assert_int_equal(session_execution_count(r->session), 0);
}

static void keyword_arguments_are_offered(void **state)
{
    struct recorder *r = *state;

    OFFERS(r, "json.encode(x, {ind", "indent = ", "-sort_keys = ");
    OFFERS(r, "json.encode(x, {indent = true, so", "sort_keys = ");
    OFFERS(r, "json.encode(x, {indent = tr", "true", "-indent = ");
    OFFERS(r, "spark:range(3):show{trun", "truncate = ");
    OFFERS(r, "http.get(u, {par", "params = ");
}

static void dataframes_are_completed(void **state)
{
    struct recorder *r = *state;

    recorder_do(r, "local df = spark:createDataFrame({{1, 'a'}}, {'number', 'name'}); "
                   "df:createOrReplaceTempView('my_view')");
    recorder_do(r, "df.write:saveAsTable('default.sales')");
    OFFERS(r, "df:select(\"na|", "name", "=1");
    OFFERS(r, "df:select(\"name\", \"nu|\")", "number", "=1");
    OFFERS(r, "df:select(F.col(\"nu|", "number", "=1");
    OFFERS(r, "df:filter('number > 1'):groupBy('|", "name", "number");
    OFFERS(r, "df:groupBy{'n|", "name", "number");
    OFFERS(r, "df[\"na|\"]", "name", "=1");
    OFFERS(r, "df\"na|", "name", "=1");
    OFFERS(r, "df.na", "na", "name");
    OFFERS(r, "df.", "columns", "write", "select", "number");
    OFFERS(r, "df.write.", "mode", "save");
    OFFERS(r, "df.write:mode(\"app|", "append", "=1");
    OFFERS(r, "df:join(df, \"name\", \"le|", "left", "=1");
    OFFERS(r, "df:select(F.upper(\"na|", "name", "=1");
    OFFERS(r, "spark:table(\"my|", "my_view", "=1");
    OFFERS(r, "spark:table(\"default.|", "default.sales");
    OFFERS(r, "spark:sql(\"SELECT * FROM my|", "my_view", "=1");
    OFFERS(r, "spark:sql[[SELECT * FROM my_view whe|", "WHERE");
    OFFERS(r, "%%sql\nselect * from sal|", "sales");
    OFFERS(r, "%%sql\nselect numb|", "number");
    OFFERS(r, "%%sql\nselect upp|", "upper");
    recorder_do(r,
                "spark:createDataFrame({{1, 2.5}}, {'city_id', 'price'}).write:saveAsTable('default.stock')");
    OFFERS(r, "%%sql\nselect pri| from stock", "price"); /* of a table that no variable has */
    OFFERS(r, "%%sql\nselect * from default.stock order by |", "price", "city_id");
    OFFERS(r, "%%sql\nselect s.pri| from default.stock s", "price", "=1");
    OFFERS(r, "spark:sql('select * from stock where ci|", "city_id");
    OFFERS(r, "%%sql\nselect pri| from nowhere", "-price");
    OFFERS(r, "%%sql\nselect `pri| from stock", "price`", "=1");
    OFFERS(r, "%%sql\nselect `pri|` from stock", "price", "=1");
    OFFERS(r, "%%sql\nselect s.`pri| from default.stock s", "price`", "=1");
    OFFERS(r, "%%sql\nselect * from `st|", "stock`");
    OFFERS(r, "%%sql\nselect * from `default`.`st|", "stock`", "=1");
    OFFERS(r, "%%sql\nselect `city_id`, pri| from stock", "price");
    OFFERS(r, "%%sql\nselect '`', pri| from stock", "price");
    recorder_do(r, "spark:range(1):toDF('my number'):createOrReplaceTempView('odd')");
    OFFERS(r, "%%sql\nselect my| from odd", "`my number`"); /* a name that SQL does not read bare */
    OFFERS(r, "%%sql\nselect `my nu| from odd", "my number`", "=1");
    OFFERS(r, "df:withColumnRenamed('nu|", "number", "=1");
    OFFERS(r, "df:explain('c|", "cost", "codegen", "=2");
    OFFERS(r, "io.open('x', 'r|", "r", "rb", "=2");
    OFFERS(r, "F.col(\"numb|", "number");
    OFFERS(r, "F.col('number'):cast('|", "string", "bigint", "double", "date", "-Makefile");
    OFFERS(r, "df.number:cast('time|", "timestamp", "timestamp_ntz", "time", "=5");
    OFFERS(r, "F.date_trunc('|", "year", "hour", "mm", "-Makefile");
    OFFERS(r, "F.trunc('|", "number", "name", "=2");
    OFFERS(r, "F.trunc('name', 'qu|", "quarter", "=1");
    OFFERS(r, "df:agg{n", "number = ", "name = ", "-aggregate = ");
    OFFERS(r, "df:agg{number = 'm|", "max", "mean", "median", "min", "-month");
    OFFERS(r, "df:groupBy('name'):agg{nu", "number = ");
    OFFERS(r, "df:groupBy('name'):agg{number = 'su|", "sum");
    OFFERS(r, "df['name']:is", "isNull", "isin");
    OFFERS(r, "df.name:is", "isNull", "isin");
    OFFERS(r, "local d = spark:table('x')\nd.c:is", "isNull", "isin");
    OFFERS(r, "spark:table('x')['c']:is", "isNull", "isin");
    OFFERS(r, "spark:table('x').", "columns", "-[string]");
    OFFERS(r, "df:join(df, '|", "name", "number", "=2");
    OFFERS(r, "df:join{df, on = '|", "name", "number", "=2");
    OFFERS(r, "df:join{df, on = {'|", "name", "number", "=2");
    OFFERS(r, "df:join(df, {on = {'name', 'nu|", "number", "=1");
    OFFERS(r, "df:join(df, {on = '|", "name", "number", "=2");
    OFFERS(r, "df:join(df, 'name', {how = 'le|", "left", "=1");
    recorder_do(r, "right = spark:createDataFrame({{'x', 1}}, {'name', 'city'}) apart = spark:range(1)");
    OFFERS(r, "df:join(right, '|", "name", "=1"); /* what both have */
    OFFERS(r, "df:join{right, on = {'|", "name", "=1");
    OFFERS(r, "df:join(right:alias('r'), {on = '|", "name", "=1");
    OFFERS(r, "df:join(right, F.col('|", "name", "number", "city", "=3"); /* a condition */
    OFFERS(r, "df:join(right, df'|", "name", "number", "=2");
    OFFERS(r, "df:join(right, 'name'):select('|", "name", "number", "city", "=3");
    OFFERS(r, "df:join(apart, '|", "name", "number", "id", "=3");
    OFFERS(r, "local j = df:join(right, 'name')\ndf:select('|", "name", "number", "=2");
    recorder_do(r, "right, apart = nil, nil");
    OFFERS(r, "df:join{df, how = 'le|", "left", "=1");
    OFFERS(r, "df:join(df, {o|", "on = ");
    OFFERS(r, "df:fillna{0, subset = {'name', '|", "name", "number", "=2");
    OFFERS(r, "df:lateralJoin{df, how = 'le|", "left", "=1");
    OFFERS(r, "plot.hist(df, {x = '|", "name", "number", "=2");
    OFFERS(r, "plot.hist(df, '|", "-Makefile");
    OFFERS(r, "plot.bar(df, {agg = 'av|", "avg", "=1");
}

static void options_of_files_are_offered(void **state)
{
    struct recorder *r = *state;

    recorder_do(r, "local df = spark:range(3)");
    OFFERS(r, "spark.read:option('|", "header", "multiLine", "mergeSchema", "versionAsOf", "-quoteAll");
    OFFERS(r, "spark.read:format('csv'):option(\"inf|", "inferSchema", "=1");
    OFFERS(r, "spark.read:format('csv'):option('|", "header", "-mergeSchema", "-versionAsOf");
    OFFERS(r, "spark.read:format('json'):option('all|", "allowComments", "-header");
    OFFERS(r, "spark.read:format('delta'):option('|", "versionAsOf", "timestampAsOf", "-sep");
    OFFERS(r, "spark.read:csv('p', {he", "header = ");
    OFFERS(r, "spark.read:csv('p', {header = true, null", "nullValue = ");
    OFFERS(r, "spark.read:csv{'p', nu", "nullValue = ");
    OFFERS(r, "spark.read:json{'p', all", "allowComments = ");
    OFFERS(r, "spark.read:parquet{'p', me", "mergeSchema = ");
    OFFERS(r, "spark.read:options{tim", "timestampFormat = ", "timestampAsOf = ");
    OFFERS(r, "df.write:option('|", "mergeSchema", "compression", "quoteAll", "-versionAsOf");
    OFFERS(r, "df.write:mode('|", "append", "overwrite", "error", "ignore", "=4");
    OFFERS(r, "df.write:format('|", "delta", "parquet", "csv", "json", "text", "=5");
    OFFERS(r, "df.write:csv('p', {qu", "quoteAll = ", "quote = ");
    OFFERS(r, "df.write:save{'p', mode = 'ov|", "overwrite", "=1");
    OFFERS(r, "df.write:format('json'):option('ig|", "ignoreNullFields", "=1");
}

static void magics_are_completed(void **state)
{
    struct recorder *r = *state;

    struct cell_reply reply;

    recorder_do(r, "local some_name = 1");
    OFFERS(r, "%tim", "time", "timeit");
    OFFERS(r, "%time some_n", "some_name");
    OFFERS(r, "%%time\nlocal x = 1\nsome_n", "some_name");
    OFFERS(r, "x = 5 %some_n", "some_name");
    OFFERS(r, "!cat /et", "etc/");
    OFFERS(r, "%cd /et", "etc/");
    OFFERS(r, "%timeit -", "-n", "-r", "-o");
    OFFERS(r, "%%writefile -", "-a");
    OFFERS(r, "%config ", "editing_mode", "memory_limit", "spark.sql.shuffle.partitions", "-some_name");
    OFFERS(r, "%config ed", "editing_mode", "editor", "=2");
    OFFERS(r, "%config editing_mode = ", "emacs", "vi", "=2");
    OFFERS(r, "%config editing_mode=v", "vi", "=1");
    OFFERS(r, "%config memory_limit = ", "=0");
    recorder_run(r, r->session, "%config editing_mode = nano", &reply);
    assert_string_equal(reply.ename, "ArgumentError");
    cell_reply_release(&reply);
    OFFERS(r, "%%script aw", "awk", "-some_name");
    OFFERS(r, "%%script ", "sh", "-some_name", "-Makefile");
    OFFERS(r, "%%script sh ", "-some_name");
    OFFERS(r, "%who n", "number", "=1");
    OFFERS(r, "%whos ", "number", "=1");
    OFFERS(r, "%xmode ", "Minimal", "Plain", "Context", "Verbose", "Folded", "=5");
    OFFERS(r, "%autoreload ", "0", "1", "2", "now", "=4");
    OFFERS(r, "%run /et", "etc/");
    OFFERS(r, "%cd /etc/pass", "=0"); /* a file */
    OFFERS(r, "%run /etc/passw", "passwd");
    OFFERS(r, "%pwd ", "=0");
    OFFERS(r, "%lsmagic ", "=0");
    OFFERS(r, "%recall ", "=0");
    OFFERS(r, "%prun some_n", "some_name", "=1");
    OFFERS(r, "%prun -o /et", "etc/");
    OFFERS(r, "%history /et", "=0");
    OFFERS(r, "%history -f /et", "etc/");
    OFFERS(r, "%%python -i some_n", "some_name", "=1");
    OFFERS(r, "%set_env PAT", "PATH", "=1");
    OFFERS(r, "%store some", "some_name", "=1");
    OFFERS(r, "%store -d ", "=0");
    recorder_do(r, "%store some_name");
    recorder_do(r, "%bookmark root /");
    recorder_do(r, "some_name = nil");
    OFFERS(r, "%store -d ", "some_name", "=1");
    OFFERS(r, "%store -r so", "some_name", "=1");
    OFFERS(r, "%cd -b ", "root", "=1");
    OFFERS(r, "%bookmark -d r", "root", "=1");
    OFFERS(r, "%config spark.sql.session.time", "spark.sql.session.timeZone", "=1");
}

/* The values that ipywidgets' traits enumerate (widgets/widget_layout.py, widget_int.py, widget_button.py). */
static void fields_of_widgets_are_offered(void **state)
{
    struct recorder *r = *state;

    OFFERS(r, "widgets.IntSlider{orientation='|", "horizontal", "vertical", "=2");
    OFFERS(r, "widgets.IntSlider{min = 1, orientation = \"v|", "vertical", "=1");
    OFFERS(r, "widgets.Button{button_style='|", "primary", "success", "info", "warning", "danger", "=5");
    OFFERS(r, "widgets.IntProgress{bar_style='|", "success", "-primary", "=4");
    OFFERS(r, "widgets.HBox{box_style='|", "success", "=4");
    OFFERS(r, "widgets.Layout{align_items='|", "center", "baseline", "stretch", "-space-between");
    OFFERS(r, "widgets.Button{layout = {visibility='h|", "hidden", "=1");
    OFFERS(r, "widgets.Button{layout = {align_", "align_items = ", "align_self = ", "-icon = ");
    OFFERS(r, "widgets.Button{layout = widgets.Layout{justify_content='space-a|", "space-around", "=1");
    OFFERS(r, "widgets.IntSlider{style = {han", "handle_color = ");
    OFFERS(r, "widgets.IntSlider{style = {handle_color='darko|", "darkorange", "darkorchid", "darkolivegreen",
           "=3");
    OFFERS(r, "widgets.ColorPicker{value='reb|", "rebeccapurple", "=1");
    OFFERS(r, "widgets.IntSlider{lay", "layout = ");
    OFFERS(r, "widgets.Image{sty", "-style = ");
    OFFERS(r, "widgets.Text{value='|", "-horizontal", "-aqua");
    recorder_do(
        r, "local w = widgets.IntSlider{}; local pick = widgets.Dropdown{options = {'red', 'green', 3}}");
    OFFERS(r, "w.orientation = '|", "horizontal", "vertical", "=2");
    OFFERS(r, "w.layout.align_items = 'ba|", "baseline", "=1");
    OFFERS(r, "x = 1\nw.style.handle_color = 'darkorc|", "darkorchid", "=1");
    OFFERS(r, "pick.value = '|", "red", "green", "=2");
    OFFERS(r, "local t = {w = 1}; t.w = '|", "-horizontal");

    recorder_do(r, "local function shown(rate, epochs) end; local t = {inner = function(alpha) end}");
    OFFERS(r, "widgets.interact(shown, {", "rate = ", "epochs = ");
    OFFERS(r, "widgets.interact(shown, {ep", "epochs = ", "=1");
    OFFERS(r, "widgets.interact_manual(t.inner, {", "alpha = ");
    OFFERS(r, "widgets.interactive(function(size, on) end, {", "size = ", "on = ", "-rate = ");
    OFFERS(r, "widgets.interact{shown, ra", "rate = ");
    OFFERS(r, "local shown = function(newer) end\nwidgets.interact(shown, {", "newer = ", "-rate = ");
    OFFERS(r, "function other(one, two) end\nwidgets.interact(other, {one = 1, t", "two = ", "-one = ");
    OFFERS(r, "widgets.interact(print, {", "-rate = ");
}

/* The cursor is at the |, or at the end. */
static void explains(struct recorder *r, const char *marked, int detail, const char *const *want)
{
    char text[1024];
    const char *bar = strchr(marked, '|');
    size_t at = bar ? (size_t)(bar - marked) : strlen(marked);
    snprintf(text, sizeof text, "%.*s%s", (int)at, marked, bar ? bar + 1 : "");
    json_t *reply = session_inspect(r->session, text, strlen(text), at, detail);
    const char *got = json_string_value(json_object_get(json_object_get(reply, "data"), "text/plain"));

    for (; *want; want++)
        if (!got || !strstr(got, *want))
            fail_msg("%s: want %s in\n%s", text, *want, got ? got : "nothing");
    json_decref(reply);
}

#define EXPLAINS(r, text, detail, ...) explains(r, text, detail, (const char *const[]){__VA_ARGS__, NULL})

static void words_of_sql_are_explained(void **state)
{
    struct recorder *r = *state;

    recorder_do(r, "local d = spark:createDataFrame({{1, 2.5, 'x'}}, {'id', 'amount', 'two words'})\n"
                   "d:createOrReplaceTempView('sold'); d:select('id'):createOrReplaceTempView('people')");
    EXPLAINS(r, "%%sql\nSELECT id FROM so|ld WHERE id > 1", 0, "Table: sold",
             "  id: bigint\n  amount: double", "Type: table");
    EXPLAINS(r, "%%sql\nSELECT am|ount FROM people p, sold", 0, "Column: amount", "Table: sold",
             "Type: double");
    EXPLAINS(r, "%%sql\nSELECT `am|ount` FROM people p, sold", 0, "Column: amount", "Table: sold");
    recorder_do(r, "d:select('id'):toDF('my id'):createOrReplaceTempView('odd')");
    EXPLAINS(r, "%%sql\nSELECT o.`my i|d` FROM `odd` o", 0, "Column: my id", "Type: bigint");
    EXPLAINS(r, "%%sql\nSELECT `my id` FROM `o|dd`", 0, "Table: odd");
    EXPLAINS(r, "%%ti|me", 0, "Usage: %time STATEMENT");
    EXPLAINS(r, "%%sql\nSELECT id|\nFROM sold JOIN people USING (id)", 0, "Table: sold", "Table: people",
             "Type: bigint");
    EXPLAINS(r, "%%sql\nSELECT s.id|\nFROM sold AS s JOIN people p ON s.id = p.id", 0,
             "Column: id\nTable: sold\nType: bigint\n");
    EXPLAINS(r, "%%sql\nSELECT * FROM sold s WHERE s|", 0, "Table: sold\nColumns:");
    EXPLAINS(r, "%%sql df\nSELECT upp|er(x) FROM sold", 0, "Signature: F.upper(col)", "Type: function");
    EXPLAINS(r, "%%sql\nSELECT DATE_ADD(now(), |", 0, "Signature: F.date_add(");
    EXPLAINS(r, "x = 1\n%sql SELECT amount| FROM sold", 0, "Type: double");
    EXPLAINS(r, "%%sql\nSELE|CT 1", 0, "Usage: %sql");
    EXPLAINS(r, "%%sq|l\nSELECT 1", 0, "Usage: %sql");
    EXPLAINS(r, "%%sql\nSELECT id FROM nosuch|", 0, "Usage: %sql");
    EXPLAINS(r, "%%time\njson.enco|de(1)", 0, "Signature: json.encode(");
    EXPLAINS(r, "%%ti|me\njson.encode(1)", 0, "Usage: %time");
    EXPLAINS(r, "%%capture out\n%sql SELECT amount| FROM sold", 0, "Type: double");
}

static void what_stands_there_is_explained(void **state)
{
    struct recorder *r = *state;

    EXPLAINS(r, "json.encode", 0, "Signature: json.encode(value: any", "Docstring:", "Example:");
    EXPLAINS(r, "spark:table('x'):filter(", 0, "Signature: DataFrame:filter(condition) -> DataFrame");
    EXPLAINS(r, "F.sum('a'):alias", 0, "Signature: Column:alias");
    EXPLAINS(r, "mlflow.log_metric", 1, "Signature: mlflow.log_metric(key: string",
             "Source:\nfunction mlflow.log_metric(...)");
    EXPLAINS(r, "local f = F.upp; F.upper(", 0, "Signature: F.upper(col)");
    EXPLAINS(r, "widgets.IntSlider{", 0, "min = 0", "-> Widget");
    EXPLAINS(r, "http.get(u).status", 0, "200, 404");
    recorder_do(r, "dbutils.widgets.text('learning_rate', '1'); local show = spark:range(1).show");
    EXPLAINS(r, "show", 0, "DataFrame:show");
    OFFERS(r, "dbutils.widgets.get(\"lea|", "learning_rate", "=1");
    OFFERS(r, "dbutils.widgets.get('|", "learning_rate");
    OFFERS(r, "llm.finetune{mo", "model = ");
    OFFERS(r, "llm.finetune{model = 'm', peft = LoraConfig{lora_", "lora_alpha = ", "lora_dropout = ");
    OFFERS(r, "TrainingArguments{lr_scheduler_type = 'cosine_with|", "cosine_with_min_lr",
           "cosine_with_restarts", "=2");
    OFFERS(r, "TrainingArguments{eval_str", "eval_strategy = ");
    OFFERS(r, "TrainingArguments{save_strategy = '|", "no", "steps", "epoch", "=3");
    OFFERS(r, "Trainer{args = TrainingArguments{optim = '|", "adamw_torch", "sgd", "-Makefile");
    OFFERS(r, "llm.finetune{args = {eval_strategy = '|", "no", "steps", "epoch", "=3");
    OFFERS(r, "widgets.IntSlider{mi", "min = ");
    OFFERS(r, "mlflow.start_run{run_", "run_name = ", "run_id = ");
    OFFERS(r, "llm.load('m'):gen", "generate");
    OFFERS(r, "local job = llm.finetune{model = 'm', train_dataset = d}\njob:w", "wait");
    OFFERS(r, "mlflow.MlflowClient():get_mod", "get_model_version");
    OFFERS(r, "mlflow.get_run(id).in", "info", "inputs");
}

/* What the last error shows in a mode. */
static void shows(struct recorder *r, const char *mode, const char *const *want)
{
    char cell[64], *printed;
    const char *text;
    json_t *shown;

    snprintf(cell, sizeof cell, "%%tb %s", mode);
    recorder_do(r, cell);
    printed = recorder_text(r, STREAM_STDOUT);
    shown = recorder_event(r, "display_data", 0); /* with the calls: in parts that fold */
    text = shown ? json_string_value(json_object_get(json_object_get(shown, "data"), "text/plain")) : printed;
    for (; *want; want++)
        if ((strstr(text, *want + (**want == '-')) != NULL) == (**want == '-'))
            fail_msg("%%tb %s: %s in\n%s", mode, *want, text);
    free(printed);
}

#define SHOWS(r, mode, ...) shows(r, mode, (const char *const[]){__VA_ARGS__, NULL})

static void errors_are_told_again_in_other_modes(void **state)
{
    struct recorder *r = *state;
    struct cell_reply reply;

    recorder_do(r, "%tb");
    recorder_do(r, "%xmode verbose");
    recorder_run(r, r->session,
                 "local function inner(x)\n  local list, s = {1, 2}, 'text'\n  return x.a.b\nend\ninner({})",
                 &reply);
    assert_int_equal(reply.status, CELL_ERROR);
    cell_reply_release(&reply);
    SHOWS(r, "", "in function 'inner'", "return x.a.b", "list = table with 2 entries", "s = \"text\"",
          "RuntimeError: attempt to index");
    SHOWS(r, "context", "return x.a.b", "-list =", "RuntimeError");
    SHOWS(r, "Plain", "line 3", "-return x.a.b", "RuntimeError");
    SHOWS(r, "Minimal", "-line 3", "RuntimeError");
    recorder_run(r, r->session, "%xmode loud", &reply);
    assert_string_equal(reply.ename, "ArgumentError");
    cell_reply_release(&reply);
}

static void columns_that_nobody_uses_are_told_of(void **state)
{
    struct recorder *r = *state;
    char *text;

    recorder_do(r, "local df = spark:range(10)\n"
                   "df:filter(F.col('id'):gt(3)\n"
                   "  and F.col('id'):lt(7)):count()\n"
                   "F.col('id'):eq(4)\n"
                   "local kept = F.col('id') + 1");
    text = recorder_text(r, STREAM_STDERR);
    assert_non_null(strstr(text, "line 2: a Column"));
    assert_non_null(strstr(text, "line 4: a Column"));
    assert_null(strstr(text, "line 3"));
    assert_null(strstr(text, "line 5"));
    free(text);
    recorder_do(r, "kept = nil\ndf:filter(F.col('id'):gt(3) & "
                   "F.col('id'):lt(7)):select(-F.col('id')):count()\nF.col('id'):gt(1)");
    text = recorder_text(r, STREAM_STDERR);
    assert_string_equal(text, "");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lua_is_completed, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(what_calls_return_is_known, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(keyword_arguments_are_offered, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(dataframes_are_completed, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(options_of_files_are_offered, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(magics_are_completed, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(fields_of_widgets_are_offered, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(words_of_sql_are_explained, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(what_stands_there_is_explained, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(columns_that_nobody_uses_are_told_of, set_up, recorder_tear_down),
        cmocka_unit_test_setup_teardown(errors_are_told_again_in_other_modes, set_up, recorder_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
