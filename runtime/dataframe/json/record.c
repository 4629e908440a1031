#include "runtime/dataframe/json/record.h"
#include "runtime/base/mem.h"
#include <string.h>
#include <strings.h>

enum { LEVELS = 1000 };

/* ---- options ---- */
#define FLAG(member) offsetof(struct json_options, member)
static const struct {
    const char *name;
    size_t at;
} flags[] = {
    {"multiLine", FLAG(multiline)},
    {"allowSingleQuotes", FLAG(single_quotes)},
    {"allowUnquotedFieldNames", FLAG(unquoted_names)},
    {"allowComments", FLAG(comments)},
    {"allowNumericLeadingZeros", FLAG(leading_zeros)},
    {"allowBackslashEscapingAnyCharacter", FLAG(any_escape)},
    {"allowUnquotedControlChars", FLAG(control_characters)},
    {"allowNonNumericNumbers", FLAG(not_numbers)},
    {"primitivesAsString", FLAG(primitives_as_string)},
    {"prefersDecimal", FLAG(prefers_decimal)},
    {"dropFieldIfAllNull", FLAG(drop_null_fields)},
};

static const struct {
    const char *name;
    size_t at, size;
} texts[] = {
    {"lineSep", FLAG(line_sep), sizeof(((struct json_options *)0)->line_sep)},
    {"encoding", FLAG(encoding), sizeof(((struct json_options *)0)->encoding)},
    {"charset", FLAG(encoding), sizeof(((struct json_options *)0)->encoding)},
    {"columnNameOfCorruptRecord", FLAG(corrupt_name), sizeof(((struct json_options *)0)->corrupt_name)},
};

const char *json_option_name(size_t i)
{
    enum { FLAGS = sizeof flags / sizeof *flags, TEXTS = sizeof texts / sizeof *texts };

    if (i < FLAGS)
        return flags[i].name;
    if (i < FLAGS + TEXTS)
        return texts[i - FLAGS].name;
    return i == FLAGS + TEXTS ? "mode" : NULL;
}

void json_defaults(struct json_options *o)
{
    *o = (struct json_options){
        .single_quotes = true, .not_numbers = true, .encoding = "UTF-8", .corrupt_name = "_corrupt_record"};
}

enum lc json_option(struct json_options *o, const char *name, const char *value, struct err *err)
{
    static const char *const modes[] = {"PERMISSIVE", "DROPMALFORMED", "FAILFAST"};

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcasecmp(name, flags[i].name) == 0) {
            bool on = strcasecmp(value, "true") == 0;

            if (!on && strcasecmp(value, "false") != 0)
                return err_set(err, LC_ARG, "the option '%s' is true or false, not '%.100s'", flags[i].name,
                               value);
            *(bool *)((char *)o + flags[i].at) = on;
            return LC_OK;
        }
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strcasecmp(name, texts[i].name) == 0) {
            size_t n = strlen(value);

            if (n >= texts[i].size)
                return err_set(err, LC_ARG, "the option '%s' takes at most %zu bytes", texts[i].name,
                               texts[i].size - 1);
            memcpy((char *)o + texts[i].at, value, n + 1);
            return LC_OK;
        }
    if (strcasecmp(name, "mode") != 0)
        return LC_OK;
    for (int i = 0; i < 3; i++)
        if (strcasecmp(value, modes[i]) == 0) {
            o->mode = i;
            return LC_OK;
        }
    /* Spark takes a mode it does not know for PERMISSIVE, and with it what is misspelt */
    err_set(err, LC_ARG, "the option '%s' cannot be '%.100s'", name, value);
    return err_hint(err, "it is %s, %s or %s", modes[0], modes[1], modes[2]);
}

/* ---- the parser ---- */
struct parse {
    const struct json_options *o;
    struct record *r;
    const char *s, *end;
    int level;
    bool nomem;
};

static bool skip_comment(struct parse *p)
{
    const char *stop;

    if (!p->o->comments || p->end - p->s < 2 || p->s[0] != '/' || (p->s[1] != '*' && p->s[1] != '/'))
        return false;
    if (p->s[1] == '/') {
        stop = memchr(p->s, '\n', (size_t)(p->end - p->s));
        p->s = stop ? stop + 1 : p->end;
        return true;
    }
    stop = memmem(p->s + 2, (size_t)(p->end - p->s) - 2, "*/", 2);
    p->s = stop ? stop + 2 : p->end;
    return true;
}

static void skip_space(struct parse *p)
{
    while (p->s < p->end) {
        if (*p->s == ' ' || *p->s == '\t' || *p->s == '\n' || *p->s == '\r')
            p->s++;
        else if (!skip_comment(p))
            return;
    }
}

