/* add.stats: what data skipping reads. A bound that is not certain is left out: a missing one costs time, a
 * wrong one costs rows. */
#include "runtime/base/utf8.h"
#include "runtime/dataframe/engines/engine.h"
#include "runtime/delta/delta_int.h"
#include <ctype.h>
#include <string.h>

enum { INDEXED_COLUMNS = 32, TEXT_PREFIX = 32 };

struct stats_writer {
    const struct written_file *file;
    struct buf *out;
    bool (*value)(struct stats_writer *w, const struct dtype *type, const struct column_stats *c);
    int leaves;
};

static const struct column_stats *stats_of(const struct written_file *f, const char *name)
{
    for (size_t i = 0; i < f->n_columns; i++)
        if (strcmp(f->columns[i].name, name) == 0)
            return &f->columns[i];
    return NULL;
}

static bool number(struct buf *out, const char *s)
{
    const char *p = s + (*s == '-');

    if (!isdigit((unsigned char)*p)) /* nan, inf */
        return false;
    if (p[0] == '0' && isdigit((unsigned char)p[1]))
        return false;
    for (const char *q = p; *q; q++)
        if (!isdigit((unsigned char)*q) && !strchr(".eE+-", *q))
            return false;
    if (p[strlen(p) - 1] == '.')
        return false;
    return buf_puts(out, s);
}

/* "2024-01-02 03:04:05.5+00" → "2024-01-02T03:04:05.5Z"; only UTC is understood. */
static bool timestamp(struct buf *out, const char *s, bool zoned)
{
    size_t n = strlen(s), used;

    if (n < 19 || s[4] != '-' || (s[10] != ' ' && s[10] != 'T'))
        return false;
    used = 11 + strcspn(s + 11, "+-Z");
    if (zoned && s[used] != '\0' && strcmp(s + used, "Z") != 0 && strncmp(s + used, "+00", 3) != 0)
        return false;
    return buf_printf(out, "\"%.10sT%.*s%s\"", s, (int)(used - 11), s + 11, zoned ? "Z" : "");
}

static bool prefix(struct buf *out, const char *s, bool upper)
{
    size_t n = strlen(s), cut = utf8_offset(s, n, TEXT_PREFIX);
    struct buf text = BUF_INIT(4 * TEXT_PREFIX + 8);
    bool ok;

    if (!utf8_valid(s, n))
        return false;
    buf_add(&text, s, cut);
    if (cut < n && upper)
        buf_puts(&text, "\xF4\x8F\xBF\xBF"); /* U+10FFFF: greater than whatever was cut off */
    ok = buf_ok(&text) && buf_json(out, buf_str(&text), text.len);
    buf_release(&text);
    return ok;
}

static bool bound(struct buf *out, const struct dtype *t, const char *s, bool upper)
{
    switch (t->id) {
    case DTYPE_BYTE:
    case DTYPE_SHORT:
    case DTYPE_INT:
    case DTYPE_LONG:
    case DTYPE_DECIMAL:
    case DTYPE_FLOAT:
    case DTYPE_DOUBLE:
        return number(out, s);
    case DTYPE_STRING:
        return prefix(out, s, upper);
    case DTYPE_DATE:
        return strlen(s) == 10 && buf_json(out, s, 10);
    case DTYPE_TIMESTAMP:
        return timestamp(out, s, true);
    case DTYPE_TIMESTAMP_NTZ:
        return timestamp(out, s, false);
    default:
        return false; /* booleans, binaries and what is nested have no bounds */
    }
}

static bool put_min(struct stats_writer *w, const struct dtype *type, const struct column_stats *c)
{
    return c->min && c->max && bound(w->out, type, c->min, false);
}

static bool put_max(struct stats_writer *w, const struct dtype *type, const struct column_stats *c)
{
    return c->min && c->max && bound(w->out, type, c->max, true);
}

static bool put_nulls(struct stats_writer *w, const struct dtype *type, const struct column_stats *c)
{
    (void)type;
    return c->null_count >= 0 && buf_printf(w->out, "%lld", (long long)c->null_count);
}

static void put_struct(struct stats_writer *w, const struct dtype *schema, const char *above);

static void put_field(struct stats_writer *w, const struct dfield *f, const char *above, bool *first)
{
    char name[1024];
    const struct column_stats *c;
    size_t start = w->out->len;

    if (snprintf(name, sizeof name, "%s%s", above, f->name) >= (int)sizeof name - 1)
        return;
    if (!*first)
        buf_putc(w->out, ',');
    buf_json(w->out, f->name, strlen(f->name));
    buf_putc(w->out, ':');
    if (f->type->id == DTYPE_STRUCT) {
        snprintf(name, sizeof name, "%s%s.", above, f->name); /* with room for it: see above */
        put_struct(w, f->type, name);
        *first = false;
    } else {
        c = w->leaves++ < INDEXED_COLUMNS ? stats_of(w->file, name) : NULL;
        if (c && w->value(w, f->type, c)) {
            *first = false;
        } else if (w->out->data) { /* takes the name back */
            w->out->len = start;
            w->out->data[start] = '\0';
        }
    }
}

static void put_struct(struct stats_writer *w, const struct dtype *schema, const char *above)
{
    bool first = true;

    buf_putc(w->out, '{');
    for (size_t i = 0; i < schema->n_fields; i++)
        put_field(w, &schema->fields[i], above, &first);
    buf_putc(w->out, '}');
}

bool delta_stats(const struct dtype *schema, const struct written_file *file, struct buf *out)
{
    static const struct {
        const char *key;
        bool (*value)(struct stats_writer *w, const struct dtype *type, const struct column_stats *c);
    } parts[] = {{"minValues", put_min}, {"maxValues", put_max}, {"nullCount", put_nulls}};

    buf_printf(out, "{\"numRecords\":%lld", (long long)file->rows);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct stats_writer w = {file, out, parts[i].value, 0};
        buf_printf(out, ",\"%s\":", parts[i].key);
        put_struct(&w, schema, "");
    }
    buf_puts(out, "}");
    return buf_ok(out);
}
