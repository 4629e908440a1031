#include "runtime/dataframe/time_pattern.h"
#include "runtime/base/civil.h"
#include "runtime/dataframe/moment.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

static const int64_t day_micros = INT64_C(86400000000);
static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

/* ---- patterns ---- */
/* How many times a letter may stand; a bit for each number of times. */
static const struct {
    char letter;
    unsigned written, read;
} letters[] = {
    {'G', 0x1E, 0x1E}, {'y', 0x7E, 0x7E}, {'M', 0x1E, 0x1E}, {'L', 0x1E, 0x1E},   {'d', 0x06, 0x06},
    {'D', 0x0E, 0x0E}, {'Q', 0x1E, 0},    {'q', 0x1E, 0},    {'E', 0x1E, 0},      {'F', 0x02, 0},
    {'a', 0x02, 0x02}, {'H', 0x06, 0x06}, {'k', 0x06, 0x06}, {'K', 0x06, 0x06},   {'h', 0x06, 0x06},
    {'m', 0x06, 0x06}, {'s', 0x06, 0x06}, {'V', 0x04, 0x04}, {'S', 0x3FE, 0x3FE}, {'z', 0x1E, 0x1E},
    {'O', 0x12, 0x12}, {'X', 0x3E, 0x3E}, {'x', 0x3E, 0x3E}, {'Z', 0x3E, 0x3E},
};

static bool takes(char letter, size_t n, bool reading)
{
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++)
        if (letters[i].letter == letter)
            return n < 16 && ((reading ? letters[i].read : letters[i].written) >> n & 1);
    return false;
}

static bool is_number(char letter, int n)
{
    return strchr("yDdHkKhms", letter) || (strchr("ML", letter) && n < 3);
}

/* Digits as java.time has them: yyyy is at least four, dd just two, d any number. */
static void set_width(struct time_item *x)
{
    bool fixed = x->letter == 'y' ? x->n == 2 : x->n > 1;

    x->least = x->n;
    x->most = x->letter == 'D' && x->n > 1 ? 3 : fixed ? 2 : 19;
}

static struct time_item *add_item(struct time_pattern *p, char letter, size_t n)
{
    struct time_item *x = &p->items[p->n];

    if (p->n == TIME_PATTERN_ITEMS)
        return NULL;
    p->n++;
    *x = (struct time_item){.letter = letter, .n = (int)n};
    return x;
}

/* 'text' at s; gives its end, or NULL where there is none. '' is a quote, in a text too. */
static const char *add_quoted(struct time_pattern *p, const char *s, const char *end)
{
    const char *from = ++s;

    if (s < end && *s == '\'') {
        struct time_item *x = add_item(p, '\'', 1);

        if (x)
            x->s = s, x->len = 1;
        return x ? s + 1 : NULL;
    }
    for (;; s++) {
        struct time_item *x;

        while (s < end && *s != '\'')
            s++;
        x = s < end ? add_item(p, '\'', 1) : NULL;
        if (!x)
            return NULL;
        x->s = from;
        x->len = (size_t)(s - from);
        if (s + 1 == end || s[1] != '\'')
            return s + 1;
        x->len++; /* with the first of two quotes */
        from = ++s + 1;
    }
}

/* A number of fixed width behind a number takes its digits first: in yyyyMMdd the last four. */
static void join_numbers(struct time_pattern *p)
{
    struct time_item *first = NULL;

    for (size_t i = 0; i < p->n; i++) {
        struct time_item *x = &p->items[i];

        if (x->most == 0)
            first = NULL;
        else if (first && x->least == x->most)
            first->behind += x->most;
        else
            first = x;
    }
}

