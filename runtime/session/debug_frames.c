/* Where it stands: coroutines, frames, the files and cells that they are in. */
#include "runtime/base/fs.h"
#include "runtime/session/cell.h"
#include "runtime/session/debug_int.h"
#include "runtime/session/lines.h"
#include "runtime/session/session_int.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { LEVELS_DEFAULT = 500, SOURCE_MAX = 16 << 20 };

/* ---- coroutines ---- */
static const char threads_key;

static void push_threads(lua_State *L) /* weak: coroutine → id */
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &threads_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &threads_key);
}

/* The cell is 1; the others are numbered as they are seen. L is where there is room. */
int debug_thread_id(struct debug *d, lua_State *L, lua_State *co)
{
    struct session *s = session_of(L);
    int id;

    for (struct hook_link *link = s->hook.links; link; link = link->outer)
        if (link->L == co && link->depth == 1)
            return 1;
    if (!lua_checkstack(L, 6) || !lua_checkstack(co, 2))
        return 0;
    push_threads(L);
    lua_pushthread(co);
    lua_xmove(co, L, 1);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        lua_pushinteger(L, d->last_thread < 1 ? d->last_thread = 2 : ++d->last_thread);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    id = (int)lua_tointeger(L, -1);
    lua_pop(L, 3);
    return id;
}

static bool in_chain(struct hook_link *link, const lua_State *co)
{
    for (; link; link = link->outer)
        if (link->L == co)
            return true;
    return false;
}

static json_t *thread_row(struct debug_call *c, int id, lua_State *co)
{
    char name[160] = "cell";
    lua_Debug ar;

    if (id > 1)
        snprintf(name, sizeof name, "coroutine %d", id);
    for (int i = 0; co && lua_getstack(co, i, &ar); i++)
        if (debug_visible(c->d, c->s, co, &ar)) {
            size_t n = strlen(name);
            snprintf(name + n, sizeof name - n, " (%s:%d)", ar.short_src, ar.currentline);
            break;
        }
    return json_pack("{siss}", "id", id, "name", name);
}

enum { THREADS_MAX = 200 };

enum lc debug_threads(struct debug_call *c)
{
    lua_State *L = c->L, *first = NULL;
    json_t *list = json_array();

    *c->body = json_pack("{so}", "threads", list);
    for (struct hook_link *link = c->d->links; link; link = link->outer)
        if (link->depth == 1)
            first = link->L;
    json_array_append_new(list, thread_row(c, 1, first));
    push_threads(L);
    for (lua_pushnil(L); lua_next(L, 1) && json_array_size(list) < THREADS_MAX; lua_pop(L, 1)) {
        lua_State *co = lua_tothread(L, -2);
        if (co != first && (lua_status(co) == LUA_YIELD || in_chain(c->d->links, co)))
            json_array_append_new(list, thread_row(c, (int)lua_tointeger(L, -1), co));
    }
    return LC_OK;
}

static lua_State *thread_by_id(struct debug_call *c, json_int_t id)
{
    lua_State *L = c->L, *found = NULL;
    int top = lua_gettop(L);

    push_threads(L);
    for (lua_pushnil(L); !found && lua_next(L, top + 1); lua_pop(L, 1))
        if (lua_tointeger(L, -1) == id)
            found = lua_tothread(L, -2);
    lua_settop(L, top);
    return found;
}

/* ---- chunks ---- */
static bool is_cell_name(const char *name)
{
    return strncmp(name, "=Cell In[", 9) == 0;
}

static int count_lines(const char *text, size_t len)
{
    int n = 1;

    for (const char *p = text; (p = memchr(p, '\n', (size_t)(text + len - p))) != NULL; p++)
        n++;
    return n;
}

/* The body of a %%magic is part of a cell: breakpoints are set in the cell. */
static void find_cell(struct session *s, const char **text, size_t *len, struct chunk *c)
{
    const char *code = s->cell ? s->cell->code : NULL;
    size_t n = s->cell ? s->cell->len : 0;

    if (!code || n <= *len || memcmp(code + n - *len, *text, *len) != 0 || memcmp(code, "%%", 2) != 0)
        return;
    c->shift = count_lines(code, n - *len) - 1;
    *text = code;
    *len = n;
}

