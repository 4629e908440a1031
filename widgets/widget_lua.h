/* widget_lua.h: widgets as Lua values: the parts of the class in this folder.
 *
 * What      a widget is a userdata with a struct model; its user value is a table of what belongs to it in
 *           Lua: observers, click, submit, messages (lists of functions), options (values of choices), children,
 *           layout, style, holding (notifications that wait), extra (what Lua added to this one).
 * Ownership the userdata owns its model; the registry holds every widget that a front end has, since a
 *           message may come for it.
 * Errors    raised.
 * Threads   session thread.
 *
 * Example:
 *     struct model *m = widget_check(L, 1);
 */
#ifndef LACUS_WIDGETS_WIDGET_LUA_H
#define LACUS_WIDGETS_WIDGET_LUA_H
#include "runtime/session/manual.h"
#include "runtime/session/session_lua.h"
#include "widgets/model.h"

/* The openers of the globals `widgets` and `dbutils`. */
extern const struct manual_topic *const widgets_topics[], *const dbutils_topics[]; /* of the globals */
int widgets_open(lua_State *L);
int dbutils_open(lua_State *L);

/* widget_lua.c */
struct model *widget_check(lua_State *L, int index);
struct model *widget_test(lua_State *L, int index); /* NULL: no widget */
struct model *widget_push(lua_State *L, const struct widget_row *row);
void widget_own(lua_State *L, int index, const char *name);     /* pushes a member of the user value */
void widget_set_own(lua_State *L, int index, const char *name); /* takes the top */
/* Pushes a value of a key as Lua has it: dates as text, positions from 1. */
void widget_push_field(lua_State *L, const struct model *m, const char *key, json_t *value);
/* Sets a key from a JSON value (taken), tells the front end and the observers. Raises. */
void widget_assign(lua_State *L, int index, const char *key, json_t *value);

/* manual_lua.c: (widget, prefix, key) → the texts that the key may be, in a list: for completion */
int widget_values(lua_State *L);

/* front_lua.c: the side of the front end */
bool front_rich(lua_State *L);
void front_open(lua_State *L, int index); /* and what belongs to it; nothing where there are no widgets */
void front_close(lua_State *L, int index);
void front_send(lua_State *L, const struct model *m, const char *method, json_t *state); /* takes state */
/* Sends the value that a key has now, at once or when the widget is no longer held. */
void front_changed(lua_State *L, struct model *m, const char *key);
void front_late(lua_State *L, struct model *m); /* what has waited */
void front_register(lua_State *L);
bool front_held(lua_State *L, const char *id); /* pushes the widget, or nil */
void front_all(lua_State *L);                  /* pushes {id = widget} of what the front end has */
/* The widget at index is the front end's already, under this id: from now on its messages come here. What of its state
 * is other than in `state`, and what belongs to it, is sent. */
void front_adopted(lua_State *L, int index, json_t *state);
/* Calls the handlers of an event: click, submit. */
void front_event(lua_State *L, int index, const char *event);
/* Calls observers of key; the value before is at old, the new one at new. */
void front_notify(lua_State *L, int index, const char *key, int old, int new);

/* adopt_lua.c: a widget that the front end has opened: pushes it, as its state (borrowed) says. Raises. */
void widget_adopt(lua_State *L, const char *id, json_t *data, const struct comm_buffers *buffers);

/* choice_lua.c: options, value, label and index of choices. False: not such a key. */
bool choice_get(lua_State *L, int index, const char *key);
bool choice_set(lua_State *L, int index, const char *key, int value);
/* The front end chose: a JSON index. False: out of range. */
bool choice_chosen(lua_State *L, int index, const json_t *chosen);

/* native_lua.c: pushes a table of functions */
void widgets_native(lua_State *L);

/* output_lua.c: methods of Output */
extern const luaL_Reg output_methods[];
#endif
