#include "runtime/session/display.h"
#include "runtime/base/fs.h"
#include "runtime/base/plural.h"
#include "runtime/session/capture.h"
#include "runtime/session/image.h"
#include "runtime/session/manual.h"
#include "runtime/session/records.h"
#include "runtime/session/session_int.h"
#include <sodium.h>
#include <string.h>

enum { NAME_MAX_SHOWN = 200 }; /* bytes of a file's name in a message */

/* ---- bundles ---- */
static bool wants_json(const char *mime)
{
    size_t n = strlen(mime);

    return strcmp(mime, "application/json") == 0 || (n > 5 && strcmp(mime + n - 5, "+json") == 0) ||
           strcmp(mime, "application/geo+json") == 0;
}

static void push_base64(lua_State *L, const char *bytes, size_t len)
{
    size_t size = sodium_base64_encoded_len(len, sodium_base64_VARIANT_ORIGINAL);
    char *text = lua_newuserdatauv(L, size, 0);

    sodium_bin2base64(text, size, (const unsigned char *)bytes, len, sodium_base64_VARIANT_ORIGINAL);
    lua_pushstring(L, text);
    lua_remove(L, -2);
}

/* A table MIME type → value becomes JSON; raises. */
static void bundle_of_table(lua_State *L, int index, json_t *data)
{
    struct err err;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        json_t *value;
        const char *mime;

        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "a MIME bundle is a table of MIME type and value, and this has a key of type %s",
                       luaL_typename(L, -2));
        mime = lua_tostring(L, -2);
        if (!wants_json(mime) && lua_type(L, -1) != LUA_TSTRING)
            luaL_error(L, "the value of '%s' in a MIME bundle must be a string, not a %s", mime,
                       luaL_typename(L, -1));
        if (strncmp(mime, "image/", 6) == 0 && image_type(lua_tostring(L, -1), lua_rawlen(L, -1)) &&
            strcmp(mime, "image/svg+xml") != 0) { /* bytes travel as base64 */
            push_base64(L, lua_tostring(L, -1), lua_rawlen(L, -1));
            lua_replace(L, -2);
        }
        value = session_to_json(L, -1, &err);
        if (!value) {
            session_raise(L, &err);
            return;
        }
        json_object_set_new(data, mime, value);
    }
}

static void call_mimebundle(lua_State *L, int index, struct display *d)
{
    int top = lua_gettop(L); /* __mimebundle is on the top */

    lua_pushvalue(L, index);
    lua_call(L, 1, 2);
    if (lua_istable(L, top))
        bundle_of_table(L, top, d->data);
    else if (lua_type(L, top) == LUA_TSTRING)
        json_object_set_new(d->data, "text/html",
                            session_json_text(lua_tostring(L, top), lua_rawlen(L, top)));
    if (lua_istable(L, top + 1)) {
        struct err err;
        json_t *metadata = session_to_json(L, top + 1, &err);
        if (!metadata)
            session_raise(L, &err);
        json_object_update(d->metadata, metadata);
        json_decref(metadata);
    }
    lua_settop(L, top - 1);
}

/* One slot owns both: {"data": …, "metadata": …}. */
static void new_bundle(lua_State *L, struct display *d)
{
    json_t **slot = session_json_slot(L);

    *d = (struct display){0};
    *slot = json_pack("{s{}s{}}", "data", "metadata");
    if (!*slot)
        luaL_error(L, "not enough memory");
    d->data = json_object_get(*slot, "data");
    d->metadata = json_object_get(*slot, "metadata");
}

static void add_text(lua_State *L, struct display *d, int first, int last)
{
    struct buf *text;

    if (json_object_get(d->data, "text/plain"))
        return;
    text = session_buf(L, BUF_TEXT_MAX);
    for (int i = first; i <= last; i++) {
        if (i > first)
            buf_putc(text, '\t');
        session_repr(L, i, text);
    }
    if (!buf_ok(text)) {
        buf_clear(text);
        buf_printf(text, "<more than the %zu MiB that are shown at once: print(x) shows all of a text>",
                   BUF_TEXT_MAX >> 20);
    }
    json_object_set_new(d->data, "text/plain", json_stringn_nocheck(buf_str(text), text->len));
    lua_pop(L, 1);
}

