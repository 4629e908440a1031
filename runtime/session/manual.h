/* manual.h: the one table of what a cell can say: completion, inspection, `lacus help NAME`, the reference
 * manual and the type stubs for editors are made from it.
 *
 * What      A row is one function, method or field; it stands next to its code. Rows are gathered in topics
 *           (a module or a class), topics hang on the global through which they are reached (struct
 *           session_global, repl/globals.c). What is written in Lua has its rows as comments above the
 *           functions (see runtime/gen/embed.lua). A row's text has up to three parts:
 *               agg(aggregate: Column, …) -> DataFrame       the signature, on the first line
 *               aggregates of all rows                       what it does
 *               <tab>df:agg(F.max("n"))                      an example: lines that begin with a tab
 *           A signature: name(a, b: type, c?: type, d = default, …) -> type, or name{a, b = 1} when a table
 *           with names may stand for the arguments; of a field: name: type. Types are LuaLS's, and
 *           {type, …} for a list. A parameter without a type gets it from its default, or from its name
 *           (`n` is an integer everywhere: see manual.c).
 * Ownership everything is static, or borrowed until the session closes.
 * Units     bytes.
 * Errors    none: what does not parse has no parameters.
 * Threads   any; manual_of_value on the session thread.
 *
 * Example:
 *     static const struct manual_row rows[] = {
 *         {"now", NULL, "now(zone?: string) -> string\nthe time of day\n\tclock.now(\"UTC\")"}, {0}};
 *     static const struct manual_topic clock = {.name = "clock", .doc = "clocks", .rows = rows};
 *     const struct manual_topic *const clock_topics[] = {&clock, NULL};
 */
#ifndef LACUS_SESSION_MANUAL_H
#define LACUS_SESSION_MANUAL_H
#include "runtime/base/buf.h"
#include <lua.h>

struct session;
struct session_global;
struct session_magic;
struct manual_entry;

struct manual_row {
    const char *name;
    lua_CFunction function; /* NULL: a field, or written in Lua */
    const char *doc; /* NULL: another name of the row above. ".name(…": a class's, and called with a dot */
};

struct manual_text {
    const char *s;
    size_t len;
};

#define MANUAL_ELEMENT "[string]" /* the name of a field that stands for all others, as in LuaLS's notation */

enum manual_kind { MANUAL_MODULE, MANUAL_CLASS };

/* A kind of text that a parameter takes: `name: ColumnName`. list(object, prefix, first, call, before) returns the texts it may be, in
 * a table, for completion: quick, without side effects. object: what the method is called on, or nil; first: the first argument,
 * if it is a text; call: the call as it is written up to the cursor; before: the text before it. For editors it is a string.
 * `…: Type` says that a table with names may have these as names, `…: Type = Other` also what its values are. */
struct manual_values {
    const char *type;
    lua_CFunction list;
};

struct manual_topic {
    const char *name; /* "json", "dbutils.widgets"; a class as its __name says: "DataFrame"; "": globals */
    const char *doc;
    enum manual_kind kind;
    const struct manual_row *rows;   /* functions; ends with a NULL name; may be NULL */
    const struct manual_row *fields; /* likewise */
    const char *returns;             /* what functions give whose signature does not say; may be NULL */
    /* Rows that another table makes: fills *e with the i-th (a NULL name: it has none); false past the end. May be NULL. */
    bool (*more)(size_t i, struct manual_entry *e);
    /* The type of a parameter whose signature says none, in LuaLS's notation: texts it may be ("a"|"b"), or the name of what
     * makes it. False: as its name and default say. May be NULL. */
    bool (*type_of)(const struct manual_entry *e, struct manual_text param, struct buf *out);
    const struct manual_values *values; /* ends with a NULL type; may be NULL */
    bool standard;                      /* Lua's own: editors know it already */
    const char *operators;              /* of a class, as LuaLS names them: "add sub unm"; may be NULL */
    const char *element;                /* what object"name" gives; may be NULL */
};

struct manual_entry {
    const struct manual_topic *topic;
    const char *name;
    lua_CFunction function;
    bool field, plain;    /* plain: of a class, but no method: Dataset.from_list(rows) */
    const char *alias_of; /* the row's other name, or NULL */
    struct manual_text signature, doc, example;
    bool sql;         /* the example is an expression of SQL, not Lua */
    const char *also; /* a second signature: parameters beside those of the first; may be NULL */
};

/* Every entry that a session with these globals can reach, topic by topic, until fn returns false. globals may be NULL. */
typedef bool manual_fn(void *arg, const struct manual_entry *e);
void manual_each(const struct session_global *globals, manual_fn *fn, void *arg);
bool manual_each_of(const struct manual_topic *topic, manual_fn *fn, void *arg);
typedef bool manual_topic_fn(void *arg, const struct manual_topic *topic);
void manual_topics(const struct session_global *globals, manual_topic_fn *fn, void *arg);
/* By topic and name; false: no such row. */
bool manual_find_values(const struct session_global *globals, const char *type, size_t len,
                        struct manual_values *v);
bool manual_find(const struct session_global *globals, const char *topic, size_t topic_len, const char *name,
                 size_t name_len, struct manual_entry *e);
bool manual_is_method(const struct manual_entry *e); /* called with a colon */
/* What `written` ("df.show", "F.sum", "show") is, whose value is at index. container: index of the value it was found in, 0:
 * none. The value itself decides; a name only where several have the same function. */
bool manual_of_value(lua_State *L, int index, int container, const char *written, struct manual_entry *e);
/* Sets the methods of these rows in the table on top. They raise a type error unless they are called on an object whose __name
 * is `class`: F.col("n").isin({1}) would else take {1} for the column. More arguments than the signature has are an error, too,
 * as in Python: df:filter(a, b) would else forget b. The rows are borrowed for ever. class NULL: they are functions. */
void manual_set_methods(lua_State *L, const struct manual_row *rows, const char *class);

/* ---- signatures ---- */
enum { MANUAL_PARAMS = 64 };
struct manual_param {
    struct manual_text name, type, fallback; /* type and default as written; len 0: none */
    bool optional, rest;                     /* rest: … */
};
struct manual_call {
    struct manual_param params[MANUAL_PARAMS];
    int n;
    bool named; /* a table with names may stand for the arguments */
    struct manual_text returns;
};
/* The first form of a signature; false: it is no call. */
bool manual_parse(struct manual_text signature, struct manual_call *call);
/* The same of a row, with the parameters of its second signature. */
bool manual_call_of(const struct manual_entry *e, struct manual_call *call);
/* The fields of a type "{a?: integer, b: string}", or of "Other|{…}"; false when it is another type. */
bool manual_fields(struct manual_text type, struct manual_call *fields);
/* The type of a parameter in LuaLS's notation. */
void manual_param_type(const struct manual_param *p, struct buf *out);
/* "DataFrame:agg(aggregate, …) -> DataFrame": the signature with what stands before the name. */
void manual_signature(const struct manual_entry *e, struct buf *out);

/* ---- what is made of the table ---- */
void manual_stubs(const struct session_global *globals, const struct session_magic *magics, struct buf *out);
void manual_markdown(const struct session_global *globals, const struct session_magic *magics,
                     struct buf *out);
/* `lacus help NAME`: "filter", "DataFrame:filter", "F.sum", "json", "%time"; false: unknown, and out has the nearest names. */
bool manual_help(const struct session_global *globals, const struct session_magic *magics, const char *name,
                 struct buf *out);
#endif