/* Chunks named "=name" whose text the session keeps. */
static void fill_named(struct debug *d, struct session *s, lua_State *L, struct chunk *c)
{
    const char *text;
    size_t len;
    char path[PATH_MAX];

    if (!lua_checkstack(L, 4))
        return;
    session_table(L, TABLE_SOURCES);
    lua_getfield(L, -1, c->name + 1);
    text = lua_tolstring(L, -1, &len);
    if (text) {
        if (!is_cell_name(c->name))
            find_cell(s, &text, &len, c);
        c->last_line = count_lines(text, len);
        debug_cell_path(d, text, len, path, sizeof path);
        c->path = mem_strdup(path);
    } else {
        c->hidden = true;
    }
    lua_pop(L, 2);
}

static void fill_chunk(struct debug *d, struct session *s, lua_State *L, struct chunk *c, const char *name)
{
    mem_free(c->name);
    mem_free(c->path);
    *c = (struct chunk){.name = mem_strdup(name)};
    if (!c->name || strncmp(name, "=lacus.", 7) == 0 || strncmp(name, "=[C]", 4) == 0 ||
        strcmp(name, "=debug") == 0)
        c->hidden = true;
    else if (*name == '@')
        c->path = fs_absolute(name + 1);
    else if (*name == '=')
        fill_named(d, s, L, c);
}

struct chunk *debug_chunk(struct debug *d, struct session *s, lua_State *L, const lua_Debug *ar)
{
    struct chunk *c = &d->chunks[d->last_chunk];

    if (c->name && strcmp(c->name, ar->source) == 0 && (*ar->source != '=' || is_cell_name(ar->source)))
        return c;
    for (int i = 0; i < DEBUG_CHUNKS; i++)
        if (d->chunks[i].name && strcmp(d->chunks[i].name, ar->source) == 0) {
            d->last_chunk = i;
            if (*ar->source == '=' &&
                !is_cell_name(ar->source)) /* a name that comes again with another text */
                fill_chunk(d, s, L, &d->chunks[i], ar->source);
            return &d->chunks[i];
        }
    d->last_chunk = d->next_chunk;
    d->next_chunk = (d->next_chunk + 1) % DEBUG_CHUNKS;
    fill_chunk(d, s, L, &d->chunks[d->last_chunk], ar->source);
    return &d->chunks[d->last_chunk];
}

bool debug_visible(struct debug *d, struct session *s, lua_State *L, lua_Debug *ar)
{
    struct chunk *c;

    lua_getinfo(L, "Slnt", ar);
    if (strcmp(ar->what, "C") == 0)
        return false;
    c = debug_chunk(d, s, L, ar);
    if (*ar->source == '=' && strcmp(ar->what, "main") == 0) /* our wrapper: the cell is a function in it */
        return false;
    /* past the last line: the end of our wrapper */
    return !c->hidden && !(c->last_line && ar->currentline + c->shift > c->last_line);
}

