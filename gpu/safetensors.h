/* safetensors.h: reads and writes safetensors files (huggingface/safetensors, format README, 0.4 to 0.7).
 *
 * What      maps one file, a sharded checkpoint (model.safetensors.index.json) or the one of the two that a
 *           folder holds, and answers with named views into the mapped bytes. The writer lays tensors out as
 *           the Rust library does (widest dtype first, then by name), so equal content gives equal bytes.
 * Ownership safetensors_open → safetensors_close. Every name, shape and data pointer is borrowed from the
 *           open file and dies with it. The writer borrows all it is given.
 * Units     bytes and elements. data is little-endian and may be unaligned (the format promises nothing):
 *           memcpy, do not cast.
 * Errors    LC_NOTFOUND, LC_IO, LC_PERM; LC_DATA for bytes that break the format (header longer than 100 MB,
 *           hole, overlap, size that is not shape × dtype, trailing bytes, duplicate name); LC_UNSUPPORTED
 *           for a dtype that is not in the table below. A file that another process truncates while it is
 *           mapped raises SIGBUS on access, as with any mapping.
 * Threads   an open file is immutable: any.
 *
 * Example:
 *     struct safetensors *st;
 *     struct err err;
 *     if (safetensors_open("model.safetensors", &st, &err) != LC_OK)
 *         return err.code;
 *     const struct safetensor *w = safetensors_find(st, "model.norm.weight");
 *     if (w && w->dtype == ST_F32)
 *         memcpy(weight, w->data, w->bytes);
 *     safetensors_close(st);
 */
#ifndef LACUS_GPU_SAFETENSORS_H
#define LACUS_GPU_SAFETENSORS_H
#include "runtime/base/err.h"
#include <stddef.h>

/* In the order of the format's own list: the writer puts higher ones first. */
enum st_dtype {
    ST_BOOL,
    ST_U8,
    ST_I8,
    ST_F8_E5M2,
    ST_F8_E4M3,
    ST_F8_E8M0,
    ST_I16,
    ST_U16,
    ST_F16,
    ST_BF16,
    ST_I32,
    ST_U32,
    ST_F32,
    ST_C64,
    ST_F64,
    ST_I64,
    ST_U64,
    ST_DTYPE_COUNT
};
enum { ST_MAX_DIMS = 16 };

struct safetensor {
    const char *name;
    enum st_dtype dtype;
    size_t ndim;          /* 0: a scalar */
    const int64_t *shape; /* ndim extents, each ≥ 0 */
    const void *data;     /* bytes bytes, row-major */
    size_t bytes;
};

struct safetensors;

/* path: a .safetensors file, an .index.json, or a folder with model.safetensors(.index.json). */
enum lc safetensors_open(const char *path, struct safetensors **out, struct err *err) MUST_CHECK;
/* The same for bytes in memory, which must outlive the result. name is for messages. */
enum lc safetensors_from_memory(const void *data, size_t len, const char *name, struct safetensors **out,
                                struct err *err) MUST_CHECK;
void safetensors_close(struct safetensors *st); /* NULL is fine */

size_t safetensors_count(const struct safetensors *st);
const struct safetensor *safetensors_at(const struct safetensors *st, size_t i); /* sorted by name */
const struct safetensor *safetensors_find(const struct safetensors *st, const char *name); /* NULL: none */
/* Like find, but a missing tensor is an LC_NOTFOUND error that offers the nearest names. */
enum lc safetensors_get(const struct safetensors *st, const char *name, const struct safetensor **out,
                        struct err *err) MUST_CHECK;
/* The tensor's bytes have been copied: its pages leave this process, so that loading holds one tensor beside the copies.
 * They are read again from the file when data is. */
void safetensors_done(const struct safetensors *st, const struct safetensor *t);
/* A value of __metadata__ (of the first shard); NULL: none. */
const char *safetensors_metadata(const struct safetensors *st, const char *key);

/* Atomic and durable. metadata: key, value, key, value, …, NULL; NULL stands for {"format", "pt"}. */
enum lc safetensors_write(const char *path, const struct safetensor *tensors, size_t n,
                          const char *const *metadata, struct err *err) MUST_CHECK;

const char *st_dtype_name(enum st_dtype dtype); /* "BF16" */
#endif
