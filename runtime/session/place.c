#include "runtime/session/place.h"
#include "runtime/session/cell.h"
#include "runtime/session/lookup.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { FOLLOWED = 6 }; /* assignments that are followed, one from the other */

/* ---- reading the text ---- */
struct reading {
    struct place *p;
    struct place_chain now;  /* the operand that ends here; n 0: none */
    struct place_chain left; /* of the last = */
    struct scan before;
    int depth; /* of frames that are too many */
};

static void add_part(struct place_chain *c, const char *name, size_t len, char separator)
{
    if (c->n == PLACE_PARTS)
        c->unknown = true;
    else
        c->parts[c->n++] = (struct place_part){.name = name, .len = len, .separator = separator};
}

static void begin(struct place_chain *c, const char *name, size_t len)
{
    c->n = 0;
    c->literal = c->unknown = false;
    add_part(c, name, len, 0);
}

static struct place_frame *top(struct reading *r)
{
    return r->p->n_frames ? &r->p->frames[r->p->n_frames - 1] : NULL;
}

static void open_frame(struct reading *r, char bracket)
{
    struct place_frame *f;

    if (r->p->n_frames == PLACE_FRAMES) {
        r->depth++;
    } else {
        f = &r->p->frames[r->p->n_frames++];
        *f = (struct place_frame){.bracket = bracket};
        if (bracket != 'b')
            f->callee = r->now;
    }
    r->now.n = 0;
}

/* (a.b), ("text"): brackets around an operand and nothing else. The closing one is counted. */
static bool only_brackets(const struct reading *r, const struct place_frame *f)
{
    bool called = false;

    for (int i = 0; i < r->now.n; i++)
        called = called || r->now.parts[i].called;
    return f->bracket == '(' && f->callee.n == 0 && r->now.n && !r->now.unknown && !called &&
           f->tokens == 2 * r->now.n;
}

/* ["name"]. The closing bracket is counted. */
static bool is_one_text(const struct place_frame *f)
{
    return f->first && f->argument == 0 && f->tokens == 2 && !memchr(f->first, '\\', f->first_len);
}

static void close_frame(struct reading *r, bool block)
{
    struct place_frame *f = top(r);

    if (r->depth) {
        r->depth--;
        return;
    }
    if (!f || (f->bracket == 'b') != block)
        return;
    if (only_brackets(r, f)) {
        r->p->n_frames--;
        return;
    }
    r->now = f->callee;
    if (f->bracket == '[' && r->now.n && is_one_text(f)) {
        add_part(&r->now, f->first, f->first_len, '[');
    } else if (f->bracket == '[' || r->now.n == 0) {
        if (r->now.n == 0)
            begin(&r->now, r->before.at, 0);
        r->now.unknown = true;
    } else {
        r->now.parts[r->now.n - 1].called = true;
    }
    if (block)
        r->now.n = 0;
    r->p->n_frames--;
}

static bool ends_operand(const struct scan *x)
{
    return x->kind == SCAN_NAME || x->kind == SCAN_STRING || scan_is(x, ")") || scan_is(x, "]") ||
           scan_is(x, "}");
}

static bool selects(const struct scan *x)
{
    return x->kind == SCAN_OPERATOR && (x->traits & SCAN_SELECTS);
}

static void next_entry(struct place_frame *f)
{
    f->argument++;
    f->key = NULL;
    f->keyed = false;
    f->tokens = 0;
}

static void assign(struct reading *r, const struct scan *x)
{
    struct place_frame *f = top(r);
    struct place *p = r->p;
    bool plain = r->now.n == 1 && !r->now.literal && !r->now.unknown && !r->now.parts[0].called;

    r->left = r->now;
    if (plain && f && f->bracket == '{') {
        f->key = r->now.parts[0].name;
        f->key_len = r->now.parts[0].len;
        f->keyed = true;
    } else if (plain && (!f || f->bracket == 'b')) {
        if (p->n_assigned == PLACE_ASSIGNED)
            memmove(p->assigned, p->assigned + 1, (size_t)(--p->n_assigned) * sizeof *p->assigned);
        p->assigned[p->n_assigned].name = r->now.parts[0].name;
        p->assigned[p->n_assigned].len = r->now.parts[0].len;
        p->assigned[p->n_assigned].end = x->end;
        p->assigned[p->n_assigned++].value = x->next;
    }
    r->now.n = 0;
}

