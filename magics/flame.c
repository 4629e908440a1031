#include "magics/flame.h"
#include "runtime/base/mem.h"
#include "runtime/base/plural.h"
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 1200, ROW = 18, TOP = 26, LETTER = 7, DEPTH_MAX = 100 };

/* ---- the table ---- */
struct line {
    const char *name;
    int64_t self, total;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->name, ((const struct line *)b)->name);
}

static int by_self(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    return x->self == y->self ? strcmp(x->name, y->name) : x->self < y->self ? 1 : -1;
}

static int by_all(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    return x->total == y->total ? strcmp(x->name, y->name) : x->total < y->total ? 1 : -1;
}

/* Is this the outermost call of its function? Else its time is in another's total already. */
static bool outermost(const struct profile_node *nodes, int i)
{
    for (int up = nodes[i].parent; up >= 0; up = nodes[up].parent)
        if (strcmp(nodes[up].name, nodes[i].name) == 0)
            return false;
    return true;
}

/* One line per function; returns their number. */
static int join(const struct profile_node *nodes, int n, struct line *lines)
{
    int used = 0;

    for (int i = 1; i < n; i++)
        lines[i - 1] = (struct line){nodes[i].name, nodes[i].self, outermost(nodes, i) ? nodes[i].total : 0};
    qsort(lines, (size_t)(n - 1), sizeof *lines, by_name);
    for (int i = 0; i < n - 1; i++) {
        if (used > 0 && strcmp(lines[used - 1].name, lines[i].name) == 0) {
            lines[used - 1].self += lines[i].self;
            lines[used - 1].total += lines[i].total;
        } else {
            lines[used++] = lines[i];
        }
    }
    return used;
}

static double share(int64_t part, int64_t all)
{
    return all > 0 ? 100.0 * (double)part / (double)all : 0;
}

void flame_table(const struct profile *p, long limit, enum flame_order order, struct buf *out)
{
    static int (*const orders[])(const void *, const void *) = {by_self, by_all, by_name};
    int n, used;
    const struct profile_node *nodes = profile_nodes(p, &n);
    struct line *lines = mem_calloc((size_t)n, sizeof *lines);
    int64_t all = nodes[0].total;

    buf_printf(out, "%d sample%s in %.3f seconds\n\n", profile_samples(p), PLURAL(profile_samples(p)),
               (double)profile_elapsed(p) / 1e9);
    used = lines ? join(nodes, n, lines) : 0;
    if (used > 0)
        qsort(lines, (size_t)used, sizeof *lines, orders[order]);
    buf_puts(out, "  self    self ms   total   total ms  function\n");
    for (int i = 0; i < used && i < limit; i++)
        buf_printf(out, "%5.1f%% %10.1f  %5.1f%% %10.1f  %s\n", share(lines[i].self, all),
                   (double)lines[i].self / 1e6, share(lines[i].total, all), (double)lines[i].total / 1e6,
                   lines[i].name);
    if (used > limit)
        buf_printf(out, "… %ld more functions\n", used - limit);
    mem_free(lines);
}

/* ---- the graph ---- */
static int depth_of(const struct profile_node *nodes, int n)
{
    int deepest = 0;

    for (int i = 0; i < n; i++) {
        int depth = 0;
        for (int up = nodes[i].parent; up >= 0; up = nodes[up].parent)
            depth++;
        if (depth > deepest)
            deepest = depth;
    }
    return deepest < DEPTH_MAX ? deepest : DEPTH_MAX;
}

/* Warm colours, the same for a function wherever it is; C is blue. */
static void put_colour(struct buf *out, const char *name)
{
    unsigned h = 5381;
    bool c = strstr(name, "[C]") != NULL;

    for (const char *p = name; *p; p++)
        h = h * 33 + (unsigned char)*p;
    buf_printf(out, "hsl(%u,%d%%,%u%%)", c ? 200 + h % 20 : 15 + h % 40, c ? 55 : 80, 62 + h % 10);
}

static void put_label(struct buf *out, const char *name, double width)
{
    size_t room = width > 3 * LETTER ? (size_t)((width - 6) / LETTER) : 0, len = strlen(name);

    if (room == 0)
        return;
    if (len > room)
        for (len = room - 1; len > 0 && ((unsigned char)name[len] & 0xC0) == 0x80;)
            len--;
    buf_html(out, name, len);
    if (len < strlen(name))
        buf_puts(out, "…");
}

struct box {
    const struct profile_node *nodes;
    int64_t all;
    struct buf *out;
};

static void put_box(const struct box *b, int i, int depth, double x)
{
    const struct profile_node *node = &b->nodes[i];
    double width = WIDTH * (double)node->total / (double)b->all;

    if (width < 0.3 || depth > DEPTH_MAX)
        return;
    buf_puts(b->out, "<g><title>");
    buf_html(b->out, node->name, strlen(node->name));
    buf_printf(b->out,
               ": %.1f ms, %.1f%% (itself %.1f ms)</title><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" "
               "height=\"%d\" fill=\"",
               (double)node->total / 1e6, share(node->total, b->all), (double)node->self / 1e6, x,
               TOP + depth * ROW, width > 0.5 ? width - 0.3 : width, ROW - 1);
    put_colour(b->out, node->name);
    buf_printf(b->out, "\"/><text x=\"%.1f\" y=\"%d\">", x + 3, TOP + depth * ROW + 13);
    put_label(b->out, node->name, width);
    buf_puts(b->out, "</text></g>\n");
    for (int child = node->child; child >= 0; child = b->nodes[child].next) {
        put_box(b, child, depth + 1, x);
        x += WIDTH * (double)b->nodes[child].total / (double)b->all;
    }
}

void flame_svg(const struct profile *p, struct buf *out)
{
    int n;
    const struct profile_node *nodes = profile_nodes(p, &n);
    struct box b = {nodes, nodes[0].total > 0 ? nodes[0].total : 1, out};
    int height = TOP + (depth_of(nodes, n) + 1) * ROW + 6;

    buf_printf(out,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"100%%\" "
               "font-family=\"monospace\" "
               "font-size=\"11\"><rect width=\"%d\" height=\"%d\" fill=\"#fff\"/><text x=\"3\" y=\"16\">%d "
               "sample%s, %.3f s: "
               "each box is a function above what it called, as wide as its time</text>\n",
               WIDTH, height, WIDTH, height, profile_samples(p), PLURAL(profile_samples(p)),
               (double)profile_elapsed(p) / 1e9);
    put_box(&b, 0, 0, 0);
    buf_puts(out, "</svg>\n");
}
