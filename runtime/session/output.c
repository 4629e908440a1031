/* print, io.write and io.read: what a cell says goes to the front end, what it asks comes from there. */
#include "runtime/base/utf8.h"
#include "runtime/session/capture.h"
#include "runtime/session/session_int.h"
#include <errno.h>
#include <stdio_ext.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- output ---- */
static void put_stream(struct session *s, enum stream stream, const char *text, size_t len)
{
    s->frontend.ops->stream(s->frontend.self, &s->ctx, stream, text, len);
}

/* A character may come in several writes, or be cut where a pipe was read: its first bytes wait for the others. */
static void print_mended(struct session *s, enum stream stream, const char *text, size_t len, bool last)
{
    struct buf joined = BUF_INIT(BUF_TEXT_MAX * 16), fixed = BUF_INIT(BUF_TEXT_MAX * 16);
    struct cut *cut = &s->cut[stream == STREAM_STDERR];
    size_t tail;

    buf_add(&joined, cut->bytes, cut->n);
    buf_add(&joined, text, len);
    tail = last ? 0 : utf8_unfinished(buf_str(&joined), joined.len);
    cut->n = tail;
    memcpy(cut->bytes, buf_str(&joined) + joined.len - tail, tail);
    buf_utf8(&fixed, buf_str(&joined), joined.len - tail);
    if (fixed.len)
        put_stream(s, stream, buf_str(&fixed), fixed.len);
    buf_release(&joined);
    buf_release(&fixed);
}

void session_print(struct session *s, enum stream stream, const char *text, size_t len)
{
    if (len == 0 || !s->frontend.ops || !s->frontend.ops->stream)
        return;
    session_drain(s);
    if (s->frontend.ops->raw || (s->cut[stream == STREAM_STDERR].n == 0 && utf8_valid(text, len)))
        put_stream(s, stream, text, len);
    else
        print_mended(s, stream, text, len, false);
}

void output_finish(struct session *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->cut[i].n && s->frontend.ops && s->frontend.ops->stream)
            print_mended(s, i ? STREAM_STDERR : STREAM_STDOUT, "", 0, true);
        s->cut[i].n = 0;
    }
}

static int print_values(lua_State *L, int n) /* any values: through a Lua buffer */
{
    luaL_Buffer b;

    luaL_buffinit(L, &b);
    for (int i = 1; i <= n; i++) {
        if (i > 1)
            luaL_addchar(&b, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&b);
    }
    luaL_addchar(&b, '\n');
    luaL_pushresult(&b);
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    session_print(session_of(L), STREAM_STDOUT, text, len);
    return 0;
}

/* One short string or number, the usual case, needs no Lua buffer. */
static int l_print(lua_State *L)
{
    int n = lua_gettop(L), type = n == 1 ? lua_type(L, 1) : LUA_TNONE;
    char line[512];
    size_t len;
    const char *text;

    if (type != LUA_TSTRING && type != LUA_TNUMBER)
        return print_values(L, n);
    text = lua_tolstring(L, 1, &len);
    if (len >= sizeof line)
        return print_values(L, n);
    memcpy(line, text, len);
    line[len++] = '\n';
    session_print(session_of(L), STREAM_STDOUT, line, len);
    return 0;
}

static FILE *file_of(lua_State *L, int index)
{
    luaL_Stream *stream = luaL_testudata(L, index, LUA_FILEHANDLE);

    return stream && stream->closef ? stream->f : NULL;
}

static enum stream our_stream(FILE *f)
{
    return f == stdout ? STREAM_STDOUT : f == stderr ? STREAM_STDERR : (enum stream)0;
}

static void write_arguments(lua_State *L, enum stream stream, int first)
{
    for (int i = first; i <= lua_gettop(L); i++) {
        size_t len;
        const char *text = luaL_checklstring(L, i, &len);
        session_print(session_of(L), stream, text, len);
    }
}

static int call_original(lua_State *L) /* the function in upvalue 1, with all arguments */
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* Here, and not in the function that is called for it, so that the error has the number and the name that the user wrote. */
static void check_texts(lua_State *L, int first)
{
    for (int i = first; i <= lua_gettop(L); i++)
        if (!lua_isstring(L, i))
            luaL_checkstring(L, i);
}

static int l_io_write(lua_State *L)
{
    FILE *f;

    lua_getfield(L, LUA_REGISTRYINDEX, "_IO_output");
    f = file_of(L, -1);
    lua_pop(L, 1);
    if (!f || !our_stream(f)) {
        check_texts(L, 1);
        return call_original(L);
    }
    write_arguments(L, our_stream(f), 1);
    lua_getfield(L, LUA_REGISTRYINDEX, "_IO_output");
    return 1;
}

