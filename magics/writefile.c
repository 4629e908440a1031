/* %%writefile: the cell's text becomes a file. */
#include "magics/line.h"
#include "magics/magics.h"
#include "magics/options.h"
#include "runtime/base/fs.h"
#include "runtime/session/shell.h"
#include <string.h>

static void append(lua_State *L, const char *path, const char *text)
{
    struct buf b = BUF_INIT((size_t)256 << 20);
    struct err err;
    enum lc rc = fs_exists(path) ? fs_read(path, &b, &err) : LC_OK;

    if (rc == LC_OK) {
        buf_puts(&b, text);
        rc = buf_check(&b, &err);
    }
    if (rc == LC_OK)
        rc = fs_write(path, buf_str(&b), b.len, &err);
    buf_release(&b);
    if (rc != LC_OK)
        session_raise(L, &err);
}

int magic_writefile(lua_State *L, const char *line, const char *body)
{
    struct options *o = options_read(L, "writefile", shell_expand(L, line), OPTIONS_ALL);
    const char *path = line_path(L, options_one(L, o, "one file is to be named")), *text;
    bool adds = options_has(o, "-a");
    size_t len = strlen(body);
    struct err err;

    text = len && body[len - 1] == '\n' ? body : lua_pushfstring(L, "%s\n", body);
    line_print(L, "%s %s\n",
               adds && fs_exists(path) ? "Appending to"
               : fs_exists(path)       ? "Overwriting"
                                       : "Writing",
               path);
    if (adds)
        append(L, path, text);
    else if (fs_write(path, text, strlen(text), &err) != LC_OK)
        return session_raise(L, &err);
    return 0;
}