static bool close_brackets(struct time_pattern *p)
{
    size_t open[TIME_PATTERN_DEPTH], depth = 0;

    for (size_t i = 0; i < p->n; i++) {
        if (p->items[i].letter == '[') {
            if (depth == TIME_PATTERN_DEPTH)
                return false;
            p->items[i].closes = p->n;
            open[depth++] = i;
        } else if (p->items[i].letter == ']') {
            if (depth == 0)
                return false;
            p->items[open[--depth]].closes = i;
        }
    }
    return true;
}

bool time_pattern_make(struct time_pattern *p, const char *s, size_t len, bool reading)
{
    const char *end = s + len;

    p->n = 0;
    p->zoned = p->era = false;
    while (s && s < end) {
        size_t n = 1;
        struct time_item *x;

        if (*s == '\'') {
            s = add_quoted(p, s, end);
            continue;
        }
        while (isalpha((unsigned char)*s) && s + n < end && s[n] == *s)
            n++;
        if (strchr("{}#", *s) || (isalpha((unsigned char)*s) && !takes(*s, n, reading)) ||
            !(x = add_item(p, isalpha((unsigned char)*s) || strchr("[]", *s) ? *s : '\'', n)))
            return false;
        x->s = s;
        x->len = n;
        if (is_number(x->letter, x->n))
            set_width(x);
        p->zoned = p->zoned || strchr("VzOXxZ", x->letter);
        p->era = p->era || x->letter == 'G';
        s += n;
    }
    join_numbers(p);
    return s && close_brackets(p);
}

void time_pattern_refused(struct buf *out, const char *s, size_t len)
{
    bool old = true, quoted = false;
    char illegal = '\0';

    for (size_t i = 0; i < len; i++) {
        quoted = quoted != (s[i] == '\'');
        if (!quoted && isalpha((unsigned char)s[i]) && !strchr("GyYMLwWDdFEuaHkKhmsSzZXec", s[i])) {
            old = false;
            illegal = illegal ? illegal : s[i];
        }
    }
    if (quoted)
        buf_printf(
            out,
            "[INVALID_DATETIME_PATTERN.WITH_SUGGESTION] Unrecognized datetime pattern: %.*s: a quote is open "
            "at its end. SQLSTATE: 22007",
            (int)(len > 60 ? 60 : len), s);
    else if (old)
        buf_printf(
            out,
            "[INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION] Fail to recognize '%.*s' "
            "pattern in the DateTimeFormatter. Letters are those of java.time, as in yyyy-MM-dd "
            "HH:mm:ss.SSS XXX; those of weeks are none, and E F Q q only write. SQLSTATE: 42K0B",
            (int)(len > 60 ? 60 : len), s);
    else
        buf_printf(
            out,
            "[INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER] Unrecognized datetime pattern: %.*s. Illegal "
            "pattern character found in datetime pattern: %c. Please provide legal character. "
            "SQLSTATE: 22007",
            (int)(len > 60 ? 60 : len), s, illegal);
}

/* ---- offsets ---- */
/* How java.time writes the offsets of X, x and Z: 1 +HHmm, 3 +HHMM, 4 +HH:MM, 5 +HHMMss, 6 +HH:MM:ss; and what none is. */
static int offset_form(const struct time_item *x, const char **none)
{
    static const char *const zeros[] = {"+0000", "+00", "+0000", "+00:00", "+0000", "+00:00"};

    if (x->letter == 'Z') {
        *none = x->n == 5 ? "Z" : "+0000";
        return x->n == 5 ? 6 : 3;
    }
    *none = x->letter == 'X' ? "Z" : zeros[x->n];
    return x->n == 1 ? 1 : x->n + 1;
}

static void put_two(struct buf *b, int64_t v)
{
    buf_putc(b, (char)('0' + v / 10 % 10));
    buf_putc(b, (char)('0' + v % 10));
}

