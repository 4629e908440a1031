/* What a table may ask of its readers and writers, and whether that is here. One row per table feature. */
#include "runtime/base/mem.h"
#include "runtime/dataframe/types.h"
#include "runtime/delta/delta_int.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum need {
    NEED_NOTHING,    /* reading or writing rows is the same with it */
    NEED_PROPERTY,   /* fine unless a property of that name (or prefix ending in '.') is set */
    NEED_FIELD,      /* fine unless a column has that key in its metadata */
    NEED_NO_VECTORS, /* fine unless a file has a deletion vector */
    NEED_NAMES,      /* fine unless delta.columnMapping.mode is "id" */
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
    {"columnMapping", 2, 5, NEED_NAMES, NEED_NAMES, NULL},
    {"identityColumns", 0, 6, NEED_NOTHING, NEED_FIELD, "delta.identity.start"},
    {"timestampNtz", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL},
    {"deletionVectors", 0, 0, NEED_NO_VECTORS, NEED_NO_VECTORS, NULL},
    {"vacuumProtocolCheck", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL},
    {"domainMetadata", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL},
    {"allowColumnDefaults", 0, 0, NEED_NOTHING, NEED_FIELD, "CURRENT_DEFAULT"},
    {"v2Checkpoint", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL}, /* sidecars are refused where they are met */
    {"typeWidening", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL}, /* a scan casts what files have */
    {"typeWidening-preview", 0, 0, NEED_NOTHING, NEED_NOTHING, NULL},
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
static const struct property {
    const char *name;
    const char *feature; /* that it needs when it is "true" (delta.columnMapping.mode: "name"); NULL: none */
    bool only_off;       /* "true" would ask for what is not here */
} known_properties[] = {
    {"delta.appendOnly", "appendOnly", false},
    {"delta.enableChangeDataFeed", "changeDataFeed", false},
    {"delta.columnMapping.mode", "columnMapping", false},
    {"delta.columnMapping.maxColumnId", NULL, false},
    {"delta.enableTypeWidening", "typeWidening", false},
    {"delta.checkpointInterval", NULL, false},
    {"delta.logRetentionDuration", NULL, false},
    {"delta.deletedFileRetentionDuration", NULL, false},
    {"delta.dataSkippingNumIndexedCols", NULL, false},
    {"delta.autoOptimize.autoCompact", NULL, false},
    {"delta.autoOptimize.optimizeWrite", NULL, false},
    {"delta.targetFileSize", NULL, false},
    {"delta.tuneFileSizesForRewrites", NULL, false},
    {"delta.isolationLevel", NULL, false},
    {"delta.minReaderVersion", NULL, false},
    {"delta.minWriterVersion", NULL, false},
    {"delta.enableDeletionVectors", NULL, true},
    {"delta.enableRowTracking", NULL, true},
    {"delta.enableInCommitTimestamps", NULL, true},
};

struct needs { /* of a table's schema and properties */
    int reader, writer;
    int asked_reader, asked_writer; /* delta.minReaderVersion, delta.minWriterVersion; 0: not given */
    const char *features[8];
    size_t n;
};

static enum lc wrong_value(const char *name, const char *value, const char *wanted, struct err *err)
{
    return err_set(err, LC_ARG, "cannot set the table property '%s' to '%s': %s", name, value, wanted);
}

static enum lc check_value(const char *name, const char *value, struct err *err)
{
    bool reader = strcmp(name, "delta.minReaderVersion") == 0;
    long n;
    char *end;

    if (strcmp(name, "delta.columnMapping.mode") == 0) {
        if (strcasecmp(value, "id") == 0)
            return err_set(err, LC_UNSUPPORTED,
                           "cannot set the table property '%s' to 'id': only 'name' and 'none' are "
                           "supported",
                           name);
        if (strcasecmp(value, "none") != 0 && strcasecmp(value, "name") != 0)
            return wrong_value(name, value, "it takes 'name' or 'none'", err);
    }
    if (!reader && strcmp(name, "delta.minWriterVersion") != 0)
        return LC_OK;
    n = strtol(value, &end, 10);
    if (end == value || *end || n < 1)
        return wrong_value(name, value, "it takes a number", err);
    return n <= (reader ? READER_MAX : WRITER_MAX)
               ? LC_OK
               : err_set(err, LC_UNSUPPORTED, "cannot set the table property '%s' to '%s': the newest is %d",
                         name, value, reader ? READER_MAX : WRITER_MAX);
}

static void need_feature(struct needs *n, const char *name)
{
    const struct feature *f = find(name);

    if (f && f->reader > n->reader)
        n->reader = f->reader;
    if (f && f->writer > n->writer)
        n->writer = f->writer;
    if (n->n < sizeof n->features / sizeof *n->features)
        n->features[n->n++] = name;
}