static void add_records(lua_State *L, int index, struct display *d)
{
    struct buf *html = session_buf(L, BUF_TEXT_MAX);

    if (records_html(L, index, html))
        json_object_set_new(d->data, "text/html", session_json_text(buf_str(html), html->len));
    lua_pop(L, 1);
}

void display_bundle(lua_State *L, int index, struct display *d)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 10, NULL);
    new_bundle(L, d);
    if (luaL_getmetafield(L, index, "__mimebundle") != LUA_TNIL)
        call_mimebundle(L, index, d);
    else if (lua_istable(L, index))
        add_records(L, index, d);
    add_text(L, d, index, index);
}

void display_joined(lua_State *L, int first, int last, struct display *d)
{
    if (first == last) {
        display_bundle(L, first, d);
        return;
    }
    luaL_checkstack(L, 10, NULL);
    new_bundle(L, d);
    add_text(L, d, first, last);
}

json_t *session_mimebundle(lua_State *L, int index)
{
    struct display d;

    display_bundle(L, index, &d);
    json_incref(d.data);
    lua_pop(L, 1);
    return d.data;
}

void session_display(struct session *s, const struct display *d)
{
    capture_flush(s);
    if (s->frontend.ops && s->frontend.ops->display)
        s->frontend.ops->display(s->frontend.self, &s->ctx, d);
}

/* ---- display() ---- */
static const char handle_name[] = "lacus.DisplayHandle";

struct handle {
    char id[UUID_TEXT + 28];
};

static bool has_bundle_options(lua_State *L, int index)
{
    if (!lua_istable(L, index) || luaL_getmetafield(L, index, "__name") != LUA_TNIL)
        return false;
    lua_pushnil(L);
    if (!lua_next(L, index))
        return false;
    lua_pop(L, 2);
    lua_getfield(L, index, "display_id");
    lua_getfield(L, index, "metadata");
    bool any = !lua_isnil(L, -1) || !lua_isnil(L, -2);
    lua_pop(L, 2);
    return any;
}

static void push_handle(lua_State *L, const char *id)
{
    struct handle *h = lua_newuserdatauv(L, sizeof *h, 0);

    snprintf(h->id, sizeof h->id, "%s", id);
    luaL_setmetatable(L, handle_name);
}

/* The display id that options at index ask for: made when it is true; "" for none. */
static void wanted_id(lua_State *L, int index, char id[UUID_TEXT + 28])
{
    *id = '\0';
    if (index == 0 || !lua_istable(L, index)) /* 0: no options were given */
        return;
    if (lua_getfield(L, index, "display_id") == LUA_TSTRING)
        snprintf(id, UUID_TEXT + 28, "%s", lua_tostring(L, -1));
    else if (lua_toboolean(L, -1))
        uuid_make(id);
    lua_pop(L, 1);
}

static void add_metadata(lua_State *L, int index, struct display *d)
{
    struct err err;
    json_t *metadata;

    if (!lua_istable(L, index))
        return;
    if (lua_getfield(L, index, "metadata") == LUA_TTABLE) {
        metadata = session_to_json(L, -1, &err);
        if (!metadata) {
            session_raise(L, &err);
            return;
        }
        json_object_update(d->metadata, metadata);
        json_decref(metadata);
    }
    lua_pop(L, 1);
}

static void send(lua_State *L, struct display *d, const char *id, bool update)
{
    json_t **slot = session_json_slot(L);

    *slot = *id ? json_pack("{ss}", "display_id", id) : json_object();
    d->transient = *slot;
    d->update = update;
    session_display(session_of(L), d);
    lua_pop(L, 1);
}

static int l_display(lua_State *L) /* (self, x, …, options?) */
{
    int last = lua_gettop(L), options = 0;
    char id[UUID_TEXT + 28] = "";

    if (last > 2 && has_bundle_options(L, last))
        options = last--;
    wanted_id(L, options, id);
    for (int i = 2; i <= last; i++) {
        struct display d;
        display_bundle(L, i, &d);
        if (options)
            add_metadata(L, options, &d);
        send(L, &d, id, false);
        lua_pop(L, 1);
    }
    if (!*id)
        return 0;
    push_handle(L, id);
    return 1;
}

bool display_is_handle(lua_State *L, int index)
{
    return luaL_testudata(L, index, handle_name) != NULL;
}

static int l_update(lua_State *L) /* handle:update(x) */
{
    struct handle *h = luaL_checkudata(L, 1, handle_name);
    struct display d;

    luaL_checkany(L, 2);
    display_bundle(L, 2, &d);
    send(L, &d, h->id, true);
    lua_settop(L, 1);
    return 1;
}

