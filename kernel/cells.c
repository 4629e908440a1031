#include "kernel/cells.h"
#include "runtime/base/mem.h"
#include <string.h>
#include <time.h>

/* After this time, what a client sends together with a cell has come. */
enum { LONG_MS = 20, LEAVE_NS = 500000000 };
/* Cells that wait in C hold those below them on the stack, of which Lua has so much and no more: the others wait. */
enum { NESTED_MAX = 16 };

static void publish_input(struct kernel *k, const struct exchange *e)
{
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);
    json_t *masked = session_masked_text(k->session, e->cell.code, e->cell.len);

    buf_puts(&content, "{\"code\":");
    buf_json(&content, masked ? json_string_value(masked) : e->cell.code,
             masked ? json_string_length(masked) : e->cell.len);
    json_decref(masked);
    buf_printf(&content, ",\"execution_count\":%d}",
               session_execution_count(k->session) + (e->cell.store_history ? 1 : 0));
    publisher_announce(k->publisher, "execute_input", &content);
}

static void put_payload(struct buf *out, json_t *from_session, json_t *ours)
{
    json_t *all = json_array();

    json_array_extend(all, from_session);
    json_array_extend(all, ours);
    buf_puts(out, ",\"payload\":");
    kernel_dump(out, all, "[]");
    json_decref(all);
}

static void put_reply(struct buf *out, const struct cell_reply *reply, json_t *payload)
{
    static const char *const names[] = {[CELL_OK] = "ok", [CELL_ERROR] = "error", [CELL_ABORTED] = "aborted"};

    buf_printf(out, "{\"status\":\"%s\",\"execution_count\":%d", names[reply->status],
               reply->execution_count);
    if (reply->status == CELL_ERROR) {
        const char *ename = reply->ename ? reply->ename : "Error",
                   *evalue = reply->evalue ? reply->evalue : "";
        buf_puts(out, ",\"ename\":");
        buf_json(out, ename, strlen(ename));
        buf_puts(out, ",\"evalue\":");
        buf_json(out, evalue, strlen(evalue));
        buf_puts(out, ",\"traceback\":");
        kernel_dump(out, reply->traceback, "[]");
    }
    buf_puts(out, ",\"user_expressions\":");
    kernel_dump(out, reply->user_expressions, "{}");
    put_payload(out, reply->payload, payload);
    buf_putc(out, '}');
}

/* ---- the end of a cell ---- */

static bool conclude(struct kernel *k, struct exchange *e, struct buf *content)
{
    bool leaves = false, failed = true;
    struct err err;
    enum lc rc = session_task_free(e->task, &err);

    if (rc != LC_OK) {
        requests_publish_failure(k, &err);
        requests_put_error(content, &err);
    } else {
        failed = e->reply.status != CELL_OK || e->reply.notebook_exit; /* nothing more is to run */
        leaves = e->reply.exit_asked;
        if (leaves)
            control_stop(k);
        put_reply(content, &e->reply, e->payload);
        cell_reply_release(&e->reply);
    }
    if (failed && requests_flag(e->request, "stop_on_error", true))
        inbox_abort(k->inbox, e->request, clock_mono_ns() - e->began > (int64_t)LONG_MS * 1000000);
    return leaves;
}

/* The exchange is the one that is answered now. */
static void finish(struct kernel *k, struct exchange *e)
{
    struct buf content = BUF_INIT(WIRE_BYTES_MAX);
    bool leaves;

    requests_end(k);
    leaves = conclude(k, e, &content);
    shells_ended(k->shells, e->shell, true);
    requests_reply(k, e->request, &content);
    buf_release(&content);
    k->now = NULL;
    if (leaves) /* jupyter-console reads the reply, which tells it to end, only from a kernel that is alive */
        nanosleep(&(struct timespec){.tv_nsec = LEAVE_NS}, NULL);
}

static void free_exchange(struct exchange *e)
{
    request_free(e->request);
    json_decref(e->payload);
    mem_free(e);
}

/* One turn of an exchange that is entered. True: it has ended (and is freed). */
static bool turn(struct kernel *k, struct exchange *e)
{
    bool ended;

    e->stepping = true;
    k->nested++;
    ended = session_task_step(e->task);
    k->nested--;
    e->stepping = false;
    if (!ended)
        return false;
    finish(k, e);
    free_exchange(e);
    return true;
}

/* ---- turns ---- */

