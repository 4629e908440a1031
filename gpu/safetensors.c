#include "gpu/safetensors.h"
#include "runtime/base/buf.h"
#include "runtime/base/fs.h"
#include "runtime/base/mem.h"
#include "runtime/base/nearest.h"
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_MAX = 100000000, /* the Rust library's own limit */
    INDEX_MAX = 64 << 20,   /* an index.json: 64 MB is a million tensors */
    SHARDS_MAX = 4096,
    PREFIX = 8 /* the length field in front of the header */
};

static const struct {
    const char *name;
    size_t size;
} dtypes[ST_DTYPE_COUNT] = {
    [ST_BOOL] = {"BOOL", 1},       [ST_U8] = {"U8", 1},           [ST_I8] = {"I8", 1},
    [ST_F8_E5M2] = {"F8_E5M2", 1}, [ST_F8_E4M3] = {"F8_E4M3", 1}, [ST_F8_E8M0] = {"F8_E8M0", 1},
    [ST_I16] = {"I16", 2},         [ST_U16] = {"U16", 2},         [ST_F16] = {"F16", 2},
    [ST_BF16] = {"BF16", 2},       [ST_I32] = {"I32", 4},         [ST_U32] = {"U32", 4},
    [ST_F32] = {"F32", 4},         [ST_C64] = {"C64", 8},         [ST_F64] = {"F64", 8},
    [ST_I64] = {"I64", 8},         [ST_U64] = {"U64", 8},
};

struct shard {
    const unsigned char *bytes; /* mapped when map_len > 0, else borrowed */
    size_t len, map_len;
};

struct safetensors {
    struct arena *arena; /* owned: names, shapes, the table */
    struct shard *shards;
    size_t n_shards;
    struct safetensor *tensors; /* sorted by name */
    size_t n, cap;
    json_t *metadata; /* owned; may be NULL */
};

const char *st_dtype_name(enum st_dtype dtype)
{
    return dtype < ST_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

/* bytes of one element */
static size_t st_dtype_size(enum st_dtype dtype)
{
    return dtype < ST_DTYPE_COUNT ? dtypes[dtype].size : 0;
}

static bool dtype_from_name(const char *name, enum st_dtype *out)
{
    for (int i = 0; i < ST_DTYPE_COUNT; i++)
        if (strcmp(dtypes[i].name, name) == 0) {
            *out = (enum st_dtype)i;
            return true;
        }
    return false;
}

/* ---- reading one header ---- */
struct reader { /* what one shard's parse needs */
    struct safetensors *st;
    const char *file;          /* for messages */
    const unsigned char *data; /* first byte behind the header */
    size_t data_len;
    struct err *err;
};

static enum lc bad(const struct reader *r, const char *name, const char *what)
{
    return err_set(r->err, LC_DATA, "cannot read '%s': tensor '%.200s' %s", r->file, name, what);
}

static bool get_size(const json_t *value, size_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *out = (size_t)json_integer_value(value);
    return true;
}

static enum lc read_shape(const struct reader *r, struct safetensor *t, const json_t *shape)
{
    size_t bytes = dtypes[t->dtype].size, extent;
    int64_t *dims;

    if (!json_is_array(shape))
        return bad(r, t->name, "has no shape");
    if ((t->ndim = json_array_size(shape)) > ST_MAX_DIMS)
        return err_set(r->err, LC_LIMIT,
                       "cannot read '%s': tensor '%.200s' has %zu dimensions; at most %d are read", r->file,
                       t->name, t->ndim, ST_MAX_DIMS);
    dims = arena_alloc(r->st->arena, t->ndim * sizeof *dims);
    if (!dims)
        return err_nomem(r->err);
    for (size_t i = 0; i < t->ndim; i++) {
        if (!get_size(json_array_get(shape, i), &extent) || __builtin_mul_overflow(bytes, extent, &bytes))
            return bad(r, t->name, "has a shape that is not a list of sizes");
        dims[i] = (int64_t)extent;
    }
    t->shape = dims;
    t->bytes = bytes;
    return LC_OK;
}

static enum lc read_range(const struct reader *r, struct safetensor *t, const json_t *range)
{
    size_t start, end;

    if (json_array_size(range) != 2 || !get_size(json_array_get(range, 0), &start) ||
        !get_size(json_array_get(range, 1), &end) || start > end)
        return bad(r, t->name, "has no valid data_offsets");
    if (end > r->data_len)
        return bad(r, t->name, "reaches beyond the end of the file (is the file truncated?)");
    if (end - start != t->bytes)
        return bad(r, t->name, "has data_offsets that do not fit its shape and dtype");
    t->data = r->data + start;
    return LC_OK;
}

static enum lc read_tensor(const struct reader *r, const char *name, const json_t *entry)
{
    struct safetensors *st = r->st;
    struct safetensor *t = &st->tensors[st->n];
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));

    memset(t, 0, sizeof *t);
    if ((t->name = arena_strdup(st->arena, name)) == NULL)
        return err_nomem(r->err);
    if (!dtype)
        return bad(r, name, "has no dtype");
    if (!dtype_from_name(dtype, &t->dtype))
        return err_set(r->err, LC_UNSUPPORTED,
                       "cannot read '%s': tensor '%.200s' has the unknown dtype '%.40s'", r->file, name,
                       dtype);
    TRY(read_shape(r, t, json_object_get(entry, "shape")));
    TRY(read_range(r, t, json_object_get(entry, "data_offsets")));
    st->n++;
    return LC_OK;
}