static void write_offset(struct buf *b, const struct time_item *x, int64_t offset)
{
    const char *none;
    int form = offset_form(x, &none);
    int64_t all = offset < 0 ? -offset : offset, h = all / 3600, m = all / 60 % 60, s = all % 60;

    if (all < 60 && (all == 0 || form < 5)) {
        buf_puts(b, none);
        return;
    }
    buf_putc(b, offset < 0 ? '-' : '+');
    put_two(b, h);
    if (form >= 3 || m) {
        buf_puts(b, form % 2 == 0 ? ":" : "");
        put_two(b, m);
    }
    if (form >= 5 && s) {
        buf_puts(b, form % 2 == 0 ? ":" : "");
        put_two(b, s);
    }
}

/* GMT+8:30, or with four letters GMT+08:30 */
static void write_local_offset(struct buf *b, bool full, int64_t offset)
{
    int64_t all = offset < 0 ? -offset : offset, h = all / 3600, m = all / 60 % 60, s = all % 60;

    buf_puts(b, "GMT");
    if (all == 0)
        return;
    buf_putc(b, offset < 0 ? '-' : '+');
    if (full || h >= 10)
        put_two(b, h);
    else
        buf_putc(b, (char)('0' + h));
    if (full || m || s) {
        buf_putc(b, ':');
        put_two(b, m);
    }
    if (s) {
        buf_putc(b, ':');
        put_two(b, s);
    }
}

/* ---- writing ---- */
struct clock { /* a time on the clock, in parts */
    int64_t year;
    int month, day, hour, minute, second, of_year, weekday; /* of_year from 1; weekday 0: Sunday */
    int64_t micros;
};

static struct clock clock_of(int64_t micros)
{
    int64_t days = micros / day_micros - (micros % day_micros < 0), rest = micros - days * day_micros;
    struct clock c = {.hour = (int)(rest / 3600000000),
                      .minute = (int)(rest / 60000000 % 60),
                      .second = (int)(rest / 1000000 % 60),
                      .micros = rest % 1000000};

    civil_date(days, &c.year, &c.month, &c.day);
    c.of_year = (int)(days - civil_days(c.year, 1, 1)) + 1;
    c.weekday = (int)(((days + 4) % 7 + 7) % 7);
    return c;
}

static void put_digits(struct buf *b, int64_t v, int least)
{
    char t[24];
    int n = 0;

    for (uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v; rest || n == 0; rest /= 10)
        t[n++] = (char)('0' + rest % 10);
    if (v < 0)
        buf_putc(b, '-');
    for (; n < least; least--)
        buf_putc(b, '0');
    while (n > 0)
        buf_putc(b, t[--n]);
}

static void write_year(struct buf *b, int64_t year, int n)
{
    static const int64_t limits[] = {0, 10, 100, 1000, 10000, 100000, 1000000};

    if (n == 2) {
        put_two(b, (year < 0 ? -year : year) % 100);
        return;
    }
    if (n >= 4 && year >= limits[n])
        buf_putc(b, '+');
    put_digits(b, year, n);
}

static void write_name(struct buf *b, const char *name, int n) /* three letters, with n = 4 all */
{
    buf_add(b, name, n == 4 ? strlen(name) : 3);
}

static void write_fraction(struct buf *b, int64_t micros, int n)
{
    int64_t unit = 100000;

    for (; n > 0; n--, unit /= 10)
        buf_putc(b, (char)(unit ? '0' + micros / unit % 10 : '0'));
}

static void write_quarter(struct buf *b, int quarter, int n)
{
    static const char *const names[] = {"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"};

    if (n == 4) {
        buf_puts(b, names[quarter - 1]);
        return;
    }
    if (n == 3)
        buf_putc(b, 'Q');
    put_digits(b, quarter, n == 3 ? 1 : n);
}

