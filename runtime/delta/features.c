/* What a table may ask of its readers and writers, and whether that is here. One row per table feature. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/types.h"
#include "runtime/delta/delta_int.h"
#include <string.h>
#include <strings.h>

enum need {
    NEED_NOTHING,    /* reading or writing rows is the same with it */
    NEED_PROPERTY,   /* fine unless a property of that name (or prefix ending in '.') is set */
    NEED_FIELD,      /* fine unless a column has that key in its metadata */
    NEED_NO_VECTORS, /* fine unless a file has a deletion vector */
    NEED_MAPPING,    /* fine unless delta.columnMapping.mode is set to something but "none" */
    NEED_NAMES,      /* fine unless that mode is "id" */
    NEED_SUPPORT     /* not here */
};

struct feature {
    const char *name;
    int reader, writer; /* legacy versions that imply it; 0: none does */
    enum need reading;
    enum need writing;
    const char *key; /* of NEED_PROPERTY, NEED_FIELD */
};

static const struct feature features[] = {
    {"appendOnly", 0, 2, NEED_NOTHING, NEED_NOTHING, NULL}, /* delta_write refuses to remove */
    {"invariants", 0, 2, NEED_NOTHING, NEED_FIELD, "delta.invariants"},
    {"checkConstraints", 0, 3, NEED_NOTHING, NEED_PROPERTY, "delta.constraints."},
    {"changeDataFeed", 0, 4, NEED_NOTHING, NEED_NOTHING, NULL}, /* whole files come and go: no cdc files */
    {"generatedColumns", 0, 4, NEED_NOTHING, NEED_FIELD, "delta.generationExpression"},
    {"columnMapping", 2, 5, NEED_NAMES, NEED_MAPPING, NULL},
    {"identityColumns", 0, 6, NEED_NOTHING, NEED_FIELD, "delta.identity.start"},
    {"timestampNtz", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL},
    {"deletionVectors", 0, 0, NEED_NO_VECTORS, NEED_NO_VECTORS, NULL},
    {"vacuumProtocolCheck", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL},
    {"domainMetadata", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL},
    {"allowColumnDefaults", 0, 0, NEED_NOTHING, NEED_FIELD, "CURRENT_DEFAULT"},
    {"v2Checkpoint", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL}, /* sidecars are refused where they are met */
    {"typeWidening", 0, 0, NEED_SUPPORT, NEED_SUPPORT, NULL},
    {"typeWidening-preview", 0, 0, NEED_SUPPORT, NEED_SUPPORT, NULL},
    {"variantType", 0, 0, NEED_SUPPORT, NEED_SUPPORT, NULL},
    {"rowTracking", 0, 0, NEED_NOTHING, NEED_SUPPORT, NULL},
    {"inCommitTimestamp", 0, 0, NEED_NOTHING, NEED_SUPPORT, NULL},
    {"clustering", 0, 0, NEED_NOTHING, NEED_SUPPORT, NULL},
    {"icebergCompatV1", 0, 0, NEED_NOTHING, NEED_SUPPORT, NULL},
    {"icebergCompatV2", 0, 0, NEED_NOTHING, NEED_SUPPORT, NULL},
};

enum { READER_MAX = 3, WRITER_MAX = 7, READER_FEATURES = 3, WRITER_FEATURES = 7 };

static bool has_vectors(const struct delta_snapshot *t)
{
    for (size_t i = 0; i < t->n_files; i++)
        if (t->files[i].deletion_vector_id)
            return true;
    return false;
}

static bool has_property(const struct delta_snapshot *t, const char *key)
{
    size_t n = strlen(key);
    bool prefix = key[n - 1] == '.';

    for (size_t i = 0; i < t->n_properties; i++)
        if (strncmp(t->properties[i].name, key, n) == 0 && (prefix || t->properties[i].name[n] == '\0'))
            return true;
    return false;
}

