#include "runtime/spark/local_lua.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- types ---- */
struct shape {        /* what the values of a column are; a tree that lives in a userdata's arena */
    enum dtype_id id; /* NULL, BOOLEAN, LONG, DOUBLE, STRING, ARRAY, STRUCT */
    lua_Integer row;  /* where that was seen, for messages */
    struct shape *element;
    size_t n_fields;
    struct shape_field *fields;
};

struct shape_field {
    const char *name;
    struct shape shape;
};

struct infer {
    lua_State *L;
    struct arena *arena;
    lua_Integer row;
    const char *column;
};

static int no_memory(lua_State *L)
{
    return luaL_error(L, "out of memory");
}

static const char *shape_name(const struct shape *s)
{
    switch (s->id) {
    case DTYPE_BOOLEAN:
        return "boolean";
    case DTYPE_LONG:
        return "bigint";
    case DTYPE_DOUBLE:
        return "double";
    case DTYPE_STRING:
        return "string";
    case DTYPE_ARRAY:
        return "array";
    default:
        return "struct";
    }
}

static void infer_value(struct infer *in, int index, struct shape *s);

static struct shape_field *field_of(struct infer *in, struct shape *s, const char *name)
{
    struct shape_field *more;

    for (size_t i = 0; i < s->n_fields; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return &s->fields[i];
    more = arena_zalloc(in->arena, sizeof *more * (s->n_fields + 1));
    if (!more)
        no_memory(in->L);
    if (s->n_fields > 0)
        memcpy(more, s->fields, sizeof *more * s->n_fields);
    s->fields = more;
    more[s->n_fields].name = arena_strdup(in->arena, name);
    if (!more[s->n_fields].name)
        no_memory(in->L);
    return &more[s->n_fields++];
}

static void infer_table(struct infer *in, int index, struct shape *s)
{
    lua_State *L = in->L;
    bool list =
        lua_rawlen(L, index) > 0 || (lua_pushnil(L), lua_next(L, index) ? (lua_pop(L, 2), false) : true);

    if (s->id != DTYPE_NULL && s->id != (list ? DTYPE_ARRAY : DTYPE_STRUCT))
        luaL_error(L, "column '%s': row %I has a%s, row %I a%s", in->column, s->row,
                   s->id == DTYPE_ARRAY ? "n array" : " value", in->row, list ? "n array" : " struct");
    s->id = list ? DTYPE_ARRAY : DTYPE_STRUCT;
    s->row = in->row;
    if (list && !s->element && (s->element = arena_zalloc(in->arena, sizeof *s->element)) == NULL)
        no_memory(L);
    for (lua_Integer i = 1; list && i <= (lua_Integer)lua_rawlen(L, index); i++, lua_pop(L, 1)) {
        lua_rawgeti(L, index, i);
        infer_value(in, lua_gettop(L), s->element);
    }
    if (list)
        return;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "column '%s', row %I: the keys of a struct must be texts", in->column, in->row);
        infer_value(in, lua_gettop(L), &field_of(in, s, lua_tostring(L, -2))->shape);
    }
}

static void infer_value(struct infer *in, int index, struct shape *s)
{
    lua_State *L = in->L;
    enum dtype_id id;

    luaL_checkstack(L, 8, "value nested too deeply");
    switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA:
        return;
    case LUA_TBOOLEAN:
        id = DTYPE_BOOLEAN;
        break;
    case LUA_TNUMBER:
        id = lua_isinteger(L, index) ? DTYPE_LONG : DTYPE_DOUBLE;
        break;
    case LUA_TSTRING:
        id = DTYPE_STRING;
        break;
    case LUA_TTABLE:
        infer_table(in, index, s);
        return;
    default:
        luaL_error(L, "column '%s', row %I: a %s cannot be put into a DataFrame", in->column, in->row,
                   luaL_typename(L, index));
        return;
    }
    if (s->id == DTYPE_NULL || (s->id == DTYPE_LONG && id == DTYPE_DOUBLE)) {
        s->id = id;
        s->row = in->row;
    } else if (s->id != id && !(s->id == DTYPE_DOUBLE && id == DTYPE_LONG)) {
        struct shape now = {.id = id};
        luaL_error(L,
                   "[CANNOT_MERGE_TYPE] column '%s': row %I has a %s, row %I a %s; give a schema, or make "
                   "them one type",
                   in->column, s->row, shape_name(s), in->row, shape_name(&now));
    }
}

