#include "runtime/spark/row_reader_lua.h"
#include "runtime/base/nearest.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char reader_name[] = "lacus.row_reader";

struct row_reader {
    struct ArrowArrayStream stream; /* owned */
    struct ArrowSchema schema;      /* owned */
    struct ArrowArray batch;        /* owned; release NULL: none */
    int64_t next;
};

/* ---- cells ---- */
static void push_decimal(lua_State *L, const char *format, const unsigned char *bytes)
{
    char digits[48], text[64];
    int precision = atoi(format + 2), scale = 0, n = 0;
    const char *comma = strchr(format, ',');
    __int128 value;
    unsigned __int128 rest;
    size_t len = 0;

    if (comma)
        scale = atoi(comma + 1);
    memcpy(&value, bytes, sizeof value);
    rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    do {
        digits[n++] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest > 0 || n <= scale);
    if (value < 0)
        text[len++] = '-';
    for (int i = n - 1; i >= 0; i--) {
        text[len++] = digits[i];
        if (i == scale && scale > 0)
            text[len++] = '.';
    }
    text[len] = '\0';
    if (precision > 15)
        lua_pushlstring(L, text, len);
    else if (scale == 0)
        lua_pushinteger(L, (lua_Integer)value);
    else
        lua_pushnumber(L, strtod(text, NULL));
}

static void push_time(lua_State *L, int64_t seconds, int micros, bool date)
{
    time_t t = (time_t)seconds;
    struct tm tm;
    char text[64];
    size_t n;

    if (!gmtime_r(&t, &tm)) { /* a year that does not fit */
        lua_pushfstring(L, "%I seconds since 1970", (lua_Integer)seconds);
        return;
    }
    n = strftime(text, sizeof text, date ? "%Y-%m-%d" : "%Y-%m-%d %H:%M:%S", &tm);
    if (micros > 0) {
        n += (size_t)snprintf(text + n, sizeof text - n, ".%06d", micros);
        while (text[n - 1] == '0')
            n--;
    }
    lua_pushlstring(L, text, n);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void push_timestamp(lua_State *L, char unit, int64_t v)
{
    int64_t per = unit == 's' ? 1 : unit == 'm' ? 1000 : unit == 'u' ? 1000000 : 1000000000;
    int64_t seconds = floor_div(v, per), rest = v - seconds * per;

    push_time(L, seconds, (int)(unit == 'n' ? rest / 1000 : rest * (1000000 / per)), false);
}

static void push_interval(lua_State *L, const unsigned char *bytes)
{
    int32_t months, days;
    int64_t nanos;
    char text[96];

    memcpy(&months, bytes, 4);
    memcpy(&days, bytes + 4, 4);
    memcpy(&nanos, bytes + 8, 8);
    snprintf(text, sizeof text, "%d months %d days %" PRId64 " microseconds", months, days, nanos / 1000);
    lua_pushstring(L, text);
}

static void push_clock(lua_State *L, int64_t micros) /* a time of the day */
{
    char text[40];
    int n = snprintf(text, sizeof text, "%02d:%02d:%02d.%06d", (int)(micros / 3600000000),
                     (int)(micros / 60000000 % 60), (int)(micros / 1000000 % 60), (int)(micros % 1000000));

    while (text[n - 1] == '0')
        n--;
    lua_pushlstring(L, text, (size_t)(text[n - 1] == '.' ? n - 1 : n));
}

static void push_list(lua_State *L, const struct ArrowSchema *schema, const struct ArrowArray *a,
                      int64_t from, int64_t to)
{
    luaL_checkstack(L, 8, "value nested too deeply");
    lua_createtable(L, (int)(to - from), 0);
    for (int64_t i = from; i < to; i++) {
        row_push_cell(L, schema->children[0], a->children[0], i);
        lua_rawseti(L, -2, i - from + 1);
    }
    session_mark_list(L);
}

static void push_map(lua_State *L, const struct ArrowSchema *schema, const struct ArrowArray *a, int64_t from,
                     int64_t to)
{
    const struct ArrowSchema *entry = schema->children[0];
    const struct ArrowArray *entries = a->children[0];

    luaL_checkstack(L, 8, "value nested too deeply");
    lua_createtable(L, 0, (int)(to - from));
    for (int64_t i = from + entries->offset; i < to + entries->offset; i++) {
        row_push_cell(L, entry->children[0], entries->children[0], i);
        if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1)) {
            lua_pop(L, 1); /* NaN is no key of a table */
            lua_pushliteral(L, "NaN");
        }
        row_push_cell(L, entry->children[1], entries->children[1], i);
        lua_rawset(L, -3);
    }
}

static int push_row_class(lua_State *L, const struct ArrowSchema *schema);

static void push_struct(lua_State *L, const struct ArrowSchema *schema, const struct ArrowArray *a,
                        int64_t row)
{
    luaL_checkstack(L, 10, "value nested too deeply");
    lua_createtable(L, (int)schema->n_children, 0);
    for (int64_t i = 0; i < schema->n_children; i++) {
        row_push_cell(L, schema->children[i], a->children[i], row + a->offset);
        lua_rawseti(L, -2, i + 1);
    }
    push_row_class(L, schema);
    lua_setmetatable(L, -2);
}

