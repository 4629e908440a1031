/* cmd_worker.c: `lacus worker` and its verbs, and the hidden `lacus coordinator`. */
#include "repl/command.h"
#include "repl/listing.h"
#include "runtime/base/clock.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/train/coordinator.h"
#include "runtime/train/job.h"
#include "runtime/train/worker.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { IDLE_MS = 10000 };

/* What follows an option's name, or NULL. */
static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static bool has_flag(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return false;
}

/* Every argument is a known option with its value or a known flag. */
static bool only(int argc, char **argv, int from, const char *const *options, const char *const *flags)
{
    for (int i = from; i < argc; i++) {
        bool known = false;
        for (const char *const *o = options; *o && !known; o++)
            if (strcmp(argv[i], *o) == 0)
                known = ++i < argc;
        for (const char *const *f = flags; *f && !known && i < argc; f++)
            known = strcmp(argv[i], *f) == 0;
        if (!known)
            return false;
    }
    return true;
}

/* ---- invite ---- */

/* The address that other machines know this one by: what the user gave, or the host's name. */
static void public_endpoint(const char *bind, char out[300])
{
    const char *port = strrchr(bind, ':');
    char host[256] = "HOST";

    if (strncmp(bind, "tcp://0.0.0.0:", 14) == 0 || strncmp(bind, "tcp://[::]:", 11) == 0 ||
        strncmp(bind, "tcp://*:", 8) == 0) {
        (void)gethostname(host, sizeof host - 1);
        (void)snprintf(out, 300, "tcp://%s%s", host, port);
    } else {
        (void)snprintf(out, 300, "%s", bind);
    }
}

static enum lc make_key(struct workspace *ws, const char *name, struct worker_key *k, struct err *err)
{
    struct key_pair server;
    char *path = fs_home("workers/server.key", err), *dir = fs_home("workers", err);
    enum lc rc = path && dir ? fs_mkdirs(dir, err) : LC_IO;

    if (rc == LC_OK)
        rc = key_load_or_make(path, &server, err);
    if (rc == LC_OK) {
        key_make(&k->mine);
        memcpy(k->server, server.pub, KEY_BYTES);
        (void)snprintf(k->name, sizeof k->name, "%s", name);
        key_wipe(&server);
        rc = worker_add(ws, name, k->mine.pub, err);
    }
    mem_free(path);
    mem_free(dir);
    return rc;
}

static enum lc invite(struct workspace *ws, const char *name, const char *listen, struct err *err)
{
    char bind[256], line[1024], endpoint[300];
    struct worker_key k;

    TRY(coordinator_bind(listen, bind, err));
    if (!bind[0]) {
        (void)err_set(err, LC_ARG, "cannot invite a worker: this workspace listens on this machine only");
        return err_hint(
            err, "give the address that workers reach: lacus worker invite %.60s --listen tcp://0.0.0.0:7733",
            name);
    }
    TRY(make_key(ws, name, &k, err));
    TRY(worker_key_format(&k, line, sizeof line, err));
    public_endpoint(bind, endpoint);
    printf(
        "Paste this on the machine of worker '%s'. It holds the worker's secret key; it is shown once:\n\n"
        "(umask 077; printf '%%s\\n' '%s' > lacus-%s.key) && lacus worker --connect %s --key lacus-%s.key\n",
        name, line, name, endpoint, name);
    key_wipe(&k.mine);
    return coordinator_ensure(NULL, err);
}

static int run_invite(int argc, char **argv)
{
    static const char *const options[] = {"--listen", NULL}, *const flags[] = {NULL};
    struct workspace *ws = NULL;
    struct err err;
    enum lc rc;

    if (argc < 2 || !only(argc, argv, 2, options, flags))
        return command_usage("worker");
    rc = jobs_open(NULL, &ws, &err);
    if (rc == LC_OK)
        rc = invite(ws, argv[1], option(argc, argv, "--listen"), &err);
    workspace_close(ws);
    return rc == LC_OK ? 0 : command_error("worker", &err);
}

/* ---- list, revoke ---- */

static json_t *attached_named(const json_t *attached, const char *name)
{
    size_t i;
    json_t *w;

    json_array_foreach (attached, i, w)
        if (strcmp(json_string_value(json_object_get(w, "name")), name) == 0)
            return w;
    return NULL;
}

