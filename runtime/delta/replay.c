/* Replay: oldest action first; the last protocol and metaData win, files are known by path and deletion
 * vector. The actions themselves are kept, so that a checkpoint can repeat what this program does not read. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/types.h"
#include "runtime/delta/delta_int.h"
#include <string.h>

struct slot {       /* of the table of files and tombstones */
    char *key;      /* decoded path, and after a NUL-free separator the deletion vector's id; in the arena */
    json_t *action; /* the add or remove; owned */
    bool live;
};

struct delta_replay {
    struct arena *arena;
    json_t *protocol, *metadata; /* owned */
    json_t *txns, *domains;      /* owned: application id → txn, domain → domainMetadata */
    struct slot *slots;          /* in order of their first action */
    size_t n_slots, cap_slots, n_live;
    size_t *index; /* open addressing: slot number + 1, 0 is free */
    size_t index_mask;
};

struct delta_replay *delta_replay_new(void)
{
    struct delta_replay *r = mem_zalloc(sizeof *r);

    if (!r)
        return NULL;
    r->arena = arena_new(0);
    r->txns = json_object();
    r->domains = json_object();
    r->index_mask = 255;
    r->index = mem_calloc(r->index_mask + 1, sizeof *r->index);
    if (r->arena && r->txns && r->domains && r->index)
        return r;
    delta_replay_free(r);
    return NULL;
}

void delta_replay_free(struct delta_replay *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n_slots; i++)
        json_decref(r->slots[i].action);
    mem_free(r->slots);
    mem_free(r->index);
    json_decref(r->protocol);
    json_decref(r->metadata);
    json_decref(r->txns);
    json_decref(r->domains);
    arena_free(r->arena);
    mem_free(r);
}

/* ---- the table of files ---- */
static size_t hash(const char *key)
{
    uint64_t h = UINT64_C(14695981039346656037); /* FNV-1a */

    for (const unsigned char *p = (const unsigned char *)key; *p; p++)
        h = (h ^ *p) * UINT64_C(1099511628211);
    return (size_t)(h ^ (h >> 32));
}

static size_t find_place(const struct delta_replay *r, const char *key)
{
    size_t i = hash(key) & r->index_mask;

    while (r->index[i] && strcmp(r->slots[r->index[i] - 1].key, key) != 0)
        i = (i + 1) & r->index_mask;
    return i;
}

static bool grow_index(struct delta_replay *r)
{
    size_t size = (r->index_mask + 1) * 2;
    size_t *index = mem_calloc(size, sizeof *index);

    if (!index)
        return false;
    mem_free(r->index);
    r->index = index;
    r->index_mask = size - 1;
    for (size_t i = 0; i < r->n_slots; i++)
        r->index[find_place(r, r->slots[i].key)] = i + 1;
    return true;
}

static enum lc put_file(struct delta_replay *r, char *key, const json_t *action, bool live, struct err *err)
{
    size_t place = find_place(r, key);
    struct slot *s;

    if (!r->index[place]) {
        if (r->n_slots == r->cap_slots) {
            size_t cap = r->cap_slots ? r->cap_slots * 2 : 64;
            struct slot *more = mem_reallocn(r->slots, cap, sizeof *more);
            if (!more)
                return err_nomem(err);
            r->slots = more;
            r->cap_slots = cap;
        }
        r->slots[r->n_slots++] = (struct slot){.key = key};
        r->index[place] = r->n_slots;
        s = &r->slots[r->n_slots - 1];
        if (r->n_slots * 2 > r->index_mask && !grow_index(r))
            return err_nomem(err);
    } else {
        s = &r->slots[r->index[place] - 1];
    }
    r->n_live += (size_t)live;
    r->n_live -= (size_t)s->live;
    json_decref(s->action);
    s->action = json_incref((json_t *)action);
    s->live = live;
    return LC_OK;
}

/* ---- single actions ---- */
static enum lc wrong(struct err *err, const char *kind, const char *field, const char *want)
{
    return err_set(err, LC_DATA, "the '%s' of '%s' is not %s", field, kind, want);
}

static enum lc get_text(const json_t *o, const char *kind, const char *field, bool required, const char **out,
                        struct err *err)
{
    const json_t *v = json_object_get(o, field);

    *out = NULL;
    if (!v || json_is_null(v))
        return required ? err_set(err, LC_DATA, "'%s' has no '%s'", kind, field) : LC_OK;
    if (!json_is_string(v) || strlen(json_string_value(v)) != json_string_length(v))
        return wrong(err, kind, field, "a text");
    *out = json_string_value(v);
    return LC_OK;
}