static void operand(struct reading *r, const struct scan *x)
{
    bool follows = ends_operand(&r->before) && r->now.n;

    if (x->kind != SCAN_STRING && selects(&r->before)) { /* also x.in, on the way to x.info */
        if (r->now.n)
            add_part(&r->now, x->at, x->len, *r->before.at);
        else { /* .name of nothing */
            begin(&r->now, x->at, x->len);
            r->now.unknown = true;
        }
    } else if (x->kind == SCAN_NAME) {
        begin(&r->now, x->at, x->len);
    } else if (follows) {
        r->now.parts[r->now.n - 1].called = true;
    } else {
        begin(&r->now, x->at, 0);
        r->now.literal = true;
    }
}

static void punctuation(struct reading *r, const struct scan *x)
{
    struct place_frame *f;

    if (x->traits & SCAN_OPENS) {
        if (!ends_operand(&r->before))
            r->now.n = 0;
        open_frame(r, *x->at);
    } else if (x->traits & SCAN_CLOSES) {
        close_frame(r, false);
    } else if (scan_is(x, "=")) {
        assign(r, x);
    } else {
        f = top(r);
        if (f && f->bracket != 'b' && (scan_is(x, ",") || scan_is(x, ";")))
            next_entry(f);
        if (!selects(x))
            r->now.n = 0;
    }
}

static void token(struct reading *r, const struct scan *x)
{
    struct place_frame *f = top(r);

    if (f)
        f->tokens++;
    if (f && f->argument == 0 && f->tokens == 1 && x->kind == SCAN_STRING && *x->at != '[' && x->len > 1) {
        f->first = x->at + 1;
        f->first_len = x->len - 2;
    }
    if (x->kind == SCAN_NAME || x->kind == SCAN_STRING || (x->kind == SCAN_KEYWORD && x->field))
        operand(r, x);
    else if (x->traits & SCAN_OPENS_BLOCK)
        open_frame(r, 'b');
    else if (x->traits & SCAN_CLOSES_BLOCK)
        close_frame(r, true);
    else if (x->kind == SCAN_OPERATOR)
        punctuation(r, x);
    else
        r->now.n = 0;
    r->before = *x;
}

/* Between the last token and the end of the text there are only blanks and comments: does one reach the end? */
static bool in_comment(const char *gap, const char *end)
{
    const char *line = end;

    while (line > gap && line[-1] != '\n')
        line--;
    return memmem(line, (size_t)(end - line), "--", 2) != NULL;
}

static void in_string(struct reading *r, const struct scan *x)
{
    const char *p = x->at + 1;

    if (ends_operand(&r->before) && r->now.n)
        open_frame(r, 's');
    if (*x->at == '[') { /* [[ or [==[ */
        while (p < x->end && *p == '=')
            p++;
        p += p < x->end;
    }
    r->p->kind = PLACE_STRING;
    if (scan_is(&r->before, "="))
        r->p->target = r->left;
    r->p->string = p < x->end ? p : x->end;
}

static void in_name(struct reading *r, const char *text, const char *end)
{
    const struct scan *b = &r->before;
    bool touches = b->kind && b->next == end;

    if (in_comment(b->kind ? b->next : text, end) ||
        (touches && (b->kind == SCAN_NUMBER || b->kind == SCAN_STRING)))
        return;
    r->p->kind = PLACE_NAME;
    if (selects(b) && r->now.n) {
        add_part(&r->now, end, 0, *b->at);
    } else if (touches && b->kind == SCAN_KEYWORD && !b->field) {
        begin(&r->now, b->at, b->len);
    } else if (!touches || (b->kind != SCAN_NAME && b->kind != SCAN_KEYWORD)) {
        begin(&r->now, end, 0);
        r->now.unknown = selects(b);
    } else if (top(r)) {
        top(r)->tokens--;
    }
    r->p->chain = r->now;
}

void place_find(const char *text, size_t len, struct place *p)
{
    struct reading r = {.p = p, .before = {.at = text}};
    struct scan x;

    p->kind = PLACE_NONE;
    p->n_frames = p->n_assigned = 0;
    p->chain.n = p->target.n = 0;
    for (x = scan_begin(text, len); x.kind; scan_next(&x)) {
        if (x.open && x.kind == SCAN_STRING) {
            in_string(&r, &x);
            return;
        }
        token(&r, &x);
    }
    if (!x.open)
        in_name(&r, text, text + len);
}

