/* runtime.c: runtime.h over the CUDA runtime, which is linked statically and finds the driver when first called. */
#include "gpu/cuda/runtime.h"
#include <cuda_runtime_api.h>
#include <stdio.h>

static const struct {
    cudaError_t error;
    enum lc code;
    const char *hint;
} REASONS[] = {
    {cudaErrorNoDevice, LC_MISSING, "no NVIDIA GPU is visible (CUDA_VISIBLE_DEVICES?): use device = \"cpu\""},
    {cudaErrorInsufficientDriver, LC_MISSING,
     "the NVIDIA driver is missing, or older than the CUDA that this plugin was built with: 'lacus doctor'"},
    {cudaErrorInvalidDevice, LC_MISSING, "the machine has fewer GPUs"},
    {cudaErrorMemoryAllocation, LC_LIMIT,
     "use a smaller batch with more gradient accumulation, a quantised base, or a GPU with more memory"},
    {cudaErrorNoKernelImageForDevice, LC_UNSUPPORTED,
     "the plugin has kernels for compute capability 8.0 and above: this GPU is older"},
    {cudaErrorIllegalAddress, LC_RUNTIME, "a kernel failed; this worker cannot go on: start it again"},
    {cudaErrorLaunchFailure, LC_RUNTIME, "a kernel failed; this worker cannot go on: start it again"},
};

static enum lc told(cudaError_t e, const char *what, struct err *err)
{
    if (e == cudaSuccess)
        return LC_OK;
    for (size_t i = 0; i < sizeof REASONS / sizeof *REASONS; i++)
        if (REASONS[i].error == e) {
            err_set(err, REASONS[i].code, "%s: %s", what, cudaGetErrorString(e));
            return err_hint(err, "%s", REASONS[i].hint);
        }
    return err_set(err, LC_RUNTIME, "%s: %s (%s)", what, cudaGetErrorString(e), cudaGetErrorName(e));
}

int cuda_device_count(void)
{
    int n = 0;

    return cudaGetDeviceCount(&n) == cudaSuccess ? n : 0;
}

enum lc cuda_open_device(int index, struct cuda_device *out, struct err *err)
{
    struct cudaDeviceProp p;
    int driver = 0, version = 0;

    TRY(told(cudaSetDevice(index), "cannot open the GPU", err));
    TRY(told(cudaGetDeviceProperties(&p, index), "cannot ask the GPU what it is", err));
    TRY(told(cudaDriverGetVersion(&driver), "cannot ask the driver for its version", err));
    TRY(told(cudaRuntimeGetVersion(&version), "cannot ask CUDA for its version", err));
    TRY(told(cudaFree(NULL), "cannot open the GPU", err)); /* makes the context now */
    *out = (struct cuda_device){.major = p.major,
                                .minor = p.minor,
                                .multiprocessors = p.multiProcessorCount,
                                .driver = driver,
                                .runtime = version,
                                .memory = p.totalGlobalMem,
                                .shared = p.sharedMemPerBlockOptin};
    snprintf(out->name, sizeof out->name, "%s", p.name);
    for (size_t i = 0; i < sizeof p.uuid.bytes; i++)
        snprintf(out->identity + 2 * i, sizeof out->identity - 2 * i, "%02x", (unsigned char)p.uuid.bytes[i]);
    if (p.major < 8)
        return told(cudaErrorNoKernelImageForDevice, "cannot use the GPU", err);
    return LC_OK;
}

enum lc cuda_malloc(size_t bytes, void **out, struct err *err)
{
    cudaError_t e = cudaMalloc(out, bytes);

    if (e == cudaSuccess)
        return LC_OK;
    (void)cudaGetLastError(); /* the device goes on */
    told(e, "cannot allocate memory on the GPU", err);
    return err ? err_wrap(err, "cannot allocate %zu MiB on the GPU, %zu MiB are free", bytes >> 20,
                          cuda_memory_free() >> 20)
               : LC_LIMIT;
}

void cuda_free(void *p)
{
    (void)cudaFree(p);
}

enum lc cuda_malloc_host(size_t bytes, void **out, struct err *err)
{
    return told(cudaMallocHost(out, bytes), "cannot pin memory", err);
}

void cuda_free_host(void *p)
{
    (void)cudaFreeHost(p);
}

size_t cuda_memory_free(void)
{
    size_t left = 0, total = 0;

    return cudaMemGetInfo(&left, &total) == cudaSuccess ? left : 0;
}

enum lc cuda_stream_new(struct CUstream_st **out, struct err *err)
{
    return told(cudaStreamCreateWithFlags(out, cudaStreamNonBlocking), "cannot make a stream", err);
}

void cuda_stream_free(struct CUstream_st *s)
{
    (void)cudaStreamDestroy(s);
}

enum lc cuda_stream_sync(struct CUstream_st *s, struct err *err)
{
    TRY(told(cudaGetLastError(), "the GPU refused a kernel", err));
    return told(cudaStreamSynchronize(s), "the GPU failed", err);
}

enum lc cuda_event_new(struct CUevent_st **out, struct err *err)
{
    return told(cudaEventCreateWithFlags(out, cudaEventDisableTiming), "cannot make an event", err);
}

void cuda_event_free(struct CUevent_st *e)
{
    (void)cudaEventDestroy(e);
}

void cuda_stream_after(struct CUstream_st *s, struct CUevent_st *e)
{
    (void)cudaStreamWaitEvent(s, e, 0);
}

bool cuda_stream_idle(struct CUstream_st *s)
{
    return cudaStreamQuery(s) != cudaErrorNotReady;
}

void cuda_event_record(struct CUevent_st *e, struct CUstream_st *s)
{
    (void)cudaEventRecord(e, s);
}

enum lc cuda_event_wait(struct CUevent_st *e, struct err *err)
{
    return told(cudaEventSynchronize(e), "the GPU failed", err);
}

enum lc cuda_capture_begin(struct CUstream_st *s, struct err *err)
{
    return told(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal), "cannot write a graph", err);
}

enum lc cuda_capture_end(struct CUstream_st *s, struct CUgraphExec_st **out, struct err *err)
{
    cudaGraph_t graph = NULL;
    cudaError_t e = cudaStreamEndCapture(s, &graph);

    if (e == cudaSuccess)
        e = cudaGraphInstantiate(out, graph, 0);
    if (graph)
        (void)cudaGraphDestroy(graph);
    if (e != cudaSuccess)
        (void)cudaGetLastError(); /* the device goes on without */
    return told(e, "cannot write a graph", err);
}

enum lc cuda_graph_launch(struct CUgraphExec_st *g, struct CUstream_st *s, struct err *err)
{
    return told(cudaGraphLaunch(g, s), "the GPU refused a graph", err);
}

void cuda_graph_free(struct CUgraphExec_st *g)
{
    (void)cudaGraphExecDestroy(g);
}

void cuda_upload(struct CUstream_st *s, void *device, const void *host, size_t bytes)
{
    (void)cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, s);
}

void cuda_download(struct CUstream_st *s, void *host, const void *device, size_t bytes)
{
    (void)cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, s);
}

void cuda_copy(struct CUstream_st *s, void *to, const void *from, size_t bytes)
{
    (void)cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, s);
}

void cuda_zero(struct CUstream_st *s, void *p, size_t bytes)
{
    (void)cudaMemsetAsync(p, 0, bytes, s);
}