/* ---- Arrow ---- */
struct column { /* a column under construction; its children are those of Arrow */
    const struct shape *shape;
    const char *name;
    int64_t n, nulls;
    struct buf valid, data, offsets; /* valid: a byte per value until it is finished */
    struct column *children;
    size_t n_children;
};

static bool column_init(struct arena *a, struct column *c, const struct shape *shape, const char *name)
{
    int32_t zero = 0;
    bool ok = true;

    *c = (struct column){.shape = shape, .name = name};
    buf_init(&c->valid, SIZE_MAX / 4);
    buf_init(&c->data, SIZE_MAX / 4);
    buf_init(&c->offsets, SIZE_MAX / 4);
    if (shape->id == DTYPE_STRING || shape->id == DTYPE_NULL || shape->id == DTYPE_ARRAY)
        ok = buf_add(&c->offsets, &zero, sizeof zero);
    c->n_children = shape->id == DTYPE_ARRAY ? 1 : shape->id == DTYPE_STRUCT ? shape->n_fields : 0;
    c->children = arena_zalloc(a, sizeof *c->children * (c->n_children + 1));
    if (!c->children)
        return false;
    for (size_t i = 0; i < c->n_children; i++)
        ok = column_init(a, &c->children[i],
                         shape->id == DTYPE_ARRAY ? shape->element : &shape->fields[i].shape,
                         shape->id == DTYPE_ARRAY ? "element" : shape->fields[i].name) &&
             ok;
    return ok;
}

static void column_release(struct column *c)
{
    buf_release(&c->valid);
    buf_release(&c->data);
    buf_release(&c->offsets);
    for (size_t i = 0; i < c->n_children; i++)
        column_release(&c->children[i]);
}

static bool add_offset(struct column *c, size_t at)
{
    int32_t offset = (int32_t)at;

    return at <= INT32_MAX && buf_add(&c->offsets, &offset, sizeof offset);
}

static bool column_add(lua_State *L, struct column *c, int index);

static bool add_null(lua_State *L, struct column *c)
{
    static const char zeros[8];
    bool ok = true;

    switch (c->shape->id) {
    case DTYPE_BOOLEAN:
        ok = buf_putc(&c->data, 0);
        break;
    case DTYPE_LONG:
    case DTYPE_DOUBLE:
        ok = buf_add(&c->data, zeros, 8);
        break;
    case DTYPE_ARRAY:
        ok = add_offset(c, (size_t)c->children[0].n);
        break;
    case DTYPE_STRUCT:
        lua_pushnil(L);
        for (size_t i = 0; i < c->n_children; i++)
            ok = column_add(L, &c->children[i], lua_gettop(L)) && ok;
        lua_pop(L, 1);
        break;
    default:
        ok = add_offset(c, c->data.len);
    }
    c->nulls++;
    c->n++;
    return buf_putc(&c->valid, 0) && ok;
}

static bool add_table(lua_State *L, struct column *c, int index)
{
    bool ok = true;

    if (c->shape->id == DTYPE_ARRAY) {
        for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, index); i++, lua_pop(L, 1)) {
            lua_rawgeti(L, index, i);
            ok = column_add(L, &c->children[0], lua_gettop(L)) && ok;
        }
        return add_offset(c, (size_t)c->children[0].n) && ok;
    }
    for (size_t i = 0; i < c->n_children; i++, lua_pop(L, 1)) {
        lua_getfield(L, index, c->children[i].name);
        ok = column_add(L, &c->children[i], lua_gettop(L)) && ok;
    }
    return ok;
}

static bool column_add(lua_State *L, struct column *c, int index)
{
    bool ok = true;
    size_t len;
    const char *s;
    int64_t i;
    double d;

    if (lua_isnil(L, index) || lua_islightuserdata(L, index))
        return add_null(L, c);
    luaL_checkstack(L, 8, "value nested too deeply");
    switch (c->shape->id) {
    case DTYPE_BOOLEAN:
        ok = buf_putc(&c->data, (char)lua_toboolean(L, index));
        break;
    case DTYPE_LONG:
        i = lua_tointeger(L, index);
        ok = buf_add(&c->data, &i, sizeof i);
        break;
    case DTYPE_DOUBLE:
        d = lua_tonumber(L, index);
        ok = buf_add(&c->data, &d, sizeof d);
        break;
    case DTYPE_ARRAY:
    case DTYPE_STRUCT:
        ok = add_table(L, c, index);
        break;
    default:
        s = lua_tolstring(L, index, &len);
        ok = s && buf_add(&c->data, s, len) && add_offset(c, c->data.len);
    }
    c->n++;
    return buf_putc(&c->valid, 1) && ok;
}