static int l_file_write(lua_State *L)
{
    FILE *f = file_of(L, 1);

    if (!f || !our_stream(f)) {
        check_texts(L, 2);
        return call_original(L);
    }
    write_arguments(L, our_stream(f), 2);
    lua_settop(L, 1);
    return 1;
}

/* ---- input ---- */
static int cannot_ask(lua_State *L)
{
    struct err err;

    err_set(&err, LC_UNSUPPORTED,
            "cannot ask for input: this front end does not answer (allow_stdin is false)");
    err_hint(&err, "give values as parameters: dbutils.widgets, or lacus run -p NAME VALUE");
    return session_raise(L, &err);
}

/* Pushes the answer; false with nothing pushed: the input is at its end. */
static bool ask(lua_State *L, const char *prompt, bool password, struct err *err)
{
    struct session *s = session_of(L);
    struct buf *answer = session_buf(L, BUF_TEXT_MAX);
    enum lc rc;

    if (!s->frontend.ops || !s->frontend.ops->input || (s->cell && !s->cell->allow_stdin))
        return cannot_ask(L);
    capture_flush(s);
    rc = s->frontend.ops->input(s->frontend.self, &s->ctx, prompt, password, answer, err);
    if (rc != LC_OK && rc != LC_CLOSED)
        session_raise(L, err);
    if (rc == LC_OK)
        lua_pushlstring(L, buf_str(answer), answer->len);
    lua_remove(L, rc == LC_OK ? -2 : -1); /* the buffer */
    return rc == LC_OK;
}

int session_ask(lua_State *L) /* input(prompt, {password = true}) */
{
    const char *prompt = luaL_optstring(L, 1, "");
    bool password = false;
    struct err err;

    if (!lua_isnoneornil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE); /* not true: a password would be seen */
        lua_getfield(L, 2, "password");
        password = lua_toboolean(L, -1);
    }
    if (!ask(L, prompt, password, &err))
        return session_raise(L, &err);
    return 1;
}

/* What has been answered but not read yet is kept in a table at this key. */
static const char pending_key;

static const char *pending(lua_State *L, size_t *len) /* pushes it */
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &pending_key) != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushliteral(L, "");
    }
    return lua_tolstring(L, -1, len);
}

static void keep(lua_State *L, const char *rest, size_t len)
{
    lua_pushlstring(L, rest, len);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &pending_key);
}

/* Pushes text with at least a line in it, or nil at the end of the input. */
static const char *need_line(lua_State *L, size_t *len)
{
    const char *text = pending(L, len);
    struct err err;

    if (*len)
        return text;
    lua_pop(L, 1);
    if (!ask(L, "", false, &err)) {
        lua_pushnil(L);
        return NULL;
    }
    lua_pushliteral(L, "\n");
    lua_concat(L, 2);
    return lua_tolstring(L, -1, len);
}

static int read_line(lua_State *L, bool keep_end)
{
    size_t len;
    const char *text = need_line(L, &len), *end;
    size_t n, taken;

    if (!text)
        return 1;
    end = memchr(text, '\n', len);
    n = end ? (size_t)(end - text) : len;
    taken = end ? n + 1 : n;
    keep(L, text + taken, len - taken);
    lua_pushlstring(L, text, keep_end ? taken : n);
    return 1;
}

static int read_count(lua_State *L, size_t n)
{
    size_t len;
    const char *text = n ? need_line(L, &len) : pending(L, &len);

    if (!text)
        return 1;
    if (n > len)
        n = len;
    keep(L, text + n, len - n);
    lua_pushlstring(L, text, n);
    return 1;
}

static int read_number(lua_State *L)
{
    read_line(L, false);
    if (!lua_isnil(L, -1) && !lua_stringtonumber(L, lua_tostring(L, -1)))
        lua_pushnil(L);
    return 1;
}

static int read_format(lua_State *L, int index)
{
    const char *format;

    if (lua_type(L, index) == LUA_TNUMBER)
        return read_count(L, (size_t)luaL_checkinteger(L, index));
    format = luaL_checkstring(L, index);
    format += *format == '*';
    switch (*format) {
    case 'l':
        return read_line(L, false);
    case 'a': /* who answers gives no end of the input: one answer */
        if (read_line(L, false) && lua_isnil(L, -1))
            lua_pushliteral(L, "");
        return 1;
    case 'L':
        return read_line(L, true);
    case 'n':
        return read_number(L);
    default:
        return luaL_argerror(L, index, "invalid format");
    }
}

static int read_from_frontend(lua_State *L, int first)
{
    int top = lua_gettop(L);

    if (first > top)
        return read_line(L, false);
    luaL_checkstack(L, top + 10, NULL);
    for (int i = first; i <= top; i++) {
        int before = lua_gettop(L);
        read_format(L, i);
        lua_replace(L, before + 1);
        lua_settop(L, before + 1);
        if (lua_isnil(L, -1))
            break;
    }
    return lua_gettop(L) - top;
}

