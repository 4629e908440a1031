#include "runtime/spark/local_lua.h"
#include "runtime/base/buf.h"
#include "runtime/base/mem.h"
#include "runtime/spark/row_reader_lua.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- types ---- */
enum { DEEPEST = 64 }; /* lists and structs inside of each other; a table that holds itself ends here */

struct shape { /* what the values of a column are; a tree that lives in a userdata's arena */
    enum dtype_id
        id; /* NULL, BOOLEAN, LONG, DOUBLE, STRING, ARRAY, STRUCT; of a schema MAP: its element is a STRUCT of key and value */
    bool fixed;      /* the schema says so: what does not fit is an error */
    int bits;        /* of the schema's integer type; 0: none */
    bool single;     /* a DOUBLE of the schema's FLOAT */
    bool vague;      /* an ARRAY that was only seen as {}: it may still become a STRUCT */
    lua_Integer row; /* where that was seen, for messages */
    struct shape *element;
    bool entry; /* a STRUCT of a MAP: neither it nor its key is NULL */
    size_t n_fields, capacity;
    struct shape_field *fields;
    size_t
        hint; /* the field after the one found last: tables with the same keys give them in the same order */
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
    int depth;
};

static int no_memory(lua_State *L)
{
    return luaL_error(L, "out of memory");
}

static const char *shape_name(enum dtype_id id)
{
    static const char *const names[DTYPE_COUNT] = {
        [DTYPE_BOOLEAN] = "boolean", [DTYPE_LONG] = "bigint", [DTYPE_DOUBLE] = "double",
        [DTYPE_STRING] = "string",   [DTYPE_ARRAY] = "array", [DTYPE_STRUCT] = "struct",
        [DTYPE_MAP] = "map"};

    return names[id] ? names[id] : "value";
}

static void infer_value(struct infer *in, int index, struct shape *s);

static struct shape_field *add_field(struct infer *in, struct shape *s, const char *name)
{
    if (s->n_fields == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 8;
        struct shape_field *more = arena_zalloc(in->arena, sizeof *more * capacity);
        if (!more)
            no_memory(in->L);
        if (s->n_fields > 0)
            memcpy(more, s->fields, sizeof *more * s->n_fields);
        s->fields = more;
        s->capacity = capacity;
    }
    s->fields[s->n_fields] = (struct shape_field){.name = arena_strdup(in->arena, name)};
    if (!s->fields[s->n_fields].name)
        no_memory(in->L);
    return &s->fields[s->n_fields++];
}

static struct shape_field *field_of(struct infer *in, struct shape *s, const char *name)
{
    for (size_t i = 0; i < s->n_fields; i++) {
        size_t at = (s->hint + i) % s->n_fields;
        if (strcmp(s->fields[at].name, name) == 0) {
            s->hint = at + 1;
            return &s->fields[at];
        }
    }
    s->hint = s->n_fields + 1;
    return add_field(in, s, name);
}

static int does_not_merge(struct infer *in, const struct shape *s, enum dtype_id id)
{
    if (s->fixed)
        return luaL_error(
            in->L,
            "[FIELD_DATA_TYPE_UNACCEPTABLE] column '%s', row %I: the schema says %s, the value is a %s",
            in->column, in->row, shape_name(s->id), shape_name(id));
    return luaL_error(in->L,
                      "[CANNOT_MERGE_TYPE] column '%s': row %I has a %s, row %I a %s; give a schema, or make "
                      "them one type",
                      in->column, s->row, shape_name(s->id), in->row, shape_name(id));
}

static void infer_list(struct infer *in, int index, struct shape *s)
{
    lua_Integer n = (lua_Integer)lua_rawlen(in->L, index);

    if (s->id != DTYPE_NULL && s->id != DTYPE_ARRAY)
        does_not_merge(in, s, DTYPE_ARRAY);
    s->id = DTYPE_ARRAY;
    s->vague = false;
    if (!s->element && (s->element = arena_zalloc(in->arena, sizeof *s->element)) == NULL)
        no_memory(in->L);
    for (lua_Integer i = 1; i <= n; i++, lua_pop(in->L, 1)) {
        lua_rawgeti(in->L, index, i);
        infer_value(in, lua_gettop(in->L), s->element);
    }
}

