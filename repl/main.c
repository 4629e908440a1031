/* main.c: the table of subcommands. */
#include "repl/command.h"
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    return command_main(argc, argv);
}