static enum lc get_integer(const json_t *o, const char *kind, const char *field, bool required, int64_t *out,
                           struct err *err)
{
    const json_t *v = json_object_get(o, field);

    if (!v || json_is_null(v))
        return required ? err_set(err, LC_DATA, "'%s' has no '%s'", kind, field) : LC_OK;
    if (!json_is_integer(v))
        return wrong(err, kind, field, "an integer");
    *out = json_integer_value(v);
    return LC_OK;
}

/* What tells two deletion vectors apart (PROTOCOL.md, "Derived Fields"); NULL: none. */
static const char *vector_id(struct arena *a, const json_t *action)
{
    const json_t *dv = json_object_get(action, "deletionVector");
    const char *type = json_string_value(json_object_get(dv, "storageType"));
    const char *path = json_string_value(json_object_get(dv, "pathOrInlineDv"));
    const json_t *offset = json_object_get(dv, "offset");

    if (!type || !path)
        return NULL;
    if (json_is_integer(offset))
        return arena_printf(a, "%s%s@%lld", type, path, (long long)json_integer_value(offset));
    return arena_printf(a, "%s%s", type, path);
}

static bool climbs_out(const char *path)
{
    for (const char *p = path; p && *p; p = strchr(p, '/') ? strchr(p, '/') + 1 : NULL)
        if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
            return true;
    return false;
}

static enum lc file_action(struct delta_replay *r, const char *kind, const json_t *action, bool live,
                           struct err *err)
{
    const json_t *values = json_object_get(action, "partitionValues");
    const char *encoded, *stats, *vector;
    char *path, *key;
    int64_t size = 0;

    TRY(get_text(action, kind, "path", true, &encoded, err));
    TRY(get_text(action, kind, "stats", false, &stats, err));
    TRY(get_integer(action, kind, "size", live, &size, err));
    if (values && !json_is_object(values) && !json_is_null(values))
        return wrong(err, kind, "partitionValues", "an object");
    path = delta_path_decode(r->arena, encoded);
    vector = vector_id(r->arena, action);
    key = vector && path ? arena_printf(r->arena, "%s\n%s", path, vector) : path;
    if (!key)
        return err_nomem(err);
    if (climbs_out(path))
        return err_set(err, LC_DATA, "the path '%s' leads out of the table", path);
    return put_file(r, key, action, live, err);
}

static enum lc on_add(struct delta_replay *r, const json_t *action, struct err *err)
{
    return file_action(r, "add", action, true, err);
}

static enum lc on_remove(struct delta_replay *r, const json_t *action, struct err *err)
{
    return file_action(r, "remove", action, false, err);
}

static void keep(json_t **place, const json_t *value)
{
    json_t *old = *place;

    *place = json_incref((json_t *)value);
    json_decref(old);
}

static enum lc on_protocol(struct delta_replay *r, const json_t *action, struct err *err)
{
    int64_t version = 0;

    TRY(get_integer(action, "protocol", "minReaderVersion", true, &version, err));
    TRY(get_integer(action, "protocol", "minWriterVersion", true, &version, err));
    keep(&r->protocol, action);
    return LC_OK;
}

static enum lc on_metadata(struct delta_replay *r, const json_t *action, struct err *err)
{
    const char *text;
    const json_t *columns = json_object_get(action, "partitionColumns");
    const char *provider = json_string_value(json_object_get(json_object_get(action, "format"), "provider"));
    size_t i;
    const json_t *column;

    TRY(get_text(action, "metaData", "id", true, &text, err));
    TRY(get_text(action, "metaData", "schemaString", true, &text, err));
    if (columns && !json_is_array(columns) && !json_is_null(columns))
        return wrong(err, "metaData", "partitionColumns", "an array");
    json_array_foreach (columns, i, column)
        if (!json_is_string(column))
            return wrong(err, "metaData", "partitionColumns", "an array of texts");
    if (provider && strcmp(provider, "parquet") != 0)
        return err_set(err, LC_UNSUPPORTED, "the table's files are '%s', and only 'parquet' can be read",
                       provider);
    keep(&r->metadata, action);
    return LC_OK;
}

static enum lc keep_by(json_t *map, const json_t *action, const char *kind, const char *field,
                       struct err *err)
{
    const char *name;

    TRY(get_text(action, kind, field, true, &name, err));
    return json_object_set(map, name, (json_t *)action) == 0 ? LC_OK : err_nomem(err);
}

static enum lc on_txn(struct delta_replay *r, const json_t *action, struct err *err)
{
    return keep_by(r->txns, action, "txn", "appId", err);
}

static enum lc on_domain(struct delta_replay *r, const json_t *action, struct err *err)
{
    return keep_by(r->domains, action, "domainMetadata", "domain", err);
}

