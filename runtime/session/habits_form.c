/* habits_form.c: a dot where a colon belongs, and the other way round. */
#include "runtime/session/habits_int.h"
#include "runtime/session/lookup.h"
#include "runtime/session/manual.h"
#include "runtime/session/scan.h"
#include "runtime/session/session_int.h"
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum form { FORM_UNKNOWN, FORM_METHOD, FORM_FUNCTION };

struct call {         /* a call on the line that failed: from.name(…) or from:name(…) */
    const char *from; /* the names before the sign, */
    const char *sign; /* which is here, */
    const char *name; /* and the name after it */
    enum form form;
    int from_len, len; /* from_len 0: something that has to be run */
};

/* The next call from where *x is on; *x stands behind it then. */
static bool next_call(const char *line, struct scan *x, struct call *call)
{
    for (struct scan sign = *x; x->kind; sign = *x) {
        scan_next(x);
        struct scan after = *x;
        if (x->kind != SCAN_NAME || !x->field)
            continue;
        scan_next(&after);
        if (after.kind != SCAN_STRING && !scan_is(&after, "(") && !scan_is(&after, "{"))
            continue;
        const char *from = sign.at;
        while (from > line && (habits_in_name(from[-1]) || from[-1] == '.'))
            from--;
        *call = (struct call){.from = from, .sign = sign.at, .name = x->at, .len = (int)x->len};
        call->from_len = (int)(sign.at - from);
        return true;
    }
    return false;
}

/* What the manual says of it. Of what it does not know, an object of C is called with ':', and one of Lua probably. */
static enum form form_of_value(lua_State *L, const struct call *call, int object, bool likely)
{
    bool table = lua_istable(L, object);
    struct manual_entry e;
    char written[128];

    if (!lookup_field(L, object, call->name, (size_t)call->len) || !lua_isfunction(L, -1))
        return FORM_UNKNOWN;
    snprintf(written, sizeof written, "%.*s.%.*s", call->from_len, call->from, call->len, call->name);
    if (table && manual_of_value(L, -1, object, written, &e))
        return manual_is_method(&e) ? FORM_METHOD : FORM_FUNCTION;
    if (!table)
        return FORM_METHOD;
    return likely && luaL_getmetafield(L, object, "__index") != LUA_TNIL ? FORM_METHOD : FORM_UNKNOWN;
}

static enum form form_of(lua_State *L, const char *line, const struct call *call, bool likely)
{
    enum form form = FORM_UNKNOWN;
    int top = lua_gettop(L);
    struct chain c;

    if (call->from_len && lookup_chain(line, (size_t)(call->name + call->len - line), &c) && c.n >= 2 &&
        !c.literal && !c.unknown && habits_push_visible(L, c.parts[0].name, c.parts[0].len)) {
        bool there = true;
        for (int i = 1; there && i < c.n - 1; i++)
            there = lookup_field(L, -1, c.parts[i].name, c.parts[i].len);
        if (there)
            form = form_of_value(L, call, lua_gettop(L), likely);
    }
    lua_settop(L, top);
    return form;
}

/* What the message says of the function that was called. */
struct refusal {
    char function[64]; /* "": nothing */
    char absent[64];   /* what was called and is nil; "": nothing was */
    bool inside;       /* it was given what it did not expect */
    bool object;       /* its first argument is not the object that a method needs */
    bool likely;       /* its first argument is not what it should be */
    bool self; /* it was defined with ':' and got none: its own line failed, its caller's is at fault */
};

static bool is_method(lua_State *L, const char *class, const char *name)
{
    struct manual_entry e;

    class += strncmp(class, "lacus.", 6) == 0 ? 6 : 0;
    return manual_find(session_of(L)->globals, class, strlen(class), name, strlen(name), &e) &&
           manual_is_method(&e);
}

static struct refusal read_refusal(lua_State *L, const char *message) /* NULL: an error that is no text */
{
    struct refusal r = {.inside = !message || strstr(message, "attempt to")};
    const char *bad = message ? strstr(message, "bad argument #") : NULL;
    const char *self = message && strstr(message, "on bad self") ? strstr(message, "calling '") : NULL;
    char class[64] = "", kind[16];
    int argument = 0;

