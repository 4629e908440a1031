#include "kernel/usage.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES_MAX = 65536, LINE_BYTES = 4096 };

struct process {
    int pid, parent;
    uint64_t ticks, start; /* clock ticks; start since the host's */
    bool ours;
};

/* /proc/PID/stat: the name in brackets may hold anything, so what follows its last bracket is read. */
static bool read_stat(int pid, struct process *p)
{
    char path[64], line[LINE_BYTES];
    const char *rest;
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "re");
    if (!f)
        return false;
    n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    rest = strrchr(line, ')');
    *p = (struct process){.pid = pid};
    if (!rest)
        return false;
    uint64_t user = 0, system = 0;
    int got = sscanf(rest + 1,
                     " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                     " %*d %*d %*d %*d %*d %*d %" SCNu64,
                     &p->parent, &user, &system, &p->start);
    p->ticks = user + system;
    return got == 4;
}

static size_t read_processes(struct process **out)
{
    DIR *dir = opendir("/proc");
    size_t n = 0, cap = 0;
    struct dirent *entry;

    *out = NULL;
    while (dir && n < PROCESSES_MAX && (entry = readdir(dir)) != NULL) {
        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        if (n == cap) {
            struct process *more = mem_realloc(*out, (cap = cap ? cap * 2 : 256) * sizeof *more);
            if (!more)
                break;
            *out = more;
        }
        n += read_stat(atoi(entry->d_name), &(*out)[n]);
    }
    if (dir)
        closedir(dir);
    return n;
}

/* Marks the process itself and all that descends from it. */
static void mark_ours(struct process *list, size_t n)
{
    const int self = (int)getpid();

    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < n; i++) {
            bool ours = list[i].pid == self;
            for (size_t j = 0; !list[i].ours && !ours && j < n; j++)
                ours = list[j].ours && list[j].pid == list[i].parent;
            if (ours && !list[i].ours)
                more = list[i].ours = true;
        }
    }
}

/* A number behind a name in a file of lines "Name:  123 kB", in bytes; 0: not there. */
static uint64_t read_kilobytes(const char *path, const char *name)
{
    char line[LINE_BYTES];
    uint64_t value = 0;
    FILE *f = fopen(path, "re");

    while (f && value == 0 && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtoull(line + strlen(name) + 1, NULL, 10) * 1024;
    if (f)
        fclose(f);
    return value;
}

static uint64_t memory_of(int pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
    return read_kilobytes(path, "Pss");
}

static void put_kernel(struct usage *u, struct buf *out)
{
    const double per_second = (double)sysconf(_SC_CLK_TCK);
    struct process *list;
    size_t n = read_processes(&list);
    uint64_t ticks = 0, memory = 0, start = 0;
    int64_t now = clock_mono_ns(), since = u->at_ns;

    mark_ours(list, n);
    for (size_t i = 0; i < n; i++)
        if (list[i].ours) {
            ticks += list[i].ticks;
            memory += memory_of(list[i].pid);
            if (list[i].pid == (int)getpid())
                start = list[i].start;
        }
    mem_free(list);
    if (since == 0) { /* both clocks run since the host's start */
        struct timespec boot;
        clock_gettime(CLOCK_BOOTTIME, &boot);
        since =
            now -
            (int64_t)(((double)boot.tv_sec + (double)boot.tv_nsec / 1e9 - (double)start / per_second) * 1e9);
    }
    double seconds = (double)(now - since) / 1e9,
           used = ticks > u->ticks ? (double)(ticks - u->ticks) / per_second : 0;
    buf_printf(out, ",\"kernel_cpu\":%.1f,\"kernel_memory\":%" PRIu64,
               seconds > 0 ? 100 * used / seconds : 0.0, memory);
    u->ticks = ticks;
    u->at_ns = now;
}

static void put_host_cpu(struct usage *u, struct buf *out)
{
    uint64_t field[8] = {0}, all = 0, busy;
    FILE *f = fopen("/proc/stat", "re");
    int n = f ? fscanf(f,
                       "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                       " %" SCNu64,
                       &field[0], &field[1], &field[2], &field[3], &field[4], &field[5], &field[6], &field[7])
              : 0;

    if (f)
        fclose(f);
    if (n < 5)
        return;
    for (int i = 0; i < 8; i++)
        all += field[i];
    busy = all - field[3] - field[4]; /* idle, waiting for a disk */
    if (u->host_all > 0 && all > u->host_all && busy >= u->host_busy)
        buf_printf(out, ",\"host_cpu_percent\":%.1f",
                   100 * (double)(busy - u->host_busy) / (double)(all - u->host_all));
    u->host_all = all;
    u->host_busy = busy;
}

static void put_host_memory(struct buf *out)
{
    uint64_t total = read_kilobytes("/proc/meminfo", "MemTotal"),
             available = read_kilobytes("/proc/meminfo", "MemAvailable"),
             unused = read_kilobytes("/proc/meminfo", "MemFree");

    if (total == 0 || available > total)
        return;
    buf_printf(out,
               ",\"host_virtual_memory\":{\"total\":%" PRIu64 ",\"available\":%" PRIu64 ",\"percent\":%.1f,"
               "\"used\":%" PRIu64 ",\"free\":%" PRIu64 "}",
               total, available, 100 * (double)(total - available) / (double)total, total - available,
               unused);
}

bool usage_reply(struct usage *u, struct buf *out)
{
    char host[256] = "";

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    buf_puts(out, "{\"status\":\"ok\",\"hostname\":");
    buf_json(out, host, strlen(host));
    buf_printf(out, ",\"pid\":%d,\"cpu_count\":%ld", (int)getpid(), sysconf(_SC_NPROCESSORS_ONLN));
    put_kernel(u, out);
    put_host_cpu(u, out);
    put_host_memory(out);
    return buf_putc(out, '}');
}