static void push_nested(lua_State *L, const struct ArrowSchema *schema, const struct ArrowArray *a,
                        int64_t row)
{
    int64_t from = 0, to = 0;

    if (schema->format[1] != 's' && strchr("lLm", schema->format[1]))
        arrow_items(schema->format, a, row, &from, &to);
    switch (schema->format[1]) {
    case 's':
        push_struct(L, schema, a, row);
        break;
    case 'm':
        push_map(L, schema, a, from, to);
        break;
    case 'l':
    case 'L':
        push_list(L, schema, a, from, to);
        break;
    default:
        luaL_error(L, "cannot read a column of Arrow format '%s'", schema->format);
    }
}

static void push_temporal(lua_State *L, const char *format, const struct ArrowArray *a, int64_t i)
{
    if (strcmp(format, "tdD") == 0)
        push_time(L, (int64_t)((const int32_t *)a->buffers[1])[i] * 86400, 0, true);
    else if (strncmp(format, "ts", 2) == 0)
        push_timestamp(L, format[2], ((const int64_t *)a->buffers[1])[i]);
    else if (strcmp(format, "ttu") == 0)
        push_clock(L, ((const int64_t *)a->buffers[1])[i]);
    else if (strcmp(format, "tin") == 0)
        push_interval(L, (const unsigned char *)a->buffers[1] + 16 * i);
    else
        luaL_error(L, "cannot read a column of Arrow format '%s'", format);
}

void row_push_cell(lua_State *L, const struct ArrowSchema *schema, const struct ArrowArray *a, int64_t row)
{
    const char *format = schema->format;
    int64_t i = row + a->offset;
    const void *data = a->n_buffers > 1 ? a->buffers[1] : NULL;
    const char *text;
    size_t len;

    if (format[0] == 'n' || arrow_is_null(a, row)) {
        lua_pushlightuserdata(L, NULL);
        return;
    }
    switch (format[0]) {
    case 'b':
        lua_pushboolean(L, ((const uint8_t *)data)[i >> 3] >> (i & 7) & 1);
        break;
    case 'c':
        lua_pushinteger(L, ((const int8_t *)data)[i]);
        break;
    case 'C':
        lua_pushinteger(L, ((const uint8_t *)data)[i]);
        break;
    case 's':
        lua_pushinteger(L, ((const int16_t *)data)[i]);
        break;
    case 'S':
        lua_pushinteger(L, ((const uint16_t *)data)[i]);
        break;
    case 'i':
        lua_pushinteger(L, ((const int32_t *)data)[i]);
        break;
    case 'I':
        lua_pushinteger(L, ((const uint32_t *)data)[i]);
        break;
    case 'l':
    case 'L':
        lua_pushinteger(L, ((const int64_t *)data)[i]);
        break;
    case 'f':
        lua_pushnumber(L, (lua_Number)((const float *)data)[i]);
        break;
    case 'g':
        lua_pushnumber(L, ((const double *)data)[i]);
        break;
    case 'u':
    case 'z':
    case 'U':
    case 'Z':
    case 'v':
        text = arrow_text(format, a, row, &len);
        if (!text)
            luaL_error(L, "cannot read a column of Arrow format '%s'", format);
        lua_pushlstring(L, text, len);
        break;
    case 'd':
        push_decimal(L, format, (const unsigned char *)data + 16 * i);
        break;
    case 't':
        push_temporal(L, format, a, i);
        break;
    case '+':
        push_nested(L, schema, a, row);
        break;
    default:
        luaL_error(L, "cannot read a column of Arrow format '%s'", format);
    }
}

/* ---- Row ---- */
bool row_names(lua_State *L, int index)
{
    static const char *const key = "names";

    if (!lua_getmetatable(L, index))
        return false;
    lua_getfield(L, -1, "__name");
    bool row = lua_type(L, -1) == LUA_TSTRING && strcmp(lua_tostring(L, -1), "Row") == 0;
    lua_pop(L, 1);
    if (row)
        row = lua_getfield(L, -1, key) == LUA_TTABLE;
    else
        lua_pushnil(L);
    lua_remove(L, -2);
    if (!row)
        lua_pop(L, 1);
    return row;
}

static int l_row_as_dict(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_newtable(L);
    if (!luaL_getmetafield(L, 1, "names"))
        return 1;
    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1); i++) {
        lua_rawgeti(L, -1, i);
        lua_rawgeti(L, 1, i);
        lua_rawset(L, 2);
    }
    lua_settop(L, 2);
    return 1;
}

static int no_field(lua_State *L, int names, const char *name)
{
    const char *known[256];
    size_t n = 0;
    struct buf near = BUF_INIT(512);

    for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, names) && n < 256; i++) {
        lua_rawgeti(L, names, i);
        known[n++] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    nearest_list(&near, name, known, n, 3);
    lua_pushfstring(L, "this Row has no field '%s'%s%s", name, near.len ? ": did you mean " : "",
                    buf_str(&near));
    buf_release(&near);
    return lua_error(L);
}

