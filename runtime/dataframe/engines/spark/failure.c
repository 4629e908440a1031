/* failure.c: what the server says went wrong, in our words: the error class, its message, where in the text, and the server's
 * stack trace, folded. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/engines/spark/client_int.h"
#include <stdio.h>
#include <string.h>

struct details {
    char reason[160], id[64], class[128], state[16];
};

/* One entry of ErrorInfo's metadata. */
static void take_entry(struct details *d, struct pb_reader r)
{
    struct pb_field key, value;
    struct {
        const char *name;
        char *out;
        size_t size;
    } wanted[] = {{"errorId", d->id, sizeof d->id},
                  {"errorClass", d->class, sizeof d->class},
                  {"sqlState", d->state, sizeof d->state}};

    if (!pb_find(r, 1, &key) || !pb_find(r, 2, &value))
        return;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        if (key.len == strlen(wanted[i].name) && memcmp(key.data, wanted[i].name, key.len) == 0)
            pb_copy(&value, wanted[i].out, wanted[i].size);
}

static void take_info(struct details *d, struct pb_reader info)
{
    struct pb_field f;

    while (pb_next(&info, &f))
        if (f.number == 1 && f.wire == PB_BYTES)
            pb_copy(&f, d->reason, sizeof d->reason);
        else if (f.number == 3)
            take_entry(d, pb_inside(&f));
}

static void read_details(const struct grpc_status *s, struct details *d)
{
    struct pb_reader status = pb_open(s->details, s->details_len);
    struct pb_field any, type, value;

    *d = (struct details){0};
    while (pb_next(&status, &any))
        if (any.number == 3 && pb_find(pb_inside(&any), 1, &type) && pb_find(pb_inside(&any), 2, &value) &&
            type.len >= 9 && memcmp(type.data + type.len - 9, "ErrorInfo", 9) == 0)
            take_info(d, pb_inside(&value));
}

void client_error_class(const struct grpc_status *s, char *out, size_t size)
{
    struct details d;

    read_details(s, &d);
    snprintf(out, size, "%s", d.class);
    if (!d.class[0] && s->message[0] == '[') /* older servers say it in the text only */
        snprintf(out, size, "%.*s", (int)strcspn(s->message + 1, "]"), s->message + 1);
}

static bool is_type(const struct pb_field *type,
                    const char *name) /* of a detail: "type.googleapis.com/google.rpc.ErrorInfo" */
{
    size_t n = strlen(name);

    return type->len >= n && memcmp(type->data + type->len - n, name, n) == 0;
}

/* A google.protobuf.Duration; a server may not make us wait for longer than PySpark would. */
static int64_t milliseconds(struct pb_reader duration)
{
    enum { LONGEST_S = 600 };
    int64_t seconds = 0, nanos = 0;
    struct pb_field f;

    while (pb_next(&duration, &f)) {
        if (f.number == 1 && f.wire == PB_VARINT)
            seconds = (int64_t)f.value;
        else if (f.number == 2 && f.wire == PB_VARINT)
            nanos = (int64_t)f.value;
    }
    if (seconds < 0 || nanos < 0 || nanos >= 1000000000)
        return 0;
    return seconds >= LONGEST_S ? LONGEST_S * 1000 : seconds * 1000 + nanos / 1000000;
}

int64_t client_asked_delay(const struct grpc_status *s)
{
    struct pb_reader status = pb_open(s->details, s->details_len);
    struct pb_field any, type, value, delay;

    while (pb_next(&status, &any))
        if (any.number == 3 && pb_find(pb_inside(&any), 1, &type) && pb_find(pb_inside(&any), 2, &value) &&
            is_type(&type, "google.rpc.RetryInfo"))
            return pb_find(pb_inside(&value), 1, &delay) ? milliseconds(pb_inside(&delay)) : 0;
    return -1;
}

/* ---- which of our codes ---- */
static bool ends(const char *text, const char *tail)
{
    size_t n = strlen(text), m = strlen(tail);

    return n >= m && strcmp(text + n - m, tail) == 0;
}

static enum lc code_of(const struct grpc_status *s, const struct details *d)
{
    static const struct {
        const char *tail; /* of the error class or the exception's name */
        enum lc code;
    } rows[] = {{"OPERATION_CANCELED", LC_CANCELLED},
                {"PATH_NOT_FOUND", LC_NOTFOUND},
                {"_NOT_FOUND", LC_NOTFOUND},
                {"_ALREADY_EXISTS", LC_EXISTS},
                {"PATH_ALREADY_EXISTS", LC_EXISTS}};
    static const struct {
        int status;
        enum lc code;
    } statuses[] = {{GRPC_UNAVAILABLE, LC_NET},     {GRPC_UNAUTHENTICATED, LC_AUTH},
                    {GRPC_PERMISSION, LC_PERM},     {GRPC_UNIMPLEMENTED, LC_UNSUPPORTED},
                    {GRPC_CANCELLED, LC_CANCELLED}, {GRPC_DEADLINE, LC_TIMEOUT},
                    {GRPC_EXHAUSTED, LC_LIMIT}};