static enum lc on_sidecar(struct delta_replay *r, const json_t *action, struct err *err)
{
    (void)r, (void)action;
    return err_set(err, LC_UNSUPPORTED, "the checkpoint has sidecar files (table feature 'v2Checkpoint')");
}

enum lc delta_replay_action(void *replay, const json_t *action, struct err *err)
{
    static const struct {
        const char *kind;
        enum lc (*fn)(struct delta_replay *r, const json_t *action, struct err *err);
    } kinds[] = {
        {"add", on_add}, {"remove", on_remove},         {"metaData", on_metadata}, {"protocol", on_protocol},
        {"txn", on_txn}, {"domainMetadata", on_domain}, {"sidecar", on_sidecar},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *value = json_object_get(action, kinds[i].kind);
        if (!value || json_is_null(value))
            continue;
        if (!json_is_object(value))
            return err_set(err, LC_DATA, "'%s' is not an object", kinds[i].kind);
        TRY(kinds[i].fn(replay, value, err));
    }
    return LC_OK; /* commitInfo, cdc and what later protocols add do not change the state */
}

/* ---- the state as actions again ---- */
static enum lc give(delta_action_fn *fn, void *arg, const char *kind, json_t *action, struct err *err)
{
    json_t *line = json_pack("{s:O}", kind, action);
    enum lc rc = line ? fn(arg, line, err) : err_nomem(err);

    json_decref(line);
    return rc;
}

static enum lc give_file(const struct slot *s, int64_t oldest_remove_ms, delta_action_fn *fn, void *arg,
                         struct err *err)
{
    const json_t *when = json_object_get(s->action, "deletionTimestamp");

    if (!s->live && json_integer_value(when) < oldest_remove_ms)
        return LC_OK;
    return give(fn, arg, s->live ? "add" : "remove", s->action, err);
}

enum lc delta_replay_each(const struct delta_replay *r, int64_t oldest_remove_ms, delta_action_fn *fn,
                          void *arg, struct err *err)
{
    const char *key;
    json_t *value;

    TRY(give(fn, arg, "protocol", r->protocol, err));
    TRY(give(fn, arg, "metaData", r->metadata, err));
    json_object_foreach (r->txns, key, value)
        TRY(give(fn, arg, "txn", value, err));
    json_object_foreach (r->domains, key, value)
        TRY(give(fn, arg, "domainMetadata", value, err));
    for (size_t i = 0; i < r->n_slots; i++)
        TRY(give_file(&r->slots[i], oldest_remove_ms, fn, arg, err));
    return LC_OK;
}

/* ---- the snapshot ---- */
static const char *copy(struct arena *a, const json_t *text)
{
    return json_is_string(text) ? arena_strdup(a, json_string_value(text)) : NULL;
}

static const char *const *copy_texts(struct arena *a, const json_t *array, size_t *n)
{
    size_t count = json_array_size(array);
    const char **out = arena_zalloc(a, (count + 1) * sizeof *out);

    *n = 0;
    for (size_t i = 0; out && i < count; i++)
        if ((out[*n] = copy(a, json_array_get(array, i))) != NULL)
            ++*n;
    return out;
}

static void copy_properties(struct delta_snapshot *t, const json_t *configuration)
{
    struct delta_property *out = arena_zalloc(t->arena, (json_object_size(configuration) + 1) * sizeof *out);
    const char *name;
    json_t *value;

    t->properties = out;
    json_object_foreach ((json_t *)configuration, name, value)
        if (out && json_is_string(value))
            out[t->n_properties++] =
                (struct delta_property){arena_strdup(t->arena, name), copy(t->arena, value)};
}

static int64_t rows_of(const char *stats)
{
    json_t *o = stats ? json_loads(stats, 0, NULL) : NULL;
    const json_t *n = json_object_get(o, "numRecords");
    int64_t rows = json_is_integer(n) ? json_integer_value(n) : -1;

    json_decref(o);
    return rows;
}

static bool copy_file(const struct delta_snapshot *t, const char *const *columns, const struct slot *s,
                      struct delta_file *f)
{
    struct arena *a = t->arena;
    const json_t *values = json_object_get(s->action, "partitionValues");
    const char **partitions = arena_zalloc(a, (t->n_partition_columns + 1) * sizeof *partitions);
    const char *newline = strchr(s->key, '\n');

