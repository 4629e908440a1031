#include "runtime/base/civil.h"
#include "widgets/trait.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

struct moment {
    long long year;
    int month, day, hours, minutes; /* month 1 to 12 */
    double seconds;
};

static bool valid(enum trait_kind kind, const struct moment *m)
{
    bool date = kind == TRAIT_TIME || civil_valid(m->year, m->month, m->day);
    bool time = m->hours >= 0 && m->hours < 24 && m->minutes >= 0 && m->minutes < 60 && m->seconds >= 0 &&
                m->seconds < 60;

    return date && (kind == TRAIT_DATE || time) && m->year > -100000 && m->year < 1000000;
}

static bool scan_time(const char *text, struct moment *m)
{
    int used = 0, more = 0;

    if (sscanf(text, "%2d:%2d%n", &m->hours, &m->minutes, &used) != 2 || !used)
        return false;
    text += used;
    if (*text == ':') {
        if (sscanf(text, ":%2lf%n", &m->seconds, &more) != 1 || !more)
            return false;
        text += more;
        if (*text == '.') {
            double part;
            if (sscanf(text, "%lf%n", &part, &more) != 1)
                return false;
            m->seconds += part;
            text += more;
        }
    }
    return *text == '\0' || strcmp(text, "Z") == 0;
}

static bool scan(enum trait_kind kind, const char *text, struct moment *m)
{
    int used = 0;

    if (kind == TRAIT_TIME)
        return scan_time(text, m);
    if (sscanf(text, "%6lld-%2d-%2d%n", &m->year, &m->month, &m->day, &used) != 3 || !used)
        return false;
    text += used;
    if (*text == '\0')
        return true;
    return (*text == ' ' || *text == 'T') && kind == TRAIT_DATETIME && scan_time(text + 1, m);
}

static double part(const json_t *object, const char *name, const char *other, double usual)
{
    const json_t *value = json_object_get(object, name);

    if (!value)
        value = json_object_get(object, other);
    return json_is_number(value) ? json_number_value(value) : value ? (double)NAN : usual;
}

static bool whole(double v, int *out)
{
    if (!(v == floor(v) && fabs(v) < 1e6))
        return false;
    *out = (int)v;
    return true;
}

/* {year, month, day, hour, min, sec} as os.date("*t") has them, or the front end's {year, month - 1, date, …} */
static bool read_object(enum trait_kind kind, const json_t *value, struct moment *m)
{
    bool front = json_object_get(value, "date") != NULL;
    int year = 0;

    if (kind != TRAIT_TIME) {
        if (!whole(part(value, "year", "year", NAN), &year) ||
            !whole(part(value, "month", "month", NAN) + (front ? 1 : 0), &m->month) ||
            !whole(part(value, front ? "date" : "day", "day", NAN), &m->day))
            return false;
        m->year = year;
    }
    if (kind == TRAIT_DATE)
        return true;
    m->seconds = part(value, "seconds", "sec", 0) + part(value, "milliseconds", "msec", 0) / 1000;
    return whole(part(value, "hours", "hour", 0), &m->hours) &&
           whole(part(value, "minutes", "min", 0), &m->minutes);
}

static bool read_moment(enum trait_kind kind, const json_t *value, struct moment *m)
{
    *m = (struct moment){0};
    if (json_is_string(value)) {
        if (strlen(json_string_value(value)) != json_string_length(value) ||
            !scan(kind, json_string_value(value), m))
            return false;
    } else if (!json_is_object(value) || !read_object(kind, value, m)) {
        return false;
    }
    return valid(kind, m);
}

json_t *moment_take(enum trait_kind kind, const json_t *value)
{
    struct moment m;
    json_t *out;

    if (!read_moment(kind, value, &m))
        return NULL;
    out = json_object();
    if (kind != TRAIT_TIME) {
        json_object_set_new(out, "year", json_integer(m.year));
        json_object_set_new(out, "month", json_integer(m.month - 1));
        json_object_set_new(out, "date", json_integer(m.day));
    }
    if (kind != TRAIT_DATE) {
        double ms = round(fmod(m.seconds, 1) * 1e6) / 1000;
        json_object_set_new(out, "hours", json_integer(m.hours));
        json_object_set_new(out, "minutes", json_integer(m.minutes));
        json_object_set_new(out, "seconds", json_integer((json_int_t)m.seconds));
        json_object_set_new(out, "milliseconds", json_real(ms));
    }
    return out;
}

json_t *moment_text(enum trait_kind kind, const json_t *value)
{
    struct moment m;
    char date[40] = "", time[40] = "";

    if (!read_moment(kind, value, &m))
        return NULL;
    if (kind != TRAIT_TIME)
        snprintf(date, sizeof date, "%04lld-%02d-%02d", m.year, m.month, m.day);
    if (kind != TRAIT_DATE) {
        bool exact = m.seconds == floor(m.seconds);
        snprintf(time, sizeof time, "%s%02d:%02d:%0*.*f", *date ? " " : "", m.hours, m.minutes, exact ? 2 : 6,
                 exact ? 0 : 3, m.seconds);
    }
    return json_sprintf("%s%s", date, time);
}

static double moment_number(const json_t *value)
{
    const bool date = json_object_get(value, "date") != NULL;
    struct moment m = {0};
    double at;

    if (!read_moment(date ? json_object_get(value, "hours") ? TRAIT_DATETIME : TRAIT_DATE : TRAIT_TIME, value,
                     &m))
        return (double)NAN;
    at = m.hours * 3600.0 + m.minutes * 60.0 + m.seconds;
    return date ? at + 86400.0 * (double)civil_days(m.year, m.month, m.day) : at;
}

double trait_number(const json_t *value)
{
    return json_is_number(value)   ? json_number_value(value)
           : json_is_object(value) ? moment_number(value)
                                   : (double)NAN;
}