    if (ends(d->reason, "ParseException"))
        return LC_SYNTAX;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (ends(d->class, rows[i].tail))
            return rows[i].code;
    if (ends(d->reason, "AnalysisException") || ends(d->reason, "NoSuchTableException"))
        return LC_ENGINE;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == s->code && !d->reason[0])
            return statuses[i].code;
    return LC_RUNTIME;
}

/* ---- FetchErrorDetails ---- */
static void append(char *out, size_t size, const char *text, size_t len)
{
    size_t n = strlen(out);

    if (n + 1 < size)
        snprintf(out + n, size - n, "%.*s", (int)(len > 400 ? 400 : len), text);
}

/* "SparkArithmeticException at Divide.eval(arithmetic.scala:810), …, 41 more": where it happened, not how it got there. */
static void fold_stack(struct pb_reader error, char *out, size_t size)
{
    enum { FRAMES = 3 };
    struct pb_field f, class, method, file;
    char line[160], head[160] = "";
    int n = 0;

    while (pb_next(&error, &f)) {
        if (f.number == 1 && !head[0])
            pb_copy(&f, head, sizeof head);
        if (f.number != 3 || n++ >= FRAMES)
            continue;
        struct pb_reader r = pb_inside(&f);
        struct pb_field number = {0}, v;
        while (pb_next(&r, &v))
            if (v.number == 4)
                number = v;
        if (!pb_find(pb_inside(&f), 1, &class) || !pb_find(pb_inside(&f), 2, &method))
            continue;
        if (!pb_find(pb_inside(&f), 3, &file))
            file = (struct pb_field){.data = "?", .len = 1};
        snprintf(line, sizeof line, "%s%.*s.%.*s(%.*s:%d)", n == 1 ? " at " : ", ",
                 (int)(class.len > 80 ? 80 : class.len), class.data, (int)(method.len > 40 ? 40 : method.len),
                 method.data, (int)(file.len > 40 ? 40 : file.len), file.data, (int)number.value);
        if (n == 1) {
            const char *dot = strrchr(head, '.');
            append(out, size, dot ? dot + 1 : head, sizeof head);
        }
        append(out, size, line, sizeof line);
    }
    if (n > FRAMES) {
        snprintf(line, sizeof line, ", … %d more", n - FRAMES);
        append(out, size, line, sizeof line);
    }
}

/* The innermost cause's stack: where it happened. The chain is followed with a limit: it comes from outside. */
static struct pb_reader nth_error(struct pb_reader reply, uint64_t n)
{
    struct pb_field f;

    while (pb_next(&reply, &f))
        if (f.number == 2 && f.wire == PB_BYTES && n-- == 0)
            return pb_inside(&f);
    return pb_open(NULL, 0);
}

static bool number_at(struct pb_reader r, unsigned field, uint64_t *out)
{
    struct pb_field f;
    bool found = false;

    while (pb_next(&r, &f))
        if (f.number == field && f.wire == PB_VARINT) {
            *out = f.value;
            found = true;
        }
    return found;
}

static void take_context(struct pb_reader throwable, struct err *err)
{
    struct pb_field context;
    uint64_t start, type = 0;

    if (pb_find(throwable, 3, &context) && number_at(pb_inside(&context), 3, &start) &&
        (!number_at(pb_inside(&context), 10, &type) || type == 0) && start < INT32_MAX)
        err_at(err, (int64_t)start);
}

static void ask_details(struct client *c, const struct ctx *ctx, struct details *d, struct err *err,
                        struct buf *message)
{
    struct buf request = BUF_INIT(4096), reply = BUF_INIT(16 << 20);
    struct ctx patient = *ctx;
    uint64_t at = 0, cause;
    struct pb_field f, throwable;
    struct err ignored;

    patient.deadline_ns = clock_mono_ns() + (int64_t)3e9;
    client_request(c, RPC_ERROR_DETAILS, &request);
    pb_text(&request, 3, d->id);
    err_clear(&ignored);
    if (client_ask(c, &patient, RPC_ERROR_DETAILS, &request, &reply, &ignored) == LC_OK) {
        struct pb_reader all = pb_open(reply.data, reply.len), root;
        number_at(all, 1, &at);
        root = nth_error(all, at);
        if (pb_find(root, 2, &f) && f.len)
            buf_add(message, f.data, f.len);
        if (pb_find(root, 5, &throwable)) {
            if (pb_find(pb_inside(&throwable), 1, &f))
                pb_copy(&f, d->class, sizeof d->class);
            if (pb_find(pb_inside(&throwable), 4, &f))
                pb_copy(&f, d->state, sizeof d->state);
            take_context(pb_inside(&throwable), err);
        }
        for (int i = 0; i < 16 && number_at(nth_error(all, at), 4, &cause); i++)
            at = cause;
        fold_stack(nth_error(all, at), err->cause, sizeof err->cause);
    }
    buf_release(&request);
    buf_release(&reply);
}