static void set_state(json_t *row, const json_t *w)
{
    const char *job = json_string_value(json_object_get(w, "job"));
    bool revoked = json_integer_value(json_object_get(row, "revoked")) != 0;

    json_object_set_new(row, "state",
                        json_string(w && job && *job ? job
                                    : w              ? "idle"
                                    : revoked        ? "revoked"
                                                     : "not attached"));
}

/* What is known of a worker: from the coordinator while it is attached, else from its last greeting. */
static void add_inventory(json_t *row, const json_t *w)
{
    static const char *const members[] = {"host",    "device", "memory",   "cores",
                                          "version", "pid",    "resident", "rank"};
    const json_t *from = w ? w : json_object_get(row, "about");

    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *v = json_object_get(from, members[i]);
        if (v)
            json_object_set(row, members[i], v);
    }
    if (json_object_get(w, "heard"))
        json_object_set(row, "seen", json_object_get(w, "heard"));
    set_state(row, w);
}

/* Those that were invited, and those of this machine that are at work now. */
static void complete(json_t *rows, const json_t *attached)
{
    size_t i;
    json_t *row, *w;

    json_array_foreach (rows, i, row)
        add_inventory(row, attached_named(attached, json_string_value(json_object_get(row, "name"))));
    json_array_foreach (attached, i, w)
        if (!attached_named(rows, json_string_value(json_object_get(w, "name")))) {
            row = json_pack("{s:O}", "name", json_object_get(w, "name"));
            add_inventory(row, w);
            json_array_append_new(rows, row);
        }
}

static int run_list(int argc, char **argv)
{
    static const char *const options[] = {"--output", NULL}, *const flags[] = {NULL};
    const char *form = option(argc, argv, "--output");
    struct workspace *ws = NULL;
    static const struct listing_column columns[] = {
        {"name", "NAME", LISTING_TEXT},      {"state", "STATE", LISTING_TEXT},
        {"host", "HOST", LISTING_TEXT},      {"device", "DEVICE", LISTING_TEXT},
        {"memory", "MEMORY", LISTING_BYTES}, {"version", "VERSION", LISTING_TEXT},
        {"seen", "LAST SEEN", LISTING_TIME}, {0}};
    json_t *rows = NULL, *about = NULL;
    struct err err;

    if (!only(argc, argv, 1, options, flags))
        return command_usage("worker");
    if (jobs_open(NULL, &ws, &err) != LC_OK || worker_rows(ws, &rows, &err) != LC_OK)
        return workspace_close(ws), command_error("worker", &err);
    if (coordinator_about(&about, &err) != LC_OK)
        about = NULL;
    complete(rows, json_object_get(about, "workers"));
    listing_print(rows, columns, form && strcmp(form, "json") == 0);
    if (!form || strcmp(form, "json") != 0)
        printf("coordinator: %s\n",
               about ? json_string_value(json_object_get(about, "endpoint")) : "not running");
    json_decref(rows);
    json_decref(about);
    workspace_close(ws);
    return 0;
}

static int run_revoke(int argc, char **argv)
{
    struct workspace *ws = NULL;
    struct err err;
    enum lc rc;

    if (argc != 2)
        return command_usage("worker");
    rc = jobs_open(NULL, &ws, &err);
    if (rc == LC_OK)
        rc = worker_revoke(ws, argv[1], &err);
    workspace_close(ws);
    if (rc != LC_OK)
        return command_error("worker", &err);
    printf("worker '%s' is revoked\n", argv[1]);
    return 0;
}

/* ---- the commands ---- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} verbs[] = {{"invite", run_invite}, {"list", run_list}, {"revoke", run_revoke}};

int cmd_worker(int argc, char **argv)
{
    static const char *const options[] = {"--connect", "--key", "--timeout", NULL}, *const flags[] = {
                                                                                        "--once", NULL};
    struct worker_options o = {.endpoint = option(argc, argv, "--connect"),
                               .key_file = option(argc, argv, "--key"),
                               .once = has_flag(argc, argv, "--once")};
    const char *timeout = option(argc, argv, "--timeout");

    for (size_t i = 0; argc > 1 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(argv[1], verbs[i].name) == 0)
            return verbs[i].run(argc - 1, argv + 1);
    if (!only(argc, argv, 1, options, flags) || !o.endpoint || !o.key_file)
        return command_usage("worker");
    if (timeout)
        o.connect_s = atoi(timeout) > 0 ? atoi(timeout) : 1;
    return worker_main(&o);
}

int cmd_coordinator(int argc, char **argv)
{
    struct coordinator_options o = {.idle_ms = IDLE_MS};

    (void)argc, (void)argv;
    return coordinator_main(&o);
}
