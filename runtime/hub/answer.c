#include "runtime/hub/answer.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- names ----------------------------------------------------------------------------------------------- */

static bool part_ok(const char *part, size_t len)
{
    if (len == 0 || len > 255 || (len == 1 && part[0] == '.') || (len == 2 && memcmp(part, "..", 2) == 0))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)part[i] < 0x20 || part[i] == 0x7f || part[i] == '\\')
            return false;
    return true;
}

bool hub_name_ok(const char *name)
{
    if (strlen(name) > HUB_NAME_MOST)
        return false;
    for (const char *p = name;; p++) {
        size_t len = strcspn(p, "/");
        if (!part_ok(p, len))
            return false;
        p += len;
        if (!*p)
            return true;
    }
}

static bool all_of(const char *s, size_t len, const char *more)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)s[i]) && !strchr(more, s[i]))
            return false;
    return true;
}

bool hub_is_sha(const char *text)
{
    return strlen(text) == 40 && strspn(text, "0123456789abcdef") == 40;
}

/* Hugging Face's rule: letters, digits, "-_."; neither "--" nor ".." (the cache's folders are named by it). */
bool hub_id_ok(const char *id)
{
    const char *slash = strchr(id, '/');
    size_t len = strlen(id);

    if (len == 0 || len > 200 || strstr(id, "--") || strstr(id, "..") || !all_of(id, len, "-_./"))
        return false;
    if (slash && (slash == id || !slash[1] || strchr(slash + 1, '/')))
        return false;
    const char *name = slash ? slash + 1 : id;
    return !strchr("-.", id[0]) && !strchr("-.", name[0]) && !strchr("-.", id[len - 1]);
}

/* git's rule for names of branches, as far as it matters here. */
bool hub_revision_ok(const char *revision)
{
    return strlen(revision) <= 200 && hub_name_ok(revision) && !strstr(revision, "..") &&
           !strpbrk(revision, " ~^:?*[");
}

/* ---- JSON ------------------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void hub_listing_release(struct hub_listing *l)
{
    for (size_t i = 0; i < l->n; i++)
        mem_free(l->names[i]);
    mem_free(l->names);
    *l = (struct hub_listing){.n = 0};
}

bool hub_listing_has(const struct hub_listing *l, const char *name)
{
    return l->n && bsearch(&name, l->names, l->n, sizeof *l->names, by_name) != NULL;
}

static enum lc add_name(struct hub_listing *l, const json_t *name, struct err *err)
{
    const char *s = json_string_value(name);

    if (!s)
        return err_set(err, LC_DATA, "the answer has a file without a name");
    if (json_string_length(name) != strlen(s) || !hub_name_ok(s))
        return err_set(err, LC_DATA, "the answer names a file '%.200s', which would leave its folder", s);
    l->names[l->n] = mem_strdup(s);
    if (!l->names[l->n])
        return err_nomem(err);
    l->n++;
    return LC_OK;
}

static enum lc room_for(struct hub_listing *l, size_t n, struct err *err)
{
    if (n > HUB_FILES_MOST)
        return err_set(err, LC_LIMIT, "the answer names %zu files: at most %d are read", n, HUB_FILES_MOST);
    l->names = mem_calloc(n + 1, sizeof *l->names);
    return l->names ? LC_OK : err_nomem(err);
}

/* Sorted, each once. */
static void order(struct hub_listing *l)
{
    size_t kept = 0;

    qsort(l->names, l->n, sizeof *l->names, by_name);
    for (size_t i = 0; i < l->n; i++) {
        if (kept && strcmp(l->names[kept - 1], l->names[i]) == 0)
            mem_free(l->names[i]);
        else
            l->names[kept++] = l->names[i];
    }
    l->n = kept;
}

static enum lc read_json(const char *text, size_t len, const char *what, json_t **out, struct err *err)
{
    json_error_t bad;

    *out = json_loadb(text, len, 0, &bad);
    if (json_is_object(*out))
        return LC_OK;
    if (*out)
        return err_set(err, LC_DATA, "%s is not a JSON object", what);
    return err_set(err, LC_DATA, "%s is not JSON: %s", what, bad.text);
}

static enum lc read_listing(const json_t *top, struct hub_listing *out, struct err *err)
{
    const char *sha = json_string_value(json_object_get(top, "sha"));
    const json_t *files = json_object_get(top, "siblings"), *file;
    size_t i;

    if (!sha || !hub_is_sha(sha))
        return err_set(err, LC_DATA, "the answer has no commit ('sha')");
    memcpy(out->sha, sha, HUB_SHA);
    if (!json_is_array(files))
        return err_set(err, LC_DATA, "the answer has no list of files ('siblings')");
    TRY(room_for(out, json_array_size(files), err));
    json_array_foreach (files, i, file)
        TRY(add_name(out, json_object_get(file, "rfilename"), err));
    order(out);
    return LC_OK;
}

