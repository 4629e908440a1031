/* bare_kernel.c: the floor of the kernel's figures: the least that answers a Jupyter client.
 *
 * Checks the signature of each request, answers busy, execute_input, a constant result, the reply and idle, each signed.
 * No JSON is parsed, nothing is computed, one thread, no limits: whatever a real kernel takes more is its own.
 * usage: bare_kernel CONNECTION_FILE    cc -O2 bare_kernel.c -lzmq -lsodium */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { FRAMES = 16, SIGNED = 4 };
#define TEXT(s)                                                                                              \
    (struct text)                                                                                            \
    {                                                                                                        \
        (s), sizeof(s) - 1                                                                                   \
    }

struct text {
    const char *at;
    size_t len;
};

struct kernel {
    void *shell, *control, *iopub, *heartbeat;
    char key[256];
    unsigned long sent;
};

/* The text or number after "name": in JSON without escapes. */
static struct text member(struct text json, const char *name)
{
    char quoted[64];
    const char *p, *end;

    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    p = memmem(json.at, json.len, quoted, strlen(quoted));
    if (!p)
        return TEXT("");
    p += strlen(quoted);
    p += strspn(p, ": \"");
    end = p + strcspn(p, "\",}\n");
    return (struct text){p, (size_t)(end - p)};
}

static void sign(const struct kernel *k, const struct text parts[SIGNED], char hex[65])
{
    crypto_auth_hmacsha256_state state;
    unsigned char digest[crypto_auth_hmacsha256_BYTES];

    crypto_auth_hmacsha256_init(&state, (const unsigned char *)k->key, strlen(k->key));
    for (int i = 0; i < SIGNED; i++)
        crypto_auth_hmacsha256_update(&state, (const unsigned char *)parts[i].at, parts[i].len);
    crypto_auth_hmacsha256_final(&state, digest);
    sodium_bin2hex(hex, 65, digest, sizeof digest);
}

static void reply(struct kernel *k, void *socket, struct text to, const char *type, struct text parent,
                  struct text content)
{
    char header[512], hex[65];
    int n = snprintf(header, sizeof header,
                     "{\"msg_id\":\"b%lu\",\"msg_type\":\"%s\",\"username\":\"b\",\"session\":\"b\",\"date\":"
                     "\"2026-01-01T00:00:00.000Z\",\"version\":\"5.5\"}",
                     k->sent++, type);
    const struct text parts[SIGNED] = {{header, (size_t)n}, parent, TEXT("{}"), content};

    sign(k, parts, hex);
    zmq_send(socket, to.at, to.len, ZMQ_SNDMORE);
    zmq_send(socket, "<IDS|MSG>", 9, ZMQ_SNDMORE);
    zmq_send(socket, hex, 64, ZMQ_SNDMORE);
    for (int i = 0; i < SIGNED; i++)
        zmq_send(socket, parts[i].at, parts[i].len, i + 1 < SIGNED ? ZMQ_SNDMORE : 0);
}

static void answer(struct kernel *k, void *socket, const struct text frame[FRAMES])
{
    const struct text parent = frame[3], topic = TEXT("bare");
    struct text type = member(parent, "msg_type");
    char reply_type[128], hex[65];

    sign(k, frame + 3, hex);
    if (frame[2].len != 64 || sodium_memcmp(hex, frame[2].at, 64) != 0 || type.len < 8 || type.len > 100)
        return;
    snprintf(reply_type, sizeof reply_type, "%.*s_reply", (int)(type.len - strlen("_request")), type.at);
    reply(k, k->iopub, topic, "status", parent, TEXT("{\"execution_state\":\"busy\"}"));
    if (memcmp(type.at, "execute", 7) == 0) {
        reply(k, k->iopub, topic, "execute_input", parent,
              TEXT("{\"code\":\"1 + 1\",\"execution_count\":1}"));
        reply(k, k->iopub, topic, "execute_result", parent,
              TEXT("{\"data\":{\"text/plain\":\"2\"},\"metadata\":{},\"execution_count\":1}"));
        reply(k, socket, frame[0], reply_type, parent,
              TEXT("{\"status\":\"ok\",\"execution_count\":1,\"payload\":[],\"user_expressions\":{}}"));
    } else {
        reply(
            k, socket, frame[0], reply_type, parent,
            TEXT(
                "{\"status\":\"ok\",\"protocol_version\":\"5.5\",\"implementation\":\"bare\",\"banner\":\"\","
                "\"language_info\":{\"name\":\"lua\",\"version\":\"5.4\",\"mimetype\":\"text/"
                "x-lua\",\"file_extension\":\".lua\"}}"));
    }
    reply(k, k->iopub, topic, "status", parent, TEXT("{\"execution_state\":\"idle\"}"));
}

static void serve(struct kernel *k, void *socket)
{
    zmq_msg_t message[FRAMES];
    struct text frame[FRAMES];
    int n = 0;

    do {
        zmq_msg_init(&message[n]);
        zmq_msg_recv(&message[n], socket, 0);
        frame[n] = (struct text){zmq_msg_data(&message[n]), zmq_msg_size(&message[n])};
    } while (zmq_msg_more(&message[n]) && ++n < FRAMES - 1);
    if (n >= 6)
        answer(k, socket, frame);
    for (int i = 0; i <= n; i++)
        zmq_msg_close(&message[i]);
}

static void *bound(void *context, int type, struct text file, const char *port_name)
{
    struct text ip = member(file, "ip"), port = member(file, port_name);
    void *socket = zmq_socket(context, type);
    char address[300];

    snprintf(address, sizeof address, "tcp://%.*s:%.*s", (int)ip.len, ip.at, (int)port.len, port.at);
    if (zmq_bind(socket, address) != 0) {
        perror(address);
        exit(1);
    }
    return socket;
}

int main(int argc, char **argv)
{
    static char text[4096];
    FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
    struct text file = {text, f ? fread(text, 1, sizeof text - 1, f) : 0}, key = member(file, "key");
    void *context = zmq_ctx_new();
    struct kernel k = {.sent = 0};

    if (!f || sodium_init() < 0)
        return 1;
    fclose(f);
    memcpy(k.key, key.at, key.len < sizeof k.key ? key.len : 0);
    k.shell = bound(context, ZMQ_ROUTER, file, "shell_port");
    k.control = bound(context, ZMQ_ROUTER, file, "control_port");
    bound(context, ZMQ_ROUTER, file, "stdin_port");
    k.iopub = bound(context, ZMQ_PUB, file, "iopub_port");
    k.heartbeat = bound(context, ZMQ_REP, file, "hb_port");
    for (;;) {
        zmq_pollitem_t items[] = {
            {k.shell, 0, ZMQ_POLLIN, 0}, {k.control, 0, ZMQ_POLLIN, 0}, {k.heartbeat, 0, ZMQ_POLLIN, 0}};
        char beat[256];

        zmq_poll(items, 3, -1);
        if (items[0].revents)
            serve(&k, k.shell);
        if (items[1].revents)
            serve(&k, k.control);
        if (items[2].revents) {
            int n = zmq_recv(k.heartbeat, beat, sizeof beat, 0);
            zmq_send(k.heartbeat, beat, n < (int)sizeof beat ? (size_t)n : sizeof beat, 0);
        }
    }
}