static int by_field_name(const void *a, const void *b)
{
    return strcmp(((const struct shape_field *)a)->name, ((const struct shape_field *)b)->name);
}

/* A table has no order of its own: fields are in the order of their names, unless a schema or a Row gives one. */
static void sort_fields(struct shape *s)
{
    qsort(s->fields, s->n_fields, sizeof *s->fields, by_field_name);
}

static void infer_struct(struct infer *in, int index, struct shape *s)
{
    lua_State *L = in->L;
    size_t before = s->n_fields;

    if (s->id != DTYPE_NULL && s->id != DTYPE_STRUCT && !s->vague)
        does_not_merge(in, s, DTYPE_STRUCT);
    s->id = DTYPE_STRUCT;
    s->vague = false;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "column '%s', row %I: the keys of a struct must be texts", in->column, in->row);
        infer_value(in, lua_gettop(L), &field_of(in, s, lua_tostring(L, -2))->shape);
    }
    if (s->n_fields > before && !s->fixed)
        sort_fields(s);
}

static void infer_row(struct infer *in, int index, int names, struct shape *s) /* a Row: fields by position */
{
    lua_State *L = in->L;
    lua_Integer n = (lua_Integer)lua_rawlen(L, names);

    if (s->id != DTYPE_NULL && s->id != DTYPE_STRUCT && !s->vague)
        does_not_merge(in, s, DTYPE_STRUCT);
    s->id = DTYPE_STRUCT;
    s->vague = false;
    for (lua_Integer i = 1; i <= n; i++, lua_pop(L, 2)) {
        lua_rawgeti(L, names, i);
        lua_rawgeti(L, index, i);
        infer_value(in, lua_gettop(L), &field_of(in, s, lua_tostring(L, -2))->shape);
    }
}

/* ---- maps: the pairs of a table, by their keys ---- */
struct map_key { /* a key of a table: a number, or a text that stays the table's */
    bool number, integer;
    lua_Number n;
    lua_Integer i;
    const char *s;
    size_t len;
};

static int by_key(const void *a, const void *b)
{
    const struct map_key *x = a, *y = b;

    if (x->number != y->number)
        return x->number ? -1 : 1;
    if (x->number)
        return x->n < y->n ? -1 : x->n > y->n;
    int order = memcmp(x->s, y->s, x->len < y->len ? x->len : y->len);
    return order ? order : x->len < y->len ? -1 : x->len > y->len;
}

/* The keys of the table at index, sorted, in a userdata that it pushes: a table has no order of its own. */
static struct map_key *map_keys(lua_State *L, int index, size_t *n)
{
    struct map_key *keys;
    size_t count = 0;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
        count++;
    keys = lua_newuserdatauv(L, sizeof *keys * (count + 1), 0);
    *n = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        struct map_key k = {.number = lua_type(L, -2) == LUA_TNUMBER, .integer = lua_isinteger(L, -2)};
        if (!k.number && lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "the keys of a map are texts or numbers, not a %s", luaL_typename(L, -2));
        if (k.number) {
            k.n = lua_tonumber(L, -2);
            k.i = lua_tointeger(L, -2);
        } else {
            k.s = lua_tolstring(L, -2, &k.len);
        }
        keys[(*n)++] = k;
    }
    qsort(keys, *n, sizeof *keys, by_key);
    return keys;
}

/* Pushes the key, and its value of the table at index. */
static void push_pair(lua_State *L, int index, const struct map_key *k)
{
    if (k->integer)
        lua_pushinteger(L, k->i);
    else if (k->number)
        lua_pushnumber(L, k->n);
    else
        lua_pushlstring(L, k->s, k->len);
    lua_pushvalue(L, -1);
    lua_rawget(L, index);
}

