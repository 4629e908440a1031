/* cmd_serve.c: `lacus serve`: a model behind HTTP, until SIGTERM or Ctrl-C. */
#include "repl/command.h"
#include "runtime/base/fs.h"
#include "runtime/serving/api.h"
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PORT = 8000,
    BODY_MAX = 16 << 20,
    CONNECTIONS_MAX = 256,
    IDLE_SECONDS = 60,
    DRAIN_MS = 30000,
    KEY_MAX = 4096,
    ADAPTERS_MAX = 256
};

struct settings {
    struct service_options service;
    struct http_options http;
    const char *adapters[ADAPTERS_MAX];
    struct buf key, chat_template; /* read from files */
    const char *api_key;
    json_t *origins; /* owned; NULL: not said */
};

/* ---- arguments ---- */
static enum lc read_port(const char *text, int *out, struct err *err)
{
    char *end;
    long port = strtol(text, &end, 10);

    if (*end || end == text || port < 0 || port > 65535)
        return err_set(err, LC_ARG, "'%.40s' is not a port (0 to 65535)", text);
    *out = (int)port;
    return LC_OK;
}

static enum lc read_key(struct settings *s, const char *path, struct err *err)
{
    TRY(fs_read(path, &s->key, err));
    while (s->key.len && strchr("\r\n \t", s->key.data[s->key.len - 1]))
        s->key.data[--s->key.len] = '\0';
    s->api_key = buf_str(&s->key);
    return *s->api_key ? LC_OK : err_set(err, LC_ARG, "the key file '%s' is empty", path);
}

static enum lc add_adapter(struct settings *s, const char *value, struct err *err)
{
    if (s->service.n_adapters == ADAPTERS_MAX)
        return err_set(err, LC_LIMIT, "more than %d adapters", ADAPTERS_MAX);
    s->adapters[s->service.n_adapters++] = value;
    s->service.adapters = s->adapters;
    return LC_OK;
}

static bool is_origin(const json_t *one)
{
    const char *text = json_string_value(one);

    return text && (strcmp(text, "*") == 0 || strstr(text, "://"));
}

/* A JSON list of texts, as vLLM takes it, or origins with commas between them. */
static enum lc read_origins(struct settings *s, const char *value, struct err *err)
{
    bool json = *value == '[', good;
    const json_t *one;
    size_t i, n;

    json_decref(s->origins);
    s->origins = json ? json_loads(value, 0, NULL) : json_array();
    for (const char *at = value; !json && *at; at += n + (at[n] == ',')) {
        n = strcspn(at, ",");
        json_array_append_new(s->origins, json_stringn(at, n));
    }
    good = json_array_size(s->origins) > 0;
    json_array_foreach (s->origins, i, one)
        good = good && is_origin(one);
    if (good)
        return LC_OK;
    err_set(err, LC_ARG, "'%.200s' is no list of origins", value);
    return err_hint(
        err, "--allowed-origins https://chat.example.org,http://localhost:3000 or, for every page, '*'");
}

static enum lc take(struct settings *s, const char *option, const char *value, struct err *err)
{
    if (strcmp(option, "--port") == 0)
        return read_port(value, &s->http.port, err);
    if (strcmp(option, "--adapter") == 0)
        return add_adapter(s, value, err);
    if (strcmp(option, "--allowed-origins") == 0)
        return read_origins(s, value, err);
    if (strcmp(option, "--host") == 0)
        s->http.host = value;
    else if (strcmp(option, "--name") == 0)
        s->service.name = value;
    else if (strcmp(option, "--api-key") == 0)
        s->api_key = value;
    else if (strcmp(option, "--api-key-file") == 0)
        return read_key(s, value, err);
    else if (strcmp(option, "--chat-template") == 0) {
        TRY(fs_read(value, &s->chat_template, err));
        s->service.chat_template = buf_str(&s->chat_template);
    } else
        return err_set(err, LC_ARG, "unknown option '%.60s'", option);
    return LC_OK;
}

