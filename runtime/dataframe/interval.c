#include "runtime/dataframe/interval.h"
#include <inttypes.h>
#include <string.h>

static const char *const words[3][4] = {
    {"", "", "", ""}, {"YEAR", "MONTH", "", ""}, {"DAY", "HOUR", "MINUTE", "SECOND"}};

/* Seconds with at least two digits before the point when padded, and no zeros at the end. */
static void put_seconds(struct buf *out, uint64_t micros, bool padded)
{
    uint64_t fraction = micros % 1000000;
    int digits = 6;

    buf_printf(out, padded ? "%02" PRIu64 : "%" PRIu64, micros / 1000000);
    if (!fraction)
        return;
    for (; fraction % 10 == 0; fraction /= 10)
        digits--;
    buf_printf(out, ".%0*" PRIu64, digits, fraction);
}

static void put_year_month(struct buf *out, int from, int to, int64_t months)
{
    uint64_t m = months < 0 ? 0 - (uint64_t)months : (uint64_t)months;

    buf_puts(out, months < 0 ? "-" : "");
    if (from != to)
        buf_printf(out, "%" PRIu64 "-%" PRIu64, m / 12, m % 12);
    else
        buf_printf(out, "%" PRIu64, from == 0 ? m / 12 : m);
}

static void put_day_time(struct buf *out, int from, int to, int64_t micros)
{
    static const uint64_t sizes[4] = {86400000000u, 3600000000u, 60000000u, 1000000u};
    static const char before[4] = {'\0', ' ', ':', ':'};
    uint64_t rest = micros < 0 ? 0 - (uint64_t)micros : (uint64_t)micros;

    buf_puts(out, micros < 0 ? "-" : "");
    for (int f = from; f <= to; f++) {
        if (f > from)
            buf_putc(out, before[f]);
        if (f == 3)
            put_seconds(out, rest, true);
        else
            buf_printf(out, f == 0 ? "%" PRIu64 : "%02" PRIu64, rest / sizes[f]);
        rest %= sizes[f];
    }
}

static void put_amount(struct buf *out, int64_t v, const char *unit)
{
    if (v)
        buf_printf(out, "%s%" PRId64 " %s", out->len ? " " : "", v, unit);
}

/* 1 years 2 months 25 days 5 hours 6 minutes 7.5 seconds */
static bool put_calendar(struct buf *out, int64_t months, int64_t days, int64_t micros)
{
    size_t start = out->len;
    struct buf text = BUF_INIT(200);
    int64_t rest = micros % 60000000;

    put_amount(&text, months / 12, "years");
    put_amount(&text, months % 12, "months");
    put_amount(&text, days, "days");
    put_amount(&text, micros / 3600000000, "hours");
    put_amount(&text, micros % 3600000000 / 60000000, "minutes");
    if (rest) {
        buf_puts(&text, text.len ? " " : "");
        buf_puts(&text, rest < 0 ? "-" : "");
        put_seconds(&text, (uint64_t)(rest < 0 ? -rest : rest), false);
        buf_puts(&text, " seconds");
    }
    buf_puts(out, text.len ? buf_str(&text) : "0 seconds");
    buf_release(&text);
    return buf_ok(out) && out->len > start;
}

bool interval_text(struct buf *out, enum interval_kind kind, int fields, int64_t months, int64_t days,
                   int64_t micros)
{
    int from = fields / 4, to = fields % 4;

    if (kind == INTERVAL_CALENDAR)
        return put_calendar(out, months, days, micros);
    buf_puts(out, "INTERVAL '");
    if (kind == INTERVAL_YEAR_MONTH)
        put_year_month(out, from, to, months);
    else
        put_day_time(out, from, to, micros + days * 86400000000);
    buf_printf(out, "' %s", words[kind][from]);
    return from == to ? buf_ok(out) : buf_printf(out, " TO %s", words[kind][to]);
}
