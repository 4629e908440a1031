#include "repl/man_page.h"
#include "runtime/base/err.h"
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* One line as roff takes it: it begins no request, and its hyphens can be copied. */
static void print_line(const char *text, size_t len)
{
    if (len > 0 && (*text == '.' || *text == '\''))
        fputs("\\&", stdout);
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\\')
            fputs("\\e", stdout);
        else if (text[i] == '-')
            fputs("\\-", stdout);
        else
            putchar(text[i]);
}

/* A usage text may have several lines; the tag of a list has one. */
static void print_tag(const char *usage)
{
    fputs(".TP\n.B lacus", stdout);
    while (*usage) {
        size_t len = strcspn(usage, "\n");
        putchar(' ');
        print_line(usage, len);
        usage += len;
        usage += strspn(usage, " \n");
    }
    putchar('\n');
}

static void print_commands(const struct command *table)
{
    puts(".SH COMMANDS");
    for (const struct command *c = table; c->name; c++) {
        if (!c->summary)
            continue;
        print_tag(c->usage);
        print_line(c->summary, strlen(c->summary));
        puts(".");
    }
}

static void print_exit_codes(void)
{
    puts(".SH EXIT STATUS");
    for (int exit_code = 0; exit_code < 256; exit_code++) {
        bool first = true;
        for (int code = 0; code < LC_COUNT; code++) {
            if (lc_exit((enum lc)code) != exit_code)
                continue;
            if (first)
                printf(".TP\n.B %d\n", exit_code);
            printf("%s%s", first ? "" : "; ", lc_text((enum lc)code));
            first = false;
        }
        if (!first)
            puts(".");
    }
    puts(".TP\n.B 129\nended by SIGHUP.\n.TP\n.B 143\nended by SIGTERM.");
}

void man_page_print(const struct command *table)
{
    puts(".TH LACUS 1 \"\" \"lacus " LACUS_VERSION "\"\n"
         ".SH NAME\nlacus \\- dataframes, tables, training and serving in Lua: Jupyter kernel, prompt, "
         "runner\n"
         ".SH SYNOPSIS\n.B lacus\n[COMMAND [ARGUMENT]...]\n"
         ".SH DESCRIPTION\nWithout a command lacus is a prompt; piped input, or a file FILE.lua, runs as a "
         "script.");
    print_commands(table);
    print_exit_codes();
    puts(".SH ENVIRONMENT\n"
         ".TP\n.B LACUS_EDITING_MODE\nemacs or vi: the keys of the prompt.\n"
         ".TP\n.B LACUS_HOME\nthe folder of the workspace; ~/.lacus when it is not set.\n"
         ".TP\n.B LACUS_LIB\nwhere plugins and libraries are looked for first.\n"
         ".TP\n.B LACUS_MEMORY_LIMIT\nwhat the Lua values of a session may use, as 2G.");
}
