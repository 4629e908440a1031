#include "runtime/serving/tools.h"
#include "runtime/base/mem.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define CALL     "<tool_call>"
#define CALL_END "</tool_call>"
#define CALLS    "[TOOL_CALLS]"
#define CALL_ID  "[CALL_ID]"
#define ARGS     "[ARGS]"
#define PYTHON   "<|python_tag|>"

enum tool_format tool_format_of(const char *text)
{
    if (!strstr(text, "tools"))
        return TOOLS_NONE;
    if (strstr(text, "<function=")) /* arguments as tags: Qwen3-Coder */
        return TOOLS_UNKNOWN;
    if (strstr(text, CALL))
        return TOOLS_TAGGED;
    if (strstr(text, CALLS))
        return TOOLS_LIST;
    return strstr(text, "python_tag") || strstr(text, "ipython") ? TOOLS_OBJECT : TOOLS_UNKNOWN;
}

const char *const *tool_marks(enum tool_format format)
{
    static const char *const list[] = {CALLS, CALL_ID, ARGS, NULL}, *const tagged[] = {CALL, CALL_END, NULL},
                             *const none[] = {NULL};

    return format == TOOLS_LIST ? list : format == TOOLS_TAGGED ? tagged : none;
}

void tool_reader_release(struct tool_reader *r)
{
    buf_release(&r->text);
}

/* ---- a text and a place in it ---- */
struct span {
    const char *at, *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip(struct span *s, const char *also)
{
    while (s->at < s->end && (is_space(*s->at) || (*s->at && strchr(also, *s->at))))
        s->at++;
}

static bool starts(const struct span *s, const char *word)
{
    return (size_t)(s->end - s->at) >= strlen(word) && memcmp(s->at, word, strlen(word)) == 0;
}

static bool take(struct span *s, const char *word)
{
    bool there = starts(s, word);

    s->at += there ? strlen(word) : 0;
    return there;
}

static const char *find(const char *at, const char *end, const char *word)
{
    return memmem(at, (size_t)(end - at), word, strlen(word));
}

/* Bytes at the end that word may begin with, and the spaces before them: not given before more is known. */
static size_t held(const char *at, const char *end, const char *word)
{
    const char *from = end;

    for (size_t n = strlen(word) - 1; n > 0; n--)
        if ((size_t)(end - at) >= n && memcmp(end - n, word, n) == 0) {
            from = end - n;
            break;
        }
    while (from > at && is_space(from[-1]))
        from--;
    return (size_t)(end - from);
}

/* ---- one call: {"name": …, "arguments": {…}} ---- */
static const char *string_end(const char *p)
{
    for (p++; *p != '"'; p++)
        p += *p == '\\';
    return p + 1;
}

/* Of valid JSON. */
static const char *value_end(const char *p)
{
    int depth = 0;

    do {
        if (*p == '"') {
            p = string_end(p);
            continue;
        }
        if (*p == '{' || *p == '[')
            depth++;
        else if (*p == '}' || *p == ']')
            depth--;
        p++;
    } while (depth > 0 || (*p != ',' && *p != '}' && *p != ']' && !is_space(*p)));
    return p;
}

/* The member's value as the model wrote it: numbers keep their digits. The object is valid JSON. */
static bool member(struct span object, const char *key, struct span *out)
{
    struct span s = {object.at + 1, object.end};
    size_t n = strlen(key);
    bool found = false;

    for (skip(&s, ","); s.at < s.end && *s.at == '"'; skip(&s, ",")) {
        const char *name = s.at + 1;
        bool same;

        s.at = string_end(s.at);
        same = (size_t)(s.at - name) == n + 1 && memcmp(name, key, n) == 0;
        skip(&s, ":");
        name = s.at;
        s.at = value_end(s.at);
        if (same) {
            *out = (struct span){name, s.at};
            found = true; /* the last one counts */
        }
    }
    return found;
}

/* A JSON object at the beginning of s, which is moved behind it. NULL: there is none (yet). */
static json_t *take_object(struct span *s, struct span *text)
{
    json_error_t error;
    json_t *json;

    skip(s, "");
    if (s->at == s->end || *s->at != '{')
        return NULL;
    json =
        json_loadb(s->at, (size_t)(s->end - s->at), JSON_DISABLE_EOF_CHECK | JSON_DECODE_INT_AS_REAL, &error);
    if (!json)
        return NULL;
    *text = (struct span){s->at, s->at + error.position};
    s->at = text->end;
    return json;
}

static bool set_call(struct tool_piece *out, const char *name, struct span arguments)
{
    if (!name || !*name || (out->name = mem_strdup(name)) == NULL)
        return false;
    out->text = arguments.at;
    out->len = (size_t)(arguments.end - arguments.at);
    return true;
}

/* needs: an object without arguments is no call. */
static bool take_call(struct span *s, bool needs, struct tool_piece *out)
{
    static const char *const keys[] = {"arguments", "parameters"};
    static const char empty[] = "{}";
    struct span text, arguments = {empty, empty + 2}, at = *s;
    json_t *json = take_object(&at, &text);
    bool there = false, ok;

    for (size_t i = 0; json && i < 2 && !there; i++)
        there = member(text, keys[i], &arguments);
    ok = json && (there || !needs) && *arguments.at == '{' &&
         set_call(out, json_string_value(json_object_get(json, "name")), arguments);
    json_decref(json);
    if (ok)
        *s = at;
    return ok;
}

/* ---- pieces ---- */
static bool give_text(struct tool_reader *r, const char *from, const char *to, struct tool_piece *out)
{
    const char *begin = buf_str(&r->text);

    while (r->calls > 0 && !r->said && from < to && is_space(*from)) /* what stands between calls is layout */
        from++;
    r->at = (size_t)(to - begin);
    if (from == to)
        return false;
    *out = (struct tool_piece){.text = from, .len = (size_t)(to - from)};
    return true;
}

/* All that is left, as it is; behind a call without the spaces at its end. */
static bool give_rest(struct tool_reader *r, struct tool_piece *out)
{
    const char *begin = buf_str(&r->text), *to = begin + r->text.len;
    bool given;

    while (r->calls > 0 && to > begin + r->at && is_space(to[-1]))
        to--;
    given = give_text(r, begin + r->at, to, out);
    r->at = r->text.len;
    return given;
}

static struct span rest(const struct tool_reader *r)
{
    const char *begin = buf_str(&r->text);