static bool accept(struct parse *p, char c)
{
    skip_space(p);
    if (p->s >= p->end || *p->s != c)
        return false;
    p->s++;
    return true;
}

static size_t add_node(struct parse *p, enum record_kind kind)
{
    struct record *r = p->r;

    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 64;
        struct record_node *grown = mem_reallocn(r->nodes, cap, sizeof *grown);

        if (!grown) {
            p->nomem = true;
            return 0;
        }
        r->nodes = grown;
        r->cap = cap;
    }
    r->nodes[r->n] = (struct record_node){.kind = kind};
    return r->n++;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : ((c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1);
}

static bool four(struct parse *p, unsigned *out) /* the digits behind \u */
{
    *out = 0;
    if (p->end - p->s < 4)
        return false;
    for (int i = 0; i < 4; i++, p->s++) {
        if (hex(*p->s) < 0)
            return false;
        *out = *out * 16 + (unsigned)hex(*p->s);
    }
    return true;
}

static void put(struct parse *p, unsigned c)
{
    char *to = p->r->room + p->r->room_len;
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

    if (n == 1)
        to[0] = (char)c;
    else
        for (size_t i = n; i-- > 0; c >>= 6)
            to[i] = (char)(i ? 0x80 | (c & 0x3f) : (unsigned)(0xf00 >> n & 0xff) | c);
    p->r->room_len += n;
}

static bool put_unicode(struct parse *p)
{
    unsigned c, low;
    const char *after;

    if (!four(p, &c))
        return false;
    after = p->s;
    if (c >= 0xd800 && c < 0xdc00 && p->end - p->s >= 6 && p->s[0] == '\\' && p->s[1] == 'u') {
        p->s += 2;
        if (four(p, &low) && low >= 0xdc00 && low < 0xe000)
            return put(p, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)), true;
        p->s = after;
    }
    put(p, c >= 0xd800 && c < 0xe000 ? '?' : c); /* half of a pair is none: what Java writes for it */
    return true;
}

static bool put_escape(struct parse *p)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at;

    if (p->s >= p->end)
        return false;
    if (*p->s == 'u') {
        p->s++;
        return put_unicode(p);
    }
    at = *p->s ? strchr(from, *p->s) : NULL;
    if (!at && !p->o->any_escape && !(*p->s == '\'' && p->o->single_quotes))
        return false;
    p->r->room[p->r->room_len++] = at ? to[at - from] : *p->s;
    p->s++;
    return true;
}

/* Behind the quote. Texts that are written plainly stay where they are. */
static bool parse_text(struct parse *p, char quote, const char **text, size_t *len)
{
    const char *from = p->s;
    size_t start = p->r->room_len;

    while (p->s < p->end && *p->s != quote && *p->s != '\\' &&
           ((unsigned char)*p->s >= 0x20 || p->o->control_characters))
        p->s++;
    if (p->s < p->end && *p->s == quote) {
        *text = from;
        *len = (size_t)(p->s++ - from);
        return true;
    }
    memcpy(p->r->room + start, from, (size_t)(p->s - from));
    p->r->room_len += (size_t)(p->s - from);
    while (p->s < p->end && *p->s != quote) {
        if ((unsigned char)*p->s < 0x20 && !p->o->control_characters)
            return false;
        if (*p->s != '\\') {
            p->r->room[p->r->room_len++] = *p->s++;
            continue;
        }
        p->s++;
        if (!put_escape(p))
            return false;
    }
    if (p->s >= p->end)
        return false;
    p->s++;
    *text = p->r->room + start;
    *len = p->r->room_len - start;
    return true;
}

static bool digits(struct parse *p)
{
    const char *from = p->s;

    while (p->s < p->end && *p->s >= '0' && *p->s <= '9')
        p->s++;
    return p->s > from;
}

static bool ends_value(const struct parse *p)
{
    return p->s >= p->end || strchr(" \t\r\n,]}/", *p->s);
}

static bool parse_number(struct parse *p, enum record_kind *kind)
{
    const char *first;

    p->s += *p->s == '-';
    first = p->s;
    if (!digits(p) || (*first == '0' && p->s - first > 1 && !p->o->leading_zeros))
        return false;
    *kind = RECORD_INTEGER;
    if (p->s < p->end && *p->s == '.') {
        *kind = RECORD_FRACTION;
        p->s++;
        if (!digits(p))
            return false;
    }
    if (p->s < p->end && (*p->s == 'e' || *p->s == 'E')) {
        *kind = RECORD_FRACTION;
        p->s++;
        p->s += p->s < p->end && (*p->s == '+' || *p->s == '-');
        if (!digits(p))
            return false;
    }
    return ends_value(p);
}

