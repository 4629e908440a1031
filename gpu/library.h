/* library.h: NVIDIA's libraries, opened when they are asked for.
 *
 * What      looks where the loader looks, then in CUDA_HOME and /usr/local/cuda, then in the wheels that Python's torch
 *           brings: of VIRTUAL_ENV, of CONDA_PREFIX, of the user (~/.local) and of the system's Pythons.
 * Ownership a library stays open.
 * Units     none.
 * Errors    NULL: dlerror says why the loader did not find it.
 * Threads   any.
 *
 * Example:
 *     void *lib = library_open("libnccl.so.2");
 *     if (!lib)
 *         puts("no NCCL");
 */
#ifndef LACUS_GPU_LIBRARY_H
#define LACUS_GPU_LIBRARY_H

void *library_open(const char *soname);
#endif