/* ---- frames ---- */
int debug_levels(lua_State *L)
{
    lua_Debug ar;
    int low = 0, high = 1;

    while (lua_getstack(L, high - 1, &ar)) {
        low = high;
        high *= 2;
    }
    while (low + 1 < high) { /* low exist, high do not */
        int middle = (low + high) / 2;
        if (lua_getstack(L, middle - 1, &ar))
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct debug_frame *debug_frame_add(struct debug *d, lua_State *L, const lua_Debug *ar)
{
    if (d->n_frames == d->cap_frames) {
        int cap = d->cap_frames ? d->cap_frames * 2 : 32;
        struct debug_frame *more =
            cap > 4 * DEBUG_FRAMES_MAX ? NULL : mem_reallocn(d->frames, (size_t)cap, sizeof *more);
        if (!more)
            return NULL;
        d->frames = more;
        d->cap_frames = cap;
    }
    d->frames[d->n_frames] = (struct debug_frame){.id = ++d->last_frame, .L = L, .ar = *ar};
    return &d->frames[d->n_frames++];
}

struct debug_frame *debug_frame_by_id(struct debug *d, json_int_t id)
{
    for (int i = 0; i < d->n_frames; i++)
        if (d->frames[i].id == id)
            return &d->frames[i];
    return NULL;
}

/* The same frame keeps its number while it stands. */
static struct debug_frame *frame_for(struct debug *d, lua_State *L, const lua_Debug *ar)
{
    for (int i = 0; i < d->n_frames; i++)
        if (L && d->frames[i].L == L && d->frames[i].ar.i_ci == ar->i_ci)
            return &d->frames[i];
    return debug_frame_add(d, L, ar);
}

struct debug_frame *debug_frame_of(struct debug_call *c)
{
    json_t *id = json_object_get(c->args, "frameId");

    if (!id)
        id = json_object_get(c->args, "srcFrameId");
    return json_is_integer(id) ? debug_frame_by_id(c->d, json_integer_value(id)) : NULL;
}

void debug_frames_forget(struct debug *d)
{
    d->n_frames = 0;
}

static void frame_name(struct debug *d, struct session *s, lua_State *L, const lua_Debug *ar, char *out,
                       size_t size)
{
    struct chunk *c = debug_chunk(d, s, L, ar);

    if (ar->name)
        snprintf(out, size, "%s", ar->name);
    else if (strcmp(ar->what, "main") == 0 ||
             (ar->linedefined == 1 && c->last_line && ar->lastlinedefined > c->last_line - c->shift))
        snprintf(out, size, "%s", ar->short_src);
    else
        snprintf(out, size, "function at line %d", ar->linedefined + c->shift);
}

static json_t *source_json(struct chunk *c, const lua_Debug *ar, struct debug *d)
{
    json_t *source =
        json_pack("{ss}", "name", c->path && *ar->source == '@' ? fs_basename(c->path) : ar->short_src);

    if (c->path)
        json_object_set_new(source, "path", json_string(c->path));
    else /* a text that was given to load: its chunk is asked for by place */
        json_object_set_new(source, "sourceReference", json_integer(1 + (json_int_t)(c - d->chunks)));
    return source;
}

static json_t *frame_json(struct debug_call *c, lua_State *L, lua_Debug *ar, struct debug_frame *f)
{
    struct chunk *chunk = debug_chunk(c->d, c->s, L, ar);
    char name[120];

    frame_name(c->d, c->s, L, ar, name, sizeof name);
    return json_pack("{siso sosisi}", "id", f ? f->id : 0, "name", session_json_text(name, strlen(name)),
                     "source", source_json(chunk, ar, c->d), "line", ar->currentline + chunk->shift, "column",
                     1);
}

struct stack_page {
    json_t *list;
    json_int_t from, n, total;
};

static void add_frames(struct debug_call *c, lua_State *L, struct stack_page *p)
{
    lua_Debug ar;
    int levels = debug_levels(L);

    for (int i = 0; i < levels && i < DEBUG_FRAMES_MAX && lua_getstack(L, i, &ar); i++) {
        if (!debug_visible(c->d, c->s, L, &ar))
            continue;
        if (p->total >= p->from && p->total < p->from + p->n)
            json_array_append_new(p->list, frame_json(c, L, &ar, frame_for(c->d, L, &ar)));
        p->total++;
    }
    if (levels > DEBUG_FRAMES_MAX) /* of a very deep stack the rest is counted only */
        p->total += levels - DEBUG_FRAMES_MAX;
}

static void add_kept(struct debug_call *c, struct stack_page *p)
{
    int n = debug_kept(c->L);

    debug_frames_forget(c->d);
    for (int i = 1; i <= n; i++, p->total++) {
        struct debug_frame *f;
        lua_Debug ar;
        debug_kept_chunk(c->L, i, &ar);
        f = debug_frame_add(c->d, NULL, &ar);
        if (f)
            f->kept = i;
        if (p->total >= p->from && p->total < p->from + p->n)
            json_array_append_new(p->list, frame_json(c, c->L, &ar, f));
    }
}

static json_int_t number(json_t *args, const char *name, json_int_t missing)
{
    json_t *value = json_object_get(args, name);
    json_int_t n = json_integer_value(value);

    return json_is_integer(value) && n >= 0 && n < INT_MAX ? n : missing;
}

/* Of the coroutine that has stopped: its frames, and below them those of who resumed it, to the cell. */
enum lc debug_stack(struct debug_call *c)
{
    json_int_t id = number(c->args, "threadId", 1);
    struct stack_page p = {.from = number(c->args, "startFrame", 0), .n = number(c->args, "levels", 0)};
    lua_State *co;

    if (p.n == 0)
        p.n = LEVELS_DEFAULT;
    p.list = json_array();
    *c->body = json_pack("{so}", "stackFrames", p.list);
    if (c->d->post) {
        add_kept(c, &p);
    } else if (c->d->at && (c->d->stopped == id)) {
        for (struct hook_link *link = c->d->links; link; link = link->outer)
            add_frames(c, link->L, &p);
    } else if (c->d->at && id == 1) {
        for (struct hook_link *link = c->d->links; link; link = link->outer)
            if (link->depth == 1)
                add_frames(c, link->L, &p);
    } else {
        co = thread_by_id(c, id);
        if (!co && id != 1)
            return err_set(c->err, LC_ARG, "there is no coroutine %lld any more", (long long)id);
        if (co && c->d->at)
            add_frames(c, co, &p);
    }
    json_object_set_new(*c->body, "totalFrames", json_integer(p.total));
    return LC_OK;
}

/* ---- variables of a frame ---- */
const char *debug_local(lua_State *L, struct debug_frame *f, int n)
{
    const char *name;

    if (f->kept)
        return debug_kept_variable(L, f->kept, false, n);
    if (!lua_checkstack(f->L, 2))
        return NULL;
    name = lua_getlocal(f->L, &f->ar, n);
    if (name && f->L != L)
        lua_xmove(f->L, L, 1);
    return name;
}

const char *debug_upvalue(lua_State *L, struct debug_frame *f, int n)
{
    const char *name;

    if (f->kept)
        return debug_kept_variable(L, f->kept, true, n);
    if (!lua_checkstack(f->L, 3))
        return NULL;
    lua_getinfo(f->L, "f", &f->ar);
    name = lua_getupvalue(f->L, -1, n);
    if (name && f->L != L)
        lua_xmove(f->L, L, 1);
    else if (name)
        lua_remove(f->L, -2);
    if (f->L != L || !name)
        lua_pop(f->L, 1);
    return name;
}

void debug_put_local(lua_State *L, struct debug_frame *f, int n)
{
    if (f->kept) {
        debug_kept_put(L, f->kept, false, n);
        return;
    }
    if (!lua_checkstack(f->L, 2))
        luaL_error(L, "not enough memory");
    if (f->L != L)
        lua_xmove(L, f->L, 1);
    if (!lua_setlocal(f->L, &f->ar, n))
        lua_pop(f->L, 1);
}

void debug_put_upvalue(lua_State *L, struct debug_frame *f, int n)
{
    if (f->kept) {
        debug_kept_put(L, f->kept, true, n);
        return;
    }
    if (!lua_checkstack(f->L, 3))
        luaL_error(L, "not enough memory");
    if (f->L != L)
        lua_xmove(L, f->L, 1);
    lua_getinfo(f->L, "f", &f->ar);
    lua_insert(f->L, -2);
    if (!lua_setupvalue(f->L, -2, n))
        lua_pop(f->L, 1);
    lua_pop(f->L, 1);
}

bool debug_hides(lua_State *L, const char *name)
{
    if (*name == '(' || strcmp(name, "_ENV") == 0)
        return true;
    return name[0] == '_' && lua_iscfunction(L, -1) && cell_is_ours(lua_tocfunction(L, -1));
}

/* ---- scopes ---- */
enum lc debug_scopes(struct debug_call *c)
{
    static const struct {
        const char *name, *hint;
        enum ref_kind kind;
    } kinds[] = {
        {"Locals", "locals", REF_LOCALS}, {"Upvalues", NULL, REF_UPVALUES}, {"Globals", NULL, REF_GLOBALS}};
    struct debug_frame *f = debug_frame_of(c);
    json_t *list = json_array();

    *c->body = json_pack("{so}", "scopes", list);
    if (!f)
        return err_set(c->err, LC_ARG, "that frame is not there any more");
    c->d->looked_at = f->id;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        json_t *one = json_pack("{sssisb}", "name", kinds[i].name, "variablesReference",
                                debug_ref_add(c->d, c->L, kinds[i].kind, f->id, 0, ""), "expensive", 0);
        if (kinds[i].hint)
            json_object_set_new(one, "presentationHint", json_string(kinds[i].hint));
        json_array_append_new(list, one);
    }
    return LC_OK;
}

/* ---- texts ---- */
static enum lc put_content(struct debug_call *c, const char *text, size_t len)
{
    if (len > SOURCE_MAX)
        return err_set(c->err, LC_LIMIT, "the text has more than %d bytes", SOURCE_MAX);
    *c->body = json_pack("{so ss}", "content", session_json_text(text, len), "mimeType", "text/x-lua");
    return LC_OK;
}

/* A cell that has run, by its path. */
static bool find_cell_text(struct debug_call *c, const char *path)
{
    lua_State *L = c->L;
    char here[PATH_MAX];
    size_t len;

    session_table(L, TABLE_SOURCES);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
        const char *text = lua_tolstring(L, -1, &len);
        if (!text)
            continue;
        debug_cell_path(c->d, text, len, here, sizeof here);
        if (strcmp(here, path) == 0)
            return true;
    }
    return false;
}