void cells_start(struct kernel *k, struct shell *shell, struct request *r, const struct cell_request *cell)
{
    struct exchange *e = mem_zalloc(sizeof *e), *before;
    struct buf content = BUF_INIT(4096);
    struct err err;

    if (!e) {
        requests_put_error(&content, (err_nomem(&err), &err));
        requests_reply(k, r, &content);
        buf_release(&content);
        request_free(r);
        return;
    }
    *e = (struct exchange){.request = r,
                           .silent = cell->silent,
                           .may_ask = cell->allow_stdin,
                           .shell = shell,
                           .cell = *cell,
                           .began = clock_mono_ns()};
    before = requests_enter(k, e);
    /* from here on an interrupt is for this cell: who sees its input may send one */
    requests_begin(k);
    requests_announce(k);
    if (!cell->silent)
        publish_input(k, e);
    if (session_task_new(k->session, &e->cell, &e->reply, &e->task, &err) == LC_OK) {
        shells_begun(k->shells, shell, e);
        turn(k, e);
    } else {
        requests_end(k);
        requests_put_error(&content, &err);
        requests_reply(k, r, &content);
        free_exchange(e);
    }
    requests_leave(k, before);
    buf_release(&content);
}

int cells_due(struct kernel *k, int ms)
{
    struct shell *shell;

    if (k->nested >= NESTED_MAX)
        return ms;
    for (int i = 0; ms != 0 && (shell = shells_busy(k->shells, i)) != NULL; i++) {
        const struct exchange *e = shell->running;
        int due = e->stepping ? ms : clock_ms_until(session_task_due(e->task));

        ms = ms < 0 || due < ms ? due : ms;
    }
    return ms;
}

bool cells_step(struct kernel *k)
{
    struct shell *shell;
    bool any = false;

    if (k->nested >= NESTED_MAX)
        return false;
    for (int n = 0; (shell = shells_busy(k->shells, n)) != NULL; n++) {
        struct exchange *e = shell->running, *before;

        if (e->stepping || session_task_due(e->task) > clock_mono_ns())
            continue;
        any = true;
        before = requests_enter(k, e);
        if (turn(k, e))
            n--;
        requests_leave(k, before);
    }
    return any;
}

bool cells_free_for(void *kernel, const struct request *r)
{
    struct kernel *k = kernel;
    json_t *content = r->message.content;
    const char *id = json_string_value(json_object_get(content, "comm_id"));
    const char *target = json_string_value(json_object_get(content, "target_name"));
    const struct shell *shell;

    if (r->channel != CHANNEL_SHELL)
        return false;
    shell = shells_find(k->shells, r->message.subshell);
    if (!shell)
        return true;
    if (k->nested >= NESTED_MAX && (requests_is_comm(r) || strcmp(r->message.type, "execute_request") == 0))
        return false;
    if (!shell->running && !shell->answering)
        return true;
    if (shell->answering)
        return false;
    return requests_is_question(r) ||
           (requests_is_comm(r) && id &&
            session_comm_known(k->session, requests_comm_kind(r), id, target ? target : ""));
}

bool cells_waits(void *kernel, const struct request *r)
{
    struct kernel *k = kernel;
    bool asked;

    if (r && r->channel != CHANNEL_SHELL)
        return false;
    if (r ? !requests_is_comm(r) && !requests_is_question(r) && shells_is_busy(k->shells, r->message.subshell)
          : shells_running(k->shells) < 2)
        return false;
    pthread_mutex_lock(&k->run_lock);
    asked = k->interruptible != NULL;
    if (asked)
        session_serve(k->interruptible);
    pthread_mutex_unlock(&k->run_lock);
    return asked;
}

/* ---- a cell that waits ---- */

/* How many cells are on the C stack. */
static int depth(struct kernel *k)
{
    struct shell *shell;
    int n = 0;

    for (int i = 0; (shell = shells_busy(k->shells, i)) != NULL; i++)
        n += shell->running->stepping;
    return n;
}

void cells_serve(struct kernel *k, const struct ctx *ctx, int timeout_ms)
{
    int64_t until = clock_mono_ns() + (int64_t)timeout_ms * 1000000;
    bool others = cells_step(k);

    for (int left = others ? 0 : cells_due(k, clock_ms_until(until));
         !ctx_cancelled(ctx) && !atomic_load(&k->stopping); left = 0) {
        struct request *r = inbox_take(k->inbox, cells_free_for, k, left);
        if (!r)
            break;
        requests_answer(k, r);
    }
    if (depth(k) > 1)
        session_serve(
            k->session); /* one that waits below us on the stack has its turn when this one runs again */
}