static void infer_map(struct infer *in, int index, struct shape *s)
{
    lua_State *L = in->L;
    size_t n;
    const struct map_key *keys = map_keys(L, index, &n);

    for (size_t i = 0; i < n; i++, lua_pop(L, 2)) {
        push_pair(L, index, &keys[i]);
        infer_value(in, lua_gettop(L) - 1, &s->element->fields[0].shape);
        infer_value(in, lua_gettop(L), &s->element->fields[1].shape);
    }
    lua_pop(L, 1);
}

static bool is_empty(lua_State *L, int index)
{
    lua_pushnil(L);
    if (!lua_next(L, index))
        return true;
    lua_pop(L, 2);
    return false;
}

static void infer_table(struct infer *in, int index, struct shape *s)
{
    lua_State *L = in->L;
    bool vague = s->id == DTYPE_NULL && is_empty(L, index);

    if (in->depth == DEEPEST)
        luaL_error(L, "column '%s', row %I: a value is nested more than %d deep, or holds itself", in->column,
                   in->row, DEEPEST);
    in->depth++;
    if (s->id == DTYPE_NULL)
        s->row = in->row;
    if (s->id == DTYPE_MAP) {
        infer_map(in, index, s);
    } else if (row_names(L, index)) {
        infer_row(in, index, lua_gettop(L), s);
        lua_pop(L, 1);
    } else if (lua_rawlen(L, index) > 0 || vague || (s->id == DTYPE_ARRAY && is_empty(L, index))) {
        bool still = s->vague;
        infer_list(in, index, s);
        s->vague = vague || (still && lua_rawlen(L, index) == 0);
    } else {
        infer_struct(in, index, s);
    }
    in->depth--;
}

static enum dtype_id value_type(struct infer *in, int index)
{
    lua_State *L = in->L;

    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        return DTYPE_BOOLEAN;
    case LUA_TNUMBER:
        return lua_isinteger(L, index) ? DTYPE_LONG : DTYPE_DOUBLE;
    case LUA_TSTRING:
        return DTYPE_STRING;
    default:
        luaL_error(L, "column '%s', row %I: a %s cannot be put into a DataFrame", in->column, in->row,
                   luaL_typename(L, index));
        return DTYPE_NULL;
    }
}

/* May the value stand in a column that the schema gave this shape? Whole numbers may be written 3.0; every number has a text. */
static bool fits(lua_State *L, int index, enum dtype_id value, const struct shape *s)
{
    if (s->id == DTYPE_LONG && (value == DTYPE_LONG || value == DTYPE_DOUBLE)) {
        int whole;
        lua_Integer i = lua_tointegerx(L, index, &whole),
                    limit = (lua_Integer)1 << (s->bits - 1 < 62 ? s->bits - 1 : 62);
        return whole && (s->bits == 64 || (i >= -limit && i < limit));
    }
    return value == s->id || (s->id == DTYPE_DOUBLE && value == DTYPE_LONG) ||
           (s->id == DTYPE_STRING && (value == DTYPE_LONG || value == DTYPE_DOUBLE));
}

static int does_not_fit(struct infer *in, int index, const struct shape *s, enum dtype_id id)
{
    const char *value = luaL_tolstring(in->L, index, NULL);

    return luaL_error(
        in->L,
        "[FIELD_DATA_TYPE_UNACCEPTABLE] column '%s', row %I: the schema has %s%s, the value is the %s %s",
        in->column, in->row, s->bits ? lua_pushfstring(in->L, "a %d-bit ", s->bits) : "",
        s->bits ? "integer" : shape_name(s->id), shape_name(id), value);
}

static void infer_value(struct infer *in, int index, struct shape *s)
{
    enum dtype_id id;

    luaL_checkstack(in->L, 8, "value nested too deeply");
    if (lua_isnil(in->L, index) || lua_islightuserdata(in->L, index))
        return;
    if (lua_istable(in->L, index)) {
        infer_table(in, index, s);
        return;
    }
    id = value_type(in, index);
    if (s->fixed) {
        if (!fits(in->L, index, id, s))
            does_not_fit(in, index, s, id);
    } else if (s->id == DTYPE_NULL || (s->id == DTYPE_LONG && id == DTYPE_DOUBLE)) {
        s->id = id;
        s->row = in->row;
    } else if (s->id != id && !(s->id == DTYPE_DOUBLE && id == DTYPE_LONG)) {
        does_not_merge(in, s, id);
    }
}

