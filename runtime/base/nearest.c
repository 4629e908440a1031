#include "runtime/base/nearest.h"
#include <ctype.h>
#include <string.h>

enum { WORD_MAX = 128 };

static int least(int a, int b)
{
    return a < b ? a : b;
}

int nearest_distance(const char *a, const char *b)
{
    int rows[3][WORD_MAX + 1];
    size_t m = strnlen(a, WORD_MAX), n = strnlen(b, WORD_MAX);

    for (size_t j = 0; j <= n; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        int *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            now[j] = least(least(last[j] + 1, now[j - 1] + 1), last[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[m % 3][n];
}

/* How far a name may be from a word and still be meant: a third of its length, or any continuation of it, of which the
 * shortest is the nearest. */
static int score(const char *word, const char *name)
{
    enum { STEP = 64 };
    size_t len = strlen(word);
    int d = nearest_distance(word, name), tie = least(d, STEP - 1);

    if (len >= 2 && strncasecmp(word, name, len) == 0)
        return STEP + tie;
    return d <= (int)(len + 2) / 3 ? d * STEP + tie : -1;
}

const char *nearest_one(const char *word, const char *const *names, size_t n)
{
    const char *best = NULL;
    int best_score = 0;

    for (size_t i = 0; i < n; i++) {
        int s = score(word, names[i]);
        if (s >= 0 && (!best || s < best_score)) {
            best = names[i];
            best_score = s;
        }
    }
    return best;
}

static bool is_among(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

bool nearest_list(struct buf *out, const char *word, const char *const *names, size_t n, size_t most)
{
    const char *picked[8];
    int scores[8];
    size_t count = 0;

    if (most > sizeof picked / sizeof *picked)
        most = sizeof picked / sizeof *picked;
    for (size_t i = 0; i < n; i++) {
        int s = score(word, names[i]);
        size_t at = count;
        while (at > 0 && scores[at - 1] > s)
            at--;
        if (s < 0 || at == most || is_among(picked, count, names[i]))
            continue;
        count += count < most;
        for (size_t j = count - 1; j > at; j--) {
            picked[j] = picked[j - 1];
            scores[j] = scores[j - 1];
        }
        picked[at] = names[i];
        scores[at] = s;
    }
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s'%s'", i == 0 ? "" : i + 1 == count ? " or " : ", ", picked[i]);
    return buf_ok(out);
}
