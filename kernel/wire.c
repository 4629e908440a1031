#include "kernel/wire.h"
#include "kernel/seen.h"
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/base/sha256.h"
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { DIGEST = SHA256_BYTES, SESSION_DIGITS = 32 };

struct kwire {
    struct hmac256 keyed;
    bool has_key;
    char session[SESSION_DIGITS + 1];
    atomic_ulong sequence;
    pthread_mutex_t lock; /* of seen */
    struct seen seen;
};

enum lc kwire_open(const char *key, size_t len, struct kwire **out, struct err *err)
{
    struct kwire *w = mem_zalloc(sizeof *w);

    if (!w)
        return err_nomem(err);
    if (sodium_init() < 0) {
        mem_free(w);
        return err_set(err, LC_INTERNAL, "cannot prepare libsodium");
    }
    hmac256_key(&w->keyed, key, len);
    w->has_key = len > 0;
    hex_make(w->session, SESSION_DIGITS);
    pthread_mutex_init(&w->lock, NULL);
    *out = w;
    return LC_OK;
}

void kwire_close(struct kwire *w)
{
    if (!w)
        return;
    seen_release(&w->seen);
    pthread_mutex_destroy(&w->lock);
    sodium_memzero(w, sizeof *w);
    mem_free(w);
}

const char *kwire_session(const struct kwire *w)
{
    return w->session;
}

static void digest(const struct kwire *w, const struct kwire_part parts[WIRE_SIGNED_PARTS],
                   unsigned char out[DIGEST])
{
    struct hmac256_part all[WIRE_SIGNED_PARTS];

    for (int i = 0; i < WIRE_SIGNED_PARTS; i++)
        all[i] = (struct hmac256_part){parts[i].data, parts[i].len};
    hmac256_sign(&w->keyed, all, WIRE_SIGNED_PARTS, out);
}

void kwire_sign(const struct kwire *w, const struct kwire_part parts[WIRE_SIGNED_PARTS],
                char out[WIRE_SIGNATURE])
{
    unsigned char bytes[DIGEST];

    out[0] = '\0';
    if (!w->has_key)
        return;
    digest(w, parts, bytes);
    sodium_bin2hex(out, WIRE_SIGNATURE, bytes, DIGEST);
}

bool kwire_header(struct kwire *w, const char *type, struct buf *out)
{
    char date[ISO_TEXT];

    clock_iso(clock_wall_ms(), date);
    buf_printf(out, "{\"msg_id\":\"%s_%d_%lu\",\"msg_type\":", w->session, (int)getpid(),
               atomic_fetch_add(&w->sequence, 1));
    buf_json(out, type, strlen(type));
    return buf_printf(out, ",\"username\":\"lacus\",\"session\":\"%s\",\"date\":\"%s\",\"version\":\"5.5\"}",
                      w->session, date);
}

static enum lc authenticate(struct kwire *w, const struct kwire_part *signature,
                            const struct kwire_part parts[WIRE_SIGNED_PARTS], struct err *err)
{
    unsigned char want[DIGEST], got[DIGEST];
    size_t n = 0;
    bool again;

    if (!w->has_key)
        return LC_OK;
    if (signature->len != 2 * DIGEST ||
        sodium_hex2bin(got, sizeof got, signature->data, signature->len, NULL, &n, NULL) != 0 || n != DIGEST)
        return err_set(err, LC_AUTH, "message without a signature");
    digest(w, parts, want);
    if (sodium_memcmp(want, got, DIGEST) != 0)
        return err_set(err, LC_AUTH, "message with a wrong signature");
    pthread_mutex_lock(&w->lock);
    again = seen_add(&w->seen, want);
    pthread_mutex_unlock(&w->lock);
    return again ? err_set(err, LC_AUTH, "message that was received before") : LC_OK;
}

