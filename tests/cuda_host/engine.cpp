/* engine.cpp: fibers, schedules, barriers, warp operations and shared memory of the host emulation. */
#include "engine.h"
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreWritesBegin(const char *, int);
extern "C" void AnnotateIgnoreWritesEnd(const char *, int);
#endif

/* What the emulator does itself must not look like an access of the kernel. */
#define QUIET __attribute__((no_sanitize_thread, noinline))

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

extern "C" void cuda_host_begin(void); /* runtime_host.c: around what may touch the device's memory */
extern "C" void cuda_host_end(void);

namespace cuda_host
{
unsigned schedule;

namespace
{
constexpr int MAX_THREADS = 1024, MAX_COPIES = 64, MAX_SHARED = 64;
constexpr size_t SHARED_LIMIT = 163 * 1024; /* what sm_80 gives a block; sm_90 has 227 KiB */
#ifdef WITH_TSAN
constexpr int POOLS =
    4; /* neighbouring blocks run on different fibers, so that TSan sees no order between them */
#else
constexpr int POOLS = 1;
#endif

enum state { IDLE, RUNNABLE, AT_BARRIER, AT_WARP, EXITED };
const char *const OP_NAMES[] = {"__shfl_sync",   "__shfl_xor_sync", "__shfl_up_sync",  "__shfl_down_sync",
                                "__ballot_sync", "__syncwarp",      "a warp's product"};

struct copy {
    void *to;
    const void *from;
    unsigned group;
    bool valid;
};

struct fiber {
    void *sp;            /* saved stack pointer while not running */
    ucontext_t *context; /* the same where we have no assembly for the machine */
    char *stack;
    size_t stack_size;
    void *fake_stack, *tsan; /* what the sanitizers keep per stack */
    uint3 tid;
    int index;
    enum state state;
    const char *file; /* where it waits */
    int line;
    enum op op; /* what it asks of its warp */
    unsigned mask, width;
    int operand;
    uint64_t value, result;
    void *data;
    struct copy copies[MAX_COPIES]; /* asynchronous copies that have not landed */
    unsigned ncopies, group;
};

struct grid {
    fiber *threads[POOLS], *pool, *self, host;
    int n, exited, at_barrier;
    uint16_t ready[MAX_THREADS]; /* ring of runnable threads */
    int head, nready;
    uint32_t arrived[MAX_THREADS / 32];
    const char *kernel;
    void (*call)(void *);
    void *arg;
    void *dynamic;
    struct {
        const void *key;
        void *p;
    } shared[MAX_SHARED];
    int nshared;
    size_t shared_bytes;
    unsigned phase; /* barriers passed; the parity picks the variable that carries TSan's order */
    char launched, ended, fenced, barrier[2], warp[MAX_THREADS / 32][2];
    unsigned warp_phase[MAX_THREADS / 32];
    uint64_t random;
} grid;

pthread_mutex_t one_launch = PTHREAD_MUTEX_INITIALIZER;

QUIET uint32_t random_below(uint32_t n)
{
    grid.random = grid.random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(((grid.random >> 33) * n) >> 31);
}

/* ---- order for TSan; nothing elsewhere ---- */
QUIET void order_before(char *at)
{
#ifdef WITH_TSAN
    __tsan_release(at);
#else
    (void)at;
#endif
}

QUIET void order_after(char *at)
{
#ifdef WITH_TSAN
    __tsan_acquire(at);
#else
    (void)at;
#endif
}

/* ---- fibers ---- */
#if defined(__x86_64__)
__attribute__((naked)) QUIET void swap_stacks(void **, void *)
{
    __asm__("pushq %rbp\n\tpushq %rbx\n\tpushq %r12\n\tpushq %r13\n\tpushq %r14\n\tpushq %r15\n\t"
            "movq %rsp, (%rdi)\n\tmovq %rsi, %rsp\n\t"
            "popq %r15\n\tpopq %r14\n\tpopq %r13\n\tpopq %r12\n\tpopq %rbx\n\tpopq %rbp\n\tret");
}

QUIET void swap_fibers(fiber *from, fiber *to)
{
    swap_stacks(&from->sp, to->sp);
}

QUIET void prepare(fiber *f, void (*entry)())
{
    void **top =
        reinterpret_cast<void **>(f->stack + f->stack_size); /* as if entry had been called: 16n + 8 */

    top[-1] = NULL;
    top[-2] = reinterpret_cast<void *>(entry);
    f->sp = top - 8;
}
#else
QUIET void swap_fibers(fiber *from, fiber *to)
{
    swapcontext(from->context, to->context);
}

QUIET void prepare(fiber *f, void (*entry)())
{
    f->context = static_cast<ucontext_t *>(calloc(1, sizeof *f->context));
    getcontext(f->context);
    f->context->uc_stack.ss_sp = f->stack;
    f->context->uc_stack.ss_size = f->stack_size;
    makecontext(f->context, entry, 0);
}
#endif

QUIET void switch_to(fiber *to)
{
    fiber *from = grid.self;

    if (from == to)
        return;
    grid.self = to;
    threadIdx = to->tid;
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_size);
#endif
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(to->tsan, __tsan_switch_to_fiber_no_sync);
#endif
    swap_fibers(from, to);
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

QUIET void make_ready(fiber *f)
{
    f->state = RUNNABLE;
    grid.ready[(grid.head + grid.nready++) % MAX_THREADS] = (uint16_t)f->index;
}

/* The next thread to run, or the host when none can. */
QUIET fiber *next_ready()
{
    fiber *f;

    if (!grid.nready)
        return &grid.host;
    if (schedule > 1) {
        int i = (grid.head + (int)random_below((uint32_t)grid.nready)) % MAX_THREADS;
        uint16_t t = grid.ready[i];

        grid.ready[i] = grid.ready[grid.head];
        grid.ready[grid.head] = t;
    }
    f = &grid.pool[grid.ready[grid.head]];
    grid.head = (grid.head + 1) % MAX_THREADS;
    grid.nready--;
    return f;
}

QUIET void thread_main()
{
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
    for (;;) { /* one round per block */
        order_after(&grid.launched);
        grid.call(grid.arg);
        order_before(&grid.ended);
        if (grid.self->ncopies)
            fail("thread %d exits with asynchronous copies not waited for", grid.self->index);
        grid.self->state = EXITED;
        grid.exited++;
        switch_to(next_ready());
    }
}

QUIET void make_fibers(fiber *&pool)
{
    const size_t guard = 4096, size = 256 * 1024;
    char *stacks = static_cast<char *>(mmap(NULL, MAX_THREADS * (guard + size), PROT_READ | PROT_WRITE,
                                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));

    pool = static_cast<fiber *>(calloc(MAX_THREADS, sizeof *pool));
    if (stacks == MAP_FAILED || !pool)
        fail("no memory for %d stacks", MAX_THREADS);
    for (int i = 0; i < MAX_THREADS; i++) {
        mprotect(stacks + (size_t)i * (guard + size), guard, PROT_NONE);
        pool[i].index = i;
        pool[i].stack = stacks + (size_t)i * (guard + size) + guard;
        pool[i].stack_size = size;
        prepare(&pool[i], thread_main);
    }
}

/* ---- shared memory ---- */
QUIET void *shared_alloc(size_t bytes)
{
    void *p = NULL;

#ifdef WITH_TSAN
    AnnotateIgnoreWritesBegin(__FILE__,
                              __LINE__); /* the allocation belongs to the block, not to this thread */
#endif
    if (posix_memalign(&p, 128, bytes ? bytes : 1))
        fail("no memory");
    memset(p, 0xff, bytes);
#ifdef WITH_TSAN
    AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
#endif
    grid.shared_bytes += bytes;
    if (grid.shared_bytes > SHARED_LIMIT)
        fail("%zu bytes of shared memory, limit %zu", grid.shared_bytes, SHARED_LIMIT);
    return p;
}

/* ---- launch ---- */
QUIET void report_stuck()
{
    fprintf(stderr, "cuda_host: kernel %s block (%u,%u,%u) cannot go on: %d of %d threads exited\n",
            grid.kernel, blockIdx.x, blockIdx.y, blockIdx.z, grid.exited, grid.n);
    for (int i = 0, shown = 0; i < grid.n && shown < 8; i++) {
        fiber *f = &grid.pool[i], *before = i ? f - 1 : NULL;

        if (before && before->state == f->state && before->line == f->line && before->mask == f->mask)
            continue;
        shown++;
        if (f->state == EXITED)
            fprintf(stderr, "  from thread %d on: exited\n", i);
        else if (f->state == AT_BARRIER)
            fprintf(stderr, "  from thread %d on: waits in __syncthreads at %s:%d\n", i, f->file, f->line);
        else
            fprintf(stderr, "  from thread %d on: waits in %s, mask %08x, at %s:%d\n", i, OP_NAMES[f->op],
                    f->mask, f->file, f->line);
    }
    fail("deadlock: threads wait for threads that never come");
}

QUIET void run_block()
{
    grid.n = (int)(blockDim.x * blockDim.y * blockDim.z);
    grid.exited = grid.at_barrier = grid.head = grid.nready = 0;
    memset(grid.arrived, 0, sizeof grid.arrived);
    for (int k = 0; k < grid.n; k++) {
        int i = schedule == 1 ? grid.n - 1 - k : k;
        fiber *f = &grid.pool[i];
        unsigned u = (unsigned)i;

        f->tid = {u % blockDim.x, u / blockDim.x % blockDim.y, u / blockDim.x / blockDim.y};
        f->group = f->ncopies = 0;
        f->mask = 0;
#ifdef WITH_TSAN
        if (!f->tsan)
            f->tsan = __tsan_create_fiber(0);
#endif
        make_ready(f);
    }
    switch_to(next_ready());
    if (grid.exited < grid.n)
        report_stuck();
    order_after(&grid.ended);
    for (int i = 0; i < grid.nshared; i++)
        free(grid.shared[i].p);
    grid.nshared = 0;
}

/* The stack that launches: the sanitizers want to know where to return to. */
QUIET void enter()
{
    static thread_local char *low;
    static thread_local size_t size;
    const char *order = getenv("LACUS_CUDA_SCHEDULE");
    pthread_attr_t attr;
    void *stack;

    if (!low) {
        pthread_getattr_np(pthread_self(), &attr);
        pthread_attr_getstack(&attr, &stack, &size);
        pthread_attr_destroy(&attr);
        low = static_cast<char *>(stack);
    }
    grid.host.stack = low;
    grid.host.stack_size = size;
    grid.self = &grid.host;
    if (!grid.host.context)
        grid.host.context = static_cast<ucontext_t *>(calloc(1, sizeof(ucontext_t)));
#ifdef WITH_TSAN
    grid.host.tsan = __tsan_get_current_fiber();
#endif
    for (int i = 0; i < POOLS && !grid.threads[i]; i++)
        make_fibers(grid.threads[i]);
    if (order)
        schedule = (unsigned)strtoul(order, NULL, 10);
}

/* Any order of blocks is legal. Random: a stride coprime to their number visits each one once. */
QUIET void run_blocks(uint64_t total, size_t shmem)
{
    uint64_t first = schedule > 1 ? random_below((uint32_t)total) : 0, stride = 1;

    for (uint64_t b = total; schedule > 1 && b != 1;) {
        stride = 1 + random_below((uint32_t)total);
        b = total;
        for (uint64_t c = stride; c;) {
            uint64_t r = b % c;

            b = c;
            c = r;
        }
    }
    for (uint64_t i = 0; i < total; i++) {
        uint64_t b = schedule == 1 ? total - 1 - i : (first + i * stride) % total;

        blockIdx = {(unsigned)(b % gridDim.x), (unsigned)(b / gridDim.x % gridDim.y),
                    (unsigned)(b / gridDim.x / gridDim.y)};
        grid.pool = grid.threads[i % POOLS];
        grid.shared_bytes = 0;
        grid.dynamic = shared_alloc(shmem);
        run_block();
        free(grid.dynamic);
    }
}

QUIET void wait_as(enum state state, const char *file, int line)
{
    grid.self->state = state;
    grid.self->file = file;
    grid.self->line = line;
    switch_to(next_ready());
}

/* The value a lane gets once all lanes of the mask have come. */
QUIET uint64_t lane_result(const fiber *warp, const fiber *f)
{
    int lane = f->index % 32, segment = lane & ~(int)(f->width - 1), from = lane;
    uint64_t votes = 0;

    switch (f->op) {
    case SHFL_IDX:
        from = segment | (f->operand & (int)(f->width - 1));
        break;
    case SHFL_XOR:
        from = (lane ^ f->operand) < segment + (int)f->width ? lane ^ f->operand : lane;
        break;
    case SHFL_UP:
        from = lane - f->operand < segment ? lane : lane - f->operand;
        break;
    case SHFL_DOWN:
        from = lane + f->operand < segment + (int)f->width ? lane + f->operand : lane;
        break;
    case BALLOT:
        for (unsigned i = 0; i < 32; i++)
            if (f->mask >> i & 1 && warp[i].value)
                votes |= 1u << i;
        return votes;
    default:
        return 0;
    }
    if (!(f->mask >> from & 1))
        fail("%s at %s:%d: lane %d reads lane %d, which mask %08x leaves out", OP_NAMES[f->op], f->file,
             f->line, lane, from, f->mask);
    return warp[from].value;
}

/* All lanes of the mask are here: what each gets. */
QUIET void finish_warp_op(fiber *warp, fiber *self, void (*combine)(void *const lanes[32]))
{
    void *lanes[32];

    for (int i = 0; i < 32; i++) {
        if (!(self->mask >> i & 1))
            continue;
        if (warp[i].mask != self->mask || warp[i].op != self->op || warp[i].line != self->line)
            fail("lane %d in %s mask %08x at %s:%d meets lane %d in %s mask %08x at %s:%d", self->index % 32,
                 OP_NAMES[self->op], self->mask, self->file, self->line, i, OP_NAMES[warp[i].op],
                 warp[i].mask, warp[i].file, warp[i].line);
        warp[i].result = lane_result(warp, &warp[i]);
        lanes[i] = warp[i].data;
    }
    if (combine)
        combine(lanes);
}

QUIET uint64_t meet(fiber *self, void (*combine)(void *const lanes[32]))
{
    int w = self->index / 32, lane = self->index % 32, last = grid.n - w * 32;
    fiber *warp = &grid.pool[w * 32];
    unsigned mask = self->mask;

    if (!(mask >> lane & 1))
        fail("%s at %s:%d: lane %d is not in its own mask %08x", OP_NAMES[self->op], self->file, self->line,
             lane, mask);
    if (last < 32 && mask >> last)
        fail("%s at %s:%d: mask %08x, but the warp has %d threads", OP_NAMES[self->op], self->file,
             self->line, mask, last);
    grid.arrived[w] |= 1u << lane;
    if ((grid.arrived[w] & mask) != mask) {
        wait_as(AT_WARP, self->file, self->line);
        return self->result;
    }
    finish_warp_op(warp, self, combine);
    grid.arrived[w] &= ~mask;
    grid.warp_phase[w]++;
    for (int k = 0; k < 32; k++) {
        int i = schedule == 1 ? 31 - k : k;

        if (mask >> i & 1 && i != lane)
            make_ready(&warp[i]);
    }
    if (schedule) { /* do not favour the lane that came last */
        make_ready(self);
        switch_to(next_ready());
    }
    return self->result;
}

/* Instrumented on purpose: this is the kernel's own access. */
void land(const copy &c)
{
    if (c.valid)
        memcpy(c.to, c.from, 16);
    else
        memset(c.to, 0, 16);
}
} // namespace

QUIET void fail(const char *format, ...)
{
    va_list ap;

    fprintf(stderr, "cuda_host: kernel %s block (%u,%u,%u): ", grid.kernel, blockIdx.x, blockIdx.y,
            blockIdx.z);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

QUIET void *shared_static(const void *key, size_t bytes)
{
    for (int i = 0; i < grid.nshared; i++)
        if (grid.shared[i].key == key)
            return grid.shared[i].p;
    if (grid.nshared == MAX_SHARED)
        fail("more than %d shared variables", MAX_SHARED);
    grid.shared[grid.nshared].key = key;
    grid.shared[grid.nshared].p = shared_alloc(bytes);
    return grid.shared[grid.nshared++].p;
}

QUIET void *shared_dynamic()
{
    return grid.dynamic;
}

QUIET void launch(const char *kernel, dim3 blocks, dim3 threads, size_t shmem, void (*call)(void *),
                  void *arg)
{
    uint64_t n = (uint64_t)threads.x * threads.y * threads.z,
             total = (uint64_t)blocks.x * blocks.y * blocks.z;

    pthread_mutex_lock(&one_launch);
    grid.kernel = kernel;
    if (!n || n > (uint64_t)MAX_THREADS)
        fail("%llu threads in a block", (unsigned long long)n);
    if (!total || blocks.y > 65535 || blocks.z > 65535)
        fail("grid of (%u,%u,%u)", blocks.x, blocks.y, blocks.z);
    enter();
    gridDim = blocks;
    blockDim = threads;
    grid.call = call;
    grid.arg = arg;
    grid.random = schedule;
    order_before(&grid.launched);
    cuda_host_begin();
    run_blocks(total, shmem);
    cuda_host_end();
    pthread_mutex_unlock(&one_launch);
}

QUIET void barrier(const char *file, int line)
{
    fiber *self = grid.self, *other = &grid.pool[self->index ? 0 : grid.n - 1];
    char *at = &grid.barrier[grid.phase & 1];

    order_before(at);
    if (other->state == AT_BARRIER && (other->line != line || strcmp(other->file, file)))
        fail("__syncthreads at %s:%d by thread %d, at %s:%d by thread %d", file, line, self->index,
             other->file, other->line, other->index);
    if (++grid.at_barrier == grid.n) {
        grid.at_barrier = 0;
        grid.phase++;
        for (int k = 0; k < grid.n; k++) {
            fiber *f = &grid.pool[schedule == 1 ? grid.n - 1 - k : k];

            if (f != self)
                make_ready(f);
        }
        make_ready(self);
        switch_to(next_ready());
    } else {
        wait_as(AT_BARRIER, file, line);
    }
    order_after(at);
}

QUIET uint64_t warp_op(enum op op, unsigned mask, uint64_t value, int operand, int width, const char *file,
                       int line)
{
    fiber *self = grid.self;
    int w = self->index / 32;
    char *at = &grid.warp[w][grid.warp_phase[w] & 1];
    uint64_t result;

    if (op == SYNCWARP)
        order_before(at);
    self->op = op;
    self->mask = mask;
    self->value = value;
    self->operand = operand;
    self->width = (unsigned)width;
    self->file = file;
    self->line = line;
    result = meet(self, NULL);
    if (op == SYNCWARP)
        order_after(at);
    return result;
}

QUIET void warp_collective(void *data, void (*combine)(void *const lanes[32]), const char *file, int line)
{
    fiber *self = grid.self;

    self->op = COLLECTIVE;
    self->mask = 0xffffffffu;
    self->data = data;
    self->file = file;
    self->line = line;
    meet(self, combine);
}

QUIET void fence()
{
    order_before(&grid.fenced);
    order_after(&grid.fenced);
}

/* As late as allowed in order 0, at once in order 1, a coin otherwise: one too few waited for shows in one of them. */
QUIET void copy_async(void *to, const void *from, bool valid)
{
    fiber *f = grid.self;
    copy c = {to, from, f->group, valid};

    if (((uintptr_t)to | (uintptr_t)from) % 16)
        fail("cp_async16 to %p from %p: not 16-byte aligned", to, from);
    if (schedule == 1 || (schedule > 1 && random_below(2))) {
        land(c);
        return;
    }
    if (f->ncopies == MAX_COPIES)
        fail("more than %d copies under way", MAX_COPIES);
    f->copies[f->ncopies++] = c;
}

QUIET void copy_commit()
{
    grid.self->group++;
}

QUIET void copy_wait(unsigned groups)
{
    fiber *f = grid.self;
    unsigned kept = 0;

    for (unsigned i = 0; i < f->ncopies; i++)
        if (f->copies[i].group + groups < f->group)
            land(f->copies[i]);
        else
            f->copies[kept++] = f->copies[i];
    f->ncopies = kept;
}
} // namespace cuda_host
