/* mlflow_test.c: the global mlflow in a session: what a cell of a Databricks notebook says, with : for the client. */
#include "repl/globals.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/catalog/catalog.h"
#include "runtime/tracking/tracker.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    char home[64];
    struct recorder recorder;
    struct session *session;
};

static void open_session(struct place *p)
{
    struct session_options options = {.globals = lacus_globals, .notebook = "/nb/train.ipynb"};
    struct err err = {0};

    p->recorder = (struct recorder){0};
    options.frontend = recorder_frontend(&p->recorder);
    if (session_open(&options, &p->session, &err) != LC_OK)
        fail_msg("%s", err.message);
}

static int make_place(void **state)
{
    struct place *p = mem_zalloc(sizeof *p);

    strcpy(p->home, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(p->home));
    setenv("LACUS_HOME", p->home, 1);
    unsetenv("MLFLOW_TRACKING_URI");
    unsetenv("MLFLOW_EXPERIMENT_ID");
    unsetenv("MLFLOW_EXPERIMENT_NAME");
    open_session(p);
    *state = p;
    return 0;
}

static void close_session(struct place *p)
{
    session_close(p->session);
    recorder_release(&p->recorder);
    p->session = NULL;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    struct err err;

    close_session(p);
    assert_int_equal(fs_remove_tree(p->home, &err), LC_OK);
    mem_free(p);
    return 0;
}

/* Runs a cell that must not fail; compares what it printed. */
static void prints(struct place *p, const char *cell, const char *expected)
{
    struct cell_reply reply;
    char *text;

    recorder_clear(&p->recorder);
    recorder_run(&p->recorder, p->session, cell, &reply);
    if (reply.status != CELL_OK)
        fail_msg("%s: %s: %s", cell, reply.ename, reply.evalue);
    cell_reply_release(&reply);
    text = recorder_text(&p->recorder, STREAM_STDOUT);
    if (expected)
        assert_string_equal(text, expected);
    mem_free(text);
}

