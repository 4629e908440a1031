#include "repl/editor/menu.h"
#include "runtime/base/mem.h"
#include "runtime/base/utf8.h"
#include <string.h>

enum { WIDEST_MATCH = 40, SIGNATURE_MAX = 400 };

bool menu_open(struct menu *m, const json_t *reply, const char *text, size_t len)
{
    json_t *matches = json_object_get(reply, "matches");
    size_t from = (size_t)json_integer_value(json_object_get(reply, "cursor_start"));
    size_t to = (size_t)json_integer_value(json_object_get(reply, "cursor_end"));

    menu_close(m);
    if (json_array_size(matches) == 0)
        return false;
    m->matches = json_incref(matches);
    m->types =
        json_incref(json_object_get(json_object_get(reply, "metadata"), "_jupyter_types_experimental"));
    m->from = utf8_offset(text, len, from);
    m->to = utf8_offset(text, len, to);
    return true;
}

void menu_close(struct menu *m)
{
    json_decref(m->matches);
    json_decref(m->types);
    mem_free(m->hint);
    *m = (struct menu){.chosen = -1};
}

void menu_hint(struct menu *m, const char *text)
{
    mem_free(m->hint);
    m->hint = text && *text ? mem_strdup(text) : NULL;
}

size_t menu_count(const struct menu *m)
{
    return json_array_size(m->matches);
}

const char *menu_text(const struct menu *m, size_t index)
{
    const char *text = json_string_value(json_array_get(m->matches, index));

    return text ? text : "";
}

size_t menu_common(const struct menu *m)
{
    const char *first = menu_text(m, 0);
    size_t common = strlen(first), n = menu_count(m);

    for (size_t i = 1; i < n; i++) {
        const char *other = menu_text(m, i);
        size_t same = 0;
        while (same < common && other[same] == first[same])
            same++;
        common = same;
    }
    while (common > 0 && ((unsigned char)first[common] & 0xc0) == 0x80)
        common--; /* not within a character */
    return common;
}

void menu_choose(struct menu *m, int step)
{
    int n = (int)menu_count(m);

    if (n == 0)
        return;
    m->chosen = m->chosen < 0 ? (step > 0 ? 0 : n - 1) : (m->chosen + step + n) % n;
    if ((size_t)m->chosen < m->top)
        m->top = (size_t)m->chosen;
    if ((size_t)m->chosen >= m->top + MENU_ROWS)
        m->top = (size_t)m->chosen - MENU_ROWS + 1;
}

/* ---- signatures ---- */
static const char *without_colours(const char *text, struct buf *out)
{
    for (; *text; text++)
        if (*text == '\x1b' && text[1] == '[')
            text += strcspn(text, "mK");
        else
            buf_putc(out, *text);
    return buf_str(out);
}

void menu_signature(const json_t *reply, bool whole, struct buf *out)
{
    const char *text = json_string_value(json_object_get(json_object_get(reply, "data"), "text/plain"));
    struct buf plain = BUF_INIT(1 << 20);
    const char *line, *doc;

    if (!text)
        return;
    text = without_colours(text, &plain);
    line = strstr(text, "Signature:");
    if (line) {
        line += strlen("Signature:");
        line += strspn(line, " ");
        buf_add(out, line, strcspn(line, "\n"));
    }
    doc = whole ? strstr(text, "Docstring:") : NULL;
    if (doc) {
        doc += strlen("Docstring:");
        doc += strspn(doc, " \n");
        buf_printf(out, "%s%.*s", out->len ? "\n" : "", (int)strcspn(doc, "\n"), doc);
    } else if (!line && whole) {
        buf_add(out, text, strcspn(text, "\n"));
    }
    buf_release(&plain);
}

static const char *type_of(const struct menu *m, size_t index)
{
    const char *type = json_string_value(json_object_get(json_array_get(m->types, index), "type"));

    return type ? type : "";
}

static bool callable(const char *type)
{
    return strcmp(type, "function") == 0 || strcmp(type, "method") == 0 || strcmp(type, "magic") == 0;
}

static void put_signature(const struct menu *m, size_t index, const struct backend *b, const char *text,
                          struct buf *out)
{
    const char *known = json_string_value(json_object_get(json_array_get(m->types, index), "signature"));
    struct buf code = BUF_INIT(BUF_TEXT_MAX);
    json_t *reply;

    if (known && *known) {
        buf_puts(out, known);
        return;
    }
    if (!callable(type_of(m, index)))
        return;
    buf_add(&code, text, m->from);
    buf_puts(&code, menu_text(m, index));
    reply = b->ops->inspect(b->self, buf_str(&code), code.len, utf8_count(buf_str(&code), code.len));
    menu_signature(reply, false, out);
    json_decref(reply);
    buf_release(&code);
}

/* ---- rows ---- */
static size_t widest(const struct menu *m, size_t end)
{
    size_t wide = 0;

    for (size_t i = m->top; i < end; i++) {
        size_t w = utf8_columns(menu_text(m, i), strlen(menu_text(m, i)));
        wide = w > wide ? w : wide;
    }
    return wide < WIDEST_MATCH ? wide : WIDEST_MATCH;
}

/* As much of a line as there is room for. */
static void put_line(struct screen *s, const char *text, const char *sgr)
{
    size_t len = strcspn(text, "\n"), room = (size_t)(s->columns - screen_column(s) - 1);

    while (len > 0 && utf8_columns(text, len) > room)
        len = utf8_offset(text, len, utf8_count(text, len) - 1);
    screen_put(s, text, len, sgr);
}

static void draw_row(const struct menu *m, struct screen *s, size_t index, size_t width,
                     const struct backend *b, const char *text)
{
    bool chosen = m->chosen == (int)index;
    const char *match = menu_text(m, index), *sgr = chosen ? "7" : "";
    struct buf line = BUF_INIT(SIGNATURE_MAX);
    size_t w = utf8_columns(match, strlen(match));

    screen_newline(s);
    screen_put(s, chosen ? "> " : "  ", 2, chosen ? "1" : "");
    put_line(s, match, sgr);
    for (; w < width; w++)
        screen_put(s, " ", 1, sgr);
    buf_printf(&line, "  %-9s ", type_of(m, index));
    put_line(s, buf_str(&line), "90");
    buf_clear(&line);
    put_signature(m, index, b, text, &line);
    put_line(s, buf_str(&line), "36");
    buf_release(&line);
}

static void draw_hint(const struct menu *m, struct screen *s)
{
    for (const char *line = m->hint; line && *line; line += line[0] == '\n') {
        screen_newline(s);
        put_line(s, line, line == m->hint ? "36" : "90");
        line += strcspn(line, "\n");
    }
}

void menu_draw(struct menu *m, struct screen *s, const struct backend *b, const char *text)
{
    size_t n = menu_count(m), room = s->height > 6 ? (size_t)s->height - 5 : 1;
    size_t rows = room < MENU_ROWS ? room : MENU_ROWS, end = m->top + rows < n ? m->top + rows : n;
    size_t width = widest(m, end);
    struct buf more = BUF_INIT(100);

    for (size_t i = m->top; i < end; i++)
        draw_row(m, s, i, width, b, text);
    if (n > rows) {
        screen_newline(s);
        buf_printf(&more, "  %zu-%zu of %zu", m->top + 1, end, n);
        put_line(s, buf_str(&more), "90");
    }
    buf_release(&more);
    draw_hint(m, s);
}
