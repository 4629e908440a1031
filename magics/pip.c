/* %pip: a notebook from elsewhere installs Python packages first. What they do here is built in; the others go to the
 * Python of %%python. */
#include "magics/line.h"
#include "magics/magics.h"
#include "runtime/base/fs.h"
#include "runtime/python/python_lua.h"
#include "runtime/session/shell.h"
#include <ctype.h>
#include <string.h>

enum { ARGUMENTS = 512, FILES_DEEP = 8, REQUIREMENTS_MAX = 4 << 20 };

static const struct {
    const char *package, *here;
} built_in[] = {
    {"accelerate", "llm.finetune{ranks = n}"},
    {"bitsandbytes", "BitsAndBytesConfig{load_in_4bit = true}"},
    {"dask", "spark: dataframes larger than memory"},
    {"databricks-sdk", "dbutils, mlflow and spark speak to this workspace"},
    {"datasets", "spark.read: csv, json, parquet, text"},
    {"deepspeed", "llm.finetune{ranks = n}"},
    {"delta-spark", "spark:table, df.write:format(\"delta\")"},
    {"deltalake", "spark:table, df.write:format(\"delta\")"},
    {"duckdb", "spark:sql"},
    {"evaluate", "llm.evaluate"},
    {"huggingface-hub", "llm.load(\"owner/name\")"},
    {"ipykernel", "lacus is the kernel"},
    {"ipywidgets", "dbutils.widgets and widgets"},
    {"jupyter", "lacus is the kernel: lacus kernelspec install"},
    {"lightning", "llm.finetune"},
    {"matplotlib", "plot.line{…}, plot.bar{…}"},
    {"mlflow", "mlflow"},
    {"numpy", "tensor, and spark's columns"},
    {"pandas", "spark: df:show(), df:collect()"},
    {"papermill", "lacus run NOTEBOOK -p NAME VALUE"},
    {"peft", "LoraConfig{r = 16, …}"},
    {"polars", "spark: dataframes"},
    {"pyarrow", "spark.read:parquet(path)"},
    {"pyspark", "spark and F"},
    {"safetensors", "llm.load and llm.finetune read and write it"},
    {"sentencepiece", "llm.tokenizer, from tokenizer.json"},
    {"tokenizers", "llm.tokenizer(path)"},
    {"torch", "llm, tensor"},
    {"tqdm", "progress bars of llm.finetune"},
    {"transformers", "llm.load, llm.finetune, llm.tokenizer"},
    {"trl", "llm.finetune{…}: supervised fine-tuning"},
};

/* "peft>=0.10", "transformers[torch]==4.44", "a @ https://…" → the bare name in lower case, with - for _ and . */
static void bare_name(const char *word, char out[64])
{
    size_t n = strcspn(word, "=<>!~[;@ ");

    n = n < 63 ? n : 63;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(word[i] == '_' || word[i] == '.' ? '-' : tolower((unsigned char)word[i]));
    out[n] = '\0';
}

static const char *find(const char *requirement)
{
    char name[64];

    bare_name(requirement, name);
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        if (strcmp(built_in[i].package, name) == 0)
            return built_in[i].here;
    return NULL;
}

/* ---- what was asked ---- */
struct wish {
    lua_State *L;
    const char *passed[ARGUMENTS + 8]; /* to pip; texts on the Lua stack */
    size_t n_passed, others;           /* others: requirements among them */
    bool quiet, python;                /* -q; --in-python: nothing is built in */
    size_t known;
};

/* Options of pip that are followed by a value. */
static bool takes_value(const char *option)
{
    static const char *const names[] = {"-c",
                                        "--constraint",
                                        "-i",
                                        "--index-url",
                                        "--extra-index-url",
                                        "-f",
                                        "--find-links",
                                        "-t",
                                        "--target",
                                        "--prefix",
                                        "--root",
                                        "-e",
                                        "--editable",
                                        "--platform",
                                        "--python-version",
                                        "--implementation",
                                        "--abi",
                                        "--no-binary",
                                        "--only-binary",
                                        "--timeout",
                                        "--retries",
                                        "--proxy",
                                        "--trusted-host",
                                        "--cert",
                                        "--client-cert",
                                        "--log",
                                        "--progress-bar",
                                        "-C",
                                        "--config-settings",
                                        "--upgrade-strategy",
                                        "--src",
                                        "--report",
                                        "--cache-dir",
                                        "--exists-action",
                                        "--use-feature",
                                        "--global-option",
                                        "-d",
                                        "--dest",
                                        "-w",
                                        "--wheel-dir",
                                        "--path",
                                        "--format"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(option, names[i]) == 0)
            return true;
    return false;
}