static int l_row_index(lua_State *L) /* upvalues: positions by name, names */
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) {
        lua_rawget(L, 1);
        return 1;
    }
    if (strcmp(lua_tostring(L, 2), "asDict") == 0) {
        lua_pushcfunction(L, l_row_as_dict);
        return 1;
    }
    return no_field(L, lua_upvalueindex(2), lua_tostring(L, 2));
}

static int l_row_tostring(lua_State *L) /* upvalue: names */
{
    struct buf *text = lua_newuserdatauv(L, sizeof *text, 0);
    lua_Integer n = (lua_Integer)lua_rawlen(L, lua_upvalueindex(1));

    buf_init(text, BUF_TEXT_MAX);
    buf_puts(text, "Row(");
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, lua_upvalueindex(1), i);
        lua_rawgeti(L, 1, i);
        buf_printf(text, "%s%s=", i > 1 ? ", " : "", lua_tostring(L, -2));
        if (lua_type(L, -1) == LUA_TSTRING)
            buf_printf(text, "'%s'", lua_tostring(L, -1));
        else if (lua_islightuserdata(L, -1))
            buf_puts(text, "null");
        else
            session_repr(L, -1, text);
        lua_settop(L, 2);
    }
    buf_putc(text, ')');
    lua_pushstring(L, buf_str(text));
    buf_release(text);
    return 1;
}

/* The metatable of rows with this schema, cached in the registry by the schema's address for as long as a reader lives. */
static int push_row_class(lua_State *L, const struct ArrowSchema *schema)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, schema) == LUA_TTABLE)
        return 1;
    lua_pop(L, 1);
    lua_newtable(L);                                 /* class */
    lua_createtable(L, 0, (int)schema->n_children);  /* positions */
    lua_createtable(L, (int)schema->n_children, 0);  /* names */
    for (int64_t i = schema->n_children; i-- > 0;) { /* of equal names the first one is found */
        const char *name = schema->children[i]->name ? schema->children[i]->name : "";
        lua_pushstring(L, name);
        lua_rawseti(L, -2, i + 1);
        lua_pushinteger(L, i + 1);
        lua_setfield(L, -3, name);
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, -4, "names");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_row_tostring, 1);
    lua_setfield(L, -4, "__tostring");
    lua_pushcclosure(L, l_row_index, 2);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "Row");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, schema);
    return 1;
}

static void forget_classes(lua_State *L, const struct ArrowSchema *schema)
{
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, schema);
    for (int64_t i = 0; i < schema->n_children; i++)
        forget_classes(L, schema->children[i]);
}

/* ---- readers ---- */
static int l_gc(lua_State *L)
{
    struct row_reader *r = luaL_checkudata(L, 1, reader_name);

    if (r->batch.release)
        r->batch.release(&r->batch);
    if (r->schema.release) {
        forget_classes(L, &r->schema);
        r->schema.release(&r->schema);
    }
    if (r->stream.release)
        r->stream.release(&r->stream);
    return 0;
}

static int stream_failed(lua_State *L, struct row_reader *r, int code)
{
    const char *text = r->stream.get_last_error ? r->stream.get_last_error(&r->stream) : NULL;
    struct err err;

    err_clear(&err);
    err_set(&err, code == ECANCELED ? LC_CANCELLED : LC_RUNTIME, "%s", text ? text : "the query failed");
    return session_raise(L, &err);
}

int row_reader_push(lua_State *L, struct ArrowArrayStream *stream)
{
    struct row_reader *r = session_slot(L, sizeof *r, reader_name, l_gc);
    int code;

    r->stream = *stream;
    stream->release = NULL;
    code = r->stream.get_schema(&r->stream, &r->schema);
    return code == 0 ? 1 : stream_failed(L, r, code);
}

const struct ArrowSchema *row_reader_schema(lua_State *L, int index)
{
    return &((struct row_reader *)luaL_checkudata(L, index, reader_name))->schema;
}

const struct ArrowArray *row_reader_batch(lua_State *L, int index)
{
    struct row_reader *r = luaL_checkudata(L, index, reader_name);
    int code;

    if (!r->stream.release)
        return NULL;
    do {
        if (r->batch.release)
            r->batch.release(&r->batch);
        memset(&r->batch, 0, sizeof r->batch);
        code = r->stream.get_next(&r->stream, &r->batch);
        if (code != 0)
            stream_failed(L, r, code);
    } while (r->batch.release && r->batch.length == 0);
    r->next = 0;
    if (!r->batch.release) { /* the end: let go of the engine's connection now */
        r->stream.release(&r->stream);
        r->stream.release = NULL;
    }
    return r->batch.release ? &r->batch : NULL;
}

bool row_reader_next(lua_State *L, int index)
{
    struct row_reader *r = luaL_checkudata(L, index, reader_name);

    index = lua_absindex(L, index);
    if ((!r->batch.release || r->next >= r->batch.length) && !row_reader_batch(L, index))
        return false;
    push_struct(L, &r->schema, &r->batch, r->next++);
    return true;
}