static int l_handle_index(lua_State *L)
{
    struct handle *h = luaL_checkudata(L, 1, handle_name);
    const char *key = luaL_checkstring(L, 2);

    if (strcmp(key, "update") == 0)
        lua_pushcfunction(L, l_update);
    else if (strcmp(key, "display_id") == 0)
        lua_pushstring(L, h->id);
    else
        lua_pushnil(L);
    return 1;
}

static int l_update_display(lua_State *L) /* update_display(x, {display_id = id}) */
{
    char id[UUID_TEXT + 28];
    struct display d;

    luaL_checkany(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    wanted_id(L, 2, id);
    luaL_argcheck(L, *id, 2, "{display_id = \"…\"} expected");
    display_bundle(L, 1, &d);
    add_metadata(L, 2, &d);
    send(L, &d, id, true);
    return 0;
}

static int l_clear_output(lua_State *L)
{
    struct session *s = session_of(L);
    bool wait = lua_toboolean(L, 1);

    if (lua_istable(L, 1)) {
        lua_getfield(L, 1, "wait");
        wait = lua_toboolean(L, -1);
    }
    capture_flush(s);
    if (s->frontend.ops && s->frontend.ops->clear_output)
        s->frontend.ops->clear_output(s->frontend.self, &s->ctx, wait);
    return 0;
}

/* ---- display.html and kin ---- */
/* display.html{file = "page.html"}, display.svg("drawing.svg"): the text of the file takes the place of its name. */
static void read_named(lua_State *L, const char *mime, char name[NAME_MAX_SHOWN])
{
    bool named = lua_istable(L, 1) && lua_getfield(L, 1, "file") == LUA_TSTRING;
    struct buf *text;
    struct err err;

    if (!named) {
        lua_settop(L, 2);
        if (strcmp(mime, "image/svg+xml") != 0 || lua_type(L, 1) != LUA_TSTRING ||
            strchr(lua_tostring(L, 1), '<'))
            return;
        lua_pushvalue(L, 1);
    }
    text = session_buf(L, BUF_TEXT_MAX);
    snprintf(name, NAME_MAX_SHOWN, "%s", lua_tostring(L, -2));
    if (fs_read(lua_tostring(L, -2), text, &err) != LC_OK) {
        session_raise(L, &err);
        return;
    }
    lua_pushlstring(L, buf_str(text), text->len);
    if (wants_json(mime)) {
        session_require(L, "json");
        lua_getfield(L, -1, "decode");
        lua_pushvalue(L, -3);
        lua_call(L, 1, 1);
    }
    lua_replace(L, 1);
    lua_settop(L, named ? 1 : 2);
}

/* Of the texts only an SVG image has a form that a front end insists on. */
static void check_text(lua_State *L, const char *mime, const char *name)
{
    struct err err;

    if (strcmp(mime, "image/svg+xml") == 0 &&
        image_check(mime, name, lua_tostring(L, 1), lua_rawlen(L, 1), &err) != LC_OK)
        session_raise(L, &err);
}

static int show_as(lua_State *L, const char *mime) /* (value, options?) */
{
    char id[UUID_TEXT + 28], name[NAME_MAX_SHOWN] = "text";
    struct display d;
    struct err err;
    json_t *value;

    luaL_checkany(L, 1);
    read_named(L, mime, name);
    if (!wants_json(mime))
        luaL_checkstring(L, 1);
    check_text(L, mime, name);
    new_bundle(L, &d);
    value = session_to_json(L, 1, &err);
    if (!value)
        return session_raise(L, &err);
    json_object_set_new(d.data, mime, value);
    add_text(L, &d, 1, 1);
    add_metadata(L, 2, &d);
    wanted_id(L, 2, id);
    send(L, &d, id, false);
    if (!*id)
        return 0;
    push_handle(L, id);
    return 1;
}

static int l_typed(lua_State *L) /* the MIME type is upvalue 1 */
{
    return show_as(L, lua_tostring(L, lua_upvalueindex(1)));
}

static void image_size(lua_State *L, struct display *d, const char *mime)
{
    static const char *const names[] = {"width", "height"};
    json_t *size = json_object();

    for (size_t i = 0; lua_istable(L, 2) && i < 2; i++) {
        if (lua_getfield(L, 2, names[i]) == LUA_TNUMBER)
            json_object_set_new(size, names[i], json_integer((json_int_t)lua_tonumber(L, -1)));
        lua_pop(L, 1);
    }
    if (json_object_size(size))
        json_object_set(d->metadata, mime, size);
    json_decref(size);
}

static int wrong_image(lua_State *L, const char *name, const char *mime, const char *wanted)
{
    struct err err;

    if (!mime)
        err_set(&err, LC_DATA, "cannot show '%.200s': it is no PNG, JPEG, GIF, WebP or SVG image", name);
    else
        err_set(&err, LC_DATA, "cannot show '%.200s' as %s: it is %s", name, wanted, mime);
    return session_raise(L, &err);
}

static int
l_image(lua_State *L) /* (path or bytes, {width, height}); upvalue 1: the type that it must be, or nil */
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len), *mime = image_type(bytes, len);
    const char *wanted = lua_tostring(L, lua_upvalueindex(1)), *name = mime ? "bytes" : bytes;
    char id[UUID_TEXT + 28];
    struct buf *file = session_buf(L, BUF_TEXT_MAX);
    struct display d;
    struct err err;

    if (!mime) {
        if (fs_read(bytes, file, &err) != LC_OK)
            return session_raise(L, &err);
        mime = image_type(buf_str(file), file->len);
        bytes = buf_str(file);
        len = file->len;
    }
    if (!mime || (wanted && strcmp(mime, wanted) != 0))
        return wrong_image(L, name, mime, wanted);
    if (image_check(mime, name, bytes, len, &err) != LC_OK)
        return session_raise(L, &err);
    new_bundle(L, &d);
    if (strcmp(mime, "image/svg+xml") == 0)
        lua_pushlstring(L, bytes, len);
    else
        push_base64(L, bytes, len);
    json_object_set_new(d.data, mime, session_json_text(lua_tostring(L, -1), lua_rawlen(L, -1)));
    lua_pop(L, 1);
    json_object_set_new(d.data, "text/plain", json_sprintf("<%s, %zu byte%s>", mime, len, PLURAL(len)));
    image_size(L, &d, mime);
    wanted_id(L, lua_istable(L, 2) ? 2 : 0, id);
    send(L, &d, id, false);
    if (!*id)
        return 0;
    push_handle(L, id);
    return 1;
}

