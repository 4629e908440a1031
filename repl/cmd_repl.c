/* cmd_repl.c: lacus repl, lacus FILE, lacus -c CODE, lacus -m MODULE, and lacus with piped input. */
#include "magics/magics.h"
#include "magics/run_text.h"
#include "repl/command.h"
#include "repl/globals.h"
#include "repl/interrupt.h"
#include "repl/listing.h"
#include "repl/prompt.h"
#include "repl/remote.h"
#include "repl/terminal_frontend.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/notebook/parameters.h"
#include "runtime/session/session.h"
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static const size_t script_max = (size_t)64 << 20;

struct repl_arguments {
    const char *file, *code, *module; /* NULL: none; file "-" is standard input */
    const char *const *args;          /* the script's: its name, then what stands behind it */
    json_t *params;                   /* owned; NULL: none were given */
    bool then_prompt;                 /* -i: the prompt afterwards */
};

/* Letters, digits, _ . and - only: it goes into Lua text. */
static bool is_module(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && !strchr("_.-", name[i]))
            return false;
    return len > 0;
}

/* Here the parameters are for widgets, whose values are texts: 007 and 1.50 stay so. */
static json_t *widget_value(const char *text)
{
    json_t *value = parameter_value(text);

    if (json_is_array(value) || json_is_object(value))
        return value;
    json_decref(value);
    return json_string(text);
}

/* What stands behind -c CODE, -m MODULE or FILE is the script's own. */
static enum lc parse_arguments(int argc, char **argv, struct repl_arguments *a, struct err *err)
{
    int i = argc > 0 && strcmp(argv[0], "repl") == 0 ? 1 : argc > 1 ? 1 : argc;

    while (i < argc && (strcmp(argv[i], "--param") == 0 || strcmp(argv[i], "-p") == 0)) {
        if (i + 2 >= argc)
            return err_set(err, LC_ARG, "%s takes a name and a value", argv[i]);
        if (!a->params)
            a->params = json_object();
        TRY(parameter_set(a->params, argv[i + 1], widget_value(argv[i + 2]), err));
        i += 3;
    }
    if (i < argc && strcmp(argv[i], "-i") == 0) {
        a->then_prompt = true;
        i++;
    }
    if (i >= argc)
        return LC_OK;
    bool code = strcmp(argv[i], "-e") == 0 || strcmp(argv[i], "-c") == 0, module = strcmp(argv[i], "-m") == 0;
    if (!code && !module && argv[i][0] == '-' && argv[i][1] != '\0')
        return err_set(err, LC_ARG, "unexpected argument '%s'", argv[i]);
    if ((code || module) && i + 1 >= argc)
        return err_set(err, LC_ARG, "no %s behind %s", code ? "code" : "module", argv[i]);
    char **given = &argv[i + (code || module)];
    *(code ? &a->code : module ? &a->module : &a->file) = *given;
    if (module && !is_module(*given, strlen(*given)))
        return err_set(err, LC_ARG, "'%s' is no name of a module", *given);
    if (code) /* arg[0], as Python's sys.argv[0] */
        *given = argv[i];
    a->args = (const char *const *)given;
    return LC_OK;
}

static enum lc read_script(const struct repl_arguments *a, struct buf *text, struct err *err)
{
    enum lc rc = LC_OK;

    if (a->code)
        buf_puts(text, a->code);
    else if (a->module) /* its file runs as a script; a module without a file is required */
        buf_printf(text,
                   "local path = package.searchpath('%s', package.path);"
                   "if path then assert(loadfile(path))(...) else require('%s') end;",
                   a->module, a->module);
    else
        rc = fs_read(a->file && strcmp(a->file, "-") != 0 ? a->file : "/dev/stdin", text, err);
    if (rc == LC_OK)
        run_text_hide_marks(text);
    return rc;
}

/* What a script wrote was lost: as for other programs, a reader who left is no error, but a full disk is one. */
static int output_lost(int why, struct err *err)
{
    if (why == EPIPE)
        return 128 + SIGPIPE;
    if (err_errno(err, why, "cannot write to standard output") == LC_NOSPACE)
        err_hint(err, "free some space where standard output goes");
    return command_error("repl", err);
}