/* The message without the plan that the analyser draws behind it. */
static void set_text(struct err *err, enum lc code, const struct details *d, const char *text)
{
    const char *plan = code == LC_ENGINE || code == LC_NOTFOUND ? strstr(text, ";\n'") : NULL;
    const char *end = plan ? plan : text + strlen(text);
    int n;

    text += strspn(text, "\n ");
    n = (int)(end - text);

    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '))
        n--;
    if (d->class[0] && text[0] != '[')
        err_set(err, code, "[%s] %.*s", d->class, n, text);
    else
        err_set(err, code, "%.*s", n, text);
    if (d->state[0] && !strstr(err->message, "SQLSTATE"))
        append(err->message, sizeof err->message, " SQLSTATE: ", 11),
            append(err->message, sizeof err->message, d->state, sizeof d->state);
}

static enum lc transport_failed(struct client *c, const struct grpc_status *s, enum lc code, struct err *err)
{
    static const struct {
        int status;
        const char *text, *hint;
    } rows[] = {
        {GRPC_UNAUTHENTICATED, "does not accept the token",
         "give token=… in sc://host:port/;token=…, or set SPARK_CONNECT_AUTHENTICATE_TOKEN"},
        {GRPC_PERMISSION, "does not permit this", "ask who runs it"},
        {GRPC_UNIMPLEMENTED, "does not know this call: it is another version of Spark, or no Spark",
         "lacus speaks Spark Connect 3.5 and newer"},
        {GRPC_UNAVAILABLE, "cannot be reached any more",
         "its session is lost when it was restarted; SparkSession.builder:remote(…):getOrCreate() begins a "
         "new one"},
    };

    if (strstr(s->message, "Java heap space") || strstr(s->message, "OutOfMemoryError")) {
        err_set(err, LC_LIMIT, "the Spark server at '%s' has too little memory for this: %.400s",
                c->authority, s->message);
        return err_hint(
            err, "whoever runs it gives it more with spark.driver.memory; large local rows go as files: "
                 "write Parquet where both see it, and spark.read:parquet");
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == s->code) {
            err_set(err, code, "the Spark server at '%s' %s", c->authority, rows[i].text);
            err_hint(err, "%s", rows[i].hint);
            snprintf(err->cause, sizeof err->cause, "%.400s", s->message);
            return code;
        }
    return err_set(err, code, "the Spark server at '%s' answered with gRPC status %d: %.600s", c->authority,
                   s->code, s->message);
}

/* What a user can do about errors that the server's words say too little of. */
static void explain(struct client *c, const struct details *d, struct err *err)
{
    if (strcmp(d->class, "INVALID_HANDLE.SESSION_CLOSED") == 0 ||
        strcmp(d->class, "INVALID_HANDLE.SESSION_NOT_FOUND") == 0 ||
        strcmp(d->class, "INVALID_HANDLE.SESSION_CHANGED") == 0)
        client_lost(c, err);
    else if (strcmp(d->class, "REQUIRES_SINGLE_PART_NAMESPACE") == 0)
        err_hint(err, "the Spark server has no catalog of that name: name the table schema.table, or have "
                      "spark.sql.catalog.NAME set where it is started");
}

enum lc client_failed(struct client *c, const struct ctx *ctx, const struct grpc_status *s, struct err *err)
{
    struct buf message = BUF_INIT(4 << 20);
    struct details d;
    struct err mine;
    enum lc code;
    char cause[sizeof mine.cause];
    int64_t position;

    err_clear(&mine);
    read_details(s, &d);
    if (!d.reason[0] && s->message[0] != '[') {
        transport_failed(c, s, code_of(s, &d), &mine);
    } else {
        if (d.id[0])
            ask_details(c, ctx, &d, &mine, &message);
        if (message.len == 0)
            buf_puts(&message, s->message);
        if (!d.class[0])
            client_error_class(s, d.class, sizeof d.class);
        code = code_of(s, &d);
        memcpy(cause, mine.cause, sizeof cause);
        position = mine.position;
        set_text(&mine, code, &d, buf_str(&message));
        memcpy(mine.cause, cause, sizeof cause);
        mine.position = position;
        explain(c, &d, &mine);
    }
    buf_release(&message);
    if (err)
        *err = mine;
    return mine.code;
}