static bool parse_word(struct parse *p, enum record_kind *kind)
{
    static const struct {
        const char *word;
        enum record_kind kind;
    } words[] = {{"null", RECORD_NULL},
                 {"true", RECORD_TRUE},
                 {"false", RECORD_FALSE},
                 {"NaN", RECORD_NOT_A_NUMBER},
                 {"Infinity", RECORD_NOT_A_NUMBER},
                 {"+Infinity", RECORD_NOT_A_NUMBER},
                 {"-Infinity", RECORD_NOT_A_NUMBER},
                 {"INF", RECORD_NOT_A_NUMBER},
                 {"+INF", RECORD_NOT_A_NUMBER},
                 {"-INF", RECORD_NOT_A_NUMBER}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);

        if ((size_t)(p->end - p->s) < n || memcmp(p->s, words[i].word, n) != 0 ||
            (words[i].kind == RECORD_NOT_A_NUMBER && !p->o->not_numbers))
            continue;
        p->s += n;
        *kind = words[i].kind;
        return ends_value(p);
    }
    return false;
}

static bool parse_value(struct parse *p, size_t *out);

static bool parse_name(struct parse *p, const char **name, size_t *len)
{
    const char *from;

    skip_space(p);
    if (p->s >= p->end)
        return false;
    if (*p->s == '"' || (*p->s == '\'' && p->o->single_quotes)) {
        char quote = *p->s++;
        return parse_text(p, quote, name, len);
    }
    if (!p->o->unquoted_names)
        return false;
    for (from = p->s; p->s < p->end && !strchr(" \t\r\n:,{}[]\"'", *p->s); p->s++)
        ;
    *name = from;
    *len = (size_t)(p->s - from);
    return *len > 0;
}

static void append(struct parse *p, size_t parent, size_t *last, size_t child)
{
    if (*last)
        p->r->nodes[*last].next = child;
    else
        p->r->nodes[parent].first = child;
    *last = child;
}

/* Behind the bracket. */
static bool parse_parts(struct parse *p, size_t parent, bool object)
{
    size_t last = 0, child = 0;

    if (accept(p, object ? '}' : ']'))
        return true;
    do {
        const char *name = NULL;
        size_t len = 0;

        if (object && (!parse_name(p, &name, &len) || !accept(p, ':')))
            return false;
        if (!parse_value(p, &child))
            return false;
        p->r->nodes[child].name = name;
        p->r->nodes[child].name_len = len;
        append(p, parent, &last, child);
    } while (accept(p, ','));
    return accept(p, object ? '}' : ']');
}

static bool parse_inner(struct parse *p, size_t at)
{
    struct record_node *n = &p->r->nodes[at];
    enum record_kind kind = RECORD_NULL;
    char c = *p->s;
    bool good;

    if (c == '{' || c == '[') {
        n->kind = c == '{' ? RECORD_OBJECT : RECORD_LIST;
        p->s++;
        if (++p->level > LEVELS)
            return false;
        good = parse_parts(p, at, c == '{');
        p->level--;
        return good;
    }
    if (c == '"' || (c == '\'' && p->o->single_quotes)) {
        n->kind = RECORD_TEXT;
        p->s++;
        return parse_text(p, c, &n->text, &n->text_len);
    }
    good = (c == '-' && p->end - p->s > 1 && p->s[1] != 'I') || (c >= '0' && c <= '9')
               ? parse_number(p, &kind)
               : parse_word(p, &kind);
    n->kind = kind;
    return good;
}

static bool parse_value(struct parse *p, size_t *out)
{
    const char *from;

    skip_space(p);
    if (p->s >= p->end)
        return false;
    from = p->s;
    *out = add_node(p, RECORD_NULL);
    if (p->nomem || !parse_inner(p, *out))
        return false;
    p->r->nodes[*out].raw = from;
    p->r->nodes[*out].raw_len = (size_t)(p->s - from);
    return true;
}

enum record_got record_parse(const struct json_options *o, const char *s, size_t len, struct record *r)
{
    struct parse p = {.o = o, .r = r, .s = s, .end = s + len};
    size_t root;

    r->n = r->room_len = 0;
    skip_space(&p);
    if (p.s >= p.end)
        return RECORD_EMPTY;
    if (len + 4 > r->room_cap) {
        char *grown = mem_realloc(r->room, len + 4);

        if (!grown)
            return RECORD_NOMEM;
        r->room = grown;
        r->room_cap = len + 4;
    }
    if (parse_value(&p, &root))
        return RECORD_GOOD;
    return p.nomem ? RECORD_NOMEM : RECORD_BAD;
}

void record_release(struct record *r)
{
    mem_free(r->nodes);
    mem_free(r->room);
    *r = (struct record){0};
}