/* What a table has already is nothing that is asked for now. */
static enum lc need_property(const struct delta_snapshot *t, struct needs *n, const char *name,
                             const char *value, struct err *err)
{
    const struct property *known = NULL;
    const char *had = t ? delta_property(t, name) : NULL;
    bool on = strcasecmp(value, "true") == 0 || strcasecmp(value, "name") == 0;

    if (strncmp(name, "delta.", 6) != 0)
        return LC_OK;
    for (size_t i = 0; i < sizeof known_properties / sizeof *known_properties; i++)
        if (strcasecmp(known_properties[i].name, name) == 0)
            known = &known_properties[i];
    if ((!known || (known->only_off && on)) && had && strcmp(had, value) == 0)
        return LC_OK;
    if (!known || (known->only_off && on))
        return err_set(err, LC_UNSUPPORTED,
                       "cannot set the table property '%s'%s: its feature is not supported", name,
                       known ? " to 'true'" : "");
    TRY(check_value(known->name, value, err));
    if (strcmp(known->name, "delta.minReaderVersion") == 0 && (!had || strcmp(had, value) != 0))
        n->asked_reader = atoi(value);
    if (strcmp(known->name, "delta.minWriterVersion") == 0 && (!had || strcmp(had, value) != 0))
        n->asked_writer = atoi(value);
    if (known->feature && on)
        need_feature(n, known->feature);
    return LC_OK;
}

static bool add_text(json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (strcmp(json_string_value(json_array_get(array, i)), text) == 0)
            return true;
    return json_array_append_new(array, json_string(text)) == 0;
}

static bool is_reader_feature(const char *name)
{
    const struct feature *f = find(name);

    return !f || f->reader > 0 || f->writer == 0;
}

/* The versions that were asked for: lower ones are there already, and reader 3 goes only with writer 7. */
static enum lc take_versions(const struct delta_snapshot *t, struct needs *n, struct err *err)
{
    int writer = t ? t->writer_version : 1;

    if (n->asked_reader == READER_FEATURES && n->asked_writer != WRITER_FEATURES &&
        writer != WRITER_FEATURES) {
        err_set(err, LC_ARG,
                "cannot set the table property 'delta.minReaderVersion' to '3': it needs writer version 7");
        return err_hint(err, "set 'delta.minWriterVersion' to '7', too");
    }
    if (n->asked_reader > n->reader)
        n->reader = n->asked_reader;
    if (n->asked_writer > n->writer)
        n->writer = n->asked_writer;
    return LC_OK;
}

/* Writer version 7 with the features that t had by name or by its legacy versions, and those that are needed. */
static json_t *by_features(const struct delta_snapshot *t, const struct needs *n)
{
    json_t *readers = json_array(), *writers = json_array();
    int old_reader = t ? t->reader_version : 1, old_writer = t                             ? t->writer_version
                                                             : n->writer < WRITER_FEATURES ? n->writer
                                                                                           : 2;
    int reader = old_reader > n->reader ? old_reader : n->reader;
    bool ok = readers && writers;

    for (size_t i = 0; ok && i < n->n; i++)
        ok = add_text(writers, n->features[i]) &&
             (!is_reader_feature(n->features[i]) || add_text(readers, n->features[i]));
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
    if (ok && reader < READER_FEATURES) { /* readers need none by name */
        json_decref(readers);
        return json_pack("{s:i,s:i,s:o}", "minReaderVersion", reader, "minWriterVersion", WRITER_FEATURES,
                         "writerFeatures", writers);
    }
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

/* Has t all of it already? */
static bool is_enough(const struct delta_snapshot *t, const struct needs *n)
{
    if (!t)
        return false;
    if (t->writer_version < WRITER_FEATURES)
        return t->writer_version >= n->writer && t->reader_version >= n->reader &&
               n->reader < READER_FEATURES;
    for (size_t i = 0; i < n->n; i++)
        if (!has_feature(t, n->features[i]))
            return false;
    return t->reader_version >= n->reader;
}

void delta_drop_versions(json_t *configuration)
{
    json_object_del(configuration, "delta.minReaderVersion");
    json_object_del(configuration, "delta.minWriterVersion");
}

enum lc delta_protocol_for(const struct delta_snapshot *t, const struct dtype *schema,
                           const json_t *configuration, json_t **out, struct err *err)
{
    struct needs n = {.reader = 1, .writer = 2};
    const char *name;
    json_t *value;
    bool named = false;

    *out = NULL;
    json_object_foreach ((json_t *)configuration, name, value)
        TRY(need_property(t, &n, name, json_is_string(value) ? json_string_value(value) : "", err));
    if (has_type(schema, DTYPE_TIMESTAMP_NTZ))
        need_feature(&n, "timestampNtz");
    for (size_t i = 0; i < n.n; i++) {
        const struct feature *f = find(n.features[i]);
        named |= f && f->writer == 0 && f->reader == 0;
    }
    if (named)
        n.reader = READER_FEATURES;
    TRY(take_versions(t, &n, err));
    if (is_enough(t, &n))
        return LC_OK;
    if (named || n.writer == WRITER_FEATURES || (t && t->writer_version == WRITER_FEATURES))
        *out = by_features(t, &n);
    else
        *out = json_pack("{s:i,s:i}", "minReaderVersion",
                         t && t->reader_version > n.reader ? t->reader_version : n.reader, "minWriterVersion",
                         t && t->writer_version > n.writer ? t->writer_version : n.writer);
    return *out ? LC_OK : err_nomem(err);
}