/* The shape that values of a type have in Lua. Types that Lua lacks (dates, decimals) are inferred, then cast. */
static void shape_of_type(struct infer *in, struct shape *s, const struct dtype *type)
{
    enum dtype_id id = type->id;

    s->row = 1;
    s->fixed = id <= DTYPE_DOUBLE || id == DTYPE_STRING || id == DTYPE_ARRAY || id == DTYPE_STRUCT ||
               id == DTYPE_MAP;
    if (!s->fixed)
        return;
    s->id = dtype_is_integral(type) ? DTYPE_LONG : id == DTYPE_FLOAT ? DTYPE_DOUBLE : id;
    s->bits = dtype_is_integral(type) ? 8 << (id - DTYPE_BYTE) : 0;
    s->single = id == DTYPE_FLOAT;
    if (id == DTYPE_NULL)
        s->fixed = false;
    if ((id == DTYPE_ARRAY || id == DTYPE_MAP) &&
        (s->element = arena_zalloc(in->arena, sizeof *s->element)) == NULL)
        no_memory(in->L);
    if (id == DTYPE_ARRAY)
        shape_of_type(in, s->element, type->element);
    if (id == DTYPE_MAP) {
        s->element->id = DTYPE_STRUCT;
        s->element->entry = true;
        add_field(in, s->element, "key");
        add_field(in, s->element, "value");
        shape_of_type(in, &s->element->fields[0].shape, type->key);
        shape_of_type(in, &s->element->fields[1].shape, type->element);
    }
    for (size_t i = 0; id == DTYPE_STRUCT && i < type->n_fields; i++) {
        struct shape_field *f = add_field(in, s, type->fields[i].name);
        shape_of_type(in, &f->shape, type->fields[i].type);
    }
}

/* ---- Arrow ---- */
/* Numbers are stored as the schema has them: a cast is work for each row of each query on a server. */
static enum dtype_id stored_as(const struct shape *s)
{
    static const enum dtype_id of_bytes[] = {
        [0] = DTYPE_LONG, [1] = DTYPE_BYTE, [2] = DTYPE_SHORT, [4] = DTYPE_INT, [8] = DTYPE_LONG};

    return s->id == DTYPE_LONG ? of_bytes[s->bits / 8] : s->single ? DTYPE_FLOAT : s->id;
}

static size_t width_of(const struct shape *s) /* of a number */
{
    static const size_t widths[DTYPE_COUNT] = {[DTYPE_BYTE] = 1, [DTYPE_SHORT] = 2, [DTYPE_INT] = 4,
                                               [DTYPE_LONG] = 8, [DTYPE_FLOAT] = 4, [DTYPE_DOUBLE] = 8};

    return widths[stored_as(s)];
}

struct column { /* a column under construction; its children are those of Arrow */
    const struct shape *shape;
    const char *name;
    int64_t n, nulls;
    struct buf valid, data, offsets; /* valid: a byte per value until it is finished */
    struct column *children;
    size_t n_children;
};

static bool has_element(const struct shape *s)
{
    return s->id == DTYPE_ARRAY || s->id == DTYPE_MAP;
}

