/* terminal.h: text for people: streams as they come, and blocks (a progress bar, a small curve) that replace
 * their earlier version.
 *
 * What      on a terminal a block that is still the last thing printed is redrawn in place; elsewhere (a log,
 *           a pipe) its new versions are printed only now and then, and the last one when something else
 *           follows.
 * Ownership the descriptor is borrowed; terminal_release prints what is pending and frees.
 * Units     bytes; columns of the terminal.
 * Errors    none: a closed descriptor loses output, never the program (SIGPIPE must be ignored).
 * Threads   one at a time.
 *
 * Example:
 *     struct terminal t;
 *     terminal_init(&t, 1);
 *     terminal_block(&t, "bar", "50 %", 4);
 *     terminal_block(&t, "bar", "100 %", 5);
 *     terminal_release(&t);
 */
#ifndef LACUS_BASE_TERMINAL_H
#define LACUS_BASE_TERMINAL_H
#include "runtime/base/buf.h"

struct terminal {
    int fd;       /* borrowed */
    bool live;    /* a terminal that can move the cursor */
    bool colours; /* escape sequences for colours are welcome: a terminal, and NO_COLOR is not set */
    bool midline; /* the last byte written was not a newline */
    int lost;     /* errno of the first write that failed; 0: none did */
    char block[64];
    int block_rows;     /* rows of the block that is last on the screen; 0: none */
    struct buf pending; /* newest version of the block, not printed yet */
    int64_t block_printed_ns;
};

void terminal_init(struct terminal *t, int fd);
void terminal_release(struct terminal *t);
void terminal_text(struct terminal *t, const char *text, size_t len);
/* Text with colours, which are left out where they are not welcome. */
void terminal_coloured(struct terminal *t, const char *text, size_t len);
void terminal_block(struct terminal *t, const char *id, const char *text, size_t len);
/* Others write to it now: what is pending is printed, and the last block stays as it is. */
void terminal_leave(struct terminal *t);
void terminal_erase(struct terminal *t); /* takes the last block off the screen, where that can be done */
int terminal_columns(const struct terminal *t); /* 80 when unknown */
#endif
