#include "runtime/train/process_id.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_proc(int64_t pid, const char *what, char *text, size_t size)
{
    char path[64];
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof path, "/proc/%lld/%s", (long long)pid, what);
    f = pid > 0 ? fopen(path, "re") : NULL;
    if (!f)
        return false;
    n = fread(text, 1, size - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return n > 0;
}

int64_t process_start_time(int64_t pid)
{
    char text[1024];
    const char *p;
    long long start = 0;
    char state = 'Z';

    if (!read_proc(pid, "stat", text, sizeof text) || !(p = strrchr(text, ')')))
        return 0; /* the name in parentheses may hold anything */
    if (sscanf(p + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lld",
               &state, &start) != 2 ||
        state == 'Z')
        return 0;
    return start;
}

bool process_is_alive(int64_t pid, int64_t start_time)
{
    return start_time != 0 && process_start_time(pid) == start_time;
}

int64_t process_resident(int64_t pid)
{
    char text[256];
    long long pages = 0;

    if (!read_proc(pid, "statm", text, sizeof text) || sscanf(text, "%*d %lld", &pages) != 1)
        return 0;
    return pages * sysconf(_SC_PAGESIZE);
}