/* The name of a zone; the CLDR's names of regions are Java's own. */
static bool write_zone_name(struct buf *b, const struct time_written *t, int n)
{
    static const struct {
        const char *zone, *brief, *full;
    } names[] = {{"UTC", "UTC", "Coordinated Universal Time"},
                 {"Etc/UTC", "UTC", "Coordinated Universal Time"},
                 {"GMT", "GMT", "Greenwich Mean Time"}};

    if (t->zone_len && strchr("+-", t->zone[0]))
        return buf_add(b, t->zone, t->zone_len);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i].zone) == t->zone_len && memcmp(names[i].zone, t->zone, t->zone_len) == 0)
            return buf_puts(b, n == 4 ? names[i].full : names[i].brief);
    return false;
}

static int64_t number_of(const struct clock *c, char letter)
{
    switch (letter) {
    case 'M':
    case 'L':
        return c->month;
    case 'd':
        return c->day;
    case 'D':
        return c->of_year;
    case 'H':
        return c->hour;
    case 'k':
        return c->hour ? c->hour : 24;
    case 'K':
        return c->hour % 12;
    case 'h':
        return c->hour % 12 ? c->hour % 12 : 12;
    case 'm':
        return c->minute;
    case 's':
        return c->second;
    default:
        return (c->day - 1) % 7 +
               1; /* F: as Spark's guide has it, and Java up to 18; later ones count the weeks */
    }
}

static bool write_item(const struct time_pattern *p, const struct time_item *x, const struct time_written *t,
                       const struct clock *c, struct buf *out)
{
    switch (x->letter) {
    case '\'':
        buf_add(out, x->s, x->len);
        break;
    case '[':
    case ']':
        break;
    case 'y':
        write_year(out, p->era && c->year < 1 ? 1 - c->year : c->year, x->n);
        break;
    case 'G':
        buf_puts(out,
                 x->n == 4 ? (c->year > 0 ? "Anno Domini" : "Before Christ") : (c->year > 0 ? "AD" : "BC"));
        break;
    case 'E':
        write_name(out, weekdays[c->weekday], x->n);
        break;
    case 'Q':
    case 'q':
        write_quarter(out, (c->month - 1) / 3 + 1, x->n);
        break;
    case 'S':
        write_fraction(out, c->micros, x->n);
        break;
    case 'a':
        buf_puts(out, c->hour < 12 ? "AM" : "PM");
        break;
    case 'V':
        buf_add(out, t->zone, t->zone_len);
        break;
    case 'z':
        return write_zone_name(out, t, x->n);
    case 'O':
        write_local_offset(out, x->n == 4, t->offset);
        break;
    case 'X':
    case 'x':
    case 'Z':
        if (x->letter == 'Z' && x->n == 4)
            write_local_offset(out, true, t->offset);
        else
            write_offset(out, x, t->offset);
        break;
    default:
        if (x->n > 2 && strchr("ML", x->letter))
            write_name(out, months[c->month - 1], x->n);
        else
            put_digits(out, number_of(c, x->letter), x->n);
    }
    return true;
}

bool time_pattern_write(const struct time_pattern *p, const struct time_written *t, struct buf *out)
{
    const struct clock c = clock_of(t->micros);

    for (size_t i = 0; i < p->n; i++)
        if (!write_item(p, &p->items[i], t, &c, out))
            return false;
    return true;
}

/* ---- reading ---- */
enum field {
    YEAR,
    ERA,
    MONTH,
    DAY,
    OF_YEAR,
    HOUR,
    HOUR24,
    HOUR11,
    HOUR12,
    NOON,
    MINUTE,
    SECOND,
    NANOS,
    OFFSET,
    FIELDS
};

struct reading {
    const struct time_pattern *p;
    const char *s, *end;
    int64_t v[FIELDS];
    unsigned set;
    const char *zone;
    size_t zone_len;
    bool unknown;
};

/* A field that is there twice is the same twice. */
static bool set_field(struct reading *r, enum field f, int64_t v)
{
    if (r->set >> f & 1)
        return r->v[f] == v;
    r->set |= 1U << f;
    r->v[f] = v;
    return true;
}

static bool has(const struct reading *r, enum field f)
{
    return r->set >> f & 1;
}