/* From a real file: waits where an interrupt can come in, then lets Lua read. */
static int read_from_file(lua_State *L, FILE *f)
{
    struct session *s = session_of(L);
    int n;

    if (f && s->hook.running) {
        if (__freadable(f) && f->_IO_read_ptr >= f->_IO_read_end)
            hook_wait_fd(s, fileno(f), -1);
        if (hook_stopping(s))
            return hook_strike(L);
    }
    n = call_original(L);
    if (hook_stopping(s)) {
        if (f)
            clearerr(f);
        return hook_strike(L);
    }
    return n;
}

static bool asks_frontend(lua_State *L, FILE *f)
{
    return f == stdin && !session_of(L)->real_stdin;
}

static int l_io_read(lua_State *L)
{
    FILE *f;

    lua_getfield(L, LUA_REGISTRYINDEX, "_IO_input");
    f = file_of(L, -1);
    lua_pop(L, 1);
    return asks_frontend(L, f) ? read_from_frontend(L, 1) : read_from_file(L, f);
}

static int l_file_read(lua_State *L)
{
    FILE *f = file_of(L, 1);

    return asks_frontend(L, f) ? read_from_frontend(L, 2) : read_from_file(L, f);
}

/* ---- lines ---- */
static bool blocks(FILE *f)
{
    struct stat st;

    return f && (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode));
}

static int l_next_line(lua_State *L) /* upvalues: the file, how many formats, the formats */
{
    int n = (int)lua_tointeger(L, lua_upvalueindex(2));

    lua_settop(L, 0);
    luaL_checkstack(L, n + 4, NULL);
    lua_getfield(L, lua_upvalueindex(1), "read");
    lua_pushvalue(L, lua_upvalueindex(1));
    for (int i = 0; i < n; i++)
        lua_pushvalue(L, lua_upvalueindex(3 + i));
    lua_call(L, n + 1, LUA_MULTRET);
    if (lua_gettop(L) && !lua_toboolean(L, 1) && lua_isstring(L, 2))
        return luaL_error(L, "%s", lua_tostring(L, 2));
    return lua_gettop(L);
}

/* The file is at index 1, the formats follow. */
static int push_lines(lua_State *L)
{
    int n = lua_gettop(L) - 1;

    luaL_argcheck(L, n <= 250, 252, "too many arguments");
    lua_pushinteger(L, n);
    lua_insert(L, 2);
    lua_pushcclosure(L, l_next_line, n + 2);
    return 1;
}

static int l_file_lines(lua_State *L)
{
    return blocks(file_of(L, 1)) ? push_lines(L) : call_original(L);
}

static int l_io_lines(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        return call_original(L);
    if (lua_gettop(L) == 0)
        lua_pushnil(L);
    lua_getfield(L, LUA_REGISTRYINDEX, "_IO_input");
    lua_replace(L, 1);
    return push_lines(L);
}

/* ---- installing ---- */
static void replace(lua_State *L, const char *name, lua_CFunction f) /* in the table on the top */
{
    lua_getfield(L, -1, name);
    lua_pushcclosure(L, f, 1);
    lua_setfield(L, -2, name);
}

int session_exit(lua_State *L)
{
    struct session *s = session_of(L);

    s->exit_asked = true;
    s->exit_status = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, 0);
    session_drain(s);
    if (s->frontend.ops && s->frontend.ops->ask_exit)
        s->frontend.ops->ask_exit(s->frontend.self, &s->ctx, false);
    hook_request(s, HOOK_INTERRUPT);
    return hook_strike(L);
}

int session_end_notebook(lua_State *L, const char *value)
{
    struct session *s = session_of(L);

    if (!s->reply || s->reply->notebook_exit)
        return luaL_error(L, "no cell is running that could end the notebook");
    s->reply->notebook_exit = mem_strdup(value);
    if (!s->reply->notebook_exit)
        return luaL_error(L, "not enough memory");
    session_drain(s);
    hook_request(s, HOOK_INTERRUPT);
    return hook_strike(L);
}

void output_open(struct session *s)
{
    lua_State *L = s->L;

    lua_pushcfunction(L, l_print);
    lua_setglobal(L, "print");
    lua_getglobal(L, "io");
    replace(L, "write", l_io_write);
    replace(L, "read", l_io_read);
    replace(L, "lines", l_io_lines);
    lua_pop(L, 1);
    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_getfield(L, -1, "__index");
    replace(L, "write", l_file_write);
    replace(L, "read", l_file_read);
    replace(L, "lines", l_file_lines);
    lua_pop(L, 2);
    lua_getglobal(L, "os");
    replace(L, "exit", session_exit);
    lua_pop(L, 1);
}