static int by_data(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;

    if (x->data != y->data)
        return (const char *)x->data < (const char *)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct safetensor *)a)->name, ((const struct safetensor *)b)->name);
}

/* The format allows neither holes nor overlaps nor bytes behind the last tensor: nothing can hide in a file.
 */
static enum lc check_layout(const struct reader *r, size_t first)
{
    struct safetensors *st = r->st;
    const unsigned char *next = r->data;

    if (st->n > first)
        qsort(st->tensors + first, st->n - first, sizeof *st->tensors, by_data);
    for (size_t i = first; i < st->n; i++) {
        const struct safetensor *t = &st->tensors[i];
        if ((const unsigned char *)t->data != next)
            return bad(r, t->name,
                       (const unsigned char *)t->data < next ? "overlaps another tensor"
                                                             : "leaves a hole in front of it");
        next += t->bytes;
    }
    if (next != r->data + r->data_len)
        return err_set(r->err, LC_DATA,
                       "cannot read '%s': %zu bytes behind the last tensor belong to nothing", r->file,
                       (size_t)(r->data + r->data_len - next));
    return LC_OK;
}

static enum lc read_metadata(const struct reader *r, json_t *metadata)
{
    const char *key;
    json_t *value;

    if (!json_is_object(metadata))
        return err_set(r->err, LC_DATA, "cannot read '%s': __metadata__ is not an object", r->file);
    json_object_foreach (metadata, key, value)
        if (!json_is_string(value))
            return err_set(r->err, LC_DATA, "cannot read '%s': __metadata__ '%.100s' is not a string",
                           r->file, key);
    if (!r->st->metadata)
        r->st->metadata = json_incref(metadata);
    return LC_OK;
}

static enum lc reserve(struct safetensors *st, size_t more, struct err *err)
{
    struct safetensor *grown;

    if (st->n + more <= st->cap)
        return LC_OK;
    grown = mem_reallocn(st->tensors, st->n + more, sizeof *grown);
    if (!grown)
        return err_nomem(err);
    st->tensors = grown;
    st->cap = st->n + more;
    return LC_OK;
}

static enum lc read_entries(const struct reader *r, json_t *header)
{
    size_t first = r->st->n;
    const char *name;
    json_t *entry;

    TRY(reserve(r->st, json_object_size(header), r->err));
    json_object_foreach (header, name, entry) {
        if (strcmp(name, "__metadata__") == 0)
            TRY(read_metadata(r, entry));
        else
            TRY(read_tensor(r, name, entry));
    }
    return check_layout(r, first);
}