static enum field field_of(char letter)
{
    static const struct {
        char letter;
        enum field field;
    } rows[] = {{'y', YEAR},   {'M', MONTH},  {'L', MONTH},  {'d', DAY},    {'D', OF_YEAR}, {'H', HOUR},
                {'k', HOUR24}, {'K', HOUR11}, {'h', HOUR12}, {'m', MINUTE}, {'s', SECOND}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].letter == letter)
            return rows[i].field;
    return FIELDS;
}

/* A sign stands before a number of any width only, and + where there are more digits than letters. */
static bool read_number(struct reading *r, const struct time_item *x)
{
    bool fixed = x->most < 19, wide = x->letter == 'y' && x->n >= 4, plus = false, minus = false;
    int64_t v = 0;
    int n = 0;

    if (r->s < r->end && (*r->s == '+' || *r->s == '-')) {
        plus = *r->s == '+';
        minus = !plus;
        if (fixed || (plus && !wide))
            return false;
        r->s++;
    }
    while (r->s + n < r->end && n < x->most + x->behind && isdigit((unsigned char)r->s[n]))
        n++;
    if (x->behind)
        n = n - x->behind > x->least ? n - x->behind : n < x->least ? n : x->least;
    if (n < x->least || n > 18 || (wide && !minus && plus != (n > x->least)))
        return false;
    for (int i = 0; i < n; i++)
        v = 10 * v + (r->s[i] - '0');
    r->s += n;
    if (minus && v == 0)
        return false;
    v = minus ? -v : v;
    return set_field(r, field_of(x->letter), x->letter == 'y' && x->n == 2 ? 2000 + v : v);
}

static bool read_fraction(struct reading *r, int most)
{
    int64_t v = 0;
    int n = 0;

    for (; n < most && r->s < r->end && isdigit((unsigned char)*r->s); n++)
        v = 10 * v + (*r->s++ - '0');
    if (n == 0)
        return false;
    for (; n < 9; n++)
        v *= 10;
    return set_field(r, NANOS, v);
}

static bool read_text(struct reading *r, const char *text, size_t len)
{
    if ((size_t)(r->end - r->s) < len || strncasecmp(r->s, text, len) != 0)
        return false;
    r->s += len;
    return true;
}

/* One of n names, whole or by their first letters. */
static bool read_name(struct reading *r, enum field f, const char *const *names, int n, size_t brief,
                      int first)
{
    for (int i = 0; i < n; i++)
        if (read_text(r, names[i], brief ? brief : strlen(names[i])))
            return set_field(r, f, first + i);
    return false;
}

static bool two_digits(struct reading *r, int64_t *v)
{
    if (r->end - r->s < 2 || !isdigit((unsigned char)r->s[0]) || !isdigit((unsigned char)r->s[1]))
        return false;
    *v = 10 * (r->s[0] - '0') + (r->s[1] - '0');
    if (*v > 59)
        return false;
    r->s += 2;
    return true;
}

/* The next two digits, behind a colon where there is one in the form. */
static bool next_two(struct reading *r, bool colon, int64_t *v)
{
    const char *from = r->s;

    if ((!colon || read_text(r, ":", 1)) && two_digits(r, v))
        return true;
    r->s = from;
    return false;
}

static bool read_offset(struct reading *r, const struct time_item *x)
{
    const char *none;
    int form = offset_form(x, &none);
    bool colon = form % 2 == 0;
    int64_t h = 0, m = 0, s = 0, sign;

    if (read_text(r, none, strlen(none)))
        return set_field(r, OFFSET, 0);
    if (r->s == r->end || (*r->s != '+' && *r->s != '-'))
        return false;
    sign = *r->s++ == '-' ? -1 : 1;
    if (!two_digits(r, &h) || (!next_two(r, colon, &m) && form >= 3) || h > 23)
        return false;
    if (form >= 5)
        next_two(r, colon, &s);
    return set_field(r, OFFSET, sign * (3600 * h + 60 * m + s));
}

