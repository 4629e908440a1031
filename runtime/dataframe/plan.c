#include "runtime/dataframe/plan.h"
#include "runtime/base/mem.h"
#include <ctype.h>
#include <string.h>
#include <strings.h>

static struct plan *writable(const struct plan *p)
{
    union {
        const struct plan *c;
        struct plan *m;
    } u = {.c = p};

    return u.m;
}

/* Ids are unique in the process, so that a column taken from one session's frame never matches another's by
 * chance. */
static int64_t next_id(void)
{
    static int64_t last; /* atomic counter: identity, not state */

    return __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
}

/* ---- options ---- */
const char *plan_option(const struct plan_options *o, const char *key)
{
    for (size_t i = 0; o && i < o->n; i++)
        if (strcasecmp(o->items[i].key, key) == 0)
            return o->items[i].value;
    return NULL;
}

bool plan_options_set(struct plan_options *o, const char *key, const char *value)
{
    struct plan_option *grown, item = {mem_strdup(key), mem_strdup(value)};

    if (!item.key || !item.value)
        goto fail;
    for (char *p = item.key; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->items[i].key, item.key) == 0) {
            mem_free(o->items[i].value);
            o->items[i].value = item.value;
            mem_free(item.key);
            return true;
        }
    grown = mem_reallocn(o->items, o->n + 1, sizeof *grown);
    if (!grown)
        goto fail;
    o->items = grown;
    o->items[o->n++] = item;
    return true;
fail:
    mem_free(item.key);
    mem_free(item.value);
    return false;
}

static bool plan_options_copy(struct plan_options *to, const struct plan_options *from)
{
    for (size_t i = 0; from && i < from->n; i++)
        if (!plan_options_set(to, from->items[i].key, from->items[i].value))
            return false;
    return true;
}

void plan_options_release(struct plan_options *o)
{
    for (size_t i = 0; i < o->n; i++) {
        mem_free(o->items[i].key);
        mem_free(o->items[i].value);
    }
    mem_free(o->items);
    *o = (struct plan_options){0};
}

/* ---- scans ---- */
static bool copy_names(const char *const *from, size_t n, char ***to)
{
    char **copy = mem_calloc(n, sizeof *copy);

    if (!copy)
        return false;
    for (size_t i = 0; i < n; i++)
        if (from[i] && !(copy[i] = mem_strdup(from[i])))
            return name_free(copy, i), false;
    *to = copy;
    return true;
}

struct scan *scan_new(const char *table, const struct dtype *schema, const char *const *partition_columns,
                      size_t n_partition, size_t n_files)
{
    struct scan *s = schema ? mem_zalloc(sizeof *s) : NULL;

    if (!s)
        return dtype_unref(schema), NULL;
    s->refs = 1;
    s->version = -1;
    s->schema = schema;
    s->table = mem_strdup(table);
    s->files = mem_calloc(n_files, sizeof *s->files);
    if (!s->table || !s->files || !copy_names(partition_columns, n_partition, &s->partition_columns)) {
        scan_unref(s);
        return NULL;
    }
    s->n_files = n_files;
    s->n_partition = n_partition;
    return s;
}

bool scan_set_file(struct scan *s, size_t i, const char *path, int64_t size, const char *const *partition)
{
    struct scan_file *f = &s->files[i];

    f->size = size;
    f->path = mem_strdup(path);
    return f->path && (!s->n_partition || copy_names(partition, s->n_partition, &f->partition));
}

bool scan_set_physical(struct scan *s, const char *const *names)
{
    return copy_names(names, s->schema->n_fields, &s->physical);
}

static struct scan *scan_ref(struct scan *s)
{
    if (s)
        __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void scan_unref(struct scan *s)
{
    if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < s->n_files; i++) {
        mem_free(s->files[i].path);
        name_free(s->files[i].partition, s->n_partition);
    }
    name_free(s->physical, s->schema->n_fields);
    name_free(s->partition_columns, s->n_partition);
    dtype_unref(s->schema);
    mem_free(s->files);
    mem_free(s->table);
    mem_free(s);
}