/* ---- what it stands for ---- */
/* The class that a type begins with: "DataFrame, …" → DataFrame; lists and functions have none. */
static struct manual_text class_of_type(struct manual_text type)
{
    size_t n = 0;

    while (n < type.len && (isalnum((unsigned char)type.s[n]) || type.s[n] == '_' || type.s[n] == '.'))
        n++;
    if (n < type.len && strchr("([{<", type.s[n]))
        n = 0;
    return (struct manual_text){type.s, n};
}

static struct manual_text returns_of(const struct manual_entry *e)
{
    struct manual_call call;

    if (manual_parse(e->signature, &call) && call.returns.len)
        return class_of_type(call.returns);
    return (struct manual_text){e->topic->returns, e->topic->returns ? strlen(e->topic->returns) : 0};
}

static struct manual_text field_type(const struct manual_entry *e)
{
    const char *colon = memchr(e->signature.s, ':', e->signature.len);

    if (!colon)
        return (struct manual_text){"", 0};
    for (colon++; *colon == ' ';)
        colon++;
    return class_of_type((struct manual_text){colon, (size_t)(e->signature.s + e->signature.len - colon)});
}

static struct manual_text class_of_value(lua_State *L, int index)
{
    struct manual_text t = {"", 0};

    if (luaL_getmetafield(L, index, "__name") == LUA_TNIL)
        return t;
    if (lua_type(L, -1) == LUA_TSTRING)
        t.s = lua_tolstring(L, -1, &t.len); /* the metatable keeps it */
    lua_pop(L, 1);
    if (t.len > 6 && memcmp(t.s, "lacus.", 6) == 0) {
        t.s += 6;
        t.len -= 6;
    }
    return t;
}

static void written_name(const struct place_chain *c, int n, char *out,
                         size_t size) /* a.b.c of the first n parts */
{
    size_t len = 0;

    out[0] = '\0';
    for (int i = 0; i < n && len + c->parts[i].len + 2 < size; i++) {
        if (i)
            out[len++] = '.';
        memcpy(out + len, c->parts[i].name, c->parts[i].len);
        len += c->parts[i].len;
        out[len] = '\0';
    }
}

struct resolving {
    lua_State *L;
    const struct place *p;
    const struct place_chain *c;
    struct resolved now;
    int depth; /* of followed assignments */
};

static bool resolve(struct resolving *r, int n);

/* What the text assigns to a name of its own, where the session has none yet. */
static bool follow_assignment(struct resolving *r, const char *name, size_t len)
{
    struct place_chain value = {0};
    struct resolving inner = {.L = r->L, .p = r->p, .c = &value, .depth = r->depth + 1};
    struct place *around;

    if (r->depth == FOLLOWED)
        return false;
    for (int i = r->p->n_assigned; i-- > 0;) {
        if (r->p->assigned[i].len != len || memcmp(r->p->assigned[i].name, name, len) != 0)
            continue;
        const char *from = r->p->assigned[i].value, *end = r->p->assigned[i].end;
        around = lua_newuserdatauv(r->L, sizeof *around, 0);
        struct reading reading = {.p = around, .before = {.at = from}};
        around->n_frames = around->n_assigned = 0;
        for (struct scan x = scan_begin(from, (size_t)(end - from)); x.kind; scan_next(&x)) {
            bool goes_on =
                selects(&x) || selects(&reading.before) || (x.traits & SCAN_OPENS) || x.kind == SCAN_STRING;
            if (x.open || (around->n_frames == 0 && reading.before.kind && !goes_on))
                break;
            token(&reading, &x);
        }
        value = reading.now;
        if (around->n_frames || value.n == 0 || !resolve(&inner, value.n)) {
            lua_pop(r->L, 1);
            return false;
        }
        lua_remove(r->L, -2);
        r->now = inner.now;
        return true;
    }
    return false;
}

static bool first_part(struct resolving *r) /* pushes one value */
{
    const struct place_part *part = &r->c->parts[0];
    struct chain plain = {
        .n = 1, .parts = {{.name = part->name, .len = part->len}}, .literal = r->c->literal};

    if (part->called || !lookup_push(r->L, &plain, 1))
        return !part->called && follow_assignment(r, part->name, part->len);
    r->now = (struct resolved){.is_value = true, .class = class_of_value(r->L, -1)};
    return true;
}

