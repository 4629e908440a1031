/* magics_test.c: every magic, run in a session; timings formatted as IPython formats them. */
#include "magics/magics.h"
#include "magics/timing.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "tests/support/recorder.h"
#include "tests/support/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct place {
    char dir[64], before[4096];
    struct recorder recorder;
    struct session *session;
    char *out; /* owned: what the last cell printed */
};

static int make_place(void **state)
{
    struct place *p = mem_zalloc(sizeof *p);
    struct session_options options = {.magics = lacus_magics};
    struct err err = {0};

    strcpy(p->dir, "/tmp/lacus-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    assert_non_null(getcwd(p->before, sizeof p->before));
    assert_int_equal(chdir(p->dir), 0);
    setenv("LACUS_HOME", p->dir, 1);
    options.frontend = recorder_frontend(&p->recorder);
    if (session_open(&options, &p->session, &err) != LC_OK)
        fail_msg("%s", err.message);
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    struct place *p = *state;
    struct err err;

    session_close(p->session);
    recorder_release(&p->recorder);
    assert_int_equal(chdir(p->before), 0);
    assert_int_equal(fs_remove_tree(p->dir, &err), LC_OK);
    mem_free(p->out);
    mem_free(p);
    return 0;
}

static const char *run(struct place *p, const char *cell)
{
    struct cell_reply reply;

    recorder_clear(&p->recorder);
    recorder_run(&p->recorder, p->session, cell, &reply);
    if (reply.status != CELL_OK)
        fail_msg("%s: %s: %s", cell, reply.ename, reply.evalue);
    cell_reply_release(&reply);
    mem_free(p->out);
    p->out = recorder_text(&p->recorder, STREAM_STDOUT);
    return p->out ? p->out : "";
}

static void fails(struct place *p, const char *cell, const char *part)
{
    struct cell_reply reply;
    char *all;

    recorder_clear(&p->recorder);
    recorder_run(&p->recorder, p->session, cell, &reply);
    if (reply.status != CELL_ERROR)
        fail_msg("did not fail: %s", cell);
    all = json_dumps(reply.traceback, JSON_ENCODE_ANY);
    if (!strstr(reply.evalue, part) && !strstr(all, part))
        fail_msg("%s: '%s' is not in '%s'", cell, part, reply.evalue);
    free(all);
    cell_reply_release(&reply);
}

static void write_text(const char *path, const char *text)
{
    struct err err;

    assert_int_equal(fs_write(path, text, strlen(text), &err), LC_OK);
}

static bool contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        print_message("'%s' is not in:\n%s\n", part, text);
    return strstr(text, part) != NULL;
}