/* Keys of field metadata are dotted names that no column name or text of a schema repeats in quotes. */
static bool has_field(const struct delta_snapshot *t, const char *key)
{
    const char *at = strstr(t->schema_json, key);

    return at && at > t->schema_json && at[-1] == '"' && at[strlen(key)] == '"';
}

static bool is_met(const struct delta_snapshot *t, enum need need, const char *key)
{
    const char *mode = delta_property(t, "delta.columnMapping.mode");

    switch (need) {
    case NEED_NOTHING:
        return true;
    case NEED_PROPERTY:
        return !has_property(t, key);
    case NEED_FIELD:
        return !has_field(t, key);
    case NEED_NO_VECTORS:
        return !has_vectors(t);
    case NEED_MAPPING:
        return !mode || strcmp(mode, "none") == 0;
    case NEED_NAMES:
        return !mode || strcmp(mode, "none") == 0 || strcmp(mode, "name") == 0;
    case NEED_SUPPORT:
        return false;
    }
    return false;
}

static enum lc refuse(const struct delta_snapshot *t, const char *verb, const char *feature, struct err *err)
{
    err_set(err, LC_UNSUPPORTED, "cannot %s the table '%s': it uses the Delta table feature '%s'", verb,
            t->location, feature);
    return err_hint(err, "drop the feature with the program that made the table, or copy the rows to a table "
                         "without it");
}

static const struct feature *find(const char *name)
{
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (strcmp(features[i].name, name) == 0)
            return &features[i];
    return NULL;
}

static enum lc check_list(const struct delta_snapshot *t, const char *verb, const char *const *names,
                          size_t n, bool writing, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        const struct feature *f = find(names[i]);
        if (!f || !is_met(t, writing ? f->writing : f->reading, f->key))
            return refuse(t, verb, names[i], err);
    }
    return LC_OK;
}

static enum lc check_legacy(const struct delta_snapshot *t, const char *verb, bool writing, struct err *err)
{
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        const struct feature *f = &features[i];
        int since = writing ? f->writer : f->reader;
        if (since && since <= (writing ? t->writer_version : t->reader_version) &&
            !is_met(t, writing ? f->writing : f->reading, f->key))
            return refuse(t, verb, f->name, err);
    }
    return LC_OK;
}

enum lc delta_check_reader(const struct delta_snapshot *t, struct err *err)
{
    if (t->reader_version > READER_MAX || t->reader_version < 1)
        return err_set(
            err, LC_UNSUPPORTED,
            "cannot read the table '%s': it asks for Delta reader version %d, and this program has "
            "versions 1 to %d",
            t->location, t->reader_version, READER_MAX);
    if (has_vectors(t)) /* whatever the protocol says: their rows must not come back */
        return refuse(t, "read", "deletionVectors", err);
    if (t->reader_version == READER_FEATURES)
        return check_list(t, "read", t->reader_features, t->n_reader_features, false, err);
    return check_legacy(t, "read", false, err);
}

enum lc delta_check_writer(const struct delta_snapshot *t, struct err *err)
{
    if (t->writer_version > WRITER_MAX || t->writer_version < 1)
        return err_set(
            err, LC_UNSUPPORTED,
            "cannot write to the table '%s': it asks for Delta writer version %d, and this program "
            "has versions 1 to %d",
            t->location, t->writer_version, WRITER_MAX);
    if (t->writer_version == WRITER_FEATURES)
        return check_list(t, "write to", t->writer_features, t->n_writer_features, true, err);
    return check_legacy(t, "write to", true, err);
}

/* ---- the protocol of a table that this program makes or changes ---- */
static bool has_type(const struct dtype *t, enum dtype_id id)
{
    if (!t)
        return false;
    if (t->id == id || has_type(t->key, id) || has_type(t->element, id))
        return true;
    for (size_t i = 0; i < t->n_fields; i++)
        if (has_type(t->fields[i].type, id))
            return true;
    return false;
}

