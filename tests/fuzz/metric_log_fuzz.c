/* metric_log_fuzz.c: whatever a log of metrics holds, reading it ends, never crashes, and gives no metric whose line does
 * not carry its sum; a writer can go on behind it. */
#include "runtime/tracking/metric_log.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/replay.h"

static enum lc on_line(void *arg, const struct tracker_metric *m, struct err *err)
{
    size_t *n = arg;

    (void)err;
    if (!m->key || strlen(m->key) > 250 || strchr(m->key, '\n'))
        abort();
    ++*n;
    return LC_OK;
}

static enum lc on_damage(void *arg, const char *line, size_t len, struct err *err)
{
    (void)arg, (void)line, (void)err;
    return len > 0 ? LC_OK : LC_INTERNAL;
}

static size_t count(const char *path)
{
    struct metric_reader r;
    size_t n = 0;
    bool more = true;
    int64_t at;

    if (metric_reader_open(path, &r, NULL) != LC_OK)
        abort();
    at = r.start;
    while (more)
        if (metric_reader_next(&r, &at, &more, on_line, on_damage, &n, NULL) != LC_OK)
            abort();
    metric_reader_close(&r);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char header[] = "lacus-metrics 1 0123456789abcdef\n";
    char path[] = "/tmp/lacus-fuzz-XXXXXX";
    struct tracker_metric m = {.key = "x", .value = 1, .timestamp = 1};
    struct metric_log *log;
    int fd = mkstemp(path);
    size_t before;

    if (fd < 0 || write(fd, header, sizeof header - 1) < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    close(fd);
    before = count(path);
    if (metric_log_open(path, &log, NULL) != LC_OK || metric_log_append(log, &m, 1, NULL) != LC_OK)
        abort();
    metric_log_close(log);
    if (count(path) < before + 1)
        abort();
    unlink(path);
    return 0;
}