    f->path = newline ? arena_strndup(a, s->key, (size_t)(newline - s->key)) : arena_strdup(a, s->key);
    f->deletion_vector_id = newline ? arena_strdup(a, newline + 1) : NULL;
    f->size = json_integer_value(json_object_get(s->action, "size"));
    f->modified_ms = json_integer_value(json_object_get(s->action, "modificationTime"));
    f->stats = copy(a, json_object_get(s->action, "stats"));
    f->rows = rows_of(f->stats);
    f->partitions = partitions;
    for (size_t i = 0; partitions && i < t->n_partition_columns; i++) {
        const json_t *v = json_object_get(values, columns[i]);
        if (json_string_length(v) > 0) /* an empty text is NULL, too */
            partitions[i] = copy(a, v);
    }
    return f->path && partitions;
}

/* With column mapping, partition values go by the physical names. */
static const char *const *physical_partitions(struct delta_snapshot *t)
{
    const struct dtype *schema = NULL;
    const char **names;

    if (!delta_is_mapped(t))
        return t->partition_columns;
    names = arena_zalloc(t->arena, (t->n_partition_columns + 1) * sizeof *names);
    if (!names || dtype_from_json_text(t->schema_json, strlen(t->schema_json), &schema, NULL) != LC_OK)
        return names ? t->partition_columns
                     : NULL; /* whoever uses the schema will say what is wrong with it */
    for (size_t i = 0; i < t->n_partition_columns; i++) {
        long at = dtype_field_index(schema, t->partition_columns[i]);
        names[i] = at >= 0 ? delta_physical_name(t->arena, &schema->fields[at], true) : NULL;
        if (!names[i])
            names[i] = t->partition_columns[i];
    }
    dtype_unref(schema);
    return names;
}

static bool copy_files(const struct delta_replay *r, struct delta_snapshot *t)
{
    struct delta_file *files = arena_zalloc(t->arena, (r->n_live + 1) * sizeof *files);
    const char *const *columns = t->partition_names = physical_partitions(t);

    if (!files || !columns)
        return false;
    for (size_t i = 0; i < r->n_slots; i++)
        if (r->slots[i].live && !copy_file(t, columns, &r->slots[i], &files[t->n_files++]))
            return false;
    t->files = files;
    return true;
}

static void copy_protocol(struct delta_snapshot *t, const json_t *p)
{
    t->reader_version = (int)json_integer_value(json_object_get(p, "minReaderVersion"));
    t->writer_version = (int)json_integer_value(json_object_get(p, "minWriterVersion"));
    t->reader_features = copy_texts(t->arena, json_object_get(p, "readerFeatures"), &t->n_reader_features);
    t->writer_features = copy_texts(t->arena, json_object_get(p, "writerFeatures"), &t->n_writer_features);
}

static void copy_metadata(struct delta_snapshot *t, const json_t *m)
{
    t->id = copy(t->arena, json_object_get(m, "id"));
    t->name = copy(t->arena, json_object_get(m, "name"));
    t->description = copy(t->arena, json_object_get(m, "description"));
    t->schema_json = copy(t->arena, json_object_get(m, "schemaString"));
    t->created_ms = json_integer_value(json_object_get(m, "createdTime"));
    t->partition_columns =
        copy_texts(t->arena, json_object_get(m, "partitionColumns"), &t->n_partition_columns);
    copy_properties(t, json_object_get(m, "configuration"));
}

enum lc delta_replay_snapshot(struct delta_replay *r, const char *location, int64_t version,
                              int64_t timestamp_ms, struct delta_snapshot **out, struct err *err)
{
    struct arena *a;
    struct delta_snapshot *t;

    *out = NULL;
    if (!r->protocol || !r->metadata)
        return err_set(err, LC_DATA,
                       "cannot open the table '%s': no '%s' in its Delta log up to version %lld", location,
                       r->protocol ? "metaData" : "protocol", (long long)version);
    a = arena_new(0);
    t = a ? arena_zalloc(a, sizeof *t) : NULL;
    if (!t) {
        arena_free(a);
        return err_nomem(err);
    }
    t->arena = a;
    t->location = arena_strdup(a, location);
    t->version = version;
    t->timestamp_ms = timestamp_ms;
    copy_protocol(t, r->protocol);
    copy_metadata(t, r->metadata);
    if (!t->location || !t->id || !t->schema_json || !t->partition_columns || !t->properties ||
        !copy_files(r, t)) {
        arena_free(a);
        return err_nomem(err);
    }
    *out = t;
    return LC_OK;
}

void delta_close(struct delta_snapshot *t)
{
    if (t)
        arena_free(t->arena);
}

const char *delta_property(const struct delta_snapshot *t, const char *name)
{
    for (size_t i = 0; i < t->n_properties; i++)
        if (strcmp(t->properties[i].name, name) == 0)
            return t->properties[i].value;
    return NULL;
}
