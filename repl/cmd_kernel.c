/* cmd_kernel.c: lacus kernel -f CONNECTION_FILE */
#include "kernel/kernel.h"
#include "magics/magics.h"
#include "repl/command.h"
#include "repl/globals.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include <string.h>

int cmd_kernel(int argc, char **argv)
{
    struct session_options base = {.globals = lacus_globals, .magics = lacus_magics};
    char *history;
    int status;

    /* what follows belongs to the client: `jupyter run` and `jupyter console` add the words they were given */
    if (argc < 3 || strcmp(argv[1], "-f") != 0) {
        struct err err;

        err_set(&err, LC_ARG, "-f and a connection file expected");
        return command_error("kernel", &err);
    }
    history = fs_home("history.db", NULL);
    base.history = history;
    status = kernel_main(&base, argv[2]);
    mem_free(history);
    return status;
}