static int run_script(const struct repl_arguments *a, struct session *s, const struct terminal_frontend *t,
                      const struct buf *text, struct err *err)
{
    bool from_stdin = !a->file || strcmp(a->file, "-") == 0;
    struct cell_request cell = {.code = buf_str(text),
                                .len = text->len,
                                .name = a->code      ? "(command line)"
                                        : a->module  ? "lacus.module" /* its frame is not the user's */
                                        : from_stdin ? "stdin"        /* as lua5.4 calls them */
                                                     : a->file,
                                .allow_stdin = true};
    struct cell_reply reply;
    int code;

    interrupt_begin(s, true);
    if (session_execute(s, &cell, &reply, err) != LC_OK)
        return command_error("repl", err);
    interrupt_end();
    code = reply.exit_asked          ? reply.exit_status
           : reply.status == CELL_OK ? 0
           : reply.interrupted       ? lc_exit(LC_CANCELLED)
                                     : lc_exit(LC_RUNTIME);
    cell_reply_release(&reply);
    if (!t->prompt && t->out.lost)
        return output_lost(t->out.lost, err);
    return interrupt_exit_code(code);
}

static int run_prompt(struct session *s, struct terminal_frontend *t)
{
    static const char banner[] =
        "lacus " LACUS_VERSION " (Lua 5.4)  Tab completes, name? explains, %quickref lists, "
        "Ctrl-D leaves\n\n";
    struct local_backend local = {s, t};
    struct backend b = backend_session(&local);

    prompt_loop(&b, banner);
    return t->exit_status;
}

static int run_session(const struct repl_arguments *a, struct session *s, struct terminal_frontend *t,
                       const struct buf *text, struct err *err)
{
    bool script = a->file || a->code || a->module || !t->prompt;
    int code = script ? run_script(a, s, t, text, err) : 0;

    if (!t->prompt || t->exit_asked)
        return code;
    return run_prompt(s, t);
}

/* --existing [FILE | NAME | list] */
static int run_remote(const char *name)
{
    static const struct listing_column columns[] = {
        {"file", "CONNECTION FILE", LISTING_TEXT}, {"started", "STARTED (UTC)", LISTING_TIME}, {0}};
    struct terminal_frontend t;
    struct remote *r;
    struct err err;
    bool lost = false;
    enum lc rc;

    err_clear(&err);
    if (name && strcmp(name, "list") == 0) {
        json_t *kernels = remote_list();
        listing_print(kernels, columns, !isatty(STDOUT_FILENO));
        json_decref(kernels);
        return 0;
    }
    terminal_frontend_init(&t, true);
    rc = remote_open(name, &t, &r, &err);
    if (rc == LC_OK) {
        struct backend b = remote_backend(r);
        prompt_loop(&b, remote_banner(r));
        lost = remote_lost(r);
        remote_close(r);
    }
    terminal_frontend_release(&t);
    if (lost)
        return lc_exit(LC_NET);
    return rc == LC_OK ? 0 : command_error("repl", &err);
}

int cmd_repl(int argc, char **argv)
{
    struct repl_arguments a = {0};
    struct terminal_frontend t;
    struct session *s = NULL;
    struct buf text = BUF_INIT(script_max);
    struct err err;
    char *history = NULL;
    bool prompt, script;
    int code = 0;

    err_clear(&err);
    if (argc > 1 && strcmp(argv[1], "--existing") == 0)
        return run_remote(argc > 2 ? argv[2] : NULL);
    if (parse_arguments(argc, argv, &a, &err) != LC_OK)
        return command_error("repl", &err);
    script = a.file || a.code || a.module;
    prompt = (!script || a.then_prompt) && isatty(STDIN_FILENO);
    terminal_frontend_init(&t, prompt);
    history = prompt ? fs_home("history.db", &err) : NULL;
    struct session_options options = {.frontend = terminal_frontend_seam(&t),
                                      .globals = lacus_globals,
                                      .magics = lacus_magics,
                                      .notebook = a.file,
                                      .args = a.args,
                                      .history = history,
                                      .params = a.params,
                                      .real_stdin = !prompt};
    if (((script || !prompt) && read_script(&a, &text, &err) != LC_OK) ||
        session_open(&options, &s, &err) != LC_OK)
        code = command_error("repl", &err);
    else
        code = run_session(&a, s, &t, &text, &err);
    session_close(s);
    terminal_frontend_release(&t);
    buf_release(&text);
    json_decref(a.params);
    mem_free(history);
    return code;
}
