#include "kernel/kernel.h"
#include "kernel/cells.h"
#include "kernel/death.h"
#include "kernel/debug_adapter.h"
#include "kernel/settle.h"
#include "runtime/base/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Read by the control thread (signalfd): blocked before any thread is made. Child processes get a clean mask
 * from process.h. */
static void own_process(void)
{
    sigset_t set;

    control_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    death_watch();
    /* Large outputs go back to the system when they have left; glibc would raise the threshold and keep them.
     */
    mallopt(M_MMAP_THRESHOLD, 512 << 10);
    mallopt(M_ARENA_MAX, 2);
}

static enum lc open_channels(struct kernel *k, const char *connection_file, struct err *err)
{
    TRY(connection_read(connection_file, &k->connection, err));
    TRY(kwire_open(k->connection.key, k->connection.key_len, &k->wire, err));
    TRY(channels_open(&k->connection, k->wire, k->log_fd, &k->channels, err));
    k->publisher = publisher_new(k->channels);
    k->shells = shells_new();
    if (!k->publisher || !k->shells || !requests_info(&k->info))
        return err_nomem(err);
    TRY(inbox_open(
        k->channels, k->publisher,
        &(struct inbox_calls){
            .is_early = requests_is_early, .early = requests_early, .waits = cells_waits, .arg = k},
        &k->inbox, err));
    TRY(debug_adapter_open(k, &k->debug, err));
    return control_start(k, err);
}

enum { CLOSE_SECONDS = 2 }; /* less than jupyter_client waits before it kills, and than control.c does */

static enum lc open_session(struct kernel *k, const struct session_options *base, struct err *err)
{
    struct session_options options = *base;

    options.frontend = (struct frontend){&kernel_frontend_ops, k};
    options.capture = true;
    options.close_seconds = CLOSE_SECONDS;
    if (!options.notebook)
        options.notebook = getenv("JPY_SESSION_NAME");
    TRY(session_open(&options, &k->session, err));
    debug_adapter_bind(k->debug, k->session);
    return LC_OK;
}

enum { IDLE_MS = 500, SETTLE_MS = 1000, FIRST = 16 };

/* What is done once nothing was asked for a while. To wake without a request, as when a client connects, is no rest. */
struct rest {
    int64_t since;       /* of the last request; ns */
    bool worked, unused; /* memory may be given back: of cells, and of the start */
};

static bool rested(const struct rest *rest, int ms)
{
    return clock_mono_ns() - rest->since >= ms * INT64_C(1000000);
}

static int rest_timeout(const struct rest *rest)
{
    int ms = rest->worked ? IDLE_MS : SETTLE_MS, past;

    if (!rest->worked && !rest->unused)
        return -1;
    past = (int)((clock_mono_ns() - rest->since) / 1000000);
    return past < ms ? ms - past : 0;
}

static void take_rest(struct kernel *k, struct rest *rest)
{
    if (rest->worked && rested(rest, IDLE_MS)) {
        requests_idle(k);
        rest->worked = false;
    }
    if (rest->unused && rested(rest, SETTLE_MS)) {
        settle();
        rest->unused = false;
    }
}

static void serve(struct kernel *k)
{
    struct rest rest = {.since = clock_mono_ns(), .worked = true, .unused = true};
    unsigned served = 0;

    while (!atomic_load(&k->stopping)) {
        bool running = shells_running(k->shells) > 0;
        struct request *r =
            inbox_next(k->inbox, cells_free_for, k, running ? cells_due(k, -1) : rest_timeout(&rest));
        bool worked = r || running;

        if (atomic_exchange(&k->output_waits, false)) /* before r: it belongs to the cell that ended */
            session_flush(k->session);
        debug_adapter_serve(k->debug);
        if (r && !atomic_load(&k->stopping))
            requests_answer(k, r);
        else
            request_free(r);
        if (running && (!r || ++served % FIRST == 0)) /* what waits goes first, but not for ever */
            cells_step(k);
        if (worked) {
            rest.worked = true;
            rest.since = clock_mono_ns();
        } else {
            take_rest(k, &rest);
        }
    }
    while (cells_step(k)) /* they were interrupted */
        ;
    requests_end_all(k);
}

static void close_all(struct kernel *k)
{
    uint64_t one = 1;

    if (k->debug)
        debug_adapter_unbind(k->debug);
    if (k->session)
        session_close(k->session);
    if (k->session) /* those that came meanwhile */
        requests_end_all(k);
    if (write(k->done_fd, &one, sizeof one) < 0)
        death_note(k->log_fd, "cannot tell the control thread to end");
    if (k->channels)
        control_join(k);
    inbox_close(k->inbox);
    debug_adapter_close(k->debug);
    channels_close(k->channels);
    publisher_free(k->publisher);
    kwire_close(k->wire);
    shells_free(k->shells);
    buf_release(&k->info);
    pthread_mutex_destroy(&k->run_lock);
    close(k->done_fd);
    close(k->log_fd);
}

int kernel_main(const struct session_options *base, const char *connection_file)
{
    struct kernel k = {.info = BUF_INIT(1 << 16), .run_lock = PTHREAD_MUTEX_INITIALIZER};
    struct err err = {.code = LC_OK};
    enum lc rc;

    own_process();
    k.log_fd = death_log();
    k.done_fd = eventfd(0, EFD_CLOEXEC);
    rc = open_channels(&k, connection_file, &err);
    if (rc == LC_OK)
        rc = open_session(&k, base, &err);
    if (rc == LC_OK)
        serve(&k);
    else
        death_note(k.log_fd, "%s%s%s%s%s", err.message, err.cause[0] ? ": " : "", err.cause,
                   err.hint[0] ? "; " : "", err.hint);
    close_all(&k);
    return lc_exit(rc);
}