static enum lc read_shard(struct safetensors *st, const struct shard *shard, const char *file,
                          struct err *err)
{
    struct reader r = {.st = st, .file = file, .err = err};
    uint64_t header_len = 0;
    json_error_t json_error;
    json_t *header;
    enum lc rc;

    if (shard->len < PREFIX)
        return err_set(err, LC_DATA, "cannot read '%s': %zu bytes are too few for a safetensors file", file,
                       shard->len);
    for (int i = PREFIX - 1; i >= 0; i--)
        header_len = header_len << 8 | shard->bytes[i];
    if (header_len > HEADER_MAX)
        return err_set(
            err, LC_DATA,
            "cannot read '%s': its header claims %llu bytes; the limit is %d (is it a safetensors file?)",
            file, (unsigned long long)header_len, HEADER_MAX);
    if (header_len > shard->len - PREFIX)
        return err_set(err, LC_DATA,
                       "cannot read '%s': the header of %llu bytes ends beyond the file of %zu bytes", file,
                       (unsigned long long)header_len, shard->len);
    if (header_len == 0 || shard->bytes[PREFIX] != '{')
        return err_set(err, LC_DATA, "cannot read '%s': the header does not start with '{'", file);
    header = json_loadb((const char *)shard->bytes + PREFIX, (size_t)header_len, JSON_REJECT_DUPLICATES,
                        &json_error);
    if (!header)
        return err_set(err, LC_DATA, "cannot read '%s': its header is not valid JSON: %s (byte %d)", file,
                       json_error.text, json_error.position);
    r.data = shard->bytes + PREFIX + header_len;
    r.data_len = shard->len - PREFIX - (size_t)header_len;
    rc = read_entries(&r, header);
    json_decref(header);
    return rc;
}

/* ---- opening ---- */
static struct safetensors *new_set(size_t n_shards)
{
    struct safetensors *st = mem_zalloc(sizeof *st);

    if (!st)
        return NULL;
    st->arena = arena_new(0);
    st->shards = mem_calloc(n_shards, sizeof *st->shards);
    st->n_shards = n_shards;
    if (!st->arena || !st->shards) {
        st->n_shards = 0;
        safetensors_close(st);
        return NULL;
    }
    return st;
}

void safetensors_close(struct safetensors *st)
{
    if (!st)
        return;
    for (size_t i = 0; i < st->n_shards; i++)
        if (st->shards[i].map_len)
            munmap((void *)(uintptr_t)st->shards[i].bytes, st->shards[i].map_len);
    mem_free(st->shards);
    mem_free(st->tensors);
    json_decref(st->metadata);
    arena_free(st->arena);
    mem_free(st);
}

/* Whole pages inside the tensor: at its ends there may be others, which go with the mapping. */
void safetensors_done(const struct safetensors *st, const struct safetensor *t)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)t->data, to = from + t->bytes;

    from = (from + page - 1) / page * page;
    to = to / page * page;
    for (size_t i = 0; i < st->n_shards && from < to; i++) {
        uintptr_t begin = (uintptr_t)st->shards[i].bytes;

        if (st->shards[i].map_len && from >= begin && to <= begin + st->shards[i].map_len)
            (void)madvise((void *)from, to - from, MADV_DONTNEED); /* a hint: the pages are clean */
    }
}

static enum lc map_file(const char *path, struct shard *shard, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    void *map;
    enum lc rc = LC_OK;

    if (fd < 0)
        return err_errno(err, errno, "cannot open '%s'", path);
    if (fstat(fd, &info) != 0) {
        rc = err_errno(err, errno, "cannot read '%s'", path);
    } else if (!S_ISREG(info.st_mode)) {
        rc = err_set(err, LC_DATA, "cannot read '%s': not a regular file", path);
    } else if (info.st_size > 0) {
        map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (map == MAP_FAILED) {
            rc = err_errno(err, errno, "cannot map '%s'", path);
        } else {
            shard->bytes = map;
            shard->len = shard->map_len = (size_t)info.st_size;
        }
    }
    close(fd);
    return rc;
}

