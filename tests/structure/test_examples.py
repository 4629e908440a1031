"""The example in each header's contract compiles: with that header, and with what an example may take for granted."""
import concurrent.futures
import os
import pathlib
import re
import shlex
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
CODE = ("repl", "kernel", "magics", "widgets", "runtime", "gpu")
STANDARD = ("stdio.h", "string.h", "unistd.h", "stdint.h", "stdbool.h")
GRANTED = "extern struct err err;\nextern struct ctx ctx;\nextern lua_State *L;\nextern enum lc rc, code;\n"
MODEL = "extern struct model *m;"
SESSION = "extern struct session *s;"
DUCK = "struct engine; extern struct engine *e; extern const struct ctx *ctx;"

# What an example uses beside its own header: other headers to include, and names that stand for the reader's own.
AROUND = {
    "gpu/cpu/kernels.h": ([], "extern struct pool *pool; extern struct kernel_norm_arg { int64_t rows; } arg;"),
    "gpu/cpu/pool.h": ([], "extern struct pool *p; extern float numbers[1000]; pool_fn double_them;"),
    "gpu/cpu/simd.h": ([], "extern float *p;"),
    "gpu/generate.h": ([], MODEL + "extern const int32_t ids[]; extern size_t n;"),
    "gpu/lora.h": ([], MODEL),
    "gpu/model.h": ([], "extern const int32_t ids[3], starts[2]; extern struct backend *backend;"),
    "gpu/model_io.h": (["gpu/model_int.h"], MODEL + "extern const char *path; extern struct err *err;"),
    "gpu/safetensors.h": ([], "extern float weight[16];"),
    "gpu/tensor.h": ([], "extern struct tensor view;"),
    "gpu/tokenizer/assistant.h": ([], "extern struct tokenizer *tok; extern json_t *messages; extern struct buf text; extern struct encoding enc; extern int32_t mask[];"),
    "gpu/tokenizer/train.h": ([], "extern FILE *file; enum lc next_line(void *arg, const char **text, size_t *len, struct err *err);"),
    "runtime/base/thread.h": ([], "extern FILE *file; void *count_lines(void *arg);"),
    "runtime/dataframe/engines/duckdb/table_function.h": ([], "extern duckdb_bind_info info;"),
    "gpu/trainer.h": ([], MODEL + "extern struct train_dataset train;"),
    "kernel/channels.h": ([], "extern struct channels *ch;"),
    "kernel/cells.h": ([], "extern struct kernel *k; extern struct request *r;"),
    "kernel/inbox.h": ([], "extern struct inbox *inbox; inbox_filter any_request; void answer(struct request *r);"),
    "kernel/kernelspec.h": (["runtime/base/mem.h"], ""),
    "kernel/kernel.h": (["repl/globals.h"], ""),
    "kernel/publisher.h": ([], "extern struct publisher *p;"),
    "kernel/shells.h": ([], "extern struct shells *s;"),
    "kernel/seen.h": ([], "extern unsigned char digest[32];"),
    "repl/backend.h": ([], "extern struct session *session; extern struct terminal_frontend frontend;"),
    "repl/editor.h": (["runtime/base/mem.h"], "extern struct backend backend;"),
    "gpu/adapter.h": (["stdio.h"], MODEL + "extern json_t *object;"),
    "gpu/prompt.h": ([], MODEL),
    "repl/editor/menu.h": ([], "extern json_t *reply; extern const char *text;"),
    "repl/remote.h": (["repl/prompt.h"], "extern struct terminal_frontend frontend;"),
    "repl/run_options.h": ([], "extern int argc; extern char **argv;"),
    "repl/sweep.h": ([], "extern struct run_options options; sweep_fn run_notebook;"),
    "repl/sweep_int.h": ([], "extern struct sweep s;"),
    "repl/interrupt.h": ([], "extern struct session *session;"),
    "repl/listing.h": ([], "extern int argc; extern char **argv; extern json_t *rows;"),
    "repl/terminal_frontend.h": (["runtime/session/session.h"], ""),
    "repl/prompt.h": ([], "extern struct session *session; extern struct terminal_frontend frontend;"),
    "runtime/notebook/minder.h": ([], "bool asked(void *arg);"),
    "runtime/notebook/papermill.h": ([], "extern struct notebook *nb; extern json_t *params;"),
    "runtime/notebook/runner_int.h": ([], "extern struct runner *r;"),
    "runtime/notebook/upgrade.h": ([], "extern json_t *root;"),
    "runtime/catalog/resolve.h": ([], "extern struct catalog *catalog; extern struct delta_engine *engine; extern const struct plan *plan;"),
    "runtime/dataframe/connect/encode.h": ([], "extern const struct plan *plan;"),
    "runtime/dataframe/engines/spark/execution.h": ([], "extern struct client *c; extern atomic_bool stop; extern struct buf plan;"),
    "runtime/dataframe/engines/spark/grpc.h": ([], "extern struct wire_target target;"),
    "runtime/dataframe/ipc.h": ([], "extern const char *data; extern size_t len;"),
    "runtime/dataframe/arrow_type.h": ([], "extern const struct ArrowSchema *schema;"),
    "runtime/dataframe/engines/duckdb/duck.h": ([], DUCK),
    "runtime/dataframe/engines/duckdb/stream.h": (["runtime/dataframe/sqlgen/sqlgen.h"], DUCK + "extern struct sql_query q;"),
    "runtime/dataframe/sqlgen/sqlgen.h": ([], "extern const struct plan *plan; extern struct sql_env env;"),
    "runtime/delta/delta_int.h": ([], "extern const struct ctx *ctx; extern struct err *err; extern const char *location;"),
    "runtime/mlflow/lineage.h": ([], "extern const struct ctx *ctx; extern struct tracker *tracker; extern const char *run_id;"),
    "magics/flame.h": ([], "extern struct profile *p;"),
    "runtime/mlflow/mlflow_lua.h": (["runtime/session/session.h"], ""),
    "runtime/serving/cors.h": ([], "extern json_t *origins; extern const struct http_request *request; extern struct http_response *response; void answer(const struct http_request *q, struct http_response *r);"),
    "runtime/serving/api.h": ([], "extern struct service *s; extern const struct http_vtable *http;"),
    "runtime/session/debug.h": ([], "extern struct session *s;"),
    "runtime/session/profile.h": ([], "extern struct session *s;"),
    "runtime/session/capture.h": ([], SESSION + "extern struct err *err;"),
    "runtime/session/comm.h": ([], SESSION),
    "runtime/session/complete_int.h": ([], "extern struct answer *a;"),
    "runtime/session/display.h": (["runtime/session/session_lua.h"], SESSION),
    "runtime/session/error.h": (["runtime/session/session_int.h"], SESSION),
    "runtime/session/history.h": ([], SESSION),
    "runtime/session/habits_int.h": ([], "extern struct frame *frame; extern lua_State *L;"),
    "runtime/session/hook.h": ([], SESSION + "extern lua_State *co;"),
    "runtime/session/inspect.h": ([], SESSION),
    "runtime/session/job.h": ([], SESSION + "int answer(lua_State *L); extern int question;"),
    "runtime/session/lookup.h": ([], "lookup_fn add_match; extern int matches;"),
    "runtime/session/magic.h": ([], SESSION),
    "magics/ranges.h": (["magics/options.h"], "extern struct options *o;"),
    "runtime/session/masks.h": ([], SESSION),
    "runtime/session/names.h": ([], SESSION),
    "runtime/session/plot_text.h": ([], "extern struct buf *out;"),
    "runtime/session/records.h": (["runtime/session/session_lua.h"], ""),
    "runtime/session/repr.h": (["runtime/session/session_lua.h"], ""),
    "runtime/hub/transfer.h": ([], "extern const struct web_vtable *web; extern struct web_client *client; extern struct hub_cache cache; extern const char *sha;"),
    "runtime/session/session.h": ([], "extern const struct frontend_ops recorder_ops; extern int recorder;"),
    "runtime/spark/commands.h": ([], "extern struct spark *s; extern struct catalog *catalog; extern const struct engine_ops *ops; extern struct engine *engine;"),
    "runtime/spark/alter.h": ([], "extern struct arena *arena; extern const struct sql_statement *statement; extern const struct delta_snapshot *snapshot; extern const struct dtype *schema;"),
    "runtime/spark/describe.h": ([], "extern struct spark_env *env; extern struct sql_names name;"),
    "runtime/spark/row_reader_lua.h": ([], "extern struct ArrowArrayStream stream; extern const struct dtype *schema;"),
    "runtime/serving/tools.h": (["runtime/base/mem.h"], ""),
    "runtime/catalog/files.h": ([], "extern const struct delta_engine *engine; extern const struct plan *plan;"),
    "runtime/dataframe/ipc/messages.h": ([], "extern const unsigned char *data; extern size_t len;"),
    "runtime/dataframe/ipc/tables.h": ([], "extern const void *message;"),
    "runtime/dataframe/ipc/slice.h": ([], "extern struct ArrowArrayView *batch; extern struct ArrowArray *part; extern int64_t bytes;"),
    "runtime/spark/show.h": ([], "extern struct spark *s; extern const struct plan *plan;"),
    "runtime/spark/spark.h": ([], "extern const struct plan *plan;"),
    "runtime/spark/target.h": ([], "extern struct command *c;"),
    "runtime/spark/stream.h": ([], "extern struct spark *s; extern const struct plan *plan;"),
    "runtime/spark/table.h": ([], "extern const struct plan *plan;"),
    "runtime/sql/lexer.h": ([], "extern struct arena *arena;"),
    "runtime/sql/parser.h": ([], "extern struct parser *p;"),
    "runtime/sql/statement.h": ([], "extern struct parser *p;"),
    "runtime/tracking/local_int.h": ([], "extern struct local *local; extern const char *run; extern struct err *err;"),
    "runtime/train/curve.h": ([], "extern json_t *event;"),
    "runtime/train/examples.h": ([], "extern struct tokenizer *tok;"),
    "runtime/train/fetch.h": ([], "extern struct link *to; extern const json_t *files; extern void *self; enum lc wait_for_message(void *arg, struct link_event *e, struct err *err);"),
    "runtime/train/job.h": ([], "extern json_t *spec;"),
    "runtime/train/link.h": ([], "extern struct key_pair key; extern struct allow *list;"),
    "runtime/train/llm_lua.h": (["runtime/session/session.h"], ""),
    "runtime/train/ring.h": ([], ""),
    "runtime/train/socket.h": (["runtime/base/zmq_api.h"], "extern struct err err;"),
    "runtime/train/run.h": ([], "extern struct job_info info;"),
    "runtime/train/plan.h": (["stdlib.h"], "extern json_t *request;"),
    "runtime/train/score.h": ([], "extern struct model *model; extern struct train_dataset *dataset;"),
    "runtime/train/track.h": ([], "extern json_t *event;"),
    "runtime/train/work.h": ([], "extern json_t *spec; extern struct work_sink sink;"),
    "runtime/train/zap.h": (["zmq.h"], ""),
}
FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-unused", "-Wno-missing-field-initializers",
         "-I.", "-Ibuild/deps/include"]