/* The row of part i, which is found in what is on the top; i 0: of a global. */
static bool entry_of(struct resolving *r, int i, struct manual_entry *e)
{
    const struct session_global *globals = session_of(r->L)->globals;
    const struct place_part *part = &r->c->parts[i];
    char written[256];
    int container = lua_gettop(r->L);

    written_name(r->c, i + 1, written, sizeof written);
    if (i && !r->now.is_value)
        return manual_find(globals, r->now.class.s, r->now.class.len, part->name, part->len, e);
    if (i ? lookup_field(r->L, -1, part->name, part->len) : (lua_pushnil(r->L), first_part(r))) {
        bool found = lua_isfunction(r->L, -1) && manual_of_value(r->L, -1, i ? container : 0, written, e);
        lua_settop(r->L, container);
        if (found)
            return true;
    }
    lua_settop(r->L, container);
    if (i && r->now.class.len &&
        manual_find(globals, r->now.class.s, r->now.class.len, part->name, part->len, e))
        return true;
    const char *dot = strrchr(written, '.');
    return manual_find(globals, written, dot ? (size_t)(dot - written) : 0, part->name, part->len, e);
}

/* The row of what an index gives that only a class is known for: spark:table("t").name. */
static bool element_of(const struct resolving *r, const struct place_part *part, struct manual_entry *e)
{
    return !r->now.is_value && !part->called && part->separator != ':' &&
           manual_find(session_of(r->L)->globals, r->now.class.s, r->now.class.len, MANUAL_ELEMENT,
                       strlen(MANUAL_ELEMENT), e);
}

static bool part(struct resolving *r, int i) /* what is on the top becomes its part i */
{
    const struct place_part *part = &r->c->parts[i];
    struct manual_entry e;

    if (r->now.is_value && !part->called && lookup_field(r->L, -1, part->name, part->len)) {
        lua_remove(r->L, -2);
        r->now = (struct resolved){.is_value = true, .class = class_of_value(r->L, -1)};
        return true;
    }
    if (!entry_of(r, i, &e) && !element_of(r, part, &e))
        return false;
    r->now =
        (struct resolved){.called = part->called, .class = part->called ? returns_of(&e) : field_type(&e)};
    lua_pop(r->L, 1);
    lua_pushnil(r->L);
    return r->now.class.len > 0;
}

static bool resolve(struct resolving *r, int n)
{
    int base = lua_gettop(r->L);
    struct manual_entry e;

    luaL_checkstack(r->L, 20, NULL);
    if (n < 1 || r->c->unknown)
        return false;
    if (r->c->parts[0].called) { /* fmt(…), df(…) */
        lua_pushnil(r->L);
        struct place_chain name = *r->c;
        struct resolving bare = {.L = r->L, .p = r->p, .c = &name, .depth = r->depth + 1};
        name.parts[0].called = false;
        if (r->depth < FOLLOWED && entry_of(&bare, 0, &e))
            r->now = (struct resolved){.called = true, .class = returns_of(&e)};
        if (r->now.class.len == 0) {
            lua_settop(r->L, base);
            return false;
        }
    } else if (!first_part(r)) {
        lua_settop(r->L, base);
        return false;
    }
    for (int i = 1; i < n; i++)
        if (!part(r, i)) {
            lua_settop(r->L, base);
            return false;
        }
    return true;
}

bool place_resolve(lua_State *L, const struct place *p, const struct place_chain *c, int n,
                   struct resolved *out)
{
    struct resolving r = {.L = L, .p = p, .c = c};

    if (!resolve(&r, n))
        return false;
    *out = r.now;
    return true;
}

bool place_entry(lua_State *L, const struct place *p, const struct place_chain *c, int n,
                 struct manual_entry *e)
{
    struct resolving r = {.L = L, .p = p, .c = c};
    int base = lua_gettop(L);

    luaL_checkstack(L, 20, NULL);
    if (n < 1 || c->unknown)
        return false;
    if (n == 1)
        lua_pushnil(L);
    else if (!resolve(&r, n - 1))
        return false;
    if (entry_of(&r, n - 1, e))
        return true;
    lua_settop(L, base);
    return false;
}
