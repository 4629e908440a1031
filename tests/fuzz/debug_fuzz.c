/* debug_fuzz.c: requests of the Debug Adapter Protocol, one per line, may say anything: those for the control thread through
 * the adapter, those that look into the session while a cell has stopped. Each gets an answer that is JSON. What evaluates
 * text is left out: it may say anything too, and does. */
#include "kernel/debug_adapter.h"
#include "runtime/session/debug.h"
#include "runtime/session/lines.h"
#include "tests/fuzz/replay.h"
#include <string.h>

struct requests {
    const char *text, *end;
    struct debug *d;
};

static bool evaluates(const char *command)
{
    static const char *const names[] = {"evaluate",      "setVariable",          "setExpression",
                                        "copyToGlobals", "richInspectVariables", "completions"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], command) == 0)
            return true;
    return false;
}

static void look(struct requests *r, json_t *request)
{
    const char *command = json_string_value(json_object_get(request, "command"));
    struct err err;
    json_t *body;

    if (!command || evaluates(command) || !debug_knows(command))
        return;
    body = debug_do(r->d, command, json_object_get(request, "arguments"), &err);
    if (!body && (err.code == LC_OK || !*err.message))
        abort();
    json_decref(body);
}

static json_t *next_request(struct requests *r)
{
    const char *end = memchr(r->text, '\n', (size_t)(r->end - r->text));
    json_t *request;

    if (!end)
        end = r->end;
    request = json_loadb(r->text, (size_t)(end - r->text), 0, NULL);
    r->text = end < r->end ? end + 1 : end;
    return request;
}

static int stopped(void *self, struct session *s)
{
    struct requests *r = self;

    (void)s;
    while (r->text < r->end) {
        json_t *request = next_request(r);
        look(r, request);
        json_decref(request);
    }
    return DEBUG_CONTINUE;
}

static void in_a_session(const char *text, size_t size)
{
    static const char cell[] =
        "local deep = {a = {1, 2, {x = 'y'}}, [1.5] = true} deep.self = deep\n"
        "coroutine.wrap(function(...) local n, f = 1, function() return deep end\nn = n + 1 end)(1, nil, 3)";
    struct debug_front front = {.prefix = "cell:", .suffix = ""};
    struct session_options options = {0};
    struct cell_request request = {.code = cell, .len = sizeof cell - 1, .store_history = true};
    struct requests r = {.text = text, .end = text + size};
    struct cell_reply reply;
    struct session *s;
    char path[64];
    json_t *list = json_pack("[{s:i}]", "line", 3);

    if (session_open(&options, &s, NULL) != LC_OK || debug_new(&front, &r.d, NULL) != LC_OK)
        abort();
    debug_bind(r.d, s);
    debug_attach(r.d, true);
    debug_set_console(r.d, stopped, &r);
    debug_cell_path(r.d, cell, sizeof cell - 1, path, sizeof path);
    json_decref(debug_set_breakpoints(r.d, path, cell, list, NULL));
    if (session_execute(s, &request, &reply, NULL) != LC_OK || reply.status != CELL_OK ||
        (size > 0 && r.text != r.end))
        abort(); /* it must have stopped, and gone on */
    cell_reply_release(&reply);
    debug_unbind(r.d);
    debug_free(r.d);
    session_close(s);
    json_decref(list);
}

static void through_the_adapter(const char *text, size_t size)
{
    struct requests r = {.text = text, .end = text + size};
    struct kernel k = {0};
    struct debug_adapter *a;
    struct buf out = BUF_INIT(1 << 24);

    if (debug_adapter_open(&k, &a, NULL) != LC_OK)
        abort();
    while (r.text < r.end) {
        json_t *request = next_request(&r), *answer;
        if (!json_is_object(request)) {
            json_decref(request);
            continue;
        }
        buf_clear(&out);
        debug_adapter_try(a, request, &out);
        answer = json_loadb(buf_str(&out), out.len, 0, NULL);
        if (!answer || !json_is_boolean(json_object_get(answer, "success")))
            abort();
        json_decref(answer);
        json_decref(request);
    }
    buf_release(&out);
    debug_adapter_close(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lines lines;

    if (size > 1 << 16)
        return 0;
    through_the_adapter((const char *)data, size);
    in_a_session((const char *)data, size);
    if (lines_of((const char *)data, size, &lines, NULL) == LC_OK)
        lines_release(&lines);
    return 0;
}
