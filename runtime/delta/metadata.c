/* The metaData action, and column mapping: names that users see are not those in the files (PROTOCOL.md, "Column
 * Mapping"). */
#include "runtime/base/clock.h"
#include "runtime/base/mem.h"
#include "runtime/dataframe/types.h"
#include "runtime/delta/delta_int.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAPPING_ID   "delta.columnMapping.id"
#define MAPPING_NAME "delta.columnMapping.physicalName"
#define MAX_ID       "delta.columnMapping.maxColumnId"

json_t *delta_text_array(const char *const *texts, size_t n)
{
    json_t *out = json_array();

    for (size_t i = 0; out && i < n; i++)
        if (json_array_append_new(out, json_string(texts[i])) != 0) {
            json_decref(out);
            return NULL;
        }
    return out;
}

bool delta_set_json_text(json_t *o, const char *key, json_t *value)
{
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    bool ok = text && json_object_set_new(o, key, json_string(text)) == 0;

    free(text);
    json_decref(value);
    return ok;
}

json_t *delta_metadata_action(const struct delta_metadata *m)
{
    char id[UUID_TEXT];
    char *schema = dtype_json_text(m->schema);
    const struct delta_snapshot *t = m->table;
    json_t *out = NULL;

    uuid_make(id);
    if (schema)
        out = json_pack("{s:s,s:{s:s,s:{}},s:s,s:o?,s:O,s:I}", "id", t ? t->id : id, "format", "provider",
                        "parquet", "options", "schemaString", schema, "partitionColumns",
                        delta_text_array(m->partition_columns, m->n_partition_columns), "configuration",
                        m->configuration, "createdTime",
                        (json_int_t)(t && t->created_ms ? t->created_ms : clock_wall_ms()));
    mem_free(schema);
    if (out && m->name)
        json_object_set_new(out, "name", json_string(m->name));
    if (out && m->description)
        json_object_set_new(out, "description", json_string(m->description));
    return out;
}

bool delta_metadata_is_mapped(const json_t *configuration)
{
    const char *mode = json_string_value(json_object_get(configuration, "delta.columnMapping.mode"));

    return mode && strcasecmp(mode, "none") != 0;
}

/* ---- ids and physical names ---- */
struct mapping {
    bool own_names, off;
    int64_t max_id;
};

static const struct dtype *map_type(struct mapping *m, const struct dtype *t, bool top);

static bool set_names(struct mapping *m, json_t *o, const char *name, bool top)
{
    char id[UUID_TEXT], fresh[UUID_TEXT + 8];

    if (json_is_integer(json_object_get(o, MAPPING_ID)) && json_is_string(json_object_get(o, MAPPING_NAME)))
        return true;
    uuid_make(id);
    snprintf(fresh, sizeof fresh, "col-%s", id);
    return json_object_set_new(o, MAPPING_ID, json_integer((json_int_t)++m->max_id)) == 0 &&
           json_object_set_new(o, MAPPING_NAME, json_string(m->own_names || !top ? name : fresh)) == 0;
}

/* The field's metadata with its mapping, or without any; an empty text when there is none, NULL without memory. */
static char *field_metadata(struct mapping *m, const struct dfield *f, bool top)
{
    json_t *o = f->metadata ? json_loads(f->metadata, 0, NULL) : NULL;
    char *text = NULL;
    bool ok = true;

    if (!json_is_object(o)) {
        json_decref(o);
        o = json_object();
    }
    if (m->off)
        json_object_del(o, MAPPING_ID), json_object_del(o, MAPPING_NAME);
    else
        ok = o && set_names(m, o, f->name, top);
    if (ok && json_object_size(o) == 0)
        text = strdup("");
    else if (ok)
        text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}

static const struct dtype *map_struct(struct mapping *m, const struct dtype *t, bool top)
{
    const struct dtype *out = dtype_struct_new(t->n_fields);

    for (size_t i = 0; i < t->n_fields; i++) {
        char *metadata = field_metadata(m, &t->fields[i], top);
        const struct dtype *type = metadata ? map_type(m, t->fields[i].type, false) : NULL;

        if (!type) {
            free(metadata);
            dtype_unref(out);
            return NULL;
        }
        out = dtype_struct_add(out, t->fields[i].name, type, t->fields[i].nullable,
                               *metadata ? metadata : NULL);
        free(metadata);
    }
    return out;
}

static const struct dtype *map_type(struct mapping *m, const struct dtype *t, bool top)
{
    switch (t->id) {
    case DTYPE_STRUCT:
        return map_struct(m, t, top);
    case DTYPE_ARRAY:
        return dtype_array(map_type(m, t->element, false), t->contains_null);
    case DTYPE_MAP: {
        const struct dtype *key = map_type(m, t->key, false);

        return dtype_map(key, map_type(m, t->element, false), t->contains_null);
    }
    default:
        return dtype_ref(t);
    }
}

static void find_max(const struct dtype *t, int64_t *max)
{
    if (t->element)
        find_max(t->element, max);
    if (t->key)
        find_max(t->key, max);
    for (size_t i = 0; i < t->n_fields; i++) {
        json_t *o = t->fields[i].metadata ? json_loads(t->fields[i].metadata, 0, NULL) : NULL;
        json_int_t id = json_integer_value(json_object_get(o, MAPPING_ID));

        *max = id > *max ? id : *max;
        json_decref(o);
        find_max(t->fields[i].type, max);
    }
}

enum lc delta_mapping_complete(const struct dtype *schema, json_t *configuration, bool own_names,
                               const struct dtype **out, struct err *err)
{
    const char *before = json_string_value(json_object_get(configuration, MAX_ID));
    struct mapping m = {.own_names = own_names, .off = !delta_metadata_is_mapped(configuration)};
    char text[32];

    m.max_id = before ? strtoll(before, NULL, 10) : 0;
    find_max(schema, &m.max_id);
    *out = map_type(&m, schema, true);
    if (!*out)
        return err_nomem(err);
    if (m.off)
        return LC_OK;
    snprintf(text, sizeof text, "%lld", (long long)m.max_id);
    if (json_object_set_new(configuration, MAX_ID, json_string(text)) == 0 &&
        json_object_set_new(configuration, "delta.columnMapping.mode", json_string("name")) == 0)
        return LC_OK;
    dtype_unref(*out);
    *out = NULL;
    return err_nomem(err);
}

const struct dtype *delta_mapping_physical(const struct dtype *schema, bool mapped)
{
    struct arena *a = arena_new(0);
    const struct dtype *out = a ? dtype_struct_new(schema->n_fields) : NULL;

    for (size_t i = 0; out && i < schema->n_fields; i++) {
        const struct dfield *f = &schema->fields[i];
        const char *name = delta_physical_name(a, f, mapped);

        if (!name) {
            dtype_unref(out);
            out = NULL;
            break;
        }
        out = dtype_struct_add(out, name, dtype_ref(f->type), f->nullable, f->metadata);
    }
    arena_free(a);
    return out;
}

const int64_t *delta_mapping_ids(struct arena *a, const struct dtype *schema, bool mapped)
{
    int64_t *ids = mapped ? arena_zalloc(a, (schema->n_fields + 1) * sizeof *ids) : NULL;

    for (size_t i = 0; ids && i < schema->n_fields; i++) {
        json_t *o = schema->fields[i].metadata ? json_loads(schema->fields[i].metadata, 0, NULL) : NULL;

        ids[i] = json_integer_value(json_object_get(o, MAPPING_ID));
        json_decref(o);
    }
    return ids;
}
