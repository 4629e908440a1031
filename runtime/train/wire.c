#include "runtime/train/wire.h"
#include <string.h>

enum shape { TEXT, INTEGER, NUMBER, OBJECT, BOOLEAN, DIGEST, PATH, NAME, FILES };

struct field {
    const char *name;
    enum shape shape;
    bool optional;
    int64_t most; /* bytes of a text, value of an integer; 0: the shape's own limit */
};

enum { FIELDS = 16, TEXT_MOST = 4096, FILES_MOST = 2000 };

struct wire_type {
    const char *name;
    enum wire_side from;
    bool payload;
    struct field fields[FIELDS];
};

static const struct wire_type types[WIRE_KINDS] = {
    [WIRE_HELLO] = {"hello",
                    WIRE_WORKER,
                    false,
                    {{"protocol", INTEGER, false, 1000},
                     {"version", TEXT, false, 100},
                     {"host", TEXT, false, 256},
                     {"pid", INTEGER, false, 0},
                     {"memory", INTEGER, false, 0},
                     {"cores", INTEGER, false, 65536},
                     {"device", TEXT, false, 256}}},
    [WIRE_BEAT] = {"beat",
                   WIRE_WORKER,
                   false,
                   {{"job", NAME, true, 0},
                    {"phase", TEXT, false, 200},
                    {"step", INTEGER, false, 0},
                    {"seconds", NUMBER, false, 0},
                    {"memory", INTEGER, false, 0},
                    {"waiting", BOOLEAN, true, 0}}},
    [WIRE_WANT] = {"want",
                   WIRE_WORKER,
                   false,
                   {{"job", NAME, false, 0},
                    {"sha256", DIGEST, false, 0},
                    {"offset", INTEGER, false, 0},
                    {"length", INTEGER, false, WIRE_PAYLOAD_MAX}}},
    [WIRE_EVENT] = {"event", WIRE_WORKER, false, {{"job", NAME, false, 0}, {"event", OBJECT, false, 0}}},
    [WIRE_FILE] = {"file",
                   WIRE_WORKER,
                   true,
                   {{"job", NAME, false, 0},
                    {"folder", NAME, false, 0},
                    {"path", PATH, false, 0},
                    {"offset", INTEGER, false, 0}}},
    [WIRE_COMMIT] = {"commit",
                     WIRE_WORKER,
                     false,
                     {{"job", NAME, false, 0}, {"folder", NAME, false, 0}, {"files", FILES, false, 0}}},
    [WIRE_RING] = {"ring",
                   WIRE_WORKER,
                   false,
                   {{"job", NAME, false, 0}, {"port", INTEGER, false, 65535}, {"key", DIGEST, false, 0}}},
    [WIRE_DONE] = {"done", WIRE_WORKER, false, {{"job", NAME, false, 0}, {"result", OBJECT, false, 0}}},
    [WIRE_FAILED] = {"failed",
                     WIRE_WORKER,
                     false,
                     {{"job", NAME, false, 0},
                      {"code", TEXT, false, 32},
                      {"message", TEXT, false, 0},
                      {"hint", TEXT, true, 0},
                      {"cause", TEXT, true, 0},
                      {"culprit", INTEGER, true, 65535}}},
    [WIRE_BYE] = {"bye", WIRE_WORKER, false, {{"job", NAME, true, 0}, {"reason", TEXT, true, 0}}},
    [WIRE_WELCOME] = {"welcome",
                      WIRE_COORDINATOR,
                      false,
                      {{"protocol", INTEGER, false, 1000}, {"name", TEXT, false, 256}}},
    [WIRE_RUN] = {"run",
                  WIRE_COORDINATOR,
                  false,
                  {{"job", NAME, false, 0},
                   {"spec", OBJECT, false, 0},
                   {"model", FILES, false, 0},
                   {"data", FILES, false, 0},
                   {"resume", FILES, true, 0},
                   {"resume_name", NAME, true, 0},
                   {"best", FILES, true, 0},
                   {"best_name", NAME, true, 0},
                   {"near", OBJECT, true, 0},
                   {"rank", INTEGER, true, 65535},
                   {"size", INTEGER, true, 65535},
                   {"token", TEXT, true, 64},
                   {"loopback", BOOLEAN, true, 0},
                   {"threads", INTEGER, true, 65535},
                   {"beside", INTEGER, true, 65535}}},
    [WIRE_PEERS] = {"peers",
                    WIRE_COORDINATOR,
                    false,
                    {{"job", NAME, false, 0},
                     {"host", TEXT, false, 256},
                     {"port", INTEGER, false, 65535},
                     {"next", DIGEST, false, 0},
                     {"previous", DIGEST, false, 0}}},
    [WIRE_CHUNK] = {"chunk",
                    WIRE_COORDINATOR,
                    true,
                    {{"sha256", DIGEST, false, 0}, {"offset", INTEGER, false, 0}}},
    [WIRE_NOBLOB] = {"noblob",
                     WIRE_COORDINATOR,
                     false,
                     {{"sha256", DIGEST, false, 0}, {"message", TEXT, false, 0}}},
    [WIRE_SAVED] = {"saved",
                    WIRE_COORDINATOR,
                    false,
                    {{"job", NAME, false, 0},
                     {"folder", NAME, false, 0},
                     {"error", TEXT, true, 0},
                     {"code", TEXT, true, 32}}},
    [WIRE_SAVE] = {"save", WIRE_COORDINATOR, false, {{"job", NAME, false, 0}}},
    [WIRE_CANCEL] = {"cancel", WIRE_COORDINATOR, false, {{"job", NAME, false, 0}}},
    [WIRE_RELEASE] = {"release", WIRE_COORDINATOR, false, {{"reason", TEXT, true, 0}}},
};