static int l_mime(lua_State *L) /* ({["text/html"] = …}, metadata?) */
{
    struct display d;
    struct err err;
    json_t *metadata;

    luaL_checktype(L, 1, LUA_TTABLE);
    new_bundle(L, &d);
    bundle_of_table(L, 1, d.data);
    if (!json_object_get(d.data, "text/plain"))
        json_object_set_new(d.data, "text/plain", json_string("<rich output>"));
    if (lua_istable(L, 2)) {
        metadata = session_to_json(L, 2, &err);
        if (!metadata)
            return session_raise(L, &err);
        json_object_update(d.metadata, metadata);
        json_decref(metadata);
    }
    send(L, &d, "", false);
    return 0;
}

/* ---- what the manual says of them ---- */
static const struct manual_row rows[] = {
    {"html", l_typed,
     "html(text: string)\nshows HTML; of a file: display.html{file = path}, and so with the "
     "others\n\tdisplay.html(\"<b>bold</b>\")"},
    {"markdown", l_typed, "markdown(text: string)\nshows Markdown\n\tdisplay.markdown(\"# Title\")"},
    {"latex", l_typed, "latex(text: string)\nshows a formula\n\tdisplay.latex(\"$e^{i\\\\pi} = -1$\")"},
    {"svg", l_typed,
     "svg(image: string)\nshows an SVG image: its text, or a path"
     "\n\tdisplay.svg('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')"},
    {"json", l_typed, "json(value: any)\nshows a value as a tree\n\tdisplay.json({a = {1, 2}})"},
    {"javascript", l_typed,
     "javascript(text: string)\nruns a script in the front end"
     "\n\tdisplay.javascript(\"console.log('seen')\")"},
    {"png", l_image,
     "png(image: string, options?: {width?: integer, height?: integer})\nshows a PNG image: a path, or "
     "bytes"
     "\n\tdisplay.png(\"picture.png\", {width = 300})"},
    {"jpeg", l_image,
     "jpeg(image: string, options?: {width?: integer, height?: integer})\nshows a JPEG image: a path, or "
     "bytes"
     "\n\tdisplay.jpeg(\"photo.jpeg\", {width = 300})"},
    {"gif", l_image,
     "gif(image: string, options?: {width?: integer, height?: integer})\nshows a GIF image: a path, or "
     "bytes"
     "\n\tdisplay.gif(\"film.gif\")"},
    {"image", l_image,
     "image(image: string, options?: {width?: integer, height?: integer})\nshows an image: a path, or the "
     "bytes of "
     "PNG, JPEG, GIF, WebP, SVG"
     "\n\tdisplay.image(\"picture.png\")"},
    {"mime", l_mime,
     "mime(bundle: table, metadata?: table)\nshows {[MIME type] = data}; the front end takes the richest it "
     "can show"
     "\n\tdisplay.mime{[\"text/html\"] = \"<b>x</b>\", [\"text/plain\"] = \"x\"}"},
    {0}};