/* ---- nodes ---- */
const struct plan *plan_ref(const struct plan *p)
{
    if (p)
        __atomic_add_fetch(&writable(p)->refs, 1, __ATOMIC_RELAXED);
    return p;
}

static void release_details(struct plan *p)
{
    switch (p->kind) {
    case PLAN_READ_SOURCE:
        mem_free(p->u.source.format);
        dtype_unref(p->u.source.schema);
        plan_options_release(&p->u.source.options);
        break;
    case PLAN_READ_TABLE:
        plan_options_release(&p->u.table.options);
        break;
    case PLAN_SCAN:
        scan_unref(p->u.scan);
        break;
    case PLAN_LOCAL:
        local_unref(p->u.local.data);
        dtype_unref(p->u.local.schema);
        break;
    case PLAN_AGGREGATE:
        for (size_t i = 0; i < p->u.aggregate.n_groups; i++)
            expr_unref(p->u.aggregate.groups[i]);
        mem_free(p->u.aggregate.groups);
        mem_free(p->u.aggregate.sets);
        break;
    case PLAN_WITH:
        for (size_t i = 0; p->u.with.plans && i < p->n_names; i++)
            plan_unref(p->u.with.plans[i]);
        mem_free(p->u.with.plans);
        break;
    case PLAN_ENCODED:
        mem_free(p->u.encoded.data);
        break;
    default:
        break;
    }
}

