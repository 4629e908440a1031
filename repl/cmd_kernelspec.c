/* cmd_kernelspec.c: lacus kernelspec install|uninstall … */
#include "kernel/kernelspec.h"
#include "repl/command.h"
#include "runtime/base/mem.h"
#include <stdio.h>
#include <string.h>

struct choice {
    enum kernelspec_place place;
    const char *prefix;
};

static bool parse(int argc, char **argv, struct choice *out)
{
    *out = (struct choice){KERNELSPEC_USER, NULL};
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "--user") == 0)
            out->place = KERNELSPEC_USER;
        else if (strcmp(argv[i], "--sys-prefix") == 0)
            out->place = KERNELSPEC_SYS_PREFIX;
        else if (strcmp(argv[i], "--prefix") == 0 && i + 1 < argc)
            *out = (struct choice){KERNELSPEC_PREFIX, argv[++i]};
        else if (strncmp(argv[i], "--prefix=", 9) == 0)
            *out = (struct choice){KERNELSPEC_PREFIX, argv[i] + 9};
        else
            return false;
    }
    return true;
}

int cmd_kernelspec(int argc, char **argv)
{
    bool install = argc > 1 && strcmp(argv[1], "install") == 0;
    bool uninstall = argc > 1 && strcmp(argv[1], "uninstall") == 0;
    struct choice choice;
    char *folder = NULL;
    struct err err;
    enum lc rc;

    err_clear(&err);
    if ((!install && !uninstall) || !parse(argc, argv, &choice))
        rc = err_set(&err, LC_ARG, "unexpected arguments");
    else
        rc = kernelspec_folder(choice.place, choice.prefix, &folder, &err);
    if (rc == LC_OK)
        rc = install ? kernelspec_install(folder, &err) : kernelspec_uninstall(folder, &err);
    if (rc != LC_OK)
        command_error("kernelspec", &err);
    else
        printf("%s the kernelspec lacus in %s\n", install ? "installed" : "removed", folder);
    if (rc == LC_OK && install)
        printf("for papermill -p on Lua notebooks: pip install '%s/papermill'\n", folder);
    mem_free(folder);
    return lc_exit(rc);
}