static enum lc finish(struct safetensors *st, const char *path, struct err *err)
{
    if (st->n)
        qsort(st->tensors, st->n, sizeof *st->tensors, by_name);
    for (size_t i = 1; i < st->n; i++)
        if (strcmp(st->tensors[i - 1].name, st->tensors[i].name) == 0)
            return err_set(err, LC_DATA, "cannot read '%s': tensor '%.200s' is in two shards", path,
                           st->tensors[i].name);
    return LC_OK;
}

static enum lc open_single(const char *path, struct safetensors **out, struct err *err)
{
    struct safetensors *st = new_set(1);
    enum lc rc;

    if (!st)
        return err_nomem(err);
    rc = map_file(path, &st->shards[0], err);
    if (rc == LC_OK)
        rc = read_shard(st, &st->shards[0], path, err);
    if (rc == LC_OK)
        rc = finish(st, path, err);
    if (rc == LC_OK)
        *out = st;
    else
        safetensors_close(st);
    return rc;
}

enum lc safetensors_from_memory(const void *data, size_t len, const char *name, struct safetensors **out,
                                struct err *err)
{
    struct safetensors *st = new_set(1);
    enum lc rc;

    if (!st)
        return err_nomem(err);
    st->shards[0] = (struct shard){.bytes = data, .len = len};
    rc = read_shard(st, &st->shards[0], name, err);
    if (rc == LC_OK)
        rc = finish(st, name, err);
    if (rc == LC_OK)
        *out = st;
    else
        safetensors_close(st);
    return rc;
}

/* ---- sharded checkpoints ---- */
static enum lc load_index(const char *path, json_t **out, struct err *err)
{
    struct buf text = BUF_INIT(INDEX_MAX);
    json_error_t json_error;
    json_t *root;
    enum lc rc = fs_read(path, &text, err);

    if (rc != LC_OK) {
        buf_release(&text);
        return rc;
    }
    root = json_loadb(buf_str(&text), text.len, JSON_REJECT_DUPLICATES, &json_error);
    buf_release(&text);
    if (!root)
        return err_at(err, (err_set(err, LC_DATA, "cannot read '%s': not valid JSON: %s (line %d)", path,
                                    json_error.text, json_error.line),
                            json_error.position));
    if (!json_is_object(json_object_get(root, "weight_map"))) {
        json_decref(root);
        return err_set(err, LC_DATA, "cannot read '%s': it has no weight_map", path);
    }
    *out = root;
    return LC_OK;
}

/* The shards' names, each once. A name is a file beside the index, never a path out of its folder. */
static enum lc shard_names(const char *path, json_t *weight_map, json_t **out, struct err *err)
{
    json_t *names = json_object(), *value;
    const char *tensor;

    if (!names)
        return err_nomem(err);
    json_object_foreach (weight_map, tensor, value) {
        const char *file = json_string_value(value);
        if (!file || !*file || file[0] == '.' || strchr(file, '/')) {
            json_decref(names);
            return err_set(err, LC_DATA, "cannot read '%s': tensor '%.200s' is not in a file beside it", path,
                           tensor);
        }
        if (json_object_set_new(names, file, json_true()) != 0) {
            json_decref(names);
            return err_nomem(err);
        }
    }
    if (json_object_size(names) > SHARDS_MAX) {
        json_decref(names);
        return err_set(err, LC_LIMIT, "cannot read '%s': more than %d shards", path, SHARDS_MAX);
    }
    *out = names;
    return LC_OK;
}

static enum lc open_shards(struct safetensors *st, const char *path, json_t *names, struct err *err)
{
    const char *file, *slash = strrchr(path, '/');
    json_t *unused;
    size_t i = 0;

    json_object_foreach (names, file, unused) {
        char *full = mem_printf("%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, file);
        enum lc rc = full ? map_file(full, &st->shards[i], err) : err_nomem(err);
        if (rc == LC_OK)
            rc = read_shard(st, &st->shards[i], full, err);
        else if (rc == LC_NOTFOUND)
            rc = err_hint(err, "the index names this file: copy every shard of the checkpoint");
        mem_free(full);
        if (rc != LC_OK)
            return rc;
        i++;
    }
    return finish(st, path, err);
}

static enum lc check_map(const struct safetensors *st, const char *path, json_t *weight_map, struct err *err)
{
    const char *tensor;
    json_t *value;

