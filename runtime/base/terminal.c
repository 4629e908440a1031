#include "runtime/base/terminal.h"
#include "runtime/base/clock.h"
#include "runtime/base/utf8.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const int64_t log_interval_ns =
    5000000000; /* between two versions of a block where nothing can be redrawn */

static void put(struct terminal *t, const char *text, size_t len)
{
    if (len > 0)
        t->midline = text[len - 1] != '\n';
    while (len > 0) {
        ssize_t n = write(t->fd, text, len);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            if (!t->lost && errno != EBADF) /* closed from the beginning: nobody wants it */
                t->lost = errno;
            return;
        }
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
}

void terminal_init(struct terminal *t, int fd)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");

    *t = (struct terminal){.fd = fd, .pending = BUF_INIT(BUF_TEXT_MAX)};
    t->live = isatty(fd) && term && strcmp(term, "dumb") != 0;
    t->colours = t->live && !(no_color && *no_color);
}

int terminal_columns(const struct terminal *t)
{
    struct winsize size;

    return ioctl(t->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void print_pending(struct terminal *t)
{
    if (t->pending.len > 0) {
        put(t, t->pending.data, t->pending.len);
        if (t->midline)
            put(t, "\n", 1);
    }
    buf_clear(&t->pending);
}

static void end_block(struct terminal *t)
{
    print_pending(t);
    t->block[0] = '\0';
    t->block_rows = 0;
}

void terminal_release(struct terminal *t)
{
    end_block(t);
    buf_release(&t->pending);
}

void terminal_leave(struct terminal *t)
{
    end_block(t);
    t->midline = false;
}

void terminal_text(struct terminal *t, const char *text, size_t len)
{
    if (len == 0)
        return;
    end_block(t);
    put(t, text, len);
}

void terminal_coloured(struct terminal *t, const char *text, size_t len)
{
    struct buf plain = BUF_INIT(BUF_TEXT_MAX);

    if (t->colours) {
        terminal_text(t, text, len);
        return;
    }
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\x1b' && i + 1 < len && text[i + 1] == '[')
            for (i += 2; i < len && (text[i] < '@' || text[i] > '~'); i++)
                ;
        else
            buf_putc(&plain, text[i]);
    terminal_text(t, buf_str(&plain), plain.len);
    buf_release(&plain);
}

static int rows_of(const struct terminal *t, const char *text, size_t len)
{
    size_t columns = (size_t)terminal_columns(t);
    int rows = 0;

    for (size_t start = 0; start < len;) {
        const char *end = memchr(text + start, '\n', len - start);
        size_t line = end ? (size_t)(end - text) - start : len - start;
        size_t wide = utf8_columns(text + start, line);
        rows += 1 + (wide > columns ? (int)((wide - 1) / columns) : 0);
        start += line + 1;
    }
    return rows;
}

void terminal_erase(struct terminal *t)
{
    char up[48];

    if (t->block_rows > 0 && t->live)
        put(t, up, (size_t)snprintf(up, sizeof up, "\x1b[%dA\r\x1b[J", t->block_rows));
    buf_clear(&t->pending);
    t->midline = false;
    end_block(t);
}

static void redraw(struct terminal *t, const char *id, const char *text, size_t len)
{
    if (strncmp(t->block, id, sizeof t->block - 1) == 0)
        terminal_erase(t);
    else
        end_block(t);
    if (t->midline)
        put(t, "\n", 1);
    put(t, text, len);
    if (t->midline)
        put(t, "\n", 1);
    t->block_rows = rows_of(t, text, len);
}

void terminal_block(struct terminal *t, const char *id, const char *text, size_t len)
{
    bool same = strncmp(t->block, id, sizeof t->block - 1) == 0;
    int64_t now = clock_mono_ns();

    if (t->live) {
        redraw(t, id, text, len);
    } else {
        if (!same)
            end_block(t);
        buf_clear(&t->pending);
        buf_add(&t->pending, text, len);
        if (!same || now - t->block_printed_ns >= log_interval_ns) {
            if (t->midline)
                put(t, "\n", 1);
            print_pending(t);
            t->block_printed_ns = now;
        }
    }
    snprintf(t->block, sizeof t->block, "%s", id);
}