static bool column_init(struct arena *a, struct column *c, const struct shape *shape, const char *name)
{
    int32_t zero = 0;
    bool ok = true;

    *c = (struct column){.shape = shape, .name = name};
    buf_init(&c->valid, SIZE_MAX / 4);
    buf_init(&c->data, SIZE_MAX / 4);
    buf_init(&c->offsets, SIZE_MAX / 4);
    if (shape->id == DTYPE_STRING || shape->id == DTYPE_NULL || has_element(shape))
        ok = buf_add(&c->offsets, &zero, sizeof zero);
    size_t n = has_element(shape) ? 1 : shape->id == DTYPE_STRUCT ? shape->n_fields : 0;
    c->children = arena_zalloc(a, sizeof *c->children * (n + 1));
    if (!c->children)
        return false;
    c->n_children = n;
    for (size_t i = 0; i < c->n_children; i++)
        ok = column_init(a, &c->children[i], has_element(shape) ? shape->element : &shape->fields[i].shape,
                         shape->id == DTYPE_ARRAY ? "element"
                         : shape->id == DTYPE_MAP ? "entries"
                                                  : shape->fields[i].name) &&
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
        ok = buf_add(&c->data, zeros, width_of(c->shape));
        break;
    case DTYPE_ARRAY:
    case DTYPE_MAP:
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

/* A member of a struct's table. A Row raises for fields that it lacks, here they are NULL; its field is looked for at `position` first. */
static void push_member(lua_State *L, int index, const char *name, lua_Integer position)
{
    lua_Integer n, at = 0;

    if (!row_names(L, index)) {
        lua_getfield(L, index, name);
        return;
    }
    n = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer k = 0; k < n && !at; k++, lua_pop(L, 1)) {
        lua_Integer i = (position - 1 + k) % n + 1;
        if (lua_rawgeti(L, -1, i) == LUA_TSTRING && strcmp(lua_tostring(L, -1), name) == 0)
            at = i;
    }
    lua_pop(L, 1);
    lua_rawgeti(L, index, at);
}

static bool add_map(lua_State *L, struct column *c, int index)
{
    struct column *entries = &c->children[0];
    size_t n;
    const struct map_key *keys = map_keys(L, index, &n);
    bool ok = true;

    for (size_t i = 0; i < n; i++, lua_pop(L, 2)) {
        push_pair(L, index, &keys[i]);
        ok = column_add(L, &entries->children[0], lua_gettop(L) - 1) &&
             column_add(L, &entries->children[1], lua_gettop(L)) && buf_putc(&entries->valid, 1) && ok;
        entries->n++;
    }
    lua_pop(L, 1);
    return add_offset(c, (size_t)entries->n) && ok;
}

static bool add_table(lua_State *L, struct column *c, int index)
{
    bool ok = true;

    if (c->shape->id == DTYPE_MAP)
        return add_map(L, c, index);
    if (c->shape->id == DTYPE_ARRAY) {
        for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, index); i++, lua_pop(L, 1)) {
            lua_rawgeti(L, index, i);
            ok = column_add(L, &c->children[0], lua_gettop(L)) && ok;
        }
        return add_offset(c, (size_t)c->children[0].n) && ok;
    }
    for (size_t i = 0; i < c->n_children; i++, lua_pop(L, 1)) {
        push_member(L, index, c->children[i].name, (lua_Integer)i + 1);
        ok = column_add(L, &c->children[i], lua_gettop(L)) && ok;
    }
    return ok;
}

static bool add_integer(struct column *c, int64_t i) /* infer_value has seen that it fits */
{
    int32_t four = (int32_t)i;
    int16_t two = (int16_t)i;
    int8_t one = (int8_t)i;

    switch (width_of(c->shape)) {
    case 1:
        return buf_add(&c->data, &one, sizeof one);
    case 2:
        return buf_add(&c->data, &two, sizeof two);
    case 4:
        return buf_add(&c->data, &four, sizeof four);
    default:
        return buf_add(&c->data, &i, sizeof i);
    }
}

static bool column_add(lua_State *L, struct column *c, int index)
{
    bool ok = true;
    size_t len;
    const char *s;
    double d;
    float f;

    if (lua_isnil(L, index) || lua_islightuserdata(L, index))
        return add_null(L, c);
    luaL_checkstack(L, 8, "value nested too deeply");
    switch (c->shape->id) {
    case DTYPE_BOOLEAN:
        ok = buf_putc(&c->data, (char)lua_toboolean(L, index));
        break;
    case DTYPE_LONG:
        ok = add_integer(c, lua_tointeger(L, index));
        break;
    case DTYPE_DOUBLE:
        d = lua_tonumber(L, index);
        f = (float)d;
        ok = c->shape->single ? buf_add(&c->data, &f, sizeof f) : buf_add(&c->data, &d, sizeof d);
        break;
    case DTYPE_ARRAY:
    case DTYPE_MAP:
    case DTYPE_STRUCT:
        ok = add_table(L, c, index);
        break;
    default: /* what infer_value let through has a text */
        s = lua_tolstring(L, index, &len);
        ok = s && buf_add(&c->data, s, len) && add_offset(c, c->data.len);
    }
    c->n++;
    return buf_putc(&c->valid, 1) && ok;
}