/* jansson recurses, and so do those who walk what it made: the depth is counted before anything is parsed. */
static bool shallow(const char *text, size_t len)
{
    int depth = 0;
    bool quoted = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if ((c == '{' || c == '[') && ++depth > WIRE_DEPTH_MAX) {
            return false;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}

static enum lc parse_object(const struct kwire_part *part, const char *what, json_t **out, struct err *err)
{
    json_error_t where;

    if (!shallow(part->data, part->len))
        return err_set(err, LC_LIMIT, "message %s is nested more than %d levels deep", what, WIRE_DEPTH_MAX);
    *out = json_loadb(part->data, part->len, JSON_ALLOW_NUL, &where);
    if (!*out)
        return err_set(err, LC_PARSE, "message %s is not JSON: %s at byte %d", what, where.text,
                       where.position);
    if (!json_is_object(*out)) {
        json_decref(*out);
        *out = NULL;
        return err_set(err, LC_PARSE, "message %s is not a JSON object", what);
    }
    return LC_OK;
}

/* Most messages have an empty parent_header and metadata: those are not worth a parse. Clients that have none send null. */
static enum lc parse_optional(const struct kwire_part *part, const char *what, json_t **out, struct err *err)
{
    if ((part->len == 2 && memcmp(part->data, "{}", 2) == 0) ||
        (part->len == 4 && memcmp(part->data, "null", 4) == 0))
        return LC_OK;
    return parse_object(part, what, out, err);
}

static const char *text_of(json_t *object, const char *member)
{
    const char *text = json_string_value(json_object_get(object, member));
    return text ? text : "";
}

static enum lc parse_header(struct kwire_message *m, struct err *err)
{
    const char *type;

    TRY(parse_object(&m->header_text, "header", &m->header, err));
    type = text_of(m->header, "msg_type");
    m->id = text_of(m->header, "msg_id");
    m->session = text_of(m->header, "session");
    m->date = text_of(m->header, "date");
    m->subshell = text_of(m->header, "subshell_id");
    if (type[0] == '\0')
        return err_set(err, LC_PARSE, "message header has no msg_type");
    if (strlen(type) > WIRE_TYPE_MAX)
        return err_set(err, LC_LIMIT, "msg_type is longer than %d bytes", WIRE_TYPE_MAX);
    m->type = type;
    return LC_OK;
}

static enum lc find_delimiter(const struct kwire_part *parts, size_t n, size_t *at, struct err *err)
{
    for (size_t i = 0; i < n && i <= WIRE_IDS_MAX; i++)
        if (parts[i].len == sizeof WIRE_DELIMITER - 1 &&
            memcmp(parts[i].data, WIRE_DELIMITER, parts[i].len) == 0)
            return *at = i, LC_OK;
    return err_set(err, LC_PARSE, "message without a delimiter");
}

enum lc kwire_parse(struct kwire *w, const struct kwire_part *parts, size_t n, struct kwire_message *out,
                    struct err *err)
{
    const struct kwire_part *body;
    size_t at = 0, total = 0;

    *out = (struct kwire_message){.id = "", .session = "", .date = "", .subshell = ""};
    for (size_t i = 0; i < n; i++)
        total += parts[i].len;
    if (n > WIRE_PARTS_MAX || total > WIRE_BYTES_MAX)
        return err_set(err, LC_LIMIT, "message of %zu frames and %zu bytes is over the limit", n, total);
    TRY(find_delimiter(parts, n, &at, err));
    if (n - at < 2 + WIRE_SIGNED_PARTS)
        return err_set(err, LC_PARSE, "message of %zu frames is not complete", n);
    body = parts + at + 2;
    TRY(authenticate(w, parts + at + 1, body, err));
    out->ids = parts;
    out->n_ids = at;
    out->header_text = body[0];
    out->buffers = body + WIRE_SIGNED_PARTS;
    out->n_buffers = n - at - 2 - WIRE_SIGNED_PARTS;
    TRY(parse_header(out, err));
    TRY(parse_optional(&body[1], "parent_header", &out->parent, err));
    TRY(parse_optional(&body[2], "metadata", &out->metadata, err));
    TRY(parse_optional(&body[3], "content", &out->content, err));
    if (!out->content)
        out->content = json_object();
    return out->content ? LC_OK : err_nomem(err);
}

void kwire_message_release(struct kwire_message *m)
{
    json_decref(m->header);
    json_decref(m->parent);
    json_decref(m->metadata);
    json_decref(m->content);
    *m = (struct kwire_message){0};
}
