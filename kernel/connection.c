#include "kernel/connection.h"
#include "runtime/base/fs.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name, *member;
} channels[CHANNEL_COUNT] = {
    [CHANNEL_SHELL] = {"shell", "shell_port"}, [CHANNEL_STDIN] = {"stdin", "stdin_port"},
    [CHANNEL_IOPUB] = {"iopub", "iopub_port"}, [CHANNEL_CONTROL] = {"control", "control_port"},
    [CHANNEL_HB] = {"heartbeat", "hb_port"},
};

const char *channel_name(enum channel channel)
{
    return channels[channel].name;
}

/* Copies a text member; `missing` (may be NULL: required) stands in when it is not there. */
static enum lc take_text(json_t *root, const char *member, const char *missing, char *out, size_t size,
                         size_t *len, struct err *err)
{
    json_t *value = json_object_get(root, member);
    const char *text = value ? json_string_value(value) : missing;
    size_t n = value ? json_string_length(value) : missing ? strlen(missing) : 0;

    if (!value && !missing)
        return err_set(err, LC_DATA, "connection file has no '%s'", member);
    if (!text)
        return err_set(err, LC_DATA, "connection file: '%s' is not a text", member);
    if (n >= size || strlen(text) != n)
        return err_set(err, LC_DATA, "connection file: '%s' is too long or has a NUL", member);
    memcpy(out, text, n + 1);
    if (len)
        *len = n;
    return LC_OK;
}

static enum lc take_ports(json_t *root, struct connection *c, struct err *err)
{
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        json_t *value = json_object_get(root, channels[i].member);
        json_int_t port = json_integer_value(value);

        if (!value)
            return err_set(err, LC_DATA, "connection file has no '%s'", channels[i].member);
        if (!json_is_integer(value) || port < 1 || port > 65535)
            return err_set(err, LC_DATA, "connection file: '%s' is not a port number from 1 to 65535",
                           channels[i].member);
        c->port[i] = (int)port;
    }
    return LC_OK;
}

/* Both keys or none; 40 characters of Z85 each. */
static enum lc take_curve(json_t *root, struct connection *c, struct err *err)
{
    enum { Z85_CHARACTERS = CONNECTION_CURVE_MAX - 1 };
    size_t public, secret;

    TRY(take_text(root, "curve_publickey", "", c->curve_public, sizeof c->curve_public, &public, err));
    TRY(take_text(root, "curve_secretkey", "", c->curve_secret, sizeof c->curve_secret, &secret, err));
    if (public == secret && (public == 0 || public == Z85_CHARACTERS))
        return LC_OK;
    err_set(err, LC_DATA,
            "connection file: 'curve_publickey' and 'curve_secretkey' are not %d characters each",
            Z85_CHARACTERS);
    return err_hint(err, "the client that wrote it has to give both, or neither");
}

static enum lc take_all(json_t *root, struct connection *c, struct err *err)
{
    char scheme[64];

    if (!json_is_object(root))
        return err_set(err, LC_DATA, "connection file is not a JSON object");
    TRY(take_text(root, "transport", "tcp", c->transport, sizeof c->transport, NULL, err));
    TRY(take_text(root, "ip", NULL, c->ip, sizeof c->ip, NULL, err));
    TRY(take_text(root, "key", NULL, c->key, sizeof c->key, &c->key_len, err));
    TRY(take_text(root, "signature_scheme", "hmac-sha256", scheme, sizeof scheme, NULL, err));
    if (strcmp(c->transport, "tcp") != 0 && strcmp(c->transport, "ipc") != 0)
        return err_set(err, LC_UNSUPPORTED, "connection file: transport '%s' is not tcp or ipc",
                       c->transport);
    if (c->key_len > 0 && strcmp(scheme, "hmac-sha256") != 0)
        return err_set(err, LC_UNSUPPORTED, "connection file: signature scheme '%s' is not hmac-sha256",
                       scheme);
    TRY(take_curve(root, c, err));
    if (c->ip[0] == '\0')
        return err_set(err, LC_DATA, "connection file: 'ip' is empty");
    return take_ports(root, c, err);
}

enum lc connection_parse(const char *text, size_t len, struct connection *out, struct err *err)
{
    json_error_t where;
    json_t *root;
    enum lc rc;

    *out = (struct connection){.transport = ""};
    if (len > CONNECTION_BYTES_MAX)
        return err_set(err, LC_LIMIT, "connection file is longer than %d bytes", CONNECTION_BYTES_MAX);
    root = json_loadb(text, len, JSON_ALLOW_NUL, &where);
    if (!root) {
        err_set(err, LC_PARSE, "connection file is not JSON: %s at line %d", where.text, where.line);
        return err_at(err, where.position);
    }
    rc = take_all(root, out, err);
    json_decref(root);
    return rc;
}

enum lc connection_read(const char *path, struct connection *out, struct err *err)
{
    struct buf text = BUF_INIT(CONNECTION_BYTES_MAX);
    enum lc rc = fs_read(path, &text, err);

    if (rc == LC_OK)
        rc = connection_parse(buf_str(&text), text.len, out, err);
    buf_release(&text);
    if (rc != LC_OK) {
        err_wrap(err, "cannot start the kernel from '%s'", path);
        err_hint(err,
                 "a Jupyter client writes this file; start the kernel from JupyterLab or jupyter console");
    }
    return rc;
}

void connection_address(const struct connection *c, enum channel channel, char out[CONNECTION_ADDRESS_MAX])
{
    const char *form = strcmp(c->transport, "ipc") == 0 ? "ipc://%s-%d" : "tcp://%s:%d";
    bool any = strcmp(c->transport, "tcp") == 0 && strcmp(c->ip, "*") == 0;

/* the format is one of the two literals above */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, CONNECTION_ADDRESS_MAX, form, any ? "0.0.0.0" : c->ip, c->port[channel]);
#pragma GCC diagnostic pop
}