static const char *const shape_names[] = {"a text",          "an integer",  "a number",
                                          "an object",       "a boolean",   "a SHA-256",
                                          "a relative path", "a file name", "a list of files"};

const char *wire_kind_name(enum wire_kind kind)
{
    return kind < WIRE_KINDS ? types[kind].name : "?";
}

bool wire_is_digest(const char *text)
{
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

bool wire_is_name(const char *text)
{
    size_t n = text ? strlen(text) : 0;

    if (n == 0 || n > WIRE_PATH_MAX || text[0] == '.')
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < 32 || text[i] == 127 || text[i] == '/' || text[i] == '\\')
            return false;
    return true;
}

bool wire_is_path(const char *text)
{
    char part[WIRE_PATH_MAX + 1];

    if (!text || strlen(text) > WIRE_PATH_MAX)
        return false;
    for (;;) {
        size_t n = strcspn(text, "/");
        memcpy(part, text, n);
        part[n] = '\0';
        if (!wire_is_name(part))
            return false;
        if (text[n] == '\0')
            return true;
        text += n + 1;
    }
}

static bool text_fits(const json_t *v, int64_t most)
{
    return json_is_string(v) && json_string_length(v) <= (size_t)(most ? most : TEXT_MOST) &&
           strlen(json_string_value(v)) == json_string_length(v); /* no NUL inside */
}

static bool integer_fits(const json_t *v, int64_t most)
{
    return json_is_integer(v) && json_integer_value(v) >= 0 &&
           json_integer_value(v) <= (most ? most : WIRE_FILE_MAX);
}

static bool fits(const struct field *f, const json_t *v, struct err *err)
{
    switch (f->shape) {
    case TEXT:
        return text_fits(v, f->most);
    case INTEGER:
        return integer_fits(v, f->most);
    case NUMBER:
        return json_is_number(v);
    case OBJECT:
        return json_is_object(v);
    case BOOLEAN:
        return json_is_boolean(v);
    case DIGEST:
        return wire_is_digest(json_string_value(v));
    case PATH:
        return text_fits(v, 0) && wire_is_path(json_string_value(v));
    case NAME:
        return text_fits(v, 0) && wire_is_name(json_string_value(v));
    case FILES:
        return wire_check_manifest(v, FILES_MOST, err) == LC_OK;
    }
    return false;
}

enum lc wire_check_manifest(const json_t *files, size_t most, struct err *err)
{
    size_t i;
    json_t *row;