static bool read_local_offset(struct reading *r, bool full)
{
    int64_t h = 0, m = 0, s = 0, sign;

    if (!read_text(r, "GMT", 3))
        return false;
    if (r->s == r->end || (*r->s != '+' && *r->s != '-'))
        return set_field(r, OFFSET, 0);
    sign = *r->s++ == '-' ? -1 : 1;
    if (full) {
        if (!two_digits(r, &h) || !next_two(r, true, &m))
            return false;
    } else {
        for (int n = 0; n < 2 && r->s < r->end && isdigit((unsigned char)*r->s); n++)
            h = 10 * h + (*r->s++ - '0');
        next_two(r, true, &m);
    }
    next_two(r, true, &s);
    return set_field(r, OFFSET, sign * (3600 * h + 60 * m + s));
}

/* +01:00, maybe behind UTC, GMT or UT, which alone are +00:00 */
static bool is_offset_id(const char *s, size_t len)
{
    static const char form[] = "+00:00:00";
    size_t n = len >= 3 && (strncmp(s, "UTC", 3) == 0 || strncmp(s, "GMT", 3) == 0) ? 3
               : len >= 2 && strncmp(s, "UT", 2) == 0                               ? 2
                                                                                    : 0;

    if ((n && n == len) || (len == 1 && *s == 'Z'))
        return true;
    if (len - n != 6 && len - n != 9)
        return false;
    for (size_t i = 0; i < len - n; i++)
        if (form[i] == '0'   ? !isdigit((unsigned char)s[n + i])
            : form[i] == ':' ? s[n + i] != ':'
                             : !strchr("+-", s[n + i]))
            return false;
    return true;
}

/* The id of a region or an offset; names such as PST are Java's own. */
static bool read_zone(struct reading *r, bool names)
{
    const char *from = r->s;
    size_t len;
    int64_t seconds;

    while (r->s < r->end && (isalnum((unsigned char)*r->s) || strchr("/_+-:", *r->s)))
        r->s++;
    len = (size_t)(r->s - from);
    if (len == 0)
        return false;
    if (moment_offset(from, len, &seconds))
        return is_offset_id(from, len) && set_field(r, OFFSET, seconds);
    if (!memchr(from, '/', len)) {
        r->unknown = r->unknown || names;
        return false;
    }
    r->zone = from;
    r->zone_len = len;
    return moment_region(from, len);
}

static bool read_item(struct reading *r, const struct time_item *x)
{
    static const char *const noons[] = {"AM", "PM"}, *const eras[] = {"BC", "AD"},
                             *const long_eras[] = {"Before Christ", "Anno Domini"};

    if (x->most)
        return read_number(r, x);
    switch (x->letter) {
    case '\'':
        return read_text(r, x->s, x->len);
    case 'S':
        return read_fraction(r, x->n);
    case 'a':
        return read_name(r, NOON, noons, 2, 0, 0);
    case 'G':
        return read_name(r, ERA, x->n == 4 ? long_eras : eras, 2, 0, 0);
    case 'O':
        return read_local_offset(r, x->n == 4);
    case 'X':
    case 'x':
        return read_offset(r, x);
    case 'Z':
        return x->n == 4 ? read_local_offset(r, true) : read_offset(r, x);
    case 'V':
    case 'z':
        return read_zone(r, x->letter == 'z');
    default:
        return read_name(r, MONTH, months, 12, x->n == 4 ? 0 : 3, 1);
    }
}

/* The items from `at` to the end, or to the ']' of what may be left out. */
static bool read_items(struct reading *r, size_t at)
{
    for (; at < r->p->n && r->p->items[at].letter != ']'; at++) {
        const struct time_item *x = &r->p->items[at];
        struct reading before;

        if (x->letter != '[') {
            if (!read_item(r, x))
                return false;
            continue;
        }
        before = *r;
        if (!read_items(r, at + 1))
            *r = before;
        at = x->closes;
    }
    return true;
}