/* Properties of Delta that change nothing this program would have to do, or that it does. */
static const struct {
    const char *name;
    int writer; /* the legacy version that it needs when it is "true" */
} known_properties[] = {
    {"delta.appendOnly", 2},
    {"delta.enableChangeDataFeed", 4},
    {"delta.checkpointInterval", 0},
    {"delta.logRetentionDuration", 0},
    {"delta.deletedFileRetentionDuration", 0},
    {"delta.dataSkippingNumIndexedCols", 0},
    {"delta.autoOptimize.autoCompact", 0},
    {"delta.autoOptimize.optimizeWrite", 0},
    {"delta.targetFileSize", 0},
    {"delta.tuneFileSizesForRewrites", 0},
};

static enum lc writer_of(const struct delta_property *p, int *writer, struct err *err)
{
    if (strncmp(p->name, "delta.", 6) != 0)
        return LC_OK;
    for (size_t i = 0; i < sizeof known_properties / sizeof *known_properties; i++)
        if (strcasecmp(known_properties[i].name, p->name) == 0) {
            if (strcasecmp(p->value, "true") == 0 && known_properties[i].writer > *writer)
                *writer = known_properties[i].writer;
            return LC_OK;
        }
    return err_set(err, LC_UNSUPPORTED, "cannot set the table property '%s': its feature is not supported",
                   p->name);
}

static bool add_text(json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (strcmp(json_string_value(json_array_get(array, i)), text) == 0)
            return true;
    return json_array_append_new(array, json_string(text)) == 0;
}

/* Version 3/7 with the features that t had by name or by its legacy versions. */
static json_t *with_feature(const struct delta_snapshot *t, int writer, const char *feature)
{
    json_t *readers = json_array(), *writers = json_array();
    int old_reader = t ? t->reader_version : 1, old_writer = t ? t->writer_version : writer;
    bool ok = readers && writers && add_text(readers, feature) && add_text(writers, feature);

    for (size_t i = 0; ok && i < sizeof features / sizeof *features; i++) {
        const struct feature *f = &features[i];
        if (f->reader && f->reader <= old_reader && old_reader < READER_FEATURES)
            ok = add_text(readers, f->name);
        if (f->writer && f->writer <= old_writer && old_writer < WRITER_FEATURES)
            ok = ok && add_text(writers, f->name);
    }
    for (size_t i = 0; ok && t && i < t->n_reader_features; i++)
        ok = add_text(readers, t->reader_features[i]);
    for (size_t i = 0; ok && t && i < t->n_writer_features; i++)
        ok = add_text(writers, t->writer_features[i]);
    if (ok)
        return json_pack("{s:i,s:i,s:o,s:o}", "minReaderVersion", READER_FEATURES, "minWriterVersion",
                         WRITER_FEATURES, "readerFeatures", readers, "writerFeatures", writers);
    json_decref(readers);
    json_decref(writers);
    return NULL;
}

static bool has_feature(const struct delta_snapshot *t, const char *name)
{
    for (size_t i = 0; t && i < t->n_writer_features; i++)
        if (strcmp(t->writer_features[i], name) == 0)
            return true;
    return false;
}

enum lc delta_protocol_for(const struct delta_snapshot *t, const struct dtype *schema,
                           const struct delta_property *properties, size_t n_properties, json_t **out,
                           struct err *err)
{
    int writer = 2;

    *out = NULL;
    for (size_t i = 0; i < n_properties; i++)
        TRY(writer_of(&properties[i], &writer, err));
    if (has_type(schema, DTYPE_TIMESTAMP_NTZ) && !has_feature(t, "timestampNtz"))
        *out = with_feature(t, writer, "timestampNtz");
    else if (!t)
        *out = json_pack("{s:i,s:i}", "minReaderVersion", 1, "minWriterVersion", writer);
    else
        return LC_OK;
    return *out ? LC_OK : err_nomem(err);
}