void plan_unref(const struct plan *p)
{
    while (p && __atomic_sub_fetch(&writable(p)->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        struct plan *m = writable(p);
        const struct plan *next = m->left; /* chains can be long: no recursion along them */

        plan_unref(m->right);
        plan_memo_unref(m->memo);
        for (size_t i = 0; i < m->n_exprs; i++)
            expr_unref(m->exprs[i]);
        mem_free(m->exprs);
        release_details(m);
        name_free(m->names, m->n_names);
        mem_free(m);
        p = next;
    }
}

static void unref_exprs(struct expr *const *exprs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expr_unref(exprs[i]);
}

struct parts {
    const struct plan *left, *right;
    bool has_left, has_right;
    struct expr *const *exprs;
    size_t n_exprs;
    const char *const *names;
    size_t n_names;
};

static bool complete(const struct parts *in)
{
    if ((in->has_left && !in->left) || (in->has_right && !in->right))
        return false;
    for (size_t i = 0; i < in->n_exprs; i++)
        if (!in->exprs[i])
            return false;
    return true;
}

/* A node that takes over its parts; NULL (and they are released) when one is missing or there is no memory.
 */
static struct plan *node(enum plan_kind kind, struct parts in)
{
    struct plan *p = complete(&in) ? mem_zalloc(sizeof *p) : NULL;

    if (p && in.n_exprs)
        p->exprs = mem_calloc(in.n_exprs, sizeof *p->exprs);
    if (!p || (in.n_exprs && !p->exprs) || (in.n_names && !copy_names(in.names, in.n_names, &p->names))) {
        if (p)
            mem_free(p->exprs);
        mem_free(p);
        unref_exprs(in.exprs, in.n_exprs);
        plan_unref(in.left);
        plan_unref(in.right);
        return NULL;
    }
    p->refs = 1;
    p->kind = kind;
    p->id = next_id();
    p->left = in.left;
    p->right = in.right;
    p->n_exprs = in.n_exprs;
    p->n_names = in.n_names;
    if (in.n_exprs)
        memcpy(p->exprs, in.exprs, in.n_exprs * sizeof *p->exprs);
    return p;
}

static const struct plan *failed(const struct plan *p)
{
    plan_unref(p);
    return NULL;
}

const struct plan *plan_read_table(const char *const *parts, size_t n, const struct plan_options *options)
{
    struct plan *p = node(PLAN_READ_TABLE, (struct parts){.names = parts, .n_names = n});

    if (p)
        p->u.table.position = -1;
    return !p || plan_options_copy(&p->u.table.options, options) ? p : failed(p);
}

const struct plan *plan_at(const struct plan *read, int64_t position)
{
    if (read)
        writable(read)->u.table.position = position;
    return read;
}

const struct plan *plan_read_source(const char *format, const char *const *paths, size_t n_paths,
                                    const struct plan_options *options, const struct dtype *schema)
{
    struct plan *p = node(PLAN_READ_SOURCE, (struct parts){.names = paths, .n_names = n_paths});

    if (!p)
        return dtype_unref(schema), NULL;
    p->u.source.schema = schema;
    p->u.source.format = mem_strdup(format);
    if (!p->u.source.format || !plan_options_copy(&p->u.source.options, options))
        return failed(p);
    return p;
}

const struct plan *plan_scan(struct scan *scan)
{
    struct plan *p = scan ? node(PLAN_SCAN, (struct parts){0}) : NULL;

    if (!p)
        return scan_unref(scan), NULL;
    p->u.scan = scan;
    return p;
}

const struct plan *plan_local(struct local_data *data, const struct dtype *schema)
{
    struct plan *p = data && schema ? node(PLAN_LOCAL, (struct parts){0}) : NULL;

    if (!p)
        return local_unref(data), dtype_unref(schema), NULL;
    p->u.local.data = data;
    p->u.local.schema = schema;
    return p;
}

const struct plan *plan_values(struct expr *const *cells, size_t n_rows, size_t n_columns,
                               const char *const *names)
{
    char generated[32];
    struct plan *p = node(PLAN_VALUES, (struct parts){.exprs = cells, .n_exprs = n_rows * n_columns});

    if (!p)
        return NULL;
    p->names = mem_calloc(n_columns, sizeof *p->names);
    if (!p->names)
        return failed(p);
    p->n_names = n_columns;
    for (size_t i = 0; i < n_columns; i++) {
        snprintf(generated, sizeof generated, "col%zu", i + 1);
        p->names[i] = mem_strdup(names ? names[i] : generated);
        if (!p->names[i])
            return failed(p);
    }
    return p;
}

const struct plan *plan_range(int64_t start, int64_t end, int64_t step)
{
    return plan_range_in(start, end, step, 0);
}

const struct plan *plan_range_in(int64_t start, int64_t end, int64_t step, int32_t partitions)
{
    struct plan *p = node(PLAN_RANGE, (struct parts){0});

    if (p) {
        p->u.range.start = start;
        p->u.range.end = end;
        p->u.range.step = step;
        p->u.range.partitions = partitions;
    }
    return p;
}

const struct plan *plan_encoded(const void *data, size_t len)
{
    struct plan *p = node(PLAN_ENCODED, (struct parts){0});

    if (!p)
        return NULL;
    p->u.encoded.data = mem_alloc(len + 1);
    if (!p->u.encoded.data) {
        plan_unref(p);
        return NULL;
    }
    if (len)
        memcpy(p->u.encoded.data, data, len);
    p->u.encoded.len = len;
    return p;
}

const struct plan *plan_project(const struct plan *input, struct expr *const *exprs, size_t n)
{
    return node(PLAN_PROJECT, (struct parts){.left = input, .exprs = exprs, .n_exprs = n});
}

const struct plan *plan_filter(const struct plan *input, struct expr *condition)
{
    return node(PLAN_FILTER,
                (struct parts){.left = input, .has_left = true, .exprs = &condition, .n_exprs = 1});
}

const struct plan *plan_having(const struct plan *aggregate, struct expr *condition)
{
    struct plan *p = node(
        PLAN_FILTER, (struct parts){.left = aggregate, .has_left = true, .exprs = &condition, .n_exprs = 1});

    if (p)
        p->u.filter.having = true;
    return p;
}

const struct plan *plan_join(const struct plan *left, const struct plan *right, enum join_kind kind,
                             struct expr *condition, const char *const *using_columns, size_t n_using)
{
    struct plan *p = node(PLAN_JOIN, (struct parts){.left = left,
                                                    .has_left = true,
                                                    .right = right,
                                                    .has_right = true,
                                                    .exprs = &condition,
                                                    .n_exprs = condition ? 1 : 0,
                                                    .names = using_columns,
                                                    .n_names = n_using});

    if (p)
        p->u.join.kind = kind;
    return p;
}

const struct plan *plan_join_lateral(const struct plan *left, const struct plan *right, enum join_kind kind,
                                     struct expr *condition)
{
    struct plan *p = writable(plan_join(left, right, kind, condition, NULL, 0));

    if (p)
        p->u.join.lateral = true;
    return p;
}

const struct plan *plan_join_natural(const struct plan *left, const struct plan *right, enum join_kind kind)
{
    struct plan *p = writable(plan_join(left, right, kind, NULL, NULL, 0));

    if (p)
        p->u.join.natural = true;
    return p;
}

const struct plan *plan_recursion(const char *name, const struct plan *first, const struct plan *step,
                                  bool all)
{
    struct plan *p = node(
        PLAN_RECURSION,
        (struct parts){
            .left = first, .right = step, .has_left = true, .has_right = true, .names = &name, .n_names = 1});

    if (p) {
        p->u.recursion.id = p->id;
        p->u.recursion.all = all;
    }
    return p;
}

const struct plan *plan_loop(const struct plan *recursion)
{
    struct plan *p =
        node(PLAN_LOOP, (struct parts){.names = (const char *const *)recursion->names, .n_names = 1});

    if (p)
        p->u.recursion.id = recursion->u.recursion.id;
    return p;
}

const struct plan *plan_set_op(const struct plan *left, const struct plan *right, enum set_op op, bool all,
                               bool by_name, bool allow_missing)
{
    struct plan *p =
        node(PLAN_SET_OP, (struct parts){.left = left, .has_left = true, .right = right, .has_right = true});

    if (p) {
        p->u.set_op.op = op;
        p->u.set_op.all = all;
        p->u.set_op.by_name = by_name;
        p->u.set_op.allow_missing = allow_missing;
    }
    return p;
}

const struct plan *plan_sort(const struct plan *input, struct expr *const *orders, size_t n, bool global)
{
    struct plan *p =
        node(PLAN_SORT, (struct parts){.left = input, .has_left = true, .exprs = orders, .n_exprs = n});

    if (p)
        p->u.sort.global = global;
    return p;
}

static const struct plan *counted(enum plan_kind kind, const struct plan *input, int64_t count)
{
    struct plan *p = node(kind, (struct parts){.left = input, .has_left = true});

    if (p)
        p->u.count = count;
    return p;
}

const struct plan *plan_limit(const struct plan *input, int64_t n)
{
    return counted(PLAN_LIMIT, input, n);
}

const struct plan *plan_offset(const struct plan *input, int64_t n)
{
    return counted(PLAN_OFFSET, input, n);
}

const struct plan *plan_tail(const struct plan *input, int64_t n)
{
    return counted(PLAN_TAIL, input, n);
}

const struct plan *plan_repartition(const struct plan *input, int64_t partitions)
{
    return counted(PLAN_REPARTITION, input, partitions);
}

const struct plan *plan_aggregate(const struct plan *input, enum group_kind kind, struct expr *const *groups,
                                  size_t n_groups, struct expr *const *exprs, size_t n)
{
    struct plan *p;

    for (size_t i = 0; i < n_groups; i++)
        if (!groups[i]) {
            unref_exprs(groups, n_groups);
            unref_exprs(exprs, n);
            return failed(input);
        }
    p = node(PLAN_AGGREGATE, (struct parts){.left = input, .has_left = true, .exprs = exprs, .n_exprs = n});
    if (p)
        p->u.aggregate.groups = mem_calloc(n_groups, sizeof *groups);
    if (!p || !p->u.aggregate.groups) {
        unref_exprs(groups, n_groups);
        return failed(p);
    }
    p->u.aggregate.kind = kind;
    p->u.aggregate.n_groups = n_groups;
    if (n_groups)
        memcpy(p->u.aggregate.groups, groups, n_groups * sizeof *groups);
    return p;
}

static bool set_sets(struct plan *p, const uint32_t *sets, size_t n)
{
    p->u.aggregate.sets = mem_calloc(n + 1, sizeof *sets);
    if (!p->u.aggregate.sets)
        return false;
    memcpy(p->u.aggregate.sets, sets, n * sizeof *sets);
    p->u.aggregate.n_sets = n;
    return true;
}

const struct plan *plan_grouping_sets(const struct plan *input, const uint32_t *sets, size_t n_sets,
                                      struct expr *const *groups, size_t n_groups, struct expr *const *exprs,
                                      size_t n)
{
    struct plan *p = (struct plan *)(uintptr_t)plan_aggregate(input, GROUP_SETS, groups, n_groups, exprs, n);

    if (p && !set_sets(p, sets, n_sets)) {
        plan_unref(p);
        return NULL;
    }
    return p;
}

static const struct plan *with_names(enum plan_kind kind, const struct plan *input, const char *const *names,
                                     size_t n)
{
    return node(kind, (struct parts){.left = input, .has_left = true, .names = names, .n_names = n});
}

const struct plan *plan_deduplicate(const struct plan *input, const char *const *columns, size_t n)
{
    return with_names(PLAN_DEDUPLICATE, input, columns, n);
}

const struct plan *plan_sample(const struct plan *input, double lower, double upper, bool replacement,
                               int64_t seed)
{
    struct plan *p = node(PLAN_SAMPLE, (struct parts){.left = input, .has_left = true});

    if (p) {
        p->u.sample.lower = lower;
        p->u.sample.upper = upper;
        p->u.sample.replacement = replacement;
        p->u.sample.seed = seed;
    }
    return p;
}

const struct plan *plan_alias(const struct plan *input, const char *const *parts, size_t n)
{
    return with_names(PLAN_ALIAS, input, parts, n);
}

const struct plan *plan_to_df(const struct plan *input, const char *const *names, size_t n)
{
    return with_names(PLAN_TO_DF, input, names, n);
}

const struct plan *plan_with_columns(const struct plan *input, struct expr *const *aliases, size_t n)
{
    return node(PLAN_WITH_COLUMNS,
                (struct parts){.left = input, .has_left = true, .exprs = aliases, .n_exprs = n});
}

const struct plan *plan_rename(const struct plan *input, const char *const *pairs, size_t n_pairs)
{
    return with_names(PLAN_RENAME, input, pairs, n_pairs * 2);
}

const struct plan *plan_drop(const struct plan *input, struct expr *const *columns, size_t n)
{
    return node(PLAN_DROP, (struct parts){.left = input, .has_left = true, .exprs = columns, .n_exprs = n});
}

const struct plan *plan_na_fill(const struct plan *input, const char *const *columns, size_t n_columns,
                                struct expr *const *values, size_t n_values)
{
    return node(PLAN_NA_FILL, (struct parts){.left = input,
                                             .has_left = true,
                                             .names = columns,
                                             .n_names = n_columns,
                                             .exprs = values,
                                             .n_exprs = n_values});
}

const struct plan *plan_na_drop(const struct plan *input, const char *const *columns, size_t n,
                                int64_t min_non_nulls)
{
    struct plan *p = writable(with_names(PLAN_NA_DROP, input, columns, n));

    if (p)
        p->u.na.min_non_nulls = min_non_nulls;
    return p;
}

const struct plan *plan_with(const char *const *names, const struct plan *const *plans, size_t n,
                             const struct plan *body)
{
    struct plan *p = NULL;
    bool whole = true;

    for (size_t i = 0; i < n; i++)
        whole = whole && plans[i];
    if (whole)
        p = writable(with_names(PLAN_WITH, body, names, n));
    else
        plan_unref(body);
    if (p && !(p->u.with.plans = mem_calloc(n, sizeof *plans)))
        p = writable(failed(p));
    for (size_t i = 0; i < n; i++) {
        if (p)
            p->u.with.plans[i] = plans[i];
        else
            plan_unref(plans[i]);
    }
    return p;
}

/* ---- copies ---- */
static bool copy_exprs(struct expr *const *from, size_t n, struct expr ***to)
{
    *to = n ? mem_calloc(n, sizeof **to) : NULL;
    if (n && !*to)
        return false;
    for (size_t i = 0; i < n; i++)
        (*to)[i] = expr_ref(from[i]);
    return true;
}

static bool copy_sets(const struct plan *p, struct plan *to)
{
    return set_sets(to, p->u.aggregate.sets, p->u.aggregate.n_sets);
}

static bool copy_details(struct plan *to, const struct plan *p)
{
    switch (p->kind) {
    case PLAN_READ_SOURCE:
        to->u.source.schema = dtype_ref(p->u.source.schema);
        to->u.source.format = mem_strdup(p->u.source.format);
        return to->u.source.format && plan_options_copy(&to->u.source.options, &p->u.source.options);
    case PLAN_READ_TABLE:
        to->u.table.position = p->u.table.position;
        return plan_options_copy(&to->u.table.options, &p->u.table.options);
    case PLAN_SCAN:
        to->u.scan = scan_ref(p->u.scan);
        return true;
    case PLAN_LOCAL:
        to->u.local.data = local_ref(p->u.local.data);
        to->u.local.schema = dtype_ref(p->u.local.schema);
        return true;
    case PLAN_AGGREGATE:
        to->u.aggregate.kind = p->u.aggregate.kind;
        if (!copy_exprs(p->u.aggregate.groups, p->u.aggregate.n_groups, &to->u.aggregate.groups))
            return false;
        to->u.aggregate.n_groups = p->u.aggregate.n_groups;
        if (p->u.aggregate.n_sets && !copy_sets(p, to))
            return false;
        return true;
    case PLAN_WITH:
        to->u.with.plans = mem_calloc(p->n_names, sizeof *to->u.with.plans);
        for (size_t i = 0; to->u.with.plans && i < p->n_names; i++)
            to->u.with.plans[i] = plan_ref(p->u.with.plans[i]);
        return to->u.with.plans != NULL;
    case PLAN_ENCODED:
        to->u.encoded.len = p->u.encoded.len;
        to->u.encoded.data = mem_alloc(p->u.encoded.len + 1);
        if (to->u.encoded.data && p->u.encoded.len)
            memcpy(to->u.encoded.data, p->u.encoded.data, p->u.encoded.len);
        return to->u.encoded.data != NULL;
    default:
        to->u = p->u; /* plain values */
        return true;
    }
}

const struct plan *plan_with_inputs(const struct plan *p, const struct plan *left, const struct plan *right)
{
    struct plan *copy;
    struct expr **exprs;

    if ((p->left && !left) || (p->right && !right) || !copy_exprs(p->exprs, p->n_exprs, &exprs)) {
        plan_unref(left);
        plan_unref(right);
        return NULL;
    }
    copy = node(p->kind, (struct parts){.left = left,
                                        .right = right,
                                        .exprs = exprs,
                                        .n_exprs = p->n_exprs,
                                        .names = (const char *const *)p->names,
                                        .n_names = p->n_names});
    mem_free(exprs);
    if (!copy)
        return NULL;
    copy->id = p->id;
    return copy_details(copy, p) ? copy : failed(copy);
}
