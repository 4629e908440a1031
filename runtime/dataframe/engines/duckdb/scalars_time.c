/* scalars_time.c: texts as times, by runtime/dataframe/moment. */
#include "runtime/base/civil.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/dataframe/moment.h"
#include <ctype.h>
#include <string.h>
#include <time.h>

/* (text, instant): µs on the clock; with an offset in the text and if the instant is asked for, those of UTC. */
static void micros(const struct value *a, struct result *out)
{
    struct moment m;
    int64_t seconds;

    if (!moment_parse(a[0].s, a[0].len, &m) || (!m.dated && !a[1].i)) {
        result_null(out);
        return;
    }
    out->i = m.micros + (m.dated ? 0 : (int64_t)time(NULL) / 86400 * INT64_C(86400000000));
    if (a[1].i && m.zone_len && moment_offset(m.zone, m.zone_len, &seconds))
        out->i -= seconds * 1000000;
}

/* The zone of a text: UTC for offsets, which micros took off; NULL: it names none. */
static void zone(const struct value *a, struct result *out)
{
    struct moment m;
    int64_t seconds;

    if (!moment_parse(a[0].s, a[0].len, &m) || m.zone_len == 0)
        result_null(out);
    else if (moment_offset(m.zone, m.zone_len, &seconds))
        buf_puts(out->more, "UTC");
    else
        buf_add(out->more, m.zone, m.zone_len);
    result_text(out);
}

static void days(const struct value *a, struct result *out)
{
    if (!moment_date(a[0].s, a[0].len, &out->i))
        result_null(out);
}

/* ---- months between, as java.time's LocalDateTime.until counts them ---- */
enum { MONTH_ROOM = 32 }; /* more than the days of a month */
static const int64_t day_micros = INT64_C(86400000000);

static int64_t packed_day(int64_t days)
{
    int64_t year;
    int month, day;

    civil_date(days, &year, &month, &day);
    return (year * 12 + month) * MONTH_ROOM + day;
}

/* (from, to), µs on the clock: a day that is not over counts for nothing */
static void whole_months(const struct value *a, struct result *out)
{
    int64_t from = a[0].i / day_micros - (a[0].i % day_micros < 0);
    int64_t to = a[1].i / day_micros - (a[1].i % day_micros < 0);
    int64_t from_rest = a[0].i - from * day_micros, to_rest = a[1].i - to * day_micros;

    if (to > from && to_rest < from_rest)
        to--;
    else if (to < from && to_rest > from_rest)
        to++;
    out->i = (packed_day(to) - packed_day(from)) / MONTH_ROOM;
}

/* ---- patterns of Java ---- */
struct clock { /* a time on the clock, in parts */
    int64_t year;
    int month, day, hour, minute, second, of_year, weekday; /* of_year from 1; weekday 0: Sunday */
    int64_t micros;
};

static struct clock clock_of(int64_t micros)
{
    int64_t days = micros / 86400000000 - (micros % 86400000000 < 0), rest = micros - days * 86400000000;
    struct clock c = {.hour = (int)(rest / 3600000000),
                      .minute = (int)(rest / 60000000 % 60),
                      .second = (int)(rest / 1000000 % 60),
                      .micros = rest % 1000000};

    civil_date(days, &c.year, &c.month, &c.day);
    c.of_year = (int)(days - civil_days(c.year, 1, 1)) + 1;
    c.weekday = (int)(((days + 4) % 7 + 7) % 7);
    return c;
}

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};

static void put_name(struct buf *b, const char *name, size_t n) /* three letters, with n = 4 all */
{
    buf_printf(b, "%.*s", n == 4 ? 20 : 3, name);
}

static void put_fraction(struct buf *b, int64_t micros, size_t n)
{
    char digits[16];

    snprintf(digits, sizeof digits, "%06lld000", (long long)micros);
    buf_printf(b, "%.*s", (int)n, digits);
}