/* Runs a cell that must fail, with that in its message or its hint. */
static void fails(struct place *p, const char *cell, const char *ename, const char *part)
{
    struct cell_reply reply;

    recorder_run(&p->recorder, p->session, cell, &reply);
    if (reply.status != CELL_ERROR)
        fail_msg("did not fail: %s", cell);
    if (ename)
        assert_string_equal(reply.ename, ename);
    char *all = json_dumps(reply.traceback, JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    if (!strstr(reply.evalue, part) && !strstr(all, part))
        fail_msg("%s: '%s' is not in '%s'", cell, part, reply.evalue);
    free(all);
    cell_reply_release(&reply);
}

static void a_run_spans_cells(void **state)
{
    struct place *p = *state;

    prints(p, "e = mlflow.set_experiment('/Users/me/llm') print(e.name, e.experiment_id)",
           "/Users/me/llm\t1\n");
    prints(p, "run = mlflow.start_run{run_name = 'sft-v1', tags = {team = 'nlp'}}", "");
    prints(p, "mlflow.log_param('lr', 2e-4) mlflow.log_params{epochs = 3, peft = {r = 16}}", "");
    prints(p,
           "for i = 1, 3 do mlflow.log_metric('loss', 1 / i, i) end mlflow.log_metrics({acc = 0.5, f1 = "
           "0.25}, {step = 2})",
           "");
    prints(p, "mlflow.log_metric{key = 'n', value = 0/0, step = 7}", "");
    prints(p,
           "mlflow.set_tags{a = 1} mlflow.set_tag('b', true) print(mlflow.active_run().info.run_id == "
           "run.info.run_id)",
           "true\n");
    prints(p, "mlflow.end_run() print(mlflow.active_run())", "nil\n");
    prints(p,
           "r = mlflow.get_run(run.info.run_id) print(r.info.status, r.data.params.lr, r.data.params.epochs, "
           "r.data.params.peft)",
           "FINISHED\t0.0002\t3\t{\"r\":16}\n");
    prints(p,
           "print(r.data.metrics.loss, r['metrics.acc'], r.data.metrics.n ~= r.data.metrics.n, "
           "r.data.tags.team, r['tags.b'])",
           "0.33333333333333\t0.5\ttrue\tnlp\ttrue\n");
    prints(p,
           "print(r.data.tags['mlflow.source.name'], r.data.tags['mlflow.source.type'], "
           "r.data.tags['mlflow.runName'])",
           "/nb/train.ipynb\tNOTEBOOK\tsft-v1\n");
    prints(p,
           "for _, m in ipairs(mlflow.MlflowClient():get_metric_history(run.info.run_id, 'loss')) do "
           "print(m.step, m.value) end",
           "1\t1.0\n2\t0.5\n3\t0.33333333333333\n");
}

static void a_block_ends_its_run_however_it_ends(void **state)
{
    struct place *p = *state;

    prints(
        p,
        "print(mlflow.run('good', function(run) mlflow.log_metric('x', 1) return run.info.run_name, 2 end))",
        "good\t2\n");
    fails(p, "mlflow.run('bad', function() error('boom') end)", NULL, "boom");
    prints(p, "print(mlflow.active_run())", "nil\n");
    prints(p,
           "for _, r in ipairs(mlflow.search_runs{order_by = {'attributes.run_name'}}) do print(r.run_name, "
           "r.status) end",
           "bad\tFAILED\ngood\tFINISHED\n");
    /* a coroutine that is dropped in the middle has not finished */
    prints(p,
           "co = coroutine.create(function() mlflow.run('dropped', function() coroutine.yield() end) end) "
           "coroutine.resume(co) coroutine.close(co) print(mlflow.search_runs{filter_string = \"run_name = "
           "'dropped'\"}[1].status)",
           "FAILED\n");
}

static void runs_nest(void **state)
{
    struct place *p = *state;

    prints(p, "outer = mlflow.start_run{run_name = 'outer'}", "");
    fails(p, "mlflow.start_run()", "ArgumentError", "is already active");
    prints(p,
           "inner = mlflow.start_run{run_name = 'inner', nested = true} "
           "print(inner['tags.mlflow.parentRunId'] == outer.run_id)",
           "true\n");
    prints(p, "mlflow.end_run() print(mlflow.active_run().run_name) mlflow.end_run()", "outer\n");
}

static void a_run_that_is_open_ends_with_its_session(void **state)
{
    struct place *p = *state;

    prints(p, "mlflow.start_run{} mlflow.end_run()", "");
    prints(p, "mlflow.start_run{run_name = 'left open'}", NULL);
    close_session(p);
    open_session(p);
    prints(p, "print(mlflow.search_runs()[1].status)", "FINISHED\n");
    prints(p, "mlflow.start_run{run_name = 'cut short'}", NULL);
    fails(p, "error('the notebook stops here')", NULL, "stops here");
    close_session(p);
    open_session(p);
    prints(p, "print(mlflow.search_runs{filter_string = \"run_name = 'cut short'\"}[1].status)", "FAILED\n");
}

static void wrong_arguments_are_named(void **state)
{
    struct place *p = *state;

    fails(p, "mlflow.log_metric{key = 'x', vaule = 1}", "ArgumentError", "did you mean 'value'?");
    fails(p, "mlflow.log_metric('x')", "ArgumentError", "needs the argument 'value'");
    fails(p, "mlflow.log_metric('x', 'much')", NULL, "number expected");
    fails(p, "mlflow.MlflowClient().get_run('x')", "ArgumentError", "is a method");
    fails(p, "mlflow.get_run('0123')", "NotFoundError", "no run '0123'");
    fails(p, "mlflow.search_runs{filter_string = 'metrics.loss <'}", "ArgumentError", "at its end");
    fails(p, "mlflow.set_tracking_uri('http://elsewhere:5000')", "UnsupportedError", "elsewhere");
    prints(p, "mlflow.set_registry_uri('databricks-uc') mlflow.log_param('lr', 1)", "");
    fails(p, "mlflow.log_param('lr', 2)", "ArgumentError", "was already logged with value='1'");
}

static void artifacts_come_back(void **state)
{
    struct place *p = *state;

    prints(p,
           "local run = mlflow.start_run() mlflow.log_dict({a = {1, 2}}, 'conf/x.json') "
           "mlflow.log_text('hi', 'notes.txt')",
           "");
    prints(p,
           "uri = 'runs:/' .. mlflow.active_run().run_id print(mlflow.artifacts.load_text(uri .. "
           "'/notes.txt'), mlflow.artifacts.load_dict(uri .. '/conf/x.json').a[2])",
           "hi\t2\n");
    prints(p,
           "for _, f in ipairs(mlflow.MlflowClient():list_artifacts(mlflow.active_run().run_id)) do "
           "print(f.path, f.is_dir) end",
           "conf\ttrue\nnotes.txt\tfalse\n");
    fails(p, "mlflow.log_text('x', '../../evil')", "ArgumentError", "invalid artifact path");
    fails(p, "mlflow.log_artifact('/no/such/file')", "NotFoundError", "/no/such/file");
}

static void make_schema(const char *catalog, const char *schema)
{
    struct ctx ctx = ctx_background();
    struct catalog *c;
    struct err err;

    err_clear(&err);
    assert_int_equal(catalog_open(&c, &err), LC_OK);
    assert_int_equal(catalog_create_catalog(&ctx, c, catalog, NULL, false, &err), LC_OK);
    assert_int_equal(catalog_create_schema(&ctx, c, catalog, schema, NULL, NULL, false, &err), LC_OK);
    catalog_close(c);
}

static void models_are_registered_and_found(void **state)
{
    struct place *p = *state;

    prints(
        p,
        "mlflow.start_run() mlflow.log_text('{\"architectures\": [\"LlamaForCausalLM\"]}', 'm/config.json')",
        "");
    fails(p, "mlflow.register_model('runs:/' .. mlflow.active_run().run_id .. '/m', 'ml.models.sft')",
          "NotFoundError", "[SCHEMA_NOT_FOUND] cannot register the model 'ml.models.sft'");
    make_schema("ml", "models");
    prints(p,
           "mv = mlflow.register_model('runs:/' .. mlflow.active_run().run_id .. '/m', 'ml.models.sft') "
           "print(mv.name, mv.version, mv.run_id == mlflow.active_run().run_id)",
           "ml.models.sft\t1\ttrue\n");
    prints(p,
           "c = mlflow.MlflowClient() c:set_registered_model_alias{name = mv.name, alias = 'champion', "
           "version = mv.version}",
           "");
    prints(p,
           "print(c:get_model_version_by_alias('ml.models.sft', 'champion').version, "
           "c:get_registered_model(mv.name).aliases.champion)",
           "1\t1\n");
    prints(p,
           "c:set_model_version_tag(mv.name, 1, 'ok', 'yes') print(#c:search_model_versions(\"name = "
           "'ml.models.sft' and tags.ok = 'yes'\"))",
           "1\n");
    fails(p, "c:get_model_version_by_alias('ml.models.stf', 'champion')", "NotFoundError", "'ml.models.sft'");
    prints(p,
           "c:delete_registered_model_alias(mv.name, 'champion') c:delete_registered_model(mv.name) "
           "print(#c:search_registered_models())",
           "0\n");
}

static void an_object_that_can_save_itself_is_a_model(void **state)
{
    struct place *p = *state;

    prints(p,
           "local model = {save_pretrained = function(self, dir) os.execute('mkdir -p ' .. dir) "
           "local f <close> = io.open(dir .. '/config.json', 'w') f:write('{}') end} "
           "local info = mlflow.transformers.log_model{transformers_model = {model = model}, artifact_path = "
           "'model', "
           "registered_model_name = 'sft'} print(info.model_uri:match('^runs:/%x+/model$') ~= nil, "
           "info.registered_model_version)",
           "true\t1\n");
    fails(p, "mlflow.log_model(42, 'm')", "ArgumentError", "cannot log a number as a model");
}

static void a_run_is_shown_as_a_card(void **state)
{
    struct place *p = *state;
    json_t *shown;
    const char *html, *text;

    prints(p,
           "mlflow.run('<b>', function() mlflow.log_param('p', '<script>') mlflow.log_metric('loss', 0.125) "
           "end)",
           "");
    prints(p, "display(mlflow.search_runs()[1]) display(mlflow.search_runs())", "");
    shown = json_object_get(recorder_event(&p->recorder, "display_data", 0), "data");
    html = json_string_value(json_object_get(shown, "text/html"));
    text = json_string_value(json_object_get(shown, "text/plain"));
    assert_non_null(strstr(html, "&lt;script&gt;"));
    assert_null(strstr(html, "<script>"));
    assert_non_null(strstr(html, "0.125"));
    assert_non_null(strstr(text, "metrics.loss = 0.125"));
    shown = json_object_get(recorder_event(&p->recorder, "display_data", 1), "data");
    assert_non_null(strstr(json_string_value(json_object_get(shown, "text/html")), ">metrics.loss</th>"));
}

/* What the catalog notes when a table is read while a run is active becomes an input of the run. */
static void tables_that_were_read_are_inputs(void **state)
{
    struct place *p = *state;
    struct ctx ctx = ctx_background();
    struct catalog *c;
    struct err err;
    char run[64];

    prints(p, "run = mlflow.start_run() io.write(run.run_id)", NULL);
    char *text = recorder_text(&p->recorder, STREAM_STDOUT);
    snprintf(run, sizeof run, "%.32s", text);
    mem_free(text);
    ctx.lineage.run = run;
    assert_int_equal(catalog_open(&c, &err), LC_OK);
    assert_int_equal(catalog_add_lineage(&ctx, c, "READ", "ml.data.train", 3, &err), LC_OK);
    assert_int_equal(catalog_add_lineage(&ctx, c, "READ", "ml.data.train", 3, &err), LC_OK);
    assert_int_equal(catalog_add_lineage(&ctx, c, "WRITE", "ml.data.out", 1, &err), LC_OK);
    catalog_close(c);
    prints(p,
           "mlflow.end_run() for _, i in ipairs(mlflow.get_run(run.run_id).inputs.dataset_inputs) do "
           "print(i.dataset.name, i.dataset.digest) end",
           "ml.data.train\t3\n");
    prints(p, "print(#mlflow.search_runs{filter_string = \"datasets.name = 'ml.data.train'\"})", "1\n");
}

static void deleted_experiments_are_not_logged_to(void **state)
{
    struct place *p = *state;

    prints(p, "id = mlflow.create_experiment('gone') mlflow.delete_experiment(id)", "");
    fails(p, "mlflow.set_experiment('gone')", "ArgumentError", "deleted experiment");
    prints(p, "print(#mlflow.search_experiments(), #mlflow.search_experiments{view_type = 'ALL'})", "1\t2\n");
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_run_spans_cells),
        T(a_block_ends_its_run_however_it_ends),
        T(runs_nest),
        T(a_run_that_is_open_ends_with_its_session),
        T(wrong_arguments_are_named),
        T(artifacts_come_back),
        T(models_are_registered_and_found),
        T(an_object_that_can_save_itself_is_a_model),
        T(a_run_is_shown_as_a_card),
        T(tables_that_were_read_are_inputs),
        T(deleted_experiments_are_not_logged_to),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