enum lc hub_listing_parse(const char *text, size_t len, struct hub_listing *out, struct err *err)
{
    json_t *top = NULL;
    enum lc rc = read_json(text, len, "the answer", &top, err);

    *out = (struct hub_listing){.n = 0};
    if (rc == LC_OK)
        rc = read_listing(top, out, err);
    json_decref(top);
    if (rc != LC_OK)
        hub_listing_release(out);
    return rc;
}

static enum lc read_index(json_t *top, struct hub_listing *out, struct err *err)
{
    json_t *map = json_object_get(top, "weight_map"), *file;
    const char *tensor, *before = "";
    size_t n = 0;

    if (!json_is_object(map))
        return err_set(err, LC_DATA, "the index of the weights has no 'weight_map'");
    json_object_foreach (map, tensor, file) { /* the tensors of one file mostly follow each other */
        n += !json_is_string(file) || strcmp(before, json_string_value(file)) != 0 ? 1 : 0;
        before = json_is_string(file) ? json_string_value(file) : "";
    }
    TRY(room_for(out, n, err));
    before = "";
    json_object_foreach (map, tensor, file) {
        if (json_is_string(file) && strcmp(before, json_string_value(file)) == 0)
            continue;
        TRY(add_name(out, file, err));
        before = json_string_value(file);
        if (strchr(before, '/'))
            return err_set(err, LC_DATA, "the index of the weights names '%.200s', in another folder",
                           before);
    }
    order(out);
    return LC_OK;
}

enum lc hub_index_parse(const char *text, size_t len, struct hub_listing *out, struct err *err)
{
    json_t *top = NULL;
    enum lc rc = read_json(text, len, "the index of the weights", &top, err);

    *out = (struct hub_listing){.n = 0};
    if (rc == LC_OK)
        rc = read_index(top, out, err);
    json_decref(top);
    if (rc != LC_OK)
        hub_listing_release(out);
    return rc;
}

/* ---- heads ----------------------------------------------------------------------------------------------- */

const char *hub_field(const char *fields, const char *name, size_t *len)
{
    size_t n = strlen(name);

    for (const char *p = fields; *p;) {
        size_t line = strcspn(p, "\r\n");
        if (line > n && p[n] == ':' && strncasecmp(p, name, n) == 0) {
            const char *v = p + n + 1, *end = p + line;
            while (v < end && (*v == ' ' || *v == '\t'))
                v++;
            while (end > v && (end[-1] == ' ' || end[-1] == '\t'))
                end--;
            *len = (size_t)(end - v);
            return v;
        }
        p += line;
        p += strspn(p, "\r\n");
    }
    return NULL;
}

static bool field_number(const char *fields, const char *name, int64_t *out)
{
    size_t len;
    const char *v = hub_field(fields, name, &len);

    *out = 0;
    if (!v || len == 0 || len > 18)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)v[i]))
            return false;
        *out = *out * 10 + (v[i] - '0');
    }
    return true;
}

/* W/"abc" and "abc" are abc. */
static bool plain_etag(const char *v, size_t len, char out[HUB_ETAG])
{
    if (len > 2 && memcmp(v, "W/", 2) == 0) {
        v += 2;
        len -= 2;
    }
    if (len >= 2 && v[0] == '"' && v[len - 1] == '"') {
        v++;
        len -= 2;
    }
    if (len == 0 || len >= HUB_ETAG || !all_of(v, len, "-_.") || v[0] == '.')
        return false;
    memcpy(out, v, len);
    out[len] = '\0';
    return true;
}

enum lc hub_head_parse(const char *fields, bool redirects, struct hub_head *out, struct err *err)
{
    size_t len;
    const char *v = hub_field(fields, "X-Repo-Commit", &len);

    *out = (struct hub_head){.size = -1};
    if (v && len == HUB_SHA - 1)
        memcpy(out->commit, v, len);
    if (!hub_is_sha(out->commit))
        return err_set(err, LC_DATA, "the answer does not tell the commit (X-Repo-Commit)");
    v = hub_field(fields, "X-Linked-Etag", &len);
    if (!v)
        v = hub_field(fields, "ETag", &len);
    if (!v || !plain_etag(v, len, out->etag))
        return err_set(err, LC_DATA, "the answer does not tell what the file's content is (ETag)");
    if (!field_number(fields, "X-Linked-Size", &out->size) &&
        (redirects || !field_number(fields, "Content-Length", &out->size)))
        out->size = -1;
    return LC_OK;
}

int64_t hub_range_begin(const char *fields)
{
    size_t len;
    const char *v = hub_field(fields, "Content-Range", &len);
    int64_t begin = 0;

    if (!v || len < 8 || strncasecmp(v, "bytes ", 6) != 0 || !isdigit((unsigned char)v[6]))
        return -1;
    for (v += 6; isdigit((unsigned char)*v); v++) {
        if (begin > INT64_MAX / 100)
            return -1;
        begin = begin * 10 + (*v - '0');
    }
    return *v == '-' ? begin : -1;
}