static bool in_range(const struct reading *r)
{
    static const struct {
        int64_t least, most;
    } ranges[FIELDS] = {[YEAR] = {-999999, 999999}, [ERA] = {0, 1},
                        [MONTH] = {1, 12},          [DAY] = {1, 31},
                        [OF_YEAR] = {1, 366},       [HOUR] = {0, 23},
                        [HOUR24] = {1, 24},         [HOUR11] = {0, 11},
                        [HOUR12] = {1, 12},         [NOON] = {0, 1},
                        [MINUTE] = {0, 59},         [SECOND] = {0, 59},
                        [NANOS] = {0, 999999999},   [OFFSET] = {-64800, 64800}};

    for (enum field f = YEAR; f < FIELDS; f++)
        if (has(r, f) && (r->v[f] < ranges[f].least || r->v[f] > ranges[f].most))
            return false;
    return true;
}

/* What is not there is of the first of January 1970. */
static bool resolve_date(const struct reading *r, int64_t *days)
{
    int64_t year = has(r, YEAR) ? r->v[YEAR] : 1970, found;
    int month = has(r, MONTH) ? (int)r->v[MONTH] : 1, day = has(r, DAY) ? (int)r->v[DAY] : 1;

    if (r->p->era && (!has(r, ERA) || year < 1))
        return false;
    year = has(r, ERA) && r->v[ERA] == 0 ? 1 - year : year;
    if (!has(r, OF_YEAR)) {
        *days = civil_valid(year, month, day) ? civil_days(year, month, day) : 0;
        return civil_valid(year, month, day);
    }
    *days = civil_days(year, 1, 1) + r->v[OF_YEAR] - 1;
    civil_date(*days, &found, &month, &day);
    return found == year && (!has(r, MONTH) || month == r->v[MONTH]) && (!has(r, DAY) || day == r->v[DAY]);
}

static bool resolve_hour(const struct reading *r, int64_t *hour)
{
    bool half = has(r, HOUR11) || has(r, HOUR12);
    int64_t of_half = has(r, HOUR11) ? r->v[HOUR11] : has(r, HOUR12) ? r->v[HOUR12] % 12 : 0;

    if (has(r, HOUR) || has(r, HOUR24)) {
        *hour = has(r, HOUR) ? r->v[HOUR] : r->v[HOUR24] % 24;
        return (!half || *hour % 12 == of_half) && (!has(r, NOON) || *hour / 12 == r->v[NOON]);
    }
    *hour = of_half + (has(r, NOON) ? 12 * r->v[NOON] : 0);
    return true;
}

enum time_result time_pattern_read(const struct time_pattern *p, const char *s, size_t len,
                                   struct time_read *out)
{
    struct reading r = {.p = p, .s = s, .end = s + len};
    int64_t days, hour;

    if (!read_items(&r, 0) || r.s != r.end || !in_range(&r) || !resolve_date(&r, &days) ||
        !resolve_hour(&r, &hour) || days > INT64_MAX / day_micros - 1 || days < INT64_MIN / day_micros + 1)
        return r.unknown ? TIME_UNKNOWN : TIME_NONE;
    *out = (struct time_read){.micros = days * day_micros +
                                        ((hour * 60 + (has(&r, MINUTE) ? r.v[MINUTE] : 0)) * 60 +
                                         (has(&r, SECOND) ? r.v[SECOND] : 0)) *
                                            1000000 +
                                        (has(&r, NANOS) ? r.v[NANOS] / 1000 : 0),
                              .has_offset = has(&r, OFFSET),
                              .offset = has(&r, OFFSET) ? r.v[OFFSET] : 0,
                              .zone = r.zone,
                              .zone_len = r.zone_len};
    return TIME_READ;
}