    if (!message)
        return r;
    if (self && sscanf(self, "calling '%63[^']'", r.function) == 1) {
        r.inside = r.likely = true;
    } else if (bad && sscanf(bad, "bad argument #%d to '%63[^']' (%63s expected, got", &argument, r.function,
                             class) >= 2) {
        r.inside = true;
        r.likely = argument == 1;
        r.object = argument == 1 && is_method(L, class, r.function);
        if (strcmp(r.function, "?") == 0)
            *r.function = '\0';
    } else {
        r.likely = strstr(message, "(local ") != NULL;
        if (strstr(message, "attempt to call a nil value") && !habits_named(message, kind, r.absent))
            *r.absent = '\0';
    }
    return r;
}

/* May the call be the one that failed? */
static bool may_be(const struct refusal *r, const struct call *call)
{
    const char *name = *r->function ? r->function : r->absent;
    bool same = strlen(name) == (size_t)call->len && memcmp(name, call->name, (size_t)call->len) == 0;

    if (*call->sign == ':')
        return !*r->absent && !r->self;
    return r->inside && (!*name || same == (name == r->function));
}

static void tell_form(struct session *s, const struct call *call, int column)
{
    const char *from = call->from_len ? call->from : "…";
    int len = call->from_len ? call->from_len : (int)strlen("…");

    if (call->form == FORM_METHOD)
        snprintf(s->problem.hint, sizeof s->problem.hint, "methods are called with ':': %.*s:%.*s(…)", len,
                 from, call->len, call->name);
    else
        snprintf(s->problem.hint, sizeof s->problem.hint,
                 "functions of %.*s are called with '.': %.*s.%.*s(…)", len, from, len, from, call->len,
                 call->name);
    s->problem.column = column;
    s->problem.sure = call->form == FORM_FUNCTION;
}

/* The first call in the text that has the wrong sign. */
static bool find_call(lua_State *L, const struct refusal *r, const char *text, size_t len, struct call *call)
{
    struct scan x = scan_begin(text, len);

    while (next_call(text, &x, call)) {
        if (!may_be(r, call))
            continue;
        call->form = form_of(L, text, call, r->likely);
        if (call->form == FORM_UNKNOWN && (r->object || r->self))
            call->form = FORM_METHOD;
        if (call->form == (*call->sign == '.' ? FORM_METHOD : FORM_FUNCTION))
            return true;
    }
    return false;
}

/* o.area(), of function M:area(): Lua says what failed inside of it. */
static bool tell_caller(lua_State *L, const char *message)
{
    struct session *s = session_of(L);
    struct refusal r = {.inside = true, .self = true};
    struct call call;
    size_t len;
    const char *line;
    bool found;

    if (s->frames.n < 2 || !message || !strstr(message, " value (local 'self')"))
        return false;
    snprintf(r.function, sizeof r.function, "%s", s->frames.list[0].name);
    line = habits_push_line(L, &s->frames.list[1], &len);
    found = *r.function && line && find_call(L, &r, line, len, &call);
    if (found)
        tell_form(s, &call, -1);
    lua_pop(L, 1);
    return found;
}

enum { STATEMENT_MAX = 4000 }; /* bytes of one that goes on in other lines */

bool habits_form(lua_State *L, const char *message, const struct frame *f)
{
    struct refusal r = read_refusal(L, message);
    struct call call;
    size_t len;
    const char *line = habits_push_line(L, f, &len);
    bool found = line && find_call(L, &r, line, len, &call);

    if (found)
        tell_form(session_of(L), &call, (int)(call.sign - line));
    else if (line && *r.function && find_call(L, &r, line, strnlen(line, STATEMENT_MAX), &call))
        tell_form(session_of(L), &call, -1), found = true;
    lua_pop(L, 1);
    return found || tell_caller(L, message);
}