enum lc debug_read_file(const char *path, struct buf *out, struct err *err)
{
    struct stat st;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(err, LC_NOTFOUND, "there is no file '%s'", path);
    return fs_read(path, out, err);
}

static enum lc file_text(struct debug_call *c, const char *path)
{
    struct buf text = BUF_INIT(SOURCE_MAX);
    enum lc rc = debug_read_file(path, &text, c->err);

    if (rc == LC_OK)
        rc = put_content(c, buf_str(&text), text.len);
    buf_release(&text);
    return rc;
}

enum lc debug_source(struct debug_call *c)
{
    json_t *source = json_object_get(c->args, "source");
    const char *path = json_string_value(json_object_get(source, "path"));
    json_int_t ref = number(c->args, "sourceReference", number(source, "sourceReference", 0));
    size_t len;

    if (path && *path) {
        if (!find_cell_text(c, path))
            return file_text(c, path);
        path = lua_tolstring(c->L, -1, &len);
        return put_content(c, path, len);
    }
    if (ref < 1 || ref > DEBUG_CHUNKS || !c->d->chunks[ref - 1].name)
        return err_set(c->err, LC_ARG, "no source with that path or reference");
    return put_content(c, c->d->chunks[ref - 1].name, strlen(c->d->chunks[ref - 1].name));
}