    if (!json_is_array(files) || json_array_size(files) > most)
        return err_set(err, LC_DATA, "not a list of at most %zu files", most);
    json_array_foreach (files, i, row) {
        const char *path = json_string_value(json_object_get(row, "path"));
        if (!text_fits(json_object_get(row, "path"), 0) || !wire_is_path(path))
            return err_set(err, LC_DATA, "file %zu of a list has no valid path", i);
        if (!integer_fits(json_object_get(row, "size"), 0) ||
            !wire_is_digest(json_string_value(json_object_get(row, "sha256"))))
            return err_set(err, LC_DATA, "file '%s' of a list has no valid size and SHA-256", path);
        for (size_t j = 0; j < i; j++)
            if (strcmp(path, json_string_value(json_object_get(json_array_get(files, j), "path"))) == 0)
                return err_set(err, LC_DATA, "file '%s' is listed twice", path);
    }
    return LC_OK;
}

static enum lc check_fields(const struct wire_type *t, const json_t *head, struct err *err)
{
    for (size_t i = 0; i < FIELDS && t->fields[i].name; i++) {
        const struct field *f = &t->fields[i];
        const json_t *v = json_object_get(head, f->name);
        if (!v && f->optional)
            continue;
        if (!v || !fits(f, v, NULL))
            return err_set(err, LC_DATA, "message '%s' from a peer: '%s' is not %s within its limits",
                           t->name, f->name, shape_names[f->shape]);
    }
    return LC_OK;
}

static enum lc find_type(const json_t *head, enum wire_side from, enum wire_kind *kind, struct err *err)
{
    const char *name = json_string_value(json_object_get(head, "type"));

    for (int i = 0; name && i < WIRE_KINDS; i++)
        if (types[i].from == from && strcmp(types[i].name, name) == 0)
            return *kind = (enum wire_kind)i, LC_OK;
    return err_set(err, LC_DATA, "message from a peer: unknown type '%.40s'", name ? name : "");
}

static enum lc check(const json_t *head, size_t payload_len, enum wire_side from, enum wire_kind *kind,
                     struct err *err)
{
    TRY(find_type(head, from, kind, err));
    if (!types[*kind].payload && payload_len)
        return err_set(err, LC_DATA, "message '%s' from a peer: unexpected payload", types[*kind].name);
    return check_fields(&types[*kind], head, err);
}

/* jansson recurses: a limit of its own on the depth, so that a message cannot use up the stack */
static bool shallow(const char *s, size_t n)
{
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < n; i++) {
        if (quoted) {
            i += s[i] == '\\';
            quoted = i < n && s[i] != '"';
        } else if (s[i] == '"') {
            quoted = true;
        } else if (s[i] == '{' || s[i] == '[') {
            if (++depth > 32)
                return false;
        } else if (s[i] == '}' || s[i] == ']') {
            depth--;
        }
    }
    return true;
}

enum lc wire_parse(const void *head, size_t head_len, const void *payload, size_t payload_len,
                   enum wire_side from, struct wire_msg *out, struct err *err)
{
    json_error_t je;
    enum lc rc;

    *out = (struct wire_msg){0};
    if (head_len > WIRE_HEAD_MAX || payload_len > WIRE_PAYLOAD_MAX)
        return err_set(err, LC_LIMIT, "message from a peer: %zu and %zu bytes are too many", head_len,
                       payload_len);
    if (!head_len || !shallow(head, head_len))
        return err_set(err, LC_PARSE, "message from a peer: not a JSON object of reasonable depth");
    out->head = json_loadb(head, head_len, JSON_REJECT_DUPLICATES, &je);
    if (!out->head)
        return err_set(err, LC_PARSE, "message from a peer: %s", je.text);
    rc = check(out->head, payload_len, from, &out->kind, err);
    if (rc != LC_OK)
        return wire_msg_release(out), rc;
    out->payload = types[out->kind].payload ? payload : NULL;
    out->len = types[out->kind].payload ? payload_len : 0;
    return LC_OK;
}

void wire_msg_release(struct wire_msg *m)
{
    json_decref(m->head);
    *m = (struct wire_msg){0};
}

const char *wire_text(const struct wire_msg *m, const char *name)
{
    const char *s = json_string_value(json_object_get(m->head, name));

    return s ? s : "";
}

int64_t wire_int(const struct wire_msg *m, const char *name)
{
    return json_integer_value(json_object_get(m->head, name));
}
