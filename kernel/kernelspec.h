/* kernelspec.h: telling Jupyter that the kernel exists.
 *
 * What      writes and removes the folder kernels/lacus: kernel.json, which names this executable by its
 *           absolute path, the logos, and a Python package for papermill (translator and engine), for pip.
 * Ownership the path returned is the caller's: mem_free.
 * Errors    LC_ARG (a place that cannot be known), LC_NOTFOUND (nothing to remove), what fs.h says.
 * Threads   any.
 *
 * Example:
 *     char *folder;
 *     struct err err;
 *     if (kernelspec_folder(KERNELSPEC_USER, NULL, &folder, &err) == LC_OK)
 *         mem_free(folder);
 */
#ifndef LACUS_KERNEL_KERNELSPEC_H
#define LACUS_KERNEL_KERNELSPEC_H
#include "runtime/base/buf.h"

enum kernelspec_place {
    KERNELSPEC_USER,       /* the user's Jupyter data folder */
    KERNELSPEC_PREFIX,     /* PREFIX/share/jupyter */
    KERNELSPEC_SYS_PREFIX, /* the active virtual or conda environment */
};

enum lc kernelspec_folder(enum kernelspec_place place, const char *prefix, char **out,
                          struct err *err) MUST_CHECK;
enum lc kernelspec_install(const char *folder, struct err *err) MUST_CHECK;
enum lc kernelspec_uninstall(const char *folder, struct err *err) MUST_CHECK;
#endif
