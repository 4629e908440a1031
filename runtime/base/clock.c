#include "runtime/base/clock.h"
#include "runtime/base/civil.h"
#include <stdio.h>
#include <sys/random.h>
#include <time.h>

int64_t clock_mono_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t clock_wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int clock_ms_until(int64_t mono_ns)
{
    enum { HOUR_MS = 3600000 };
    int64_t now = clock_mono_ns(), ms = mono_ns > now ? (mono_ns - now + 999999) / 1000000 : 0;

    return ms < HOUR_MS ? (int)ms : HOUR_MS;
}

static char *digits(char *at, int64_t value, int n)
{
    for (int i = n; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + n;
}

/* By hand: each message of the kernel carries a date, and strftime looks up the time zone each time. */
void clock_iso(int64_t wall_ms, char out[ISO_TEXT])
{
    const int64_t day_ms = 86400000;
    int64_t days = wall_ms / day_ms - (wall_ms % day_ms < 0), ms = wall_ms - days * day_ms, year;
    int month, day;
    char *at = out;

    civil_date(days, &year, &month, &day);
    at = digits(at, year < 0 ? 0 : year > 9999 ? 9999 : year, 4);
    *at++ = '-';
    at = digits(at, month, 2);
    *at++ = '-';
    at = digits(at, day, 2);
    *at++ = 'T';
    at = digits(at, ms / 3600000, 2);
    *at++ = ':';
    at = digits(at, ms / 60000 % 60, 2);
    *at++ = ':';
    at = digits(at, ms / 1000 % 60, 2);
    *at++ = '.';
    at = digits(at, ms % 1000, 3);
    *at++ = 'Z';
    *at = '\0';
}

void random_bytes(void *out, size_t n)
{
    char *p = out;

    while (n > 0) {
        ssize_t got = getrandom(p, n > 256 ? 256 : n, 0);
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
}

void hex_make(char *out, size_t digits)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[64];

    for (size_t i = 0; i < digits; i++) {
        if (i % sizeof bytes == 0)
            random_bytes(bytes, sizeof bytes);
        out[i] = hex[bytes[i % sizeof bytes] & 15];
    }
    out[digits] = '\0';
}

void uuid_make(char out[UUID_TEXT])
{
    unsigned char b[16];

    random_bytes(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
    snprintf(out, UUID_TEXT, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}