static const char *format_of(const struct shape *s)
{
    static const char *const formats[DTYPE_COUNT] = {
        [DTYPE_BOOLEAN] = "b", [DTYPE_BYTE] = "c",   [DTYPE_SHORT] = "s",  [DTYPE_INT] = "i",
        [DTYPE_LONG] = "l",    [DTYPE_FLOAT] = "f",  [DTYPE_DOUBLE] = "g", [DTYPE_ARRAY] = "+l",
        [DTYPE_MAP] = "+m",    [DTYPE_STRUCT] = "+s"};
    const char *format = formats[stored_as(s)];

    return format ? format : "u";
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
    bool offsets = c->offsets.len > 0, leaf = !has_element(c->shape) && c->shape->id != DTYPE_STRUCT;

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
    *out = (struct ArrowSchema){.format = format_of(c->shape),
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
        if (c->shape->id == DTYPE_MAP || (c->shape->entry && i == 0))
            out->children[i]->flags = 0;
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
    struct work *w = session_slot(L, sizeof *w, "lacus.local", work_gc);

    w->arena = arena_new(0);
    if (!w->arena)
        no_memory(L);
    return w;
}

/* Pushes the value of the row at the top for a field: by position from lists, by name from tables and Rows. */
static void push_field(lua_State *L, bool list, const char *name, lua_Integer position)
{
    if (list)
        lua_rawgeti(L, -1, position);
    else
        push_member(L, lua_gettop(L), name, position);
}

static bool is_list(lua_State *L, int index)
{
    bool list = lua_rawlen(L, index) > 0;

    if (list && row_names(L, index)) {
        lua_pop(L, 1);
        return false;
    }
    return list;
}

static void push_row(lua_State *L, int rows, lua_Integer r)
{
    if (lua_rawgeti(L, rows, r) != LUA_TTABLE)
        luaL_error(L, "row %I is a %s, a table expected", r, luaL_typename(L, -1));
}

struct kinds { /* of rows */
    lua_Integer longest;
    bool named;
};

static void note_row(struct infer *in, int row, struct shape *s, struct kinds *kinds)
{
    lua_State *L = in->L;

    if (is_list(L, row)) {
        if ((lua_Integer)lua_rawlen(L, row) > kinds->longest)
            kinds->longest = (lua_Integer)lua_rawlen(L, row);
    } else if (row_names(L, row)) {
        for (lua_Integer i = 1; i <= (lua_Integer)lua_rawlen(L, row + 1); i++, lua_pop(L, 1)) {
            lua_rawgeti(L, row + 1, i);
            field_of(in, s, lua_tostring(L, -1));
        }
    } else {
        for (lua_pushnil(L); lua_next(L, row); lua_pop(L, 1))
            if (lua_type(L, -2) == LUA_TSTRING) {
                field_of(in, s, lua_tostring(L, -2));
                kinds->named = true;
            }
    }
    lua_settop(L, row);
}

/* The columns of rows without a schema: of Rows their names, of lists _1, _2, …, of tables all keys in order. */
static void infer_names(struct infer *in, int rows, struct shape *s)
{
    lua_State *L = in->L;
    lua_Integer n = (lua_Integer)lua_rawlen(L, rows);
    struct kinds kinds = {0};

    for (lua_Integer r = 1; r <= n; r++, lua_pop(L, 1)) {
        push_row(L, rows, r);
        note_row(in, lua_gettop(L), s, &kinds);
    }
    if (kinds.longest > 0 && s->n_fields > 0)
        luaL_error(L, "some rows are lists and some have names: give a schema, or make them one kind");
    if (kinds.named)
        sort_fields(s);
    for (lua_Integer i = 1; i <= kinds.longest; i++, lua_pop(L, 1))
        add_field(in, s, lua_pushfstring(L, "_%I", i));
}

static void poll(lua_State *L, lua_Integer row)
{
    struct err err;

    err_clear(&err);
    if (row % 4096 == 0 && ctx_check(session_ctx(session_of(L)), &err) != LC_OK)
        session_raise(L, &err);
}

static void infer_types(struct infer *in, int rows, struct shape *s, const struct dtype *schema)
{
    lua_State *L = in->L;
    lua_Integer n = (lua_Integer)lua_rawlen(L, rows);

    for (in->row = 1; in->row <= n; in->row++, lua_pop(L, 1)) {
        poll(L, in->row);
        push_row(L, rows, in->row);
        bool list = is_list(L, lua_gettop(L));
        if (list && lua_rawlen(L, -1) > s->n_fields)
            luaL_error(L, "[AXIS_LENGTH_MISMATCH] row %I has %d values, there are %d columns", in->row,
                       (int)lua_rawlen(L, -1), (int)s->n_fields);
        for (size_t i = 0; i < s->n_fields; i++, lua_pop(L, 1)) {
            in->column = s->fields[i].name;
            push_field(L, list, in->column, (lua_Integer)i + 1);
            if (schema && !schema->fields[i].nullable && (lua_isnil(L, -1) || lua_islightuserdata(L, -1)))
                luaL_error(L, "[FIELD_NOT_NULLABLE] column '%s', row %I: the schema says NOT NULL",
                           in->column, in->row);
            infer_value(in, lua_gettop(L), &s->fields[i].shape);
        }
    }
}

static void fill(lua_State *L, struct work *w, int rows)
{
    for (lua_Integer r = 1; r <= (lua_Integer)lua_rawlen(L, rows); r++, lua_pop(L, 1)) {
        bool ok = true;
        poll(L, r);
        push_row(L, rows, r);
        bool list = is_list(L, lua_gettop(L));
        for (size_t i = 0; i < w->root.n_children; i++, lua_pop(L, 1)) {
            push_field(L, list, w->root.children[i].name, (lua_Integer)i + 1);
            ok = column_add(L, &w->root.children[i], lua_gettop(L)) && ok;
        }
        w->root.n++;
        if (!buf_putc(&w->root.valid, 1) || !ok)
            luaL_error(L,
                       "row %I: out of memory, or more than 2 GB in one column: make several DataFrames and "
                       "union them",
                       r);
    }
}

static const struct dtype *shape_type(const struct shape *s)
{
    if (s->id == DTYPE_ARRAY)
        return dtype_array(shape_type(s->element), true);
    if (s->id == DTYPE_MAP)
        return dtype_map(shape_type(&s->element->fields[0].shape), shape_type(&s->element->fields[1].shape),
                         true);
    if (s->id == DTYPE_STRUCT) {
        const struct dtype *t = dtype_struct_new(s->n_fields);
        for (size_t i = 0; i < s->n_fields && t; i++)
            t = dtype_struct_add(t, s->fields[i].name, shape_type(&s->fields[i].shape), true, NULL);
        return t;
    }
    return dtype_of(s->id == DTYPE_NULL ? DTYPE_STRING : stored_as(s));
}

/* Columns are named by position first, so that equal names do no harm. */
static const struct plan *cast_to(lua_State *L, const struct plan *p, const struct work *w,
                                  const struct dtype *schema)
{
    size_t n = schema->n_fields;
    struct expr **exprs = lua_newuserdatauv(L, sizeof *exprs * (n + 1), 0);
    const char **names = lua_newuserdatauv(L, sizeof *names * (n + 1), 0);

    luaL_checkstack(L, (int)n + 8, "too many columns");
    for (size_t i = 0; i < n; i++)
        names[i] = lua_pushfstring(L, "_%d", (int)i);
    for (size_t i = 0; i < n; i++) {
        const struct dtype *type = schema->fields[i].type;
        struct expr *e = expr_attribute(&names[i], 1, 0);
        if (w->shape.fields[i].shape.id == DTYPE_NULL) { /* no value at all */
            expr_unref(e);
            e = expr_null();
        }
        exprs[i] = expr_alias(expr_cast(e, dtype_ref(type), false), schema->fields[i].name);
    }
    return plan_project(plan_to_df(p, names, n), exprs, n);
}

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Rows with names have one of the columns: else all of them would be NULL, where other names were meant. */
static void check_named(lua_State *L, int rows, const char *const *names, size_t n)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, rows);
    const char *other = NULL;

    for (lua_Integer r = 1; r <= count; r++, lua_pop(L, 1)) {
        push_row(L, rows, r);
        if (lua_rawlen(L, -1) > 0)
            return;
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (lua_type(L, -2) != LUA_TSTRING)
                continue;
            other = lua_tostring(L, -2);
            if (is_one_of(other, names, n))
                return;
        }
    }
    if (other)
        luaL_error(L,
                   "no row has '%s' or another name of the list: the rows have names of their own, like '%s'",
                   names[0], other);
}

