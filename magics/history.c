/* %history: what this session has run. */
#include "magics/line.h"
#include "magics/magics.h"
#include <stdlib.h>
#include <string.h>

struct wish {
    bool numbers;
    const char *pattern;
    long last;
};

static struct wish parse(lua_State *L, const struct line_words *w)
{
    struct wish wish = {.last = 0};

    for (size_t i = 0; i < w->n; i++) {
        const char *word = w->words[i];
        if (strcmp(word, "-n") == 0)
            wish.numbers = true;
        else if (strcmp(word, "-g") == 0 && i + 1 < w->n)
            wish.pattern = w->words[++i];
        else if (strcmp(word, "-l") == 0 && i + 1 < w->n && (wish.last = atol(w->words[i + 1])) > 0)
            i++;
        else
            line_error(L, "history", "cannot read the argument", word);
    }
    return wish;
}

static json_t *request_for(const struct wish *wish)
{
    if (wish->pattern) {
        const char *p = wish->pattern;
        bool glob = strpbrk(p, "*?") != NULL;
        return json_pack("{s:s, s:o, s:i, s:b, s:b}", "hist_access_type", "search", "pattern",
                         glob ? json_string(p) : json_sprintf("*%s*", p), "n",
                         (int)(wish->last ? wish->last : 1000), "raw", 1, "output", 0);
    }
    if (wish->last)
        return json_pack("{s:s, s:i, s:b, s:b}", "hist_access_type", "tail", "n", (int)wish->last, "raw", 1,
                         "output", 0);
    return json_pack("{s:s, s:i, s:i, s:i, s:b, s:b}", "hist_access_type", "range", "session", 0, "start", 1,
                     "stop", 1 << 30, "raw", 1, "output", 0);
}

static void print(lua_State *L, json_t *reply, bool numbers)
{
    json_t *row;
    size_t i;

    json_array_foreach (json_object_get(reply, "history"), i, row) {
        const char *text = json_string_value(json_array_get(row, 2));
        if (text && numbers)
            line_print(L, "%4d: %s\n", (int)json_integer_value(json_array_get(row, 1)), text);
        else if (text)
            line_print(L, "%s\n", text);
    }
}

int magic_history(lua_State *L, const char *line, const char *body)
{
    struct wish wish = parse(L, line_words(L, line));
    json_t *request = request_for(&wish), *reply = session_history(session_of(L), request);

    (void)body;
    print(L, reply, wish.numbers);
    json_decref(request);
    json_decref(reply);
    return 0;
}