static const struct manual_row handle_rows[] = {
    {"update", l_update,
     "update(value: any)\nshows another value in its place"
     "\n\tlocal shown = display(\"waiting\", {display_id = true}) shown:update(\"done\")"},
    {0}};
static const struct manual_row handle_fields[] = {
    {"display_id", NULL, "display_id: string\nfor update_display"}, {0}};
static const struct manual_row global_rows[] = {
    {"display", l_display,
     "display(value: any, …) -> DisplayHandle\nshows values as richly as the front end can; a last table "
     "{display_id = id} "
     "gives a handle to change it later\n\tdisplay({1, 2, 3})"},
    {"clear_output", l_clear_output,
     "clear_output(wait?: boolean)\nclears what the cell has shown; wait: when something new is shown"
     "\n\tclear_output(true)"},
    {"update_display", l_update_display,
     "update_display(value: any, options: {display_id: string})\nreplaces what was shown with that id"
     "\n\tupdate_display(\"half done\", {display_id = \"state\"})"},
    {0}};
static const struct manual_topic display_topic = {.name = "display", .doc = "rich output", .rows = rows};
static const struct manual_topic handle_topic = {.name = "DisplayHandle",
                                                 .doc = "what display(x, {display_id = id}) gives",
                                                 .kind = MANUAL_CLASS,
                                                 .rows = handle_rows,
                                                 .fields = handle_fields};
static const struct manual_topic global_topic = {.name = "", .doc = "showing values", .rows = global_rows};
const struct manual_topic *const display_topics[] = {&display_topic, &handle_topic, &global_topic, NULL};

int display_open(lua_State *L)
{
    static const struct {
        const char *name, *mime;
    } typed[] = {{"html", "text/html"},        {"markdown", "text/markdown"},
                 {"latex", "text/latex"},      {"svg", "image/svg+xml"},
                 {"json", "application/json"}, {"javascript", "application/javascript"}};
    static const struct {
        const char *name, *mime;
    } images[] = {{"png", "image/png"}, {"jpeg", "image/jpeg"}, {"gif", "image/gif"}};

    if (luaL_newmetatable(L, handle_name)) {
        lua_pushcfunction(L, l_handle_index);
        lua_setfield(L, -2, "__index");
    }
    lua_newtable(L);
    for (size_t i = 0; i < sizeof typed / sizeof *typed; i++) {
        lua_pushstring(L, typed[i].mime);
        lua_pushcclosure(L, l_typed, 1);
        lua_setfield(L, -2, typed[i].name);
    }
    for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
        lua_pushstring(L, images[i].mime);
        lua_pushcclosure(L, l_image, 1);
        lua_setfield(L, -2, images[i].name);
    }
    lua_pushnil(L);
    lua_pushcclosure(L, l_image, 1);
    lua_setfield(L, -2, "image");
    lua_pushcfunction(L, l_mime);
    lua_setfield(L, -2, "mime");
    lua_newtable(L);
    lua_pushcfunction(L, l_display);
    lua_setfield(L, -2, "__call");
    lua_pushliteral(L, "display");
    lua_setfield(L, -2, "__name");
    lua_setmetatable(L, -2);
    return 1;
}

int display_open_clear(lua_State *L)
{
    lua_pushcfunction(L, l_clear_output);
    return 1;
}

int display_open_update(lua_State *L)
{
    display_open(L); /* the handle's metatable */
    lua_pushcfunction(L, l_update_display);
    return 1;
}
