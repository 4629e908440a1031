/* cmd_doctor.c: lacus doctor: what is here, what is missing, what to do. One row per thing that is looked at. */
#include "gpu/nccl.h"
#include "kernel/kernelspec.h"
#include "repl/command.h"
#include "repl/editor.h"
#include "repl/listing.h"
#include "runtime/base/ctx.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/zmq_api.h"
#include "runtime/storage/sqlite_api.h"
#include "runtime/storage/workspace.h"
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum state { FINE, OPTIONAL, BROKEN }; /* OPTIONAL: works without it, some things do not */

struct finding {
    enum state state;
    char found[512];
    char advice[512];
};

static void say(struct finding *f, enum state state, const char *advice, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
static void say(struct finding *f, enum state state, const char *advice, const char *fmt, ...)
{
    va_list ap;

    f->state = state;
    snprintf(f->advice, sizeof f->advice, "%s", advice);
    va_start(ap, fmt);
    vsnprintf(f->found, sizeof f->found, fmt, ap);
    va_end(ap);
}

static void say_err(struct finding *f, enum state state, const struct err *err)
{
    say(f, state, err->hint, "%s", err->message);
}

/* ---- the checks -------------------------------------------------------------------------------------- */

static void program(struct finding *f)
{
    char exe[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

    exe[n > 0 ? n : 0] = '\0';
    say(f, FINE, "", "%s, %s", LACUS_VERSION, exe);
}

static void machine(struct finding *f)
{
    struct sysinfo info = {0};

    sysinfo(&info);
    say(f, FINE, "", "%d processors, %.1f GiB of memory", get_nprocs(),
        (double)info.totalram * (double)info.mem_unit / (double)(1 << 30));
}

static void home(struct finding *f)
{
    struct err err = {0};
    char *path = fs_home("", &err), *probe = path ? fs_join(path, ".doctor") : NULL;

    if (!probe)
        say_err(f, BROKEN, &err);
    else if (fs_write(probe, "", 0, &err) != LC_OK)
        say(f, BROKEN, "set LACUS_HOME to a folder that can be written", "%s", err.message);
    else
        say(f, FINE, "", "%s, can be written", path);
    if (probe)
        unlink(probe);
    mem_free(path);
    mem_free(probe);
}

static void disk(struct finding *f)
{
    struct err err = {0};
    char *path = fs_home("", &err);
    struct statvfs fs;
    double gib;

    if (!path || statvfs(path, &fs) != 0) {
        say(f, BROKEN, "set LACUS_HOME to a folder that is there", "cannot tell");
    } else {
        gib = (double)fs.f_bavail * (double)fs.f_frsize / (double)(1 << 30);
        say(f,
            gib < 0.1 ? BROKEN
            : gib < 2 ? OPTIONAL
                      : FINE,
            gib < 2 ? "free some space: models and tables need it" : "", "%.1f GiB free", gib);
    }
    mem_free(path);
}

static void sqlite(struct finding *f)
{
    struct sqlite_api api;
    struct err err = {0};

    if (sqlite_api_open(&api, &err) == LC_OK)
        say(f, FINE, "", "%s (history, workspace)", api.libversion());
    else
        say_err(f, BROKEN, &err);
}

static void zeromq(struct finding *f)
{
    void *context;
    struct err err = {0};
    int major, minor, patch;

    if (zmq_context(&context, &err) != LC_OK) {
        say_err(f, BROKEN, &err);
        return;
    }
    zmq()->ctx_term(context);
    zmq()->version(&major, &minor, &patch);
    say(f, FINE, "", "%d.%d.%d (kernels, workers)", major, minor, patch);
}

static void readline(struct finding *f)
{
    struct err err = {0};
    const struct editor_vtable *editor = editor_load(&err);

    if (editor)
        say(f, FINE, "", "%s (editing at the prompt)", editor->library());
    else
        say(f, OPTIONAL, "install libreadline-dev, and run 'make'", "%s", err.message);
}

static void database(struct finding *f)
{
    struct workspace *ws = NULL;
    struct workspace_rows rows;
    struct buf list = BUF_INIT(400);
    struct err err = {0};
    enum lc rc = workspace_open(NULL, &ws, &err);

    if (rc == LC_OK) {
        rc = workspace_query(ws, &rows, &err, "SELECT name, version FROM components ORDER BY name", NULL);
        while (rc == LC_OK && workspace_next(&rows, &rc, &err))
            buf_printf(&list, "%s%s %s", list.len ? ", " : "", workspace_text(&rows, 0),
                       workspace_text(&rows, 1));
        workspace_rows_close(&rows);
    }
    if (rc != LC_OK)
        say_err(f, BROKEN, &err);
    else
        say(f, FINE, "", "%s (%s)", workspace_path(ws), list.len ? buf_str(&list) : "empty");
    buf_release(&list);
    workspace_close(ws);
}

/* What a killed process or a bad disk has left: said, never removed by itself. */
static void leftovers(struct finding *f)
{
    struct err err = {0};
    char *runs = fs_home("runs", &err), *models = fs_home("models", &err), **names = NULL;
    size_t n = 0, damaged = 0, staged = 0;

    if (runs && fs_is_dir(runs) && fs_list(runs, &names, &n, &err) == LC_OK)
        for (size_t i = 0; i < n; i++)
            damaged += strlen(names[i]) > 8 && strcmp(names[i] + strlen(names[i]) - 8, ".damaged") == 0;
    fs_free_list(names, n);
    names = NULL;
    n = 0;
    if (models && fs_is_dir(models) && fs_list(models, &names, &n, &err) == LC_OK)
        for (size_t i = 0; i < n; i++)
            staged += strncmp(names[i], ".staged-", 8) == 0;
    fs_free_list(names, n);
    mem_free(runs);
    mem_free(models);
    if (damaged + staged == 0)
        say(f, FINE, "", "nothing damaged, nothing left over");
    else
        say(f, OPTIONAL,
            "the folders models/.staged-* of dead processes and the files runs/*.damaged may be removed",
            "%zu runs with damaged metric lines, %zu models that were not finished", damaged, staged);
}

static void plugin(struct finding *f, const char *name, const char *gives, const char *advice)
{
    char below[96];
    char *path;
    void *library;

    snprintf(below, sizeof below, "plugins/%s.so", name);
    path = fs_installed(below);
    library = path ? dlopen(path, RTLD_LAZY | RTLD_LOCAL) : NULL;
    if (library)
        say(f, FINE, "", "%s (%s)", path, gives);
    else if (path)
        say(f, OPTIONAL, advice, "cannot be loaded: %s", dlerror());
    else
        say(f, OPTIONAL, advice, "not built: no %s", gives);
    mem_free(path);
}

static void engine_duckdb(struct finding *f)
{
    plugin(f, "engine_duckdb", "dataframes and SQL", "run 'make' in lacus's folder");
}

static void gpu_cpu(struct finding *f)
{
    plugin(f, "gpu_cpu", "fast training on the processor",
           "run 'make' in lacus's folder; the portable engine works without");
}

static void gpu_cuda(struct finding *f)
{
    plugin(f, "gpu_cuda", "training on NVIDIA GPUs",
           "run 'make cuda' where the CUDA toolkit is; training works on the processor without");
}

static void http(struct finding *f)
{
    plugin(f, "http", "serving", "install libmicrohttpd-dev, and run 'make'");
}

static void curl(struct finding *f)
{
    plugin(f, "curl", "http in cells", "install libcurl4-openssl-dev, and run 'make'");
}

static void regex(struct finding *f)
{
    plugin(f, "regex", "tokenizers with patterns",
           "install libpcre2-dev and libutf8proc-dev, and run 'make'");
}

static void duckdb(struct finding *f)
{
    const char *set = getenv("DUCKDB_HOME");
    char *path = set ? fs_join(set, "libduckdb.so") : fs_installed("lib/libduckdb.so");

    if (path && !fs_exists(path) && set) {
        mem_free(path);
        path = mem_printf("%s/lib/libduckdb.so", set);
    }
    if (path && fs_exists(path))
        say(f, FINE, "", "%s", path);
    else
        say(f, BROKEN, "run 'make duckdb' in lacus's folder, or set DUCKDB_HOME",
            "libduckdb.so is not here: no dataframes, no SQL");
    mem_free(path);
}

static void driver(struct finding *f)
{
    void *library = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);

    if (library)
        say(f, FINE, "", "libcuda.so.1");
    else
        say(f, OPTIONAL, "only for machines with an NVIDIA GPU", "no CUDA driver");
}

static void nccl(struct finding *f)
{
    struct err err = {0};
    char text[24];
    int version;

    if (nccl_version(NULL, &version, &err) == LC_OK) {
        nccl_version_text(version, text);
        say(f, FINE, "", "%s", text);
    } else {
        say(f, OPTIONAL, "only for training on several GPUs: libnccl2, or LACUS_NCCL names the library",
            "no NCCL: gradients are summed over the network");
    }
}

static void kernelspec(struct finding *f)
{
    struct err err = {0};
    char exe[PATH_MAX], *folder = NULL, *path = NULL;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    struct buf text = BUF_INIT(65536);

    exe[n > 0 ? n : 0] = '\0';
    if (kernelspec_folder(KERNELSPEC_USER, NULL, &folder, &err) != LC_OK)
        say_err(f, OPTIONAL, &err);
    else if (!(path = fs_join(folder, "kernel.json")) || fs_read(path, &text, &err) != LC_OK)
        say(f, OPTIONAL, "run 'lacus kernelspec install'", "Jupyter does not know lacus (looked in %s)",
            folder);
    else if (!strstr(buf_str(&text), exe))
        say(f, OPTIONAL, "run 'lacus kernelspec install'", "%s names another executable", path);
    else
        say(f, FINE, "", "%s", path);
    buf_release(&text);
    mem_free(folder);
    mem_free(path);
}

static void on_path(struct finding *f, const char *name, const char *advice)
{
    const char *at = getenv("PATH");

    while (at && *at) {
        size_t n = strcspn(at, ":");
        char *path = mem_printf("%.*s/%s", (int)n, at, name);
        bool there = path && access(path, X_OK) == 0;
        if (there)
            say(f, FINE, "", "%s", path);
        mem_free(path);
        if (there)
            return;
        at += n + (at[n] == ':');
    }
    say(f, OPTIONAL, advice, "not on the PATH");
}

static void jupyter(struct finding *f)
{
    on_path(f, "jupyter", "only to use lacus in JupyterLab: pip install jupyterlab");
}

static void luarocks(struct finding *f)
{
    on_path(f, "luarocks", "only for %luarocks: apt-get install luarocks");
}

static void python(struct finding *f)
{
    const char *named = getenv("LACUS_PYTHON");

    if (!named || !*named)
        on_path(f, "python3",
                "only for %%python cells and %pip: apt-get install python3, or set LACUS_PYTHON");
    else if (access(named, X_OK) == 0)
        say(f, FINE, "", "%s", named);
    else
        say(f, BROKEN, "LACUS_PYTHON names a program that is not there", "%s", named);
}

static void secrets_key(struct finding *f)
{
    struct err err = {0};
    char *path = fs_home("secrets.key", &err);
    struct stat st;

    if (!path)
        say_err(f, BROKEN, &err);
    else if (stat(path, &st) != 0)
        say(f, FINE, "", "none yet: no secret was put");
    else if (st.st_mode & 077)
        say(f, BROKEN, "others can read it: chmod 600", "%s", path);
    else
        say(f, FINE, "", "%s; keep a copy of it apart from the workspace", path);
    mem_free(path);
}

static const struct {
    const char *name;
    void (*look)(struct finding *f);
} checks[] = {
    {"lacus", program},
    {"machine", machine},
    {"LACUS_HOME", home},
    {"disk", disk},
    {"SQLite", sqlite},
    {"ZeroMQ", zeromq},
    {"readline", readline},
    {"workspace.db", database},
    {"leftovers", leftovers},
    {"DuckDB", duckdb},
    {"plugin engine_duckdb", engine_duckdb},
    {"plugin gpu_cpu", gpu_cpu},
    {"plugin gpu_cuda", gpu_cuda},
    {"plugin http", http},
    {"plugin curl", curl},
    {"plugin regex", regex},
    {"CUDA driver", driver},
    {"NCCL", nccl},
    {"kernelspec", kernelspec},
    {"jupyter", jupyter},
    {"luarocks", luarocks},
    {"python", python},
    {"secrets.key", secrets_key},
};

static void print_one(const char *name, const struct finding *f)
{
    static const char *const marks[] = {"ok", "--", "!!"};

    printf("%s  %-22s %s\n", marks[f->state], name, f->found);
    if (f->advice[0])
        printf("    %-22s %s\n", "", f->advice);
}

int cmd_doctor(int argc, char **argv)
{
    static const char *const options[] = {NULL}, *const states[] = {"ok", "optional", "broken"};
    struct arguments a;
    struct err err;
    json_t *all = json_array();
    bool broken = false;

    err_clear(&err);
    if (arguments_parse(argc, argv, options, &a, &err) != LC_OK || a.n_words) {
        json_decref(all);
        if (err.code == LC_OK)
            err_set(&err, LC_ARG, "unexpected argument '%s'", a.words[0]);
        return command_error("doctor", &err);
    }
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        struct finding f = {FINE, "", ""};
        checks[i].look(&f);
        broken = broken || f.state == BROKEN;
        if (!a.json)
            print_one(checks[i].name, &f);
        json_array_append_new(all, json_pack("{s:s, s:s, s:s, s:s}", "name", checks[i].name, "state",
                                             states[f.state], "found", f.found, "advice", f.advice));
    }
    if (a.json)
        listing_print_json(all);
    else
        puts(broken ? "\nSomething that lacus needs is missing: see the lines with !!" : "\nlacus is ready.");
    json_decref(all);
    return broken ? lc_exit(LC_MISSING) : 0;
}