/* The columns: of the schema, of the list of names (as many as the rows have: the rest is _3, _4, …), or of the rows. */
static void find_columns(struct infer *in, struct work *w, int rows, const struct dtype *schema,
                         const char *const *names, size_t n)
{
    for (size_t i = 0; schema && i < schema->n_fields; i++) {
        struct shape_field *f = add_field(in, &w->shape, schema->fields[i].name);
        shape_of_type(in, &f->shape, schema->fields[i].type);
    }
    for (size_t i = 0; i < n; i++)
        add_field(in, &w->shape, names[i]);
    if (n > 0)
        check_named(in->L, rows, names, n);
    if (w->shape.n_fields == 0)
        infer_names(in, rows, &w->shape);
    if (w->shape.n_fields == 0 && !schema)
        luaL_error(in->L,
                   "[CANNOT_INFER_EMPTY_SCHEMA] cannot find the columns of no rows: give a schema, e.g. "
                   "\"id INT, name STRING\"");
}

/* A row behind a hole, or under a name, would be forgotten. */
static void check_list(lua_State *L, int rows)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, rows);

    for (lua_pushnil(L); lua_next(L, rows); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            luaL_error(L, "the rows go in a list, {{…}, {…}}: this table has the name '%s'",
                       lua_tostring(L, -2));
        if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) > n)
            luaL_error(L, "the list of rows has a hole: there is no row %I, but others behind it", n + 1);
    }
}

