/* scalars_time.c: texts as times, by runtime/dataframe/moment. */
#include "runtime/dataframe/engines/duckdb/scalars.h"
#include "runtime/dataframe/moment.h"
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

const struct scalar scalars_time[] = {
    {"lacus_date_days", "s", 'l', false, days},
    {"lacus_time_micros", "si", 'l', false, micros},
    {"lacus_time_zone", "s", 's', false, zone},
    {NULL, NULL, 0, false, NULL},
};
