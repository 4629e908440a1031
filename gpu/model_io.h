/* model_io.h: arenas from and to safetensors files. Private to the engine.
 *
 * Ownership nothing is kept.
 * Units     elements.
 * Errors    LC_DATA names the tensor, its shape and the one the config asks for.
 * Threads   those of the model.
 *
 * Example:
 *     struct weights_part part = {"", m->base.block};
 *     enum lc code = weights_write(m, &m->base, &part, 1, path, DTYPE_F32, NULL, err);
 */
#ifndef LACUS_GPU_MODEL_IO_H
#define LACUS_GPU_MODEL_IO_H
#include "gpu/model_int.h"

struct weights_part { /* a block laid out as an arena, and what its names begin with in the file */
    const char *prefix;
    const void *block;
};

enum lc weights_read(struct model *m, const struct arena_of *a, const char *path, struct err *err) MUST_CHECK;
/* A config that ties what the folder has as two different tensors is wrong: they are not tied, as in transformers. */
void weights_untie(const char *folder, struct model_config *c);
enum lc weights_write(struct model *m, const struct arena_of *a, const struct weights_part *parts,
                      size_t n_parts, const char *path, enum dtype type, const char *const *metadata,
                      struct err *err) MUST_CHECK;
/* The same of a tensor of a file: turned when the weight is kept the other way round. */
enum lc weights_put_file(struct model *m, void *to, const struct weight *w, const void *from,
                         enum dtype from_type, struct err *err) MUST_CHECK;
/* The values of a weight, converted to its type, to where it (or its state) is. */
enum lc weights_put(struct model *m, void *to, const struct weight *w, const void *from, enum dtype from_type,
                    struct err *err) MUST_CHECK;
#endif