static bool begins_with_row(lua_State *L, int rows)
{
    int top = lua_gettop(L);
    bool is = lua_rawgeti(L, rows, 1) == LUA_TTABLE && row_names(L, top + 1);

    lua_settop(L, top);
    return is;
}

/* Rows have names: those of the list take their places, as in Spark. */
static const struct plan *renamed(lua_State *L, const struct plan *p, const char *const *names, size_t n)
{
    size_t there = p ? p->u.local.schema->n_fields : n;

    if (there != n) {
        plan_unref(p);
        luaL_error(L, "[AXIS_LENGTH_MISMATCH] the rows have %d values, there are %d columns", (int)there,
                   (int)n);
    }
    return p ? plan_to_df(p, names, n) : NULL;
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
    check_list(L, rows);
    if (n > 0 && begins_with_row(L, rows))
        return renamed(L, local_plan(L, rows, NULL, NULL, 0), names, n);
    w = new_work(L);
    w->wanted = schema;
    struct infer in = {.L = L, .arena = w->arena};
    w->shape.id = DTYPE_STRUCT;
    find_columns(&in, w, rows, schema, names, n);
    infer_types(&in, rows, &w->shape, schema);
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
    return schema && p && !dtype_same(w->schema, schema) ? cast_to(L, p, w, schema) : p;
}