/* What `require` has loaded from files. */
enum lc debug_modules(struct debug_call *c)
{
    lua_State *L = c->L;
    json_int_t start = number(c->args, "startModule", 0), count = number(c->args, "moduleCount", 0), n = 0;
    json_t *list = json_array();

    *c->body = json_pack("{so}", "modules", list);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE); /* 1 */
    if (lua_getfield(L, 1, "package") != LUA_TTABLE || lua_getfield(L, 2, "searchpath") != LUA_TFUNCTION ||
        lua_getfield(L, 2, "path") != LUA_TSTRING)
        return LC_OK;
    for (lua_pushnil(L); lua_next(L, 1); lua_settop(L, 5)) {
        if (lua_type(L, 5) != LUA_TSTRING)
            continue;
        lua_pushvalue(L, 3);
        lua_pushvalue(L, 5);
        lua_pushvalue(L, 4);
        lua_call(L, 2, 1);
        if (lua_type(L, -1) != LUA_TSTRING)
            continue;
        if (n >= start && (count == 0 || n < start + count))
            json_array_append_new(list, json_pack("{ssssss}", "id", lua_tostring(L, 5), "name",
                                                  lua_tostring(L, 5), "path", lua_tostring(L, -1)));
        n++;
    }
    json_object_set_new(*c->body, "totalModules", json_integer(n));
    return LC_OK;
}