static void put_quarter(struct buf *b, int quarter, size_t n)
{
    static const char *const names[] = {"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"};

    if (n == 4)
        buf_puts(b, names[quarter - 1]);
    else
        buf_printf(b, n == 3 ? "Q%d" : "%0*d", n == 3 ? quarter : (int)n, quarter);
}

/* n letters of a pattern; false: no such letters */
static bool put_letters(struct buf *b, const struct clock *c, char letter, size_t n)
{
    const struct {
        char letter;
        size_t most;
        int64_t value;
    } numbers[] = {{'d', 2, c->day},
                   {'D', 3, c->of_year},
                   {'F', 1, (c->day - 1) / 7 + 1},
                   {'H', 2, c->hour},
                   {'k', 2, c->hour ? c->hour : 24},
                   {'K', 2, c->hour % 12},
                   {'h', 2, c->hour % 12 ? c->hour % 12 : 12},
                   {'m', 2, c->minute},
                   {'s', 2, c->second}};

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (numbers[i].letter == letter && n <= numbers[i].most)
            return buf_printf(b, "%0*lld", (int)n, (long long)numbers[i].value);
    if (letter == 'y' && n == 2)
        buf_printf(b, "%02lld", (long long)(c->year % 100));
    else if (letter == 'y' && n <= 6)
        buf_printf(b, "%0*lld", (int)n, (long long)c->year);
    else if ((letter == 'M' || letter == 'L') && n <= 2)
        buf_printf(b, "%0*d", (int)n, c->month);
    else if ((letter == 'M' || letter == 'L') && n <= 4)
        put_name(b, months[c->month - 1], n);
    else if (letter == 'E' && n <= 4)
        put_name(b, weekdays[c->weekday], n);
    else if ((letter == 'Q' || letter == 'q') && n <= 4)
        put_quarter(b, (c->month - 1) / 3 + 1, n);
    else if (letter == 'S' && n <= 9)
        put_fraction(b, c->micros, n);
    else if (letter == 'a' && n == 1)
        buf_puts(b, c->hour < 12 ? "AM" : "PM");
    else if (letter == 'G' && n <= 4)
        buf_puts(b, n == 4 ? (c->year > 0 ? "Anno Domini" : "Before Christ") : (c->year > 0 ? "AD" : "BC"));
    else
        return false;
    return true;
}

/* The end of a quoted text at p, which it writes; '' is a quote. */
static const char *put_quoted(struct buf *b, const char *p, const char *end)
{
    if (p + 1 < end && p[1] == '\'') {
        buf_putc(b, '\'');
        return p + 2;
    }
    for (p++; p < end && (*p != '\'' || (p + 1 < end && p[1] == '\'')); p++) {
        p += *p == '\'';
        buf_putc(b, *p);
    }
    return p < end ? p + 1 : end;
}

/* date_format(µs on the clock, pattern) */
static void date_format(const struct value *a, struct result *out)
{
    const struct clock c = clock_of(a[0].i);
    const char *p = a[1].s, *end = p + a[1].len;

    while (p < end) {
        size_t n = 1;

        if (*p == '\'') {
            p = put_quoted(out->more, p, end);
            continue;
        }
        while (p + n < end && p[n] == *p)
            n++;
        if (!isalpha((unsigned char)*p))
            buf_add(out->more, p, n);
        else if (!put_letters(out->more, &c, *p, n)) {
            result_error(
                out,
                "[INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER] Unrecognized datetime pattern: %.*s: the "
                "letters '%.*s' are none of this engine's. SQLSTATE: 22007",
                (int)(a[1].len > 60 ? 60 : a[1].len), a[1].s, (int)(n > 12 ? 12 : n), p);
            return;
        }
        p += n;
    }
    result_text(out);
}

const struct scalar scalars_time[] = {
    {"lacus_date_format", "ls", 's', false, date_format},
    {"lacus_date_days", "s", 'l', false, days},
    {"lacus_time_micros", "si", 'l', false, micros},
    {"lacus_whole_months", "ll", 'l', false, whole_months},
    {"lacus_time_zone", "s", 's', false, zone},
    {NULL, NULL, 0, false, NULL},
};