def examples():
    listed = subprocess.run(["git", "ls-files", *CODE], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for path in listed:
        if path.endswith(".h"):
            head = re.match(r"/\*.*?\*/", (ROOT / path).read_text(), re.S)
            m = head and re.search(r"\n \* Example:\n(.*?)\n \*/", head[0], re.S)
            if m:
                yield path, "\n".join(re.sub(r"^ \*(     )?", "", line) for line in m[1].split("\n"))


def unit(path, example):
    """The translation unit: function definitions stay at file scope, statements go into a function."""
    more, names = AROUND.get(path, ([], ""))
    own = {m[1] for m in re.finditer(r"\bextern [^;]*?\b\**(\w+)(?:\[\d*\])?;", names)}
    granted = "\n".join(line for line in GRANTED.splitlines() if not {re.sub(r"\W", "", w) for w in line.split()} & own)
    head = "".join(f"#include <{h}>\n" for h in STANDARD)
    head += f'#include "{path}"\n' + "".join(f"#include {'<' + h + '>' if '/' not in h else chr(34) + h + chr(34)}\n" for h in more)
    head += '#include "runtime/base/ctx.h"\ntypedef struct lua_State lua_State;\n' + granted + "\n" + names + "\n"
    if re.search(r"^\{", example, re.M):
        return head + "\n" + example + "\n"
    returns = "void *" if "return NULL" in example else "int "
    # a path that ends without a value is no concern of an example's
    return head + f"{returns}example(void);\n{returns}example(void)\n{{\n{example}\nreturn 0;\n}}\n"


def compile_one(item):
    path, example = item
    done = subprocess.run([os.environ.get("CC", "cc"), *FLAGS, *PACKAGES, "-x", "c", "-"], input=unit(path, example), cwd=ROOT, capture_output=True, text=True)
    return path, done.returncode, done.stderr


PACKAGES = shlex.split(subprocess.run(["pkg-config", "--cflags", "libzmq", "libsodium", "jansson", "lua5.4", "sqlite3"], capture_output=True, text=True).stdout)


def test_examples_compile():
    found = list(examples())
    assert len(found) > 100
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        failed = [f"{path}:\n{text}" for path, code, text in pool.map(compile_one, found) if code]
    assert not failed, "\n".join(failed)


def test_a_wrong_example_is_found():
    path = "runtime/base/buf.h"
    assert compile_one((path, "struct buf b = BUF_INIT(1);\nbuf_release(&b);"))[1] == 0
    assert compile_one((path, "struct buf b = BUF_INIT(1);\nbuf_release(b);"))[1] != 0
    assert compile_one((path, "no_such_function();"))[1] != 0


def test_names_around_examples_are_of_this_tree():
    for path in AROUND:
        assert (ROOT / path).exists(), path