static const char *format_of(enum dtype_id id)
{
    switch (id) {
    case DTYPE_BOOLEAN:
        return "b";
    case DTYPE_LONG:
        return "l";
    case DTYPE_DOUBLE:
        return "g";
    case DTYPE_ARRAY:
        return "+l";
    case DTYPE_STRUCT:
        return "+s";
    default:
        return "u";
    }
}

struct held { /* what an exported array or schema owns */
    const void *buffers[3];
    void *owned[3];
    void *children; /* array of pointers, and the structs behind it */
    char *name;
};

static void release_array(struct ArrowArray *a)
{
    struct held *h = a->private_data;

    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release)
            a->children[i]->release(a->children[i]);
    for (int i = 0; i < 3; i++)
        mem_free(h->owned[i]);
    mem_free(h->children);
    mem_free(h);
    a->release = NULL;
}

static void release_schema(struct ArrowSchema *s)
{
    struct held *h = s->private_data;

    for (int64_t i = 0; i < s->n_children; i++)
        if (s->children[i]->release)
            s->children[i]->release(s->children[i]);
    mem_free(h->children);
    mem_free(h->name);
    mem_free(h);
    s->release = NULL;
}

/* A byte per value → a bit per value, in place. */
static void pack_bits(char *bytes, int64_t n)
{
    for (int64_t i = 0; i < n; i += 8) {
        unsigned packed = 0;
        for (int64_t k = 0; k < 8 && i + k < n; k++)
            packed |= (unsigned)(bytes[i + k] != 0) << k;
        bytes[i / 8] = (char)packed;
    }
}

static bool export_array(struct column *c, struct ArrowArray *out)
{
    struct held *h = mem_zalloc(sizeof *h);
    size_t each = sizeof(void *) + sizeof(struct ArrowArray);
    bool offsets = c->offsets.len > 0, leaf = c->shape->id != DTYPE_ARRAY && c->shape->id != DTYPE_STRUCT;

    memset(out, 0, sizeof *out);
    if (!h || (c->n_children > 0 && (h->children = mem_zalloc(each * c->n_children)) == NULL))
        return mem_free(h), false;
    if (c->shape->id == DTYPE_BOOLEAN && c->data.data)
        pack_bits(c->data.data, c->n);
    if (c->valid.data)
        pack_bits(c->valid.data, c->n);
    h->owned[0] = buf_take(&c->valid);
    h->owned[1] = offsets ? buf_take(&c->offsets) : leaf ? buf_take(&c->data) : NULL;
    h->owned[2] = offsets && leaf ? buf_take(&c->data) : NULL;
    memcpy(h->buffers, h->owned, sizeof h->buffers);
    *out = (struct ArrowArray){.length = c->n,
                               .null_count = c->nulls,
                               .n_buffers = offsets && leaf                ? 3
                                            : c->shape->id == DTYPE_STRUCT ? 1
                                                                           : 2,
                               .buffers = h->buffers,
                               .children = h->children,
                               .release = release_array,
                               .private_data = h};
    for (size_t i = 0; i < c->n_children; i++) {
        out->children[i] =
            (struct ArrowArray *)(void *)((char *)h->children + sizeof(void *) * c->n_children) + i;
        out->n_children++;
        if (!export_array(&c->children[i], out->children[i]))
            return release_array(out), false;
    }
    return true;
}