static void pass(struct wish *w, const char *word)
{
    if (w->n_passed == ARGUMENTS)
        line_error(w->L, "pip", "too many packages", NULL);
    luaL_checkstack(w->L, 4, NULL);
    w->passed[w->n_passed++] = lua_pushstring(w->L, word);
}

static void answer(struct wish *w, const char *requirement)
{
    const char *here = w->python ? NULL : find(requirement);
    char name[64];

    if (!here) {
        pass(w, requirement);
        w->others++;
        return;
    }
    bare_name(requirement, name);
    w->known++;
    if (!w->quiet)
        line_print(w->L, "%s: built in: %s\n", name, here);
}

static void read_file(struct wish *w, const char *path, int depth);

/* A line of a requirements file, without comment and line end; it may be an option. */
static void read_line(struct wish *w, const char *text, int depth)
{
    size_t n = strlen(text);

    if (strncmp(text, "-r", 2) == 0 || strncmp(text, "--requirement", 13) == 0) {
        text += text[1] == 'r' ? 2 : 13;
        text += strspn(text, " =");
        read_file(w, text, depth + 1);
    } else if (*text == '-') {
        struct line_words *words = line_words(w->L, text);
        for (size_t i = 0; i < words->n; i++)
            pass(w, words->words[i]);
    } else if (n > 0) {
        answer(w, text);
    }
}

/* Comments begin at the line's start or behind a blank; a backslash takes the next line in. */
static void read_file(struct wish *w, const char *path, int depth)
{
    struct buf *text = session_buf(w->L, REQUIREMENTS_MAX), *line = session_buf(w->L, REQUIREMENTS_MAX);
    struct err err;

    if (depth > FILES_DEEP)
        line_error(w->L, "pip", "requirements files that name each other:", path);
    if (fs_read(path, text, &err) != LC_OK)
        session_raise(w->L, &err);
    for (const char *p = buf_str(text); *p;) {
        size_t n = strcspn(p, "\n"), end = n;
        bool more = n > 0 && p[n - 1] == '\\';
        for (size_t i = 0; i < n; i++)
            if (p[i] == '#' && (i == 0 || isspace((unsigned char)p[i - 1]))) {
                end = i;
                more = false;
                break;
            }
        buf_add(line, p, more ? end - 1 : end);
        p += n + (p[n] == '\n');
        if (more && *p)
            continue;
        while (line->len && isspace((unsigned char)line->data[line->len - 1]))
            line->data[--line->len] = '\0';
        read_line(w, buf_str(line) + strspn(buf_str(line), " \t"), depth);
        buf_clear(line);
    }
}

/* -r FILE, -rFILE, --requirement=FILE: the file's name, which may be the next word; NULL: another option. */
static const char *requirements_of(lua_State *L, const struct line_words *w, size_t *i)
{
    const char *word = w->words[*i];

    if (strcmp(word, "-r") == 0 || strcmp(word, "--requirement") == 0) {
        if (*i + 1 == w->n)
            line_error(L, "pip", "a file must follow", word);
        return w->words[++*i];
    }
    if (strncmp(word, "--requirement=", 14) == 0)
        return word + 14;
    return strncmp(word, "-r", 2) == 0 ? word + 2 : NULL;
}

static bool is_quiet(const char *word) /* -q, -qq, --quiet */
{
    return strcmp(word, "--quiet") == 0 ||
           (word[0] == '-' && word[1] == 'q' && word[1 + strspn(word + 1, "q")] == '\0');
}

/* The words behind the command. */
static void read_words(struct wish *wish, const struct line_words *w)
{
    for (size_t i = 1; i < w->n; i++) /* they count for what stands before them too */
        wish->quiet |= is_quiet(w->words[i]);
    for (size_t i = 1; i < w->n; i++) {
        const char *word = w->words[i], *file;
        if (strcmp(word, "--in-python") == 0) {
            wish->python = true;
        } else if (*word != '-') {
            answer(wish, word);
        } else if ((file = requirements_of(wish->L, w, &i)) != NULL) {
            read_file(wish, file, 0);
        } else {
            pass(wish, word);
            if (strcmp(word, "-e") == 0 || strcmp(word, "--editable") == 0)
                wish->others++;
            if (takes_value(word) && i + 1 < w->n)
                pass(wish, w->words[++i]);
        }
    }
}