static enum lc read_arguments(int argc, char **argv, struct settings *s, struct err *err)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' && !s->service.model) {
            s->service.model = argv[i];
            continue;
        }
        if (argv[i][0] != '-')
            return err_set(err, LC_ARG, "one model is served, '%.100s' is a second one", argv[i]);
        if (i + 1 == argc)
            return err_set(err, LC_ARG, "'%.60s' needs a value", argv[i]);
        TRY(take(s, argv[i], argv[i + 1], err));
        i++;
    }
    return s->service.model ? LC_OK : err_set(err, LC_ARG, "no model was named");
}

/* ---- serving ---- */
static void announce(const struct settings *s, const struct service *service, int port)
{
    bool chat = service_chat_template(service, false) != NULL;
    const char *body =
        chat ? "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], \"max_tokens\": 32}"
             : "{\"prompt\": \"Hello\", \"max_tokens\": 32}";
    const char *bracket = strchr(s->http.host, ':') ? "[" : "";

    printf("serving '%s' on http://%s%s%s:%d%s\n\n", service_name(service), bracket, s->http.host,
           *bracket ? "]" : "", port, s->api_key ? " (with an API key)" : "");
    printf("curl http://%s%s%s:%d/v1/%s -H 'Content-Type: application/json'%s -d '%s'\n", bracket,
           s->http.host, *bracket ? "]" : "", port, chat ? "chat/completions" : "completions",
           s->api_key ? " -H \"Authorization: Bearer $KEY\"" : "", body);
    for (size_t i = 0; i < service_adapters(service); i++)
        printf("adapter '%s' (\"model\": \"%s\")\n", service_adapter(service, i),
               service_adapter(service, i));
    fflush(stdout);
}

/* Signals are waited for, not handled: no other thread sees them. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, set, NULL);
}

/* A second signal ends the waiting. */
static void drain(struct service *service, const sigset_t *signals)
{
    static const struct timespec at_once = {0, 0};

    for (int waited = 0; waited < DRAIN_MS; waited += 100)
        if (service_drain(service, 100) || sigtimedwait(signals, NULL, &at_once) > 0)
            break;
    service_cancel(service);
}

static enum lc serve(const struct settings *s, struct err *err)
{
    const struct http_vtable *http = http_load(err);
    struct ctx ctx = ctx_background();
    struct http_server *server = NULL;
    struct api api = {
        .api_key = s->api_key, .cors = {.origins = s->origins}, .gone = http ? http->gone : NULL};
    struct http_options o = s->http;
    sigset_t signals;
    int port = 0, signal = 0;
    enum lc rc = http ? LC_OK : LC_MISSING;

    block_signals(&signals);
    if (rc == LC_OK)
        rc = service_open(&ctx, &s->service, &api.service, err);
    if (rc != LC_OK)
        return rc;
    o.handle = api_handle;
    o.arg = &api;
    rc = http->start(&o, &server, &port, err);
    if (rc == LC_OK) {
        announce(s, api.service, port);
        sigwait(&signals, &signal);
        fprintf(stderr, "lacus serve: finishing what runs, taking no more (again: at once)\n");
        http->quiesce(server);
        drain(api.service, &signals);
        http->stop(server);
    }
    service_close(api.service);
    return rc;
}

int cmd_serve(int argc, char **argv)
{
    struct settings s = {.http = {.host = "127.0.0.1",
                                  .port = PORT,
                                  .body_max = BODY_MAX,
                                  .connections_max = CONNECTIONS_MAX,
                                  .idle_seconds = IDLE_SECONDS},
                         .key = BUF_INIT(KEY_MAX),
                         .chat_template = BUF_INIT(1 << 20)};
    struct err err = {.code = LC_OK};
    enum lc rc = sodium_init() < 0 ? err_set(&err, LC_INTERNAL, "libsodium cannot be used") : LC_OK;

    if (rc == LC_OK)
        rc = read_arguments(argc, argv, &s, &err);
    if (rc == LC_OK)
        rc = serve(&s, &err);
    if (s.key.data)
        sodium_memzero(s.key.data, s.key.cap);
    buf_release(&s.key);
    buf_release(&s.chat_template);
    json_decref(s.origins);
    return rc == LC_OK ? 0 : command_error("serve", &err);
}
