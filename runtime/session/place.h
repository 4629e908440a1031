/* place.h: where a cursor stands in a text: in which name, string, call and argument; and what the
 * expression before it is.
 *
 * What      place_find reads the text once, up to the cursor. place_resolve tells what a chain like
 *           a.b:c(…).d stands for: a value of the session as long as nothing has to be run, and from the
 *           first call on the class that the manual says the call returns. A name that the text itself
 *           assigns is followed to what is assigned. Nothing of the user's is called.
 * Ownership points into the text.
 * Units     bytes.
 * Errors    what is not understood is unknown. place_resolve may raise what opening a lazy global raises.
 * Threads   session thread.
 *
 * Example:
 *     struct place p;
 *     struct resolved r;
 *     place_find("df:filter('a > 1'):sel", 22, &p);
 *     if (p.kind == PLACE_NAME && place_resolve(L, &p, &p.chain, p.chain.n - 1, &r))
 *         puts(r.is_value ? "a value" : "a class");
 */
#ifndef LACUS_SESSION_PLACE_H
#define LACUS_SESSION_PLACE_H
#include "runtime/session/manual.h"
#include <stdbool.h>
#include <stddef.h>

enum { PLACE_PARTS = 16, PLACE_FRAMES = 24, PLACE_ASSIGNED = 32 };

struct place_chain {
    struct place_part {
        const char *name;
        size_t len;
        char separator; /* '.', ':', '[' of ["name"], or 0 before the first */
        bool called;    /* (…), {…} or "…" follows */
    } parts[PLACE_PARTS];
    int n;
    bool literal; /* it begins with a string literal: parts[0] is empty */
    bool unknown; /* an index, a bracket, too long */
};

struct place_frame {           /* an open bracket or block */
    struct place_chain callee; /* what is called or indexed; n 0: nothing */
    char bracket;              /* ( [ { or b: a block, or s: a string that is the argument */
    int argument;              /* from 0 */
    const char *key;           /* of {key = …; NULL: none */
    size_t key_len;
    int tokens;        /* since the bracket, comma or ; */
    bool keyed;        /* brackets {: a name was followed by = in this entry */
    const char *first; /* the first argument when it is one quoted text; NULL: none */
    size_t first_len;
};

struct place {
    enum { PLACE_NONE, PLACE_NAME, PLACE_STRING } kind;
    struct place_chain chain;  /* PLACE_NAME: its last part is what is being written, maybe empty */
    const char *string;        /* PLACE_STRING: after the quote */
    struct place_chain target; /* PLACE_STRING: what it is assigned to, a.b = "|; n 0: nothing */
    struct place_frame frames[PLACE_FRAMES]; /* the innermost last */
    int n_frames;
    struct {
        const char *name, *value, *end;
        size_t len;
    } assigned[PLACE_ASSIGNED]; /* name = value…, the latest last */
    int n_assigned;
};

void place_find(const char *text, size_t len, struct place *p);

struct resolved {
    bool is_value;            /* the value is on the top of the stack; else a class */
    struct manual_text class; /* of what a call would give, or of the value; len 0: unknown */
    bool called;              /* the class is what a call gives: no value is known */
};
/* The first n parts. Pushes exactly one value (nil for a class); false: unknown, nothing is pushed. */
bool place_resolve(lua_State *L, const struct place *p, const struct place_chain *c, int n,
                   struct resolved *r);
/* The row of what the first n parts name, for a call of it; pushes what it was found in (nil: nothing is known of that). */
bool place_entry(lua_State *L, const struct place *p, const struct place_chain *c, int n,
                 struct manual_entry *e);
#endif