/* ---- Python's own pip ---- */
static int run_pip(lua_State *L, const char *command, const char *const *words, size_t n)
{
    const char *argv[ARGUMENTS + 16] = {python_program(), "-m", "pip", "--disable-pip-version-check",
                                        command};

    for (size_t i = 0; i < n; i++)
        argv[5 + i] = words[i];
    argv[5 + n] = NULL;
    return shell_run(L, &(struct shell_job){.argv = argv, .may_fail = true});
}

static void no_python(lua_State *L, const struct wish *w)
{
    struct err err;
    char name[64];
    const char *first = "";

    for (size_t i = 0; i < w->n_passed && !*first; i++)
        if (w->passed[i][0] != '-')
            first = w->passed[i];
    bare_name(first, name);
    err_set(&err, LC_MISSING,
            "cannot install '%s': it is a Python package, and there is no python3 on the PATH", name);
    err_hint(&err, "install python3 (then %%%%python cells work too); %%luarocks install finds Lua packages");
    session_raise(L, &err);
}

static int pass_on(lua_State *L, const char *command, const struct wish *w)
{
    struct err err;
    int status;

    if (!python_program())
        no_python(L, w);
    status = run_pip(L, command, w->passed, w->n_passed);
    if (status == 0)
        return 0;
    err_set(&err, LC_RUNTIME, "pip %s failed (exit status %d)", command, status);
    err_hint(&err,
             "'%s' is the Python of %%%%python cells; %%config python=… names another one, such as that of a "
             "virtual environment",
             python_program());
    return session_raise(L, &err);
}

/* Names that are built in are Python's only with --in-python. */
static struct wish *read_wish(lua_State *L, const struct line_words *words)
{
    struct wish *w = lua_newuserdatauv(L, sizeof *w, 0);

    *w = (struct wish){.L = L};
    for (size_t i = 1; i < words->n; i++)
        w->python |= strcmp(words->words[i], "--in-python") == 0;
    read_words(w, words);
    return w;
}

static int install(lua_State *L, const struct line_words *words)
{
    struct wish *w = read_wish(L, words);

    if (w->known && !w->quiet && python_program())
        line_print(L, "%%pip install --in-python NAME installs them for %%%%python cells\n");
    if (w->others == 0 && w->known == 0)
        return line_error(L, "pip", "nothing to install", NULL);
    if (w->others == 0)
        return 0;
    pass_on(L, "install", w);
    if (!w->quiet && python_is_kept(L))
        line_print(L, "dbutils.library.restartPython() lets %%%%python cells see packages that they have "
                      "imported already\n");
    return 0;
}

static int uninstall(lua_State *L, const struct line_words *words)
{
    struct wish *w = read_wish(L, words);

    if (w->known && python_program())
        line_print(
            L, "what is built in stays; %%pip uninstall --in-python NAME removes a package from the Python "
               "of %%%%python cells\n");
    if (w->others == 0)
        return 0;
    pass(w, "--yes");
    return pass_on(L, "uninstall", w);
}

/* list, freeze: what is built in (in a form that a requirements file may have), then Python's. */
static int list(lua_State *L, const struct line_words *words)
{
    bool freeze = strcmp(words->words[0], "freeze") == 0;

    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++)
        line_print(L, freeze ? "# %s: built in: %s\n" : "%-18s built in: %s\n", built_in[i].package,
                   built_in[i].here);
    if (python_program())
        run_pip(L, words->words[0], words->words + 1, words->n - 1);
    return 0;
}

static int show(lua_State *L, const struct line_words *words)
{
    struct wish *w = lua_newuserdatauv(L, sizeof *w, 0);

    *w = (struct wish){.L = L};
    read_words(w, words);
    return w->others ? pass_on(L, "show", w) : 0;
}

static int other(lua_State *L, const struct line_words *words)
{
    struct wish *w = lua_newuserdatauv(L, sizeof *w, 0);

    *w = (struct wish){.L = L};
    for (size_t i = 1; i < words->n; i++)
        pass(w, words->words[i]);
    return pass_on(L, words->words[0], w);
}

static const struct {
    const char *name;
    int (*run)(lua_State *L, const struct line_words *words);
} commands[] = {
    {"freeze", list}, {"install", install}, {"list", list}, {"show", show}, {"uninstall", uninstall}};

int magic_pip(lua_State *L, const char *line, const char *body)
{
    struct line_words *w = line_words(L, shell_expand(L, line));

    (void)body;
    if (w->n == 0)
        return line_error(L, "pip", "nothing to do", NULL);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, w->words[0]) == 0)
            return commands[i].run(L, w);
    return other(L, w);
}