static bool export_schema(const struct column *c, struct ArrowSchema *out)
{
    struct held *h = mem_zalloc(sizeof *h);
    size_t each = sizeof(void *) + sizeof(struct ArrowSchema);

    memset(out, 0, sizeof *out);
    if (!h || (h->name = mem_strdup(c->name)) == NULL ||
        (c->n_children > 0 && (h->children = mem_zalloc(each * c->n_children)) == NULL)) {
        if (h)
            mem_free(h->name);
        return mem_free(h), false;
    }
    *out = (struct ArrowSchema){.format = format_of(c->shape->id),
                                .name = h->name,
                                .flags = ARROW_FLAG_NULLABLE,
                                .children = h->children,
                                .release = release_schema,
                                .private_data = h};
    for (size_t i = 0; i < c->n_children; i++) {
        out->children[i] =
            (struct ArrowSchema *)(void *)((char *)h->children + sizeof(void *) * c->n_children) + i;
        out->n_children++;
        if (!export_schema(&c->children[i], out->children[i]))
            return release_schema(out), false;
    }
    return true;
}

/* ---- a stream of one batch ---- */
struct once {
    struct ArrowSchema schema; /* moved out by get_schema */
    struct ArrowArray batch;   /* moved out by the first get_next */
};

static int once_schema(struct ArrowArrayStream *s, struct ArrowSchema *out)
{
    struct once *o = s->private_data;

    *out = o->schema;
    o->schema.release = NULL;
    return 0;
}

static int once_next(struct ArrowArrayStream *s, struct ArrowArray *out)
{
    struct once *o = s->private_data;

    *out = o->batch;
    o->batch.release = NULL;
    return 0;
}

static const char *once_error(struct ArrowArrayStream *s)
{
    (void)s;
    return NULL;
}

static void once_release(struct ArrowArrayStream *s)
{
    struct once *o = s->private_data;

    if (o->schema.release)
        o->schema.release(&o->schema);
    if (o->batch.release)
        o->batch.release(&o->batch);
    mem_free(o);
    s->release = NULL;
}

static bool stream_of(struct column *root, struct ArrowArrayStream *out)
{
    struct once *o = mem_zalloc(sizeof *o);

    if (!o)
        return false;
    *out = (struct ArrowArrayStream){once_schema, once_next, once_error, once_release, o};
    if (!export_schema(root, &o->schema) || !export_array(root, &o->batch))
        return once_release(out), false;
    return true;
}

/* ---- the whole ---- */
struct work { /* in a userdata: freed however the making ends */
    struct arena *arena;
    struct column root;
    struct shape shape;
    const struct dtype *schema, *wanted; /* of the values; what the caller asked for, or NULL */
    bool begun;
};

static int work_gc(lua_State *L)
{
    struct work *w = luaL_checkudata(L, 1, "lacus.local");

    if (w->begun)
        column_release(&w->root);
    dtype_unref(w->schema);
    dtype_unref(w->wanted);
    arena_free(w->arena);
    memset(w, 0, sizeof *w);
    return 0;
}

static struct work *new_work(lua_State *L)
{
    struct work *w = lua_newuserdatauv(L, sizeof *w, 0);

    memset(w, 0, sizeof *w);
    if (luaL_newmetatable(L, "lacus.local")) {
        lua_pushcfunction(L, work_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    w->arena = arena_new(0);
    if (!w->arena)
        no_memory(L);
    return w;
}

/* Pushes a row's value for a field: by name, or by position for rows that are lists. */
static void push_field(lua_State *L, int row, const char *name, lua_Integer position)
{
    bool list = lua_rawlen(L, row) > 0;

    if (list)
        lua_rawgeti(L, row, position);
    else
        lua_getfield(L, row, name);
}

static int by_field_name(const void *a, const void *b)
{
    return strcmp(((const struct shape_field *)a)->name, ((const struct shape_field *)b)->name);
}

static void infer_names(struct infer *in, int rows, struct shape *s)
{
    lua_State *L = in->L;
    lua_Integer n = luaL_len(L, rows);

    for (lua_Integer r = 1; r <= n; r++, lua_pop(L, 1)) {
        if (lua_rawgeti(L, rows, r) != LUA_TTABLE)
            luaL_error(L, "row %I is a %s, a table expected", r, luaL_typename(L, -1));
        if (lua_rawlen(L, -1) > 0) {
            for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, -1); i++) {
                field_of(in, s, lua_pushfstring(L, "_%I", i));
                lua_pop(L, 1);
            }
            continue;
        }
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
            if (lua_type(L, -2) == LUA_TSTRING)
                field_of(in, s, lua_tostring(L, -2));
    }
    if (s->n_fields > 0 && s->fields[0].name[0] != '_')
        qsort(s->fields, s->n_fields, sizeof *s->fields, by_field_name); /* a table has no order of its own */
}