    json_object_foreach (weight_map, tensor, value)
        if (!safetensors_find(st, tensor))
            return err_set(err, LC_DATA, "cannot read '%s': tensor '%.200s' is not in '%.200s'", path, tensor,
                           json_string_value(value));
    return LC_OK;
}

static enum lc open_index(const char *path, struct safetensors **out, struct err *err)
{
    json_t *root, *names = NULL, *weight_map;
    struct safetensors *st = NULL;
    enum lc rc;

    TRY(load_index(path, &root, err));
    weight_map = json_object_get(root, "weight_map");
    rc = shard_names(path, weight_map, &names, err);
    if (rc == LC_OK && (st = new_set(json_object_size(names))) == NULL)
        rc = err_nomem(err);
    if (rc == LC_OK)
        rc = open_shards(st, path, names, err);
    if (rc == LC_OK)
        rc = check_map(st, path, weight_map, err);
    json_decref(names);
    json_decref(root);
    if (rc == LC_OK)
        *out = st;
    else
        safetensors_close(st);
    return rc;
}

static bool ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

enum lc safetensors_open(const char *path, struct safetensors **out, struct err *err)
{
    static const char *const in_folder[] = {"model.safetensors", "model.safetensors.index.json"};

    *out = NULL;
    if (!fs_is_dir(path))
        return ends_with(path, ".json") ? open_index(path, out, err) : open_single(path, out, err);
    for (size_t i = 0; i < sizeof in_folder / sizeof *in_folder; i++) {
        char *file = fs_join(path, in_folder[i]);
        enum lc rc;
        if (!file)
            return err_nomem(err);
        if (!fs_exists(file)) {
            mem_free(file);
            continue;
        }
        rc = safetensors_open(file, out, err);
        mem_free(file);
        return rc;
    }
    err_set(err, LC_NOTFOUND,
            "cannot open '%s': it holds neither model.safetensors nor model.safetensors.index.json", path);
    return err_hint(
        err, "checkpoints in another format (pytorch_model.bin, gguf) must be saved as safetensors first");
}

/* ---- access ---- */
size_t safetensors_count(const struct safetensors *st)
{
    return st->n;
}

const struct safetensor *safetensors_at(const struct safetensors *st, size_t i)
{
    return i < st->n ? &st->tensors[i] : NULL;
}

const struct safetensor *safetensors_find(const struct safetensors *st, const char *name)
{
    struct safetensor key = {.name = name};

    return st->n ? bsearch(&key, st->tensors, st->n, sizeof key, by_name) : NULL;
}

enum lc safetensors_get(const struct safetensors *st, const char *name, const struct safetensor **out,
                        struct err *err)
{
    struct buf near = BUF_INIT(400);
    const char **names;

