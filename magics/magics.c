#include "magics/magics.h"

#define SCRIPT "[--bg] [--out NAME] [--err NAME] [--proc NAME] [--no-raise-error]"

#define PYTHON "%%python [-i|--in NAME,…] [-o|--out NAME,…] [--restart]"

enum { LINE = MAGIC_LINE, CELL = MAGIC_CELL, BOTH = MAGIC_LINE | MAGIC_CELL };

const struct session_magic lacus_magics[] = {
    {"R", "%%R " SCRIPT, "runs the cell with R", CELL, magic_r, .example = "%%R\ncat(mean(c(1, 2, 3)))"},
    {"aimport", "%aimport [MODULE | -MODULE]",
     "requires a module and marks it for %autoreload 1; with - it is never loaded again", LINE, magic_aimport,
     .example = "%aimport mymodule"},
    {"autoreload", "%autoreload [0 | 1 | 2 | now]",
     "loads Lua modules again when their files have changed: 2 all before each cell, 1 those of %aimport, "
     "now at once, 0 never",
     LINE, magic_autoreload, .example = "%autoreload 2"},
    {"bash", "%%bash [-s] " SCRIPT " [ARGUMENT]…",
     "runs the cell with bash, which finds the arguments as $1, $2, …; fails when it fails", CELL, magic_bash,
     .example = "%%bash\nfor i in 1 2; do echo \"row $i\"; done"},
    {"bookmark", "%bookmark [-l] [-d] [-r] [NAME] [FOLDER]",
     "a name for a folder, the working one when none is given, for %cd NAME; -l lists them, -d removes one, "
     "-r all",
     LINE, magic_bookmark, .example = "%bookmark data /tmp", .words = magic_bookmark_words},
    {"capture", "%%capture [--no-stdout] [--no-stderr] [--no-display] [NAME]",
     "runs the cell and keeps what it shows in NAME (stdout, stderr, outputs, show())", CELL, magic_capture,
     .example = "%%capture seen\nprint(\"kept\")"},
    {"cd", "%cd [-q] [-b] [FOLDER | BOOKMARK | - | -NUMBER | --PART]",
     "changes the working folder; - goes back, -NUMBER to one of %dhist, --PART to the last one with this in "
     "its name, "
     "nothing goes home, -b to a bookmark; -q says nothing",
     LINE, magic_cd, .example = "%cd -q /tmp", .words = magic_bookmark_words},
    {"config", "%config [NAME [= VALUE]]", "shows or changes settings; spark.… are those of dataframes", LINE,
     magic_config, .example = "%config memory_limit = 4GB", .words = magic_config_words},
    {"connect_info", "%connect_info", "how other clients connect to this kernel", LINE, magic_connect_info,
     .example = "%connect_info"},
    {"debug", "%debug [STATEMENT]",
     "looks into the last error; with a statement runs it step by step; help lists what can be said at the "
     "prompt",
     BOTH, magic_debug, .example = "%debug"},
    {"dhist", "%dhist [COUNT | FIRST END]",
     "the folders that %cd has been in, with their numbers for %cd -NUMBER", LINE, magic_dhist,
     .example = "%dhist"},
    {"ed", "%ed [-x] [FILE | RANGE…]", "as %edit", LINE, magic_edit, .example = "%ed -x 1"},
    {"edit", "%edit [-x] [FILE | RANGE…]",
     "opens $EDITOR, and runs what was written; -x does not run it; without a terminal the text becomes the "
     "next cell",
     LINE, magic_edit, .example = "%edit -x 1"},
    {"env", "%env [NAME | NAME=VALUE | NAME VALUE]",
     "shows or sets environment variables; values know $name and {expression}", LINE, magic_env,
     .example = "%env GREETING=hello"},
    {"file", "%%file [-a|--append] FILE", "as %%writefile", CELL, magic_writefile,
     .example = "%%file script.lua\nprint(1)"},
    {"fs", "%fs ls|head|mkdirs|put|cp|mv|rm [-r|--recurse] [-f|--overwrite] PATH [PATH | TEXT]",
     "looks at files and folders, as dbutils.fs does", BOTH, magic_fs, .example = "%fs ls /tmp"},
    {"hist", "%hist [-n] [-o] [-p] [-t] [-u] [-l COUNT] [-g PATTERN] [-f FILE] [RANGE…]", "as %history", LINE,
     magic_history, .example = "%hist -n 1-3"},
    {"history", "%history [-n] [-o] [-p] [-t] [-u] [-l COUNT] [-g PATTERN] [-f FILE] [RANGE…]",
     "what was run; RANGE is 4, 4-6, ~1/7 (of the session before) or ~2/1-~1/5; -n with numbers, -o with "
     "values, -p with prompts, -t as Lua has it (magics are calls), -u each text once, -l the last ones, -g "
     "those that match, -f into a file",
     LINE, magic_history, .example = "%history -n 1-3"},
    {"html", "%%html", "shows the cell as HTML", BOTH, magic_html, .example = "%%html\n<b>bold</b>"},
    {"javascript", "%%javascript", "runs the cell as JavaScript in the notebook's page", BOTH,
     magic_javascript, .example = "%%javascript\nconsole.log(\"seen\")"},
    {"killbgscripts", "%killbgscripts", "ends what %%script --bg has started", LINE, magic_killbgscripts,
     .example = "%killbgscripts"},
    {"latex", "%%latex", "shows the cell as LaTeX", BOTH, magic_latex, .example = "%%latex\n$x^2$"},
    {"load", "%load [-r LINES] FILE | RANGE…",
     "puts the text of a file, or earlier cells, into the next cell; -r 5-10 some of its lines", LINE,
     magic_load, .example = "%load script.lua"},
    {"load_ext", "%load_ext MODULE", "loads an extension: a Lua module with load_ext(session)", LINE,
     magic_load_ext, .example = "%load_ext myextension"},
    {"ls", "%ls [ARGUMENTS]", "lists files, as ls does", LINE, magic_ls, .example = "%ls -l"},
    {"lsmagic", "%lsmagic", "lists the magics", LINE, magic_lsmagic, .example = "%lsmagic"},
    {"luarocks", "%luarocks install NAME [VERSION] | restore | remove NAME | list | …",
     "Lua packages for this notebook, pinned in a lock file; restore installs what the lock names", LINE,
     magic_luarocks, .example = "%luarocks install lua-cjson 2.1.0"},
    {"markdown", "%%markdown", "shows the cell as Markdown", BOTH, magic_markdown,
     .example = "%%markdown\n# A title"},
    {"md", "%md TEXT", "shows text as Markdown", BOTH, magic_markdown, .example = "%md some **bold** text"},
    {"memit", "%memit [-r RUNS] STATEMENT", "how much memory a statement takes at its most, and keeps", BOTH,
     magic_memit, .example = "%memit local t = {} for i = 1, 1e5 do t[i] = i end"},
    {"node", "%%node " SCRIPT, "runs the cell with Node.js", CELL, magic_node,
     .example = "%%node\nconsole.log([1, 2].map(x => 2 * x))"},
    {"perl", "%%perl " SCRIPT, "runs the cell with Perl", CELL, magic_perl,
     .example = "%%perl\nprint 2 ** 10, \"\\n\";"},
    {"pip", "%pip install|uninstall|list|freeze|show … [-q] [-r FILE] [--in-python]",
     "says what of Python's packages is built in, and hands the others to the Python of %%python cells; "
     "--in-python hands over all of them",
     LINE, magic_pip, .example = "%pip install -q \"pandas>=2\""},
    {"prun", "%prun [-l LINES] [-s KEY] [-t] [-q] [-o FILE] STATEMENT",
     "where the time goes: a table of functions (-s by time, cumulative or name, -t is cumulative; -l as "
     "many), "
     "a flame graph; -o into an .svg or .html file, -q not shown",
     BOTH, magic_prun, .example = "%prun for i = 1, 1e6 do local s = tostring(i) end"},
    {"pwd", "%pwd", "the working folder", LINE, magic_pwd, .example = "%pwd"},
    {"python", PYTHON, "runs the cell in a Python that is kept: -i hands over variables, -o takes some back",
     BOTH, magic_python, .example = "%%python -i n -o squares\nsquares = [i * i for i in range(n)]"},
    {"python3", PYTHON, "as %%python", BOTH, magic_python, .example = "%%python3\nprint(1 + 1)"},
    {"quickref", "%quickref", "what a cell can say, in short", LINE, magic_quickref, .example = "%quickref"},
    {"recall", "%recall [RANGE… | TEXT]",
     "puts earlier cells into the next one: a range, or the last one with TEXT in it; without either, the "
     "last value",
     LINE, magic_recall, .example = "%recall 1"},
    {"reload_ext", "%reload_ext MODULE", "loads an extension again", LINE, magic_reload_ext,
     .example = "%reload_ext myextension"},
    {"rep", "%rep [RANGE… | TEXT]", "as %recall", LINE, magic_recall, .example = "%rep 1"},
    {"rerun", "%rerun [-l COUNT] [-g PATTERN] [RANGE…]", "runs earlier cells again", LINE, magic_rerun,
     .example = "%rerun 1"},
    {"reset", "%reset [-f]", "forgets all names that you have defined", LINE, magic_reset,
     .example = "%reset -f"},
    {"restart", "%restart",
     "starts the session anew: names, modules and Python are forgotten; widgets, parameters and the count of "
     "cells stay",
     LINE, magic_restart, .example = "%restart"},
    {"ruby", "%%ruby " SCRIPT, "runs the cell with Ruby", CELL, magic_ruby,
     .example = "%%ruby\nputs [1, 2].sum"},
    {"run", "%run [-i] [-n] [-t] FILE [$NAME=VALUE]… [-p NAME VALUE]…",
     "runs a notebook or a Lua file here; its names stay, and it sees those of the session (-i and -n change "
     "nothing); "
     "-t says how long it took; the path is that of "
     "the notebook's folder, else (after %cd first) of the working folder",
     LINE, magic_run_file, .example = "%run script.lua $n=3"},
    {"save", "%save [-f] [-a] FILE [RANGE…]",
     "writes cells to a file (all, or those of the ranges); -a appends, -f does not ask", LINE, magic_save,
     .example = "%save -f kept.lua 1"},
    {"script", "%%script " SCRIPT " PROGRAM [ARGUMENT]…",
     "gives the cell to a program; --out and --err keep what it prints in a variable; --bg lets it run "
     "beside "
     "the cells: --out and --err are files to read from, --proc the process (pid, returncode, poll, wait, "
     "terminate)",
     CELL, magic_script, .example = "%%script awk 1\na line", .words = magic_script_words},
    {"set_env", "%set_env NAME=VALUE | NAME VALUE", "as %env", LINE, magic_env,
     .example = "%set_env GREETING=hello"},
    {"sh", "%sh COMMAND | %%sh [-s] " SCRIPT " [ARGUMENT]…",
     "runs a command, or the cell, with sh; fails when it fails", BOTH, magic_sh, .example = "%sh date",
     .words = magic_script_words},
    {"sql", "%sql STATEMENT",
     "runs Spark SQL; the result is shown and kept in _sqldf; :name is the value of a widget or variable, "
     "{df} a DataFrame, "
     "$name and ${name} are replaced by the text of one",
     BOTH, magic_sql, .example = "%%sql\nSELECT id, id * id AS square FROM range(3)",
     .explain = magic_sql_word},
    {"store", "%store [-r] [-d] [-z] [NAME… | NAME > FILE | NAME >> FILE]",
     "keeps variables for later sessions; -r brings them back, -d removes some, -z all; without names it "
     "lists them",
     LINE, magic_store, .example = "%store n", .words = magic_store_words},
    {"svg", "%%svg", "shows the cell as SVG", BOTH, magic_svg,
     .example =
         "%%svg\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"><circle r=\"4\" cx=\"4\" "
         "cy=\"4\"/></svg>"},
    {"sx", "%sx COMMAND", "runs a shell command and gives its lines, as lines = !command does", BOTH,
     magic_sx, .example = "%sx echo one", .words = magic_script_words},
    {"tb", "%tb [MODE]",
     "the last error once more, where HTML is seen in parts that fold: Minimal, Plain, Context, Verbose",
     LINE, magic_tb, .example = "%tb Verbose"},
    {"tensorboard", "%tensorboard [--logdir FOLDER] [--port PORT] [--stop]",
     "starts TensorBoard and shows it", LINE, magic_tensorboard, .example = "%tensorboard --logdir runs"},
    {"time", "%time STATEMENT", "runs once and says how long it took", BOTH, magic_time,
     .example = "%time local s = (\"x\"):rep(1e6)"},
    {"timeit", "%timeit [-n LOOPS] [-r RUNS] [-p DIGITS] [-o] [-q] STATEMENT",
     "runs many times and says how long one takes; -o gives the figures as a table, -q prints nothing", BOTH,
     magic_timeit, .example = "%timeit -n 100 -r 3 (\"x\"):rep(100)"},
    {"unload_ext", "%unload_ext MODULE", "unloads an extension", LINE, magic_unload_ext,
     .example = "%unload_ext myextension"},
    {"vegalite", "%%vegalite", "shows the cell, a Vega-Lite specification in JSON, as a chart", CELL,
     magic_vegalite,
     .example = "%%vegalite\n{\"data\": {\"values\": [{\"x\": 1, \"y\": 2}]}, \"mark\": \"bar\", "
                "\"encoding\": {\"x\": "
                "{\"field\": \"x\"}, \"y\": {\"field\": \"y\"}}}"},
    {"who", "%who [TYPE]…", "the names that you have defined", LINE, magic_who, .example = "%who table",
     .words = magic_who_words},
    {"who_ls", "%who_ls [TYPE]…", "the names that you have defined, as a list", LINE, magic_who_ls,
     .example = "%who_ls", .words = magic_who_words},
    {"whos", "%whos [TYPE]…", "the names that you have defined, with type and value", LINE, magic_whos,
     .example = "%whos", .words = magic_who_words},
    {"writefile", "%%writefile [-a|--append] FILE", "writes the cell to a file; -a appends", CELL,
     magic_writefile, .example = "%%writefile script.lua\nprint(\"from a file\", n)"},
    {"xmode", "%xmode [MODE]",
     "how much of an error is shown: Minimal, Plain, Context, Verbose with the variables of each call, or "
     "Folded: in parts that open "
     "with a click",
     LINE, magic_xmode, .example = "%xmode Minimal"},
    {0},
};
