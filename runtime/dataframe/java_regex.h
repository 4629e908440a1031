/* java_regex.h: what there is to know of a regular expression of Java before RE2 runs it, and replacements in RE2's words.
 *
 * What      how many groups it has; whether it finds empty texts: RE2 leaves out those right behind a match, Java does not.
 * Ownership none.
 * Units     none.
 * Errors    a pattern that is none is for RE2 to refuse. java_replacement: what is wrong.
 * Threads   any.
 * Source    java.util.regex: Pattern, Matcher.find and appendReplacement.
 *
 * Example:
 *     struct java_regex r;
 *     java_regex_read("(a|b)*", &r);
 *     printf("%d group, empty: %d\n", r.groups, r.empty == REGEX_ALWAYS);
 */
#ifndef LACUS_DATAFRAME_JAVA_REGEX_H
#define LACUS_DATAFRAME_JAVA_REGEX_H
#include "runtime/base/buf.h"

enum regex_empty { REGEX_NEVER, REGEX_SOMETIMES, REGEX_ALWAYS };

struct java_regex {
    int groups;
    /* Whether it finds the empty text right behind another match: at a word's edge only is sometimes, at the start of the text never; what
     * ends in $ is seen without it, since another match ended there, too. */
    enum regex_empty empty;
    bool consumes; /* it may find more than that */
};
void java_regex_read(const char *pattern, struct java_regex *out);

/* Java's $ and \Z also stand before a line break that ends the text; RE2's $ only at its end. */
struct java_ends {
    bool any, nested; /* there are some; one is inside of a group */
    bool last;        /* there is one, and it ends the whole pattern, which is no choice of several */
};
/* out: the pattern with `end` in their place; within (?m), where both mean the same, there is none. */
void java_ends_read(const char *pattern, const char *end, struct java_ends *e, struct buf *out);
#define JAVA_LAST_BREAK "\\r\\n|[\\n\\r\\x{85}\\x{2028}\\x{2029}]"

/* $1 as \1, the rest as it stands; empty: without the groups. NULL: done, else what is wrong. */
const char *java_replacement(const char *s, size_t len, int groups, struct buf *out, struct buf *empty);
#endif