static void infer_types(struct infer *in, int rows, struct shape *s)
{
    lua_State *L = in->L;

    for (in->row = 1; in->row <= luaL_len(L, rows); in->row++, lua_pop(L, 1)) {
        if (lua_rawgeti(L, rows, in->row) != LUA_TTABLE)
            luaL_error(L, "row %I is a %s, a table expected", in->row, luaL_typename(L, -1));
        for (size_t i = 0; i < s->n_fields; i++, lua_pop(L, 1)) {
            in->column = s->fields[i].name;
            push_field(L, lua_gettop(L), in->column, (lua_Integer)i + 1);
            infer_value(in, lua_gettop(L), &s->fields[i].shape);
        }
    }
}

static void fill(lua_State *L, struct work *w, int rows)
{
    for (lua_Integer r = 1; r <= luaL_len(L, rows); r++, lua_pop(L, 1)) {
        bool ok = true;
        lua_rawgeti(L, rows, r);
        for (size_t i = 0; i < w->root.n_children; i++, lua_pop(L, 1)) {
            push_field(L, lua_gettop(L), w->root.children[i].name, (lua_Integer)i + 1);
            ok = column_add(L, &w->root.children[i], lua_gettop(L)) && ok;
        }
        w->root.n++;
        if (!buf_putc(&w->root.valid, 1) || !ok)
            no_memory(L);
    }
}

static const struct dtype *shape_type(const struct shape *s)
{
    if (s->id == DTYPE_ARRAY)
        return dtype_array(shape_type(s->element), true);
    if (s->id == DTYPE_STRUCT) {
        const struct dtype *t = dtype_struct_new(s->n_fields);
        for (size_t i = 0; i < s->n_fields && t; i++)
            t = dtype_struct_add(t, s->fields[i].name, shape_type(&s->fields[i].shape), true, NULL);
        return t;
    }
    return dtype_of(s->id == DTYPE_NULL ? DTYPE_STRING : s->id);
}

static const struct plan *cast_to(lua_State *L, const struct plan *p, const struct dtype *schema)
{
    struct expr **exprs = lua_newuserdatauv(L, sizeof *exprs * (schema->n_fields + 1), 0);

    for (size_t i = 0; i < schema->n_fields; i++) {
        const char *name = schema->fields[i].name;
        exprs[i] = expr_alias(
            expr_cast(expr_attribute(&name, 1, 0), dtype_ref(schema->fields[i].type), false), name);
    }
    return plan_project(p, exprs, schema->n_fields);
}

const struct plan *local_plan(lua_State *L, int rows, const struct dtype *schema, const char *const *names,
                              size_t n)
{
    struct work *w;
    struct ArrowArrayStream stream;
    struct local_data *data;
    const struct plan *p;
    struct err err;

    rows = lua_absindex(L, rows);
    luaL_checktype(L, rows, LUA_TTABLE);
    w = new_work(L);
    w->wanted = schema;
    struct infer in = {.L = L, .arena = w->arena};
    w->shape.id = DTYPE_STRUCT;
    for (size_t i = 0; schema && i < schema->n_fields; i++)
        field_of(&in, &w->shape, schema->fields[i].name);
    for (size_t i = 0; i < n; i++)
        field_of(&in, &w->shape, names[i]);
    if (w->shape.n_fields == 0)
        infer_names(&in, rows, &w->shape);
    if (w->shape.n_fields == 0)
        luaL_error(L, "[CANNOT_INFER_EMPTY_SCHEMA] cannot find the columns of no rows: give a schema, e.g. "
                      "\"id INT, name STRING\"");
    infer_types(&in, rows, &w->shape);
    w->begun = true;
    if (!column_init(w->arena, &w->root, &w->shape, ""))
        no_memory(L);
    fill(L, w, rows);
    w->schema = shape_type(&w->shape);
    err_clear(&err);
    if (!w->schema || !stream_of(&w->root, &stream))
        no_memory(L);
    if (local_from_stream(session_ctx(session_of(L)), &stream, &data, &err) != LC_OK)
        session_raise(L, &err);
    p = plan_local(data, dtype_ref(w->schema));
    return schema && p ? cast_to(L, p, schema) : p;
}
