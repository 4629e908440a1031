/* scalars_time.c: texts as times and times as texts, by runtime/dataframe/moment and time_pattern. */
#include "runtime/base/civil.h"
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/dataframe/moment.h"
#include "runtime/dataframe/time_pattern.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const int64_t day_micros = INT64_C(86400000000);

/* (text, instant): µs on the clock; with an offset in the text and if the instant is asked for, those of UTC. */
static void micros(const struct value *a, struct result *out)
{
    struct moment m;
    int64_t seconds;

    if (!moment_parse(a[0].s, a[0].len, &m) || (!m.dated && !a[1].i)) {
        result_null(out);
        return;
    }
    out->i = m.micros + (m.dated ? 0 : (int64_t)time(NULL) / 86400 * day_micros);
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

/* ---- zones: DuckDB has regions, and of offsets those of whole hours: Etc/GMT-5 is +05:00 ---- */
bool duck_zone(const char *zone, size_t len, char text[DUCK_ZONE])
{
    int64_t seconds;

    if (!moment_offset(zone, len, &seconds) || seconds % 3600)
        return false;
    snprintf(text, DUCK_ZONE, seconds ? "Etc/GMT%+d" : "UTC", (int)(-seconds / 3600));
    return true;
}

/* zone_offset(id): microseconds; NULL: it is a region */
static void zone_offset(const struct value *a, struct result *out)
{
    int64_t seconds = 0;

    out->null = !moment_offset(a->s, a->len, &seconds);
    out->i = seconds * 1000000;
    if (out->null && !moment_region(a->s, a->len))
        result_error(
            out,
            "[INVALID_TIMEZONE] The timezone: %.*s is invalid. The timezone must be either a region-based "
            "zone ID such as 'America/Los_Angeles', or a zone offset such as '-08' or '+01:00'. SQLSTATE: "
            "22009",
            (int)(a->len > 60 ? 60 : a->len), a->s);
}

/* The session's zone as Spark says it. */
static void put_zone(struct buf *out, const char *zone, size_t len)
{
    char text[24] = "";

    if (len > 8 && len < sizeof text && memcmp(zone, "Etc/GMT", 7) == 0 && strchr("+-", zone[7])) {
        memcpy(text, zone + 8, len - 8);
        buf_printf(out, "%c%02d:00", zone[7] == '+' ? '-' : '+', atoi(text));
    } else {
        buf_add(out, zone, len);
    }
}

static void zone_name(const struct value *a, struct result *out)
{
    put_zone(out->more, a->s, a->len);
    result_text(out);
}

static void days(const struct value *a, struct result *out)
{
    if (!moment_date(a[0].s, a[0].len, &out->i))
        result_null(out);
}

/* make_moment(year, month, day, hour, minute, seconds): µs on the clock; 60 seconds are the next minute, as in PostgreSQL */
static void make_moment(const struct value *a, struct result *out)
{
    static const struct {
        const char *name;
        int64_t least, most;
    } fields[] = {{"Year", -290000, 290000}, {"MonthOfYear", 1, 12},  {"DayOfMonth", 1, 31},
                  {"HourOfDay", 0, 23},      {"MinuteOfHour", 0, 59}, {"SecondOfMinute", 0, 59}};
    double micros = rint(a[5].f * 1e6);
    int64_t second = micros >= -1e15 && micros < 1e15 ? (int64_t)micros / 1000000 - (micros < 0) : -1;

    if (second == 60 && micros > 60e6) {
        result_error(
            out,
            "[INVALID_FRACTION_OF_SECOND] Valid range for seconds is [0, 60] (inclusive), but the provided "
            "value is %g. To avoid this error, use `try_make_timestamp`, which returns NULL on error. "
            "SQLSTATE: 22023",
            a[5].f);
        return;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        int64_t v = i == 5 ? (second == 60 ? 0 : second) : a[i].i;

        if (v < fields[i].least || v > fields[i].most ||
            (i == 2 && !civil_valid(a[0].i, (int)a[1].i, (int)v))) {
            result_error(
                out,
                "[DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION] Invalid value for %s (valid values "
                "%lld - %lld): %lld. SQLSTATE: 22023",
                fields[i].name, (long long)fields[i].least, (long long)fields[i].most, (long long)v);
            return;
        }
    }
    out->i = civil_days(a[0].i, (int)a[1].i, (int)a[2].i) * day_micros +
             (a[3].i * 60 + a[4].i) * INT64_C(60000000) + (int64_t)micros;
}

/* ---- months between, as java.time's LocalDateTime.until counts them ---- */
enum { MONTH_ROOM = 32 }; /* more than the days of a month */

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
/* What a pattern is made of: most rows have the same. NULL: it is none. */
static const struct time_pattern *pattern_of(const struct value *v, bool reading, struct result *out)
{
    struct scalar_memo *memo = out->memo;
    struct buf why = BUF_INIT(4096);

    if (memo->known && memo->len == v->len && memcmp(memo->text, v->s, v->len) == 0)
        return &memo->pattern;
    if (time_pattern_make(&memo->pattern, v->s, v->len, reading)) {
        memo->known = v->len <= sizeof memo->text;
        memo->len = v->len;
        if (memo->known) { /* its texts are looked for in the copy, which stays */
            memcpy(memo->text, v->s, v->len);
            time_pattern_make(&memo->pattern, memo->text, v->len, reading);
        }
        return &memo->pattern;
    }
    memo->known = false;
    time_pattern_refused(&why, v->s, v->len);
    result_error(out, "%s", buf_str(&why));
    buf_release(&why);
    return NULL;
}

/* date_format(µs on the clock, µs of the instant, zone, pattern) */
static void date_format(const struct value *a, struct result *out)
{
    const struct time_written t = {
        .micros = a[0].i, .offset = (a[0].i - a[1].i) / 1000000, .zone = a[2].s, .zone_len = a[2].len};
    const struct time_pattern *p = pattern_of(&a[3], false, out);

    if (!p)
        return;
    if (!time_pattern_write(p, &t, out->more))
        result_error(
            out,
            "[UNSUPPORTED_FEATURE] the name of the time zone %.*s, for the letter z of a pattern, is not "
            "there; letters that are: VV (its id), XXX and O (its offset). SQLSTATE: 0A000",
            (int)(t.zone_len > 60 ? 60 : t.zone_len), t.zone);
    result_text(out);
}

/* What time_read is asked for, added up. */
enum { AS_INSTANT = 1, OR_FAIL = 2, OF_DAY = 4 };

static void not_read(const struct value *a, struct result *out)
{
    int len = a[0].len > 60 ? 60 : (int)a[0].len, of_pattern = a[1].len > 60 ? 60 : (int)a[1].len;

    if (a[2].i & OF_DAY)
        result_error(out,
                     "[CANNOT_PARSE_TIME] The input string '%.*s' cannot be parsed to a TIME value because "
                     "it does not "
                     "match to the datetime format '%.*s'. SQLSTATE: 22010",
                     len, a[0].s, of_pattern, a[1].s);
    else
        result_error(
            out,
            "[CANNOT_PARSE_TIMESTAMP] Text '%.*s' could not be parsed as '%.*s'. Use `try_to_timestamp` to "
            "tolerate invalid input string and return NULL instead. SQLSTATE: 22007",
            len, a[0].s, of_pattern, a[1].s);
}

/* time_read(text, pattern, what): µs on the clock; as an instant and with an offset in the text, those of UTC */
static void time_read(const struct value *a, struct result *out)
{
    const struct time_pattern *p = pattern_of(&a[1], true, out);
    struct time_read r = {0};
    enum time_result found;

    if (!p)
        return;
    found = time_pattern_read(p, a[0].s, a[0].len, &r);
    out->i = r.micros - (a[2].i & AS_INSTANT ? r.offset * 1000000 : 0);
    if (found == TIME_UNKNOWN)
        result_error(
            out,
            "[UNSUPPORTED_FEATURE] the name of a time zone in '%.*s', for the letter z of a pattern, is not "
            "known here: ids as Europe/Rome are, and offsets. SQLSTATE: 0A000",
            (int)(a[0].len > 60 ? 60 : a[0].len), a[0].s);
    else if (found == TIME_NONE && a[2].i & OR_FAIL)
        not_read(a, out);
    out->null = found == TIME_NONE;
}

/* time_read_zone(text, pattern): UTC for offsets, which time_read took off; NULL: it names none */
static void time_read_zone(const struct value *a, struct result *out)
{
    const struct time_pattern *p = pattern_of(&a[1], true, out);
    struct time_read r;

    if (!p)
        return;
    if (time_pattern_read(p, a[0].s, a[0].len, &r) != TIME_READ || !(r.has_offset || r.zone_len))
        result_null(out);
    else if (r.has_offset)
        buf_puts(out->more, "UTC");
    else
        buf_add(out->more, r.zone, r.zone_len);
    result_text(out);
}

const struct scalar scalars_time[] = {
    {"lacus_date_format", "llss", 's', false, date_format},
    {"lacus_make_moment", "iiiiid", 'l', false, make_moment},
    {"lacus_time_read", "ssi", 'l', false, time_read},
    {"lacus_time_read_zone", "ss", 's', false, time_read_zone},
    {"lacus_date_days", "s", 'l', false, days},
    {"lacus_time_micros", "si", 'l', false, micros},
    {"lacus_whole_months", "ll", 'l', false, whole_months},
    {"lacus_zone_offset", "s", 'l', false, zone_offset},
    {"lacus_zone_name", "s", 's', false, zone_name},
    {"lacus_time_zone", "s", 's', false, zone},
    {NULL, NULL, 0, false, NULL},
};