    return (struct span){begin + r->at, begin + r->text.len};
}

static bool give_call(struct tool_reader *r, const struct span *behind)
{
    r->at = (size_t)(behind->at - buf_str(&r->text));
    r->looked = r->at;
    r->calls++;
    return true;
}

/* Text up to where word stands or may begin; *at: it stands there. */
static bool text_before(struct tool_reader *r, const char *word, bool last, const char **at,
                        struct tool_piece *out)
{
    struct span s = rest(r);
    const char *to;

    *at = find(s.at, s.end, word);
    if (!*at && last)
        return give_rest(r, out);
    to = *at ? *at : s.end - held(s.at, s.end, word);
    while (*at && to > s.at && is_space(to[-1]))
        to--;
    return give_text(r, s.at, to, out);
}

static bool next_tagged(struct tool_reader *r, bool last, struct tool_piece *out)
{
    const char *at, *body, *end;
    struct span s;

    if (text_before(r, CALL, last, &at, out))
        return true;
    if (!at)
        return false;
    s = rest(r);
    end = s.end;
    body = at + strlen(CALL);
    if (r->looked < (size_t)(body - buf_str(&r->text)))
        r->looked = (size_t)(body - buf_str(&r->text));
    if (!last && !find(buf_str(&r->text) + r->looked, end, CALL_END)) {
        size_t tail = strlen(CALL_END) - 1, from = (size_t)(body - buf_str(&r->text));
        r->looked = r->text.len > from + tail ? r->text.len - tail : from;
        return false;
    }
    s.at = body;
    if (take_call(&s, false, out)) {
        skip(&s, "");
        (void)take(&s, CALL_END);
        return give_call(r, &s);
    }
    if (!last) { /* the tag was part of a text in it */
        r->looked = r->text.len;
        return false;
    }
    at = find(body, end, CALL);
    return give_text(r, buf_str(&r->text) + r->at, at ? at : end, out);
}

/* name[ARGS]{…}, with an id between them or without [ARGS] */
static bool take_named(struct span *s, struct tool_piece *out)
{
    struct span at = *s, text;
    const char *from;
    char *name;
    json_t *json;
    bool ok;

    skip(&at, "");
    from = at.at;
    while (at.at < at.end && !is_space(*at.at) && *at.at != '[' && *at.at != '{')
        at.at++;
    name = mem_strndup(from, (size_t)(at.at - from));
    if (take(&at, CALL_ID))
        while (at.at < at.end && *at.at != '[' && *at.at != '{')
            at.at++;
    (void)take(&at, ARGS);
    json = take_object(&at, &text);
    ok = json && set_call(out, name, text);
    json_decref(json);
    mem_free(name);
    if (ok)
        *s = at;
    return ok;
}

static bool next_list(struct tool_reader *r, bool last, struct tool_piece *out)
{
    const char *at;
    struct span s;
    bool again;

    if (!r->begun) {
        if (text_before(r, CALLS, last, &at, out))
            return true;
        if (!at || !last)
            return false;
        r->begun = true;
        r->at = (size_t)(at - buf_str(&r->text));
    }
    s = rest(r);
    skip(&s, "],;");
    if (r->calls > 0)
        r->at = (size_t)(s.at - buf_str(&r->text));
    again = take(&s, CALLS);
    skip(&s, "[,");
    if (s.at < s.end && (take_call(&s, false, out) || (again && take_named(&s, out))))
        return give_call(r, &s);
    r->plain = true;
    return give_rest(r, out);
}

/* Whether the whole answer is calls and nothing else. */
static bool all_calls(struct span s)
{
    struct tool_piece piece = {0};
    size_t n = 0;

    skip(&s, "");
    (void)take(&s, PYTHON);
    for (skip(&s, ""); s.at < s.end; skip(&s, ";,"), n++) {
        bool ok = take_call(&s, true, &piece);

        mem_free(piece.name);
        piece.name = NULL;
        if (!ok)
            return false;
    }
    return n > 0;
}

static bool next_object(struct tool_reader *r, bool last, struct tool_piece *out)
{
    struct span s = rest(r);
    bool ok;

    if (!r->begun) {
        size_t known;

        skip(&s, "");
        known = (size_t)(s.end - s.at);
        known = known < strlen(PYTHON) ? known : strlen(PYTHON);
        if (!last && (known == 0 || *s.at == '{' || memcmp(s.at, PYTHON, known) == 0))
            return false;
        r->plain = !last || !all_calls(rest(r));
        if (r->plain)
            return give_rest(r, out);
        r->begun = true;
        (void)take(&s, PYTHON);
    }
    skip(&s, ";,");
    ok = s.at < s.end && take_call(&s, true, out);
    return ok && give_call(r, &s);
}

static bool next_text(struct tool_reader *r, bool last, struct tool_piece *out)
{
    (void)last;
    return give_rest(r, out);
}

bool tool_reader_next(struct tool_reader *r, bool last, struct tool_piece *out)
{
    static bool (*const next[])(struct tool_reader *, bool, struct tool_piece *) = {
        [TOOLS_NONE] = next_text, [TOOLS_UNKNOWN] = next_text,  [TOOLS_TAGGED] = next_tagged,
        [TOOLS_LIST] = next_list, [TOOLS_OBJECT] = next_object,
    };

    for (;;) {
        *out = (struct tool_piece){0};
        if (!(r->plain ? next_text : next[r->format])(r, last, out))
            return false;
        r->said = !out->name;
        if (!out->name || !r->one || r->calls == 1)
            return true;
        mem_free(out->name);
    }
}