    if ((*out = safetensors_find(st, name)) != NULL)
        return LC_OK;
    err_set(err, LC_NOTFOUND, "the checkpoint has no tensor '%.200s'", name);
    if ((names = mem_calloc(st->n, sizeof *names)) != NULL) {
        for (size_t i = 0; i < st->n; i++)
            names[i] = st->tensors[i].name;
        if (nearest_list(&near, name, names, st->n, 3) && near.len)
            err_hint(err, "it has %s", buf_str(&near));
    }
    mem_free(names);
    buf_release(&near);
    return LC_NOTFOUND;
}

const char *safetensors_metadata(const struct safetensors *st, const char *key)
{
    return json_string_value(json_object_get(st->metadata, key));
}

/* ---- writing ---- */
static int by_layout(const void *a, const void *b)
{
    const struct safetensor *x = *(const struct safetensor *const *)a,
                            *y = *(const struct safetensor *const *)b;

    if (x->dtype != y->dtype)
        return x->dtype > y->dtype ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int by_name_pointer(const void *a, const void *b)
{
    return by_name(*(const struct safetensor *const *)a, *(const struct safetensor *const *)b);
}

/* Names once, then in the order of the file. */
static enum lc set_order(const struct safetensor **order, const struct safetensor *tensors, size_t n,
                         struct err *err)
{
    for (size_t i = 0; i < n; i++)
        order[i] = &tensors[i];
    if (n)
        qsort(order, n, sizeof *order, by_name_pointer);
    for (size_t i = 1; i < n; i++)
        if (strcmp(order[i - 1]->name, order[i]->name) == 0)
            return err_set(err, LC_ARG, "cannot write tensor '%.200s' twice", order[i]->name);
    if (n)
        qsort(order, n, sizeof *order, by_layout);
    return LC_OK;
}

static bool size_fits(const struct safetensor *t)
{
    size_t bytes = st_dtype_size(t->dtype);

    if (bytes == 0 || t->ndim > ST_MAX_DIMS)
        return false;
    for (size_t i = 0; i < t->ndim; i++)
        if (t->shape[i] < 0 || __builtin_mul_overflow(bytes, (size_t)t->shape[i], &bytes))
            return false;
    return bytes == t->bytes;
}

static void put_metadata(struct buf *header, const char *const *metadata)
{
    static const char *const torch[] = {"format", "pt", NULL};
    const char *between = "";

    buf_puts(header, "{\"__metadata__\":{");
    for (const char *const *kv = metadata ? metadata : torch; kv[0]; kv += 2) {
        buf_puts(header, between);
        buf_json(header, kv[0], strlen(kv[0]));
        buf_putc(header, ':');
        buf_json(header, kv[1], strlen(kv[1]));
        between = ",";
    }
    buf_putc(header, '}');
}

static enum lc put_header(struct buf *header, const struct safetensor **order, size_t n,
                          const char *const *metadata, struct err *err)
{
    size_t offset = 0;

    put_metadata(header, metadata);
    for (size_t i = 0; i < n; i++) {
        const struct safetensor *t = order[i];
        if (!size_fits(t))
            return err_set(err, LC_ARG,
                           "cannot write tensor '%.200s': %zu bytes do not fit its shape and dtype", t->name,
                           t->bytes);
        buf_putc(header, ',');
        buf_json(header, t->name, strlen(t->name));
        buf_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", dtypes[t->dtype].name);
        for (size_t d = 0; d < t->ndim; d++)
            buf_printf(header, "%s%lld", d ? "," : "", (long long)t->shape[d]);
        buf_printf(header, "],\"data_offsets\":[%zu,%zu]}", offset, offset + t->bytes);
        offset += t->bytes;
    }
    buf_putc(header, '}');
    while (header->len % 8)
        if (!buf_putc(header, ' '))
            break;
    return buf_check(header, err);
}

static void le64(unsigned char out[PREFIX], uint64_t value)
{
    for (int i = 0; i < PREFIX; i++)
        out[i] = (unsigned char)(value >> (8 * i));
}

enum lc safetensors_write(const char *path, const struct safetensor *tensors, size_t n,
                          const char *const *metadata, struct err *err)
{
    const struct safetensor **order = mem_calloc(n, sizeof *order);
    struct fs_part *parts = mem_calloc(n + 2, sizeof *parts);
    struct buf header = BUF_INIT(HEADER_MAX);
    unsigned char prefix[PREFIX];
    enum lc rc = order && parts ? LC_OK : err_nomem(err);

    if (rc == LC_OK)
        rc = set_order(order, tensors, n, err);
    if (rc == LC_OK)
        rc = put_header(&header, order, n, metadata, err);
    if (rc == LC_OK) {
        le64(prefix, header.len);
        parts[0] = (struct fs_part){prefix, sizeof prefix};
        parts[1] = (struct fs_part){header.data, header.len};
        for (size_t i = 0; i < n; i++)
            parts[i + 2] = (struct fs_part){order[i]->data, order[i]->bytes};
        rc = fs_write_parts(path, parts, n + 2, err);
    }
    buf_release(&header);
    mem_free(parts);
    mem_free(order);
    return rc;
}