/* The right column is what IPython's _format_time(x) gives. */
static void times_look_like_ipythons(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0 ns"},          {1.5e-9, "1.5 ns"}, {4.77e-6, "4.77 μs"}, {0.00123456, "1.23 ms"},
                 {0.9999, "1e+03 ms"}, {1, "1 s"},         {12.345, "12.3 s"},   {59.99, "60 s"},
                 {60, "1min"},         {61.5, "1min 1s"},  {3723, "1h 2min 3s"}, {90061, "1d 1h 1min 1s"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[TIMING_TEXT];
        timing_text(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void time_runs_in_the_cell(void **state)
{
    struct place *p = *state;

    assert_true(contains(run(p, "local k = 20\n%time z = k + 1\nprint(z)"), "\n21\n"));
    assert_true(contains(p->out, "CPU times: user ") && contains(p->out, "Wall time: "));
    run(p, "%time 40 + 2");
    assert_string_equal(recorder_result(&p->recorder), "42");
    run(p, "%%time\nlocal carried = 5\ncarried + 1");
    assert_string_equal(recorder_result(&p->recorder), "6");
    assert_string_equal(run(p, "print(carried)"), "5\n");
    fails(p, "%time error('x')", "x");
    fails(p, "%time", "usage: %time");
}

static void timeit_counts_loops(void **state)
{
    struct place *p = *state;

    assert_true(contains(run(p, "n = 0\n%timeit -n 10 -r 3 n = n + 1\nprint(n)"), "\n30\n"));
    assert_true(contains(p->out, " per loop (mean ± std. dev. of 3 runs, 10 loops each)\n"));
    assert_true(contains(run(p, "%timeit -n 1000 -r 1 math.sin(1)"), "of 1 run, 1,000 loops each)"));
    assert_true(contains(run(p, "%%timeit -n 5 -r 2 n = 100\nn = n + 1"), "of 2 runs, 5 loops each)"));
    assert_string_equal(run(p, "print(n)"), "105\n"); /* the set-up is in front of each run */
    run(p, "%%timeit -q -n 5 -r 2 local only = 1\nonly = only + 1 n = only");
    assert_string_equal(run(p, "print(n, only)"), "6\tnil\n");
    assert_string_equal(run(p, "%timeit -q -n1 -r1 n"), "");
    fails(p, "%%timeit nosuch() -- what\na = 1", "nosuch");
    fails(p, "%timeit -n x y", "a positive number");
}

static void shells_stream_and_fail(void **state)
{
    struct place *p = *state;

    assert_string_equal(run(p, "%sh echo one; echo two"), "one\ntwo\n");
    assert_string_equal(run(p, "%%sh\nfor i in 1 2\ndo echo $i\ndone"), "1\n2\n");
    assert_string_equal(run(p, "%%bash\n[[ a == a ]] && echo bash"), "bash\n");
    assert_string_equal(run(p, "!echo here"), "here\n");
    assert_string_equal(run(p, "lines = !printf 'a\\nb\\n'\nprint(#lines, lines[2])"), "2\tb\n");
    fails(p, "%sh exit 3", "exit status 3");
    fails(p, "%%bash\nfalse", "exit status 1");
}

static void shell_lines_know_variables(void **state)
{
    struct place *p = *state;

    assert_string_equal(
        run(p, "local d, t = 'x y', {k = 5}\n!echo '$d' {1 + 1} $t.k. '$t.no' $none {none} {print}"),
        "x y 2 5. $t.no {none} {print}\n");
    assert_string_equal(run(p, "for i = 1, 2 do\n  !echo $i\nend"), "1\n2\n");
    assert_string_equal(run(p, "local x = 2 / 3\n!echo {x:.2f} '{x:>8.1f}' {d:zz} {nope:.2f} {1500000:,}"),
                        "0.67      0.7 {d:zz} {nope:.2f} 1,500,000\n");
    assert_string_equal(run(p, "!echo '{{x}}' '${d}' '$$d' '{a,b}'"), "{x} ${d} $d {a,b}\n");
    assert_string_equal(run(p, "!printf '%s-' a \\\n  b\nprint(2)\nprint(_exit_code)"), "a-b-2\n0\n");
    assert_string_equal(run(p, "!exit 4\nprint(_exit_code)"), "4\n");
}

static void the_lines_of_a_command_are_a_list(void **state)
{
    struct place *p = *state;

    run(p, "local l = !printf 'b 2\\na 10\\n'");
    assert_string_equal(
        run(p, "print(#l, l.s, l:fields(2).s, l:grep('a').n, l:sort(2, true)[1], l:sort()[1])"),
        "2\tb 2 a 10\t2 10\ta 10\tb 2\ta 10\n");
    assert_string_equal(run(p, "print(#l:grep('b', true), #l:grep('2', false, 2), #l:fields())"),
                        "1\t1\t2\n");
    assert_string_equal(run(p, "!echo $l"), "b 2 a 10\n");
    run(p, "!!echo x");
    assert_string_equal(recorder_result(&p->recorder), "{\"x\"}");
    run(p, "%sx echo y");
    assert_string_equal(recorder_result(&p->recorder), "{\"y\"}");
}

static void scripts_take_the_cell(void **state)
{
    struct place *p = *state;

    assert_string_equal(run(p, "%%script bash -s one\necho got $1"), "got one\n");
    assert_string_equal(run(p, "%%script --out o --err e bash\necho out; echo err >&2"), "");
    assert_string_equal(run(p, "print(o, e)"), "out\n\terr\n\n");
    assert_string_equal(run(p, "%%bash --no-raise-error\nexit 5"), "");
    assert_string_equal(run(p, "print(_exit_code)"), "5\n");
    assert_string_equal(run(p, "%%perl\nprint 6 * 7"), "42");
    fails(p, "%%script no-such-program\nx", "no such program");
    fails(p, "%%script --oot x bash\nx", "did you mean '--out'");
    fails(p, "%%script\nx", "no program named");
}

static void files_are_written_listed_and_loaded(void **state)
{
    struct place *p = *state;

    assert_string_equal(run(p, "%%writefile a.txt\nline\n"), "Writing a.txt\n");
    assert_string_equal(run(p, "%%writefile -a a.txt\nmore"), "Appending to a.txt\n");
    assert_string_equal(run(p, "%sh cat a.txt"), "line\nmore\n");
    assert_string_equal(run(p, "%%writefile a.txt\nx"), "Overwriting a.txt\n");
    assert_true(contains(run(p, "%ls"), "a.txt"));
    assert_true(contains(run(p, "%fs ls ."), "a.txt"));
    assert_string_equal(run(p, "%fs head file:a.txt"), "x\n");
    run(p, "%fs mkdirs d/e\n%fs cp a.txt d/e/b.txt");
    assert_string_equal(run(p, "%fs head d/e/b.txt"), "x\n");
    fails(p, "%fs rm d", "without recurse");
    run(p, "%fs rm -r d");
    assert_false(fs_exists("d"));
    run(p, "%load a.txt");
    assert_non_null(recorder_event(&p->recorder, "set_next_input", 0));
    fails(p, "%load none.txt", "none.txt");
    fails(p, "%%writefile\nx", "one file");
    fails(p, "%%writefile /no/such/folder/x\ny", "/no/such/folder/x");
}

static void the_folder_changes_and_goes_back(void **state)
{
    struct place *p = *state;
    char expected[320];

    snprintf(expected, sizeof expected, "%s/sub\n%s\n", p->dir, p->dir);
    run(p, "%fs mkdirs sub");
    assert_string_equal(run(p, "%cd sub\n%cd -"), expected);
    run(p, "%pwd");
    assert_true(contains(recorder_result(&p->recorder), p->dir));
    fails(p, "%cd nowhere", "nowhere");
    snprintf(expected, sizeof expected, "Directory history\n0: %s\n1: %s/sub\n2: %s\n", p->dir, p->dir,
             p->dir);
    assert_string_equal(run(p, "%dhist"), expected);
    snprintf(expected, sizeof expected, "%s/sub\n%s\n%s/sub\n", p->dir, p->dir, p->dir);
    assert_string_equal(run(p, "%cd -1\n%cd -0\n%cd --su"), expected);
    fails(p, "%cd -9", "'9' in the history");
    fails(p, "%cd --nothing", "'nothing' in the history");
    fails(p, "%dhist x", "number");
    run(p, "%cd -0");
}

static void the_environment_is_set(void **state)
{
    struct place *p = *state;

    assert_string_equal(run(p, "%env LACUS_T=a b"), "env: LACUS_T=a b\n");
    assert_string_equal(run(p, "%sh echo $LACUS_T"), "a b\n");
    run(p, "%env LACUS_T");
    assert_true(contains(recorder_result(&p->recorder), "a b"));
    fails(p, "%env LACUS_NOT_SET", "LACUS_NOT_SET");
    unsetenv("LACUS_T");
}

static void names_are_listed_and_forgotten(void **state)
{
    struct place *p = *state;

    assert_string_equal(run(p, "%who"), "No names are defined.\n");
    run(p, "local kept = 1\nword = 'a text'\nfunction f() end\n_hidden = 1");
    assert_string_equal(run(p, "%who"), "f\t kept\t word\n");
    assert_string_equal(run(p, "%who number"), "kept\n");
    assert_true(contains(run(p, "%whos"), "Variable   Type       Data/Info"));
    assert_true(contains(p->out, "a text"));
    fails(p, "%reset -x", "%reset: no option '-x'");
    fails(p, "%reset -f in", "all names are forgotten");
    run(p, "%reset -f");
    assert_string_equal(run(p, "print(kept, word, f)"), "nil\tnil\tnil\n");
}

static void scripts_and_notebooks_run_here(void **state)
{
    struct place *p = *state;

    write_text("lib.lua", "#!/usr/bin/env lacus\nlocal a = 1\nfunction from_lib() return 'lib' end\n");
    assert_string_equal(run(p, "%run lib\nprint(from_lib())"), "lib\n");
    write_text("nb.ipynb",
               "{\"nbformat\": 4, \"nbformat_minor\": 5, \"metadata\": {}, \"cells\": ["
               "{\"cell_type\": \"markdown\", \"id\": \"a\", \"metadata\": {}, \"source\": \"# not code (\"},"
               "{\"cell_type\": \"code\", \"id\": \"b\", \"metadata\": {}, \"execution_count\": null, "
               "\"outputs\": [], "
               "\"source\": \"from_nb = 7\\nfrom_nb + 1\"},"
               "{\"cell_type\": \"code\", \"id\": \"c\", \"metadata\": {}, \"execution_count\": null, "
               "\"outputs\": [], "
               "\"source\": \"%%sh\\necho in a cell\"}]}");
    assert_string_equal(run(p, "%run ./nb.ipynb\nprint(from_nb)"), "in a cell\n7\n");
    assert_non_null(recorder_event(&p->recorder, "display_data", 0));
    write_text("bad.ipynb", "{\"nbformat\": 4");
    fails(p, "%run bad.ipynb", "bad.ipynb");
    fails(p, "%run missing", "no notebook or Lua file 'missing'");
    write_text("err.lua", "local x = 1\nerror('in the file')\n");
    fails(p, "%run err.lua", "in the file");
    write_text("words.lua", "print(#arg, arg[2])\n");
    assert_string_equal(run(p, "%run words what 'a b'\nprint(arg)"), "2\ta b\nnil\n");
    fails(p, "%run nb.ipynb what", "cannot read the parameter 'what'");
}

static void texts_are_shown_as_what_they_are(void **state)
{
    static const struct {
        const char *cell, *mime, *text;
    } cases[] = {
        {"%%html\n<b>x</b>", "text/html", "<b>x</b>"}, {"%md # title", "text/markdown", "# title"},
        {"%%markdown\n*x*", "text/markdown", "*x*"},   {"%%latex\n$x$", "text/latex", "$x$"},
        {"%%svg\n<svg/>", "image/svg+xml", "<svg/>"},  {"%%javascript\n1", "application/javascript", "1"}};
    struct place *p = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *data;
        run(p, cases[i].cell);
        data = json_object_get(recorder_event(&p->recorder, "display_data", 0), "data");
        assert_string_equal(json_string_value(json_object_get(data, cases[i].mime)), cases[i].text);
    }
}

static void what_is_captured_is_not_shown(void **state)
{
    struct place *p = *state;

    assert_string_equal(run(p, "%%capture kept\nprint('quiet')\ndisplay.html('<i>')\n1 + 1"), "");
    assert_null(recorder_event(&p->recorder, "display_data", 0));
    assert_null(recorder_result(&p->recorder));
    assert_string_equal(run(p, "print(kept.stdout, #kept.outputs)"), "quiet\n\t2\n");
    assert_string_equal(run(p, "kept.show()"), "quiet\n");
    assert_non_null(recorder_event(&p->recorder, "display_data", 1));
    fails(p, "%%capture\nerror('loud')", "loud");
    assert_string_equal(run(p, "print('heard again')"), "heard again\n");
    assert_string_equal(run(p, "%%capture --no-stdout\nprint('through')"), "through\n");
}

static void sql_goes_statement_by_statement(void **state)
{
    struct place *p = *state;

    fails(p, "%sql SELECT 1", "spark");
    run(p, "said = {} spark = {sql = function(self, text) said[#said + 1] = text return 'result ' .. #said "
           "end}");
    run(p, "%%sql\n-- a; comment\nCREATE SCHEMA a; /* ; */ SELECT ';' AS x; \n");
    assert_true(contains(recorder_result(&p->recorder), "result 2"));
    assert_true(contains(run(p, "print(#said, said[2], _sqldf)"), "2\t"));
    assert_true(contains(p->out, "SELECT ';' AS x\tresult 2"));
    fails(p, "%%sql\n-- nothing", "no statement");
}

static void packages_are_answered(void **state)
{
    struct place *p = *state;

    assert_true(contains(run(p, "%pip install \"transformers[torch]>=4.0\" \\\n   PEFT huggingface_hub"),
                         "transformers: built in: llm.load"));
    assert_true(contains(p->out, "peft: built in: LoraConfig") &&
                contains(p->out, "huggingface-hub: built in"));
    assert_string_equal(run(p, "%pip install -q peft"), "");
    assert_string_equal(run(p, "%pip install -qq peft"), "");
    write_text("more.txt", "torch==2.0 ; python_version > '3' # a comment\n");
    write_text("req.txt", "# what we need\n\npeft \\\n  >=0.1\n-r more.txt\n");
    assert_true(contains(run(p, "%pip install -r req.txt"), "peft: built in"));
    assert_true(contains(p->out, "torch: built in"));
    fails(p, "%pip install -r none.txt", "none.txt");
    fails(p, "%pip install", "nothing to install");
    setenv("PATH", "/nonexistent", 1);
    fails(p, "%pip install -q peft scikit-learn", "cannot install 'scikit-learn': it is a Python package");
    fails(p, "%%python\nx = 1", "no python3 on the PATH");
    setenv("PATH", "/nonexistent", 1);
    fails(p, "%luarocks install x", "it is not installed");
    setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
}

static void python_is_kept_and_ended(void **state)
{
    struct place *p = *state;

    if (system("python3 -c pass") != 0) {
        print_message("SKIP: python3 does not run here\n");
        skip();
    }
    run(p, "t = {1, 2.5, {k = 'v'}}");
    assert_string_equal(run(p, "%%python -i t -o n,back\nn = len(t)\nback = t[2]\nprint(t[1])"), "2.5\n");
    assert_string_equal(run(p, "print(n, back.k)"), "3\tv\n");
    fails(p, "%%python\n1 / 0", "ZeroDivisionError");
    run(p, "%python n * 2");
    assert_non_null(recorder_event(&p->recorder, "display_data", 0));
    fails(p, "%%python -i nothing\n1", "no such variable");
    fails(p, "%%python -x 1\n1", "%python: no option '-x'");
    fails(p, "%%python --restart\nn", "NameError");
    fails(p, "%%python\nimport os; os._exit(7)", "exit status 7");
    assert_string_equal(run(p, "%%python\nprint('again')"), "again\n");
}

static void variables_are_stored(void **state)
{
    struct place *p = *state;

    run(p, "t = {1, 'two', {3.5}, [true] = false} t.self = t\n%store t");
    run(p, "%reset -f\n%store -r t");
    assert_string_equal(run(p, "print(t[2], t[3][1], t[true], t.self == t)"), "two\t3.5\tfalse\ttrue\n");
    fails(p, "f = print\n%store f", "it is a function");
    fails(p, "%store ../x", "no name of a variable");
    write_text("store/bad.lua", "return os.exit()");
    fails(p, "%store -r bad", "cannot be read");
    run(p, "%store -z");
    fails(p, "%store -r t", "no variable is stored");
}

static void extensions_bring_magics(void **state)
{
    struct place *p = *state;

    write_text("ext.lua",
               "return {load_ext = function(s) s:register_magic('twice', function(line) print(line, line) "
               "end) end}");
    assert_string_equal(run(p, "package.path = './?.lua;' .. package.path\n%load_ext ext\n%twice x"),
                        "x\tx\n");
    assert_true(contains(run(p, "%lsmagic"), "%twice"));
    run(p, "%unload_ext ext");
    fails(p, "%twice x", "unknown magic");
    fails(p, "%script bash", "%%script takes the whole cell");
    fails(p, "%%who\nx", "%who takes the rest of its line");
    fails(p, "%load_ext string", "no extension");
}

static void all_magics_explain_themselves(void **state)
{
    struct place *p = *state;

    run(p, "%lsmagic");
    for (const struct session_magic *m = lacus_magics; m->name; m++) {
        assert_true(contains(p->out, m->name));
        assert_true(m->usage[0] == '%' && m->doc[0] && m->kinds);
        if (m > lacus_magics && strcmp(m[-1].name, m->name) >= 0)
            fail_msg("'%s' is not in its place", m->name);
    }
    run(p, "%quickref");
    assert_non_null(recorder_event(&p->recorder, "page", 0));
    run(p, "%time?");
    assert_non_null(recorder_event(&p->recorder, "page", 0));
    fails(p, "%tiem 1", "'time'");
}

static void words_are_split_as_a_shell_does(void **state)
{
    struct place *p = *state;

    run(p, "%%writefile 'a b.txt'\nx");
    assert_true(fs_exists("a b.txt"));
    fails(p, "%fs ls 'a", "a quote is not closed");
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_place, remove_place)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(times_look_like_ipythons),
        T(time_runs_in_the_cell),
        T(timeit_counts_loops),
        T(shells_stream_and_fail),
        T(shell_lines_know_variables),
        T(the_lines_of_a_command_are_a_list),
        T(scripts_take_the_cell),
        T(files_are_written_listed_and_loaded),
        T(the_folder_changes_and_goes_back),
        T(the_environment_is_set),
        T(names_are_listed_and_forgotten),
        T(scripts_and_notebooks_run_here),
        T(texts_are_shown_as_what_they_are),
        T(what_is_captured_is_not_shown),
        T(sql_goes_statement_by_statement),
        T(packages_are_answered),
        T(python_is_kept_and_ended),
        T(variables_are_stored),
        T(extensions_bring_magics),
        T(all_magics_explain_themselves),
        T(words_are_split_as_a_shell_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
